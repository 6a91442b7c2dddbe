// One lane against a plain model, in every order of events; its window; restarts in the middle.

import t, { type Test } from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { RangeSet } from '#protocol/session/mod.ts'
import { type Entry, entryAt, type NewEntry, settledBytes } from './entry.ts'
import { decodeLaneState, encodeLaneState, Lane, type Lease } from './lane.ts'
import { WINDOW_ENTRIES } from './limits.ts'
import { DEFAULT_POLICY } from './policy.ts'
import { Queue } from './queue.ts'

const INFO = {
  id: 1,
  name: 'q',
  rule: { topics: [], where: {} },
  owner: null,
  ephemeral: false,
  policy: DEFAULT_POLICY,
}

/** A lane of a queue with its part of the disk: entries that are not finished, and the settled state. */
class Bench {
  lane: Lane
  readonly disk = new Map<number, NewEntry>()
  leases: Lease[] = []
  leftovers: number[] = []
  readable = true
  private batchSeq = 0

  constructor() {
    this.lane = this.make(new RangeSet(), 0, 0)
  }

  append(count: number): void {
    const entry = this.lane.place(this.entryOf(count))
    this.disk.set(entry.position, entry)
    this.lane.appended(entry)
  }

  entryOf(count: number): NewEntry {
    const times = { storedAtMs: 0, expiresAtMs: 0, attempts: 0, receiptFlags: 0 }
    const none = { ...times, home: null, note: '', backNote: '', selection: null }
    return { ...none, batchSeq: ++this.batchSeq, count, bytes: 10 * count + (this.batchSeq % 7) }
  }

  take(messagesMax: number): Lease | null {
    const lease = this.lane.queue.take(messagesMax, this, 0)
    if (lease !== null) this.leases.push(lease)
    return lease
  }

  /** Whatever is settled and has not left the disk. */
  bytes(): number {
    let sum = 0
    for (const [position, entry] of this.disk) {
      const open = this.lane.settled.missing(position, position + entry.count)
      const left = open.reduce((n, [from, to]) => n + to - from, 0)
      sum += entry.bytes - settledBytes(entry, entry.count - left)
    }
    return sum
  }

  /** The process is gone: only the disk is left. */
  restart(): void {
    const { settled, tail, bytes, retainedBytes } = this.lane
    const row = encodeLaneState({ settled, bytes, retainedBytes })
    this.leases = []
    this.lane = this.make(decodeLaneState(row).settled, tail, decodeLaneState(row).bytes)
  }

  private make(settled: RangeSet, tail: number, bytes: number): Lane {
    const queue = new Queue(INFO)
    const lane = new Lane({
      queue,
      number: 0,
      state: { settled, bytes, retainedBytes: 0 },
      tail,
      head: Math.min(tail, ...this.disk.keys()),
      disk: {
        load: (from, limit) => (this.readable ? this.load(from, limit) : null),
        onLeftover: (entry) => {
          this.leftovers.push(entry.position)
          this.disk.delete(entry.position)
        },
        onDirty: () => undefined,
      },
    })
    queue.addLane(lane)
    return lane
  }

  private load(from: number, limit: number): Entry[] {
    const rows = [...this.disk].filter(([position]) => position >= from).sort(([a], [b]) => a - b)
    return rows.slice(0, limit).map(([position, entry]) => entryAt(position, entry))
  }
}

type State = 'waiting' | 'out' | 'settled'

/** An entry is taken out of the line, wherever it lies, and settled or given back in part. */
function pull(bench: Bench, model: State[], random: Random): string | null {
  if (bench.disk.size === 0) return null
  const position = random.pick([...bench.disk.keys()])
  const { count } = bench.disk.get(position) as NewEntry
  const waiting = () =>
    model.flatMap((state, p) => (state === 'waiting' && p >= position && p < position + count ? [p] : []))
  const pulled = bench.lane.pull(position)
  const got = pulled.flatMap(({ from, count }) => Array.from({ length: count }, (_, i) => from + i))
  if (got.join() !== waiting().join()) return `pulled ${got} of ${position}, waiting were ${waiting()}`
  for (const lease of pulled) {
    if (random.oneIn(3)) bench.lane.giveBack([lease])
    else {
      model.fill('settled', lease.from, lease.from + lease.count)
      const finished = bench.lane.settle(lease.entry, lease.from, lease.count)
      if (finished !== null) bench.disk.delete(finished.position)
    }
  }
  return null
}

