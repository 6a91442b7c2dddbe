// A rule set as the store keeps it and threads get it: JSON in lines, a head and then a rule in each, so that it can be read in
// slices. It was checked when it was made of a rule file; cases are not in it.

import { asFault } from '#protocol/base/mod.ts'
import { type CompiledRules, compiling, type RunningSet } from './compile.ts'
import { rulesFault } from './faults.ts'
import { RULES_PER_STEP } from './limits.ts'
import type { Rule } from './spec.ts'

type Head = { readonly rules: 1; readonly count: number } & Omit<RunningSet, 'rules'>

/** Version 1 of the text. */
export function rulesText(set: RunningSet): Buffer {
  const { mode, documentBytesMax, pipelines } = set
  const rest = documentBytesMax === undefined ? { pipelines } : { documentBytesMax, pipelines }
  const head: Head = { rules: 1, count: set.rules.length, mode, default: set.default, ...rest }
  const lines = [JSON.stringify(head)]
  for (const rule of set.rules) lines.push(JSON.stringify(rule))
  return Buffer.from(lines.join('\n'))
}

/** Reads what `rulesText` wrote, in steps as `compiling`. Faults: `RULES_TEXT_DAMAGED`. */
export function* readingRules(text: Buffer): Generator<undefined, RunningSet> {
  let at = 0
  let line = 0
  const next = (): unknown => {
    line++
    if (at > text.length) throw rulesFault('RULES_TEXT_DAMAGED', { where: `line ${line}`, why: 'it ends too soon' })
    const found = text.indexOf(0x0a, at)
    const end = found < 0 ? text.length : found
    const json = text.toString('utf8', at, end)
    at = end + 1
    try {
      return JSON.parse(json)
    } catch (cause) {
      throw rulesFault('RULES_TEXT_DAMAGED', { where: `line ${line}`, why: asFault(cause).message })
    }
  }
  const head = next() as Head
  if (head?.rules !== 1) throw rulesFault('RULES_TEXT_DAMAGED', { where: 'line 1', why: 'it is of another version' })
  const rules: Rule[] = []
  for (let i = 0; i < head.count; i++) {
    rules.push(next() as Rule)
    if (i % RULES_PER_STEP === 0) yield
  }
  const { rules: _, count: __, ...rest } = head
  return { ...rest, rules }
}

/** Both in one: what the store kept, compiled. */
export function* loadingRules(text: Buffer): Generator<undefined, CompiledRules> {
  return yield* compiling(yield* readingRules(text))
}
