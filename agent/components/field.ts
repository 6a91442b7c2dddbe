// A field of a row by its name. Rows are plain objects, and have more by inheritance than was put in: `constructor`, `toString`.

import type { Row, Value } from './contract.ts'

/** `null` when the row does not have it. */
export const valueIn = (row: Row, field: string): Value => (Object.hasOwn(row, field) ? (row[field] ?? null) : null)
