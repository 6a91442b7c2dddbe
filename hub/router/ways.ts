// What the router's parts tell each other.

import type { DocumentSession } from '#hub/transform/mod.ts'
import type { Fault } from '#protocol/base/mod.ts'
import type { Batch } from '#protocol/codec/mod.ts'
import type { RulesVersion } from './deployments.ts'

/** Where rules send a message together: as it is, or as what one pipeline makes of it. */
export type RuleWay = {
  /** Names of the rules. */
  readonly rule: string
  /** Messages with one key go through one pipeline, and its channels see them together; `null`: the message goes on as it is. */
  readonly pipeline: string | null
  /** Topic of what the pipeline makes. */
  readonly topic: string
  readonly queues: readonly string[]
}

/** What the rules say of a message. */
export type Decision = {
  /** Empty when none matches. */
  readonly ways: readonly RuleWay[]
  /** It has a place already, or a rule that fits has nothing to add: it is not unrouted. */
  readonly placed: boolean
  /** Rules whose content could not be looked at, and why. */
  readonly faults: readonly { readonly rule: string; readonly fault: Fault }[]
}

/** The rules that count, for what waits in the router's queue. */
export type Deciding = {
  readonly version: RulesVersion
  /** Where messages go that no rule wants and that have no other place; empty: to the unrouted ones. */
  readonly defaults: readonly string[]
  /** The largest document that conditions and pipelines get. */
  readonly documentBytesMax: number
  /**
   * For each of the places, in their order; a fault is of this message alone. `noted` with these rules; `null`: whatever it got before,
   * all of it is decided. Throws what may pass.
   */
  decide(
    batch: Batch,
    places: readonly number[],
    options: { readonly noted: Noted | null; readonly signal: AbortSignal; readonly documents: DocumentSession | null },
  ): Promise<readonly (Decision | Fault)[]>
}

/** What is known of a message that waits for a decision: which rules it came in under, and whether it has a place already. */
export type Noted = { readonly version: number; readonly placed: boolean }

export const noteOf = ({ version, placed }: Noted): string => `${version}${placed ? '+' : ''}`

/** `null`: nothing is known. It was sent back by an operator. */
export function notedIn(note: string): Noted | null {
  const [, version, plus] = /^(\d{1,15})(\+?)$/.exec(note) ?? []
  return version === undefined ? null : { version: Number(version), placed: plus === '+' }
}
