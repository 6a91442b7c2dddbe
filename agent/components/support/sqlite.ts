// What the SQLite components share: opening, names, and every error of the engine as a fault of ours.

import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { Fault } from '#protocol/base/mod.ts'
import { componentFault } from '../faults.ts'
import { BUSY_WAIT_MS } from '../limits.ts'

/** An identifier for SQL text, whatever characters it has. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** `create` makes the file; without it a missing one is a fault. */
export function openDatabase(
  file: string,
  options: { readonly readOnly: boolean; readonly create?: boolean },
): DatabaseSync {
  if (options.create !== true && !existsSync(file)) throw componentFault('SQLITE_FILE_MISSING', { where: file })
  try {
    const database = new DatabaseSync(file, { readOnly: options.readOnly, timeout: BUSY_WAIT_MS })
    try {
      // Opening is lazy: only the first read shows what the file is.
      database.prepare('SELECT count(*) FROM sqlite_schema').get()
      return database
    } catch (error) {
      database.close()
      throw error
    }
  } catch (error) {
    throw sqliteFault(error, file)
  }
}

/** https://www.sqlite.org/rescode.html: the low byte of an extended code is the primary one. */
const SQLITE_BUSY = 5
const SQLITE_LOCKED = 6
const SQLITE_READONLY = 8
const SQLITE_IOERR = 10
const SQLITE_CORRUPT = 11
const SQLITE_FULL = 13
const SQLITE_CANTOPEN = 14
const SQLITE_PROTOCOL = 15
const SQLITE_TOOBIG = 18
const SQLITE_CONSTRAINT = 19
const SQLITE_MISMATCH = 20
const SQLITE_NOTADB = 26

function primaryCode(error: unknown): number | null {
  const code = (error as { errcode?: unknown } | null)?.errcode
  return typeof code === 'number' ? code & 0xff : null
}

/** The engine's error as a fault; `retry` marks those that pass by themselves. Faults go through unchanged. */
export function sqliteFault(error: unknown, where: string): Fault {
  if (error instanceof Fault) return error
  const details = { where, why: error instanceof Error ? error.message : String(error), cause: error }
  switch (primaryCode(error)) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return componentFault('SQLITE_BUSY', { ...details, retry: true })
    case SQLITE_FULL:
      return componentFault('SQLITE_FULL', { ...details, retry: true })
    case SQLITE_IOERR:
      return componentFault('SQLITE_IO', { ...details, retry: true })
    case SQLITE_CORRUPT:
      return componentFault('SQLITE_CORRUPT', details)
    case SQLITE_READONLY:
      return componentFault('SQLITE_READONLY', details)
    case SQLITE_CANTOPEN:
      return componentFault('SQLITE_OPEN_FAILED', details)
    case SQLITE_NOTADB:
      return componentFault('SQLITE_NOT_DATABASE', details)
    default:
      return componentFault('SQLITE_FAILED', details)
  }
}

/** The fault when the error concerns one row only (constraint, type, size, a value that cannot be bound), else `null`. */
export function sqliteRowFault(error: unknown, where: string): Fault | null {
  const details = { where, why: error instanceof Error ? error.message : String(error) }
  switch (primaryCode(error)) {
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
      return componentFault('SQLITE_ROW_REFUSED', details)
    case SQLITE_TOOBIG:
      return componentFault('SQLITE_VALUE_UNFIT', details)
    default:
  }
  // node:sqlite refuses to bind integers beyond 64 bits.
  const code = (error as { code?: unknown } | null)?.code
  const unbindable = code === 'ERR_INVALID_ARG_VALUE' || code === 'ERR_INVALID_ARG_TYPE' || code === 'ERR_OUT_OF_RANGE'
  return unbindable ? componentFault('SQLITE_VALUE_UNFIT', details) : null
}

/** True for the error of reading an integer beyond 2^53 as a number. */
export function isBigIntegerError(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'ERR_OUT_OF_RANGE'
}

/** A column as the schema declares it. `keyPosition` is its place in the primary key, from 1, or 0. */
export type Column = {
  readonly name: string
  readonly type: string
  readonly notNull: boolean
  readonly keyPosition: number
}

/** The columns of a table or view in order, generated ones included, hidden ones not; empty when there is no such table. */
export function tableColumns(database: DatabaseSync, table: string): Column[] {
  const rows = database.prepare('SELECT name, type, "notnull" AS n, pk, hidden FROM pragma_table_xinfo(?)').all(table)
  return rows
    .filter((row) => row.hidden !== 1)
    .map((row) => ({
      name: String(row.name),
      type: String(row.type),
      notNull: row.n === 1,
      keyPosition: Number(row.pk),
    }))
}

/** The tables and views of the database, for "did you mean". */
export function tableNames(database: DatabaseSync): string[] {
  const rows = database.prepare(`SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') LIMIT 1000`).all()
  return rows.map((row) => String(row.name))
}

/** The column sets that no two rows share: the primary key and every unique index over all rows and plain columns. */
export function uniqueKeys(database: DatabaseSync, table: string, columns: readonly Column[]): string[][] {
  const keys: string[][] = []
  const primary = columns.filter((column) => column.keyPosition > 0)
  if (primary.length > 0) keys.push(primary.map((column) => column.name))
  const indexes = database
    .prepare('SELECT name FROM pragma_index_list(?) WHERE "unique" = 1 AND partial = 0')
    .all(table)
  const parts = database.prepare('SELECT name FROM pragma_index_info(?) ORDER BY seqno')
  for (const index of indexes) {
    const names = parts.all(String(index.name)).map((part) => part.name)
    // An index over an expression has no column name there.
    if (names.every((name) => typeof name === 'string')) keys.push(names as string[])
  }
  return keys
}
