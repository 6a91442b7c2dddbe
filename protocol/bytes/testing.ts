// For tests: randomness that replays, and what a fault-only function did.

import { Fault } from '#protocol/base/mod.ts'

/** The seed of a property test: `SEED=` replays one. Print it with `t.comment`. */
export function testSeed(): number {
  return (Number(process.env.SEED ?? Date.now()) >>> 0) % 1_000_000_000
}

/** A small, fast generator (mulberry32): the same seed gives the same run on every machine. */
export class Random {
  private state: number

  constructor(seed: number) {
    this.state = seed >>> 0
  }

  u32(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }

  /** 0 … limit-1. */
  below(limit: number): number {
    return Math.floor((this.u32() / 0x1_0000_0000) * limit)
  }

  /** True in one of `n` cases. */
  oneIn(n: number): boolean {
    return this.below(n) === 0
  }

  /** An integer in 0 … 2^53-1, small and large ones alike. */
  u53(): number {
    const bits = this.below(54)
    return Math.floor((this.u32() * 0x20_0000 + this.below(0x20_0000)) / 2 ** (53 - bits))
  }

  bytes(length: number): Buffer {
    const out = Buffer.allocUnsafe(length)
    for (let i = 0; i < length; i++) out[i] = this.u32()
    return out
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T
  }
}

/** The code of the fault that `run` throws; `null` when it throws none. Anything else that is thrown goes on. */
export function faultCode(run: () => unknown): string | null {
  try {
    run()
    return null
  } catch (error) {
    if (error instanceof Fault) return error.code
    throw error
  }
}
