// A publisher against a hub played by the test.

import t from 'tap'
import type { Fault } from '#protocol/base/mod.ts'
import { type Batch, FLAG_RECEIPT_DELIVERED, FLAG_RECEIPT_FINAL } from '#protocol/codec/mod.ts'
import { KEY } from '#protocol/codec/testing.ts'
import { decodeOpenStream } from '#protocol/schema/mod.ts'
import { clientFault } from './faults.ts'
import { Publisher, type PublisherOptions } from './publisher.ts'
import { ProducingCredit, refusedPauseMs } from './sender.ts'
import { TestConnection } from './testing.ts'

const CREDIT_BYTES = 1e7

function publisherOf(options: Partial<PublisherOptions> = {}, onLost: (fault: Fault) => void = () => undefined) {
  return new Publisher({ stream: 's', ...options, origin: 'me', key: KEY, onRestart: () => undefined, onLost })
}

async function attached(publisher: Publisher, lastSeq = 0, connection = new TestConnection()) {
  const attaching = publisher.sender.attach(connection.hub, new ProducingCredit(CREDIT_BYTES))
  connection.opened(1, lastSeq)
  await attaching
  return connection
}

const message = (body: string, topic = 'a') => ({ topic, body: Buffer.from(body) })
const bodiesOf = (batch: Batch): string[] => {
  const at = batch.messages()
  return Array.from({ length: batch.count }, (_, i) => at(i).body.toString())
}
const accept = (publisher: Publisher, lastSeq: number) =>
  publisher.sender.accepted({ streamId: 1, lastSeq, creditBytes: 0, unrouted: 0 })
const refuse = (publisher: Publisher, lastSeq: number, retry = true) =>
  publisher.sender.refused({
    streamId: 1,
    firstSeq: lastSeq + 1,
    lastSeq,
    fault: { code: 'QUEUE_FULL', message: 'full', remedy: 'wait', retry },
  })

t.test('messages published together are one batch, with the numbers the publisher said', async (t) => {
  const publisher = publisherOf()
  const connection = await attached(publisher)
  const alone = publisher.publish(message('0'))
  t.equal(publisher.nextSeq, 2)
  const group = publisher.publishAll([message('1', 'b'), message('2', 'c'), message('3', 'b')])
  const after = publisher.publish(message('4'))
  t.equal(publisher.nextSeq, 6)
  await new Promise((resolve) => setImmediate(resolve))
  t.same(connection.batches.map(bodiesOf), [['0'], ['1', '2', '3'], ['4']])
  accept(publisher, 5)
  const { epoch } = publisher
  t.same(await alone, { epoch, firstSeq: 1, lastSeq: 1 })
  t.same(await group, { epoch, firstSeq: 2, lastSeq: 4 })
  t.same(await after, { epoch, firstSeq: 5, lastSeq: 5 })
})

t.test('messages that refer to contents say so to the hub', async (t) => {
  const publisher = publisherOf()
  const connection = await attached(publisher)
  const [first, second] = ['1'.repeat(32), '2'.repeat(32)] as const
  void publisher.publish({ ...message('0'), contents: [first], headers: { a: 1 } })
  void publisher.publish({ ...message('1'), contents: [second, first] })
  void publisher.publish(message('2'))
  t.throws(() => publisher.publish({ ...message('3'), contents: ['plan.dwg'] }), { code: 'ATTRIBUTE_INVALID' })
  await new Promise((resolve) => setImmediate(resolve))
  const [batch] = connection.batches as [Batch]
  const at = batch.messages()
  t.strictSame(
    Array.from({ length: batch.count }, (_, i) => at(i).envelope.headers),
    [{ a: 1, ':content': first }, { ':content': `${second} ${first}` }, {}],
  )
})

t.test('a group is never cut, however small the batches are otherwise', async (t) => {
  const publisher = publisherOf({ batchBytes: 100 })
  const connection = await attached(publisher)
  void publisher.publishAll(Array.from({ length: 500 }, (_, i) => message(String(i))))
  t.same(
    connection.batches.map(({ count }) => count),
    [500],
  )
})

t.test('one of a group that cannot be published leaves nothing behind', async (t) => {
  const publisher = publisherOf()
  const connection = await attached(publisher)
  const kept = publisher.publish(message('kept'))
  const wrong = [
    { topic: 'a//b', body: Buffer.alloc(0) },
    { ...message('x'), ttlMs: -1 },
    { ...message('x'), headers: { '': 1 } },
    { topic: 'a', body: Buffer.alloc(2 ** 20 + 1) },
  ]
  for (const one of wrong) t.throws(() => publisher.publishAll([message('1'), one, message('2')]))
  const half = { topic: 'a', body: Buffer.alloc(2 ** 20) }
  t.throws(() => publisher.publishAll([half, half]), { code: 'GROUP_TOO_LARGE', cause: { code: 'BATCH_TOO_LARGE' } })
  t.equal(publisher.nextSeq, 2)
  void publisher.publish(message('next'))
  await new Promise((resolve) => setImmediate(resolve))
  t.same(connection.batches.map(bodiesOf), [['kept'], ['next']])
  accept(publisher, 2)
  t.match(await kept, { firstSeq: 1 })
  t.match(await publisher.publishAll([]), { firstSeq: 3, lastSeq: 2 })
})

