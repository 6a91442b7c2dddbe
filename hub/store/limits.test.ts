// What a queue may hold, and what happens when it is full.

import t from 'tap'
import type { Lease } from './lane.ts'
import { DROPS_PER_STEP } from './limits.ts'
import { failureOf, Scene, upTo } from './scene.testing.ts'

t.test('block: what does not fit is refused for the moment, and comes in when there is room', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { messagesMax: 5 })
  await scene.append([q], { count: 3 })
  await t.rejects(scene.append([q], { count: 3 }), { code: 'QUEUE_FULL', details: { retry: true } })
  await scene.append([q], { count: 2 })
  t.equal(await failureOf(scene.append([q])), 'QUEUE_FULL')
  const lease = scene.take(q, 2) as Lease
  t.equal(await failureOf(scene.append([q])), 'QUEUE_FULL', 'what is out is in it still')
  await scene.settle(lease)
  await scene.append([q], { count: 2 })
  t.strictSame(await scene.drain(q), upTo(3, 7))
  const { streams, batches } = await scene.contents(t)
  t.strictSame([streams.get('s'), batches.size], [7, 0])
})

t.test('a stream goes on where it was after a refusal', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { messagesMax: 1 })
  await scene.append([q])
  const stream = scene.store.stream('agent', 's', 1)
  t.equal(await failureOf(scene.append([q])), 'QUEUE_FULL')
  t.strictSame([stream.plannedSeq, stream.durableSeq], [1, 1])
  t.strictSame([q.plannedMessages, q.plannedBytes], [0, 0])
})

t.test('what is on its way to the disk counts, and what waits for its time', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { messagesMax: 5 })
  const [first, second, third] = [2, 2, 2].map((count, i) => failureOf(scene.append([q], { count, stream: `${i}` })))
  t.strictSame(await Promise.all([first, second, third]), [null, null, 'QUEUE_FULL'])
  await scene.drain(q)
  await scene.append([q], { count: 4, headers: { ':delay': 1000 } })
  t.equal(await failureOf(scene.append([q], { count: 2 })), 'QUEUE_FULL')
  await scene.append([q])
  await scene.pass(1000)
  t.strictSame([q.depth, q.delayed, q.plannedMessages, q.plannedBytes], [5, 0, 0, 0])
})

t.test('bytes are limited as well; a batch larger than the queue comes into an empty one', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { bytesMax: 10_000 })
  await scene.append([q], { bodyBytes: 50_000 })
  t.equal(await failureOf(scene.append([q])), 'QUEUE_FULL')
  await scene.drain(q)
  t.equal(q.bytes, 0)
  await scene.append([q], { count: 4, bodyBytes: 2000 })
  t.equal(await failureOf(scene.append([q], { bodyBytes: 3000 })), 'QUEUE_FULL')
  const lease = scene.take(q, 2) as Lease
  await scene.settle(lease)
  await scene.append([q], { bodyBytes: 3000 })
})

t.test('parts of one batch for several lanes of a queue come in together, or none does', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { messagesMax: 5, order: 'stream', partitions: 4 })
  const parts = (count: number) => upTo(0, count - 1).map((i) => ({ queue: q, selection: [i, 1], partition: i % 4 }))
  await scene.append(parts(3), { count: 3 })
  t.equal(await failureOf(scene.append(parts(3), { count: 3 })), 'QUEUE_FULL')
  t.equal(q.depth, 3)
  await scene.append(parts(2), { count: 2 })
  t.equal(q.depth, 5)
})

t.test('a batch one of whose queues is full is stored in none of them', async (t) => {
  const scene = await Scene.open(t)
  const roomy = await scene.queue('roomy')
  const full = await scene.queue('full', { messagesMax: 1 })
  const sparing = await scene.queue('sparing', { messagesMax: 1, onFull: 'dead-letter' })
  await scene.append([full, sparing])
  t.equal(await failureOf(scene.append([roomy, sparing, full], { count: 2, receipts: 'final' })), 'QUEUE_FULL')
  t.strictSame([roomy.depth, full.depth, sparing.depth, scene.store.queues.dead.depth], [0, 1, 1, 0])
  t.equal(await scene.receipts().then(({ length }) => length), 0)
  const { batches } = await scene.contents(t)
  t.equal(batches.size, 1)
})

