// The hub killed again and again while an operator sends dead letters back, and while groups that were gathered under steps of before
// go out: what failed is done once then, what had gone on does not go twice, and of a group no member is lost or given out twice.
// CRASH_SEED= repeats the kills, ROUTE_KILLS= asks for more of them.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Client } from '#agent/client/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'
import { askHub } from '#hub/management/mod.ts'
import { bringFiles, type RoutesView } from '#hub/router/mod.ts'
import { checkStore } from '#hub/store/mod.ts'
import { asFault } from '#protocol/base/mod.ts'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { startTestHub, type TestHub } from '../fixtures/hub.ts'

const seed = Number(process.env.CRASH_SEED ?? testSeed())
const KILLS = Number(process.env.ROUTE_KILLS ?? 4)
/** Messages before each kill. */
const MESSAGES = 300
const STREAMS = 3
const QUEUES = ['archive', 'made', 'tax', 'merged']
const DEAD = { command: 'redrive', queue: '$dead', all: true, filter: {} } as const

/** `count`: with each other number the steps are others, and groups of before go out as they are. `null`: nothing is merged. */
function rulesOf({ isGood, count }: { isGood: boolean; count: number | null }): object {
  const merged = { name: 'merged', topics: 'work/#', pipeline: 'groups', to: 'merged' }
  return {
    rules: [
      { name: 'archive', topics: 'work/#', to: 'archive' },
      { name: 'made', topics: 'work/#', pipeline: 'shape', to: 'made' },
      { name: 'tax', topics: 'work/#', pipeline: 'tax', to: 'tax' },
      ...(count === null ? [] : [merged]),
    ],
    pipelines: {
      shape: { steps: [{ map: { expressions: { double: 'n * 2' } } }] },
      // Every third message has a text there, of which nobody can make half.
      tax: { steps: [{ map: { expressions: { half: isGood ? 'n / 2' : 'm / 2' } } }] },
      ...(count === null
        ? {}
        : { groups: { steps: [{ merge: { key: 'stream', count, as: { row: { into: 'parts' } } } }] } }),
    },
  }
}

type Row = { readonly n: number; readonly half?: number; readonly parts?: readonly Row[] }

const MS_MAX = 500_000 + 20_000 * KILLS
t.setTimeout(MS_MAX)
t.test('killed while dead letters are sent back', { timeout: MS_MAX - 10_000 }, async (t) => {
  t.comment(`CRASH_SEED=${seed}`)
  const random = new Random(seed)
  const hub = await startTestHub({ queues: QUEUES.map((name) => ({ name, topics: [] })) })
  t.teardown(() => hub.stop())
  const identity = loadIdentity(await hub.enroll('agent'))
  const client = await Client.connect({ identity, reconnectMsFirst: 20, reconnectMsMax: 200 })
  t.teardown(() => client.close())
  const publishers = Array.from({ length: STREAMS }, (_, i) => client.publisher({ stream: `s${i}` }))
  const headers = { ':content-type': 'application/json' }
  let moved = 0
  for (let kill = 0; kill < KILLS; kill++) {
    await deploy(hub, rulesOf({ isGood: false, count: 4 + (kill % 3) }))
    const sent = Array.from({ length: MESSAGES }, (_, i) => {
      const n = kill * MESSAGES + i
      const body = Buffer.from(JSON.stringify({ n, stream: n % STREAMS, m: n % 3 === 0 ? 'x' : n }))
      return publishers[n % STREAMS]?.publish({ topic: `work/${n % STREAMS}`, headers, body })
    })
    await Promise.all(sent)
    await settled(hub)
    await deploy(hub, rulesOf({ isGood: true, count: 4 + ((kill + 1) % 3) }))
    const redriving = askHub<{ moved: number }>(hub.dataDir, DEAD).then(
      (answer) => answer.moved,
      (error: unknown) => {
        // The hub went before it could answer.
        t.match(asFault(error).code, /^HUB_/, asFault(error).describe())
        return 0
      },
    )
    // While it is at it, or while what it sent back is decided.
    await new Promise((resolve) => setTimeout(resolve, random.below(kill % 2 === 0 ? 25 : 250)))
    await hub.kill()
    moved += await redriving
    await hub.restart()
  }
  await deploy(hub, rulesOf({ isGood: true, count: null }))
  // A letter that came back under rules that could not do it has died again meanwhile.
  for (let depth = 1; depth > 0; depth = await depthOf(hub, '$dead')) {
    moved += (await askHub<{ moved: number }>(hub.dataDir, DEAD)).moved
    await settled(hub)
  }
  t.comment(`${moved} sent back in redrives that lived to say so`)

  const all = Array.from({ length: KILLS * MESSAGES }, (_, n) => n)
  const rows = new Map<string, Row[]>()
  for (const name of QUEUES) rows.set(name, await drain(client, name, await depthOf(hub, name)))
  const numbers = (of: readonly Row[] = []) => of.map(({ n }) => n).sort((a, b) => a - b)
  t.same(numbers(rows.get('archive')), all, 'what no rule failed of')
  t.same(numbers(rows.get('made')), all, 'what another pipeline had made')
  t.same(numbers(rows.get('tax')), all, 'what failed, once it can be done')
  const groups = rows.get('merged') ?? []
  t.same(numbers(groups.flatMap(({ parts }) => parts ?? [])), all, 'what waited in groups')
  t.same(
    groups.filter(({ parts = [] }) => parts.length < 1 || parts.length > 6),
    [],
  )
  t.equal(await depthOf(hub, '$unrouted'), 0)
  await client.close()
  await hub.quit()
  const { damaged, problems } = await checkStore(hub.dataDir)
  t.same([damaged, problems], [[], []])
})

let folders = 0
async function deploy(hub: TestHub, rules: object): Promise<void> {
  const folder = join(hub.dir, `rules-${++folders}`)
  mkdirSync(folder)
  writeFileSync(join(folder, 'rules.json'), JSON.stringify(rules))
  const brought = await bringFiles(join(hub.dataDir, 'routes'), join(folder, 'rules.json'))
  const request = { command: 'deploy', ...brought, by: 'test', note: '' } as const
  const { version, refused } = await askHub<{ version?: number; refused?: readonly object[] }>(hub.dataDir, request)
  if (version === undefined) throw new Error(JSON.stringify(refused))
}

/** Nothing is on its way through the router. */
async function settled(hub: TestHub): Promise<void> {
  for (;;) {
    const { waiting, underWay } = await askHub<RoutesView>(hub.dataDir, { command: 'routes' })
    if (waiting === 0 && underWay === 0) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const depthOf = async (hub: TestHub, name: string): Promise<number> =>
  (await hub.status()).queues.find((queue) => queue.name === name)?.depth ?? 0

async function drain(client: Client, queue: string, count: number): Promise<Row[]> {
  const subscription = await client.subscribe({ queue })
  const rows: Row[] = []
  while (rows.length < count) {
    const delivery = await subscription.next()
    if (delivery === null) throw new Error(`${queue} ended after ${rows.length} of ${count}`)
    for (const { body } of delivery) rows.push(JSON.parse(body.toString()) as Row)
    await delivery.settle()
  }
  subscription.close()
  return rows
}
