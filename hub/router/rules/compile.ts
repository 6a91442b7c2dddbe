// A rule set compiled: which rules a message fits, and where they send it. Exactly:
//
// - Rules are looked at in the order of the set. A rule fits when one of its `topics` fits the topic, every comparison of `where`
//   holds of the headers (see `headers.ts`), and `when`, if it has one, is true of the content.
// - A rule that fits ends the looking when it is `final`, or in mode `first`. Rules behind it do not count, whatever they are.
// - `when` is asked only of rules that are reached and fit otherwise. If it can be neither true nor false (the content is broken, the
//   expression takes too long) the rule fails: it does not fit, and the message also goes to the dead letters with that reason. A
//   rule that fails and would have ended the looking does end it: whether those behind it count cannot be known.
// - The message goes to the queues of all rules that fit, to each queue once. Through a pipeline it goes once for all rules with the
//   same `pipeline` and `topic`; what comes out goes to the queues of all of them, beside the message itself where rules without a
//   pipeline sent it. Ways stand in the order of the first rule that asks for them.
// - When no rule fits and none fails, it goes to the queues of `default`; without them it is not routed.
//
// `match` does what topic and headers decide; its answer holds for every message with that envelope. `decide` does the rest.

import type { Envelope } from '#protocol/codec/mod.ts'
import { Answers, type AtOnce, NO_RULE_FITS } from './at-once.ts'
import { allHold, type Test, testsOf } from './headers.ts'
import { QUICK_RULES_MAX, RULES_PER_STEP, SLICE_MS } from './limits.ts'
import { RuleIndex } from './lookup.ts'
import type { PipelineSpec, PredicateSpec, Rule, RuleSet } from './spec.ts'

/** What routing needs of a set. */
export type RunningSet = Pick<RuleSet, 'mode' | 'rules' | 'default' | 'pipelines'> & {
  /** Sets that were stored before there was one have none. */
  readonly documentBytesMax?: number
}

/** Where messages go together: as they are, or as what a pipeline makes of them under a topic of its own. */
export type Way = {
  readonly pipeline: string | null
  /** Template for `topicOf`; `null` keeps the topic. */
  readonly topic: string | null
  /** Each once. */
  readonly queues: readonly string[]
  /** Names of the rules that ask for it. */
  readonly rules: readonly string[]
}

/** Whether a condition on the content holds, or why that cannot be said (a fault). */
export type Verdict<F extends object = object> = boolean | F

export type Failure<F extends object = object> = { readonly rule: CompiledRule; readonly fault: F }

export type Decision<F extends object = object> = {
  readonly because: 'rules' | 'default' | 'nothing' | 'failures'
  /** Those that fit, in order. */
  readonly rules: readonly CompiledRule[]
  /** Empty when no rule fits and there is no default. */
  readonly ways: readonly Way[]
  /** Rules whose condition could not be decided; with any the message also goes to the dead letters. */
  readonly failures: readonly Failure<F>[]
}

/** What topic and headers decide. */
export type Match = {
  /** Rules that fit as far as topic and headers go, up to the first that surely ends the looking. */
  readonly rules: readonly CompiledRule[]
  /** Of these, the ones that fit whatever the content is. */
  readonly sure: readonly CompiledRule[]
  /** Conditions that `decide` needs verdicts on, by their place in `predicates`; each once. */
  readonly wanted: readonly number[]
  /** The decision, when no content is needed for it. */
  readonly decision: Decision<never> | null
  readonly atOnce: AtOnce
}

/** Of thousands each is looked at seldom, and not in the processor's cache: what is needed first lies together. */
export type CompiledRule = {
  /** Place in `predicates`; -1 for none. */
  readonly predicate: number
  /** Those of `tests` that still may not hold when the index has found it. */
  asked: readonly Test[]
  /** Of a message that it alone fits, whatever the content; made when first needed. */
  atOnce: AtOnce | null
  /** Nothing behind it counts when it fits. */
  readonly ends: boolean
  readonly order: number
  readonly tests: readonly Test[]
  readonly rule: Rule
  /** What is decided when it alone fits, whatever the content; made when first needed. */
  alone: Match | null
}

const NONE: readonly never[] = []

export class CompiledRules {
  readonly set: RunningSet
  readonly rules: readonly CompiledRule[]
  /** Conditions on content, each once however many rules have it. */
  readonly predicates: readonly PredicateSpec[]
  private readonly index: RuleIndex
  private readonly answers = new Answers()
  private readonly unmatched: Match
  private readonly fallback: Decision<never>
  /** Used again by each `match`, which is done with it when it returns. */
  private readonly found: number[] = []
  private byName: ReadonlyMap<string, CompiledRule> | null = null

