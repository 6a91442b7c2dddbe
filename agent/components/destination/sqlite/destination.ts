// Destination `sqlite`: rows by key into a table (insert, or update where the key is known), with the flow's position in the
// same transaction: table `_causeway_position`. A repeated portion therefore changes nothing.
//
// Fields a row does not have are left as they are, or get the column's default in a new row. A row the table refuses
// (constraint, type) is rejected alone: SQLite undoes just its statement. Commits are flushed to disk (synchronous=FULL).

import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import type { Fault } from '#protocol/base/mod.ts'
import type { ComponentContext, Cursor, Destination, Portion, Reject, Row, Value } from '../../contract.ts'
import { componentFault } from '../../faults.ts'
import { valueIn } from '../../field.ts'
import { formatJsonRecord } from '../../formats/mod.ts'
import { STATEMENTS_MAX } from '../../limits.ts'
import { listNames, suggestion } from '../../names.ts'
import {
  openDatabase,
  quoteName,
  reportAll,
  sqliteFault,
  sqliteRowFault,
  tableColumns,
  tableNames,
  uniqueKeys,
} from '../../support/mod.ts'
import type { SqliteDestinationSettings } from './settings.ts'

const POSITION_TABLE = `CREATE TABLE IF NOT EXISTS _causeway_position (
  flow TEXT PRIMARY KEY NOT NULL, cursor TEXT NOT NULL, rows INTEGER NOT NULL, changed_at TEXT NOT NULL) WITHOUT ROWID`
const POSITION_UPSERT = `INSERT INTO _causeway_position (flow, cursor, rows, changed_at)
  VALUES (?, ?, ?, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) ON CONFLICT (flow) DO UPDATE
  SET cursor = excluded.cursor, rows = rows + excluded.rows, changed_at = excluded.changed_at`

/** An upsert for one set of fields, in the order the rows have them. */
type Upsert = {
  readonly fields: readonly string[]
  /** The fields that have a column. */
  readonly bound: readonly string[]
  readonly keyFields: readonly string[]
  /** Some key column has no field at all. */
  readonly keyless: boolean
  readonly statement: StatementSync
  /** Columns of TEXT or no type: a number bound as a double would be stored as `5.0`. */
  readonly exact: readonly boolean[]
}

export class SqliteDestination implements Destination {
  readonly #settings: SqliteDestinationSettings
  readonly #flow: string
  readonly #file: string
  #database: DatabaseSync | null = null
  #position: StatementSync | null = null
  /** Column names in lower case → as the table spells them, with whether numbers need exact binding. */
  #columns = new Map<string, { readonly name: string; readonly exact: boolean }>()
  #upserts = new Map<string, Upsert>()

  constructor(settings: SqliteDestinationSettings, context: ComponentContext) {
    this.#settings = settings
    this.#flow = context.flow
    this.#file = context.resolvePath(settings.file)
  }

