// Why a message goes where it goes: for each rule whose topic fits, what it asks, what the message has, and what came of it.

import type { Predicates } from '#agent/components/predicates/mod.ts'
import { Fault } from '#protocol/base/mod.ts'
import { topicMatches } from '#protocol/codec/mod.ts'
import { type CompiledRule, type CompiledRules, type Decision, topicOf, type Verdict } from './compile.ts'
import { headerOf, holds, type Test } from './headers.ts'
import type { Sample } from './sample.ts'

/** Rules told one by one; the others are counted. */
const TOLD_MAX = 1_000

export type Compared = {
  readonly header: string
  /** What is asked, in words. */
  readonly asked: string
  /** What the message has; `null` when the header is not there. */
  readonly has: string | null
  readonly holds: boolean
}

export type Asked = {
  readonly language: string
  readonly expression: string
  /** What it gave, or why that cannot be said. */
  readonly gave: string
  readonly verdict: boolean | { readonly code: string; readonly message: string }
}

export type ExplainedRule = {
  readonly rule: string
  /** `unreached`: a rule before it ended the looking. */
  readonly outcome: 'fits' | 'topic' | 'headers' | 'content' | 'failed' | 'unreached'
  /** Its pattern that fits the topic. */
  readonly pattern: string | null
  readonly headers: readonly Compared[]
  /** `null` when the rule asks for no content, or was not asked. */
  readonly when: Asked | null
  readonly ends: boolean
}

export type Explanation = {
  readonly topic: string
  readonly headers: Readonly<Record<string, unknown>>
  readonly mode: 'all' | 'first'
  /** Rules of the set, those whose topic does not fit, and those that are told below. */
  readonly counted: { readonly rules: number; readonly otherTopics: number; readonly told: number }
  readonly rules: readonly ExplainedRule[]
  readonly endedBy: string | null
  readonly because: Decision['because']
  readonly ways: readonly {
    readonly pipeline: string | null
    /** Of what the pipeline makes. */
    readonly topic: string
    readonly queues: readonly string[]
    readonly rules: readonly string[]
  }[]
  readonly failures: readonly { readonly rule: string; readonly code: string; readonly message: string }[]
}

/** `predicates` were compiled from those of `rules`. `only` tells of one rule, also when its topic does not fit. */
export async function explain(
  rules: CompiledRules,
  sample: Sample,
  { predicates, only = null }: { readonly predicates: Predicates; readonly only?: string | null },
): Promise<Explanation> {
  const { envelope, contentType } = sample
  const body = sample.body ?? Buffer.alloc(0)
  const match = rules.match(envelope)
  const verdicts = match.wanted.length === 0 ? [] : await predicates.test(body, contentType, match.wanted)
  const decision = rules.decide<Fault>(match, verdicts)
  const told: ExplainedRule[] = []
  let otherTopics = 0
  let endedBy: string | null = null
  const verdictOf = (rule: CompiledRule): Verdict<Fault> =>
    rule.predicate < 0 || (verdicts[match.wanted.indexOf(rule.predicate)] as Verdict<Fault>)
  for (const rule of rules.rules) {
    const { name, topics } = rule.rule
    const pattern = topics.find((one) => topicMatches(one, envelope.topic)) ?? null
    const compared = rule.tests.map((test) => comparedOf(test, sample))
    const fitting = pattern !== null && compared.every(({ holds }) => holds)
    const asked = fitting && endedBy === null
    const verdict = asked && verdictOf(rule)
    if (pattern === null) otherTopics++
    if (only === null ? pattern !== null && told.length < TOLD_MAX : name === only) {
      const when = asked && rule.predicate >= 0 ? await askedOf(predicates, rule.predicate, sample) : null
      const outcome = outcomeOf({ pattern, reached: endedBy === null, fitting, verdict })
      told.push({ rule: name, outcome, pattern, headers: compared, when, ends: rule.ends })
    }
    if (asked && verdict !== false && rule.ends) endedBy = name
  }
  return {
    topic: envelope.topic,
    headers: envelope.headers,
    mode: rules.set.mode,
    counted: { rules: rules.rules.length, otherTopics, told: told.length },
    rules: told,
    endedBy,
    because: decision.because,
    ways: decision.ways.map((way) => ({ ...way, topic: topicOf(way.topic ?? '{topic}', envelope) })),
    failures: decision.failures.map(({ rule, fault }) => {
      return { rule: rule.rule.name, code: fault.code, message: fault.message }
    }),
  }
}

type Seen = {
  readonly pattern: string | null
  readonly reached: boolean
  readonly fitting: boolean
  readonly verdict: Verdict<Fault>
}

function outcomeOf({ pattern, reached, fitting, verdict }: Seen): ExplainedRule['outcome'] {
  if (pattern === null) return 'topic'
  if (!reached) return 'unreached'
  if (!fitting) return 'headers'
  if (verdict === true) return 'fits'
  return verdict === false ? 'content' : 'failed'
}

async function askedOf(predicates: Predicates, place: number, { body, contentType }: Sample): Promise<Asked> {
  const told = await predicates.explain(body ?? Buffer.alloc(0), contentType, place)
  const { language, expression, gave } = told
  const verdict =
    told.verdict instanceof Fault ? { code: told.verdict.code, message: told.verdict.message } : told.verdict
  return { language, expression, gave, verdict }
}

function comparedOf(test: Test, { envelope }: Sample): Compared {
  const value = headerOf(envelope.headers, test.name)
  return {
    header: test.name,
    asked: askedText(test),
    has: value === null ? null : String(value),
    holds: holds(test, envelope.headers),
  }
}

/** Values named before the rest is counted. */
const VALUES_TOLD_MAX = 5

/** What a comparison asks of its header, in words. */
export function askedText({ kind, values, bound, inner }: Test): string {
  switch (kind) {
    case 'equals':
      return values.length === 1 ? `is ${listed(values)}` : `is one of ${listed(values)}`
    case 'exists':
      return 'is there'
    case 'absent':
      return 'is not there'
    case 'prefix':
      return `begins with ${listed(values)}`
    case 'above':
      return `is above ${bound}`
    case 'below':
      return `is below ${bound}`
    case 'not':
      return `not: ${inner.map(askedText).join(' and ')}`
  }
}

function listed(values: readonly string[]): string {
  const told = values.slice(0, VALUES_TOLD_MAX).map((value) => JSON.stringify(value))
  const more = values.length - told.length
  return `${told.join(', ')}${more > 0 ? ` or ${more} more` : ''}`
}