t.test('receipts are asked for in the signed head', async (t) => {
  for (const [receipts, flags] of [
    ['none', 0],
    ['final', FLAG_RECEIPT_FINAL],
    ['all', FLAG_RECEIPT_FINAL | FLAG_RECEIPT_DELIVERED],
  ] as const) {
    const publisher = publisherOf({ receipts })
    const connection = await attached(publisher)
    void publisher.publishAll([message('1')])
    const asked = FLAG_RECEIPT_FINAL | FLAG_RECEIPT_DELIVERED
    t.equal((connection.batches[0]?.head.flags ?? 0) & asked, flags, receipts)
  }
})

t.test('wishes travel as headers, encoded once for messages that agree', async (t) => {
  const publisher = publisherOf()
  const connection = await attached(publisher)
  void publisher.publish({ ...message('1'), priority: 'urgent' })
  void publisher.publish({ ...message('2'), priority: 'urgent' })
  void publisher.publish(message('3'))
  t.throws(() => publisher.publish({ ...message('4'), delayMs: -5 }), { code: 'ATTRIBUTE_INVALID' })
  await new Promise((resolve) => setImmediate(resolve))
  t.same(connection.batches[0]?.index().envelopes, [
    { topic: 'a', headers: { ':priority': 'urgent' } },
    { topic: 'a', headers: {} },
  ])
})

t.test('refused for the moment: kept, said, offered again after a pause; other streams go on', async (t) => {
  const connection = new TestConnection()
  const [full, free] = [publisherOf(), publisherOf({ stream: 'free' })]
  await attached(full, 0, connection)
  await attached(free, 0, connection)
  const waits = full.publishAll([message('1')])
  refuse(full, 0)
  t.match(full.refused, { code: 'PUBLISH_REFUSED', details: { hubCode: 'QUEUE_FULL' } })
  void full.publishAll([message('2')])
  void free.publishAll([message('free')])
  t.same(connection.batches.map(bodiesOf), [['1'], ['free']], 'only the refused stream waits')
  const again = new Promise<void>((resolve) => {
    const send = connection.sendParts.bind(connection)
    connection.sendParts = (start, bytes) => {
      send(start, bytes)
      if (connection.batches.length === 4) resolve()
    }
  })
  await again
  t.same(connection.batches.slice(2).map(bodiesOf), [['1'], ['2']])
  accept(full, 2)
  await waits
  t.equal(full.refused, null)
})

t.test('pauses grow, are spread, and end at some seconds', async (t) => {
  const pause = (refusals: number, random: number, retry = true) =>
    refusedPauseMs({ refusals, retry, random: () => random })
  t.same([pause(0, 0), pause(0, 0.999)], [50, 100])
  t.same([pause(3, 0), pause(3, 0.999)], [400, 800])
  t.same([pause(1000, 0), pause(1000, 0.9999)], [2500, 5000])
  t.same([pause(0, 0, false), pause(9, 0, false)], [1000, 2500])
})

t.test('refused for good: told, and a new epoch begins', async (t) => {
  const publisher = publisherOf()
  await attached(publisher)
  const { epoch } = publisher
  const group = publisher.publishAll([message('1'), message('2')])
  refuse(publisher, 0, false)
  await t.rejects(group, { code: 'PUBLISH_REFUSED' })
  t.not(publisher.epoch, epoch)
  t.equal(publisher.nextSeq, 1)
})

t.test(
  'what was before a refused batch is still acknowledged; what came behind it goes on when that is known',
  async (t) => {
    const restarts: Publisher[] = []
    const onRestart = (one: Publisher) => void restarts.push(one)
    const publisher = new Publisher({ stream: 's', origin: 'me', key: KEY, onRestart, onLost: () => undefined })
    const connection = await attached(publisher)
    const { epoch } = publisher
    const before = publisher.publishAll([message('1'), message('2')])
    const wrong = publisher.publishAll([message('3')])
    const behind = publisher.publishAll([message('4')])
    publisher.sender.refused({ streamId: 1, firstSeq: 3, lastSeq: 0, fault: null })
    await t.rejects(wrong, { code: 'PUBLISH_REFUSED' })
    await t.rejects(behind, { code: 'PUBLISH_REFUSED' })
    const next = publisher.publishAll([message('5')])
    t.equal(connection.batches.length, 3, 'the new epoch waits for the answer about the old one')
    t.same(restarts, [])
    accept(publisher, 2)
    t.same(await before, { epoch, firstSeq: 1, lastSeq: 2 })
    t.same(restarts, [publisher])
    await attached(publisher, 0, connection)
    t.match(connection.batches.at(-1)?.head, { firstSeq: 1, epoch: publisher.epoch })
    accept(publisher, 1)
    t.same(await next, { epoch: publisher.epoch, firstSeq: 1, lastSeq: 1 })
    await t.rejects(publisher.flush(), { code: 'PUBLISH_REFUSED' })
  },
)