/** One random life; says what went wrong, or null. */
function live(random: Random, steps: number): string | null {
  const bench = new Bench()
  const model: State[] = []
  const unsettledIn = (entry: Entry) =>
    model.slice(entry.position, entry.position + entry.count).filter((s) => s !== 'settled').length
  for (let step = 0; step < steps; step++) {
    const { lane } = bench
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
      lane.giveBack(back)
      for (const { from, count } of back) model.fill('waiting', from, from + count)
    } else if (kind < 75) {
      const wrong = pull(bench, model, random)
      if (wrong !== null) return `step ${step}: ${wrong}`
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
      const finished = lane.settle(lease.entry, from, count)
      if ((finished !== null) !== (unsettledIn(lease.entry) === 0))
        return `step ${step}: finished is ${finished !== null}`
      // A crash between the two is met by `onLeftover`.
      if (finished !== null && !random.oneIn(10)) bench.disk.delete(finished.position)
    } else if (kind >= 98) {
      bench.restart()
      for (const [p, state] of model.entries()) if (state === 'out') model[p] = 'waiting'
    }
    if (bench.lane.bytes !== bench.bytes()) return `step ${step}: ${bench.lane.bytes} bytes, not ${bench.bytes()}`
    const out = model.filter((state) => state === 'out').length
    const open = model.filter((state) => state !== 'settled').length
    if (bench.lane.inFlight !== out) return `step ${step}: ${bench.lane.inFlight} in flight, not ${out}`
    if (bench.lane.depth !== open) return `step ${step}: depth ${bench.lane.depth}, not ${open}`
    const floor = model.findIndex((state) => state !== 'settled')
    if (bench.lane.settled.floor !== (floor < 0 ? model.length : floor))
      return `step ${step}: floor ${bench.lane.settled.floor}`
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
    const finished = bench.lane.settle(lease.entry, lease.from, lease.count)
    if (finished?.position !== lease.entry.position) t.fail(`entry ${lease.entry.position} is not finished`)
    bench.disk.delete(lease.entry.position)
  }
  return positions
}

t.test('what is beyond the window waits on disk and comes in order', async (t) => {
  const bench = new Bench()
  const entries = WINDOW_ENTRIES + 700
  for (let i = 0; i < entries; i++) bench.append(2)
  const inMemory = Reflect.get(bench.lane, 'ready') as unknown[]
  t.equal(inMemory.length, WINDOW_ENTRIES)
  const taken = bench.take(2) as Lease
  for (let i = 0; i < 10; i++) bench.append(2)
  bench.lane.giveBack([taken])
  bench.leases = []
  const positions: number[] = []
  for (let lease = bench.take(3); lease !== null; lease = bench.take(3)) {
    for (let p = lease.from; p < lease.from + lease.count; p++) positions.push(p)
    bench.lane.settle(lease.entry, lease.from, lease.count)
    bench.disk.delete(lease.entry.position)
    const { length } = Reflect.get(bench.lane, 'ready') as unknown[]
    if (length > WINDOW_ENTRIES + 1) return t.fail(`${length} entries in memory`)
  }
  t.strictSame(
    positions,
    Array.from({ length: 2 * (entries + 10) }, (_, i) => i),
  )
  t.equal(bench.lane.depth, 0)
})

t.test('a restart goes on with what is not settled, also within an entry', async (t) => {
  const bench = new Bench()
  bench.append(10)
  bench.append(1)
  bench.append(5)
  const first = bench.take(100) as Lease
  const second = bench.take(100) as Lease
  bench.lane.settle(first.entry, 2, 3)
  bench.lane.settle(second.entry, 10, 1)
  bench.restart()
  t.equal(bench.lane.depth, 12)
  t.strictSame(
    [bench.take(100), bench.take(100), bench.take(100), bench.take(100)].map(
      (lease) => lease && [lease.from, lease.count],
    ),
    [[0, 2], [5, 5], [11, 5], null],
  )
  t.strictSame(bench.leftovers, [10], 'an entry that was settled but still there is reported')
  const [low, high] = bench.leases as [Lease, Lease]
  t.equal(low.entry, high.entry)
  t.equal(bench.lane.settle(low.entry, 0, 2), null)
  t.equal(bench.lane.settle(high.entry, 5, 5)?.position, 0)
  t.equal(bench.lane.settle(high.entry, 5, 5), null, 'an entry is finished once')
})

