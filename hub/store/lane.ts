// One lane of a queue: positions in order, entries waiting in a bounded window, what is out at consumers, what is
// settled. Only references are kept in memory; entries beyond the window wait on disk. A position is given out inside the
// transaction that stores the entry (`place`), so a transaction that fails leaves no hole.
//
//   floor ≤ … settled, in flight, ready … ≤ loadedTo ≤ … on disk only … ≤ tail ≤ … placed, not yet flushed … ≤ placedTail

import { assert } from '#protocol/base/mod.ts'
import { ByteReader, varintBytes, writeVarint } from '#protocol/bytes/mod.ts'
import { PRIORITIES, type Range, RangeSet } from '#protocol/session/mod.ts'
import { type Entry, endOf, entryAt, type NewEntry, settledBytes } from './entry.ts'
import { LOAD_ENTRIES, WINDOW_ENTRIES } from './limits.ts'
import type { Queue } from './queue.ts'

/** Part of an entry handed to a consumer: positions from … from+count-1. */
export type Lease = {
  readonly lane: Lane
  readonly entry: Entry
  readonly from: number
  readonly count: number
  /** 1 at the first delivery. */
  readonly attempt: number
  /** When it went out, by the wall clock. */
  readonly takenAtMs: number
}

/** What is known of a lane from the disk alone. */
export type LaneState = {
  readonly settled: RangeSet
  /** Bytes of messages that are not settled. */
  readonly bytes: number
  /** Bytes of settled messages kept for replay. */
  readonly retainedBytes: number
}

/** The part of the disk a lane sees. */
export type LaneDisk = {
  /** Entries from a position on, ascending; `null` when they cannot be read now. */
  load(from: number, limit: number): Entry[] | null
  /** An entry was found although all of it is settled: a crash came between the two, or it is kept for replay. */
  onLeftover(entry: Entry): void
  /** The lane's state has to be put in the next transaction. */
  onDirty(lane: Lane): void
}

export class Lane {
  readonly queue: Queue
  readonly number: number
  settled: RangeSet
  /**
   * Every position below is settled, and that is on the disk: what consumers are told. A settlement that is only on its way
   * there may be undone by a kill, and its message comes again.
   */
  floor: number
  /** One past the last flushed position. */
  tail: number
  /** One past the last position given out, flushed or not. */
  placedTail: number
  private placedBytes = 0
  inFlight = 0
  /** Bytes of messages not settled. */
  bytes: number
  retainedBytes: number
  /** With an order: the consumer that has messages of this lane out. */
  holder: object | null = null
  /** Settled entries whose rows are still on disk: their removal is on its way. */
  readonly leaving = new Set<number>()
  /** With an order: nothing is delivered in between, because the first in line is to be tried again at the end. */
  private heldFromMs = 0
  private heldToMs = 0
  /** With an order: something out was given back, and goes out again when the rest of what is out has come back too. */
  private gathering = false
  /** Messages not settled. */
  private open = 0
  private ready: Lease[] = []
  private readyAt = 0
  private loadedTo: number
  private readonly disk: LaneDisk

  constructor(options: {
    queue: Queue
    number: number
    state: LaneState
    tail: number
    /** Position of the first entry on disk that may hold open messages; `tail` when there is none. */
    head: number
    disk: LaneDisk
  }) {
    this.queue = options.queue
    this.number = options.number
    this.settled = options.state.settled
    this.floor = this.settled.floor
    this.bytes = options.state.bytes
    this.retainedBytes = options.state.retainedBytes
    this.tail = options.tail
    this.placedTail = options.tail
    this.loadedTo = options.head
    this.disk = options.disk
    this.open = openBelow(this.settled, this.tail)
  }

  /** Position of the first entry on disk that may hold open messages. Before the first use. */
  startAt(position: number): void {
    this.loadedTo = position
  }

  get priority(): number {
    return this.number % PRIORITIES
  }

  get partition(): number {
    return Math.floor(this.number / PRIORITIES)
  }

  /** Messages not settled: waiting or in flight. */
  get depth(): number {
    return this.open
  }

  hold(fromMs: number, toMs: number): void {
    this.heldFromMs = fromMs
    this.heldToMs = toMs
  }

  /** Until when nothing is delivered; 0 when it may be. A clock set back does not hold it longer. */
  heldUntil(nowMs: number): number {
    return nowMs >= this.heldFromMs && nowMs < this.heldToMs ? this.heldToMs : 0
  }

  /** Gives an entry its position, within a group's work. */
  place(entry: NewEntry): Entry {
    const placed = entryAt(this.placedTail, entry)
    this.placedTail += entry.count
    this.placedBytes += entry.bytes
    this.disk.onDirty(this)
    return placed
  }

