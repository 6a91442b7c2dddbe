// The part of JSONata that needs no JSONata: paths, literals, `&`, comparisons, `and`, `or`, `in`, `? :`, and a few string
// functions, as plain functions on a row. Semantics are jsonata 2.2's, read off its source; what is not certain is UNSURE.

import type { Row, Value } from '../contract.ts'

/** The direct way does not know; the general way must be taken. */
export const UNSURE: unique symbol = Symbol('unsure')

export type Direct = (row: Row) => Value | undefined | typeof UNSURE

type Result = ReturnType<Direct>
type Node = { readonly [property: string]: unknown; readonly type: string }

/** A function for the expression, or `null` when it is beyond this subset. */
export function compileDirect(ast: unknown): Direct | null {
  const node = ast as Node
  switch (node.type) {
    case 'path':
      return compilePath(node)
    case 'string':
    case 'number':
    case 'value':
      return only(node, ['value']) ? constant(node.value as Value) : null
    case 'block':
      return only(node, ['expressions']) && list(node.expressions).length === 1
        ? compileDirect(list(node.expressions)[0])
        : null
    case 'binary':
      return only(node, ['value', 'lhs', 'rhs']) ? compileBinary(node) : null
    case 'condition':
      return only(node, ['value', 'condition', 'then', 'else']) ? compileCondition(node) : null
    case 'function':
      return only(node, ['name', 'value', 'procedure', 'arguments']) ? compileFunction(node) : null
    default:
      return null
  }
}

/** Predicates, groupings, bindings and the like sit beside these properties: none of them may be there. */
function only(node: Node, allowed: readonly string[]): boolean {
  return Object.keys(node).every(
    (key) => key === 'type' || key === 'position' || allowed.includes(key) || node[key] === undefined,
  )
}

function list(value: unknown): readonly Node[] {
  return Array.isArray(value) ? value : []
}

function constant(value: Value): Direct {
  return () => value
}

function compilePath(node: Node): Direct | null {
  const steps = list(node.steps)
  if (!only(node, ['steps']) || !steps.every((step) => step.type === 'name' && only(step, ['value']))) return null
  const names = steps.map((step) => step.value as string)
  const [first, ...rest] = names
  if (first === undefined) return null
  return (row) => {
    let value: Result = Object.hasOwn(row, first) ? row[first] : undefined
    for (const name of rest) {
      if (typeof value !== 'object' || value === null) return undefined
      if (!isPlain(value)) return UNSURE
      value = Object.hasOwn(value, name) ? value[name] : undefined
    }
    // Lists are flattened and unwrapped on the way out.
    return Array.isArray(value) ? UNSURE : value
  }
}

