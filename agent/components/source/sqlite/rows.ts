// Reads ordered stretches of rows: prepared keyset queries over one table or query.
//
// `WHERE (w, k) > (?, ?) ORDER BY w, k LIMIT n` uses an index on (w, k) from the place on, whatever lies before it
// (https://www.sqlite.org/rowvalue.html#scrolling_window_queries), and needs no open transaction between portions.

import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import type { Item, Row, Value } from '../../contract.ts'
import { componentFault } from '../../faults.ts'
import { PORTION_BYTES_MAX } from '../../limits.ts'
import { listNames, suggestion } from '../../names.ts'
import { isBigIntegerError, quoteName, sqliteFault, tableColumns, tableNames, uniqueKeys } from '../../support/mod.ts'
import type { Place, SqlValue } from './position.ts'
import { hashPlace, samePlace } from './position.ts'
import type { SqliteSourceSettings } from './settings.ts'

/**
 * Consecutive rows: the places of all, the items of those not in `seen`, which of `seen` were met, and whether these were the
 * last rows there are now.
 */
export type Stretch = {
  readonly items: Item[]
  readonly places: Place[]
  readonly met: Set<string>
  readonly atEnd: boolean
}

const NONE: ReadonlySet<string> = new Set()

type Request = {
  readonly place: Place | null
  readonly rowsMax: number
  readonly seen: ReadonlySet<string>
  readonly nulls: boolean
}

type Plan = {
  readonly from: string
  readonly names: readonly string[]
  /** All columns read: those of the row, then key and watermark where the row does not have them. */
  readonly selected: readonly string[]
  readonly unique: boolean
}

export class RowReader {
  readonly #database: DatabaseSync
  readonly #where: string
  readonly #names: readonly string[]
  readonly #selected: string
  readonly #from: string
  readonly #key: readonly string[]
  readonly #watermark: string | null
  /** Where in a selected row the place's values stand. */
  readonly #placeAt: readonly number[]
  readonly #unique: boolean
  readonly #statements = new Map<string, StatementSync>()
  #bigIntegers = false

