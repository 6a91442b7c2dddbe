// How messages leave their place: processed, rejected, tried again later, expired, dropped, or moved by an operator. Each is
// one transaction: settled here and, if they go on, placed there; what the origin and the trace are told is part of it.

import { asFault, type Fault } from '#protocol/base/mod.ts'
import { FLAG_RECEIPT_FINAL } from '#protocol/codec/mod.ts'
import type { Range } from '#protocol/session/mod.ts'
import type { Batches } from './batches.ts'
import { type Conveyed, type Copies, sorted } from './conveyed.ts'
import type { Engine, Work } from './engine.ts'
import { type Entry, type NewEntry, pairsOf, partOf, placesOf, selectionOf, settledBytes } from './entry.ts'
import type { Fates, FinalState, Places } from './fates.ts'
import type { Lane, Lease } from './lane.ts'
import type { LaneBook } from './lane-book.ts'
import { DROPS_PER_STEP, REASON_LENGTH_MAX } from './limits.ts'
import { retains } from './policy.ts'
import type { Queue } from './queue.ts'
import type { Queues } from './queues.ts'
import type { Receipts } from './receipts.ts'
import type { StoreClock } from './store.ts'
import type { Timers } from './timers.ts'
import type { Trace, TracePlace, TraceWhat } from './trace.ts'
import { nothing, together } from './works.ts'

/** A work that gives an entry a position; `placed` is `null` for one that waits outside of its lane. */
export type PlaceWork = Work & { readonly placed: Entry | null }

type Parts = {
  readonly engine: Engine
  readonly batches: Batches
  readonly book: LaneBook
  readonly fates: Fates
  readonly queues: Queues
  readonly receipts: Receipts
  readonly timers: Timers
  readonly trace: Trace
  readonly clock: StoreClock
  onFault(fault: Fault): void
}

/** Messages from … from+count-1 of a lease, and what becomes of them. */
type Ending = {
  readonly lease: Lease
  readonly from: number
  readonly count: number
  readonly what: TraceWhat
  /** The origin is told this; `null` when their fate is not decided by it. */
  readonly final: FinalState | null
  readonly by: string
  readonly reason: string
  readonly detail?: unknown
  /** Where they go on, each a copy; nowhere when empty. */
  readonly to: readonly Destination[]
}

type Destination = { readonly queue: Queue; readonly lane: number; readonly entry: NewEntry; readonly dueAtMs: number }

type Told = { readonly reason: string; readonly by: string }

export class Endings {
  settledMessages = 0
  /** Told how long messages were at the hub until they were processed, for those who count. */
  onSettled: (queue: Queue, count: number, acceptedMs: number, attempt: number) => void = () => {}
  /** A queue is to be looked at again at a time: see `Upkeep`. */
  onHeld: (queue: Queue, atMs: number) => void = () => {}
  private readonly parts: Parts
  /** Endings that came while the disk could not be read. */
  private waiting: (() => void)[] = []

  constructor(parts: Parts) {
    this.parts = parts
  }

  /** Resolves at once, or when the disk can be read again and those who asked before have gone on. */
  whenReadable(): Promise<void> {
    const isFree = this.parts.engine.readable && this.waiting.length === 0
    return isFree ? Promise.resolve() : new Promise((resolve) => this.waiting.push(resolve))
  }

  /** The disk can be read again. */
  goOn(): void {
    for (const end of this.waiting.splice(0)) end()
  }

  processed(lease: Lease, from: number, count: number, by: string): Promise<void> {
    lease.lane.queue.counters.processed += count
    this.onSettled(lease.lane.queue, count, this.nowMs() - lease.entry.storedAtMs, lease.attempt)
    return this.end({ lease, from, count, what: 'processed', final: 'processed', by, reason: '', to: [] })
  }

  /** To the dead letters, with the reason. */
  rejected(lease: Lease, from: number, count: number, { reason, by }: Told): Promise<void> {
    lease.lane.queue.counters.rejected += count
    return this.toDeadLetters({ lease, from, count, what: 'rejected', final: 'rejected', by, reason })
  }