function isPlain(value: object): value is { readonly [field: string]: Value } {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function compileBinary(node: Node): Direct | null {
  const operator = node.value as string
  const left = compileDirect(node.lhs)
  if (left === null) return null
  if (operator === 'in') return compileIn(left, node.rhs as Node)
  const right = compileDirect(node.rhs)
  if (right === null) return null
  switch (operator) {
    case '=':
      return (row) => equal(left(row), right(row), false)
    case '!=':
      return (row) => equal(left(row), right(row), true)
    case '<':
    case '<=':
    case '>':
    case '>=':
      return (row) => compare(left(row), right(row), operator)
    case '&':
      return (row) => joined(left(row), right(row))
    case 'and':
    case 'or':
      return (row) => {
        const truth = truthOf(left(row))
        if (truth === UNSURE || truth === (operator === 'or')) return truth
        return truthOf(right(row))
      }
    default:
      return null
  }
}

function equal(left: Result, right: Result, negated: boolean): Result {
  if (isUnsure(left) || isUnsure(right)) return UNSURE
  if (left === undefined || right === undefined) return false
  return (left === right) !== negated
}

function compare(left: Result, right: Result, operator: string): Result {
  if (left === undefined && isComparable(right)) return undefined
  if (right === undefined && isComparable(left)) return undefined
  const strings = typeof left === 'string' && typeof right === 'string'
  const numbers = typeof left === 'number' && typeof right === 'number'
  // Everything else is an error, which the general way words.
  if (!strings && !numbers) return UNSURE
  if (operator === '<') return left < right
  if (operator === '<=') return left <= right
  return operator === '>' ? left > right : left >= right
}

function isComparable(value: Result): boolean {
  return value === undefined || typeof value === 'string' || typeof value === 'number'
}

function joined(left: Result, right: Result): Result {
  const a = textOf(left)
  const b = textOf(right)
  return a === UNSURE || b === UNSURE ? UNSURE : a + b
}

function textOf(value: Result): string | typeof UNSURE {
  if (typeof value === 'string') return value
  if (value === undefined) return ''
  if (typeof value === 'boolean' || value === null) return String(value)
  return typeof value === 'number' && Number.isSafeInteger(value) && !Object.is(value, -0) ? String(value) : UNSURE
}

function truthOf(value: Result): boolean | typeof UNSURE {
  switch (typeof value) {
    case 'undefined':
      return false
    case 'boolean':
      return value
    case 'string':
      return value.length > 0
    case 'number':
      return Number.isFinite(value) ? value !== 0 : UNSURE
    default:
      return value === null ? false : UNSURE
  }
}

/** Objects are compared deeply, functions exist: only simple values are certain. */
function isUnsure(value: Result): boolean {
  return value === UNSURE || (typeof value === 'object' && value !== null)
}

function compileIn(left: Direct, right: Node): Direct | null {
  const literals = right.type === 'unary' && right.value === '[' ? list(right.expressions) : []
  const simple = literals.every((each) => (each.type === 'string' || each.type === 'number') && only(each, ['value']))
  if (literals.length === 0 || !simple || !only(right, ['value', 'expressions', 'consarray'])) return null
  const values = new Set<unknown>(literals.map((each) => each.value))
  return (row) => {
    const value = left(row)
    if (isUnsure(value)) return UNSURE
    // A set takes NaN for equal to itself; `===` does not.
    return value !== undefined && !Number.isNaN(value) && values.has(value)
  }
}

function compileCondition(node: Node): Direct | null {
  const condition = compileDirect(node.condition)
  const yes = compileDirect(node.then)
  const no = node.else === undefined ? constant(undefined as never) : compileDirect(node.else)
  if (condition === null || yes === null || no === null) return null
  return (row) => {
    const truth = truthOf(condition(row))
    if (truth === UNSURE) return UNSURE
    return truth ? yes(row) : no(row)
  }
}

function compileFunction(node: Node): Direct | null {
  const procedure = node.procedure as Node | undefined
  const [first, ...rest] = list(node.arguments)
  const argument = first === undefined ? null : compileDirect(first)
  if (procedure?.type !== 'variable' || !only(procedure, ['value']) || argument === null) return null
  switch (procedure.value) {
    case 'substring':
      return compileSubstring(argument, rest)
    case 'uppercase':
      return rest.length === 0 ? onString(argument, (text) => text.toUpperCase()) : null
    case 'lowercase':
      return rest.length === 0 ? onString(argument, (text) => text.toLowerCase()) : null
    default:
      return null
  }
}

function onString(argument: Direct, change: (text: string) => Result): Direct {
  return (row) => {
    const value = argument(row)
    if (typeof value === 'string') return change(value)
    return value === undefined ? undefined : UNSURE
  }
}

const SURROGATES = /[\ud800-\udfff]/

function compileSubstring(argument: Direct, rest: readonly Node[]): Direct | null {
  const numbers = rest.map(integerOf)
  const [from, count] = numbers
  if (rest.length < 1 || rest.length > 2 || from === undefined || from === null || count === null) return null
  return onString(argument, (text) => {
    // JSONata counts code points.
    if (SURROGATES.test(text)) return UNSURE
    const start = text.length + from < 0 ? 0 : from
    if (count === undefined) return text.slice(start)
    if (count <= 0) return ''
    return text.slice(start, start >= 0 ? start + count : text.length + start + count)
  })
}

function integerOf(node: Node): number | null {
  const literal = node.type === 'number' && only(node, ['value']) ? node.value : null
  return typeof literal === 'number' && Number.isSafeInteger(literal) ? literal : null
}