  async open(): Promise<void> {
    const database = openDatabase(this.#file, { readOnly: false, create: this.#settings.create })
    this.#database = database
    this.#upserts.clear()
    try {
      database.exec('PRAGMA journal_mode = WAL')
      database.exec('PRAGMA synchronous = FULL')
      // SQLite waits for locks with the process blocked; see limits.ts.
      database.exec(POSITION_TABLE)
      if (this.#settings.create) database.exec(this.#createSql())
      this.#readSchema(database)
      this.#position = database.prepare(POSITION_UPSERT)
    } catch (error) {
      throw sqliteFault(error, this.#file)
    }
  }

  async position(): Promise<Cursor | null> {
    try {
      const row = this.#open().prepare('SELECT cursor FROM _causeway_position WHERE flow = ?').get(this.#flow)
      return row === undefined ? null : String(row.cursor)
    } catch (error) {
      throw sqliteFault(error, this.#file)
    }
  }

  async write(portion: Portion, reject: (reject: Reject) => void): Promise<void> {
    const database = this.#open()
    try {
      database.exec('BEGIN IMMEDIATE')
      const rejects = this.#insert(database, portion)
      this.#position?.run(this.#flow, portion.cursor, portion.items.length - rejects.length)
      await reportAll(rejects, reject)
      this.#commit(database)
    } catch (error) {
      if (database.isOpen && database.isTransaction) database.exec('ROLLBACK')
      throw sqliteFault(error, this.#file)
    }
  }

  async close(): Promise<void> {
    const database = this.#database
    this.#database = null
    this.#position = null
    this.#upserts.clear()
    // Closing rolls back whatever a failure left open.
    database?.close()
  }

  #open(): DatabaseSync {
    if (this.#database === null) throw new Error('the destination is not open')
    return this.#database
  }

  #insert(database: DatabaseSync, portion: Portion): Reject[] {
    const rejects: Reject[] = []
    let upsert: Upsert | null = null
    for (const item of portion.items) {
      if (upsert === null || !sameFields(item.row, upsert.fields)) upsert = this.#upsertFor(database, item.row)
      if (upsert.keyless || !hasKey(item.row, upsert)) {
        rejects.push({ item, fault: this.#keyless(item.row) })
        continue
      }
      try {
        upsert.statement.run(...valuesOf(item.row, upsert))
      } catch (error) {
        const fault = sqliteRowFault(error, `${this.#settings.table} ${item.ref}`)
        if (fault === null) throw error
        if (!database.isTransaction)
          throw componentFault('SQLITE_ROLLED_BACK', { where: this.#settings.table, cause: error })
        rejects.push({ item, fault })
      }
    }
    return rejects
  }

  #commit(database: DatabaseSync): void {
    try {
      database.exec('COMMIT')
    } catch (error) {
      if (sqliteRowFault(error, '') === null) throw error
      throw componentFault('SQLITE_DEFERRED_KEY', {
        where: this.#settings.table,
        why: (error as Error).message,
        cause: error,
      })
    }
  }

  /** NULL keys never conflict, so each repeat of such a row would add another. */
  #keyless(row: Row): Fault {
    const given = new Set(
      Object.keys(row)
        .filter((field) => row[field] !== null)
        .map((field) => field.toLowerCase()),
    )
    const missing = this.#settings.key.filter((name) => !given.has(name.toLowerCase()))
    return componentFault('SQLITE_ROW_KEYLESS', { where: this.#settings.table, why: listNames(missing, 'and') })
  }

  #upsertFor(database: DatabaseSync, row: Row): Upsert {
    const fields = Object.keys(row)
    const signature = JSON.stringify(fields)
    const known = this.#upserts.get(signature)
    if (known !== undefined) return known
    const extra = fields.filter((field) => !this.#columns.has(field.toLowerCase()))
    if (extra.length > 0 && !this.#settings.ignoreExtra) throw this.#extraFields(extra)
    const bound = fields.filter((field) => !extra.includes(field))
    const columns = bound.map((field) => this.#columns.get(field.toLowerCase()) ?? { name: field, exact: false })
    const key = this.#settings.key.map((name) => name.toLowerCase())
    const keyFields = bound.filter((field) => key.includes(field.toLowerCase()))
    const statement = database.prepare(this.#upsertSql(columns.map((column) => column.name)))
    const exact = columns.map((column) => column.exact)
    const upsert = { fields, bound, keyFields, keyless: keyFields.length < key.length, statement, exact }
    const oldest = this.#upserts.keys().next().value
    if (this.#upserts.size >= STATEMENTS_MAX && oldest !== undefined) this.#upserts.delete(oldest)
    this.#upserts.set(signature, upsert)
    return upsert
  }

  #upsertSql(columns: readonly string[]): string {
    const key = this.#settings.key.map((name) => this.#columns.get(name.toLowerCase())?.name ?? name)
    const changing = columns.filter((column) => !key.includes(column)).map(quoteName)
    const update = changing.map((column) => `${column} = excluded.${column}`).join(', ')
    const table = quoteName(this.#settings.table)
    const conflict = changing.length === 0 ? 'NOTHING' : `UPDATE SET ${update}`
    const values = columns.map(() => '?').join(', ')
    const names = columns.map(quoteName).join(', ')
    return `INSERT INTO ${table} (${names}) VALUES (${values}) ON CONFLICT (${key.map(quoteName)}) DO ${conflict}`
  }

  #extraFields(extra: readonly string[]): Fault {
    const columns = [...this.#columns.values()].map((column) => column.name)
    const first = extra[0] ?? ''
    const why = `${listNames(extra, 'and')} in table ${this.#settings.table}. ${suggestion(first, columns)}`
    return componentFault('SQLITE_EXTRA_FIELDS', { where: this.#file, why, fields: extra })
  }

  #createSql(): string {
    const columns = Object.entries(this.#settings.columns ?? {}).map(([name, type]) => {
      const key = this.#settings.key.includes(name)
      return `${quoteName(name)} ${type}${key ? ' NOT NULL' : ''}`
    })
    const key = this.#settings.key.map(quoteName).join(', ')
    return `CREATE TABLE IF NOT EXISTS ${quoteName(this.#settings.table)} (${columns.join(', ')}, PRIMARY KEY (${key}))`
  }

  #readSchema(database: DatabaseSync): void {
    const { table, key } = this.#settings
    const columns = tableColumns(database, table)
    if (columns.length === 0) {
      const why = `no table ${JSON.stringify(table)}. ${suggestion(table, tableNames(database))}`
      throw componentFault('SQLITE_TABLE_MISSING', {
        where: this.#file,
        why,
        todo: 'Check `table`, or set `create: true` and list its `columns`',
      })
    }
    this.#columns = new Map(columns.map(({ name, type }) => [name.toLowerCase(), { name, exact: bindsExactly(type) }]))
    const names = columns.map((column) => column.name)
    for (const [setting, wanted] of [
      ['key', key],
      ['columns', Object.keys(this.#settings.columns ?? {})],
    ] as const) {
      const missing = wanted.find((name) => !this.#columns.has(name.toLowerCase()))
      if (missing === undefined) continue
      const why = `\`${setting}\` names ${JSON.stringify(missing)}, table ${table} has ${listNames(names, 'and')}`
      const todo = `${suggestion(missing, names)} Or add the column to the table`
      throw componentFault('SQLITE_COLUMN_MISSING', { where: this.#file, why, todo })
    }
    const wanted = sorted(key)
    if (uniqueKeys(database, table, columns).some((set) => sorted(set) === wanted)) return
    const todo = `CREATE UNIQUE INDEX … ON ${quoteName(table)} (${key.map(quoteName).join(', ')}) does it`
    throw componentFault('SQLITE_KEY_NO_INDEX', { where: this.#file, why: `table ${table}`, todo })
  }
}

function sorted(names: readonly string[]): string {
  return JSON.stringify(names.map((name) => name.toLowerCase()).sort())
}

/** Column affinity by https://www.sqlite.org/datatype3.html: TEXT and BLOB (none) keep a double's decimal point. */
function bindsExactly(type: string): boolean {
  const declared = type.toUpperCase()
  if (declared.includes('INT')) return false
  return /CHAR|CLOB|TEXT|BLOB|ANY/.test(declared) || declared === ''
}

function sameFields(row: Row, fields: readonly string[]): boolean {
  let i = 0
  for (const field in row) {
    if (field !== fields[i]) return false
    i += 1
  }
  return i === fields.length
}

function hasKey(row: Row, { keyFields }: Upsert): boolean {
  for (const field of keyFields) if (valueIn(row, field) === null) return false
  return true
}

function valuesOf(row: Row, { bound, exact }: Upsert): SQLInputValue[] {
  const values: SQLInputValue[] = []
  for (let i = 0; i < bound.length; i += 1) values.push(bindable(row[bound[i] as string] as Value, exact[i] === true))
  return values
}

function bindable(value: Value, exact: boolean): SQLInputValue {
  switch (typeof value) {
    case 'string':
    case 'bigint':
      return value
    case 'number':
      return exact && Number.isSafeInteger(value) && !Object.is(value, -0) ? BigInt(value) : value
    case 'boolean':
      return value ? 1n : 0n
    default:
      if (value === null || value instanceof Uint8Array) return value
      return formatJsonRecord(value as Row)
  }
}
