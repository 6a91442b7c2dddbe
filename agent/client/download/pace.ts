// How fast content may come: credit is given as time passes. Time that was not used is lost, so that a slow rate is not followed by
// a burst.

import { PACE_BURST_BYTES_MIN } from './limits.ts'

export type Rate = number | (() => number)

export class Pace {
  private readonly rate: Rate
  private allowed = 0
  private atMs = 0

  /** Bytes a second; 0: as fast as they come; -1: none. */
  constructor(rate: Rate = 0) {
    this.rate = rate
  }

  /** It can change with time: ask again and again. */
  get limited(): boolean {
    return this.rate !== 0
  }

  /** A new connection counts from 0. */
  begin(nowMs: number): void {
    this.allowed = 0
    this.atMs = nowMs
  }

  /** Bytes that may have been asked for by now, when so many have come. */
  at(nowMs: number, receivedBytes: number): number {
    const rate = typeof this.rate === 'number' ? this.rate : this.rate()
    const passedMs = nowMs - this.atMs
    this.atMs = nowMs
    if (rate === 0) return Number.MAX_SAFE_INTEGER
    if (rate < 0) {
      // What was allowed and has not been granted is not wanted any more.
      this.allowed = Math.min(this.allowed, receivedBytes)
      return this.allowed
    }
    const burst = Math.max(PACE_BURST_BYTES_MIN, rate / 4)
    this.allowed = Math.min(receivedBytes + burst, Math.max(this.allowed, receivedBytes) + (rate * passedMs) / 1000)
    return Math.floor(this.allowed)
  }
}
