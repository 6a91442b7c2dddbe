// Cases of configuration: samples of what goes in, with what is to come out. What cases of flows and pipelines share.

export { type Difference, differenceOf, exactDifferenceOf } from './difference.ts'
export { type CaseDifference, type CaseOutcome, type RunCasesOptions, runCases } from './run.ts'
export { caseText } from './show.ts'
export { type ChannelCase, casesSpec } from './spec.ts'