t.test('what comes back in pieces goes out as a whole, with its attempts', async (t) => {
  const bench = new Bench()
  bench.append(100)
  const lease = bench.take(100) as Lease
  t.equal(lease.attempt, 1)
  for (const from of [50, 0, 75, 25]) bench.lane.giveBack([{ ...lease, from, count: 25 }])
  const again = bench.take(100) as Lease
  t.strictSame([again.from, again.count, again.attempt], [0, 100, 2])
})

t.test('places given out in a transaction that failed are given out again', async (t) => {
  const bench = new Bench()
  bench.append(3)
  t.equal(bench.lane.place(bench.entryOf(5)).position, 3)
  t.equal(bench.lane.place(bench.entryOf(5)).position, 8)
  const { bytes } = bench.lane
  t.ok(bench.lane.state.bytes > bytes)
  bench.lane.forgetPlaces()
  t.equal(bench.lane.state.bytes, bytes)
  bench.append(4)
  t.strictSame(drain(t, bench), [0, 1, 2, 3, 4, 5, 6])
  t.equal(bench.lane.bytes, 0)
})

t.test('nothing is taken while the disk cannot be read, or when the queue is forgotten', async (t) => {
  const bench = new Bench()
  for (let i = 0; i < WINDOW_ENTRIES + 1; i++) bench.append(1)
  for (let i = 0; i < WINDOW_ENTRIES; i++) bench.take(1)
  bench.readable = false
  t.equal(bench.take(1), null)
  t.strictSame(bench.lane.pull(WINDOW_ENTRIES), [])
  bench.readable = true
  t.equal(bench.take(1)?.from, WINDOW_ENTRIES)
  bench.append(1)
  bench.lane.queue.forgotten = true
  t.equal(bench.take(1), null)
})

t.test('an entry that is on disk before memory knows is given out once', async (t) => {
  const bench = new Bench()
  const entry = bench.lane.place(bench.entryOf(2))
  bench.disk.set(entry.position, entry)
  t.equal(bench.take(10), null)
  t.strictSame(bench.lane.pull(entry.position), [])
  bench.lane.appended(entry)
  t.strictSame(drain(t, bench), [0, 1])
})

t.test('an entry far behind is taken out without reading all that lies before it', async (t) => {
  const bench = new Bench()
  for (let i = 0; i < 20_000; i++) bench.append(1)
  const inMemory = () => (Reflect.get(bench.lane, 'ready') as unknown[]).length
  for (const position of [19_999, 15_000, 5000]) {
    const [lease] = bench.lane.pull(position)
    t.equal(lease?.from, position)
    if (lease === undefined) continue
    t.equal(bench.lane.settle(lease.entry, position, 1)?.position, position)
    bench.disk.delete(position)
  }
  const [back] = bench.lane.pull(10_000)
  bench.lane.giveBack([back as Lease])
  t.ok(inMemory() <= WINDOW_ENTRIES, `${inMemory()} entries in memory`)
  const positions = drain(t, bench)
  t.equal(positions.length, 20_000 - 3)
  t.strictSame(
    positions,
    positions.toSorted((a, b) => a - b),
  )
  t.ok(positions.includes(10_000))
})

t.test('a lane is written with its settled ranges and its bytes', async (t) => {
  const settled = new RangeSet(7, [
    [9, 12],
    [300, 70_000],
  ])
  const back = decodeLaneState(encodeLaneState({ settled, bytes: 123_456_789, retainedBytes: 5 }))
  t.strictSame([back.settled.floor, back.settled.above], [settled.floor, settled.above])
  t.strictSame([back.bytes, back.retainedBytes], [123_456_789, 5])
  t.strictSame(decodeLaneState(undefined).settled.end, 0)
})
