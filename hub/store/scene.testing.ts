// A store on a real disk with a clock of its own, and the few moves that tests of queues are made of.

import type { Test } from 'tap'
import { Fault } from '#protocol/base/mod.ts'
import type { Headers, Receipts } from '#protocol/codec/mod.ts'
import { openBatch, parseRecord } from '#protocol/codec/mod.ts'
import { Admin, type Progress } from './admin.ts'
import { placesOf, type Selection } from './entry.ts'
import { storeFault } from './faults.ts'
import type { Lease } from './lane.ts'
import { policyOf, type QueuePolicy, receiptsOf } from './policy.ts'
import type { Queue } from './queue.ts'
import type { Receipt } from './receipts.ts'
import type { HubStore, Placement, StoreClock, StoreOptions } from './store.ts'
import { type Contents, contentsOf, openStore, placement, sealed } from './testing.ts'

/** Time that passes when it is told to. */
export class TestClock implements StoreClock {
  private offsetMs = 1_780_000_000_000
  private passedMs = 0
  private readonly tasks = new Map<object, { atMs: number; run: () => void }>()

  wallMs(): number {
    return this.offsetMs + this.passedMs
  }

  schedule(ms: number, run: () => void): () => void {
    const task = {}
    this.tasks.set(task, { atMs: this.passedMs + ms, run })
    return () => void this.tasks.delete(task)
  }

  pass(ms: number): void {
    this.passedMs += ms
    for (const [task, { atMs, run }] of [...this.tasks]) {
      if (atMs > this.passedMs || !this.tasks.delete(task)) continue
      run()
    }
  }

  /** Somebody sets the wall clock. */
  set(byMs: number): void {
    this.offsetMs += byMs
  }
}

export type Sent = {
  readonly count?: number
  readonly stream?: string
  readonly headers?: Headers
  readonly receipts?: Receipts
  readonly bodyBytes?: number
  readonly topic?: string
}

/** Where messages of a batch go: all of them, those of a selection, or a part of an ordered queue. */
export type Target = Queue | { readonly queue: Queue; readonly selection?: Selection; readonly partition?: number }

const WAITING: Progress = { report: () => undefined, cancelled: false }

export class Scene {
  store: HubStore
  readonly clock: TestClock
  readonly dataDir: string
  readonly faults: string[] = []
  /** Transactions that fail before the next one succeeds. */
  failing = 0
  /** Transactions that are reported as failed although they are in the file, after those. */
  lying = 0
  private readonly options: Partial<StoreOptions>

  private constructor(store: HubStore, dataDir: string, clock: TestClock, options: Partial<StoreOptions>) {
    this.store = store
    this.dataDir = dataDir
    this.clock = clock
    this.options = options
  }

  static async open(t: Test, options: Partial<StoreOptions> = {}): Promise<Scene> {
    const clock = new TestClock()
    const { dataDir = t.testdir() } = options
    const scene = new Scene(await openStore(dataDir, { clock, ...options }), dataDir, clock, options)
    scene.breakable()
    t.teardown(() => scene.store.close())
    return scene
  }

  /** Ends the store in order and opens it again; consumers and their leases are gone. */
  async restart(): Promise<void> {
    await this.store.close()
    this.store = await openStore(this.dataDir, { clock: this.clock, ...this.options })
    this.breakable()
  }

  /** Closes the store and reads its files; nothing may contradict itself. */
  async contents(t: Test, why = 'nothing contradicts itself'): Promise<Contents> {
    await this.store.close()
    const contents = await contentsOf(this.dataDir)
    t.strictSame(contents.problems, [], why)
    return contents
  }

  /** The same, and goes on with the store. */
  async check(t: Test, why?: string): Promise<Contents> {
    const contents = await this.contents(t, why)
    await this.restart()
    return contents
  }

  queue(name: string, policy: Partial<QueuePolicy> = {}, owner: string | null = null): Promise<Queue> {
    const rule = { topics: ['t'], where: {} }
    return this.store.queues.declare({ name, rule, owner, ephemeral: false, policy: policyOf(policy) })
  }

  /** A queue by its name, after a restart. */
  named(name: string): Queue {
    const queue = this.store.queues.get(name)
    if (queue === undefined) throw new Error(`there is no queue ${name}`)
    return queue
  }

  /** Appends a batch to its stream's end. */
  async append(targets: readonly Target[], sent: Sent = {}): Promise<void> {
    const { count = 1, stream: name = 's' } = sent
    const stream = this.store.stream('agent', name, 1)
    try {
      const batch = sealed({ ...sent, count, stream: name, firstSeq: stream.plannedSeq + 1 })
      const placements = targets.map((target): Placement => {
        return 'queue' in target ? placement(target.queue, batch, target) : placement(target, batch)
      })
      await this.store.append(stream, batch, placements)
    } finally {
      this.store.closeStream(stream)
    }
  }

