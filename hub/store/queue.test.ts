// One queue against a plain model, in every order of events; its window; restarts in the middle.

import t, { type Test } from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { RangeSet } from '#protocol/session/mod.ts'
import type { Entry } from './entry.ts'
import { WINDOW_ENTRIES } from './limits.ts'
import { type Lease, Queue } from './queue.ts'

const INFO = { id: 1, name: 'q', rule: { topics: [], where: {} }, owner: null, ephemeral: false }

/** A queue with its part of the disk: entries that are not finished, and the settled state. */
class Bench {
  queue: Queue
  readonly disk = new Map<number, { count: number; batchSeq: number }>()
  leases: Lease[] = []
  leftovers: number[] = []
  wakes = 0
  private batchSeq = 0

  constructor() {
    this.queue = this.make(new RangeSet(), 0)
  }

  append(count: number): void {
    const position = this.queue.plan(count)
    const batchSeq = ++this.batchSeq
    this.disk.set(position, { count, batchSeq })
    this.queue.appended({ position, count, batchSeq, selection: null, reason: '', remaining: count, attempts: 0 })
  }

  take(messagesMax: number): Lease | null {
    const lease = this.queue.take(messagesMax)
    if (lease !== null) this.leases.push(lease)
    return lease
  }

  /** The process is gone: only the disk is left. */
  restart(): void {
    const { settled, tail } = this.queue
    this.leases = []
    this.queue = this.make(new RangeSet(settled.floor, settled.above), tail)
  }

  private make(settled: RangeSet, tail: number): Queue {
    const queue = new Queue({
      info: INFO,
      settled,
      tail,
      head: Math.min(tail, ...this.disk.keys()),
      load: (from, limit) => this.load(from, limit),
      onLeftover: (entry) => {
        this.leftovers.push(entry.position)
        this.disk.delete(entry.position)
      },
    })
    queue.onReady = () => {
      this.wakes++
    }
    return queue
  }

  private load(from: number, limit: number): Entry[] {
    const rows = [...this.disk].filter(([position]) => position >= from).sort(([a], [b]) => a - b)
    return rows.slice(0, limit).map(([position, { count, batchSeq }]) => {
      return { position, count, batchSeq, selection: null, reason: '', remaining: count, attempts: 0 }
    })
  }
}

type State = 'waiting' | 'out' | 'settled'

/** One random life; says what went wrong, or null. */
function live(random: Random, steps: number): string | null {
  const bench = new Bench()
  const model: State[] = []
  const unsettledIn = (entry: Entry) =>
    model.slice(entry.position, entry.position + entry.count).filter((s) => s !== 'settled').length
  for (let step = 0; step < steps; step++) {
    const { queue } = bench
    const kind = random.below(100)
    if (kind < 30) {
      const count = 1 + random.below(random.oneIn(5) ? 100 : 5)
      bench.append(count)
      for (let i = 0; i < count; i++) model.push('waiting')
    } else if (kind < 60) {
      const max = random.below(random.oneIn(3) ? 200 : 8)
      const lease = bench.take(max)
      const first = model.indexOf('waiting')
      if (max === 0 || first < 0) {
        if (lease !== null) return `step ${step}: took ${lease.from} although there was nothing to take`
        continue
      }
      if (lease === null) return `step ${step}: nothing taken, ${first} waits`
      if (lease.from !== first) return `step ${step}: took ${lease.from}, ${first} was next`
      if (lease.count < 1 || lease.count > max) return `step ${step}: took ${lease.count} of at most ${max}`
      for (let p = lease.from; p < lease.from + lease.count; p++) {
        if (model[p] !== 'waiting') return `step ${step}: took ${p}, which is ${model[p]}`
        model[p] = 'out'
      }
    } else if (kind < 70 && bench.leases.length > 0) {
      const back = bench.leases.filter(() => random.oneIn(3))
      bench.leases = bench.leases.filter((lease) => !back.includes(lease))
      queue.giveBack(back)
      for (const { from, count } of back) model.fill('waiting', from, from + count)
    } else if (kind < 98 && bench.leases.length > 0) {
      const lease = random.pick(bench.leases)
      const from = lease.from + random.below(lease.count)
      const count = 1 + random.below(lease.from + lease.count - from)
      const rest = [
        { ...lease, count: from - lease.from },
        { ...lease, from: from + count, count: lease.from + lease.count - from - count },
      ]
      bench.leases = [...bench.leases.filter((other) => other !== lease), ...rest.filter((part) => part.count > 0)]
      model.fill('settled', from, from + count)
      const finished = queue.settle(lease.entry, from, count)
      if ((finished !== null) !== (unsettledIn(lease.entry) === 0))
        return `step ${step}: finished is ${finished !== null}`
      // A crash between the two is met by `onLeftover`.
      if (finished !== null && !random.oneIn(10)) bench.disk.delete(finished.position)
    } else if (kind >= 98) {
      bench.restart()
      for (const [p, state] of model.entries()) if (state === 'out') model[p] = 'waiting'
    }
    const out = model.filter((state) => state === 'out').length
    const open = model.filter((state) => state !== 'settled').length
    if (bench.queue.inFlight !== out) return `step ${step}: ${bench.queue.inFlight} in flight, not ${out}`
    if (bench.queue.depth !== open) return `step ${step}: depth ${bench.queue.depth}, not ${open}`
    const floor = model.findIndex((state) => state !== 'settled')
    if (bench.queue.settled.floor !== (floor < 0 ? model.length : floor))
      return `step ${step}: floor ${bench.queue.settled.floor}`
  }
  return null
}

