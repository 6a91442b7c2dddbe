// One queue: positions given out in order, entries waiting in a bounded window, what is out at consumers, what is
// settled. Only references are kept in memory; entries beyond the window wait on disk.
//
//   floor ≤ … settled, in flight, ready … ≤ loadedTo ≤ … on disk only … ≤ tail ≤ … planned only … ≤ plannedTail

import { assert } from '#protocol/base/mod.ts'
import type { RangeSet } from '#protocol/session/mod.ts'
import type { Entry } from './entry.ts'
import { LOAD_ENTRIES, WINDOW_ENTRIES } from './limits.ts'

/** How a queue gets its messages. An empty `topics` is a queue only the hub itself writes to. */
export type QueueRule = {
  readonly topics: readonly string[]
  /** Header name → allowed values; all names must match. */
  readonly where: Readonly<Record<string, readonly string[]>>
}

export type QueueInfo = {
  readonly id: number
  readonly name: string
  readonly rule: QueueRule
  /** The agent whose subscription it is; `null` for a queue anyone with the right may consume. */
  readonly owner: string | null
  /** Ends with its consumer's session and with the hub's restart. */
  readonly ephemeral: boolean
}

/** Part of an entry handed to a consumer: positions from … from+count-1. */
export type Lease = { readonly entry: Entry; readonly from: number; readonly count: number; attempt: number }

export class Queue {
  readonly info: QueueInfo
  readonly settled: RangeSet
  /** One past the last flushed position. */
  tail: number
  /** One past the last position given out, flushed or not. */
  plannedTail: number
  inFlight = 0
  /** Settled messages that are not in a written state. */
  dirty = false
  /** Nothing is delivered or settled any more. */
  forgotten = false
  /** Called when there may be something to take. */
  onReady: () => void = () => {}
  private ready: Lease[] = []
  private readyAt = 0
  private loadedTo: number
  private readonly load: (from: number, limit: number) => Entry[] | null
  private readonly onLeftover: (entry: Entry) => void

  constructor(options: {
    info: QueueInfo
    settled: RangeSet
    tail: number
    /** Position of the first entry on disk; `tail` when there is none. */
    head: number
    /** Entries on disk from a position on, ascending; `null` when they cannot be read now. */
    load: (from: number, limit: number) => Entry[] | null
    /** Called with an entry found on disk although all of it is settled: a crash came between the two. */
    onLeftover: (entry: Entry) => void
  }) {
    this.info = options.info
    this.settled = options.settled
    this.tail = options.tail
    this.plannedTail = options.tail
    this.loadedTo = options.head
    this.load = options.load
    this.onLeftover = options.onLeftover
  }

  /** Messages not settled: waiting or in flight. */
  get depth(): number {
    let above = 0
    for (const [from, to] of this.settled.above) above += to - from
    return this.tail - this.settled.floor - above
  }

  /** Plans `count` positions for messages that are about to be written. */
  plan(count: number): number {
    const position = this.plannedTail
    this.plannedTail += count
    return position
  }

  /** The planned entry is on disk. Entries arrive in order of position. */
  appended(entry: Entry): void {
    assert(entry.position === this.tail, `queue ${this.info.name} appends in order`)
    this.tail += entry.count
    if (this.loadedTo === entry.position && this.ready.length - this.readyAt < WINDOW_ENTRIES) {
      this.loadedTo = this.tail
      this.ready.push({ entry, from: entry.position, count: entry.count, attempt: 0 })
    }
    this.onReady()
  }

  /** Whatever was planned but not written is forgotten. */
  forgetPlans(): void {
    this.plannedTail = this.tail
  }

  /** The next messages for a consumer, at most `messagesMax` of them, all of one batch; `null` when there are none. */
  take(messagesMax: number): Lease | null {
    if (this.forgotten) return null
    if (this.readyAt === this.ready.length) this.fill()
    const lease = this.ready[this.readyAt]
    if (lease === undefined || messagesMax < 1) return null
    const count = Math.min(lease.count, messagesMax)
    const taken: Lease = { entry: lease.entry, from: lease.from, count, attempt: lease.attempt + 1 }
    if (count === lease.count) this.shiftReady()
    else this.ready[this.readyAt] = { ...lease, from: lease.from + count, count: lease.count - count }
    this.inFlight += count
    return taken
  }

  /** Puts back what a consumer did not settle, at its old place in the order. */
  giveBack(leases: readonly Lease[]): void {
    if (leases.length === 0) return
    for (const lease of leases) this.inFlight -= lease.count
    const ready = [...leases, ...this.ready.slice(this.readyAt)].sort((a, b) => a.from - b.from)
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
    this.onReady()
  }

  /** Settles positions of a lease; gives the entry when its last message is settled. */
  settle(entry: Entry, from: number, count: number): Entry | null {
    const added = this.settled.add(from, from + count)
    this.inFlight -= count
    this.dirty = true
    entry.remaining -= added
    return added > 0 && entry.remaining === 0 ? entry : null
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
    while (this.loadedTo < this.tail && this.readyAt === this.ready.length) {
      const entries = this.load(this.loadedTo, LOAD_ENTRIES)
      if (entries === null) return
      if (entries.length === 0) {
        this.loadedTo = this.tail
        return
      }
      for (const entry of entries) {
        // Written, but not told yet: it comes through `appended`.
        if (entry.position >= this.tail) return
        const open = this.settled.missing(entry.position, entry.position + entry.count)
        entry.remaining = open.reduce((sum, [from, to]) => sum + to - from, 0)
        if (open.length === 0) this.onLeftover(entry)
        for (const [from, to] of open) this.ready.push({ entry, from, count: to - from, attempt: entry.attempts })
        this.loadedTo = entry.position + entry.count
      }
    }
  }
}

function continues(lease: Lease, next: Lease): boolean {
  return next.entry === lease.entry && next.from === lease.from + lease.count && next.attempt === lease.attempt
}
