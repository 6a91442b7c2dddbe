// Latencies of millions of messages in a few kilobytes: counts by steps of one per cent, from 1 µs to ten minutes.

const STEP = Math.log(1.01)
const BUCKETS = Math.ceil(Math.log(600e6) / STEP) + 1

export class Histogram {
  readonly counts: Float64Array
  total = 0

  /** From the `counts` of another one, as another process sent them. */
  constructor(counts: ArrayLike<number> = []) {
    this.counts = new Float64Array(BUCKETS)
    this.counts.set(counts)
    for (const count of this.counts) this.total += count
  }

  add(ms: number): void {
    const step = ms <= 0.001 ? 0 : Math.min(BUCKETS - 1, Math.floor(Math.log(ms * 1000) / STEP))
    this.counts[step] = (this.counts[step] as number) + 1
    this.total++
  }

  /** Milliseconds that a share of all messages (0 < share ≤ 1) did not exceed, by at most one per cent too high; 0 when empty. */
  percentile(share: number): number {
    let left = Math.ceil(share * this.total)
    if (left === 0) return 0
    let step = 0
    while (step < BUCKETS - 1 && left > (this.counts[step] as number)) left -= this.counts[step++] as number
    return Math.exp((step + 1) * STEP) / 1000
  }
}

/** The clock that all processes of a machine share (CLOCK_MONOTONIC), in milliseconds. */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1000 + nanoseconds / 1e6
}
