// How fast content may be sent: so many bytes a second, or none at this time of day. What one call allows may overdraw the account
// by a piece; the next waits until it is even.

import { CHUNK_DATA_BYTES_MAX } from '#protocol/frame/mod.ts'
import { CLOSED_WINDOW_MS, PIECE_BYTES_MIN, PIECES_PER_SECOND } from './limits.ts'

/** Bytes a second, 0 for no limit, below 0 for nothing at present. */
export type BytesPerSecond = number | (() => number)

/** Timers of a busy process come so late. */
const LATE_SECONDS = 0.05

export class Pace {
  private readonly limit: BytesPerSecond
  private balanceBytes = 0
  private atMs: number

  constructor(limit: BytesPerSecond, nowMs: number) {
    this.limit = limit
    this.atMs = nowMs
  }

  /** How much one piece may have now, or how long to wait for it; `closed`: nothing may be sent at this time. */
  ask(nowMs: number): { readonly bytes: number; readonly waitMs: number; readonly closed: boolean } {
    const rate = typeof this.limit === 'function' ? this.limit() : this.limit
    const passedMs = nowMs - this.atMs
    this.atMs = nowMs
    if (rate === 0) this.balanceBytes = 0
    if (rate === 0) return { bytes: CHUNK_DATA_BYTES_MAX, waitMs: 0, closed: false }
    if (!(rate > 0)) return { bytes: 0, waitMs: CLOSED_WINDOW_MS, closed: true }
    const piece = Math.min(CHUNK_DATA_BYTES_MAX, Math.max(PIECE_BYTES_MIN, Math.floor(rate / PIECES_PER_SECOND)))
    // What was not used is worth one piece later, or what a late timer missed, not more.
    this.balanceBytes = Math.min(Math.max(piece, rate * LATE_SECONDS), this.balanceBytes + (rate * passedMs) / 1000)
    if (this.balanceBytes >= 0) return { bytes: piece, waitMs: 0, closed: false }
    return { bytes: 0, waitMs: Math.ceil((-this.balanceBytes / rate) * 1000), closed: false }
  }

  spend(bytes: number): void {
    if (this.limit !== 0) this.balanceBytes -= bytes
  }
}