  constructor(
    set: RunningSet,
    parts: { readonly rules: CompiledRule[]; readonly predicates: PredicateSpec[]; readonly index: RuleIndex },
  ) {
    this.set = set
    this.rules = parts.rules
    this.predicates = parts.predicates
    this.index = parts.index
    const queues = [...new Set(set.default)]
    const way: Way = { pipeline: null, topic: null, queues, rules: NONE }
    const none = queues.length === 0
    this.fallback = { because: none ? 'nothing' : 'default', rules: NONE, ways: none ? NONE : [way], failures: NONE }
    this.unmatched = { rules: NONE, sure: NONE, wanted: NONE, decision: this.fallback, atOnce: NO_RULE_FITS }
  }

  /** Whether no message's topic and headers are compared with more than a few rules. */
  get isQuick(): boolean {
    return this.index.scannedMax <= QUICK_RULES_MAX
  }

  /** Made when first asked for: most sets never are. */
  named(name: string): CompiledRule | undefined {
    this.byName ??= new Map(this.rules.map((rule) => [rule.rule.name, rule]))
    return this.byName.get(name)
  }

  get pipelines(): Readonly<Record<string, PipelineSpec>> {
    return this.set.pipelines
  }

  /** What `match` says of what is known at once, sooner. */
  atOnce(envelope: Envelope): AtOnce {
    const { found } = this
    found.length = 0
    this.index.find(envelope.topic, envelope.headers, found)
    if (found.length === 0) return NO_RULE_FITS
    if (found.length > 1) return this.match(envelope).atOnce
    const rule = this.rules[found[0] as number] as CompiledRule
    if (rule.predicate >= 0) return this.match(envelope).atOnce
    if (!allHold(rule.asked, envelope.headers)) return NO_RULE_FITS
    rule.atOnce ??= this.alone(rule).atOnce
    return rule.atOnce
  }

  /**
   * The same for every message with this topic and these headers; the same object for all that one rule alone fits, or none. With
   * `among` as if there were no rules but those.
   */
  match({ topic, headers }: Envelope, among: ((rule: CompiledRule) => boolean) | null = null): Match {
    const { found } = this
    found.length = 0
    this.index.find(topic, headers, found)
    if (among !== null) {
      let kept = 0
      for (const order of found) if (among(this.rules[order] as CompiledRule)) found[kept++] = order
      found.length = kept
    }
    if (found.length === 0) return this.unmatched
    if (found.length === 1) {
      const rule = this.rules[found[0] as number] as CompiledRule
      if (rule.predicate < 0) return allHold(rule.asked, headers) ? this.alone(rule) : this.unmatched
    } else found.sort((a, b) => a - b)
    const rules: CompiledRule[] = []
    let sure: CompiledRule[] | null = null
    let wanted: number[] | null = null
    let before = -1
    // Behind a rule that may end the looking nothing is sure.
    let open = true
    for (let i = 0; i < found.length; i++) {
      const order = found[i] as number
      if (order === before) continue
      before = order
      const rule = this.rules[order] as CompiledRule
      if (!allHold(rule.asked, headers)) continue
      const { predicate } = rule
      if (predicate >= 0) {
        // Until the first rule that asks for content, all are sure.
        sure ??= rules.slice()
        if (wanted === null) wanted = [predicate]
        else if (!wanted.includes(predicate)) wanted.push(predicate)
        if (rule.ends) open = false
      } else if (sure !== null && open) sure.push(rule)
      rules.push(rule)
      if (predicate < 0 && rule.ends) break
    }
    if (rules.length === 0) return this.unmatched
    if (wanted !== null && sure !== null) {
      return { rules, sure, wanted, decision: null, atOnce: this.answer(sure, true) }
    }
    return rules.length === 1 ? this.alone(rules[0] as CompiledRule) : this.sureOf(rules)
  }

  /** `verdicts` stand in the order of `match.wanted`. */
  decide<F extends object>(match: Match, verdicts: readonly Verdict<F>[]): Decision<F> {
    if (match.decision !== null) return match.decision
    const fit: CompiledRule[] = []
    const failures: Failure<F>[] = []
    for (const rule of match.rules) {
      const verdict = rule.predicate < 0 || (verdicts[match.wanted.indexOf(rule.predicate)] as Verdict<F>)
      if (verdict === false) continue
      if (verdict === true) fit.push(rule)
      else failures.push({ rule, fault: verdict })
      if (rule.ends) break
    }
    if (failures.length === 0) return fit.length === 0 ? this.fallback : this.decision(fit)
    if (fit.length === 0) return { because: 'failures', rules: NONE, ways: NONE, failures }
    return { ...this.decision(fit), failures }
  }

