// Runs lists of channels: for an agent's flows and the hub's pipelines.

export { atStep } from './at-step.ts'
export { type ChainOptions, chainOf, type ThreadEntries, wantsThread } from './chain.ts'
export { digestOf, encodeItems } from './encoding.ts'
export type { Chain, ChainReject, ChainResult, ChannelSpec, LargeDocuments, StepRecord } from './types.ts'
