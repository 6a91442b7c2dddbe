// All queues: declared, looked up by name or number, made by the hub for itself and for agents, forgotten. And whether one
// more batch may come in.

import { type Batch, PLAIN } from '#protocol/codec/mod.ts'
import { PRIORITIES, type Range } from '#protocol/session/mod.ts'
import type { Batches } from './batches.ts'
import type { Table } from './disk.ts'
import type { Engine, Work } from './engine.ts'
import { type Entry, endOf, entryAt, type Home, type NewEntry, type Selection } from './entry.ts'
import { storeFault } from './faults.ts'
import type { EntryRow, LaneBook } from './lane-book.ts'
import { FORGET_ENTRIES, QUEUE_NAME_BYTES_MAX, SUBSCRIPTIONS_PER_AGENT_MAX } from './limits.ts'
import { DEFAULT_POLICY, policyOf, QUEUE_DEAD, QUEUE_UNROUTED } from './policy.ts'
import { Queue, type QueueInfo, type QueueRule } from './queue.ts'
import type { Placement } from './store.ts'
import type { TimerRow, Timers } from './timers.ts'
import { nothing, together } from './works.ts'

export const OWNER_HUB = '$hub'
const NO_RULE: QueueRule = { topics: [], where: {} }

/** A placement that may go on to the disk. */
export type Admitted = {
  readonly queue: Queue
  readonly lane: number
  readonly selection: Selection
  readonly count: number
  readonly attributes: Placement['attributes']
  /** Why it goes to the dead letters instead; empty when it does not. */
  readonly refusal: string
  readonly home: Home | null
  readonly note: string
  readonly backNote: string
}

/** What is asked for; a policy that is left out is the default one. */
export type WantedQueue = Omit<QueueInfo, 'id' | 'policy'> & { readonly policy?: QueueInfo['policy'] }

export class Queues {
  readonly unrouted: Queue
  readonly dead: Queue
  /** Called when a queue was made, changed or forgotten. */
  onChanged: () => void = () => {}
  /** Messages go with their queue: gives what has to be written with it. */
  onAbandoned: (queue: Queue, entry: Entry, open: readonly Range[]) => Work[] = () => []
  private readonly engine: Engine
  private readonly book: LaneBook
  private readonly batches: Batches
  private readonly timers: Timers
  private readonly table: Table
  private readonly byName = new Map<string, Queue>()
  private readonly byId = new Map<number, Queue>()
  /** How many durable subscriptions each agent has. */
  private readonly owned = new Map<string, number>()
  /** Declarations under way, by name: they take turns. */
  private readonly declaring = new Map<string, Promise<Queue>>()
  /** Queues of an earlier run that are to be removed. */
  private readonly leftovers: Queue[] = []
  private nextId = 1

  constructor(engine: Engine, book: LaneBook, batches: Batches, timers: Timers) {
    this.engine = engine
    this.book = book
    this.batches = batches
    this.timers = timers
    this.table = engine.table('queues')
    for (const id of this.table.keys()) {
      const stored = JSON.parse(String(this.table.get(id))) as QueueInfo
      const info = { ...stored, policy: { ...DEFAULT_POLICY, ...stored.policy } }
      const queue = this.make(info)
      // What ended with its session, or was being forgotten: another queue may bear its name by now.
      if (info.ephemeral) this.leftovers.push(queue)
      else this.enter(queue)
    }
    // Those that are there keep their policy.
    this.unrouted = this.byName.get(QUEUE_UNROUTED) ?? this.own(QUEUE_UNROUTED, OWNER_HUB)
    this.dead = this.byName.get(QUEUE_DEAD) ?? this.own(QUEUE_DEAD, OWNER_HUB)
    for (const { timer } of timers.all()) {
      const queue = this.byId.get(timer.queueId)
      if (timer.kind === 'due' && queue !== undefined) queue.delayed += timer.entry.count
    }
  }

