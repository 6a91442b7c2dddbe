// What is wrong with a document, in the words of a fault.

import type { Fault } from '#protocol/base/mod.ts'
import { validateFault } from './faults.ts'
import { VIOLATION_CHARS_MAX, VIOLATIONS_MAX } from './limits.ts'

export type Violation = {
  readonly message: string
  /** XPath of the node, or JSON Pointer of the value; empty for the whole. */
  readonly at: string
  readonly line?: number
  /** Of the element's tag. */
  readonly column?: number
}

/** VALIDATE_INVALID with the first violations; they are at least one. */
export function invalid(violations: readonly Violation[]): Fault {
  const told = violations.slice(0, VIOLATIONS_MAX).map((each) => ({ ...each, message: cut(each.message) }))
  const [first] = told
  const { message = '', at = '', line, column } = first ?? {}
  const more = violations.length - 1
  const lineText = line === undefined ? [] : [column === undefined ? `line ${line}` : `line ${line}, column ${column}`]
  const place = [...(at === '' ? [] : [at]), ...lineText].join(', ')
  return validateFault('VALIDATE_INVALID', {
    why: `${message}${more === 0 ? '' : ` (and ${more} more)`}`,
    ...(place === '' ? {} : { where: place }),
    ...(line === undefined ? {} : { line }),
    ...(column === undefined ? {} : { column }),
    violations: told,
    count: violations.length,
  })
}

function cut(text: string): string {
  const line = text.replace(/\s+/g, ' ')
  return line.length > VIOLATION_CHARS_MAX ? `${line.slice(0, VIOLATION_CHARS_MAX).toWellFormed()}…` : line
}