  /** Again, `delayMs` later; or to the dead letters when that was the last try. */
  retry(lease: Lease, from: number, count: number, told: Told & { delayMs: number }): Promise<void> {
    const { lane } = lease
    const { queue } = lane
    queue.counters.retried += count
    if (this.triedTooOften(lease)) return this.giveUp(lease, from, count, told)
    const part: Lease = { ...lease, from, count }
    if (this.isOver(lease)) return this.expire(part)
    if (told.delayMs === 0 || queue.ordered) {
      // In an ordered lane what comes behind has to wait with it.
      if (told.delayMs > 0) {
        const nowMs = this.nowMs()
        lane.hold(nowMs, nowMs + told.delayMs)
        this.onHeld(queue, nowMs + told.delayMs)
      }
      this.backInLine(lane, [part])
      return Promise.resolve()
    }
    const entry = { ...partOf(lease.entry, from - lease.entry.position, count), attempts: lease.attempt }
    const to = { queue, lane: lane.number, entry, dueAtMs: this.nowMs() + told.delayMs }
    return this.end({ lease, from, count, what: 'retried', final: null, by: told.by, reason: told.reason, to: [to] })
  }

  /** What a consumer had out and did not settle. */
  giveBack(leases: readonly Lease[], by: string): void {
    const lanes = new Map<Lane, Lease[]>()
    for (const lease of leases) {
      if (this.triedTooOften(lease)) {
        void this.giveUp(lease, lease.from, lease.count, { reason: 'the consumer went away', by })
        continue
      }
      // Its timer has fired while it was out.
      if (this.isOver(lease)) {
        void this.expire(lease)
        continue
      }
      const list = lanes.get(lease.lane)
      if (list === undefined) lanes.set(lease.lane, [lease])
      else list.push(lease)
    }
    for (const [lane, list] of lanes) this.backInLine(lane, list)
  }

  /** Its time is over. */
  expire(lease: Lease): Promise<void> {
    const { queue } = lease.lane
    queue.counters.expired += lease.count
    const { from, count } = lease
    const ending = { lease, from, count, what: 'expired', final: 'expired', by: '', reason: 'EXPIRED' } as const
    const isLast = queue.info.policy.onExpire === 'drop' || this.parts.queues.deadLettersOf(queue) === queue
    return isLast ? this.end({ ...ending, to: [] }) : this.toDeadLetters(ending)
  }

  /** Taken away for good: to make room, or by an operator. */
  drop(lease: Lease, what: 'dropped' | 'purged', { reason, by }: Told): Promise<void> {
    lease.lane.queue.counters.dropped += lease.count
    const { from, count } = lease
    return this.end({ lease, from, count, what, final: 'dropped', by, reason, to: [] })
  }

  /** Into other queues as if it were new there; by an operator. */
  redrive(lease: Lease, targets: readonly { queue: Queue; lane: number; note?: string }[], by: string): Promise<void> {
    const { from, count } = lease
    const part = partOf(lease.entry, from - lease.entry.position, count)
    for (const { queue } of targets) queue.counters.redriven += count
    const to = targets.map((target, i) => {
      // One copy goes on as the one whose end is told.
      const receiptFlags = i === 0 ? part.receiptFlags : 0
      const { queue, lane, note = '' } = target
      const expiresAtMs = this.expiryIn(queue)
      const entry = { ...part, attempts: 0, expiresAtMs, receiptFlags, home: null, note, backNote: '' }
      return { queue, lane, entry, dueAtMs: 0 }
    })
    return this.end({ lease, from, count, what: 'redriven', final: null, by, reason: '', to })
  }

  /** With drop-oldest: the oldest that wait go until the queue is within its limits. */
  makeRoom(queue: Queue): void {
    const { onFull, messagesMax, bytesMax } = queue.info.policy
    if (onFull !== 'drop-oldest' || queue.forgotten || (messagesMax === 0 && bytesMax === 0)) return
    try {
      for (let step = 0; step < DROPS_PER_STEP; step++) {
        const messages = messagesMax > 0 ? queue.depth - messagesMax : 0
        const bytes = bytesMax > 0 ? queue.bytes - bytesMax : 0
        if (messages <= 0 && bytes <= 0) return
        const lease = queue.takeOldest(({ entry }) =>
          Math.max(messages, Math.ceil((bytes * entry.count) / Math.max(1, entry.bytes))),
        )
        if (lease === null) return
        const dropped = this.drop(lease, 'dropped', { reason: 'QUEUE_FULL', by: '' })
        if (step + 1 === DROPS_PER_STEP) void dropped.then(() => this.makeRoom(queue))
      }
    } catch (error) {
      // What is damaged there is met again by whoever takes it.
      this.parts.onFault(asFault(error))
    }
  }

