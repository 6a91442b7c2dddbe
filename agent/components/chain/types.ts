// What a chain of channels is to whoever runs one: a flow of an agent, a pipeline of the hub.

import type { Content, HubContent, Item, Lent, Reject } from '../contract.ts'

/** A channel by its name in the registry, with settings that its own spec has read: plain data, which can go to a thread. */
export type ChannelSpec = { readonly type: string; readonly settings: unknown }

/**
 * What a step did, for the trace; only of steps that had items. Digests are hexadecimal: SHA-256 over the digests, one after the
 * other, of the items that went in and came out; an item's is SHA-256 of `encodeItems` of it alone.
 */
export type StepRecord = {
  /** From 1. */
  readonly step: number
  readonly type: string
  readonly itemsIn: number
  readonly itemsOut: number
  /** Spent on it; in several threads together. */
  readonly ms: number
  readonly digestIn: string
  readonly digestOut: string
}

/** A refused item, as it was when it came into the chain if it is known, else as the refusing step had it. */
export type ChainReject = Reject & { readonly step: number; readonly type: string }

/**
 * What whoever runs a chain lends it for large documents. Steps get the bytes of those that come in when they ask for them (see
 * `HubContent.read`), one document at a time; those that come out are put away at once.
 */
export type LargeDocuments = {
  /** Larger ones are put away. */
  readonly inlineBytesMax: number
  /** Gives what stands for it from now on. `bytes` are not changed any more. Faults: those of where it is put. */
  put(bytes: Uint8Array, item: Item, signal?: AbortSignal): Promise<Content>
  /** Lends content whose giver does not; as `HubContent.read`. */
  read?(content: HubContent, signal?: AbortSignal): Promise<Lent>
}

export type ChainResult = {
  readonly items: readonly Item[]
  readonly rejects: readonly ChainReject[]
  /** Empty unless steps are recorded. */
  readonly steps: readonly StepRecord[]
}

/** What a channel made an item of, and which. */
export type ChainMembers = { readonly items: readonly Item[]; readonly step: number; readonly type: string }

/** Calls come one at a time, in the order of `Channel`. */
export type Chain = {
  /** `state` as of `save`. Throws what its channels throw when they open. */
  open(state: string | null): Promise<void>
  /**
   * What comes of the items, in their order. Of an item that is refused nothing comes; the others pass. What a channel has kept from
   * earlier calls bears an `ownRef`, whose item nobody else knows. Throws a fault when it can be tried again or must not go on.
   */
  process(items: readonly Item[], signal?: AbortSignal, large?: LargeDocuments): Promise<ChainResult>
  /** What has come due; call it again while `dueAtMs` has passed. */
  due(signal?: AbortSignal, large?: LargeDocuments): Promise<ChainResult>
  dueAtMs(): number | null
  /** Some of what waits, whatever its time; call it again while something `waits`. */
  flush(signal?: AbortSignal, large?: LargeDocuments): Promise<ChainResult>
  waits(): boolean
  /** See `Channel.membersOf`, for a `ref` of what the last call gave or refused. */
  membersOf(ref: Item['ref']): ChainMembers | null
  /** The states of its channels as one text; `null` when none keeps anything. */
  save(): Promise<string | null>
  committed(state: string): Promise<void>
  close(): Promise<void>
}
