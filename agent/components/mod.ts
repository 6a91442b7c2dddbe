// Components of flows: what they promise, and the ones that come with Causeway.

export { type CaseOutcome, caseText, runCases } from './cases/mod.ts'
export {
  type Chain,
  type ChainResult,
  type ChannelSpec,
  chainOf,
  type LargeDocuments,
  wantsThread,
} from './chain/mod.ts'
export * from './contract.ts'
export { HubDestination, type HubOutlet, hubDestinationSettings, Outbox } from './destination/hub/mod.ts'
export { type DocumentLabel, type DocumentPlace, documentOf, documentSettings, withDocument } from './document.ts'
export { componentFault } from './faults.ts'
export { IsolatedPool, type PoolLimits } from './isolation/mod.ts'
export { builtinComponents, type Component, type ComponentEntry, defineComponent } from './registry.ts'
export { HubSource, hubSourceSettings } from './source/hub/mod.ts'