t.test('what was before a refused batch and got lost with the connection is sent again', async (t) => {
  const publisher = publisherOf()
  await attached(publisher)
  const { epoch } = publisher
  const before = publisher.publishAll([message('1')])
  const wrong = publisher.publishAll([message('2')])
  publisher.sender.refused({ streamId: 1, firstSeq: 2, lastSeq: 0, fault: null })
  await t.rejects(wrong)
  publisher.sender.detach()
  const next = await attached(publisher)
  t.equal(decodeOpenStream(next.asked[0]?.body as Buffer).epoch, epoch)
  t.same(next.batches.map(bodiesOf), [['1']])
  accept(publisher, 1)
  t.same(await before, { epoch, firstSeq: 1, lastSeq: 1 })
})

t.test('a hub that lost what it had acknowledged gets the rest of the same epoch, and the loss is told', async (t) => {
  const lost: Fault[] = []
  const publisher = publisherOf({}, (fault) => lost.push(fault))
  await attached(publisher)
  void publisher.publishAll([message('a'), message('lost')])
  accept(publisher, 2)
  const { epoch } = publisher
  publisher.sender.detach()
  const kept = publisher.publishAll([message('kept')])
  const restored = new TestConnection()
  const attaching = publisher.sender.attach(restored.hub, new ProducingCredit(CREDIT_BYTES))
  restored.opened(1, 1)
  while (restored.asked.length < 2) await Promise.resolve()
  t.match(lost, [{ code: 'ACKNOWLEDGED_LOST', details: { from: 2, to: 2, epoch } }])
  const [first, second] = restored.asked.map(({ body }) => decodeOpenStream(body))
  const known = { epoch, knownSeq: 2, knownStore: TestConnection.STORE_ID }
  t.match([first, second], [known, known])
  t.same([first?.skip, second?.skip], [false, true], 'the loss is told before the hub goes on')
  restored.opened(1, 2)
  await attaching
  t.same(restored.batches.map(bodiesOf), [['kept']])
  accept(publisher, 3)
  t.same(await kept, { epoch, firstSeq: 3, lastSeq: 3 })
})

t.test(
  'a hub of an earlier version, which does not go on behind what it lost, gets the rest under a new epoch',
  async (t) => {
    const publisher = publisherOf({ receipts: 'final', compression: 'zstd' })
    const first = await attached(publisher)
    void publisher.publishAll([{ ...message('lost'), key: Buffer.from('k') }])
    accept(publisher, 1)
    const { epoch } = publisher
    publisher.sender.detach()
    const kept = publisher.publishAll([{ ...message('kept'), key: Buffer.from('k') }, message('too', 'b')])
    const restored = new TestConnection()
    const attaching = publisher.sender.attach(restored.hub, new ProducingCredit(CREDIT_BYTES))
    for (let asked = 1; asked <= 2; asked++) {
      restored.opened(1, 0)
      while (restored.asked.length <= asked) await Promise.resolve()
    }
    const opened = decodeOpenStream(restored.asked[2]?.body as Buffer)
    t.match(opened, { knownSeq: 0, skip: false })
    t.equal(opened.epoch, publisher.epoch)
    t.not(opened.epoch, epoch)
    restored.opened(2, 0)
    await attaching
    t.same(restored.batches.map(bodiesOf), [['kept', 'too']])
    t.match(restored.batches[0]?.head, { firstSeq: 1, epoch: publisher.epoch, flags: FLAG_RECEIPT_FINAL })
    t.equal(restored.batches[0]?.messages()(0).key.toString(), 'k')
    accept(publisher, 2)
    t.same(await kept, { epoch: publisher.epoch, firstSeq: 1, lastSeq: 2 })
    t.same(first.batches.map(bodiesOf), [['lost']])
  },
)

t.test('an answer about an older attachment releases nothing', async (t) => {
  const publisher = publisherOf()
  const old = new TestConnection()
  const attaching = publisher.sender.attach(old.hub, new ProducingCredit(CREDIT_BYTES))
  let stored = false
  void publisher.publishAll([message('1')]).then(() => {
    stored = true
  })
  const next = await attached(publisher)
  old.opened(1, 1)
  await attaching
  t.equal(stored, false)
  t.equal(next.batches.length, 1)
})

t.test('closing rejects what is open, also what was not sealed yet', async (t) => {
  const publisher = publisherOf()
  const [sealed, open] = [publisher.publishAll([message('1')]), publisher.publish(message('2'))]
  publisher.close(clientFault('CLIENT_CLOSED'))
  await t.rejects(sealed, { code: 'CLIENT_CLOSED' })
  await t.rejects(open, { code: 'CLIENT_CLOSED' })
  t.throws(() => publisher.publishAll([message('3')]), { code: 'CLIENT_CLOSED' })
})