  take(queue: Queue, messagesMax = 1000, holder: object = this): Lease | null {
    return this.store.take(queue, messagesMax, holder)
  }

  takeAll(queue: Queue, messagesMax = 1000, holder: object = this): Lease[] {
    const leases: Lease[] = []
    for (
      let lease = this.take(queue, messagesMax, holder);
      lease !== null;
      lease = this.take(queue, messagesMax, holder)
    )
      leases.push(lease)
    return leases
  }

  /** Sequence numbers of a lease's messages, read from the stored batch. */
  numbers(lease: Lease): number[] {
    return numbersIn(this.store, lease)
  }

  settle(lease: Lease, from = lease.from, count = lease.count): Promise<void> {
    return this.store.settle(lease, [from, from + count], 'processed', { reason: '', by: 'reader' })
  }

  reject(lease: Lease, reason: string, from = lease.from, count = lease.count): Promise<void> {
    return this.store.settle(lease, [from, from + count], 'rejected', { reason, by: 'reader' })
  }

  retry(lease: Lease, delayMs = 0, from = lease.from, count = lease.count): Promise<void> {
    return this.store.retry(lease, [from, from + count], { delayMs, reason: 'later', by: 'reader' })
  }

  /** Takes and settles whatever there is; gives its numbers in order. */
  async drain(queue: Queue): Promise<number[]> {
    const leases = this.takeAll(queue)
    const numbers = leases.flatMap((lease) => this.numbers(lease))
    await Promise.all(leases.map((lease) => this.settle(lease)))
    return numbers
  }

  /** Time passes, and what falls due is done and on disk. */
  async pass(ms: number): Promise<void> {
    this.clock.pass(ms)
    await this.store.upkeep.step()
    await this.store.upkeep.step()
  }

  /** Takes and settles the agent's receipts. */
  async receipts(agent = 'agent'): Promise<Receipt[]> {
    const queue = this.store.queues.get(receiptsOf(agent))
    if (queue === undefined) return []
    const leases = this.takeAll(queue)
    await Promise.all(leases.map((lease) => this.settle(lease)))
    return leases.map(({ entry }) => JSON.parse(entry.note) as Receipt)
  }

  admin(route: (firstSeq: number, count: number) => readonly Target[] = () => []): Admin {
    return new Admin({
      store: this.store,
      consumersOf: () => 0,
      abandon: () => undefined,
      route: (batch) =>
        route(batch.head.firstSeq, batch.count).map((target) => {
          return 'queue' in target ? placement(target.queue, batch, target) : placement(target, batch)
        }),
    })
  }

  purge(queue: string, filter = {}): Promise<{ messages: number }> {
    return this.admin().purge(queue, filter, WAITING)
  }

  redrive(queue: string, options: { filter?: object; to?: string } = {}, admin = this.admin()) {
    return admin.redrive(queue, { filter: {}, ...options }, WAITING)
  }

  /** Resolves when everything given to the disk so far is there, with what follows from it. */
  async written(): Promise<void> {
    const engine = Reflect.get(this.store, 'engine') as { maintain(work: object): Promise<void> }
    for (let i = 0; i < 3; i++) await engine.maintain({ write: () => undefined, done: () => undefined })
  }

  /** Lets transactions fail on the real disk: nothing of them is written, or all of it. */
  private breakable(): void {
    const disk = Reflect.get(Reflect.get(this.store, 'engine') as object, 'disk') as { commit(): Promise<void> }
    const commit = disk.commit.bind(disk)
    disk.commit = async () => {
      const fails = this.failing > 0
      const known = Reflect.get(disk, 'transaction') as number
      if (!fails) await commit()
      if (!fails && this.lying === 0) return
      if (fails) this.failing--
      else {
        this.lying--
        Reflect.set(disk, 'transaction', known)
      }
      throw storeFault(fails ? 'STORE_FULL' : 'STORE_IO', { why: 'the test says so', retry: true })
    }
  }
}

export function numbersIn(store: HubStore, lease: Lease): number[] {
  const batch = openBatch(store.batchBytes(lease.entry.batchSeq))
  const { envelopes } = batch.index()
  const payload = batch.open()
  const places = placesOf(lease.entry, lease.from - lease.entry.position, lease.count)
  return places.map((place) => parseRecord(payload.record(place), envelopes).body.readUIntBE(0, 6))
}

/** from … to, both included. */
export const upTo = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i)

/** The code of the fault a promise fails with; `null` when it does not. */
export async function failureOf(promise: Promise<unknown>): Promise<string | null> {
  try {
    await promise
    return null
  } catch (error) {
    if (error instanceof Fault) return error.code
    throw error
  }
}