  /** Works for messages whose queue is forgotten; `open` are the positions that were not settled. */
  abandoned(name: string, entry: Entry, open: readonly Range[]): Work[] {
    if ((entry.receiptFlags & FLAG_RECEIPT_FINAL) === 0 || open.length === 0) return []
    const places = open.flatMap(([from, to]) => placesOfLease({ entry }, from, to - from))
    const ended = { queue: name, by: '', reason: 'QUEUE_FORGOTTEN' }
    const { finals, work } = this.parts.fates.settle(entry.batchSeq, places, 'dropped', ended)
    return [work, ...this.parts.receipts.tell(finals, this.nowMs())]
  }

  tellDelivered(lease: Lease, by: string): void {
    const owner = this.parts.fates.ownerOf(lease.entry.batchSeq)
    if (owner === null) return
    const atMs = this.nowMs()
    const places = placesOfLease(lease, lease.from, lease.count)
    const works = this.parts.receipts.tellDelivered(owner, places, { queue: lease.lane.queue.info.name, by, atMs })
    void this.parts.engine.maintain(together(works))
  }

  /** A work that places an entry in a lane of a queue that may not have had it yet. */
  placeIn(queue: Queue, lane: number, entry: NewEntry): PlaceWork {
    return this.place(this.parts.book.lane(queue, lane), entry)
  }

  /** A work that places an entry in a lane, with its timer when it expires. */
  place(lane: Lane, entry: NewEntry): PlaceWork {
    const { book, timers } = this.parts
    const { expiresAtMs } = entry
    const { queue } = lane
    const appended = book.append(lane, entry)
    return {
      get placed() {
        return appended.placed
      },
      write: () => {
        appended.write()
        if (expiresAtMs === 0 || appended.placed === null) return
        const { position } = appended.placed
        timers.put(expiresAtMs, { kind: 'expire', queueId: queue.info.id, lane: lane.number, position })
      },
      done: () => {
        queue.counters.in += entry.count
        appended.done()
        if (expiresAtMs > 0) timers.stored(expiresAtMs)
      },
    }
  }

  /** A work that keeps an entry outside of its lane until a time. */
  later(queue: Queue, lane: number, entry: NewEntry, dueAtMs: number): PlaceWork {
    const { timers } = this.parts
    return {
      placed: null,
      write: () => timers.put(dueAtMs, { kind: 'due', queueId: queue.info.id, lane, entry }),
      done: () => {
        queue.delayed += entry.count
        timers.stored(dueAtMs)
      },
    }
  }

  private backInLine(lane: Lane, leases: readonly Lease[]): void {
    for (const { entry } of leases) {
      if (entry.expiresAtMs === 0) continue
      const place = { queueId: lane.queue.info.id, lane: lane.number, position: entry.position }
      this.parts.timers.unpark(entry.expiresAtMs, place)
    }
    lane.giveBack(leases)
    lane.queue.onReady()
  }

  private isOver({ entry }: Lease): boolean {
    return entry.expiresAtMs > 0 && entry.expiresAtMs <= this.nowMs()
  }

  /** When what comes into a queue now is too old for it. */
  private expiryIn({ info }: Queue): number {
    const { ageMsMax } = info.policy
    return ageMsMax > 0 ? this.nowMs() + ageMsMax : 0
  }

  private triedTooOften({ lane, attempt }: Lease): boolean {
    const { maxDeliver } = lane.queue.info.policy
    return maxDeliver > 0 && attempt >= maxDeliver
  }

  private giveUp(lease: Lease, from: number, count: number, { reason, by }: Told): Promise<void> {
    const why = `MAX_DELIVER: ${lease.attempt} deliveries${reason === '' ? '' : `, last: ${reason}`}`
    return this.toDeadLetters({ lease, from, count, what: 'dead-lettered', final: 'rejected', by, reason: why })
  }

