// A queue: its rule, its policy, and the lanes its messages lie in. Urgent lanes come first, but not for ever: after a
// number of deliveries in a row, what is less urgent has its turn.

import { PRIORITY_BULK, PRIORITY_NORMAL, PRIORITY_URGENT } from '#protocol/codec/mod.ts'
import { PRIORITIES } from '#protocol/session/mod.ts'
import type { Lane, Lease } from './lane.ts'
import { RUN_OF_ONE_PRIORITY } from './limits.ts'
import type { QueuePolicy } from './policy.ts'

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
  readonly policy: QueuePolicy
}

/** Messages since the hub started. */
export type QueueCounters = {
  in: number
  delivered: number
  processed: number
  rejected: number
  retried: number
  expired: number
  dropped: number
  deadLettered: number
  redriven: number
}

const ANY = (): boolean => true

export class Queue {
  readonly info: QueueInfo
  readonly lanes = new Map<number, Lane>()
  /** Nothing is delivered or settled any more. */
  forgotten = false
  /** On their way to the disk. */
  plannedMessages = 0
  plannedBytes = 0
  /** Waiting for their time, outside of the lanes. */
  delayed = 0
  readonly counters: QueueCounters = {
    in: 0,
    delivered: 0,
    processed: 0,
    rejected: 0,
    retried: 0,
    expired: 0,
    dropped: 0,
    deadLettered: 0,
    redriven: 0,
  }
  /** Called when there may be something to take. */
  onReady: () => void = () => {}
  /** Lanes by priority, in the order they take turns. */
  private readonly turns: Lane[][] = Array.from({ length: PRIORITIES }, () => [])
  private urgentRun = 0
  private normalRun = 0

  constructor(info: QueueInfo) {
    this.info = info
  }

  get ordered(): boolean {
    return this.info.policy.order !== 'none'
  }

  addLane(lane: Lane): void {
    this.lanes.set(lane.number, lane)
    this.turns[lane.priority]?.push(lane)
  }

  /** Messages not settled: waiting or in flight. */
  get depth(): number {
    let sum = 0
    for (const lane of this.lanes.values()) sum += lane.depth
    return sum
  }

  get inFlight(): number {
    let sum = 0
    for (const lane of this.lanes.values()) sum += lane.inFlight
    return sum
  }

  /** Bytes of messages not settled. */
  get bytes(): number {
    let sum = 0
    for (const lane of this.lanes.values()) sum += lane.bytes
    return sum
  }

  /** Bytes of settled messages kept for replay. */
  get retainedBytes(): number {
    let sum = 0
    for (const lane of this.lanes.values()) sum += lane.retainedBytes
    return sum
  }

  /** Messages ever placed. */
  get tail(): number {
    let sum = 0
    for (const lane of this.lanes.values()) sum += lane.tail
    return sum
  }

  /**
   * The next messages for `holder`, at most `messagesMax`, all of one batch; `null` when there are none for it now. Lanes that are not
   * `open` to it are passed over.
   */
  take(messagesMax: number, holder: object, nowMs: number, open: (lane: Lane) => boolean = ANY): Lease | null {
    if (this.forgotten) return null
    const urgentFirst = this.urgentRun < RUN_OF_ONE_PRIORITY
    const normalFirst = this.normalRun < RUN_OF_ONE_PRIORITY
    const later = normalFirst ? [PRIORITY_NORMAL, PRIORITY_BULK] : [PRIORITY_BULK, PRIORITY_NORMAL]
    const order = urgentFirst ? [PRIORITY_URGENT, ...later] : [...later, PRIORITY_URGENT]
    for (const priority of order) {
      const lease = this.takeOf(priority, (lane) => (open(lane) ? lane.take(messagesMax, holder, nowMs) : null))
      if (lease === null) continue
      this.urgentRun = priority === PRIORITY_URGENT ? this.urgentRun + 1 : 0
      if (priority !== PRIORITY_URGENT) this.normalRun = priority === PRIORITY_NORMAL ? this.normalRun + 1 : 0
      return lease
    }
    return null
  }

  /** What was accepted first of all that waits, as many of it as `count` says, whoever consumes it. */
  takeOldest(count: (lease: Lease) => number): Lease | null {
    let oldest: Lease | null = null
    for (const lane of this.lanes.values()) {
      const front = lane.front()
      if (front !== null && (oldest === null || front.entry.storedAtMs < oldest.entry.storedAtMs)) oldest = front
    }
    return oldest === null ? null : oldest.lane.takeFront(oldest, count(oldest))
  }

  /** The first time at which a held lane may go on; infinite when none is held. */
  heldUntil(nowMs: number): number {
    let first = Number.POSITIVE_INFINITY
    for (const lane of this.lanes.values()) {
      const atMs = lane.heldUntil(nowMs)
      if (atMs > 0) first = Math.min(first, atMs)
    }
    return first
  }

  private takeOf(priority: number, take: (lane: Lane) => Lease | null): Lease | null {
    const lanes = this.turns[priority] as Lane[]
    for (let tries = lanes.length; tries > 0; tries--) {
      const lane = lanes[0] as Lane
      const lease = lane.hasReady ? take(lane) : null
      // Lanes take turns; one alone needs none.
      if (lanes.length > 1) lanes.push(lanes.shift() as Lane)
      if (lease !== null) return lease
    }
    return null
  }
}