  constructor(database: DatabaseSync, settings: SqliteSourceSettings, where: string) {
    const plan = makePlan(database, settings, where)
    this.#database = database
    this.#where = where
    this.#names = plan.names
    this.#selected = plan.selected.map(quoteName).join(', ')
    this.#from = plan.from
    this.#key = settings.key
    this.#watermark = settings.watermark ?? null
    this.#placeAt = [...(this.#watermark === null ? [] : [this.#watermark]), ...this.#key].map((name) =>
      indexOf(plan.selected, name),
    )
    this.#unique = plan.unique
    this.#prepare(true, false)
  }

  /** Rows after a place in (watermark, key) order; rows without a watermark are not among them. */
  after(place: Place | null, rowsMax: number, seen: ReadonlySet<string>): Stretch {
    return this.#read(this.#prepare(place !== null, false), { place, rowsMax, seen, nulls: false })
  }

  /** Rows without a watermark after a key. Places are keys here. */
  withoutWatermark(place: Place | null, rowsMax: number): Stretch {
    if (this.#watermark === null) return { items: [], places: [], met: new Set(), atEnd: true }
    return this.#read(this.#prepare(place !== null, true), { place, rowsMax, seen: NONE, nulls: true })
  }

  #prepare(bounded: boolean, nulls: boolean): StatementSync {
    const watermark = this.#watermark === null ? null : quoteName(this.#watermark)
    const key = this.#key.map(quoteName)
    const order = watermark === null || nulls ? key : [watermark, ...key]
    const conditions: string[] = []
    if (watermark !== null) conditions.push(`${watermark} IS ${nulls ? '' : 'NOT '}NULL`)
    if (bounded) conditions.push(order.length === 1 ? `${order[0]} > ?` : `(${order}) > (${order.map(() => '?')})`)
    const filter = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
    const sql = `SELECT ${this.#selected} FROM ${this.#from} ${filter} ORDER BY ${order} LIMIT ?`
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#database.prepare(sql)
      statement.setReturnArrays(true)
      statement.setReadBigInts(this.#bigIntegers)
      this.#statements.set(sql, statement)
    }
    return statement
  }

  #read(statement: StatementSync, request: Request): Stretch {
    try {
      return this.#collect(statement, request)
    } catch (error) {
      if (!isBigIntegerError(error) || this.#bigIntegers) throw sqliteFault(error, this.#where)
    }
    // Reading every integer as a bigint is slower, so it begins with the first that needs it.
    this.#bigIntegers = true
    for (const each of this.#statements.values()) each.setReadBigInts(true)
    try {
      return this.#collect(statement, request)
    } catch (error) {
      throw sqliteFault(error, this.#where)
    }
  }

  #collect(statement: StatementSync, { place, rowsMax, seen, nulls }: Request): Stretch {
    const placeAt = nulls ? this.#placeAt.slice(1) : this.#placeAt
    const keyFrom = nulls || this.#watermark === null ? 0 : 1
    const stretch: Stretch = { items: [], places: [], met: new Set(), atEnd: true }
    let bytes = 0
    let last = place
    // One more than asked for: it tells whether these are the last, and whether its key is another.
    const bound = [...(place ?? []), rowsMax + 1] as SQLInputValue[]
    for (const values of statement.iterate(...bound) as Iterable<unknown> as Iterable<SqlValue[]>) {
      if (this.#bigIntegers) narrow(values)
      const here = placeAt.map((at) => values[at] as SqlValue)
      this.#checkPlace(here, keyFrom, last)
      if (stretch.places.length >= rowsMax || bytes > PORTION_BYTES_MAX) return { ...stretch, atEnd: false }
      last = here
      stretch.places.push(here)
      const hash = seen.size > 0 ? hashPlace(here) : ''
      if (seen.has(hash)) {
        stretch.met.add(hash)
        continue
      }
      stretch.items.push({ row: this.#rowOf(values), ref: refOf(here, keyFrom) })
      bytes += sizeOf(values)
    }
    return stretch
  }

  #rowOf(values: readonly SqlValue[]): Row {
    const names = this.#names
    const row: Record<string, Value> = {}
    for (let i = 0; i < names.length; i += 1) row[names[i] as string] = values[i] as SqlValue
    return row
  }

  #checkPlace(here: Place, keyFrom: number, last: Place | null): void {
    for (let i = keyFrom; i < here.length; i += 1) {
      if (here[i] !== null) continue
      throw componentFault('SQLITE_KEY_NULL', { where: this.#where, why: `column ${this.#key[i - keyFrom]}` })
    }
    if (this.#unique || last === null || !samePlace(here, last)) return
    const why = `${this.#key.join(', ')} = ${here.slice(keyFrom).map(String).join(', ')} twice`
    throw componentFault('SQLITE_KEY_NOT_UNIQUE', { where: this.#where, why })
  }
}

/** Integers within 2^53 as numbers, as everywhere else. */
function narrow(values: SqlValue[]): void {
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i]
    if (typeof value !== 'bigint') continue
    if (value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER) values[i] = Number(value)
  }
}

function sizeOf(values: readonly SqlValue[]): number {
  let size = 0
  for (const value of values) size += typeof value === 'string' || value instanceof Uint8Array ? value.length : 8
  return size
}

function refOf(place: Place, keyFrom: number): string | number {
  const first = place[keyFrom]
  if (place.length === keyFrom + 1 && (typeof first === 'string' || typeof first === 'number')) return first
  return place.slice(keyFrom).map(textOf).join('/')
}

function textOf(value: SqlValue): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value)
}

function makePlan(database: DatabaseSync, settings: SqliteSourceSettings, where: string): Plan {
  return settings.table === undefined
    ? planQuery(database, settings, where)
    : planTable(database, settings, settings.table, where)
}

function planTable(database: DatabaseSync, settings: SqliteSourceSettings, table: string, where: string): Plan {
  const columns = tableColumns(database, table)
  if (columns.length === 0) {
    const why = `no table ${JSON.stringify(table)}. ${suggestion(table, tableNames(database))}`
    throw componentFault('SQLITE_TABLE_MISSING', { where, why })
  }
  const known = columns.map((column) => column.name)
  const names = (settings.columns ?? known).map((name) => knownColumn(name, known, where, 'columns'))
  const order = orderColumns(settings, known, where)
  const selected = [...names, ...order.filter((name) => !names.includes(name))]
  const key = settings.key.map((name) => name.toLowerCase())
  const unique = uniqueKeys(database, table, columns).some((set) =>
    set.every((name) => key.includes(name.toLowerCase())),
  )
  return { from: quoteName(table), names, selected, unique }
}

function planQuery(database: DatabaseSync, settings: SqliteSourceSettings, where: string): Plan {
  // The line ends keep a comment at the query's end from swallowing the parenthesis.
  const from = `(\n${(settings.query ?? '').trim().replace(/;+\s*$/, '')}\n)`
  let names: string[]
  try {
    names = database
      .prepare(`SELECT * FROM ${from}`)
      .columns()
      .map((column) => column.name)
  } catch (error) {
    const fault = sqliteFault(error, where)
    if (fault.code !== 'SQLITE_FAILED') throw fault
    throw componentFault('SQLITE_QUERY_INVALID', { where, why: (error as Error).message })
  }
  orderColumns(settings, names, where)
  return { from, names, selected: names, unique: false }
}

function orderColumns(settings: SqliteSourceSettings, known: readonly string[], where: string): string[] {
  const key = settings.key.map((name) => knownColumn(name, known, where, 'key'))
  if (settings.watermark === undefined) return key
  return [knownColumn(settings.watermark, known, where, 'watermark'), ...key]
}

/** The column as the schema spells it; SQLite does not tell upper from lower case. To use the rowid, give it a name in a `query`. */
function knownColumn(name: string, known: readonly string[], where: string, setting: string): string {
  const found = known.find((each) => each === name) ?? known.find((each) => each.toLowerCase() === name.toLowerCase())
  if (found !== undefined) return found
  const why = `\`${setting}\` names ${JSON.stringify(name)}, the columns are ${listNames(known, 'and')}`
  throw componentFault('SQLITE_COLUMN_MISSING', { where, why, todo: suggestion(name, known) })
}

function indexOf(selected: readonly string[], name: string): number {
  return selected.findIndex((each) => each.toLowerCase() === name.toLowerCase())
}
