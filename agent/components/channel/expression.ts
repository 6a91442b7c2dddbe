// A JSONata expression, compiled once, evaluated per row within bounds.
//
// JSONata evaluates asynchronously, at some tens of thousands of rows a second. Most expressions of a flow are a path, a literal,
// a substring or a comparison, so these compile to plain functions (`direct`). A direct function gives up (`UNSURE`) on every
// value whose treatment is not obvious, and the row takes the general way: the two never disagree, which a property test shows.

import jsonata from 'jsonata'
import { Fault } from '#protocol/base/mod.ts'
import type { Row, Value } from '../contract.ts'
import { componentFault } from '../faults.ts'
import { EXPRESSION_DEPTH_MAX, EXPRESSION_SEQUENCE_MAX, VALUE_DEPTH_MAX } from '../limits.ts'
import { compileDirect, type Direct, UNSURE } from './direct.ts'

/** `undefined` is JSONata's "nothing", as of a path that leads nowhere. */
export type Outcome = Value | undefined

export type Expression = {
  readonly text: string
  /** The value at once, or `UNSURE`: then `evaluate` must be asked. */
  readonly direct: Direct | null
  /** Throws EXPRESSION_FAILED or EXPRESSION_TIMEOUT. */
  evaluate(row: Row): Promise<Outcome>
}

type JsonataError = {
  readonly code?: string
  readonly position?: number
  readonly message?: string
  readonly token?: string
}

/** `where` names the setting. Throws EXPRESSION_SYNTAX with the position in the text. */
export function compileExpression(text: string, options: { where: string; timeoutMs: number }): Expression {
  const { where, timeoutMs } = options
  let compiled: jsonata.Expression
  try {
    compiled = jsonata(text, { timeout: timeoutMs, stack: EXPRESSION_DEPTH_MAX, sequence: EXPRESSION_SEQUENCE_MAX })
  } catch (error) {
    throw syntaxFault(text, error as JsonataError, where)
  }
  // A row's content must never become code.
  compiled.registerFunction('eval', () => {
    throw componentFault('EXPRESSION_FAILED', { where, why: '$eval is not available in flows' })
  })
  return {
    text,
    direct: compileDirect(compiled.ast()),
    async evaluate(row) {
      let result: unknown
      try {
        result = await compiled.evaluate(row)
      } catch (error) {
        throw rowFault(error, { where, text, timeoutMs })
      }
      return toValue(result, where, 0)
    },
  }
}

export { UNSURE }

function syntaxFault(text: string, error: JsonataError, where: string): Fault {
  const position = error.position ?? text.length
  const why = `${error.message ?? error.code} at character ${position}: ${text.slice(Math.max(0, position - 20), position)}⟨here⟩${text.slice(position, position + 20)}`
  return componentFault('EXPRESSION_SYNTAX', { where, why, position, expression: text })
}

function rowFault(
  error: unknown,
  { where, text, timeoutMs }: { where: string; text: string; timeoutMs: number },
): Fault {
  if (error instanceof Fault) return error
  const { code, message, position } = error as JsonataError
  if (code === 'D1012')
    return componentFault('EXPRESSION_TIMEOUT', { where, why: `more than ${timeoutMs} ms`, expression: text })
  const at = position === undefined ? '' : ` at character ${position}`
  return componentFault('EXPRESSION_FAILED', {
    where,
    why: `${message ?? code ?? String(error)}${at}`,
    expression: text,
  })
}

/** JSONata's result as a plain value: its lists carry marks of their own, and it may give what no row can hold. */
function toValue(result: unknown, where: string, depth: number): Outcome {
  const refuse = (why: string): Fault => componentFault('EXPRESSION_FAILED', { where, why })
  switch (typeof result) {
    case 'undefined':
    case 'string':
    case 'boolean':
    case 'bigint':
      return result
    case 'number':
      if (Number.isFinite(result)) return result
      throw refuse(`the result is ${result}`)
    case 'object':
      break
    default:
      throw refuse('the result is a function')
  }
  if (result === null || result instanceof Uint8Array) return result
  if (depth >= VALUE_DEPTH_MAX) throw refuse(`the result is nested deeper than ${VALUE_DEPTH_MAX}`)
  if (Array.isArray(result)) return result.map((each) => toValue(each, where, depth + 1) ?? null)
  if ('_jsonata_lambda' in result || '_jsonata_function' in result) throw refuse('the result is a function')
  const object: Record<string, Value> = {}
  for (const [name, value] of Object.entries(result)) {
    if (name === '__proto__') throw refuse('a field is named __proto__')
    object[name] = toValue(value, where, depth + 1) ?? null
  }
  return object
}