  get(name: string): Queue | undefined {
    return this.byName.get(name)
  }

  withId(id: number): Queue | undefined {
    return this.byId.get(id)
  }

  all(): Iterable<Queue> {
    return this.byName.values()
  }

  wakeAll(): void {
    for (const queue of this.byName.values()) queue.onReady()
  }

  /** Where the dead letters of a queue go. */
  deadLettersOf(queue: Queue): Queue {
    return this.byName.get(queue.info.policy.deadLetter) ?? this.dead
  }

  /**
   * The queue of that name, made when new; an existing one takes the rule and policy given. Resolves when it is durable.
   * Faults: `QUEUE_CONFLICT` when it belongs to someone else or is ephemeral and shall not be (or the other way round),
   * `QUEUE_LIMIT`, `QUEUE_NAME_INVALID`.
   */
  async declare(wanted: WantedQueue): Promise<Queue> {
    const before = this.declaring.get(wanted.name)
    // The outcome of the one before is its caller's business.
    const turn =
      before === undefined ? this.declareNow(wanted) : before.catch(nothing).then(() => this.declareNow(wanted))
    this.declaring.set(wanted.name, turn)
    try {
      return await turn
    } finally {
      if (this.declaring.get(wanted.name) === turn) this.declaring.delete(wanted.name)
    }
  }

  /**
   * A queue only the hub writes to, or whose rule the hub knows; it is on disk before what comes into it. Faults:
   * `STORE_IO` while the disk cannot be read.
   */
  own(name: string, owner: string, rule: QueueRule = NO_RULE, policy = DEFAULT_POLICY): Queue {
    const known = this.byName.get(name)
    const isSame = known !== undefined && sameRule(known.info, { rule, policy })
    if (known !== undefined && isSame) return known
    const info: QueueInfo = { id: known?.info.id ?? this.nextId++, name, rule, owner, ephemeral: false, policy }
    const bytes = Buffer.from(JSON.stringify(info))
    if (known === undefined) this.enter(this.make(info))
    else Object.assign(known.info, info)
    void this.engine.maintain({ write: () => this.table.put(info.id, bytes), done: nothing })
    this.onChanged()
    return this.byName.get(name) as Queue
  }

  /** Removes a queue and what waits in it. A hub killed in between goes on when it starts. */
  async forget(queue: Queue): Promise<void> {
    if (queue.forgotten) return
    const { id, name } = queue.info
    queue.forgotten = true
    if (this.byName.get(name) === queue) this.leaveName(queue)
    this.onChanged()
    const doomed = Buffer.from(JSON.stringify({ ...queue.info, ephemeral: true }))
    await this.engine.maintain({ write: () => this.table.put(id, doomed), done: nothing })
    // What was settled in it is on disk now. What was on its way to it is when this is, or was refused with this.
    await this.engine.append(0, { write: nothing, done: nothing }).catch(nothing)
    for (
      let rows = this.book.rowsOf(id, FORGET_ENTRIES);
      rows.length > 0;
      rows = this.book.rowsOf(id, FORGET_ENTRIES)
    ) {
      await this.engine.maintain(together(rows.flatMap((row) => this.abandon(queue, row))))
    }
    if (queue.delayed > 0) await this.forgetDelayed(queue)
    const write = () => {
      this.table.remove(id)
      this.book.removeStates(queue)
    }
    await this.engine.maintain({ write, done: () => void this.byId.delete(id) })
  }

  async forgetLeftovers(): Promise<void> {
    for (const queue of this.leftovers.splice(0)) await this.forget(queue)
  }

