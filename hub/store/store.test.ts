// The store as sessions use it, and what is left of it after a restart.

import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { open } from 'lmdb'
import t, { type Test } from 'tap'
import type { Batch } from '#protocol/codec/mod.ts'
import { Engine } from './engine.ts'
import type { Lane, Lease } from './lane.ts'
import { SUBSCRIPTIONS_PER_AGENT_MAX } from './limits.ts'
import { QUEUE_DEAD, QUEUE_UNROUTED } from './policy.ts'
import type { Queue } from './queue.ts'
import { numbersIn } from './scene.testing.ts'
import type { HubStore } from './store.ts'
import type { Stream } from './streams.ts'
import { contentsOf, openStore, placement, sealed } from './testing.ts'

const rule = (...topics: string[]) => ({ topics, where: {} })
const queueNamed = (store: HubStore, name: string, owner: string | null = null, ephemeral = false) =>
  store.queues.declare({ name, rule: rule('t'), owner, ephemeral })

/** Appends a batch of `count` messages to the stream's end, all of it to each of the queues. */
function append(store: HubStore, queues: readonly Queue[], count: number, stream = store.stream('agent', 's', 1)) {
  const batch = sealed({ firstSeq: stream.plannedSeq + 1, count, stream: stream.name, epoch: stream.epoch })
  return store.append(
    stream,
    batch,
    queues.map((queue) => placement(queue, batch)),
  )
}

const take = (store: HubStore, queue: Queue, max: number) => store.take(queue, max, store)

const append1 = (store: HubStore, stream: Stream, queue: Queue, batch: Batch) =>
  store.append(stream, batch, [placement(queue, batch)])

function takeAll(store: HubStore, queue: Queue, max = 1000): { leases: Lease[]; numbers: number[] } {
  const leases: Lease[] = []
  for (let lease = take(store, queue, max); lease !== null; lease = take(store, queue, max)) leases.push(lease)
  return { leases, numbers: leases.flatMap((lease) => numbersIn(store, lease)) }
}

const TOLD = { reason: '', by: 'reader' }
const settle = (store: HubStore, lease: Lease, from = lease.from, count = lease.count) =>
  store.settle(lease, [from, from + count], 'processed', TOLD)

async function consistent(t: Test, dataDir: string) {
  const contents = await contentsOf(dataDir)
  t.strictSame(contents.problems, [])
  return contents
}

t.test('a stream grows without gap, overlap or repetition', async (t) => {
  const store = await openStore(t.testdir())
  t.teardown(() => store.close())
  const q = await queueNamed(store, 'q')
  const stream = store.stream('agent', 's', 1)
  const put = (firstSeq: number, count: number) => append1(store, stream, q, sealed({ firstSeq, count }))
  await put(1, 3)
  const both = [put(4, 2), put(6, 1)]
  t.equal(stream.durableSeq, 3)
  const repeated = put(4, 2).then(() => t.equal(stream.durableSeq, 6, 'a duplicate is told when the first is on disk'))
  await Promise.all([...both, repeated])
  await put(1, 3)
  t.equal(store.duplicateMessages, 5)
  await t.rejects(put(8, 1), { code: 'STREAM_GAP', details: { retry: true } })
  await t.rejects(put(6, 2), { code: 'STREAM_OVERLAP' })
  t.strictSame(takeAll(store, q).numbers, [1, 2, 3, 4, 5, 6])
  const other = store.stream('agent', 's', 2)
  t.equal(other.durableSeq, 0, 'another epoch begins at 0')
})

t.test('what is on disk before its promise is kept is not given out yet, and then once', async (t) => {
  const store = await openStore(t.testdir())
  t.teardown(() => store.close())
  const q = await queueNamed(store, 'q')
  await append(store, [q], 2)
  t.equal(takeAll(store, q).numbers.length, 2)
  const stored = append(store, [q], 3)
  // Two turns hand the transaction over to its thread, which commits while this one stands still.
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve))
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 150)
  t.equal(take(store, q, 10), null)
  await stored
  t.strictSame(takeAll(store, q).numbers, [3, 4, 5])
})

