// What the hub tells an origin: each message that asked gets exactly one final state, whatever becomes of its copies.

import t, { type Test } from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { openBatch } from '#protocol/codec/mod.ts'
import { FINAL_STATES, type FinalState } from './fates.ts'
import type { Lease } from './lane.ts'
import type { Queue } from './queue.ts'
import type { Receipt } from './receipts.ts'
import { failureOf, Scene } from './scene.testing.ts'

const FINAL = { receipts: 'final' } as const
const brief = (receipts: readonly Receipt[]) =>
  receipts.map(({ from, to, state, queue, reason }) => `${from}-${to} ${state} ${queue} ${reason}`.trim())

t.test('a message with one copy is told when it is settled, as a range with its neighbours', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  await scene.append([q], { count: 6, ...FINAL })
  await scene.append([q], { count: 2 })
  const lease = scene.take(q) as Lease
  await scene.settle(lease, 0, 3)
  await scene.reject(lease, 'BAD', 3, 1)
  await scene.settle(lease, 4, 2)
  await scene.drain(q)
  const receipts = await scene.receipts()
  t.strictSame(brief(receipts), ['1-3 processed q', '4-4 rejected q BAD', '5-6 processed q'])
  t.match(receipts[0], { stream: 's', epoch: 1, by: 'reader', atMs: scene.clock.wallMs() })
  await scene.drain(scene.store.queues.dead)
  t.strictSame(await scene.receipts(), [], 'what becomes of a dead letter is nobody told')
  const { batches } = await scene.contents(t)
  t.equal(batches.size, 0)
})

t.test('with several copies the last one decides when, and the worst one what is told', async (t) => {
  const scene = await Scene.open(t)
  const [a, b, c] = (await Promise.all(['a', 'b', 'c'].map((name) => scene.queue(name)))) as [Queue, Queue, Queue]
  await scene.append([a, { queue: b, selection: [0, 2] }, { queue: c, selection: [1, 2] }], { count: 4, ...FINAL })
  const [inA, inB, inC] = [a, b, c].map((queue) => scene.take(queue) as Lease) as [Lease, Lease, Lease]
  await scene.reject(inA, 'BAD')
  t.strictSame(brief(await scene.receipts()), ['4-4 rejected a BAD'])
  await scene.settle(inC)
  t.strictSame(brief(await scene.receipts()), ['3-3 rejected a BAD'])
  await scene.restart()
  const again = scene.take(scene.named('b')) as Lease
  t.equal(inB.count, 2)
  await scene.settle(again)
  t.strictSame(brief(await scene.receipts()), ['1-2 rejected a BAD'])
  await scene.contents(t)
})

t.test('what no queue wants or has room for is told at once, unless a copy is still on its way', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  const full = await scene.queue('full', { messagesMax: 1, onFull: 'dead-letter' })
  await scene.append([full])
  await scene.append([scene.store.unrouted], { count: 3, ...FINAL })
  await scene.append([full], { count: 2, ...FINAL })
  await scene.append([q, full], { count: 2, ...FINAL })
  t.strictSame(brief(await scene.receipts()), ['2-4 rejected $unrouted NO_ROUTE', '5-6 rejected full QUEUE_FULL'])
  await scene.drain(q)
  t.strictSame(brief(await scene.receipts()), ['7-8 rejected full QUEUE_FULL'])
  await scene.drain(scene.store.unrouted)
  t.strictSame(await scene.receipts(), [])
  await scene.contents(t)
})

t.test('delivered is told for each delivery, to those who asked for it', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  await scene.append([{ queue: q, selection: [0, 2, 4, 1] }], { count: 5, receipts: 'all' })
  await scene.append([q], FINAL)
  const [first, second] = scene.takeAll(q) as [Lease, Lease]
  for (const lease of [first, second]) scene.store.delivered(lease, 'reader')
  await scene.retry(first, 100, 0, 1)
  await scene.written()
  t.strictSame(brief(await scene.receipts()), ['1-2 delivered q', '5-5 delivered q'])
  await scene.pass(100)
  scene.store.delivered(scene.take(q) as Lease, 'reader')
  await scene.written()
  t.strictSame(brief(await scene.receipts()), ['1-1 delivered q'])
  await scene.contents(t)
})

