// What an expression is from another context: relative paths begin at the node that was the context where it was written.

import { unreachable } from '#protocol/base/mod.ts'
import type { Condition, Expression, NumberExpression, Path } from '../ast.ts'
import { NotInSubset } from './subset.ts'

/** How the nodes of the new context are reached from the old: by so many child steps, or from the document node. */
export type Shift = {
  readonly steps: number | null
  /** The old context is the document node: relative is absolute. */
  readonly fromDocument: boolean
}

export function shiftedPath(path: Path, { steps, fromDocument }: Shift): Path {
  if (path.absolute) return path
  if (fromDocument && path.up === 0) return { ...path, absolute: true }
  if (steps === null) throw new NotInSubset('a relative path is used from another context than it was written for')
  return { ...path, up: path.up + steps }
}

export function shifted(expression: Expression, shift: Shift): Expression {
  const of = (one: Expression): Expression => shifted(one, shift)
  switch (expression.kind) {
    case 'literal':
      return expression
    case 'value':
      return { ...expression, path: shiftedPath(expression.path, shift) }
    case 'concat':
      return { ...expression, parts: expression.parts.map(of) }
    case 'lookup':
      return { ...expression, key: of(expression.key), otherwise: of(expression.otherwise) }
    case 'if':
      return {
        ...expression,
        when: shiftedCondition(expression.when, shift),
        value: of(expression.value),
        otherwise: of(expression.otherwise),
      }
    case 'format':
      return { ...expression, number: shiftedNumber(expression.number, shift) }
    case 'position':
      throw new NotInSubset('position() of another context')
    default:
      return { ...expression, of: of(expression.of) }
  }
}

export function shiftedNumber(number: NumberExpression, shift: Shift): NumberExpression {
  switch (number.kind) {
    case 'constant':
      return number
    case 'number':
      return { ...number, of: shifted(number.of, shift) }
    case 'count':
    case 'sum':
      return { ...number, path: shiftedPath(number.path, shift) }
    case 'add':
    case 'subtract':
    case 'multiply':
    case 'divide':
      return { ...number, left: shiftedNumber(number.left, shift), right: shiftedNumber(number.right, shift) }
    default:
      return unreachable(number)
  }
}

export function shiftedCondition(condition: Condition, shift: Shift): Condition {
  switch (condition.kind) {
    case 'exists':
      return { ...condition, path: shiftedPath(condition.path, shift) }
    case 'equals':
      return { ...condition, left: shifted(condition.left, shift), right: shifted(condition.right, shift) }
    case 'contains':
    case 'startsWith':
      return { ...condition, of: shifted(condition.of, shift), text: shifted(condition.text, shift) }
    case 'compare':
      return { ...condition, left: shiftedNumber(condition.left, shift), right: shiftedNumber(condition.right, shift) }
    case 'not':
      return { ...condition, of: shiftedCondition(condition.of, shift) }
    case 'and':
    case 'or':
      return { ...condition, of: condition.of.map((one) => shiftedCondition(one, shift)) }
    default:
      return unreachable(condition)
  }
}
