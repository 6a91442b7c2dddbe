// The ground everything stands on: brands, Result, assert, faults, Clock. No I/O, no time, no randomness of its own.

export { type Backoff, jitteredBackoff } from './backoff.ts'
export type { FaultDetails, FaultEntry, FaultTable } from './fault.ts'
export { asFault, declaredFaults, declareFaults, Fault, faultIn } from './fault.ts'

declare const unit: unique symbol

/** A number of milliseconds: a duration or a time since 1970-01-01T00:00:00Z, as the name says. */
export type Millis = number & { readonly [unit]: 'ms' }

export const millis = (value: number): Millis => value as Millis

/** Where time comes from. `protocol/` never reads a clock: it is handed `nowMs`. */
export type Clock = {
  /** Wall clock, milliseconds since 1970; may jump. For records and display only. */
  wallMs(): Millis
  /** Monotonic, milliseconds from an arbitrary start. For timeouts and durations. */
  nowMs(): Millis
}

export const systemClock: Clock = {
  wallMs: () => Date.now() as Millis,
  nowMs: () => performance.now() as Millis,
}

/** An expected outcome on a cold path; hot paths throw only when a peer misbehaves or an invariant broke. */
export type Result<T, E> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly fault: E }

/** Checks an invariant of our own. Never call it on a peer's bytes: those raise a fault. */
export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${what}`)
}

/** Ends a `switch` over a union: the compiler proves no case is missing. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`)
}
