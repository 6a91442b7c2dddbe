// The hub killed again and again while it routes by content, through pipelines, and through one that keeps something: each message goes
// once where the rules send it, in the order of its stream, and what was made of it is made once. CRASH_SEED= repeats the kills,
// ROUTE_KILLS= asks for more of them.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Client, type Publisher } from '#agent/client/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'
import { askHub } from '#hub/management/mod.ts'
import { bringFiles, type RoutesView } from '#hub/router/mod.ts'
import { checkStore } from '#hub/store/mod.ts'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { startTestHub } from '../fixtures/hub.ts'

const seed = Number(process.env.CRASH_SEED ?? testSeed())
const KILLS = Number(process.env.ROUTE_KILLS ?? 8)
const STREAMS = 4
/** Enough to be under way all the time. */
const MESSAGES = 160 * KILLS
const GROUP = 5

const RULES = {
  rules: [
    { name: 'even', topics: 'work/#', when: { jsonata: 'n % 2 = 0' }, to: 'even' },
    { name: 'all', topics: 'work/#', where: { kind: 'plain' }, to: 'all' },
    { name: 'made', topics: 'work/#', pipeline: 'shape', to: 'made' },
    { name: 'merged', topics: 'work/#', pipeline: 'groups', to: 'merged' },
  ],
  pipelines: {
    shape: { steps: [{ filter: { where: 'n % 3 != 0' } }, { map: { expressions: { double: 'n * 2' } } }] },
    groups: { steps: [{ merge: { key: 'stream', count: GROUP, as: { row: { into: 'parts' } } } }] },
  },
}

type Row = { readonly stream: number; readonly n: number; readonly double?: number; readonly parts?: readonly Row[] }

const MS_MAX = 500_000 + 10_000 * KILLS
t.setTimeout(MS_MAX)
t.test('killed at random while it routes', { timeout: MS_MAX - 10_000 }, async (t) => {
  t.comment(`CRASH_SEED=${seed}`)
  const random = new Random(seed)
  const hub = await startTestHub({ queues: ['even', 'all', 'made', 'merged'].map((name) => ({ name, topics: [] })) })
  t.teardown(() => hub.stop())
  const folder = join(hub.dir, 'rules')
  mkdirSync(folder)
  writeFileSync(join(folder, 'rules.json'), JSON.stringify(RULES))
  const brought = await bringFiles(join(hub.dataDir, 'routes'), join(folder, 'rules.json'))
  const answer = await askHub<{ version?: number; refused?: readonly object[] }>(hub.dataDir, {
    command: 'deploy',
    ...brought,
    by: 'test',
    note: '',
  })
  t.match(answer, { version: 1 })
  const identity = loadIdentity(await hub.enroll('agent'))
  const client = await Client.connect({ identity, reconnectMsFirst: 20, reconnectMsMax: 200 })
  t.teardown(() => client.close())

  const publishers = Array.from({ length: STREAMS }, (_, i) => client.publisher({ stream: `s${i}` }))
  const sending = send(publishers)
  for (let kill = 0; kill < KILLS; kill++) {
    await new Promise((resolve) => setTimeout(resolve, 50 + random.below(400)))
    await hub.kill()
    await hub.restart()
  }
  await sending
  const view = () => askHub<RoutesView>(hub.dataDir, { command: 'routes' })
  for (let { waiting, underWay } = await view(); waiting > 0 || underWay > 0; ) ({ waiting, underWay } = await view())

  const numbers = Array.from({ length: MESSAGES }, (_, i) => i)
  const queues = new Map<string, Row[]>()
  for (const name of ['even', 'all', 'made', 'merged'])
    queues.set(name, await drain(client, name, await depthOf(hub, name)))
  for (let stream = 0; stream < STREAMS; stream++) {
    const of = (name: string) => (queues.get(name) ?? []).filter((row) => row.stream === stream).map(({ n }) => n)
    const mine = numbers.filter((n) => n % STREAMS === stream)
    t.same(of('all'), mine, `stream ${stream}, as it is`)
    t.same(
      of('even'),
      mine.filter((n) => n % 2 === 0),
      `stream ${stream}, by content`,
    )
    t.same(
      of('made'),
      mine.filter((n) => n % 3 !== 0),
      `stream ${stream}, made`,
    )
    const groups = (queues.get('merged') ?? []).filter(({ parts }) => parts?.[0]?.stream === stream)
    t.same(
      groups.flatMap(({ parts }) => parts ?? []).map(({ n }) => n),
      mine,
      `stream ${stream}, merged`,
    )
    t.ok(groups.every(({ parts }) => parts?.length === GROUP))
  }
  t.ok((queues.get('made') ?? []).every(({ n, double }) => double === 2 * n))
  t.equal(await depthOf(hub, '$dead'), 0)
  t.equal(await depthOf(hub, '$unrouted'), 0)
  await client.close()
  await hub.quit()
  const { damaged, problems } = await checkStore(hub.dataDir)
  t.same([damaged, problems], [[], []])
})

/** Each stream in its own pace, some messages under way at once. */
async function send(publishers: readonly Publisher[]): Promise<void> {
  const headers = { ':content-type': 'application/json', kind: 'plain' }
  await Promise.all(
    publishers.map(async (publisher, stream) => {
      let underWay: Promise<unknown>[] = []
      for (let n = stream; n < MESSAGES; n += STREAMS) {
        const body = Buffer.from(JSON.stringify({ stream, n }))
        underWay.push(publisher.publish({ topic: `work/${stream}`, headers, body }))
        if (underWay.length < 10) continue
        await Promise.all(underWay)
        underWay = []
      }
      await Promise.all(underWay)
    }),
  )
}

async function depthOf(hub: Awaited<ReturnType<typeof startTestHub>>, name: string): Promise<number> {
  return (await hub.status()).queues.find((queue) => queue.name === name)?.depth ?? 0
}

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