t.test('a batch for several queues is stored once and freed by the last', async (t) => {
  const dataDir = t.testdir()
  const store = await openStore(dataDir)
  const a = await queueNamed(store, 'a')
  const b = await queueNamed(store, 'b')
  const c = await queueNamed(store, 'c')
  const stream = store.stream('agent', 's', 1)
  const batch = sealed({ firstSeq: 1, count: 10 })
  await store.append(stream, batch, [
    placement(a, batch),
    placement(b, batch, { selection: [0, 2, 5, 3] }),
    placement(c, batch, { selection: [9, 1] }),
  ])
  const [fromA, fromB, fromC] = [a, b, c].map((queue) => takeAll(store, queue))
  t.strictSame(fromB?.numbers, [1, 2, 6, 7, 8])
  t.strictSame(fromC?.numbers, [10])
  const [leaseA, leaseB, leaseC] = [fromA, fromB, fromC].map((taken) => taken?.leases[0] as Lease) as [
    Lease,
    Lease,
    Lease,
  ]
  await settle(store, leaseA)
  await settle(store, leaseC)
  t.ok(store.batchBytes(leaseB.entry.batchSeq))
  await settle(store, leaseB, 0, 4)
  t.ok(store.batchBytes(leaseB.entry.batchSeq), 'one message still needs it')
  await settle(store, leaseB, 4, 1)
  t.throws(() => store.batchBytes(leaseB.entry.batchSeq), { code: 'STORE_DAMAGED' })
  await store.close()
  const { batches, queues } = await consistent(t, dataDir)
  t.equal(batches.size, 0)
  const lanes = [...queues.values()].flatMap(({ lanes }) => [...lanes.values()])
  t.strictSame(lanes.map(({ settled, entries }) => [settled.floor, entries.length]).sort(), [
    [0, 0],
    [0, 0],
    [1, 0],
    [10, 0],
    [5, 0],
  ])
})

t.test('what is rejected is kept aside with the reason', async (t) => {
  const dataDir = t.testdir()
  const store = await openStore(dataDir)
  const q = await queueNamed(store, 'q')
  await append(store, [q], 10)
  const lease = take(store, q, 10) as Lease
  await Promise.all([
    store.settle(lease, [0, 2], 'processed', TOLD),
    store.settle(lease, [2, 4], 'rejected', { reason: 'no such place', by: 'reader' }),
    store.settle(lease, [4, 9], 'processed', TOLD),
    store.settle(lease, [9, 10], 'rejected', { reason: 'x'.repeat(2000), by: 'reader' }),
  ])
  t.equal(q.depth, 0)
  t.equal(store.queues.dead.depth, 3)
  const aside = takeAll(store, store.queues.dead)
  t.strictSame(aside.numbers, [3, 4, 10])
  t.match(aside.leases[0]?.entry, { note: 'no such place', home: { queueId: q.info.id, lane: 0 } })
  t.equal(aside.leases[1]?.entry.note.length, 512)
  await store.close()
  await consistent(t, dataDir)

  const again = await openStore(dataDir)
  t.strictSame(takeAll(again, again.queues.dead).numbers, [3, 4, 10])
  const q2 = again.queues.get('q') as Queue
  t.equal(q2.depth, 0)
  await again.close()
})

t.test('what no queue wanted lies in the queue of unrouted messages', async (t) => {
  const store = await openStore(t.testdir())
  t.teardown(() => store.close())
  await append(store, [store.unrouted], 2)
  const lease = take(store, store.unrouted, 5) as Lease
  t.equal(lease.entry.note, 'NO_ROUTE')
  t.strictSame(numbersIn(store, lease), [1, 2])
  t.strictSame([store.unrouted.info.name, store.queues.dead.info.name], [QUEUE_UNROUTED, QUEUE_DEAD])
})

t.test('a restart resumes exactly', async (t) => {
  const dataDir = t.testdir()
  const first = await openStore(dataDir)
  const storeId = first.storeId.toString('hex')
  const q = await queueNamed(first, 'q')
  const once = await queueNamed(first, 'once')
  await append(first, [once], 7)
  for (let i = 0; i < 5; i++) await append(first, [q], 10)
  await append(first, [q], 4, first.stream('agent', 'other', 9))
  first.rememberOrigin('agent', 'key', Buffer.from('certificate'))
  const leases = takeAll(first, q).leases as [Lease, Lease, Lease, Lease, Lease, Lease]
  await Promise.all([settle(first, leases[0]), settle(first, leases[1], 12, 3), settle(first, leases[3])])
  await first.close()
  await consistent(t, dataDir)

  const store = await openStore(dataDir)
  const again = store.queues.get('q') as Queue
  const lane = again.lanes.get(0) as Lane
  t.equal(store.storeId.toString('hex'), storeId)
  t.strictSame(
    [lane.settled.floor, lane.settled.above, lane.tail, again.depth],
    [
      10,
      [
        [12, 15],
        [30, 40],
      ],
      54,
      31,
    ],
  )
  t.equal(again.inFlight, 0)
  // The very first batch of a queue, at position 0, is the border case of finding its end.
  t.equal(store.queues.get('once')?.depth, 7)
  t.strictSame(takeAll(store, store.queues.get('once') as Queue).numbers, [1, 2, 3, 4, 5, 6, 7])
  const upTo = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)
  // `once` had 1 … 7: position p of `q` is number p + 8, up to the other stream's four.
  const taken = takeAll(store, again)
  t.strictSame(taken.numbers, [...upTo(18, 20), ...upTo(23, 38), ...upTo(48, 58), ...upTo(1, 5)])
  t.equal(store.stream('agent', 's', 1).durableSeq, 57)
  t.equal(store.stream('agent', 'other', 9).durableSeq, 4)
  t.equal(store.stream('agent', 's', 2).durableSeq, 0)
  t.same(store.originCertificate('agent', 'key'), Buffer.from('certificate'))
  await append(store, [again], 1)
  t.equal(take(store, again, 1)?.from, 54, 'positions go on')
  for (const lease of taken.leases) await settle(store, lease)
  await store.close()
  const { queues } = await consistent(t, dataDir)
  t.equal(queues.get('q')?.lanes.get(0)?.settled.floor, 54)
})

