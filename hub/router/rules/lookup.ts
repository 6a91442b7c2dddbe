// Finds the rules that may fit a topic and headers, at a cost that hardly depends on how many rules there are. Topics without
// wildcards are looked up by hash, patterns in the tree of their levels. Rules of one pattern, when they are many, lie by one
// header each that must have certain values, the one that tells most of them apart; those that compare otherwise, by a header
// that must be there; only rules that ask for no header at all are always found.

import { type Headers, TopicTree } from '#protocol/codec/mod.ts'
import { headerOf, type Test } from './headers.ts'
import { INDEX_ENTRIES_MAX, REMEMBERED_TOPICS_MAX, RULES_PER_STEP, SCANNED_RULES_MAX } from './limits.ts'

/** Numbers of rules; one alone without a list around it, as most are. */
type Some = number | number[]

/** The rules of one pattern, ascending. */
type Bucket = { rules: Some; groups: Groups | null }

type Groups = {
  /** Header → value → rules. */
  readonly equal: Map<string, Map<string, Some>>
  /** Header that must be there → rules. */
  readonly present: Map<string, Some>
  readonly rest: number[]
}

export class RuleIndex {
  /** Rules that are found together in one place of the index, at most. */
  scannedMax = 0
  private readonly exact = new Map<string, Bucket>()
  private readonly patterns = new Map<string, Bucket>()
  private readonly tree = new TopicTree<Bucket>()
  /** Topic → buckets whose patterns it fits. */
  private readonly remembered = new Map<string, readonly Bucket[]>()

  /** Rules come in ascending order. */
  add(pattern: string, rule: number): void {
    const wild = pattern.includes('+') || pattern.endsWith('#')
    const buckets = wild ? this.patterns : this.exact
    const bucket = buckets.get(pattern)
    if (bucket !== undefined) {
      bucket.rules = together(bucket.rules, rule)
      return
    }
    const made: Bucket = { rules: rule, groups: null }
    buckets.set(pattern, made)
    if (wild) this.tree.add(pattern, made)
  }

  /**
   * Sorts what was added by headers; to be run to its end before the first `find`. Gives of rules the comparison that surely holds
   * when they are found, if there is one.
   */
  *sort(testsOf: (rule: number) => readonly Test[]): Generator<undefined, ReadonlyMap<number, Test | null>> {
    const proved = new Map<number, Test | null>()
    let entriesLeft = INDEX_ENTRIES_MAX
    let buckets = 0
    for (const all of [this.exact, this.patterns]) {
      for (const bucket of all.values()) {
        const { rules } = bucket
        if (typeof rules !== 'number' && rules.length > SCANNED_RULES_MAX) {
          bucket.groups = emptyGroups()
          entriesLeft = yield* group(bucket.groups, rules, { testsOf, proved, entriesMax: entriesLeft })
        } else for (const rule of typeof rules === 'number' ? [rules] : rules) proved.set(rule, null)
        this.scannedMax = Math.max(this.scannedMax, scannedOf(bucket))
        if (++buckets % (RULES_PER_STEP * 16) === 0) yield
      }
    }
    // Only needed to find a pattern's bucket again.
    this.patterns.clear()
    return proved
  }

  /** Adds to `found` the rules that may fit: in no order, and some twice. What else they ask for is still to be compared. */
  find(topic: string, headers: Headers, found: number[]): void {
    const buckets = this.remembered.get(topic) ?? this.bucketsOf(topic)
    for (let i = 0; i < buckets.length; i++) collect(buckets[i] as Bucket, headers, found)
  }

  private bucketsOf(topic: string): readonly Bucket[] {
    const exact = this.exact.get(topic)
    const buckets = this.tree.match(topic)
    if (exact !== undefined) buckets.unshift(exact)
    if (this.remembered.size >= REMEMBERED_TOPICS_MAX) this.remembered.clear()
    this.remembered.set(topic, buckets)
    return buckets
  }
}

