// Messages and time: worthless after a while, or not to be seen before a moment.

import t from 'tap'
import type { Lease } from './lane.ts'
import { EXPIRED_PER_TAKE, TIMERS_PER_STEP } from './limits.ts'
import { Scene, upTo } from './scene.testing.ts'

const ttl = (ms: number) => ({ headers: { ':ttl': ms } })

t.test('what is too old goes to the dead letters by itself, or is dropped, as the queue says', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  const dropping = await scene.queue('dropping', { onExpire: 'drop' })
  const aging = await scene.queue('aging', { ageMsMax: 500 })
  await scene.append([q, dropping, { queue: aging, selection: [0, 2] }], { count: 3, ...ttl(1000) })
  await scene.append([q, aging], { count: 2 })
  await scene.pass(499)
  t.strictSame([q.depth, dropping.depth, aging.depth], [5, 3, 4])
  await scene.pass(1)
  t.strictSame([q.depth, dropping.depth, aging.depth], [5, 3, 0], 'the shorter one counts')
  await scene.pass(500)
  t.strictSame([q.depth, dropping.depth], [2, 0])
  const dead = scene.takeAll(scene.store.queues.dead)
  t.strictSame(
    dead.map((lease) => [
      lease.entry.note,
      lease.entry.home?.queueId,
      lease.entry.attempts,
      scene.numbers(lease).join(),
    ]),
    [
      ['EXPIRED', aging.info.id, 0, '1,2'],
      ['EXPIRED', aging.info.id, 0, '4,5'],
      ['EXPIRED', q.info.id, 0, '1,2,3'],
    ],
  )
  t.equal(dropping.counters.expired, 3)
  await Promise.all(dead.map((lease) => scene.settle(lease)))
  await scene.drain(q)
  const { batches } = await scene.contents(t)
  t.equal(batches.size, 0)
})

t.test('nobody gets what has expired, also when the timer is late; what is out may still be settled', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  await scene.append([q], { count: 2, ...ttl(1000) })
  await scene.append([q], { count: 2, ...ttl(1000) })
  await scene.append([q], { count: 1 })
  const out = scene.take(q, 1) as Lease
  scene.clock.set(1000)
  t.strictSame(
    scene.takeAll(q).map((lease) => scene.numbers(lease)),
    [[5]],
  )
  await scene.settle(out)
  await scene.written()
  const dead = scene.takeAll(scene.store.queues.dead)
  t.strictSame(
    dead.map((lease) => [scene.numbers(lease).join(), lease.entry.attempts]),
    [
      ['2', 0],
      ['3,4', 0],
    ],
  )
  await scene.contents(t)
})

t.test('what expires while it is out goes when it comes back, whoever waits for it', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  await scene.append([q], { count: 4, ...ttl(1000) })
  const lease = scene.take(q) as Lease
  await scene.pass(2000)
  t.equal(q.depth, 4, 'while it is out nothing is taken away')
  scene.store.giveBack([{ ...lease, count: 2 }], 'x')
  await scene.retry(lease, 0, 2, 1)
  await scene.retry(lease, 100, 3, 1)
  await scene.written()
  t.equal(q.depth + q.delayed, 0)
  const dead = scene.takeAll(scene.store.queues.dead)
  t.strictSame(
    dead.flatMap((one) => scene.numbers(one)),
    [1, 2, 3, 4],
  )
  await scene.contents(t)
})

t.test('delayed messages come when they are due: after a delay, at a time, the later of both', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  const atMs = scene.clock.wallMs() + 3000
  const send = (headers: Record<string, number>) => scene.append([q], { headers })
  await send({ ':delay': 1000 })
  await send({ ':deliver-at': atMs })
  await send({ ':delay': 4000, ':deliver-at': atMs })
  await send({ ':deliver-at': scene.clock.wallMs() - 1 })
  await send({ ':delay': 2000, ':ttl': 1500 })
  t.strictSame([q.depth, q.delayed], [1, 4])
  t.strictSame(await scene.drain(q), [4], 'a time that is over is at once')
  await scene.pass(1000)
  t.strictSame(await scene.drain(q), [1])
  await scene.pass(1000)
  t.strictSame(
    [await scene.drain(q), await scene.drain(scene.store.queues.dead)],
    [[], [5]],
    'worthless before it was due',
  )
  await scene.pass(999)
  t.strictSame(await scene.drain(q), [])
  await scene.pass(1)
  t.strictSame(await scene.drain(q), [2])
  await scene.pass(1000)
  t.strictSame(await scene.drain(q), [3])
  const { batches } = await scene.contents(t)
  t.equal(batches.size, 0)
})

