// Queues with an order: what belongs together is out at one consumer at a time, in its order.

import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { openBatch } from '#protocol/codec/mod.ts'
import type { Lane, Lease } from './lane.ts'
import { RETRY_MS, SWEEP_MS } from './limits.ts'
import type { Queue } from './queue.ts'
import { Scene } from './scene.testing.ts'

const A = { name: 'a' }
const B = { name: 'b' }

t.test('a lane is out at one consumer, until nothing of it is in flight', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { order: 'stream', partitions: 4 })
  for (let i = 0; i < 4; i++) await scene.append([{ queue: q, partition: 1 }])
  await scene.append([{ queue: q, partition: 2 }])
  const first = scene.take(q, 1, A) as Lease
  t.equal(first.lane.partition, 1)
  const other = scene.take(q, 10, B) as Lease
  t.equal(other.lane.partition, 2, 'others take what belongs to something else')
  t.equal(scene.take(q, 10, B), null)
  const second = scene.take(q, 1, A) as Lease
  t.equal(second.from, 1, 'the holder goes on')
  await scene.settle(second)
  t.equal(scene.take(q, 10, B), null, 'one is still out')
  let woken = 0
  q.onReady = () => woken++
  await scene.settle(first)
  t.ok(woken > 0, 'others are told')
  t.equal(scene.take(q, 10, B)?.from, 2)
  t.equal(scene.take(q, 10, A), null, 'now it is the other one who holds it')
})

t.test('what a consumer that dies had out comes again, in its old order, to the next one', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { order: 'key', partitions: 1 })
  for (let i = 0; i < 5; i++) await scene.append([q])
  const leases = [1, 2, 3].map(() => scene.take(q, 1, A) as Lease)
  await scene.settle(leases[1] as Lease)
  t.equal(scene.take(q, 1, B), null)
  scene.store.giveBack([leases[2] as Lease, leases[0] as Lease], 'a')
  const again = scene.takeAll(q, 10, B)
  t.strictSame(
    again.map(({ from, attempt }) => [from, attempt]),
    [
      [0, 2],
      [2, 2],
      [3, 1],
      [4, 1],
    ],
  )
})

t.test('a message to be tried again later holds what comes behind it, and only that', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { order: 'stream', partitions: 3 })
  for (let i = 0; i < 2; i++) for (const partition of [0, 1, 2]) await scene.append([{ queue: q, partition }])
  const taken = [1, 2, 3].map(() => scene.take(q, 1, A) as Lease)
  const rest = () => scene.takeAll(q, 10, B).map(({ lane, from }) => `${lane.partition}:${from}`)
  const [zero, one] = [0, 1].map((partition) => taken.find(({ lane }) => lane.partition === partition) as Lease)
  await scene.retry(zero as Lease, 1000)
  await scene.retry(one as Lease, 5000)
  t.strictSame(rest(), [], 'two are held, the third is out at A')
  let woken = 0
  q.onReady = () => woken++
  await scene.pass(1000)
  t.ok(woken > 0, 'told when the first may go on')
  const got = () => scene.takeAll(q, 10, A).map(({ lane, from, attempt }) => [lane.partition, from, attempt])
  t.strictSame(got(), [
    [0, 0, 2],
    [2, 1, 1],
    [0, 1, 1],
  ])
  woken = 0
  await scene.pass(4000)
  t.ok(woken > 0, 'and when the second may')
  t.strictSame(got(), [
    [1, 0, 2],
    [1, 1, 1],
  ])
})

t.test('a clock set back does not hold a lane for longer', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { order: 'stream', partitions: 1 })
  await scene.append([q])
  await scene.retry(scene.take(q) as Lease, 10_000)
  t.equal(scene.take(q), null)
  let woken = 0
  q.onReady = () => woken++
  scene.clock.set(-3_600_000)
  await scene.pass(Math.max(SWEEP_MS, RETRY_MS))
  t.ok(woken > 0)
  t.equal(scene.take(q)?.attempt, 2)
})

/** One random life of an ordered queue with three consumers; says what went wrong, or null. */
class Life {
  private readonly random: Random
  private readonly scene: Scene
  private q: Queue
  private readonly consumers = [A, B, { name: 'c' }]
  private out: { lease: Lease; at: object }[] = []
  /** By stream, in order: what is not settled, and who has it. */
  private readonly model = new Map<string, { seq: number; at: object | null }[]>()
  private readonly sent = new Map<string, number>()
  settled = 0

  constructor(random: Random, scene: Scene, q: Queue) {
    this.random = random
    this.scene = scene
    this.q = q
  }

  private readonly partitionOf = (stream: string) => Number(stream) % 3

  async step(): Promise<string | null> {
    const kind = this.random.below(100)
    if (kind < 30) await this.send()
    else if (kind < 65) return this.take()
    else if (kind < 85) await this.end()
    else if (kind < 93) this.die()
    else if (kind < 98) await this.scene.pass(this.random.below(200))
    else await this.restart()
    return null
  }

