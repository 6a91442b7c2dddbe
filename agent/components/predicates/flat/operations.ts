// What kind of value an expression of XPath 1.0 gives, and operations on values.

import type { Call, Comparison, Expr } from '../xpath/ast.ts'

export type Kind = 'boolean' | 'number' | 'string' | 'nodes'

const BOOLEAN_CALLS = new Set(['true', 'false', 'not', 'boolean', 'contains', 'starts-with', 'lang'])
const NUMBER_CALLS = new Set([
  'last',
  'position',
  'count',
  'string-length',
  'number',
  'sum',
  'floor',
  'ceiling',
  'round',
])

export function kindOfCall({ name }: Call): Kind {
  if (name === 'id') return 'nodes'
  return BOOLEAN_CALLS.has(name) ? 'boolean' : NUMBER_CALLS.has(name) ? 'number' : 'string'
}

export function kindOfExpr(expr: Expr): Kind {
  switch (expr.kind) {
    case 'or':
    case 'and':
    case 'compare':
      return 'boolean'
    case 'string':
      return 'string'
    case 'number':
    case 'negate':
    case 'arithmetic':
      return 'number'
    case 'call':
      return kindOfCall(expr)
    default:
      return 'nodes'
  }
}

export function holds(op: Comparison, left: number, right: number): boolean {
  switch (op) {
    case '=':
      return left === right
    case '!=':
      return left !== right
    case '<':
      return left < right
    case '<=':
      return left <= right
    case '>':
      return left > right
    default:
      return left >= right
  }
}

export function mirrored(op: Comparison): Comparison {
  const mirror = { '=': '=', '!=': '!=', '<': '>', '<=': '>=', '>': '<', '>=': '<=' } as const
  return mirror[op]
}

export function calculated(op: '+' | '-' | '*' | 'div' | 'mod', left: number, right: number): number {
  switch (op) {
    case '+':
      return left + right
    case '-':
      return left - right
    case '*':
      return left * right
    case 'div':
      return left / right
    default:
      return left % right
  }
}

export function cut(text: string, part: string, before: boolean): string {
  const at = text.indexOf(part)
  if (at < 0) return ''
  return before ? text.slice(0, at) : text.slice(at + part.length)
}

export function overlap(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  const [small, large] = a.size < b.size ? [a, b] : [b, a]
  for (const each of small) if (large.has(each)) return true
  return false
}
