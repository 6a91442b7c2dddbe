// The consuming half of a session on a real store: what goes out, and what the peer makes of it.

import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { HubStore, policyOf, type Queue, type QueuePolicy, receiptsOf } from '#hub/store/mod.ts'
import { openBatch, PLAIN, type Receipts } from '#protocol/codec/mod.ts'
import { KEY, message, sealed } from '#protocol/codec/testing.ts'
import { CHANNEL_BULK, CHANNEL_MESSAGES, CHANNEL_URGENT, FRAME_HEADER_BYTES } from '#protocol/frame/mod.ts'
import { Outcome, type Settlement } from '#protocol/schema/mod.ts'
import {
  DELIVER_PREFIX_BYTES,
  type DeliverPrefix,
  FORM_BATCH,
  FORM_HUB_SEALED,
  parseDeliverPrefix,
} from '#protocol/session/mod.ts'
import { Consumer } from './consumer.ts'
import { Dispatcher } from './dispatcher.ts'
import type { Tally } from './tally.ts'

type Sent = DeliverPrefix & { readonly channel: number; readonly content: Buffer }
const FRAME_CHANNEL_AT = 6

class Bench {
  readonly store: HubStore
  readonly dispatcher = new Dispatcher()
  readonly setAside: string[] = []
  private consumers = 0
  private seq = 0

  private constructor(store: HubStore) {
    this.store = store
  }

  static async open(t: Test): Promise<Bench> {
    const store = await HubStore.open({ dataDir: t.testdir(), mapBytesMax: 2 ** 26, cacheBytes: 2 ** 20 })
    t.teardown(() => store.close())
    return new Bench(store)
  }

  queue(name: string, policy: Partial<QueuePolicy> = {}): Promise<Queue> {
    const rule = { topics: [], where: {} }
    return this.store.queues.declare({ name, rule, owner: null, ephemeral: false, policy: policyOf(policy) })
  }

  async append(
    queue: Queue,
    count: number,
    how: { priority?: 0 | 1 | 2; partition?: number; receipts?: Receipts } = {},
  ) {
    const { priority = 0, partition = 0, receipts = 'none' } = how
    const messages = Array.from({ length: count }, (_, i) => message(String(this.seq + i + 1)))
    const options = { origin: 'agent-a', stream: 'main', epoch: 1, firstSeq: this.seq + 1, receipts }
    const stream = this.store.stream('agent-a', 'main', 1)
    this.seq += count
    const placement = { queue, selection: null, count, partition, attributes: { ...PLAIN, priority } }
    await this.store.append(stream, openBatch(sealed(messages, options)), [placement])
  }

  consumer(queue: Queue, credit: { messages?: number; bytes?: number } = {}) {
    const sent: Sent[] = []
    const consumer = new Consumer({
      id: ++this.consumers,
      queue,
      store: this.store,
      identity: { name: 'hub', key: KEY, certificate: Buffer.alloc(0) },
      agent: `reader-${this.consumers}`,
      tally: { delivered: 0, deliveredBytes: 0, processed: 0, rejected: 0, retried: 0 } as Tally,
      creditBytes: credit.bytes ?? 1e9,
      creditMessages: credit.messages ?? 1e9,
      outlet: {
        writable: true,
        introduce: () => undefined,
        onDelivered: () => undefined,
        onSetAside: (fault) => this.setAside.push(fault.code),
        fail: (fault) => {
          throw fault
        },
        sendParts: (first, second) => {
          const body = Buffer.concat([first.subarray(FRAME_HEADER_BYTES), second])
          const channel = first.readUInt16LE(FRAME_CHANNEL_AT)
          sent.push({ ...parseDeliverPrefix(body), channel, content: body.subarray(DELIVER_PREFIX_BYTES) })
        },
      },
    })
    return { consumer, sent }
  }
}

const settlement = (of: Sent, changes: Partial<Settlement> = {}): Settlement => {
  return {
    from: of.position,
    count: of.count,
    outcome: Outcome.PROCESSED,
    reason: '',
    lane: of.lane,
    delayMs: 0,
    ...changes,
  }
}
const at = ({ lane, position, count, attempt }: Sent) => `${lane}:${position}+${count} #${attempt}`

t.test('each priority goes out on its channel, with its lane and position', async (t) => {
  const bench = await Bench.open(t)
  const q = await bench.queue('q')
  for (const priority of [2, 0, 1] as const) await bench.append(q, 2, { priority })
  const { consumer, sent } = bench.consumer(q)
  while (consumer.sendOne());
  t.same(sent.map(at), ['1:0+2 #1', '0:0+2 #1', '2:0+2 #1'])
  t.same(
    sent.map(({ channel, form }) => [channel, form]),
    [CHANNEL_URGENT, CHANNEL_MESSAGES, CHANNEL_BULK].map((channel) => [channel, FORM_BATCH]),
  )
  // The same positions in three lanes are three messages.
  await consumer.settle([settlement(sent[1] as Sent, { count: 1 })])
  t.equal(q.depth, 5)
  t.throws(() => consumer.settle([settlement(sent[1] as Sent, { count: 1 })]), { code: 'SETTLEMENT_INVALID' })
  t.throws(() => consumer.settle([settlement(sent[1] as Sent, { lane: 9 })]), { code: 'SETTLEMENT_INVALID' })
  consumer.close()
  t.same([q.depth, q.inFlight], [5, 0])
})

