// How much producers may have under way. Each begins with a little; who uses it gets more, as long as all of them together
// stay within a bound: the hub's memory does not grow with the number of senders that are fast at once.

/** Bytes a connection may always have under way, beside one frame: enough for the rare sender. */
export const CREDIT_BYTES_FIRST = 256 * 1024
/** And at most: at 1 ms a round trip it is no limit below 8 GB a second. */
export const CREDIT_BYTES_MAX = 8 * 1024 * 1024
/** What all connections together may have beyond their first: 32 at full speed, or hundreds at a part of it. */
const POOL_BYTES = 256 * 1024 * 1024

export class CreditPool {
  private leftBytes: number

  constructor(bytes = POOL_BYTES) {
    this.leftBytes = bytes
  }

  get available(): number {
    return this.leftBytes
  }

  take(bytes: number): boolean {
    if (bytes > this.leftBytes) return false
    this.leftBytes -= bytes
    return true
  }

  giveBack(bytes: number): void {
    this.leftBytes += bytes
  }
}

/** One connection's part. */
export class CreditWindow {
  /** Bytes that may be under way. */
  bytes = CREDIT_BYTES_FIRST
  private readonly pool: CreditPool

  constructor(pool: CreditPool) {
    this.pool = pool
  }

  /** Told how much is under way: a sender that uses most of its window may have twice as much. */
  used(underWayBytes: number): void {
    if (2 * underWayBytes < this.bytes || this.bytes >= CREDIT_BYTES_MAX) return
    if (this.pool.take(this.bytes)) this.bytes *= 2
  }

  /** The connection has ended. */
  close(): void {
    this.pool.giveBack(this.bytes - CREDIT_BYTES_FIRST)
    this.bytes = CREDIT_BYTES_FIRST
  }
}
