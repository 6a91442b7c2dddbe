// Rows by key, from a file or from the settings. Keys are compared as texts: a file has no others.

import { stat } from 'node:fs/promises'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import type { Row, Value } from '../../contract.ts'
import { formatJsonRecord } from '../../formats/mod.ts'
import { listNames } from '../../names.ts'
import { enrichFault } from './faults.ts'
import { TABLE_ROWS_MAX } from './limits.ts'

export class Table {
  readonly columns: readonly string[]
  readonly #rows: ReadonlyMap<string, Row>

  constructor(columns: readonly string[], rows: ReadonlyMap<string, Row>) {
    this.columns = columns
    this.#rows = rows
  }

  get size(): number {
    return this.#rows.size
  }

  /** Faults: `ENRICH_KEY_INVALID`. */
  find(key: readonly Value[]): Row | null {
    return this.#rows.get(keyText(key)) ?? null
  }
}

/** `rows` with the place of each, for faults. Faults: `ENRICH_TABLE_INVALID`, `ENRICH_COLUMN_MISSING`. */
export function tableOf(
  rows: Iterable<readonly [row: Row, place: string]>,
  { key, where }: { readonly key: readonly string[]; readonly where: string },
): Table {
  const byKey = new Map<string, Row>()
  const columns = new Set<string>()
  for (const [row, place] of rows) {
    const refuse = (why: string): Fault => enrichFault('ENRICH_TABLE_INVALID', { where: `${where} ${place}`, why })
    if (byKey.size >= TABLE_ROWS_MAX) throw refuse(`more than ${TABLE_ROWS_MAX} rows`)
    const values = key.map((column) => (Object.hasOwn(row, column) ? (row[column] as Value) : null))
    const missing = values.findIndex((value) => value === null || value === '')
    if (missing >= 0)
      throw refuse(
        `no value in the key column ${JSON.stringify(key[missing])}; it has ${listNames(Object.keys(row), 'and')}`,
      )
    const text = keyText(values)
    if (byKey.has(text)) throw refuse(`the key ${text.slice(0, 100)} is there twice`)
    byKey.set(text, row)
    for (const column of Object.keys(row)) columns.add(column)
  }
  return new Table(
    [...columns].filter((column) => !key.includes(column)),
    byKey,
  )
}

/** The rows of a table as settings and JSON files have it. Faults: `ENRICH_TABLE_INVALID`. */
export function* rowsOf(table: unknown, key: readonly string[], where: string): Iterable<readonly [Row, string]> {
  if (Array.isArray(table)) {
    for (const [i, row] of table.entries()) {
      if (!isMap(row)) throw enrichFault('ENRICH_TABLE_INVALID', { where: `${where} [${i}]`, why: 'it is no map' })
      yield [row, `[${i}]`]
    }
  } else if (isMap(table)) {
    const [column] = key
    if (column === undefined || key.length > 1) {
      throw enrichFault('ENRICH_TABLE_INVALID', { where, why: 'a map has one key, and `key` has several' })
    }
    for (const [name, value] of Object.entries(table)) {
      yield [isMap(value) ? { ...value, [column]: name } : { [column]: name, value }, JSON.stringify(name)]
    }
  } else throw enrichFault('ENRICH_TABLE_INVALID', { where, why: 'it is neither a list nor a map' })
}

const isMap = (value: unknown): value is Row =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)

function keyText(values: readonly Value[]): string {
  const texts = values.map((value) => {
    if (typeof value === 'object')
      throw enrichFault('ENRICH_KEY_INVALID', { where: 'enrich: key', why: 'it is no single value' })
    return String(value)
  })
  return texts.length === 1 ? (texts[0] as string) : formatJsonRecord(texts)
}

/** Which version of a file it is. */
export async function versionOf(path: string): Promise<string> {
  try {
    const { size, mtimeMs, ino, dev } = await stat(path)
    return `${dev}:${ino}:${size}:${mtimeMs}`
  } catch (error) {
    throw enrichFault('ENRICH_TABLE_INVALID', { where: path, why: asFault(error).message, cause: error })
  }
}
