// What is settled and kept: replayed from a position or a time, and given up when it is too old or too much.

import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import type { Lease } from './lane.ts'
import { SWEEP_MS } from './limits.ts'
import { failureOf, Scene, upTo } from './scene.testing.ts'

const KEEP = { retainMs: 3_600_000 }

t.test('from a position: what was settled from there on is open again, and only that', async (t) => {
  const scene = await Scene.open(t)
  let q = await scene.queue('q', KEEP)
  for (let i = 0; i < 3; i++) await scene.append([q], { count: 4 })
  t.strictSame(await scene.drain(q), upTo(1, 12))
  t.equal(await scene.store.replay(q, { fromPosition: 6 }), 6)
  t.equal(q.depth, 6)
  await scene.check(t, 'also on disk')
  q = scene.named('q')
  t.strictSame(await scene.drain(q), upTo(7, 12))
  t.equal(await scene.store.replay(q, { fromPosition: 0 }), 12)
  t.strictSame(await scene.drain(q), upTo(1, 12))
  t.equal(await scene.store.replay(q, { fromPosition: 12 }), 0)
  t.equal(await scene.store.replay(q, { fromPosition: 1e9 }), 0, 'from a position that is not there yet')
  await scene.append([q], { count: 2 })
  t.strictSame(await scene.drain(q), [13, 14])
  await scene.contents(t)
})

t.test('what is open before the position stays open, and what is settled there stays settled', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', KEEP)
  for (let i = 0; i < 4; i++) await scene.append([q], { count: 5 })
  const [first, second, third, fourth] = scene.takeAll(q) as [Lease, Lease, Lease, Lease]
  await Promise.all([scene.settle(first), scene.settle(second, 6, 2), scene.settle(fourth)])
  scene.store.giveBack([{ ...second, count: 1 }, { ...second, from: 8, count: 2 }, third], 'x')
  t.equal(await scene.store.replay(q, { fromPosition: 16 }), 4)
  t.equal(q.depth, 12)
  await scene.check(t)
  const again = scene.named('q')
  t.strictSame(await scene.drain(again), [6, ...upTo(9, 15), ...upTo(17, 20)])
  t.equal(await scene.store.replay(again, { fromPosition: 7 }), 13)
  t.strictSame(await scene.drain(again), upTo(8, 20))
})

t.test('from a time: what was accepted since, in every lane', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', KEEP)
  const atMs: number[] = []
  for (let i = 0; i < 20; i++) {
    atMs.push(scene.clock.wallMs())
    await scene.append([q], { count: 1 + (i % 3), headers: i % 2 === 0 ? {} : { ':priority': 'urgent' } })
    await scene.pass(100)
  }
  const all = await scene.drain(q)
  t.equal(await scene.store.replay(q, { fromMs: (atMs[10] as number) - 50 }), 20)
  t.strictSame(
    (await scene.drain(q)).toSorted((a, b) => a - b),
    upTo(20, 39),
  )
  t.equal(await scene.store.replay(q, { fromMs: 0 }), all.length)
  t.equal((await scene.drain(q)).length, all.length)
  t.equal(await scene.store.replay(q, { fromMs: scene.clock.wallMs() }), 0)
  await scene.contents(t)
})

t.test('refused: what is not retained, and while consumers have messages out', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', KEEP)
  const plain = await scene.queue('plain')
  await scene.append([q, plain], { count: 2 })
  await scene.drain(plain)
  t.equal(await failureOf(scene.store.replay(plain, { fromPosition: 0 })), 'QUEUE_NOT_RETAINED')
  const lease = scene.take(q, 1) as Lease
  t.equal(await failureOf(scene.store.replay(q, { fromPosition: 0 })), 'QUEUE_BUSY')
  await scene.settle(lease)
  t.equal(await scene.store.replay(q, { fromPosition: 0 }), 1)
  t.strictSame(await scene.drain(q), [1, 2])
})

t.test('kept for a time, then the batches go, partly settled ones not before their rest', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { retainMs: 10_000 })
  await scene.append([q], { count: 3 })
  await scene.append([q], { count: 3 })
  await scene.append([q], { count: 3 })
  const [first, second, third] = scene.takeAll(q) as [Lease, Lease, Lease]
  await Promise.all([scene.settle(first, 1, 1), scene.settle(second), scene.settle(third)])
  t.ok(q.retainedBytes > 0)
  await scene.pass(10_000)
  t.equal(scene.store.batches.has(second.entry.batchSeq), true)
  await scene.pass(1 + SWEEP_MS)
  t.strictSame(
    [first, second, third].map(({ entry }) => scene.store.batches.has(entry.batchSeq)),
    [true, false, false],
    'one that is stuck does not keep those behind it',
  )
  t.equal(q.retainedBytes, 0)
  scene.store.giveBack(
    [
      { ...first, count: 1 },
      { ...first, from: 2, count: 1 },
    ],
    'x',
  )
  t.equal(await scene.store.replay(q, { fromPosition: 0 }), 1)
  t.strictSame(await scene.drain(q), [1, 2, 3])
  await scene.check(t)
  await scene.pass(20_000)
  const { batches } = await scene.contents(t)
  t.equal(batches.size, 0)
})

