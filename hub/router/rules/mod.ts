// Rule sets: where messages go beside the queues that ask for them by topic, and through which pipelines. `parse` reads a rule
// file, `compile` says what rules mean and finds those a message fits, `text` is how the store and threads hold a set.

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
export { rulesFault } from './faults.ts'
export { type ParseOptions, parseRuleSet } from './parse.ts'
export type { PipelineSpec, PredicateSpec, RouteCase, Rule, RuleSet, SampleSpec } from './spec.ts'
export { loadingRules, readingRules, rulesText } from './text.ts'
