// A topic with fields of the row in it: `division/{level}`.

import type { Row } from '../../contract.ts'
import { valueIn } from '../../field.ts'

export type Template = (row: Row) => string

/** Compiles once. A field that is missing or null gives an empty level, which the topic's check then refuses. */
export function compileTemplate(text: string): Template {
  const parts = text.split(/\{([^{}]+)\}/)
  if (parts.length === 1) return () => text
  return (row) => {
    let out = parts[0] as string
    for (let i = 1; i < parts.length; i += 2) out += textOf(row, parts[i] as string) + (parts[i + 1] as string)
    return out
  }
}

function textOf(row: Row, field: string): string {
  const value = valueIn(row, field)
  return value === null ? '' : String(value)
}