t.test('expired, dropped and given up are told; moved and put back are not', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { maxDeliver: 2 })
  const other = await scene.queue('other')
  await scene.append([q], { ...FINAL, headers: { ':ttl': 1000 } })
  await scene.append([q], { count: 3, ...FINAL })
  await scene.pass(1000)
  await scene.retry(scene.take(q, 1) as Lease, 10)
  await scene.pass(10)
  t.match(
    await scene.redrive('q', { to: 'other', filter: { ids: [{ origin: 'agent', stream: 's', epoch: 1, seq: 3 }] } }),
    {
      moved: 1,
    },
  )
  await scene.purge('q', { ids: [{ origin: 'agent', stream: 's', epoch: 1, seq: 4 }] })
  await scene.retry(scene.take(q, 1) as Lease, 0)
  t.strictSame(brief(await scene.receipts()), [
    '1-1 expired q EXPIRED',
    '4-4 dropped q',
    '2-2 rejected q MAX_DELIVER: 2 deliveries, last: later',
  ])
  await scene.drain(other)
  t.strictSame(brief(await scene.receipts()), ['3-3 processed other'])
  await scene.contents(t)
})

t.test('a batch that is refused leaves nothing behind', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  scene.failing = 1
  t.equal(await failureOf(scene.append([q], { count: 2, ...FINAL })), 'STORE_FULL')
  t.equal((Reflect.get(Reflect.get(scene.store, 'fates') as object, 'changed') as Map<number, unknown>).size, 0)
  await scene.append([q], { count: 2, ...FINAL })
  await scene.drain(q)
  t.strictSame(brief(await scene.receipts()), ['1-2 processed q'])
  await scene.contents(t)
})

type Copy = 'waiting' | 'out' | FinalState
type Message = { readonly expiresAtMs: number; readonly copies: Map<string, Copy>; told: FinalState | null }

/** One random life with messages of up to three copies, and what has to be told of them. */
class Life {
  private readonly random: Random
  private readonly scene: Scene
  private readonly names: readonly string[]
  private readonly model = new Map<number, Message>()
  private leases: Lease[] = []
  private next = 1
  told = 0

  constructor(random: Random, scene: Scene, names: readonly string[]) {
    this.random = random
    this.scene = scene
    this.names = names
  }

  async step(): Promise<string | null> {
    const kind = this.random.below(100)
    if (this.random.oneIn(12)) this.scene.failing = 1
    if (kind < 25) await this.send()
    else if (kind < 50) this.take()
    else if (kind < 80) await this.end()
    else if (kind < 86) await this.purge()
    else if (kind < 96) await this.pass()
    else await this.restart()
    this.scene.failing = 0
    await this.scene.written()
    return this.random.oneIn(4) ? await this.hear() : null
  }

  private async send(): Promise<void> {
    const count = 1 + this.random.below(6)
    const lives = this.random.oneIn(3) ? 1 + this.random.below(300) : 0
    const targets = this.names.flatMap((name): { queue: Queue; selection: readonly number[] | null }[] => {
      if (this.random.oneIn(3)) return []
      const queue = this.scene.named(name)
      const from = this.random.below(count)
      return this.random.oneIn(2)
        ? [{ queue, selection: null }]
        : [{ queue, selection: [from, 1 + this.random.below(count - from)] }]
    })
    const messages = Array.from({ length: count }, (_, place): Message => {
      const copies = new Map<string, Copy>()
      for (const { queue, selection } of targets) {
        const [from = 0, run = count] = selection ?? []
        if (place >= from && place < from + run) copies.set(queue.info.name, 'waiting')
      }
      return {
        expiresAtMs: lives === 0 ? Number.POSITIVE_INFINITY : this.scene.clock.wallMs() + lives,
        copies,
        told: null,
      }
    })
    const lost = messages.flatMap(({ copies }, place) => (copies.size === 0 ? [place, 1] : []))
    const all = lost.length === 0 ? targets : [...targets, { queue: this.scene.store.unrouted, selection: lost }]
    for (const { copies } of messages) if (copies.size === 0) copies.set('$unrouted', 'rejected')
    const headers = lives === 0 ? {} : { ':ttl': lives }
    const failed = await failureOf(this.scene.append(all, { count, ...FINAL, headers }))
    if (failed !== null) return
    for (const message of messages) this.model.set(this.next++, message)
  }