function scannedOf({ rules, groups }: Bucket): number {
  if (groups === null) return lengthOf(rules)
  let max = groups.rest.length
  for (const some of groups.present.values()) max = Math.max(max, lengthOf(some))
  for (const byValue of groups.equal.values()) for (const some of byValue.values()) max = Math.max(max, lengthOf(some))
  return max
}

const lengthOf = (some: Some): number => (typeof some === 'number' ? 1 : some.length)

function emptyGroups(): Groups {
  return { equal: new Map(), present: new Map(), rest: [] }
}

function together(some: Some, rule: number): Some {
  if (typeof some === 'number') return some === rule ? some : [some, rule]
  if (some[some.length - 1] !== rule) some.push(rule)
  return some
}

type Grouping = {
  readonly testsOf: (rule: number) => readonly Test[]
  readonly proved: Map<number, Test | null>
  readonly entriesMax: number
}

function* group(
  groups: Groups,
  rules: readonly number[],
  { testsOf, proved, entriesMax }: Grouping,
): Generator<undefined, number> {
  const weights = new Map<string, number>()
  const weighed = (test: Test, value: string) => `${test.name}\0${value}`
  let steps = 0
  for (const rule of rules) {
    for (const test of testsOf(rule)) {
      if (test.kind !== 'equals') continue
      for (const value of test.values) {
        const key = weighed(test, value)
        weights.set(key, (weights.get(key) ?? 0) + 1)
      }
    }
    if (++steps % RULES_PER_STEP === 0) yield
  }
  let entriesLeft = entriesMax
  for (const rule of rules) {
    let best: Test | null = null
    let bestWeight = Number.POSITIVE_INFINITY
    let present: Test | null = null
    for (const test of testsOf(rule)) {
      if (test.kind === 'absent' || test.kind === 'not') continue
      present ??= test
      if (test.kind !== 'equals' || test.values.length > entriesLeft) continue
      let weight = 0
      for (const value of test.values) weight += weights.get(weighed(test, value)) as number
      if (weight < bestWeight) {
        best = test
        bestWeight = weight
      }
    }
    // By another pattern it may be found without that.
    proved.set(rule, proved.get(rule) === undefined || proved.get(rule) === best ? best : null)
    if (best !== null) {
      entriesLeft -= best.values.length
      const { name, values } = best
      const byValue = groups.equal.get(name) ?? new Map<string, Some>()
      groups.equal.set(name, byValue)
      for (const value of values) put(byValue, value, rule)
    } else if (present !== null) put(groups.present, present.name, rule)
    else groups.rest.push(rule)
    if (++steps % RULES_PER_STEP === 0) yield
  }
  return entriesLeft
}

function put(map: Map<string, Some>, key: string, rule: number): void {
  const some = map.get(key)
  map.set(key, some === undefined ? rule : together(some, rule))
}

function collect({ rules, groups }: Bucket, headers: Headers, found: number[]): void {
  if (groups === null) {
    push(rules, found)
    return
  }
  push(groups.rest, found)
  const { equal, present } = groups
  // A message has at most 64 headers, rules may name thousands.
  if (equal.size + present.size <= 4) {
    for (const [name, byValue] of equal) {
      const value = headerOf(headers, name)
      if (value !== null) push(byValue.get(typeof value === 'string' ? value : String(value)), found)
    }
    for (const [name, some] of present) if (headerOf(headers, name) !== null) push(some, found)
    return
  }
  for (const name in headers) {
    const value = headerOf(headers, name)
    if (value === null) continue
    push(equal.get(name)?.get(typeof value === 'string' ? value : String(value)), found)
    push(present.get(name), found)
  }
}

function push(some: Some | undefined, found: number[]): void {
  if (some === undefined) return
  if (typeof some === 'number') found.push(some)
  else for (let i = 0; i < some.length; i++) found.push(some[i] as number)
}
