// Found by the simulation: a consumer gives back what it has of an ordered lane one by one, and meanwhile nothing overtakes.

import t from 'tap'
import type { Lease } from './lane.ts'
import { Scene } from './scene.testing.ts'

const A = { name: 'a' }
const B = { name: 'b' }
const AGAIN = { delayMs: 0, reason: '', by: 'a' }

t.test('what is given back goes out again when the rest of what is out has come back', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { order: 'stream', partitions: 1 })
  for (let i = 0; i < 5; i++) await scene.append([q])
  const out = [1, 2, 3].map(() => scene.take(q, 1, A) as Lease)
  const again = (lease: Lease | undefined) =>
    scene.store.retry(lease as Lease, [lease?.from ?? 0, (lease?.from ?? 0) + 1], AGAIN)
  await again(out[0])
  t.equal(scene.take(q, 1, A), null, 'neither itself nor what has never been out')
  await again(out[1])
  t.equal(scene.take(q, 1, A), null)
  let woken = 0
  q.onReady = () => woken++
  await again(out[2])
  t.ok(woken > 0)
  const froms = scene.takeAll(q, 1, A).map(({ from }) => from)
  t.strictSame(froms, [0, 1, 2, 3, 4])
})

t.test('or when it was settled, or its consumer is gone', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { order: 'stream', partitions: 1 })
  for (let i = 0; i < 4; i++) await scene.append([q])
  const [first, second, third] = [1, 2, 3].map(() => scene.take(q, 1, A) as Lease)
  await scene.store.retry(first as Lease, [0, 1], AGAIN)
  await scene.settle(second as Lease)
  t.equal(scene.take(q, 1, A), null)
  scene.store.giveBack([third as Lease], 'a')
  t.strictSame(
    scene.takeAll(q, 1, B).map(({ from }) => from),
    [0, 2, 3],
  )
})

t.test('without an order nothing waits', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  for (let i = 0; i < 3; i++) await scene.append([q])
  const [first] = [1, 2].map(() => scene.take(q, 1, A) as Lease)
  await scene.store.retry(first as Lease, [0, 1], AGAIN)
  t.equal(scene.take(q, 1, B)?.from, 0)
})