  private async send(): Promise<void> {
    const stream = String(this.random.below(5))
    const count = 1 + this.random.below(5)
    const done = this.scene.append([{ queue: this.q, partition: this.partitionOf(stream) }], { stream, count })
    if (this.random.oneIn(6)) this.scene.failing = 1
    const ok = await done.then(
      () => true,
      () => false,
    )
    await this.scene.written()
    this.scene.failing = 0
    if (!ok) return
    const first = (this.sent.get(stream) ?? 0) + 1
    this.sent.set(stream, first + count - 1)
    const list = this.model.get(stream) ?? []
    for (let seq = first; seq < first + count; seq++) list.push({ seq, at: null })
    this.model.set(stream, list)
  }

  private take(): string | null {
    const at = this.random.pick(this.consumers)
    const lease = this.scene.take(this.q, 1 + this.random.below(4), at)
    if (lease === null) return null
    const { stream } = openBatch(this.scene.store.batchBytes(lease.entry.batchSeq)).head
    for (const seq of this.scene.numbers(lease)) {
      const list = this.model.get(stream) ?? []
      const message = list.find((one) => one.seq === seq)
      if (message === undefined) return `${stream}/${seq} came again after it was settled, or was never sent`
      if (message.at !== null) return `${stream}/${seq} is out twice`
      for (const one of list) {
        if (one.at !== null && one.at !== at) return `${stream}/${seq} came while ${one.seq} is out at another consumer`
        if (one.seq < seq && one.at === null) return `${stream}/${seq} came before ${one.seq}`
      }
      message.at = at
    }
    this.out.push({ lease, at })
    return null
  }

  /** What is settled, given back or tried again is always the newest that is out: as consumers that keep an order do. */
  private async end(): Promise<void> {
    const last = this.out.findLast(
      ({ lease, at }) => !this.out.some((o) => o.at === at && o.lease.lane === lease.lane && o.lease.from < lease.from),
    )
    if (last === undefined) return
    this.out = this.out.filter((one) => one !== last)
    const { lease } = last
    const alone = !this.out.some((one) => one.lease.lane === lease.lane)
    if (this.random.oneIn(4) && alone) {
      this.forget(lease, false)
      await this.scene.retry(lease, this.random.below(2) * 100)
      return
    }
    this.settled += lease.count
    this.forget(lease, true)
    const done = this.scene.settle(lease)
    if (this.random.oneIn(8)) this.scene.failing = 1
    await done
    this.scene.failing = 0
  }

  private forget(lease: Lease, gone: boolean): void {
    const { stream } = openBatch(this.scene.store.batchBytes(lease.entry.batchSeq)).head
    const numbers = new Set(this.scene.numbers(lease))
    const list = this.model.get(stream) ?? []
    for (const one of list) if (numbers.has(one.seq)) one.at = null
    if (gone)
      this.model.set(
        stream,
        list.filter(({ seq }) => !numbers.has(seq)),
      )
  }

  private die(): void {
    const at = this.random.pick(this.consumers)
    const back = this.out.filter((one) => one.at === at).map(({ lease }) => lease)
    this.out = this.out.filter((one) => one.at !== at)
    for (const lease of back) this.forget(lease, false)
    this.scene.store.giveBack(back, 'x')
  }

  async restart(): Promise<void> {
    await this.scene.restart()
    this.q = this.scene.named('q')
    this.out = []
    for (const list of this.model.values()) for (const one of list) one.at = null
  }

  /** Everything that was sent is settled in the end. */
  async finish(): Promise<string | null> {
    await this.restart()
    for (let quiet = 0; quiet < 50; quiet++) {
      while (this.q.depth > 0) {
        const before = this.q.depth
        const wrong = this.take()
        if (wrong !== null) return wrong
        await this.end()
        if (this.q.depth === before) await this.scene.pass(100)
      }
    }
    const left = [...this.model].filter(([, list]) => list.length > 0)
    const lanes: Lane[] = [...this.q.lanes.values()]
    if (lanes.some(({ inFlight }) => inFlight > 0)) return 'something is in flight for ever'
    return left.length === 0 ? null : `lost: ${JSON.stringify(left.map(([stream, list]) => [stream, list.length]))}`
  }
}

t.test(
  'whatever consumers do and whatever fails: no stream out of order, nothing lost, nothing out twice',
  { timeout: 500_000 },
  async (t) => {
    const seed = testSeed()
    t.comment(`SEED=${seed}`)
    const random = new Random(seed)
    for (let round = 0; round < 5; round++) {
      const scene = await Scene.open(t)
      const q = await scene.queue('q', { order: 'stream', partitions: 3 })
      const life = new Life(random, scene, q)
      for (let step = 0; step < 150; step++) {
        const wrong = await life.step()
        if (wrong !== null) return t.fail(`round ${round}, step ${step}: ${wrong}`)
      }
      const wrong = await life.finish()
      if (wrong !== null) return t.fail(`round ${round}: ${wrong}`)
      const { batches } = await scene.contents(t, `round ${round}: ${life.settled} messages`)
      t.equal(batches.size, 0)
    }
  },
)
