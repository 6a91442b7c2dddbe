// What a rule asks of a message's headers, compiled. Values are compared by their text, numbers as decimal numbers. A header with
// the value null counts as one that is not there.

import type { Headers, HeaderValue } from '#protocol/codec/mod.ts'
import type { Comparisons, HeaderTest } from './spec.ts'

/** One comparison of one header. */
export type Test = {
  readonly name: string
  readonly kind: 'equals' | 'exists' | 'absent' | 'prefix' | 'above' | 'below' | 'not'
  /** Of `equals` and `prefix`. */
  readonly values: readonly string[]
  /** Of `equals` with many values. */
  readonly set: ReadonlySet<string> | null
  /** Of `above` and `below`. */
  readonly bound: number
  /** Of `not`: these must not all hold. */
  readonly inner: readonly Test[]
}

/** Fewer values are compared sooner than hashed. */
const LISTED_VALUES_MAX = 8
const NO_TESTS: readonly Test[] = []
const NO_VALUES: readonly string[] = []

/** All of what a rule's `where` asks; each must hold. What other rules ask as well is the same object, as far as it is `known`. */
export function testsOf(
  where: Readonly<Record<string, HeaderTest>>,
  known: Map<string, Test> = new Map(),
): readonly Test[] {
  const tests = Object.entries(where)
    .flatMap(([name, test]) => testsOfHeader(name, test))
    .map((test) => {
      const text = JSON.stringify(test)
      const same = known.get(text)
      if (same === undefined) known.set(text, test)
      return same ?? test
    })
  return tests.length === 0 ? NO_TESTS : tests
}

function testsOfHeader(name: string, test: HeaderTest): Test[] {
  if (Array.isArray(test)) return [equals(name, test)]
  const { exists, prefix, above, below, not } = test as Comparisons
  const tests: Test[] = []
  if (exists !== undefined) tests.push(make(name, exists ? 'exists' : 'absent', {}))
  if (prefix !== undefined) tests.push(make(name, 'prefix', { values: prefix }))
  if (above !== undefined) tests.push(make(name, 'above', { bound: Number(above) }))
  if (below !== undefined) tests.push(make(name, 'below', { bound: Number(below) }))
  if (not !== undefined) tests.push(make(name, 'not', { inner: testsOfHeader(name, not) }))
  return tests
}

function equals(name: string, values: readonly string[]): Test {
  return make(name, 'equals', { values, set: values.length > LISTED_VALUES_MAX ? new Set(values) : null })
}

function make(name: string, kind: Test['kind'], has: Partial<Test>): Test {
  const { values = NO_VALUES, set = null, bound = 0, inner = NO_TESTS } = has
  return { name, kind, values, set, bound, inner }
}

/** The value of a header; `null` when it is not there. Names that every object has are no headers. */
export function headerOf(headers: Headers, name: string): HeaderValue {
  const value = headers[name]
  return value === undefined || value === null || !Object.hasOwn(headers, name) ? null : value
}

export function allHold(tests: readonly Test[], headers: Headers): boolean {
  for (let i = 0; i < tests.length; i++) if (!holds(tests[i] as Test, headers)) return false
  return true
}

export function holds(test: Test, headers: Headers): boolean {
  const value = headerOf(headers, test.name)
  if (value === null) return test.kind === 'absent' || test.kind === 'not'
  switch (test.kind) {
    case 'equals': {
      const text = typeof value === 'string' ? value : String(value)
      return test.set === null ? isIn(test.values, text) : test.set.has(text)
    }
    case 'exists':
      return true
    case 'absent':
      return false
    case 'prefix': {
      const text = String(value)
      return test.values.some((prefix) => text.startsWith(prefix))
    }
    case 'above':
      return numberOf(value) > test.bound
    case 'below':
      return numberOf(value) < test.bound
    case 'not':
      return !allHold(test.inner, headers)
  }
}

/** For a few values faster than `includes`. */
function isIn(values: readonly string[], text: string): boolean {
  for (let i = 0; i < values.length; i++) if (values[i] === text) return true
  return false
}

const NUMBER_CHARS_MAX = 64

/** A number, or a text that is one as JSON writes it, also with zeros or a sign before it; NaN for anything else. */
export function numberOf(value: HeaderValue): number {
  if (typeof value === 'number') return value
  if (typeof value !== 'string' || value.length === 0 || value.length > NUMBER_CHARS_MAX) return Number.NaN
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    const digit = code >= 0x30 && code <= 0x39
    // + - . E e
    if (!digit && code !== 0x2b && code !== 0x2d && code !== 0x2e && code !== 0x45 && code !== 0x65) return Number.NaN
  }
  return Number(value)
}
