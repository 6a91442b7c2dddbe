// How fast large content may travel: so many bytes a second, or none at this time of day. What one call allows may overdraw the
// account by a piece; the next waits until it is even. Time that was not used is lost, so that no burst follows it.

import { performance } from 'node:perf_hooks'
import { CHUNK_DATA_BYTES_MAX } from '#protocol/frame/mod.ts'
import { CLOSED_WINDOW_MS, LATE_SECONDS, PIECE_BYTES_MIN, PIECES_PER_SECOND } from './limits.ts'

/** Bytes a second, 0 for no limit, below 0 for nothing at present: a function is asked again and again. */
export type BytesPerSecond = number | (() => number)

export type Allowance = {
  readonly bytes: number
  /** How long to wait when that is 0. */
  readonly waitMs: number
  /** Nothing may travel at this time. */
  readonly closed: boolean
}

const FREE: Allowance = { bytes: Number.MAX_SAFE_INTEGER, waitMs: 0, closed: false }
const CLOSED: Allowance = { bytes: 0, waitMs: CLOSED_WINDOW_MS, closed: true }

export class Pace {
  private readonly limit: BytesPerSecond
  private balanceBytes = 0
  private atMs: number

  constructor(limit: BytesPerSecond, nowMs: number) {
    this.limit = limit
    this.atMs = nowMs
  }

  /** Bytes a second at present, as `BytesPerSecond`. */
  get rate(): number {
    return typeof this.limit === 'function' ? this.limit() : this.limit
  }

  /** How much one piece may have now. */
  ask(nowMs: number): Allowance {
    const { rate } = this
    const passedMs = nowMs - this.atMs
    this.atMs = nowMs
    if (rate === 0) this.balanceBytes = 0
    if (rate === 0) return FREE
    if (!(rate > 0)) return CLOSED
    const bytes = Math.min(CHUNK_DATA_BYTES_MAX, Math.max(PIECE_BYTES_MIN, Math.floor(rate / PIECES_PER_SECOND)))
    // What was not used is worth one piece later, or what a late timer missed, not more.
    this.balanceBytes = Math.min(Math.max(bytes, rate * LATE_SECONDS), this.balanceBytes + (rate * passedMs) / 1000)
    if (this.balanceBytes >= 0) return { bytes, waitMs: 0, closed: false }
    return { bytes: 0, waitMs: Math.ceil((-this.balanceBytes / rate) * 1000), closed: false }
  }

  /** Below 0: they were spent, and did not travel. */
  spend(bytes: number): void {
    if (this.limit !== 0) this.balanceBytes -= bytes
  }
}

/** A pace with its timer. */
export class Pacer {
  /** Nothing may travel at this time, as far as was asked. */
  isClosed = false
  private readonly pace: Pace
  private readonly wake: () => void
  private timer: NodeJS.Timeout | null = null

  /** `wake` is called when more is allowed than `allowed` said. */
  constructor(limit: BytesPerSecond, wake: () => void) {
    this.pace = new Pace(limit, performance.now())
    this.wake = wake
  }

  /** Bytes a second at present; 0: as fast as may be. */
  get rate(): number {
    return this.pace.rate
  }

  /** How much one piece may have now; 0: wait for `wake`. */
  allowed(): number {
    if (this.timer !== null) return 0
    const { bytes, waitMs, closed } = this.pace.ask(performance.now())
    this.isClosed = closed
    if (bytes > 0) return bytes
    this.timer = setTimeout(() => {
      this.timer = null
      this.wake()
    }, waitMs)
    return 0
  }

  spend(bytes: number): void {
    this.pace.spend(bytes)
  }

  /** What was spent did not travel after all. */
  giveBack(bytes: number): void {
    this.pace.spend(-bytes)
    if (this.timer === null || this.isClosed) return
    clearTimeout(this.timer)
    this.timer = null
    this.wake()
  }

  /** Nobody waits any more. */
  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    this.isClosed = false
  }
}
