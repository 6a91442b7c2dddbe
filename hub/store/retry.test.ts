// What is not processed at once: tried again, at once or later, given up, set aside with a reason.

import t from 'tap'
import type { Lease } from './lane.ts'
import { Scene, upTo } from './scene.testing.ts'

t.test(
  'again later: the message moves to the end of its lane when its time has come, and its tries are counted on',
  async (t) => {
    const scene = await Scene.open(t)
    let q = await scene.queue('q')
    await scene.append([q], { count: 5, headers: { ':priority': 'urgent' } })
    const lease = scene.take(q) as Lease
    await scene.settle(lease, 0, 2)
    await scene.retry(lease, 1000, 2, 2)
    await scene.settle(lease, 4, 1)
    t.strictSame([q.depth, q.delayed, q.inFlight], [0, 2, 0])
    await scene.pass(999)
    t.equal(scene.take(q), null)
    await scene.check(t)
    q = scene.named('q')
    t.strictSame([q.depth, q.delayed], [0, 2], 'across a restart')
    await scene.pass(1)
    t.strictSame([q.depth, q.delayed], [2, 0])
    const again = scene.take(q) as Lease
    t.match([again.lane.number, again.from, again.count, again.attempt], [1, 5, 2, 2])
    t.strictSame(scene.numbers(again), [3, 4])
    await scene.retry(again, 50, 6, 1)
    await scene.settle(again, 5, 1)
    await scene.pass(50)
    const third = scene.take(q) as Lease
    t.strictSame([third.from, third.attempt, scene.numbers(third)], [7, 3, [4]])
    await scene.settle(third)
    const { batches } = await scene.contents(t)
    t.equal(batches.size, 0)
  },
)

t.test('again at once: it keeps its place and goes to whoever asks', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  await scene.append([q], { count: 3 })
  await scene.append([q], { count: 3 })
  const lease = scene.take(q) as Lease
  await scene.retry(lease, 0, 1, 1)
  t.strictSame(
    scene.takeAll(q).map(({ from, count, attempt }) => [from, count, attempt]),
    [
      [1, 1, 2],
      [3, 3, 1],
    ],
  )
})

t.test('after the last try: with the reason and its home to the dead letters, however the tries ended', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { maxDeliver: 2 })
  const stubborn = await scene.queue('stubborn', { maxDeliver: 1, deadLetter: 'later' })
  const later = await scene.queue('later')
  await scene.append(
    [
      { queue: q, selection: [1, 2] },
      { queue: stubborn, selection: [0, 1, 3, 1] },
    ],
    { count: 4 },
  )
  await scene.retry(scene.take(q) as Lease, 100)
  await scene.pass(100)
  await scene.retry(scene.take(q) as Lease, 100)
  const [dead, none] = [scene.take(scene.store.queues.dead) as Lease, scene.take(q)]
  t.equal(none, null)
  t.strictSame(scene.numbers(dead), [2, 3])
  t.match(dead.entry, {
    note: 'MAX_DELIVER: 2 deliveries, last: later',
    home: { queueId: q.info.id, lane: 0 },
    attempts: 2,
  })
  // One that dies holds its message for the last time.
  scene.store.giveBack([scene.take(stubborn) as Lease], 'x')
  await scene.written()
  const aside = scene.take(later) as Lease
  t.strictSame(scene.numbers(aside), [1, 4])
  t.match(aside.entry.note, /^MAX_DELIVER: 1 deliveries, last: the consumer went away/)
  t.strictSame([q.counters.deadLettered, q.counters.retried, stubborn.counters.deadLettered], [2, 4, 2])
  await Promise.all([scene.settle(aside), scene.settle(dead)])
  const { batches } = await scene.contents(t)
  t.equal(batches.size, 0)
})

t.test('a rejected part of a part keeps its first home when it is rejected again', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { deadLetter: 'first' })
  const first = await scene.queue('first')
  await scene.append([{ queue: q, selection: [0, 3, 5, 3] }], { count: 10 })
  await scene.reject(scene.take(q) as Lease, 'BAD: spelling', 1, 4)
  await scene.reject(scene.take(first) as Lease, 'WORSE', 1, 2)
  const dead = scene.take(scene.store.queues.dead) as Lease
  t.strictSame(scene.numbers(dead), [3, 6])
  t.match(dead.entry, { note: 'WORSE', home: { queueId: q.info.id, lane: 0 } })
  await scene.contents(t)
})

t.test('$dead has an age and a size of its own: it never fills the disk', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  const dead = await scene.store.queues.own(
    '$dead',
    '$hub',
    { topics: [], where: {} },
    { ...scene.store.queues.dead.info.policy, messagesMax: 3, onFull: 'drop-oldest', ageMsMax: 1000, onExpire: 'drop' },
  )
  for (const seq of upTo(1, 5)) {
    await scene.append([q])
    await scene.reject(scene.take(q) as Lease, `no ${seq}`)
    scene.clock.pass(1)
  }
  await scene.written()
  t.equal(dead.depth, 3, 'the oldest go')
  const leases = scene.takeAll(dead)
  t.strictSame(
    leases.map(({ entry }) => entry.note),
    ['no 3', 'no 4', 'no 5'],
  )
  scene.store.giveBack(leases, 'x')
  await scene.pass(1001)
  t.equal(dead.depth, 0, 'and all when they are too old')
  const { batches } = await scene.contents(t)
  t.equal(batches.size, 0)
})

t.test('after a restart a queue of the hub itself keeps its policy until it is given another', async (t) => {
  const scene = await Scene.open(t)
  const policy = { ...scene.store.unrouted.info.policy, messagesMax: 7 }
  scene.store.queues.own('$unrouted', '$hub', { topics: [], where: {} }, policy)
  await scene.restart()
  t.equal(scene.store.unrouted.info.policy.messagesMax, 7)
})
