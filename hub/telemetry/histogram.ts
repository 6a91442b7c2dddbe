// Distributions counted in fixed buckets: what a hot path can afford. Nothing is allocated by an observation.

/** Bounds in ms: from one flush of a fast disk to a day in a queue. */
export const SETTLE_MS_BOUNDS = [
  1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 15_000, 60_000, 300_000, 3_600_000, 86_400_000,
] as const
/** Bounds in ms: a flush takes 0.2 to 1 ms on flash, 10 to 30 on a turning disk. */
export const COMMIT_MS_BOUNDS = [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 125, 250, 500, 1_000, 5_000] as const
export const ATTEMPT_BOUNDS = [1, 2, 3, 5, 10, 20, 50, 100] as const
export const GROUP_WORKS_BOUNDS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 4_096] as const
export const GROUP_BYTES_BOUNDS = [
  4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 33_554_432,
] as const

export class Histogram {
  /** Upper bounds, ascending; a value that is equal to one belongs to it. */
  readonly bounds: readonly number[]
  /** One more than there are bounds: the last one counts what is above them all. Exact up to 2^53. */
  readonly counts: Float64Array
  sum = 0

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = new Float64Array(bounds.length + 1)
  }

  /** `times`: how often, such as the messages of a range that share the value. A value that is no number counts as 0. */
  observe(value: number, times = 1): void {
    // A wall clock that was set back makes negative durations.
    const counted = value > 0 ? value : 0
    let bucket = 0
    while (bucket < this.bounds.length && counted > (this.bounds[bucket] as number)) bucket++
    this.counts[bucket] = (this.counts[bucket] as number) + times
    this.sum += counted * times
  }
}
