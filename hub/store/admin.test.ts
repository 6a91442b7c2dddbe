// What an operator sees and does.

import t from 'tap'
import type { Admin } from './admin.ts'
import type { Lease } from './lane.ts'
import { ADMIN_ENTRIES, WINDOW_ENTRIES } from './limits.ts'
import type { Queue } from './queue.ts'
import { failureOf, Scene, upTo } from './scene.testing.ts'

const idOf = (seq: number, stream = 's') => ({ origin: 'agent', stream, epoch: 1, seq })
const seqs = (views: ReturnType<Admin['peek']>): number[] => views.map(({ id }) => id.seq)

/** Messages 1 … 10 in `q`, of which 2, 3 and 7 lie in `$dead`. */
async function withDeadLetters(scene: Scene): Promise<Queue> {
  const q = await scene.queue('q')
  await scene.append([q], { count: 10 })
  const lease = scene.take(q) as Lease
  await scene.reject(lease, 'BAD: spelling', 1, 2)
  await scene.reject(lease, 'WORSE', 6, 1)
  for (const [from, count] of [
    [0, 1],
    [3, 3],
    [7, 3],
  ] as const)
    scene.store.giveBack([{ ...lease, from, count }], 'x')
  return q
}

t.test('peek shows what waits and what is out, and changes nothing', async (t) => {
  const scene = await Scene.open(t)
  const q = await withDeadLetters(scene)
  const admin = scene.admin()
  const out = scene.take(q, 1) as Lease
  const views = admin.peek('q', { limit: 4, filter: {} })
  t.strictSame(seqs(views), [1, 4, 5, 6])
  t.match(views[0], { id: idOf(1), position: 0, topic: 't', inFlight: true, reason: '', from: null, bodyBytes: 8 })
  t.match(views[1], { inFlight: false })
  const dead = admin.peek('$dead', { limit: 10, filter: {} })
  t.strictSame(
    dead.map(({ id, reason, from, attempts }) => [id.seq, reason, from, attempts]),
    [
      [2, 'BAD: spelling', 'q', 1],
      [3, 'BAD: spelling', 'q', 1],
      [7, 'WORSE', 'q', 1],
    ],
  )
  t.strictSame(seqs(admin.peek('$dead', { limit: 10, filter: { reason: 'BAD' } })), [2, 3])
  t.strictSame(seqs(admin.peek('$dead', { limit: 10, filter: { ids: [idOf(3), idOf(4)] } })), [3])
  t.strictSame(seqs(admin.peek('$dead', { limit: 10, filter: { from: 'elsewhere' } })), [])
  t.strictSame(seqs(admin.peek('q', { limit: 10, filter: { topic: 'u/#' } })), [])
  t.strictSame(seqs(admin.peek('q', { limit: 2, filter: { origin: 'agent', topic: '#' } })), [1, 4])
  t.strictSame(seqs(admin.peek('q', { limit: 2, filter: { olderThanMs: 1000 } })), [])
  t.throws(() => admin.peek('nowhere', { limit: 1, filter: {} }), { code: 'QUEUE_UNKNOWN' })
  t.equal(scene.numbers(out)[0], 1)
  await scene.contents(t)
})

t.test('purge takes what fits, not what is in flight, and tells how many', async (t) => {
  const scene = await Scene.open(t)
  const q = await withDeadLetters(scene)
  t.strictSame(await scene.purge('$dead', { ids: [idOf(3)] }), { messages: 1 })
  t.strictSame(seqs(scene.admin().peek('$dead', { limit: 10, filter: {} })), [2, 7])
  const out = scene.take(q, 1) as Lease
  t.strictSame(await scene.purge('q'), { messages: 6 })
  t.equal(q.depth, 1)
  await scene.settle(out)
  t.strictSame(await scene.purge('$dead'), { messages: 2 })
  const { batches } = await scene.contents(t)
  t.equal(batches.size, 0)
})

t.test('a long queue is purged in steps, without being read into memory; one that is cancelled stops', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  const entries = WINDOW_ENTRIES + 3 * ADMIN_ENTRIES
  await Promise.all(upTo(1, entries).map(() => scene.append([q])))
  const held = scene.take(q, 1) as Lease
  const last = scene.admin().purge('q', { ids: [idOf(entries)] }, { report: () => undefined, cancelled: false })
  t.strictSame(await last, { messages: 1 })
  const lane = held.lane
  t.ok((Reflect.get(lane, 'ready') as unknown[]).length <= WINDOW_ENTRIES)
  const reports: number[] = []
  const progress = {
    report: (n: number) => reports.push(n),
    get cancelled() {
      return reports.length >= 2
    },
  }
  const { messages } = await scene.admin().purge('q', {}, progress)
  t.ok(messages > 0 && messages < entries / 2, `${messages} purged, then cancelled`)
  t.equal(q.depth, entries - 1 - messages)
  t.strictSame(await scene.purge('q'), { messages: entries - 2 - messages })
  await scene.settle(held)
  t.equal(lane.leaving.size, 0)
  const { batches } = await scene.contents(t)
  t.equal(batches.size, 0)
})