  /** The placed entry is on disk. Entries arrive in order of position. */
  appended(entry: Entry): void {
    assert(entry.position === this.tail, `queue ${this.queue.info.name} appends in order`)
    this.tail += entry.count
    this.open += entry.count
    this.bytes += entry.bytes
    this.placedBytes -= entry.bytes
    if (this.loadedTo === entry.position && this.ready.length - this.readyAt < WINDOW_ENTRIES) {
      this.loadedTo = this.tail
      this.ready.push(leaseOf(this, entry, entry.position, entry.count))
    }
  }

  /** Whatever was placed but not written is forgotten. */
  forgetPlaces(): void {
    this.placedTail = this.tail
    this.placedBytes = 0
  }

  /** What goes to the disk: with what is placed in the same transaction. */
  get state(): LaneState {
    return { settled: this.settled, bytes: this.bytes + this.placedBytes, retainedBytes: this.retainedBytes }
  }

  /** The next messages for a consumer, at most `messagesMax` of them, all of one batch; `null` when there are none for it. */
  take(messagesMax: number, holder: object, nowMs: number): Lease | null {
    const { ordered } = this.queue
    if (messagesMax < 1) return null
    if (ordered && !this.isFreeFor(holder, nowMs)) return null
    const lease = this.front()
    if (lease === null) return null
    if (ordered) this.holder = holder
    const { entry, from, count, attempt } = this.takeFront(lease, messagesMax)
    return { lane: this, entry, from, count, attempt: attempt + 1, takenAtMs: nowMs }
  }

  /** The first that waits. */
  front(): Lease | null {
    if (this.readyAt === this.ready.length) this.fill()
    return this.ready[this.readyAt] ?? null
  }

  /** Takes what `front` gave out of the line, at most `messagesMax` of it, whoever consumes the lane. */
  takeFront(lease: Lease, messagesMax: number): Lease {
    const count = Math.min(lease.count, messagesMax)
    if (count === lease.count) this.shiftReady()
    else this.ready[this.readyAt] = { ...lease, from: lease.from + count, count: lease.count - count }
    this.inFlight += count
    return count === lease.count ? lease : { ...lease, count }
  }

  /** Whether something may be there to take. */
  get hasReady(): boolean {
    return this.readyAt < this.ready.length || this.loadedTo < this.tail
  }

  /** Puts back what a consumer did not settle, at its old place in the order. */
  giveBack(leases: readonly Lease[]): void {
    if (leases.length === 0) return
    this.gathering = true
    for (const lease of leases) this.leave(lease.count)
    // What was pulled from beyond the window is read again when its turn comes.
    const back = leases.filter(({ from }) => from < this.loadedTo)
    const ready = [...back, ...this.ready.slice(this.readyAt)].sort((a, b) => a.from - b.from)
    this.ready = []
    this.readyAt = 0
    // What comes back in pieces goes out as a whole.
    for (const lease of ready) {
      const last = this.ready.at(-1)
      if (last !== undefined && continues(last, lease)) {
        this.ready[this.ready.length - 1] = { ...last, count: last.count + lease.count }
      } else {
        this.ready.push(lease)
      }
    }
  }

  /**
   * Takes waiting messages of the entry at `position` out of the line, as if for a consumer: those not yet settled nor in
   * flight. To be settled or given back in the same turn: what lies beyond the window is not noted as taken.
   */
  pull(position: number): Lease[] {
    const found = position < this.loadedTo ? this.pullReady(position) : this.pullAhead(position)
    for (const { count } of found) this.inFlight += count
    return found
  }

  /** Whether an open position waits for a consumer, instead of being out at one. */
  waits(position: number): boolean {
    if (position >= this.loadedTo) return true
    for (let i = this.readyAt; i < this.ready.length; i++) {
      const { from, count } = this.ready[i] as Lease
      if (position >= from && position < from + count) return true
    }
    return false
  }

  /** Settles positions of a lease; gives the entry when its last message is settled. */
  settle(entry: Entry, from: number, count: number): Entry | null {
    const added = this.settled.add(from, from + count)
    this.leave(count)
    this.disk.onDirty(this)
    const before = settledBytes(entry, entry.count - entry.remaining)
    entry.remaining -= added
    this.open -= added
    this.bytes -= settledBytes(entry, entry.count - entry.remaining) - before
    return added > 0 && entry.remaining === 0 ? entry : null
  }