t.test('dead-letter: what does not fit goes aside, whole, and comes home by a redrive', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { messagesMax: 2, onFull: 'dead-letter', deadLetter: 'aside' })
  const aside = await scene.queue('aside', { messagesMax: 1 })
  await scene.append([q], { count: 2 })
  await scene.append([q], { count: 3, headers: { ':priority': 'urgent', ':ttl': 1000, ':delay': 500 } })
  t.strictSame([q.depth, q.delayed, aside.depth], [2, 0, 3])
  const lease = scene.take(aside) as Lease
  t.match(lease.entry, { note: 'QUEUE_FULL', home: { queueId: q.info.id, lane: 1 }, expiresAtMs: 0 })
  scene.store.giveBack([lease], 'x')
  await scene.drain(q)
  await scene.redrive('aside')
  const back = scene.take(q) as Lease
  t.strictSame([back.lane.number, ...scene.numbers(back)], [1, 3, 4, 5])
  await scene.contents(t)
})

t.test('drop-oldest: what was accepted first goes, whatever its priority, and no more than has to', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { messagesMax: 6, onFull: 'drop-oldest' })
  await scene.append([q], { count: 4, headers: { ':priority': 'bulk' } })
  await scene.pass(1)
  await scene.append([q], { count: 2, headers: { ':priority': 'urgent' } })
  await scene.pass(1)
  await scene.append([q], { count: 3 })
  const left = () =>
    scene
      .admin()
      .peek('q', { limit: 20, filter: {} })
      .map(({ id }) => id.seq)
      .toSorted((a, b) => a - b)
  t.strictSame(left(), upTo(4, 9))
  const out = scene.take(q, 1) as Lease
  t.strictSame(scene.numbers(out), [5])
  await scene.pass(1)
  await scene.append([q], { count: 4 })
  t.strictSame(left(), [5, ...upTo(9, 13)], 'not what is out at somebody')
  await scene.append([q], { count: 9 })
  t.strictSame(left(), [5, ...upTo(18, 22)], 'of a batch larger than the queue its end')
  t.equal(q.counters.dropped, 16)
  await scene.settle(out)
  await scene.drain(q)
  const { batches } = await scene.contents(t)
  t.equal(batches.size, 0)
})

t.test('drop-oldest by bytes takes single messages, and no more than needed', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { bytesMax: 12_000, onFull: 'drop-oldest' })
  await scene.append([q], { count: 10, bodyBytes: 1000 })
  await scene.pass(1)
  await scene.append([q], { count: 3, bodyBytes: 1000 })
  t.ok(q.bytes <= 12_000 && q.bytes > 10_500, `${q.bytes} bytes`)
  t.equal(q.depth, 11)
})

t.test('drop-oldest also makes room for what comes in otherwise: delayed, dead, put back by an operator', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { messagesMax: 2, onFull: 'drop-oldest' })
  const source = await scene.queue('source', { deadLetter: 'q' })
  await scene.append([q], { count: 2, headers: { ':delay': 1000 } })
  await scene.append([q], { count: 2 })
  await scene.pass(1000)
  await scene.written()
  t.equal(q.depth, 2)
  await scene.append([source], { count: 3 })
  await scene.reject(scene.take(source) as Lease, 'NO')
  await scene.written()
  t.equal(q.depth, 2)
  await scene.append([source], { count: 4 })
  await scene.redrive('source', { to: 'q' })
  await scene.written()
  t.equal(q.depth, 2)
  await scene.contents(t)
})

t.test('a limit lowered far below what lies there drops in steps', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { onFull: 'drop-oldest' })
  const count = 2 * DROPS_PER_STEP + 100
  await Promise.all(upTo(1, count).map(() => scene.append([q])))
  await scene.queue('q', { messagesMax: 3, onFull: 'drop-oldest' })
  await scene.append([q])
  for (let i = 0; i < 5; i++) await scene.written()
  t.equal(q.depth, 3)
  t.strictSame(await scene.drain(q), upTo(count - 1, count + 1))
})