t.test('redrive puts dead letters back where they came from, as if they were new', async (t) => {
  const scene = await Scene.open(t)
  const q = await withDeadLetters(scene)
  t.strictSame(await scene.redrive('$dead', { filter: { ids: [idOf(2)] } }), { moved: 1, left: 0, reasons: {} })
  t.strictSame(await scene.redrive('$dead', { filter: { reason: 'WORSE' } }), { moved: 1, left: 0, reasons: {} })
  t.strictSame(seqs(scene.admin().peek('$dead', { limit: 9, filter: {} })), [3])
  const leases = scene.takeAll(q)
  t.strictSame(
    leases.flatMap((lease) => scene.numbers(lease)),
    [1, 4, 5, 6, 8, 9, 10, 2, 7],
  )
  t.match(leases.at(-1), { attempt: 1, entry: { note: '', home: null } })
  await scene.check(t)
})

t.test('redrive to another queue, and of one whose home is gone', async (t) => {
  const scene = await Scene.open(t)
  const gone = await scene.queue('agent:gone', {}, 'agent')
  const other = await scene.queue('other')
  await scene.append([gone], { count: 3 })
  await scene.reject(scene.take(gone) as Lease, 'NO')
  await scene.admin().forget('agent:gone')
  t.strictSame(await scene.redrive('$dead'), { moved: 0, left: 3, reasons: { QUEUE_GONE: 3 } })
  t.equal(scene.store.queues.dead.depth, 3)
  t.equal(await failureOf(scene.redrive('$dead', { to: 'nowhere' })), 'QUEUE_UNKNOWN')
  t.strictSame(await scene.redrive('$dead', { to: 'other' }), { moved: 3, left: 0, reasons: {} })
  t.strictSame(await scene.drain(other), [1, 2, 3])
  const { batches } = await scene.contents(t)
  t.equal(batches.size, 0)
})

t.test('unrouted messages go where the rules of now want them: each its own way, the rest stays', async (t) => {
  const scene = await Scene.open(t)
  const even = await scene.queue('even')
  const low = await scene.queue('low', { order: 'stream', partitions: 4 })
  await scene.append([scene.store.unrouted], { count: 6 })
  const admin = scene.admin(() => [
    { queue: even, selection: [1, 1, 3, 1] },
    { queue: low, selection: [0, 2], partition: 2 },
    { queue: scene.store.unrouted, selection: [2, 1, 4, 2] },
  ])
  t.strictSame(await scene.redrive('$unrouted', {}, admin), { moved: 3, left: 3, reasons: { NO_ROUTE: 3 } })
  t.strictSame(seqs(admin.peek('$unrouted', { limit: 9, filter: {} })), [3, 5, 6])
  const leases = scene.takeAll(low)
  t.strictSame(
    leases.map((lease) => [lease.lane.number, scene.numbers(lease)]),
    [
      [6, [1]],
      [6, [2]],
    ],
  )
  t.strictSame(await scene.drain(even), [2, 4])
  await Promise.all(leases.map((lease) => scene.settle(lease)))
  t.strictSame(await scene.purge('$unrouted'), { messages: 3 })
  const { batches } = await scene.contents(t)
  t.equal(batches.size, 0)
})

t.test('a queue redriven into itself ends', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  await Promise.all(upTo(1, 600).map(() => scene.append([q])))
  t.match(await scene.redrive('q', { to: 'q' }), { moved: 600 })
  t.equal(q.depth, 600)
  t.strictSame((await scene.drain(q)).length, 600)
})

t.test(
  'forget removes what an agent owns, with its delayed messages and timers; its messages are told dropped',
  async (t) => {
    const scene = await Scene.open(t)
    const kept = await scene.queue('kept')
    const gone = await scene.queue('agent:gone', { ageMsMax: 50_000 }, 'agent')
    t.equal(await failureOf(scene.admin().forget('kept')), 'QUEUE_NOT_OWNED')
    t.equal(await failureOf(scene.admin().forget('$dead')), 'QUEUE_NOT_OWNED')
    await scene.append([gone, kept], { count: 4, receipts: 'final' })
    await scene.append([gone], { count: 2, receipts: 'final', headers: { ':delay': 1000 } })
    await scene.settle(scene.take(gone, 1) as Lease)
    await scene.admin().forget('agent:gone')
    t.match(await scene.receipts(), [
      { from: 5, to: 6, state: 'dropped', reason: 'QUEUE_FORGOTTEN', queue: 'agent:gone' },
    ])
    await scene.drain(kept)
    t.match(await scene.receipts(), [
      { from: 1, to: 1, state: 'processed' },
      { from: 2, to: 4, state: 'dropped' },
    ])
    await scene.pass(60_000)
    const { batches, delayed } = await scene.contents(t)
    t.strictSame([batches.size, delayed.size], [0, 0])
  },
)

