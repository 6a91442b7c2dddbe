// Conditions on the content of documents: XPath, JSONata, JSON Pointer. Rules of the hub and filters of agents have them.

export type { Explanation, PredicateOptions, Predicates, Verdict } from './compile.ts'
export { compilePredicates } from './compile.ts'
export { PREDICATE_DOCUMENT_BYTES_MAX } from './limits.ts'
export { type PredicateSpec, predicateSpec } from './spec.ts'
