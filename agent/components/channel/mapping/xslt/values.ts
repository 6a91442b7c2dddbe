// Values of XPath's four types as parts of a mapping, and what is seen of an expression without its context.

import { unreachable } from '#protocol/base/mod.ts'
import type { Call, Comparison, Expr } from '../../../predicates/xpath/mod.ts'
import type { Condition, Expression, Name, NumberExpression, Path } from '../ast.ts'
import { DECIMALS_MAX, FORMATTED_MAX } from '../limits.ts'
import { WHITE_SPACE_ENDS } from './generate.ts'
import { type Shift, shifted, shiftedCondition, shiftedNumber, shiftedPath } from './rebase.ts'

export type Value =
  | { readonly type: 'text'; readonly text: Expression }
  | { readonly type: 'number'; readonly number: NumberExpression }
  | { readonly type: 'condition'; readonly condition: Condition }
  | { readonly type: 'nodes'; readonly path: Path }

export const SELF: Path = { absolute: false, up: 0, steps: [], attribute: null }
export const here: Expression = { kind: 'value', path: SELF }
export const literal = (value: string): Expression => ({ kind: 'literal', value })
export const both = (...of: readonly Condition[]): Condition =>
  of.length === 1 ? (of[0] as Condition) : { kind: 'and', of }
export const not = (of: Condition): Condition => ({ kind: 'not', of })
export const number = (of: Expression): NumberExpression => ({ kind: 'number', of })

/** At most one node, whatever the document. */
export const isSingle = (path: Path): boolean => path.steps.every(({ position }) => position !== null)

export function shiftedValue(value: Value, shift: Shift): Value {
  switch (value.type) {
    case 'text':
      return { ...value, text: shifted(value.text, shift) }
    case 'number':
      return { ...value, number: shiftedNumber(value.number, shift) }
    case 'condition':
      return { ...value, condition: shiftedCondition(value.condition, shift) }
    case 'nodes':
      return { ...value, path: shiftedPath(value.path, shift) }
    default:
      return unreachable(value)
  }
}

/** A prefix that nothing else has, the same for the same namespace. */
export function freePrefix(uri: string): string {
  let hash = 0
  for (const char of uri) hash = (Math.imul(hash, 31) + (char.codePointAt(0) as number)) >>> 0
  return `n.${hash.toString(36)}`
}

export const firstOf = (path: Path): Value => ({ type: 'text', text: { kind: 'value', path } })
export const exists = (path: Path): Condition => ({ kind: 'exists', path })

/** A condition on `.`, of where `.` is that path instead. */
export function shiftedSelf(condition: Condition, path: Path): Condition {
  const text = JSON.stringify(condition)
  // Only conditions made here come here: all they look at is the node itself.
  return JSON.parse(text.replaceAll(JSON.stringify(SELF), () => JSON.stringify(path)))
}

export const turned = (op: Comparison): Comparison => {
  return ({ '=': '=', '!=': '!=', '<': '>', '<=': '>=', '>': '<', '>=': '<=' } as const)[op]
}

/** A text that is position(), no longer to be taken for the number. */
export const noNumber = (text: Expression): Expression =>
  text.kind === 'position' ? { kind: 'concat', parts: [text] } : text

/** position() is a number in XPath, and a text in a mapping. */
export const isNumeric = (value: Value): boolean => value.type === 'text' && value.text.kind === 'position'

export function negated(operand: NumberExpression): NumberExpression {
  if (operand.kind === 'constant') return { kind: 'constant', value: -operand.value }
  return { kind: 'multiply', left: { kind: 'constant', value: -1 }, right: operand }
}

/** X of translate(X, 'eE+I', 'xxxx'), where a number is made of it. */
export function unguarded(expr: Expr): Expr {
  if (expr.kind !== 'call' || expr.name !== 'translate') return expr
  const [of, from, to] = expr.args
  const guard = from?.kind === 'string' && from.value === 'eE+I' && to?.kind === 'string' && to.value === 'xxxx'
  return guard ? (of as Expr) : expr
}

export const isSelf = (expr: Expr): boolean =>
  expr.kind === 'path' &&
  !expr.absolute &&
  expr.steps.length === 1 &&
  expr.steps[0]?.axis === 'self' &&
  expr.steps[0].predicates.length === 0