  private messagesIn(lease: Lease): Message[] {
    return this.scene.numbers(lease).map((seq) => this.model.get(seq) as Message)
  }

  private mark(lease: Lease, state: Copy): void {
    for (const message of this.messagesIn(lease)) {
      const isOver = state === 'waiting' && message.expiresAtMs <= this.scene.clock.wallMs()
      message.copies.set(lease.lane.queue.info.name, isOver ? 'expired' : state)
    }
  }

  private take(): void {
    const queue = this.scene.named(this.random.pick(this.names))
    const lease = this.scene.take(queue, 1 + this.random.below(8))
    if (lease === null) return
    this.mark(lease, 'out')
    this.leases.push(lease)
  }

  private async end(): Promise<void> {
    const lease = this.random.pick(this.leases)
    if (lease === undefined) return
    const from = lease.from + this.random.below(lease.count)
    const count = 1 + this.random.below(lease.from + lease.count - from)
    const part = { ...lease, from, count }
    const rest = [
      { ...lease, count: from - lease.from },
      { ...lease, from: from + count, count: lease.from + lease.count - from - count },
    ]
    this.leases = [...this.leases.filter((other) => other !== lease), ...rest.filter((one) => one.count > 0)]
    const kind = this.random.below(10)
    this.mark(part, kind < 5 ? 'processed' : kind < 7 ? 'rejected' : 'waiting')
    if (kind < 5) await this.scene.settle(part)
    else if (kind < 7) await this.scene.reject(part, 'BAD')
    else await this.scene.retry(part, this.random.below(2) * this.random.below(100))
  }

  private async purge(): Promise<void> {
    const name = this.random.pick(this.names)
    const { messages } = await this.scene.purge(name)
    let purged = 0
    // Those that wait for another try are not in the queue.
    const delayed = this.delayedIn(name)
    for (const [seq, { copies }] of this.model) {
      if (copies.get(name) !== 'waiting' || delayed.has(seq)) continue
      copies.set(name, 'dropped')
      purged++
    }
    if (purged !== messages) throw new Error(`purged ${messages}, not ${purged}`)
  }

  private delayedIn(name: string): Set<number> {
    const numbers = new Set<number>()
    const queue = this.scene.named(name)
    for (const { timer } of this.scene.store.timers.all()) {
      if (timer.kind !== 'due' || timer.queueId !== queue.info.id) continue
      const { firstSeq } = openBatch(this.scene.store.batchBytes(timer.entry.batchSeq)).head
      const pairs = timer.entry.selection ?? [0, timer.entry.count]
      for (let i = 0; i < pairs.length; i += 2)
        for (let j = 0; j < (pairs[i + 1] as number); j++) numbers.add(firstSeq + (pairs[i] as number) + j)
    }
    return numbers
  }

  private async pass(): Promise<void> {
    await this.scene.pass(this.random.below(150))
    await this.scene.pass(0)
    const delayed = new Map(this.names.map((name) => [name, this.delayedIn(name)]))
    for (const [seq, { copies, expiresAtMs }] of this.model) {
      for (const [name, copy] of copies) {
        const waits = copy === 'waiting' && !delayed.get(name)?.has(seq)
        if (waits && expiresAtMs <= this.scene.clock.wallMs()) copies.set(name, 'expired')
      }
    }
  }

  async restart(): Promise<void> {
    await this.scene.restart()
    for (const { copies } of this.model.values())
      for (const [name, copy] of copies) if (copy === 'out') copies.set(name, 'waiting')
    this.leases = []
    await this.pass()
  }

  /** Everything is settled in the end. */
  async finish(): Promise<string | null> {
    await this.restart()
    await this.scene.pass(1000)
    await this.pass()
    for (const name of this.names) {
      const queue = this.scene.named(name)
      for (const lease of this.scene.takeAll(queue)) {
        this.mark(lease, 'processed')
        await this.scene.settle(lease)
      }
    }
    const wrong = await this.hear()
    const silent = [...this.model].filter(([, { told }]) => told === null)
    return wrong ?? (silent.length === 0 ? null : `${silent.length} were never told: ${silent[0]}`)
  }

