// Keys of rows: the values of some fields as one text.

import type { Row, Value } from '../contract.ts'
import { formatJsonRecord } from '../formats/mod.ts'

/** Two rows have the same text if and only if they have the same values; `null` when a field is absent or null. */
export function keyOf(row: Row, fields: readonly string[]): string | null {
  const values: Value[] = []
  for (const field of fields) {
    const value = Object.hasOwn(row, field) ? row[field] : null
    if (value === null || value === undefined) return null
    values.push(value)
  }
  return formatJsonRecord(values)
}

/** Which field of the row it is, for a fault. */
export function missingIn(row: Row, fields: readonly string[]): string {
  const field = fields.find((each) => !Object.hasOwn(row, each) || row[each] === null)
  return `the row has no value in ${JSON.stringify(field)}`
}