  private toDeadLetters(ending: Omit<Ending, 'to'>): Promise<void> {
    const { lease, from, count, reason } = ending
    const { lane } = lease
    const queue = this.parts.queues.deadLettersOf(lane.queue)
    lane.queue.counters.deadLettered += count
    const isBack = lease.entry.home !== null
    const home = lease.entry.home ?? { queueId: lane.queue.info.id, lane: lane.number }
    const entry: NewEntry = {
      ...partOf(lease.entry, from - lease.entry.position, count),
      attempts: lease.attempt,
      expiresAtMs: this.expiryIn(queue),
      receiptFlags: 0,
      home,
      note: reason.slice(0, REASON_LENGTH_MAX),
      // It goes back as it lay there first.
      backNote: isBack ? lease.entry.backNote : lease.entry.note,
    }
    return this.end({ ...ending, to: [{ queue, lane: 0, entry, dueAtMs: 0 }] })
  }

  private end(ending: Ending): Promise<void> {
    // What follows reads. Until then the messages stay in flight.
    if (!this.parts.engine.readable) return this.whenReadable().then(() => this.end(ending))
    const work = this.leave(ending)
    if (work === null) return Promise.resolve()
    const ended = this.parts.engine.maintain(work)
    for (const { queue: next, dueAtMs } of ending.to) if (dueAtMs === 0) void ended.then(() => this.makeRoom(next))
    return ended
  }

  /**
   * Messages of the router's queue go on to others as they are, or nowhere when others were made of them: a work for upkeep, once
   * `whenReadable` has resolved; `null` when their queue is forgotten. `parts` of the lease, ascending. What goes to one lane the same
   * way is one entry there, however it lay between other messages.
   */
  conveyed(lease: Lease, parts: readonly Conveyed[]): Work | null {
    const { lane, entry } = lease
    if (lane.queue.forgotten) return null
    const { batches } = this.parts
    const { copies, ends } = sorted(lease, parts)
    const placed = new Map<Copies, PlaceWork>()
    for (const copy of copies)
      placed.set(copy, this.placeIn(copy.target.queue, copy.target.lane, this.copied(lease, copy)))
    const works: Work[] = [...placed.values()]
    if (entry.batchSeq > 0) for (const _ of placed) works.push(batches.retain(entry.batchSeq))
    for (const { from, count } of parts) works.push(...this.settled(lease, from, count))
    for (const { places, to, isDead, isOver, by, reason, detail } of ends) {
      const count = places.length
      lane.queue.counters[isDead ? 'deadLettered' : 'processed'] += count
      const final = isDead ? 'rejected' : isOver ? 'processed' : null
      const what = isDead ? 'dead-lettered' : 'routed'
      const pairs = pairsOf(selectionOf(places))
      const ending = { lease, from: lease.from, count, what, final, by, reason, detail, to: [] } as const
      const went = (): TracePlace[] =>
        Array.from(to, (copy) => ({
          queueId: copy.target.queue.info.id,
          lane: copy.target.lane,
          position: placed.get(copy)?.placed?.position ?? -1,
          places: pairsOf(selectionOf(copy.places)),
        }))
      works.push(...this.receiptWorks(ending, pairs), this.traceWork(ending, pairs, went))
      works.push({ write: nothing, done: () => this.counted(count) })
    }
    if (lane.queue.ordered && lane.inFlight === 0) lane.queue.onReady()
    return together(works)
  }

  private copied({ lane, entry, attempt }: Lease, { target, places, told }: Copies): NewEntry {
    const { queue, note, backNote = '' } = target
    const count = places.length
    const lives = [note === undefined ? entry.expiresAtMs : 0, this.expiryIn(queue)].filter((ms) => ms > 0)
    const isWhole = count === entry.count
    return {
      batchSeq: entry.batchSeq,
      count,
      bytes: settledBytes(entry, count),
      storedAtMs: entry.storedAtMs,
      expiresAtMs: lives.length === 0 ? 0 : Math.min(...lives),
      attempts: note === undefined ? 0 : attempt,
      receiptFlags: told ? entry.receiptFlags : 0,
      home: note === undefined ? null : (target.home ?? { queueId: lane.queue.info.id, lane: lane.number }),
      note: note?.slice(0, REASON_LENGTH_MAX) ?? '',
      backNote,
      selection: isWhole || entry.batchSeq === 0 ? entry.selection : selectionOf(places),
    }
  }