t.test('queues are declared once, whoever asks at the same time', async (t) => {
  const dataDir = t.testdir()
  const store = await openStore(dataDir)
  let changes = 0
  store.queues.onChanged = () => changes++
  const [one, two, three] = await Promise.all([1, 2, 3].map(() => queueNamed(store, 'agent:news', 'agent')))
  t.equal(one, two)
  t.equal(one, three)
  t.equal(changes, 1)
  await t.rejects(queueNamed(store, 'agent:news', 'somebody'), { code: 'QUEUE_CONFLICT' })
  await t.rejects(queueNamed(store, 'agent:news', 'agent', true), { code: 'QUEUE_CONFLICT' })
  const changed = await store.queues.declare({ name: 'agent:news', rule: rule('u'), owner: 'agent', ephemeral: false })
  t.equal(changed, one)
  t.strictSame(changed.info.rule.topics, ['u'])
  await t.rejects(queueNamed(store, 'x'.repeat(301)), { code: 'QUEUE_NAME_INVALID' })
  const many = Array.from({ length: SUBSCRIPTIONS_PER_AGENT_MAX - 1 }, (_, i) =>
    queueNamed(store, `agent:${i}`, 'agent'),
  )
  await Promise.all(many)
  await t.rejects(queueNamed(store, 'agent:more', 'agent'), { code: 'QUEUE_LIMIT' })
  await store.close()
  const again = await openStore(dataDir)
  t.strictSame(again.queues.get('agent:news')?.info.rule.topics, ['u'])
  await again.close()
})

t.test('a forgotten queue gives up what is in it, and nothing of others', async (t) => {
  const dataDir = t.testdir()
  const store = await openStore(dataDir)
  const kept = await queueNamed(store, 'kept')
  const gone = await queueNamed(store, 'gone', 'agent')
  for (let i = 0; i < 8; i++) await append(store, [kept, gone], 5)
  await append(store, [gone], 5)
  const lease = take(store, gone, 5) as Lease
  const partly = take(store, gone, 5) as Lease
  // All in one turn: a settlement and a batch on their way, then the queue is forgotten.
  const settled = settle(store, lease)
  const appended = append(store, [kept, gone], 3)
  const forgotten = store.queues.forget(gone)
  t.equal(store.queues.get('gone'), undefined)
  await Promise.all([settled, appended, forgotten, store.queues.forget(gone)])
  await settle(store, partly)
  t.equal(takeAll(store, kept).numbers.length, 43, 'every batch the other queue refers to is there')
  const anew = await queueNamed(store, 'gone', 'agent')
  t.strictSame([anew.depth, anew.tail], [0, 0])
  await store.close()
  const { batches } = await consistent(t, dataDir)
  t.equal(batches.size, 9)
})

t.test('ephemeral queues and half forgotten ones do not outlive the hub', async (t) => {
  const dataDir = t.testdir()
  const store = await openStore(dataDir)
  const kept = await queueNamed(store, 'kept')
  const passing = await queueNamed(store, 'agent:passing', 'agent', true)
  await append(store, [kept, passing], 4)
  await append(store, [passing], 4)
  const half = await queueNamed(store, 'agent:half', 'agent')
  await append(store, [half, kept], 4)
  void store.queues.forget(half)
  await store.close()
  const again = await openStore(dataDir)
  t.strictSame([...again.queues.all()].map(({ info }) => info.name).sort(), ['$dead', '$unrouted', 'kept'])
  t.equal(takeAll(again, again.queues.get('kept') as Queue).numbers.length, 8)
  await again.close()
  const { batches, queues } = await consistent(t, dataDir)
  t.strictSame([batches.size, queues.size], [2, 3])
})