  /**
   * Whether the messages may come into their queues, by the limits of those: what a batch brings to one queue comes into
   * it together. Faults: `QUEUE_FULL`, with `retry`, when one blocks.
   */
  admit(placements: readonly Placement[], batch: Batch): Admitted[] {
    const full = this.fullFor([{ placements, batch }])
    return placements.map(({ queue, selection, count, partition, attributes, note = '', backNote = '' }) => {
      const lane = this.laneOf(partition, attributes.priority)
      const way = { queue, lane, selection, count, attributes }
      const admitted: Admitted = { ...way, refusal: '', home: null, note, backNote }
      if (queue === this.unrouted) return { ...admitted, lane: 0, refusal: 'NO_ROUTE' }
      if (!full.has(queue)) return admitted
      const aside = { queue: this.deadLettersOf(queue), lane: 0, attributes: PLAIN, refusal: 'QUEUE_FULL' }
      return { ...admitted, ...aside, home: { queueId: queue.info.id, lane }, backNote: note }
    })
  }

  /**
   * Which queues are too full for what comes into them together, of several batches: theirs goes to the dead letters. Faults:
   * `QUEUE_FULL`, with `retry`, when one blocks.
   */
  fullFor(
    parts: readonly {
      readonly placements: readonly Pick<Placement, 'queue' | 'count'>[]
      readonly batch: Batch
    }[],
  ): ReadonlySet<Queue> {
    const brought = new Map<Queue, { count: number; bytes: number }>()
    for (const { placements, batch } of parts) {
      for (const { queue, count } of placements) {
        if (!isLimited(queue)) continue
        const sum = brought.get(queue) ?? { count: 0, bytes: 0 }
        brought.set(queue, sum)
        sum.count += count
        sum.bytes += (batch.bytes.length * count) / batch.count
      }
    }
    const full = new Set<Queue>()
    for (const [queue, sum] of brought) if (this.isFull(queue, sum)) full.add(queue)
    return full
  }

  /** The lane of messages of one priority in one part of a queue. */
  laneOf(partition: number, priority: number): number {
    return partition * PRIORITIES + priority
  }

  /** Messages on their way to the disk count as well. Gives what takes that back. */
  plan(queue: Queue, entry: NewEntry): () => void {
    queue.plannedMessages += entry.count
    queue.plannedBytes += entry.bytes
    return () => {
      queue.plannedMessages -= entry.count
      queue.plannedBytes -= entry.bytes
    }
  }

  /** Whether what comes into the queue together goes to the dead letters. Faults: `QUEUE_FULL`. */
  private isFull(queue: Queue, brought: { readonly count: number; readonly bytes: number }): boolean {
    const { messagesMax, bytesMax, onFull } = queue.info.policy
    const depth = queue.depth + queue.delayed + queue.plannedMessages
    const bytes = queue.bytes + queue.plannedBytes
    const tooMany = messagesMax > 0 && depth + brought.count > messagesMax
    const tooMuch = bytesMax > 0 && bytes + Math.floor(brought.bytes) > bytesMax
    // What is larger than the whole queue may be would wait for ever: an empty queue takes it.
    if (!(tooMany || tooMuch) || depth === 0 || onFull === 'drop-oldest' || queue === this.unrouted) return false
    if (onFull === 'dead-letter') return true
    const limit = tooMany ? `${depth} of ${messagesMax} messages` : `${bytes} of ${bytesMax} bytes`
    throw storeFault('QUEUE_FULL', { where: `queue ${queue.info.name}`, why: limit, retry: true })
  }

  private async declareNow(wanted: WantedQueue): Promise<Queue> {
    const { name, owner, ephemeral, rule } = wanted
    const policy = policyOf(wanted.policy ?? DEFAULT_POLICY)
    const known = this.byName.get(name)
    const where = `queue ${name.slice(0, QUEUE_NAME_BYTES_MAX)}`
    if (known !== undefined && (known.info.owner !== owner || known.info.ephemeral !== ephemeral)) {
      throw storeFault('QUEUE_CONFLICT', { where })
    }
    if (known !== undefined && sameRule(known.info, { rule, policy })) return known
    if (known === undefined) this.mayDeclare(wanted, where)
    const info: QueueInfo = { id: known?.info.id ?? this.nextId++, name, rule, owner, ephemeral, policy }
    const bytes = Buffer.from(JSON.stringify(info))
    // Upkeep: a full store shall not keep consumers from emptying it.
    await this.engine.maintain({ write: () => this.table.put(info.id, bytes), done: nothing })
    if (known === undefined) this.enter(this.make(info))
    else Object.assign(known.info, info)
    this.onChanged()
    return this.byName.get(name) as Queue
  }