  /** Begins anew with another settled set, after a replay: what was read ahead is forgotten. Nothing may be in flight. */
  reopen(state: LaneState, head: number): void {
    assert(this.inFlight === 0, 'nothing is out at a consumer')
    this.settled = state.settled
    this.floor = Math.min(this.floor, this.settled.floor)
    this.open = openBelow(this.settled, this.tail)
    this.bytes = state.bytes
    this.retainedBytes = state.retainedBytes
    this.ready = []
    this.readyAt = 0
    this.loadedTo = head
    this.disk.onDirty(this)
  }

  private pullReady(position: number): Lease[] {
    const found: Lease[] = []
    const rest: Lease[] = []
    for (let i = this.readyAt; i < this.ready.length; i++) {
      const lease = this.ready[i] as Lease
      if (lease.entry.position === position) found.push(lease)
      else rest.push(lease)
    }
    if (found.length === 0) return found
    this.ready = rest
    this.readyAt = 0
    return found
  }

  private pullAhead(position: number): Lease[] {
    const entry = this.disk.load(position, 1)?.[0]
    if (entry === undefined || entry.position !== position || position >= this.tail) return []
    return this.waitingIn(entry)
  }

  /** Leases of what is open in an entry that was just read. */
  private waitingIn(entry: Entry): Lease[] {
    const open = this.settled.missing(entry.position, endOf(entry))
    entry.remaining = open.reduce((sum, [from, to]) => sum + to - from, 0)
    return open.map(([from, to]) => leaseOf(this, entry, from, to - from))
  }

  private leave(count: number): void {
    this.inFlight -= count
    if (this.inFlight > 0) return
    this.holder = null
    this.gathering = false
  }

  /**
   * While a consumer gives back what it has, one after the other, nothing goes out: the first would come before the
   * others are back, and what has never been out before them.
   */
  private isFreeFor(holder: object, nowMs: number): boolean {
    if (this.gathering || this.heldUntil(nowMs) > 0) return false
    return this.holder === null || this.holder === holder
  }

  private shiftReady(): void {
    this.readyAt++
    if (this.readyAt > 256 && this.readyAt * 2 > this.ready.length) {
      this.ready = this.ready.slice(this.readyAt)
      this.readyAt = 0
    }
  }

  /** Reads further entries from disk, leaving out what is settled already (after a restart). */
  private fill(): void {
    while (this.loadedTo < this.tail && this.readyAt === this.ready.length) if (!this.loadMore()) return
  }

  /** False when nothing can be read now. */
  private loadMore(): boolean {
    const entries = this.disk.load(this.loadedTo, LOAD_ENTRIES)
    if (entries === null) return false
    if (entries.length === 0) {
      this.loadedTo = this.tail
      return true
    }
    for (const entry of entries) {
      // Written, but not told yet: it comes through `appended`.
      if (entry.position >= this.tail) return false
      const waiting = this.waitingIn(entry)
      if (waiting.length === 0 && !this.leaving.has(entry.position)) this.disk.onLeftover(entry)
      for (const lease of waiting) this.ready.push(lease)
      this.loadedTo = endOf(entry)
    }
    return true
  }
}

function leaseOf(lane: Lane, entry: Entry, from: number, count: number): Lease {
  return { lane, entry, from, count, attempt: entry.attempts, takenAtMs: 0 }
}

function openBelow(settled: RangeSet, tail: number): number {
  let above = 0
  for (const [from, to] of settled.above) above += to - from
  return tail - settled.floor - above
}

function continues(lease: Lease, next: Lease): boolean {
  return next.entry === lease.entry && next.from === lease.from + lease.count && next.attempt === lease.attempt
}

/** Row of the states table: varints bytes, retained bytes, floor, then the gaps and lengths of the ranges above it. */
export function encodeLaneState({ settled, bytes, retainedBytes }: LaneState): Buffer {
  const numbers = [bytes, retainedBytes, settled.floor]
  let end = settled.floor
  for (const [from, to] of settled.above) {
    numbers.push(from - end, to - from)
    end = to
  }
  let size = 0
  for (const value of numbers) size += varintBytes(value)
  const out = Buffer.allocUnsafe(size)
  let at = 0
  for (const value of numbers) at = writeVarint(out, at, value)
  return out
}

export function decodeLaneState(row: Buffer | undefined): LaneState {
  if (row === undefined) return { settled: new RangeSet(), bytes: 0, retainedBytes: 0 }
  const reader = new ByteReader(row, 'lane state')
  const bytes = reader.varint()
  const retainedBytes = reader.varint()
  const floor = reader.varint()
  const ranges: Range[] = []
  let end = floor
  while (reader.remaining > 0) {
    const from = end + reader.varint()
    end = from + reader.varint()
    ranges.push([from, end])
  }
  return { settled: new RangeSet(floor, ranges), bytes, retainedBytes }
}