t.test('a half forgotten queue goes at the next start, not another one that bears its name by then', async (t) => {
  const dataDir = t.testdir()
  const store = await openStore(dataDir)
  const kept = await queueNamed(store, 'agent:news', 'agent')
  await append(store, [kept], 4)
  const info = { ...kept.info, id: kept.info.id + 7, ephemeral: true }
  await store.close()
  const engine = Engine.open(join(dataDir, 'store'), 2 ** 28)
  const queues = engine.table('queues')
  await engine.append(0, { write: () => queues.put(info.id, Buffer.from(JSON.stringify(info))), done: () => undefined })
  await engine.close()
  const again = await openStore(dataDir)
  t.strictSame(takeAll(again, again.queues.get('agent:news') as Queue).numbers, [1, 2, 3, 4])
  await again.close()
  const after = Engine.open(join(dataDir, 'store'), 2 ** 28)
  t.notOk(after.table('queues').get(info.id))
  t.ok(after.table('queues').get(kept.info.id))
  await after.close()
})

t.test('streams are in memory while somebody uses them', async (t) => {
  const store = await openStore(t.testdir())
  t.teardown(() => store.close())
  const q = await queueNamed(store, 'q')
  const streams = Reflect.get(store, 'streams') as { size: number }
  for (let epoch = 1; epoch <= 5000; epoch++) store.closeStream(store.stream('agent', 's', epoch))
  t.equal(streams.size, 0, 'an agent that comes again and again is not shut out')
  const stream = store.stream('agent', 's', 1)
  t.equal(store.stream('agent', 's', 1), stream)
  store.closeStream(stream)
  const appended = append(store, [q], 2, stream)
  store.closeStream(stream)
  t.equal(store.stream('agent', 's', 1), stream, 'nor forgotten with something under way')
  store.closeStream(stream)
  await appended
  t.equal(streams.size, 0)
  t.equal(store.stream('agent', 's', 1).durableSeq, 2)
  t.throws(() => store.stream('agent', 'n'.repeat(201), 1), { code: 'STREAM_NAME_INVALID' })
  t.throws(
    () => {
      for (let epoch = 1; epoch < 10_000; epoch++) store.stream('greedy', 's', epoch)
    },
    { code: 'STREAM_LIMIT' },
  )
})

t.test('a full store refuses what is new, keeps what it has, and is emptied', async (t) => {
  const dataDir = t.testdir()
  const faults: string[] = []
  const store = await openStore(dataDir, { mapBytesMax: 16 * 2 ** 20, onFault: ({ code }) => faults.push(code) })
  const q = await queueNamed(store, 'q')
  const stream = store.stream('agent', 's', 1)
  const put = () => {
    const batch = sealed({ firstSeq: stream.plannedSeq + 1, count: 1, bodyBytes: 200_000 })
    return append1(store, stream, q, batch)
  }
  const fill = async () => {
    for (;;) await put()
  }
  await t.rejects(fill(), { code: 'STORE_FULL', details: { retry: true } })
  t.strictSame(faults, ['STORE_FULL'])
  const stored = stream.durableSeq
  t.ok(stored > 50)
  t.equal(stream.plannedSeq, stored, 'nothing is planned any more')
  const behind = [put(), put()]
  for (const each of behind) await t.rejects(each, { code: 'STORE_FULL' })
  await queueNamed(store, 'agent:more', 'agent')
  const leases = takeAll(store, q).leases
  t.equal(leases.length, stored)
  const last = leases.pop() as Lease
  await store.settle(last, [last.from, last.from + 1], 'rejected', { reason: 'not now', by: 'reader' })
  for (const lease of leases.slice(0, 20)) await settle(store, lease)
  for (let i = 0; i < 15; i++) await put()
  t.equal(stream.durableSeq, stored + 15)
  await store.close()
  const { streams } = await consistent(t, dataDir)
  t.equal(streams.get('s'), stored + 15)
})

t.test('who may open it', async (t) => {
  const dataDir = t.testdir()
  const store = await openStore(dataDir)
  await t.rejects(openStore(dataDir), { code: 'STORE_IN_USE' })
  await store.close()
  const file = open<Buffer, string>({ path: join(dataDir, 'store', 'store.mdb'), noSubdir: true, encoding: 'binary' })
  await file.openDB<Buffer, string>({ name: 'meta', encoding: 'binary' }).put('version', Buffer.from([9, 0, 0, 0]))
  await file.close()
  await t.rejects(openStore(dataDir), { code: 'STORE_VERSION', message: /version 9/ })
  rmSync(join(dataDir, 'store', 'store.mdb'))
  await t.rejects(openStore(dataDir), { code: 'STORE_DAMAGED' }, 'a lost file is not made anew in silence')
  t.notOk(existsSync(join(dataDir, 'store', 'store.mdb')))
})
