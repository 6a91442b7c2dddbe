// A rule file's text → a rule set, checked as a whole. Pure: callers read the files.

import { builtinComponents, type ComponentEntry } from '#agent/components/mod.ts'
import type { Fault, Result } from '#protocol/base/mod.ts'
import { checkTopic } from '#protocol/codec/mod.ts'
import { nearest, parseFields, type Where } from '#protocol/fields/mod.ts'
import { rulesFault } from './faults.ts'
import { CONDITIONS_MAX, PATTERNS_MAX, RULES_TEXT_BYTES_MAX, RULES_VALUES_MAX } from './limits.ts'
import { type Comparisons, type HeaderTest, type Rule, type RuleSet, ruleSetSpec } from './spec.ts'

/** Faults told at once, as protocol/fields does. */
const FAULTS_MAX = 50
/** Names compared for a suggestion. */
const NAMES_COMPARED_MAX = 10_000

export type ParseOptions = {
  /** Names it in faults. */
  readonly file: string
  readonly entries?: readonly ComponentEntry[]
  /** Names of the hub's queues, when they are known. */
  readonly queues?: ReadonlySet<string>
}

/** A set with the places of its settings in the file: `where('rules[3].when')`. It keeps the whole text in memory. */
export type PlacedRules = { readonly set: RuleSet; readonly where: Where }

/**
 * YAML (up to 2 MiB) or JSON (a text that begins with `{`, up to 64 MiB). Every fault says file, line, column and setting. Codes:
 * `FIELD_…`, `YAML_…`, `JSON_SYNTAX`, `RULE_…`, `RULES_TOO_MANY`.
 */
export function parsePlacedRules(text: string, options: ParseOptions): Result<PlacedRules, Fault[]> {
  let places: Where = () => options.file
  const parsed = parseFields(ruleSetSpec(options.entries ?? builtinComponents), text, {
    file: options.file,
    json: { textBytesMax: RULES_TEXT_BYTES_MAX, valuesMax: RULES_VALUES_MAX },
    inspect: (set, where) => {
      places = where
      return new Inspection(set, where, options.queues ?? null).faults()
    },
  })
  return parsed.ok ? { ok: true, value: { set: parsed.value, where: places } } : parsed
}

/** The same without places. */
export function parseRuleSet(text: string, options: ParseOptions): Result<RuleSet, Fault[]> {
  const parsed = parsePlacedRules(text, options)
  return parsed.ok ? { ok: true, value: parsed.value.set } : parsed
}

type Code = Parameters<typeof rulesFault>[0]

class Inspection {
  readonly #set: RuleSet
  readonly #where: Where
  readonly #queues: ReadonlySet<string> | null
  readonly #found: Fault[] = []

  constructor(set: RuleSet, where: Where, queues: ReadonlySet<string> | null) {
    this.#set = set
    this.#where = where
    this.#queues = queues
  }

  faults(): Fault[] {
    const { rules, cases } = this.#set
    this.#unique(rules, 'rules')
    this.#unique(cases, 'cases')
    let patterns = 0
    const conditions = new Set<string>()
    for (const [i, rule] of rules.entries()) {
      if (this.#full) break
      patterns += rule.topics.length
      if (rule.when !== undefined) conditions.add(JSON.stringify(rule.when))
      this.#rule(rule, `rules[${i}]`)
    }
    this.#atMost(PATTERNS_MAX, patterns, 'topic patterns')
    this.#atMost(CONDITIONS_MAX, conditions.size, 'different conditions on content')
    for (const [i, queue] of this.#set.default.entries()) this.#queue(queue, `default[${i}]`, '')
    return this.#found
  }

  #rule(rule: Rule, path: string): void {
    const { name, pipeline, topic } = rule
    const of = `rule ${JSON.stringify(name)}: `
    if (pipeline !== undefined && !Object.hasOwn(this.#set.pipelines, pipeline)) {
      this.#add(
        'RULE_PIPELINE_UNKNOWN',
        `${path}.pipeline`,
        of + pipeline,
        nearest(pipeline, Object.keys(this.#set.pipelines)),
      )
    }
    if (topic !== undefined) {
      if (pipeline === undefined) this.#add('RULE_TOPIC_UNUSED', `${path}.topic`, of + topic)
      const why = templateProblem(topic)
      if (why !== null) this.#add('RULE_TOPIC_INVALID', `${path}.topic`, of + why)
    }
    for (const [header, test] of Object.entries(rule.where)) {
      if (isEmptyRange(test)) this.#add('RULE_RANGE_EMPTY', `${path}.where.${header}`, of + header)
    }
    for (const [i, queue] of rule.to.entries()) this.#queue(queue, `${path}.to[${i}]`, of)
  }

  #queue(queue: string, path: string, of: string): void {
    if (this.#queues === null || this.#queues.has(queue)) return
    const known = [...this.#queues.values().take(NAMES_COMPARED_MAX)]
    this.#add('RULE_QUEUE_UNKNOWN', path, of + queue, nearest(queue, known))
  }

  #unique(named: readonly { readonly name: string }[], list: string): void {
    const seen = new Map<string, number>()
    for (const [i, { name }] of named.entries()) {
      const before = seen.get(name)
      if (before === undefined) seen.set(name, i)
      else {
        const why = `${JSON.stringify(name)} also stands at ${this.#where(`${list}[${before}].name`)}`
        this.#add('RULE_NAME_TWICE', `${list}[${i}].name`, why)
      }
    }
  }

  #atMost(most: number, number: number, what: string): void {
    if (number > most) this.#add('RULES_TOO_MANY', 'rules', `${number} ${what} are more than ${most}`)
  }

  get #full(): boolean {
    return this.#found.length >= FAULTS_MAX
  }

  #add(code: Code, path: string, why: string, meant: string | null = null): void {
    if (this.#full) return
    const todo = meant === null ? {} : { todo: `Did you mean ${meant}?` }
    this.#found.push(rulesFault(code, { where: this.#where(path), why, ...todo }))
  }
}

/** With every place filled by one level it must be a topic. */
function templateProblem(template: string): string | null {
  if (/[{}]/.test(template.replace(/\{[^{}]+\}/g, ''))) return 'a brace stands alone'
  try {
    checkTopic(template.replace(/\{[^{}]+\}/g, 'x'))
    return null
  } catch (error) {
    return (error as Fault).message
  }
}

function isEmptyRange(test: HeaderTest): boolean {
  if (Array.isArray(test)) return false
  const { above, below } = test as Comparisons
  return above !== undefined && below !== undefined && Number(above) >= Number(below)
}
