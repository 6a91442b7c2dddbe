// The hub killed again and again while it makes large contents of large contents: each document is mapped once, what is fetched is what
// was made, and no content is left over or made twice. CRASH_SEED= repeats the kills, ROUTE_KILLS= asks for more of them.

import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Client } from '#agent/client/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'
import { askHub } from '#hub/management/mod.ts'
import { bringFiles, type RoutesView } from '#hub/router/mod.ts'
import { checkStore } from '#hub/store/mod.ts'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { startTestHub } from '../fixtures/hub.ts'

const seed = Number(process.env.CRASH_SEED ?? testSeed())
const KILLS = Number(process.env.ROUTE_KILLS ?? 5)
const STREAMS = 2
const DOCUMENTS = 4 * KILLS
const RECORDS = 12_000

const RULES = {
  rules: [
    { name: 'lines', topics: 'work/#', pipeline: 'lines', to: 'made' },
    { name: 'even', topics: 'work/#', when: { xpath: '/rows/@n mod 2 = 0' }, to: 'even' },
  ],
  pipelines: {
    lines: { steps: [{ convert: { from: { xml: { path: '/rows/row' } }, to: { jsonl: {} } } }] },
  },
}

const xmlOf = (n: number): string =>
  `<rows n="${n}">${Array.from({ length: RECORDS }, (_, i) => `<row><n>${n}</n><i>${i}</i><text>${'記錄'.repeat(12)}</text></row>`).join('\n')}</rows>`

const MS_MAX = 500_000 + 15_000 * KILLS
t.setTimeout(MS_MAX)
t.test('killed at random while it makes contents', { timeout: MS_MAX - 10_000 }, async (t) => {
  t.comment(`CRASH_SEED=${seed}`)
  const random = new Random(seed)
  const hub = await startTestHub({ queues: ['made', 'even'].map((name) => ({ name, topics: [] })) })
  t.teardown(() => hub.stop())
  const folder = join(hub.dir, 'rules')
  mkdirSync(folder)
  writeFileSync(join(folder, 'rules.json'), JSON.stringify(RULES))
  const brought = await bringFiles(join(hub.dataDir, 'routes'), join(folder, 'rules.json'))
  const deployment = { command: 'deploy', ...brought, by: 'test', note: '' } as const
  t.match(await askHub(hub.dataDir, deployment), { version: 1 })
  const identity = loadIdentity(await hub.enroll('agent'))
  const client = await Client.connect({ identity, reconnectMsFirst: 20, reconnectMsMax: 200 })
  t.teardown(() => client.close())

  const numbers = Array.from({ length: DOCUMENTS }, (_, n) => n)
  const path = join(hub.dir, 'document.xml')
  const ids: string[] = []
  for (const n of numbers) {
    writeFileSync(path, xmlOf(n))
    const upload = client.upload({ path, name: `${n}.xml`, mediaType: 'application/xml' })
    await upload.sealed
    ids.push(upload.id)
  }
  const view = () => askHub<RoutesView>(hub.dataDir, { command: 'routes' })
  const contentsOf = async () => (await hub.status()).contents.contents
  const publishers = Array.from({ length: STREAMS }, (_, i) => client.publisher({ stream: `s${i}` }))
  const sending = Promise.all(
    publishers.map(async (publisher, stream) => {
      // Each in a batch of its own, so that each is a conveyance of its own.
      for (let n = stream; n < DOCUMENTS; n += STREAMS) {
        const body = Buffer.from(String(n))
        await publisher.publish({ topic: `work/${stream}`, headers: {}, body, contents: [ids[n] as string] })
      }
    }),
  )
  for (let kill = 0; kill < KILLS; kill++) {
    // One more is begun: it is being stored, or waits for its message.
    const before = await contentsOf()
    while ((await contentsOf()) === before && (await view()).waiting > 0);
    await new Promise((resolve) => setTimeout(resolve, random.below(60)))
    await hub.kill()
    await hub.restart()
  }
  await sending
  for (let { waiting, underWay } = await view(); waiting > 0 || underWay > 0; ) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    ;({ waiting, underWay } = await view())
  }
  t.equal(await contentsOf(), 2 * DOCUMENTS, 'each was made once')
  t.equal((await view()).documentBytes, 0)
  const made: Made[] = await drain('made', DOCUMENTS)
  const even: Made[] = await drain('even', DOCUMENTS / 2)
  for (let stream = 0; stream < STREAMS; stream++) {
    const mine = numbers.filter((n) => n % STREAMS === stream)
    const of = (all: readonly Made[]) => all.filter(({ n }) => n % STREAMS === stream).map(({ n }) => n)
    t.same(of(made), mine, `stream ${stream}, made`)
    t.same(
      of(even),
      mine.filter((n) => n % 2 === 0),
      `stream ${stream}, by content`,
    )
  }
  t.equal(new Set(made.map(({ id }) => id)).size, DOCUMENTS)
  const depths = (await hub.status()).queues.filter(({ name }) => ['$dead', '$unrouted'].includes(name))
  t.same(
    depths.map(({ depth }) => depth),
    [0, 0],
  )
  await client.close()
  await hub.quit()
  const { damaged, problems } = await checkStore(hub.dataDir)
  t.same([damaged, problems], [[], []])

  type Made = { readonly n: number; readonly id: string }

  /** What is in a queue, with the contents fetched and looked at. */
  async function drain(queue: string, count: number): Promise<Made[]> {
    const subscription = await client.subscribe({ queue })
    const all: Made[] = []
    while (all.length < count) {
      const delivery = await subscription.next()
      if (delivery === null) throw new Error(`${queue} ended after ${all.length} of ${count}`)
      for (const { envelope } of delivery) {
        const id = String(envelope.headers[':content'])
        const to = join(hub.dir, 'fetched')
        await client.download({ id, to, as: 'file' }).done
        all.push({ n: numberIn(readFileSync(to, 'utf8'), queue), id })
        rmSync(to)
      }
      await delivery.settle()
    }
    subscription.close()
    return all
  }

  /** The number of a document, which must be whole. */
  function numberIn(text: string, queue: string): number {
    const n = Number(/"?n"?[=:]"?(\d+)/.exec(text)?.[1])
    const lines = text.trimEnd().split('\n')
    t.equal(lines.length, RECORDS)
    const digest = (one: string) => createHash('sha256').update(one).digest('hex')
    if (queue === 'even') t.equal(digest(text), digest(xmlOf(n)))
    else t.same(JSON.parse(lines.at(-1) as string), { n: String(n), i: String(RECORDS - 1), text: '記錄'.repeat(12) })
    return n
  }
})
