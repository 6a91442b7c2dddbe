// How long to wait before trying again: exponential with full jitter, so that many agents whose hub comes back do not
// all knock in the same moment. The wait is uniform in [1, min(maxMs, firstMs × 2ⁿ)] after the n-th failure in a row.

export type Backoff = {
  /** The next wait in milliseconds; each call counts as one more failure. */
  next(): number
  /** After a success: begin with `firstMs` again. */
  reset(): void
  readonly failures: number
}

/** `random` gives numbers in [0, 1), as `Math.random` does. */
export function jitteredBackoff(options: { firstMs: number; maxMs: number; random: () => number }): Backoff {
  const { firstMs, maxMs, random } = options
  let failures = 0
  return {
    next() {
      // 2³⁰ × 1 ms are 12 days: the exponent needs no more, and the product stays exact.
      const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(failures, 30))
      failures += 1
      return Math.max(1, Math.ceil(random() * ceiling))
    },
    reset() {
      failures = 0
    },
    get failures() {
      return failures
    },
  }
}
