// Whether a set can run: its conditions on content are expressions that can be compiled, its channels can be made.

import { resolve } from 'node:path'
import { chainOf } from '#agent/components/chain/mod.ts'
import { builtinComponents, type ComponentContext } from '#agent/components/mod.ts'
import { compilePredicates, type Predicates } from '#agent/components/predicates/mod.ts'
import { asFault, type Clock, Fault, type Result } from '#protocol/base/mod.ts'
import type { Where } from '#protocol/fields/mod.ts'
import { type CompiledRules, compileRules } from './compile.ts'
import type { PlacedRules } from './parse.ts'
import type { RuleSet } from './spec.ts'

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

/** Where the files are that channels name, and where they may write. */
export type Folders = { readonly folder: string; readonly dataDir: string; readonly clock: Clock }

export function contextOf({ folder, dataDir, clock }: Folders): ComponentContext {
  return { flow: 'route', dataDir, clock, resolvePath: (path) => resolve(folder, path), log: () => undefined }
}

/** All that keeps a set from running, beside what `parsePlacedRules` says. */
export function readyFaults({ set, where }: PlacedRules, folders: Folders): Fault[] {
  const predicates = readyPredicates(compileRules(set), where)
  if (predicates.ok) predicates.value.dispose()
  return [...(predicates.ok ? [] : predicates.fault), ...pipelineFaults(set, where, folders)]
}

/** What keeps the pipelines of a set from being made. Nothing is opened. */
function pipelineFaults(set: Pick<RuleSet, 'pipelines'>, where: Where, folders: Folders): Fault[] {
  const options = { context: contextOf(folders), entries: builtinComponents, pool: null, record: false }
  return Object.entries(set.pipelines).flatMap(([name, { steps }]) => {
    try {
      chainOf(steps, options)
      return []
    } catch (error) {
      const fault = asFault(error)
      const place = where(`pipelines.${name}`)
      return [
        new Fault(
          fault.code,
          { meaning: fault.message, remedy: fault.remedy },
          { ...fault.details, where: fault.where === null ? place : `${place}, ${fault.where}` },
        ),
      ]
    }
  })
}
