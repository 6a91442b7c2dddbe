// What a rule set says that can hardly be meant. Nothing here keeps a set from being deployed; what does is in `parse` and `ready`.

import type { Fault } from '#protocol/base/mod.ts'
import { patternCovers } from '#protocol/codec/mod.ts'
import type { Where } from '#protocol/fields/mod.ts'
import { type CompiledRule, compileRules } from './compile.ts'
import { rulesFault } from './faults.ts'
import { holds, type Test } from './headers.ts'
import { COMPARED_MAX, FINDINGS_MAX } from './limits.ts'
import type { RuleSet } from './spec.ts'

/**
 * In the order of the file, at most `FINDINGS_MAX`. Codes: `RULE_UNREACHABLE`, `RULE_REPEATED`, `RULE_PIPELINE_UNUSED`. A rule is
 * only called unreachable when that is certain; not every such rule is found.
 */
export function lintRules(set: RuleSet, where: Where): Fault[] {
  return [...unreachable(set, where), ...repeated(set, where), ...unused(set, where)].slice(0, FINDINGS_MAX)
}

/**
 * A rule whose messages all fit an earlier one that ends the looking. Whatever covers a rule also fits the message that has the
 * rule's own pattern as topic and its own values as headers: so candidates come out of the index.
 */
function unreachable(set: RuleSet, where: Where): Fault[] {
  const { rules } = compileRules(set)
  // Only those that surely end the looking can take everything.
  const ending = rules.filter(({ ends, predicate }) => ends && predicate < 0)
  if (ending.length === 0) return []
  const index = compileRules({ ...set, mode: 'all', rules: ending.map(({ rule }) => ({ ...rule, final: false })) })
  const faults: Fault[] = []
  for (const rule of rules) {
    if (faults.length >= FINDINGS_MAX) break
    const headers = Object.fromEntries(
      rule.tests.flatMap(({ name, kind, values }) => (kind === 'equals' ? [[name, values[0] as string]] : [])),
    )
    const takers = rule.rule.topics.map((pattern) => {
      const match = index.match({ topic: pattern, headers })
      return match.rules
        .slice(0, COMPARED_MAX)
        .map(({ order }) => ending[order] as CompiledRule)
        .find((earlier) => earlier.order < rule.order && covers(earlier, rule, pattern))
    })
    if (takers.includes(undefined)) continue
    const names = [...new Set(takers.map((taker) => JSON.stringify((taker as CompiledRule).rule.name)))]
    const why = `${JSON.stringify(rule.rule.name)} comes after ${names.join(', ')}`
    faults.push(rulesFault('RULE_UNREACHABLE', { where: where(`rules[${rule.order}].name`), why }))
  }
  return faults
}

function covers(earlier: CompiledRule, later: CompiledRule, pattern: string): boolean {
  return (
    earlier.rule.topics.some((outer) => patternCovers(outer, pattern)) &&
    earlier.tests.every((test) => implied(test, later.tests))
  )
}

/** Whether `test` holds of every message of which all of `given` hold. */
function implied(test: Test, given: readonly Test[]): boolean {
  const same = JSON.stringify({ ...test, set: null })
  return given.some((one) => {
    if (one.name !== test.name) return false
    if (one.kind === 'equals') return one.values.every((value) => holds(test, { [test.name]: value }))
    if (test.kind === 'exists') return one.kind === 'prefix' || one.kind === 'above' || one.kind === 'below'
    return JSON.stringify({ ...one, set: null }) === same
  })
}

function repeated(set: RuleSet, where: Where): Fault[] {
  const seen = new Map<string, string>()
  return set.rules.flatMap(({ name, topics, to, ...rest }, i) => {
    const what = JSON.stringify([topics.toSorted(), to.toSorted(), Object.entries(rest).sort()])
    const before = seen.get(what)
    if (before === undefined) {
      seen.set(what, name)
      return []
    }
    const why = `${JSON.stringify(name)} is ${JSON.stringify(before)} again`
    return [rulesFault('RULE_REPEATED', { where: where(`rules[${i}].name`), why })]
  })
}

function unused(set: RuleSet, where: Where): Fault[] {
  const used = new Set(set.rules.map(({ pipeline }) => pipeline))
  return Object.keys(set.pipelines).flatMap((name) =>
    used.has(name) ? [] : [rulesFault('RULE_PIPELINE_UNUSED', { where: where(`pipelines.${name}`), why: name })],
  )
}