t.test('processed, rejected, again at once, again later: in one settlement', async (t) => {
  const bench = await Bench.open(t)
  const q = await bench.queue('q')
  await bench.append(q, 5)
  const { consumer, sent } = bench.consumer(q)
  consumer.sendOne()
  const [first] = sent as [Sent]
  await consumer.settle([
    settlement(first, { count: 2 }),
    settlement(first, { from: 2, count: 1, outcome: Outcome.REJECTED, reason: 'BAD' }),
    settlement(first, { from: 3, count: 1, outcome: Outcome.RETRY }),
    settlement(first, { from: 4, count: 1, outcome: Outcome.RETRY, delayMs: 60_000 }),
  ])
  t.same([q.depth, q.delayed, bench.store.queues.dead.depth], [1, 1, 1])
  consumer.sendOne()
  t.same(sent.map(at), ['0:0+5 #1', '0:3+1 #2'])
  t.throws(() => consumer.settle([settlement(sent[1] as Sent, { outcome: 9 as Outcome })]), {
    code: 'SETTLEMENT_INVALID',
  })
  t.equal(q.inFlight, 1, 'what cannot be understood changes nothing')
})

t.test('an ordered queue is shared by its lanes, and handed over when nothing is out', async (t) => {
  const bench = await Bench.open(t)
  const q = await bench.queue('q', { order: 'stream', partitions: 2 })
  const [one, two] = [bench.consumer(q, { messages: 3 }), bench.consumer(q)]
  bench.dispatcher.add(one.consumer)
  bench.dispatcher.add(two.consumer)
  for (let i = 0; i < 4; i++) for (const partition of [0, 1]) await bench.append(q, 1, { partition })
  await turn()
  const lanes = (sent: readonly Sent[]) => [...new Set(sent.map(({ lane }) => lane))].join()
  t.ok(lanes(one.sent) !== lanes(two.sent) && [one, two].every(({ sent }) => lanes(sent).length === 1))
  t.equal(one.sent.length, 3)
  const before = two.sent.length
  await one.consumer.settle(one.sent.map((delivery) => settlement(delivery)))
  await turn()
  t.equal(two.sent.length, before + 1, 'the other one goes on with it')
})

t.test("one of the hub's own messages comes as a batch of the hub", async (t) => {
  const bench = await Bench.open(t)
  const q = await bench.queue('q')
  await bench.append(q, 3, { receipts: 'final' })
  const { consumer, sent } = bench.consumer(q)
  consumer.sendOne()
  await consumer.settle([settlement(sent[0] as Sent)])
  const own = bench.consumer(bench.store.queues.get(receiptsOf('agent-a')) as Queue)
  own.consumer.sendOne()
  const [receipt] = own.sent as [Sent]
  t.equal(receipt.form, FORM_HUB_SEALED)
  const batch = openBatch(receipt.content)
  batch.verify(KEY.publicKey)
  t.match(batch.head, { origin: 'hub', count: 1 })
  const { envelope, body } = batch.messages()(0)
  t.equal(envelope.topic, 'receipt/main')
  t.match(JSON.parse(String(body)), { from: 1, to: 3, state: 'processed', queue: 'q', by: 'reader-1' })
})

t.test('what cannot be read is set aside with the reason; while nothing can be read, nothing is', async (t) => {
  const bench = await Bench.open(t)
  const q = await bench.queue('q')
  await bench.append(q, 1)
  await bench.append(q, 1)
  const { consumer, sent } = bench.consumer(q)
  Object.defineProperty(bench.store, 'readable', { value: false, configurable: true })
  t.equal(consumer.sendOne(), false)
  Reflect.deleteProperty(bench.store, 'readable')
  const { batches } = bench.store
  const get = batches.get.bind(batches)
  batches.get = (seq) => (seq === 1 ? Buffer.from('no batch') : get(seq))
  t.equal(consumer.sendOne(), true)
  t.equal(bench.setAside.length, 1)
  t.equal(consumer.sendOne(), true)
  t.same(sent.map(at), ['0:1+1 #1'], 'it does not stand in the way of what follows')
  batches.get = get
  await turn()
  await consumer.settle([settlement(sent[0] as Sent)])
  const lease = bench.store.take(bench.store.queues.dead, 5, bench)
  t.match(lease?.entry.note, new RegExp(`^${bench.setAside[0]}: `))
})

t.test('credit: messages to the last one, bytes within one frame; while it is paused nothing goes', async (t) => {
  const bench = await Bench.open(t)
  const q = await bench.queue('q')
  for (let i = 0; i < 3; i++) await bench.append(q, 4)
  const { consumer, sent } = bench.consumer(q, { messages: 6 })
  consumer.pauses++
  t.equal(consumer.sendOne(), false)
  consumer.pauses--
  while (consumer.sendOne());
  t.same(sent.map(at), ['0:0+4 #1', '0:4+2 #1'])
  consumer.grant(0, 7)
  while (consumer.sendOne());
  t.same(sent.slice(2).map(at), ['0:6+1 #1'])
  const few = bench.consumer(q, { bytes: 1 })
  while (few.consumer.sendOne());
  t.equal(few.sent.length, 1)
})