  private mayDeclare({ name, owner }: WantedQueue, where: string): void {
    const nameBytes = Buffer.byteLength(name)
    if (nameBytes === 0 || nameBytes > QUEUE_NAME_BYTES_MAX) {
      throw storeFault('QUEUE_NAME_INVALID', { where, why: `it has ${nameBytes} bytes` })
    }
    if (owner !== null && (this.owned.get(owner) ?? 0) >= SUBSCRIPTIONS_PER_AGENT_MAX) {
      throw storeFault('QUEUE_LIMIT', { where: `agent ${owner}` })
    }
  }

  private make(info: QueueInfo): Queue {
    this.nextId = Math.max(this.nextId, info.id + 1)
    const queue = new Queue(info)
    this.book.addLanes(queue)
    this.byId.set(info.id, queue)
    return queue
  }

  private enter(queue: Queue): void {
    const { name, owner } = queue.info
    this.byName.set(name, queue)
    if (owner !== null) this.owned.set(owner, (this.owned.get(owner) ?? 0) + 1)
  }

  private leaveName(queue: Queue): void {
    const { name, owner } = queue.info
    this.byName.delete(name)
    if (owner === null) return
    const left = (this.owned.get(owner) ?? 1) - 1
    if (left > 0) this.owned.set(owner, left)
    else this.owned.delete(owner)
  }

  /** Works for a delayed message whose queue is forgotten, with its timer. */
  abandonDelayed(queue: Queue | undefined, row: TimerRow, entry: NewEntry): Work[] {
    const works: Work[] = [this.timers.remove(row)]
    if (queue !== undefined) works.push(...this.onAbandoned(queue, entryAt(0, entry), [[0, entry.count]]))
    if (entry.batchSeq > 0) works.push(this.batches.release(entry.batchSeq))
    return works
  }

  /** Works that take an entry of a forgotten queue away. */
  private abandon(queue: Queue, { key, entry }: EntryRow): Work[] {
    const lane = (key as number[])[1] as number
    const { position, expiresAtMs, batchSeq } = entry
    const open = queue.lanes.get(lane)?.settled.missing(position, endOf(entry)) ?? []
    const place = { queueId: queue.info.id, lane, position }
    const write = () => {
      this.book.removeRow(key)
      if (expiresAtMs > 0) this.timers.forgetExpire(expiresAtMs, place)
    }
    const works: Work[] = [{ write, done: nothing }, ...this.onAbandoned(queue, entry, open)]
    if (batchSeq > 0) works.push(this.batches.release(batchSeq))
    return works
  }

  private async forgetDelayed(queue: Queue): Promise<void> {
    let works: Work[] = []
    for (const row of this.timers.all()) {
      const { timer } = row
      // One that falls due at this moment goes by itself.
      if (timer.queueId !== queue.info.id || timer.kind !== 'due' || this.timers.isFiring(row)) continue
      works.push(...this.abandonDelayed(queue, row, timer.entry))
      if (works.length < FORGET_ENTRIES) continue
      await this.engine.maintain(together(works))
      works = []
    }
    if (works.length > 0) await this.engine.maintain(together(works))
  }
}

const isLimited = ({ info }: Queue): boolean => info.policy.messagesMax > 0 || info.policy.bytesMax > 0

function sameRule(info: QueueInfo, { rule, policy }: Pick<QueueInfo, 'rule' | 'policy'>): boolean {
  return JSON.stringify([info.rule, info.policy]) === JSON.stringify([rule, policy])
}