  private alone(rule: CompiledRule): Match {
    rule.alone ??= this.sureOf([rule])
    return rule.alone
  }

  private sureOf(rules: readonly CompiledRule[]): Match {
    const atOnce = this.answer(
      rules,
      rules.some(({ rule }) => rule.pipeline !== undefined),
    )
    return { rules, sure: rules, wanted: NONE, decision: decisionOf(rules), atOnce }
  }

  private answer(sure: readonly CompiledRule[], deferred: boolean): AtOnce {
    const queues: string[] = []
    for (const { rule } of sure) {
      if (rule.pipeline !== undefined) continue
      for (const name of rule.to) if (!queues.includes(name)) queues.push(name)
    }
    return this.answers.of(queues, deferred)
  }

  private decision(rules: readonly CompiledRule[]): Decision<never> {
    const [first] = rules as [CompiledRule]
    return rules.length === 1 ? (this.alone(first).decision as Decision<never>) : decisionOf(rules)
  }
}

function decisionOf(rules: readonly CompiledRule[]): Decision<never> {
  const ways: { pipeline: string | null; topic: string | null; queues: string[]; rules: string[] }[] = []
  for (const { rule } of rules) {
    const { pipeline = null, topic = null } = rule
    let way = ways.find((one) => one.pipeline === pipeline && one.topic === topic)
    if (way === undefined) {
      way = { pipeline, topic, queues: [], rules: [] }
      ways.push(way)
    }
    way.rules.push(rule.name)
    for (const queue of rule.to) if (!way.queues.includes(queue)) way.queues.push(queue)
  }
  return { because: 'rules', rules, ways, failures: NONE }
}

/** Compiles in steps of some 50 µs: whoever runs it may do something else between two. */
export function* compiling(set: RunningSet): Generator<undefined, CompiledRules> {
  const index = new RuleIndex()
  const rules: CompiledRule[] = []
  const predicates: PredicateSpec[] = []
  const places = new Map<string, number>()
  const known = new Map<string, Test>()
  for (const [order, rule] of set.rules.entries()) {
    let predicate = -1
    if (rule.when !== undefined) {
      const text = JSON.stringify(rule.when)
      predicate = places.get(text) ?? predicates.push(rule.when) - 1
      places.set(text, predicate)
    }
    const ends = rule.final || set.mode === 'first'
    const tests = testsOf(rule.where, known)
    rules.push({ predicate, asked: tests, atOnce: null, ends, order, tests, rule, alone: null })
    for (const pattern of rule.topics) index.add(pattern, order)
    if (order % RULES_PER_STEP === 0) yield
  }
  const proved = yield* index.sort((order) => (rules[order] as CompiledRule).tests)
  const lists = new Map<string, readonly Test[]>()
  for (const [order, test] of proved) {
    const rule = rules[order] as CompiledRule
    const asked = rule.tests.filter((other) => other !== test)
    const text = JSON.stringify(asked)
    rule.asked = lists.get(text) ?? asked
    if (rule.asked === asked) lists.set(text, asked)
    if (order % RULES_PER_STEP === 0) yield
  }
  return new CompiledRules(set, { rules, predicates, index })
}

/** Compiles at once. */
export function compileRules(set: RunningSet): CompiledRules {
  const steps = compiling(set)
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

/** Runs steps to their end, and lets others have their turn (`breathe`) after each slice of time. `nowMs` is monotonic. */
export async function inSlices<T>(
  steps: Generator<undefined, T>,
  options: { readonly nowMs: () => number; readonly breathe: () => Promise<unknown>; readonly sliceMs?: number },
): Promise<T> {
  const { nowMs, breathe, sliceMs = SLICE_MS } = options
  let untilMs = nowMs() + sliceMs
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
    if (nowMs() < untilMs) continue
    await breathe()
    untilMs = nowMs() + sliceMs
  }
}

/** The topic that a way's template gives a message; a header that is not there gives an empty text, which no topic may hold. */
export function topicOf(template: string, { topic, headers }: Envelope): string {
  return template.replace(/\{([^{}]+)\}/g, (_all, name: string) => {
    if (name === 'topic') return topic
    const value = Object.hasOwn(headers, name) ? headers[name] : null
    return value === null || value === undefined ? '' : String(value)
  })
}