  private async hear(): Promise<string | null> {
    for (const { from, to, state, reason } of await this.scene.receipts()) {
      for (let seq = from; seq <= to; seq++) {
        const message = this.model.get(seq)
        if (message === undefined) return `${seq} was never accepted, and told ${state}`
        if (message.told !== null) return `${seq} was told ${message.told}, and now ${state}`
        const copies = [...message.copies.values()]
        const expected = expectedOf(copies)
        if (expected !== state) return `${seq} was told ${state} (${reason}), its copies are ${copies}`
        message.told = state as FinalState
        this.told++
      }
    }
    for (const [seq, { copies, told }] of this.model) {
      const expected = expectedOf([...copies.values()])
      if (told === null && expected !== null) return `${seq} is ${expected} and was not told`
    }
    return null
  }
}

/** The worst state of all copies; `null` while one is open. */
function expectedOf(copies: readonly Copy[]): FinalState | null {
  let worst = 0
  for (const copy of copies) {
    const rank = FINAL_STATES.indexOf(copy as FinalState)
    if (rank < 0) return null
    worst = Math.max(worst, rank)
  }
  return FINAL_STATES[worst] as FinalState
}

async function live(t: Test, random: Random, round: number): Promise<boolean> {
  const scene = await Scene.open(t)
  const names = ['a', 'b', 'c'].slice(0, 1 + (round % 3))
  for (const name of names) await scene.queue(name)
  const life = new Life(random, scene, names)
  for (let step = 0; step < 120; step++) {
    const wrong = await life.step()
    if (wrong !== null) return t.fail(`round ${round}, step ${step}: ${wrong}`)
  }
  const wrong = await life.finish()
  if (wrong !== null) return t.fail(`round ${round}: ${wrong}`)
  await scene.contents(t, `round ${round}: ${life.told} messages`)
  return true
}

t.test(
  'each message is told once, with the worst of its copies, whatever happens and fails',
  { timeout: 500_000 },
  async (t) => {
    const seed = testSeed()
    t.comment(`SEED=${seed}`)
    const random = new Random(seed)
    for (let round = 0; round < 6; round++) if (!(await live(t, random, round))) return
  },
)

t.test('an agent that does not collect its receipts sends no more that ask for them, and loses none', async (t) => {
  const scene = await Scene.open(t, { receiptsBytesMax: 1000 })
  const q = await scene.queue('q')
  await scene.append([q], { count: 12, receipts: 'all' })
  // One by one: a receipt of some 140 bytes each.
  const lease = scene.take(q) as Lease
  for (let i = 0; i < 12; i++) await (i % 2 === 0 ? scene.settle(lease, i, 1) : scene.reject(lease, 'BAD', i, 1))
  const queue = scene.named('receipts/agent')
  t.ok(queue.bytes > 1000, `${queue.bytes} bytes: what was taken before is told all the same`)
  t.equal(await failureOf(scene.append([q], FINAL)), 'RECEIPTS_FULL')
  t.equal(await failureOf(scene.append([q], { receipts: 'all' })), 'RECEIPTS_FULL')
  await scene.append([q])
  await scene.append([q], { stream: 'other' })
  await scene.restart()
  t.equal(await failureOf(scene.append([scene.named('q')], FINAL)), 'RECEIPTS_FULL', 'also after a restart')
  t.equal((await scene.receipts()).length, 12)
  await scene.append([scene.named('q')], { count: 2, receipts: 'all' })
  scene.store.delivered(scene.take(scene.named('q')) as Lease, 'reader')
  await scene.contents(t)
})

t.test('deliveries are not told while an agent has too many receipts; the final one is', async (t) => {
  const scene = await Scene.open(t, { receiptsBytesMax: 300 })
  const q = await scene.queue('q')
  await scene.append([q], { receipts: 'all' })
  for (let attempt = 0; attempt < 20; attempt++) {
    const lease = scene.take(q) as Lease
    scene.store.delivered(lease, 'reader')
    await scene.retry(lease)
    await scene.written()
  }
  await scene.drain(q)
  const states = (await scene.receipts()).map(({ state }) => state)
  t.equal(states.at(-1), 'processed')
  t.ok(states.length < 6, states.join(' '))
  await scene.contents(t)
})
