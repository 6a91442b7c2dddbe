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

/** `where` names the setting, for faults: `rules[3].when`. Throws PREDICATE_SYNTAX, QUERY_SYNTAX, EXPRESSION_SYNTAX. */
export function compilePredicates(
  specs: readonly PredicateSpec[],
  where: (index: number) => string = (index) => `when[${index}]`,
  bytesMax = PREDICATE_DOCUMENT_BYTES_MAX,
): Predicates {
  const flat = new FlatCompiler()
  const conditions: Condition[] = []
  const known = new Map<string, number>()
  const of = specs.map((spec, index) => {
    const key = JSON.stringify(spec)
    const same = known.get(key)
    if (same !== undefined) return same
    conditions.push(compileCondition(spec, where(index), flat))
    known.set(key, conditions.length - 1)
    return conditions.length - 1
  })
  const all = specs.map((_, index) => index)
  return {
    count: specs.length,
    test(body, contentType, wanted = all) {
      const document = new ParsedDocument(body, { contentType, bytesMax, parse: flat.parse })
      const verdicts: (Verdict | Promise<Verdict>)[] = new Array(wanted.length)
      const decided = new Map<number, Verdict | Promise<Verdict>>()
      let waits = false
      for (let i = 0; i < wanted.length; i += 1) {
        const condition = of[wanted[i] as number] as number
        let verdict = decided.get(condition)
        if (verdict === undefined) {
          verdict = decide(conditions[condition] as Condition, document)
          decided.set(condition, verdict)
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
      const condition = conditions[of[index] as number] as Condition
      const { language, expression } = condition
      const verdict = await decide(condition, document)
      return { language, expression, verdict, gave: await given(condition, document) }
    },
    dispose() {
      for (const each of conditions) each.dispose()
    },
  }
}

function decide(condition: Condition, document: ParsedDocument): Verdict | Promise<Verdict> {
  if (document.nature !== condition.of) return false
  try {
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
