// Whether a set can run: its conditions on content are expressions that can be compiled.

import { compilePredicates, type Predicates } from '#agent/components/predicates/mod.ts'
import { asFault, type Fault, type Result } from '#protocol/base/mod.ts'
import type { Where } from '#protocol/fields/mod.ts'
import type { CompiledRules } from './compile.ts'

/** Faults told at once. */
const FAULTS_MAX = 50

/**
 * The conditions of a set, or what is wrong with them: `PREDICATE_SYNTAX`, `QUERY_SYNTAX`, `EXPRESSION_SYNTAX`, each with file, line
 * and the rule that has it first. To be disposed of.
 */
export function readyPredicates(rules: CompiledRules, where: Where): Result<Predicates, Fault[]> {
  const first = new Map<number, number>()
  for (const { predicate, order } of rules.rules) {
    if (predicate >= 0 && !first.has(predicate)) first.set(predicate, order)
  }
  const placeOf = (predicate: number) => where(`rules[${first.get(predicate)}].when`)
  try {
    return { ok: true, value: compilePredicates(rules.predicates, placeOf) }
  } catch (error) {
    // The first ends it: to tell all, each is tried alone.
    const faults: Fault[] = []
    for (const [i, spec] of rules.predicates.entries()) {
      if (faults.length >= FAULTS_MAX) break
      try {
        compilePredicates([spec], () => placeOf(i)).dispose()
      } catch (one) {
        faults.push(asFault(one, placeOf(i)))
      }
    }
    return { ok: false, fault: faults.length > 0 ? faults : [asFault(error)] }
  }
}