t.test('across a restart delays and lives go on; what fell due meanwhile is done at once', async (t) => {
  const scene = await Scene.open(t)
  let q = await scene.queue('q')
  const headers = { ':delay': 1000, ':priority': 'bulk' }
  await scene.append([q], { count: 2, headers })
  await scene.append([q], { count: 3, ...ttl(1000) })
  await scene.append([q], { headers: { ':delay': 60_000 } })
  await scene.check(t)
  q = scene.named('q')
  t.strictSame([q.depth, q.delayed], [3, 3])
  await scene.store.close()
  scene.clock.pass(2000)
  await scene.restart()
  q = scene.named('q')
  await scene.pass(0)
  t.strictSame([q.depth, q.delayed], [2, 1])
  const [lease] = scene.takeAll(q)
  t.match([lease?.lane.number, scene.numbers(lease as Lease)], [2, [1, 2]])
  t.strictSame(await scene.drain(scene.store.queues.dead), [3, 4, 5])
  await scene.check(t)
  await scene.pass(58_000)
  t.strictSame(
    await scene.drain(scene.named('q')),
    [1, 2, 6].toSorted((a, b) => (b - a === 0 ? 0 : a === 6 ? -1 : a - b)),
  )
})

t.test('a clock set back: nothing is lost or comes twice, times are as the clock says', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  await scene.append([q], { headers: { ':delay': 1000 } })
  await scene.append([q], ttl(1000))
  scene.clock.set(-10_000)
  await scene.append([q], { headers: { ':delay': 1000 } })
  await scene.append([q], ttl(1000))
  await scene.pass(1000)
  t.strictSame([q.depth, q.delayed], [2, 1])
  t.strictSame(await scene.drain(scene.store.queues.dead), [4])
  await scene.pass(1000)
  t.strictSame([q.depth, q.delayed], [2, 1])
  await scene.pass(9000)
  t.strictSame([q.depth, q.delayed], [2, 0])
  t.strictSame(await scene.drain(q), [3, 1])
  t.strictSame(await scene.drain(scene.store.queues.dead), [2])
  const { batches } = await scene.contents(t)
  t.equal(batches.size, 0)
})

t.test('more timers than one transaction takes', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  const count = TIMERS_PER_STEP + 200
  await Promise.all(
    upTo(1, count).map((n) => scene.append([q], { headers: n % 2 === 0 ? { ':delay': n } : { ':ttl': n } })),
  )
  await scene.pass(count)
  t.strictSame([q.depth, q.delayed], [count / 2, 0])
  t.equal((await scene.drain(q)).length, count / 2)
  t.equal((await scene.drain(scene.store.queues.dead)).length, count / 2)
  const { batches } = await scene.contents(t)
  t.equal(batches.size, 0)
})

t.test('a long line of expired messages is taken away in steps, and consumers are woken after each', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  await Promise.all(upTo(1, 2 * EXPIRED_PER_TAKE).map(() => scene.append([q], ttl(1000))))
  await scene.append([q], { stream: 'live' })
  scene.clock.set(1000)
  let woken = 0
  q.onReady = () => woken++
  t.equal(scene.take(q), null)
  t.equal(q.depth, EXPIRED_PER_TAKE + 1)
  await scene.written()
  t.ok(woken > 0)
  t.equal(scene.take(q), null)
  await scene.written()
  t.strictSame(scene.numbers(scene.take(q) as Lease), [1])
})

t.test('what was out when its time was over, at a hub that then ended, is not kept for ever', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  await scene.append([q], { count: 4, ...ttl(1000) })
  const lease = scene.take(q, 3) as Lease
  await scene.pass(1000)
  await scene.settle(lease, 0, 1)
  t.equal(q.depth, 2, 'the one that waited is gone')
  await scene.check(t)
  await scene.pass(0)
  t.equal(scene.named('q').depth, 0, 'nobody has to ask for them')
  t.equal(scene.store.queues.dead.depth, 3)
})

t.test('a message that was out when the clock was wrong expires in its time', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  await scene.append([q], ttl(1000))
  const lease = scene.take(q) as Lease
  scene.clock.set(5000)
  await scene.pass(1000)
  scene.clock.set(-5900)
  scene.store.giveBack([lease], 'x')
  t.equal(q.depth, 1)
  await scene.pass(900)
  t.equal(q.depth, 0)
  await scene.contents(t)
})
