// Rule sets: where messages go beside the queues that ask for them by topic, and through which pipelines. `parse` reads a rule
// file, `compile` says what rules mean and finds those a message fits, `text` is how the store and threads hold a set; `lint`,
// `ready`, `explain` and `run-cases` tell people what a set does before it is deployed.

export { type AtOnce, NO_RULE_FITS } from './at-once.ts'
export type { CaseOutcome, Difference } from './cases.ts'
export {
  type CompiledRule,
  CompiledRules,
  compileRules,
  compiling,
  type Decision,
  type Failure,
  inSlices,
  type Match,
  type RunningSet,
  topicOf,
  type Verdict,
  type Way,
} from './compile.ts'
export { type Asked, type Compared, type ExplainedRule, type Explanation, explain } from './explain.ts'
export { rulesFault } from './faults.ts'
export { CASE_FILE_BYTES_MAX, RULES_TEXT_BYTES_MAX } from './limits.ts'
export { lintRules } from './lint.ts'
export { type ParseOptions, type PlacedRules, parsePlacedRules, parseRuleSet } from './parse.ts'
export { contextOf, type Folders, readyFaults, readyPredicates } from './ready.ts'
export { caseFaults, type RunOptions, runCases } from './run-cases.ts'
export { type ReadFile, type Sample, sampleOf } from './sample.ts'
export {
  type PipelineSpec,
  type PredicateSpec,
  type RouteCase,
  type Rule,
  type RuleSet,
  ruleSetSpec,
  type SampleSpec,
  sampleSpec,
} from './spec.ts'
export { loadingRules, readingRules, rulesText } from './text.ts'