export function positionOf(expr: Expr): number | null {
  if (expr.kind === 'number') return expr.value
  if (expr.kind !== 'compare' || expr.op !== '=') return null
  const { left, right } = expr
  return left.kind === 'call' && left.name === 'position' && right.kind === 'number' ? right.value : null
}

/** The text, when it does not depend on the document. */
export function fixedText(expression: Expression): string | null {
  if (expression.kind === 'literal') return expression.value
  if (expression.kind !== 'concat') return null
  const parts = expression.parts.map(fixedText)
  return parts.includes(null) ? null : parts.join('')
}

export function pictureOf(picture: string): { readonly decimals: number; readonly grouping: boolean } | null {
  const [, whole, zeros = ''] = /^(0|#,##0)(?:\.(0+))?$/.exec(picture) ?? []
  return whole === undefined || zeros.length > DECIMALS_MAX ? null : { decimals: zeros.length, grouping: whole !== '0' }
}

/** Pattern and replacement of a replace() that trims; `\s` is the white space of XML, by the standard. */
export const isTrim = ([pattern = '', by]: readonly string[]): boolean =>
  by === '' && [WHITE_SPACE_ENDS, '^\\s+|\\s+$'].includes(pattern)

/** Where a call stands in the text. */
export function spanOf(expr: Expr): readonly [number, number] {
  return expr.kind === 'call' ? [expr.at, expr.end] : [0, 0]
}

/** The path of `path[number(translate(., …)) = number(translate(., …))]`: those of its nodes that are numbers. */
export function guardedPath(arg: Expr): Expr | null {
  if (arg.kind !== 'path') return null
  const last = arg.steps.at(-1)
  const predicate = last?.predicates.at(-1)
  if (last === undefined || predicate?.kind !== 'compare' || predicate.op !== '=') return null
  const guarded = (side: Expr): boolean =>
    side.kind === 'call' && side.name === 'number' && side.args[0] !== undefined && isSelf(unguarded(side.args[0]))
  if (!guarded(predicate.left) || !guarded(predicate.right)) return null
  return { ...arg, steps: [...arg.steps.slice(0, -1), { ...last, predicates: last.predicates.slice(0, -1) }] }
}

/** The name that `local-name() = 'x' and namespace-uri() = 'u'` asks for. */
export function longName(expr: Expr, namespaces: Readonly<Record<string, string>>): Name | null {
  if (expr.kind !== 'and') return null
  const part = (side: Expr, name: string): string | null => {
    if (side.kind !== 'compare' || side.op !== '=' || side.left.kind !== 'call') return null
    if (side.left.name !== name || side.left.args.length > 0) return null
    return side.right.kind === 'string' ? side.right.value : null
  }
  const local = part(expr.left, 'local-name')
  const uri = part(expr.right, 'namespace-uri')
  if (local === null || uri === null) return null
  if (uri === '') return { prefix: '', local, uri }
  const [prefix] = Object.entries(namespaces).find(([each, known]) => each !== '' && known === uri) ?? []
  return { prefix: prefix ?? freePrefix(uri), local, uri }
}

/**
 * The number in `concat(substring(format-number(m div …), 1 div boolean(R)), substring('NaN', 1 div not(R)))`, as generated stylesheets have it
 * in predicates; `text` is the whole expression.
 */
export function formattedCall(
  { args, at, end }: Call,
  text: string,
): { readonly scaled: Expr; readonly decimals: number; readonly grouping: boolean } | null {
  const [first] = args
  const [inner] = first?.kind === 'call' && first.name === 'substring' ? first.args : []
  const [quotient, picture] = inner?.kind === 'call' && inner.name === 'format-number' ? inner.args : []
  if (quotient?.kind !== 'arithmetic' || quotient.op !== 'div' || picture?.kind !== 'string') return null
  const shape = pictureOf(picture.value)
  if (shape === null) return null
  const m = text.slice(...spanOf(quotient.left))
  const range = `${m} > -${FORMATTED_MAX} and ${m} < ${FORMATTED_MAX}`
  const digits = `format-number(${m} div ${10 ** shape.decimals}, '${picture.value}')`
  const whole = `concat(substring(${digits}, 1 div boolean(${range})), substring('NaN', 1 div not(${range})))`
  return text.slice(at, end) === whole ? { scaled: quotient.left, ...shape } : null
}
