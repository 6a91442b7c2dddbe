// What the router's parts tell each other.

import type { DocumentSession } from '#hub/transform/mod.ts'
import type { Fault } from '#protocol/base/mod.ts'
import type { Batch } from '#protocol/codec/mod.ts'
import type { RulesVersion } from './deployments.ts'
import type { Noted, Remainder } from './noted.ts'

/** Where rules send a message together: as it is, or as what one pipeline makes of it. */
export type RuleWay = {
  /** Names of the rules. */
  readonly rules: readonly string[]
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
  /** Rules whose content could not be looked at, and why; `null`: none of them could. */
  readonly faults: readonly { readonly rule: string | null; readonly fault: Fault }[]
  /** Queues that have the message already. */
  readonly had: readonly string[]
  /** The rule behind which none was looked at. */
  readonly endedBy: string | null
}

/** The rules that count, for what waits in the router's queue. */
export type Deciding = {
  readonly version: RulesVersion
  /** Where messages go that no rule wants and that have no other place; empty: to the unrouted ones. */
  readonly defaults: readonly string[]
  /** The largest document that conditions and pipelines get. */
  readonly documentBytesMax: number
  /** How these rules decide what is left of a message that is sent back, in words. */
  remark(left: Remainder): string
  /**
   * For each of the places, in their order. `noted` with these rules, `had` are the queues it says the messages are in; `null`: whatever
   * they got before, all of it is decided. Throws what may pass.
   */
  decide(
    batch: Batch,
    places: readonly number[],
    options: {
      readonly noted: Noted | null
      readonly had: readonly string[]
      readonly signal: AbortSignal
      readonly documents: DocumentSession | null
    },
  ): Promise<readonly Decision[]>
}

export const namesOf = ({ rules }: Pick<RuleWay, 'rules'>): string => rules.join(', ')