t.test('agrees with a plain model, whatever happens in whatever order', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  for (let round = 0; round < 150; round++) {
    const wrong = live(random, 150)
    if (wrong !== null) return t.fail(`round ${round}, ${wrong}`)
  }
  t.pass('150 lives of 150 steps')
})

function drain(t: Test, bench: Bench): number[] {
  const positions: number[] = []
  for (let lease = bench.take(1000); lease !== null; lease = bench.take(1000)) {
    for (let p = lease.from; p < lease.from + lease.count; p++) positions.push(p)
    const finished = bench.queue.settle(lease.entry, lease.from, lease.count)
    t.equal(finished?.position, lease.entry.position)
    bench.disk.delete(lease.entry.position)
  }
  return positions
}

t.test('what is beyond the window waits on disk and comes in order', async (t) => {
  const bench = new Bench()
  const entries = WINDOW_ENTRIES + 700
  for (let i = 0; i < entries; i++) bench.append(2)
  const inMemory = Reflect.get(bench.queue, 'ready') as unknown[]
  t.equal(inMemory.length, WINDOW_ENTRIES)
  const taken = bench.take(2) as Lease
  for (let i = 0; i < 10; i++) bench.append(2)
  bench.queue.giveBack([taken])
  bench.leases = []
  const positions: number[] = []
  for (let lease = bench.take(3); lease !== null; lease = bench.take(3)) {
    for (let p = lease.from; p < lease.from + lease.count; p++) positions.push(p)
    bench.queue.settle(lease.entry, lease.from, lease.count)
    bench.disk.delete(lease.entry.position)
    const { length } = Reflect.get(bench.queue, 'ready') as unknown[]
    if (length > WINDOW_ENTRIES + 1) return t.fail(`${length} entries in memory`)
  }
  t.strictSame(
    positions,
    Array.from({ length: 2 * (entries + 10) }, (_, i) => i),
  )
  t.equal(bench.queue.depth, 0)
})

t.test('a restart goes on with what is not settled, also within an entry', async (t) => {
  const bench = new Bench()
  bench.append(10)
  bench.append(1)
  bench.append(5)
  const first = bench.take(100) as Lease
  const second = bench.take(100) as Lease
  bench.queue.settle(first.entry, 2, 3)
  bench.queue.settle(second.entry, 10, 1)
  bench.restart()
  t.equal(bench.queue.depth, 12)
  t.strictSame(
    [bench.take(100), bench.take(100), bench.take(100), bench.take(100)].map(
      (lease) => lease && [lease.from, lease.count],
    ),
    [[0, 2], [5, 5], [11, 5], null],
  )
  t.strictSame(bench.leftovers, [10], 'an entry that was settled but still there is reported')
  const [low, high] = bench.leases as [Lease, Lease]
  t.equal(low.entry, high.entry)
  t.equal(bench.queue.settle(low.entry, 0, 2), null)
  t.equal(bench.queue.settle(high.entry, 5, 5)?.position, 0)
  t.equal(bench.queue.settle(high.entry, 5, 5), null, 'an entry is finished once')
})

t.test('what comes back in pieces goes out as a whole, with its attempts', async (t) => {
  const bench = new Bench()
  bench.append(100)
  const lease = bench.take(100) as Lease
  t.equal(lease.attempt, 1)
  for (const from of [50, 0, 75, 25]) bench.queue.giveBack([{ ...lease, from, count: 25 }])
  t.equal(bench.wakes, 5)
  const again = bench.take(100) as Lease
  t.strictSame([again.from, again.count, again.attempt], [0, 100, 2])
})

t.test('plans that failed are given out again', async (t) => {
  const bench = new Bench()
  bench.append(3)
  t.equal(bench.queue.plan(5), 3)
  t.equal(bench.queue.plan(5), 8)
  bench.queue.forgetPlans()
  bench.append(4)
  t.strictSame(drain(t, bench), [0, 1, 2, 3, 4, 5, 6])
})

t.test('nothing is taken while the disk cannot be read, or when the queue is forgotten', async (t) => {
  const bench = new Bench()
  for (let i = 0; i < WINDOW_ENTRIES + 1; i++) bench.append(1)
  for (let i = 0; i < WINDOW_ENTRIES; i++) bench.take(1)
  const load = Reflect.get(bench.queue, 'load') as unknown
  Reflect.set(bench.queue, 'load', () => null)
  t.equal(bench.take(1), null)
  Reflect.set(bench.queue, 'load', load)
  t.equal(bench.take(1)?.from, WINDOW_ENTRIES)
  bench.append(1)
  bench.queue.forgotten = true
  t.equal(bench.take(1), null)
})

t.test('an entry that is on disk before memory knows is given out once', async (t) => {
  const bench = new Bench()
  const position = bench.queue.plan(2)
  bench.disk.set(position, { count: 2, batchSeq: 1 })
  t.equal(bench.take(10), null)
  bench.queue.appended({ position, count: 2, batchSeq: 1, selection: null, reason: '', remaining: 2, attempts: 0 })
  t.strictSame(drain(t, bench), [0, 1])
})