t.test('kept up to a size: the oldest go first', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { retainBytes: 10_000 })
  for (let i = 0; i < 8; i++) await scene.append([q], { bodyBytes: 3000 })
  await scene.drain(q)
  await scene.pass(SWEEP_MS)
  t.ok(q.retainedBytes <= 10_000 && q.retainedBytes > 6000, `${q.retainedBytes} bytes`)
  t.equal(await scene.store.replay(q, { fromPosition: 0 }), 3)
  t.strictSame(await scene.drain(q), [6, 7, 8])
  await scene.contents(t)
})

t.test('what a queue retains no more goes, while the hub runs and after a restart', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', KEEP)
  const other = await scene.queue('other', KEEP)
  await scene.append([q, other], { count: 3 })
  await scene.append([q, other], { count: 3 })
  await Promise.all([scene.drain(q), scene.drain(other)])
  await scene.queue('q')
  await scene.append([q], { count: 1 })
  await scene.drain(q)
  await scene.pass(SWEEP_MS)
  t.equal(q.retainedBytes, 0)
  await scene.queue('other')
  await scene.restart()
  t.strictSame(scene.takeAll(scene.named('other')), [])
  await scene.pass(SWEEP_MS)
  await scene.pass(SWEEP_MS)
  const { batches } = await scene.contents(t)
  t.equal(batches.size, 0)
})

t.test('a copy that is replayed counts again for its receipt while the fate is open, and not after', async (t) => {
  const scene = await Scene.open(t)
  const a = await scene.queue('a', KEEP)
  const b = await scene.queue('b')
  await scene.append([a, { queue: b, selection: [0, 2] }], { count: 4, receipts: 'final' })
  await scene.drain(a)
  t.match(await scene.receipts(), [{ from: 3, to: 4, state: 'processed' }])
  t.equal(await scene.store.replay(a, { fromPosition: 0 }), 4)
  await scene.check(t)
  await scene.reject(scene.take(scene.named('a'), 1) as Lease, 'BAD')
  await scene.drain(scene.named('a'))
  t.strictSame(await scene.receipts(), [], 'nothing is final while b has its copy')
  await scene.drain(scene.named('b'))
  t.match(await scene.receipts(), [
    { from: 1, to: 1, state: 'rejected' },
    { from: 2, to: 2, state: 'processed' },
  ])
  await scene.contents(t)
})

t.test('what is being given up is not opened again', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { retainMs: 1000 })
  for (let i = 0; i < 3; i++) await scene.append([q])
  await scene.drain(q)
  await scene.pass(500)
  await scene.append([q])
  await scene.drain(q)
  scene.clock.pass(600 + SWEEP_MS)
  // The sweep has begun in the same turn.
  const sweep = scene.store.upkeep.step()
  for (let i = 0; i < 3; i++) await Promise.resolve()
  const reopened = await scene.store.replay(q, { fromPosition: 0 })
  await sweep
  t.equal((await scene.drain(q)).length, reopened)
  await scene.contents(t)
})

t.test('agrees with a plain model, whatever is settled, replayed and swept', { timeout: 500_000 }, async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  for (let round = 0; round < 4; round++) {
    const scene = await Scene.open(t)
    const q = await scene.queue('q', KEEP)
    /** Position → settled? */
    const model: boolean[] = []
    for (let step = 0; step < 60; step++) {
      const kind = random.below(10)
      if (random.oneIn(10)) scene.failing = 1
      if (kind < 4) {
        const count = 1 + random.below(8)
        if ((await failureOf(scene.append([q], { count }))) === null) for (let i = 0; i < count; i++) model.push(false)
      } else if (kind < 8) {
        const leases = scene.takeAll(q, 1 + random.below(6)).slice(0)
        for (const lease of leases) {
          if (random.oneIn(2)) {
            model.fill(true, lease.from, lease.from + lease.count)
            await scene.settle(lease)
          } else scene.store.giveBack([lease], 'x')
        }
      } else {
        const from = random.below(model.length + 3)
        const expected = model.filter((settled, p) => settled && p >= from).length
        const reopened = await scene.store.replay(q, { fromPosition: from })
        if (reopened !== expected) return t.fail(`round ${round}, step ${step}: ${reopened} reopened, not ${expected}`)
        model.fill(false, Math.min(from, model.length))
      }
      scene.failing = 0
      const open = model.filter((settled) => !settled).length
      if (q.depth !== open) return t.fail(`round ${round}, step ${step}: ${q.depth} open, not ${open}`)
    }
    await scene.check(t, `round ${round}`)
    const positions = scene.takeAll(scene.named('q')).flatMap(({ from, count }) => upTo(from, from + count - 1))
    t.strictSame(
      positions,
      model.flatMap((settled, p) => (settled ? [] : [p])),
    )
  }
})