t.test('a delayed message that falls due while its queue is being forgotten is released once', async (t) => {
  const scene = await Scene.open(t)
  const kept = await scene.queue('kept')
  const gone = await scene.queue('agent:gone', {}, 'agent')
  await scene.append([gone, kept], { count: 2, headers: { ':delay': 1000 } })
  scene.clock.pass(1000)
  await scene.admin().forget('agent:gone')
  await scene.pass(0)
  t.strictSame(await scene.drain(kept), [1, 2])
  const { batches } = await scene.contents(t)
  t.equal(batches.size, 0)
})

t.test('the story of one message: accepted, tried again, given up, put back, processed', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { maxDeliver: 2 })
  const other = await scene.queue('other')
  await scene.append([q, { queue: other, selection: [0, 2] }], { count: 3 })
  const trace = (seq: number) => scene.admin().trace({ origin: 'agent', stream: 's', seq })
  t.match(trace(2), { id: idOf(2), batch: { count: 3, stored: true }, events: [{ what: 'accepted', by: 'agent' }] })
  t.strictSame(
    trace(2)?.copies.map(({ queue, position, state }) => [queue, position, state]),
    [
      ['q', 1, 'waiting'],
      ['other', 1, 'waiting'],
    ],
  )
  t.equal(trace(3)?.copies.length, 1)
  const lease = scene.take(q) as Lease
  t.equal(trace(2)?.copies[0]?.state, 'in flight')
  await scene.settle(lease, 0, 1)
  await scene.retry(lease, 1000, 1, 2)
  t.strictSame(
    trace(2)?.copies.map(({ state }) => state),
    ['settled', 'waiting', 'delayed'],
  )
  await scene.pass(1000)
  t.match(trace(2)?.copies.at(-1), { queue: 'q', position: 3, state: 'waiting', attempts: 1 })
  const again = scene.take(q) as Lease
  await scene.settle(again, 4, 1)
  await scene.retry(again, 0, 3, 1)
  await scene.redrive('$dead')
  await scene.drain(q)
  await scene.purge('other', { ids: [idOf(2)] })
  await scene.restart()
  t.strictSame(
    trace(2)?.events.map(({ what }) => what),
    ['accepted', 'retried', 'due', 'dead-lettered', 'redriven', 'processed', 'purged'],
  )
  t.strictSame(
    trace(1)?.events.map(({ what }) => what),
    ['accepted', 'processed'],
  )
  t.strictSame(
    trace(3)?.events.map(({ what }) => what),
    ['accepted', 'retried', 'due', 'processed'],
  )
  t.ok(trace(2)?.copies.every(({ state }) => state === 'settled'))
  t.equal(trace(4), null)
  await scene.pass(8 * 86_400_000)
  await scene.pass(1000)
  t.ok(trace(1) !== null, 'the batch is still there')
  await scene.drain(scene.named('other'))
  await scene.pass(8 * 86_400_000)
  await scene.pass(1000)
  t.equal(trace(2), null, 'nothing is kept for ever')
})

t.test('traces are swept, however many batches are still live before them', async (t) => {
  const scene = await Scene.open(t, { traceKeepMs: 10_000 })
  const q = await scene.queue('q')
  const old = await scene.queue('old')
  await Promise.all(upTo(1, 600).map(() => scene.append([old])))
  for (let i = 0; i < 20; i++) await scene.pass(1000)
  await Promise.all(upTo(1, 50).map(() => scene.append([q], { stream: 'x' })))
  await scene.drain(q)
  for (let i = 0; i < 15; i++) await scene.pass(1000)
  const trace = (seq: number, stream: string) => scene.admin().trace({ origin: 'agent', stream, seq })
  t.strictSame(
    [1, 50].map((seq) => trace(seq, 'x')),
    [null, null],
  )
  t.ok(trace(1, 's') !== null)
  await scene.drain(old)
  for (let i = 0; i < 15; i++) await scene.pass(1000)
  t.strictSame(
    [1, 300, 600].map((seq) => trace(seq, 's')),
    [null, null, null],
  )
})

t.test('messages on their way into a queue that is forgotten stay where they are', async (t) => {
  const scene = await Scene.open(t)
  const [q, sub] = [await scene.queue('q'), await scene.queue('agent:sub', {}, 'agent')]
  const batches = 3 * ADMIN_ENTRIES
  await Promise.all(Array.from({ length: batches }, () => scene.append([q])))
  let forgotten: Promise<void> | null = null
  const progress = {
    cancelled: false,
    report: () => {
      forgotten ??= scene.store.queues.forget(sub)
    },
  }
  const { moved, left, reasons } = await scene.admin().redrive('q', { filter: {}, to: 'agent:sub' }, progress)
  await forgotten
  t.strictSame([moved + left, reasons], [batches, { QUEUE_GONE: left }])
  t.equal(left, q.depth)
  t.ok(moved > 0 && left > 0)
  const { batches: kept } = await scene.contents(t)
  t.equal(kept.size, left)
})
