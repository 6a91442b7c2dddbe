// Many conditions on one document: what they look at is parsed once, and conditions that are equal are decided once.

import { asFault, type Fault } from '#protocol/base/mod.ts'
import { type Condition, compileCondition } from './condition.ts'
import { ParsedDocument } from './document.ts'
import { FlatCompiler } from './flat/mod.ts'
import { PREDICATE_DOCUMENT_BYTES_MAX } from './limits.ts'
import type { Language, PredicateSpec } from './spec.ts'

/** A fault is the document's, then the same for all that look at it, or that of the condition alone. */
export type Verdict = boolean | Fault

export type Explanation = {
  readonly language: Language
  readonly expression: string
  readonly verdict: Verdict
  /** What the expression gave, or why it was not asked; bounded. */
  readonly gave: string
}

export type Predicates = {
  /** As many as there were specs. */
  readonly count: number
  /**
   * The verdict for each of `wanted` (indices of the specs; all when left out), in that order. At once unless an expression has to
   * be awaited. Never throws for what the body is.
   */
  test(body: Buffer, contentType: string, wanted?: readonly number[]): readonly Verdict[] | Promise<readonly Verdict[]>
  explain(body: Buffer, contentType: string, index: number): Promise<Explanation>
  /** Gives back what is not garbage collected. */
  dispose(): void
}

export type PredicateOptions = {
  /** Names the setting, for faults: `rules[3].when`. */
  readonly where?: (index: number) => string
  readonly bytesMax?: number
  /** Of specs known to be right: each is compiled when it is first asked for. Ten thousand take a third of a second. */
  readonly lazily?: boolean
}

/** Throws PREDICATE_SYNTAX, QUERY_SYNTAX, EXPRESSION_SYNTAX. */
export function compilePredicates(
  specs: readonly PredicateSpec[],
  options: PredicateOptions | NonNullable<PredicateOptions['where']> = {},
): Predicates {
  const chosen = typeof options === 'function' ? { where: options } : options
  const { where = (index) => `when[${index}]`, bytesMax = PREDICATE_DOCUMENT_BYTES_MAX, lazily = false } = chosen
  const flat = new FlatCompiler()
  /** Of equal specs the first. */
  const known = new Map<string, number>()
  const of = specs.map((spec, index) => {
    const key = JSON.stringify(spec)
    const first = known.get(key) ?? index
    known.set(key, first)
    return first
  })
  const conditions = new Map<number, Condition>()
  const conditionOf = (index: number): Condition => {
    const first = of[index] as number
    let condition = conditions.get(first)
    if (condition === undefined) {
      condition = compileCondition(specs[first] as PredicateSpec, where(first), flat)
      conditions.set(first, condition)
    }
    return condition
  }
  if (!lazily) for (const first of known.values()) conditionOf(first)
  const all = specs.map((_, index) => index)
  return {
    count: specs.length,
    test(body, contentType, wanted = all) {
      const document = new ParsedDocument(body, { contentType, bytesMax, parse: flat.parse })
      const verdicts: (Verdict | Promise<Verdict>)[] = new Array(wanted.length)
      const decided = new Map<number, Verdict | Promise<Verdict>>()
      let waits = false
      for (let i = 0; i < wanted.length; i += 1) {
        const first = of[wanted[i] as number] as number
        let verdict = decided.get(first)
        if (verdict === undefined) {
          verdict = decide(conditionOf, first, document)
          decided.set(first, verdict)
          waits ||= verdict instanceof Promise
        }
        verdicts[i] = verdict
      }
      if (waits) return Promise.all(verdicts).finally(() => document[Symbol.dispose]())
      document[Symbol.dispose]()
      return verdicts as Verdict[]
    },
    async explain(body, contentType, index) {
      using document = new ParsedDocument(body, { contentType, bytesMax, parse: flat.parse })
      const condition = conditionOf(index)
      const { language, expression } = condition
      const verdict = await decide(conditionOf, index, document)
      return { language, expression, verdict, gave: await given(condition, document) }
    },
    dispose() {
      for (const each of conditions.values()) each.dispose()
    },
  }
}

function decide(
  conditionOf: (index: number) => Condition,
  index: number,
  document: ParsedDocument,
): Verdict | Promise<Verdict> {
  try {
    const condition = conditionOf(index)
    if (document.nature !== condition.of) return false
    const verdict = condition.test(document)
    return verdict instanceof Promise ? verdict.catch((error: unknown) => asFault(error)) : verdict
  } catch (error) {
    return asFault(error)
  }
}

async function given(condition: Condition, document: ParsedDocument): Promise<string> {
  if (document.nature !== condition.of) return `the document is not ${condition.of === 'xml' ? 'XML' : 'JSON'}`
  try {
    return await condition.show(document)
  } catch (error) {
    return asFault(error).message
  }
}
