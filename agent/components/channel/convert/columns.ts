// Documents that are tables: which fields are columns, and what becomes of others.

import type { Row, Value } from '../../contract.ts'
import { componentFault } from '../../faults.ts'
import { listNames, suggestion } from '../../names.ts'
import { convertFault } from './faults.ts'

export type Columns = {
  readonly names: readonly string[]
  /** In the order of the columns. Throws CONVERT_EXTRA_FIELDS. */
  valuesOf(row: Row): readonly (Value | undefined)[]
}

export function columnsOf(names: readonly string[], { ignoreExtra }: { readonly ignoreExtra: boolean }): Columns {
  const known = new Set(names)
  return {
    names,
    valuesOf: (row) => {
      if (!ignoreExtra) {
        const extra = Object.keys(row).filter((field) => !known.has(field))
        if (extra.length > 0) {
          throw convertFault('CONVERT_EXTRA_FIELDS', {
            why: `${listNames(extra, 'and')}. ${suggestion(extra[0] ?? '', names)}`,
          })
        }
      }
      return names.map((name) => (Object.hasOwn(row, name) ? row[name] : null))
    },
  }
}

/** The fields of the first record, when the settings name no columns. */
export function fieldsOf(row: Row): string[] {
  const fields = Object.keys(row)
  if (fields.length === 0) throw convertFault('CONVERT_VALUE', { why: 'the record has no fields' })
  return fields
}

/** Readers refuse NUL as no text: it is not written either. */
export function refuseNul(text: string): void {
  if (text.includes('\0')) throw componentFault('TEXT_NUL', { why: 'a value has the character U+0000' })
}
