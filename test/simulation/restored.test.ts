// A hub whose folder was put back to an older copy, and what its agents make of it. The simulation plays this at random; here
// is what happens in words.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Subscription } from '#agent/client/mod.ts'
import { HubSource } from '#agent/components/source/hub/source.ts'
import type { Fault } from '#protocol/base/mod.ts'
import { signingKey } from '#protocol/crypto/mod.ts'
import { SimSpool } from './spool.ts'
import { makeCast, type SimAgent, Stage } from './stage.ts'

const { cast, end } = makeCast({ p: {}, c: {} })
t.teardown(end)

async function begin(t: Test): Promise<Stage> {
  const stage = new Stage({ cast, seed: 1, queues: [{ name: 'q', topics: ['q/#'] }] })
  t.teardown(() => stage[Symbol.asyncDispose]())
  await stage.world.outcome(stage.hub.start(), 'the hub starts')
  return stage
}

async function restore({ hub, world }: Stage): Promise<void> {
  await hub.kill()
  hub.restore()
  await world.outcome(hub.start(), 'the hub starts')
}

/** What the consumer gets, all of it settled. */
function consumed(consumer: SimAgent): string[] {
  const got: string[] = []
  const run = async (subscribed: Promise<Subscription>) => {
    for await (const delivery of await subscribed) {
      for (const { body } of delivery) got.push(String(body))
      delivery.settle()
    }
  }
  consumer.within(() => void run(consumer.client.subscribe({ queue: 'q' })))
  return got
}

t.test(
  'a publisher in memory begins a new epoch and goes on; what the hub lost is lost, and nobody says so',
  async (t) => {
    const stage = await begin(t)
    const { world, hub } = stage
    const producer = stage.agent('p')
    const publisher = producer.within(() => producer.client.publisher({ stream: 's' }))
    const publish = (body: string) =>
      world.outcome(
        producer.within(() => publisher.publish({ topic: 'q/x', body: Buffer.from(body) })),
        body,
      )
    await publish('a')
    hub.copy()
    await publish('b')
    const { epoch } = publisher
    await restore(stage)
    const { firstSeq } = await publish('c')
    t.not(publisher.epoch, epoch)
    t.equal(firstSeq, 1, 'the numbers begin again')
    t.equal(publisher.refused, null)
    const got = consumed(stage.agent('c'))
    await world.advance(1000)
    t.strictSame(got, ['a', 'c'])
  },
)

t.test('a spool keeps its epoch: its stream is refused from then on, and its agent is told why', async (t) => {
  const stage = await begin(t)
  const { world, hub } = stage
  const producer = stage.agent('p')
  const key = signingKey((cast.identities.get('p') as { key: Parameters<typeof signingKey>[0] }).key)
  const spool = new SimSpool({ name: 's', origin: 'p', key, epoch: 1 })
  const refusals: unknown[] = []
  const nothing = () => undefined
  const onRefused = (fault: Fault) => refusals.push(fault.details.hubCode)
  const events = { onAccepted: nothing, onUnrouted: nothing, onError: nothing, onRefused }
  const sender = producer.within(() => producer.client.sendFrom(spool, events))
  const send = async (id: string) => {
    spool.add([{ topic: 'q/x', key: '', id }])
    producer.within(() => sender.pump())
    await world.advance(1000)
  }
  await send('a')
  hub.copy()
  await send('b')
  t.equal(spool.waiting, 0)
  await restore(stage)
  await send('c')
  await world.advance(60_000)
  t.equal(spool.waiting, 1, 'nothing is lost here')
  t.ok(refusals.length > 5)
  t.strictSame(new Set(refusals), new Set(['STREAM_GAP']))
})

// A weakness, written down so that it is not forgotten: a copy bears the store's id, so nothing tells the source that the hub's
// positions begin again. When that is mended, all three rows come.
t.test('a source that keeps positions takes the messages after the copy for those it has', async (t) => {
  const stage = await begin(t)
  const { world, hub } = stage
  const [producer, consumer] = [stage.agent('p'), stage.agent('c')]
  const publisher = producer.within(() => producer.client.publisher({ stream: 's' }))
  const dataDir = mkdtempSync(join(tmpdir(), 'causeway-source-'))
  t.teardown(() => rmSync(dataDir, { recursive: true }))
  const source = new HubSource({ queue: 'q' } as never, consumer.client, { dataDir, log: () => undefined } as never)
  await world.outcome(
    consumer.within(() => source.open(null)),
    'the source opens',
  )
  const rows: unknown[] = []
  const move = async (name: string) => {
    const body = Buffer.from(JSON.stringify({ name }))
    await world.outcome(
      producer.within(() => publisher.publish({ topic: 'q/x', body })),
      name,
    )
    await world.advance(500)
    await world.outcome(
      consumer.within(async () => {
        const portion = await source.next()
        if (portion === null) return
        for (const { row } of portion.items) rows.push(row.name)
        await source.committed(portion.cursor)
      }),
      'a portion',
    )
    await world.advance(500)
  }
  await move('a')
  hub.copy()
  await move('b')
  await restore(stage)
  await move('c')
  t.strictSame(rows, ['a', 'b'])
})