  /** What is done when messages leave their place; `null` when their queue is forgotten. */
  private leave(ending: Ending): Work | null {
    const { lease, from, count, to } = ending
    const { lane, entry } = lease
    const { queue } = lane
    // Whoever forgot the queue gave up what was in it, and the batches are released with it.
    if (queue.forgotten) return null
    const { batches } = this.parts
    const onward = to.map((destination) => this.onward(destination))
    const works: Work[] = [...onward]
    if (entry.batchSeq > 0) for (const _ of onward) works.push(batches.retain(entry.batchSeq))
    works.push(...this.settled(lease, from, count))
    const places = placesOfLease(lease, from, count)
    const went = (): TracePlace[] =>
      to.map(({ queue, lane: number }, i) => {
        return { queueId: queue.info.id, lane: number, position: onward[i]?.placed?.position ?? -1, places }
      })
    works.push(...this.receiptWorks(ending, places), this.traceWork(ending, places, went))
    works.push({ write: nothing, done: () => this.counted(count) })
    if (queue.ordered && lane.inFlight === 0) queue.onReady()
    return together(works)
  }

  /** Messages leave their lane; with the last of its entry that goes, too. */
  private settled({ lane, entry }: Lease, from: number, count: number): Work[] {
    const { batches, book, timers } = this.parts
    const { queue } = lane
    if (lane.settle(entry, from, count) === null) return []
    const works: Work[] = []
    if (retains(queue.info.policy)) lane.retainedBytes += entry.bytes
    else {
      works.push(book.remove(lane, entry.position))
      if (entry.batchSeq > 0) works.push(batches.release(entry.batchSeq))
    }
    if (entry.expiresAtMs > 0) {
      const place = { queueId: queue.info.id, lane: lane.number, position: entry.position }
      works.push({ write: () => timers.forgetExpire(entry.expiresAtMs, place), done: nothing })
    }
    return works
  }

  private counted(count: number): void {
    this.settledMessages += count
  }

  private onward({ queue, lane, entry, dueAtMs }: Destination): PlaceWork {
    if (dueAtMs > 0) return this.later(queue, lane, entry, dueAtMs)
    return this.placeIn(queue, lane, entry)
  }

  private receiptWorks({ lease, final, by, reason }: Ending, places: readonly Places[]): Work[] {
    const { entry, lane } = lease
    if (final === null || (entry.receiptFlags & FLAG_RECEIPT_FINAL) === 0) return []
    const ended = { queue: lane.queue.info.name, by, reason }
    const { finals, work } = this.parts.fates.settle(entry.batchSeq, places, final, ended)
    return [work, ...this.parts.receipts.tell(finals, this.nowMs())]
  }

  private traceWork(ending: Ending, places: readonly Places[], went: () => TracePlace[]): Work {
    const { lease, what, by, reason, detail } = ending
    const { entry, lane } = lease
    const { trace } = this.parts
    const atMs = this.nowMs()
    return {
      write: () => {
        const isWhole = entry.selection === null && lease.count === entry.count && lease.from === entry.position
        const event = { atMs, what, queue: lane.queue.info.name, by, reason, detail, to: went() }
        trace.add(entry.batchSeq, { ...event, places: isWhole && ending.count === entry.count ? [] : places })
      },
      done: nothing,
    }
  }

  private nowMs(): number {
    return this.parts.clock.wallMs()
  }
}

/** Places in the batch of an entry's messages. */
export function placesIn(entry: NewEntry): Places[] {
  return pairsOf(entry.selection ?? [0, entry.count])
}

function placesOfLease({ entry }: Pick<Lease, 'entry'>, from: number, count: number): Places[] {
  if (entry.selection === null) return [[from - entry.position, count]]
  return pairsOf(selectionOf(placesOf(entry, from - entry.position, count)))
}
