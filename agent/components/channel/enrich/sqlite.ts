// A query of an SQLite database, on a connection that can only read. Results are kept for a time. The query is prepared here, which says
// what is wrong with it and its columns, and runs in a process of its own, within a bound on its time.

import { statSync } from 'node:fs'
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { asFault } from '#protocol/base/mod.ts'
import type { ComponentContext, Row, Value } from '../../contract.ts'
import { componentFault } from '../../faults.ts'
import { formatJsonRecord } from '../../formats/mod.ts'
import { BUSY_WAIT_MS } from '../../limits.ts'
import { openDatabase, sqliteFault, sqliteRowFault } from '../../support/mod.ts'
import { enrichFault } from './faults.ts'
import { CACHE_ROW_BYTES_MAX, LOOK_MS } from './limits.ts'
import type { Lookup } from './lookup.ts'
import { QueryLine } from './query-line.ts'
import type { EnrichSettings } from './settings.ts'

type SqliteSettings = Extract<EnrichSettings['from'], { type: 'sqlite' }>['settings']
type Opened = { readonly line: QueryLine; readonly columns: readonly string[]; readonly identity: string }
type Kept = { readonly row: Row | null; readonly untilMs: number }

export class SqliteLookup implements Lookup {
  readonly #file: string
  readonly #settings: SqliteSettings
  readonly #parameters: number
  readonly #context: ComponentContext
  /** Least recently used first. */
  readonly #cache = new Map<string, Kept>()
  /** What is being asked. */
  readonly #asked = new Map<string, Promise<Row | null>>()
  #opened: Opened | null = null
  #lookedMs = 0

  constructor(settings: SqliteSettings, parameters: number, context: ComponentContext) {
    this.#file = context.resolvePath(settings.file)
    this.#settings = settings
    this.#parameters = parameters
    this.#context = context
  }

  async open(): Promise<void> {
    this.#lookedMs = this.#context.clock.nowMs()
    this.#opened = this.#prepared()
  }

  /** A database in whose place another file was put is opened anew; until that succeeds the former is used. */
  async refresh(): Promise<void> {
    const nowMs = this.#context.clock.nowMs()
    if (nowMs - this.#lookedMs < LOOK_MS) return
    this.#lookedMs = nowMs
    try {
      if (identityOf(this.#file) === this.#opened?.identity) return
      const opened = this.#prepared()
      await this.close()
      this.#opened = opened
    } catch (error) {
      const fault = asFault(error, this.#file).toJSON()
      this.#context.log('warn', 'a look-up database was replaced and cannot be opened: the former stays in use', {
        fault,
      })
    }
  }

  #prepared(): Opened {
    const database = openDatabase(this.#file, { readOnly: true })
    try {
      const statement = preparedIn(database, this.#settings.query, this.#file)
      const columns = statement.columns().map(({ name }) => name)
      if (columns.length === 0) throw queryInvalid('it gives no columns')
      if (!binds(statement, this.#parameters) || binds(statement, this.#parameters + 1)) {
        throw enrichFault('ENRICH_PARAMETERS', {
          where: 'enrich: from.sqlite.query',
          why: `${this.#parameters} fields`,
        })
      }
      const { query, queryMs } = this.#settings
      // What waits for a lock is told so, not that it took too long.
      const options = { file: this.#file, query, limitMs: queryMs + BUSY_WAIT_MS, busyMs: BUSY_WAIT_MS }
      return { line: new QueryLine(options), columns, identity: identityOf(this.#file) }
    } finally {
      database.close()
    }
  }

  columns(): readonly string[] {
    return this.#opened?.columns ?? []
  }

  async find(key: readonly Value[]): Promise<Row | null> {
    const bound = key.map(bindable)
    const text = formatJsonRecord(key)
    const nowMs = this.#context.clock.nowMs()
    const kept = this.#cache.get(text)
    if (kept !== undefined) {
      this.#cache.delete(text)
      if (kept.untilMs > nowMs) {
        this.#cache.set(text, kept)
        return kept.row
      }
    }
    const asked = this.#asked.get(text)
    if (asked !== undefined) return asked
    const asking = this.#query(bound)
    this.#asked.set(text, asking)
    try {
      return this.#keep(text, await asking, nowMs)
    } finally {
      this.#asked.delete(text)
    }
  }

  #keep(text: string, row: Row | null, nowMs: number): Row | null {
    const { cacheRows, cacheMs } = this.#settings
    if (cacheRows > 0 && cacheMs > 0 && isSmall(row)) {
      this.#cache.set(text, { row, untilMs: nowMs + cacheMs })
      if (this.#cache.size > cacheRows) {
        for (const oldest of this.#cache.keys()) {
          this.#cache.delete(oldest)
          break
        }
      }
    }
    return row
  }

  async close(): Promise<void> {
    this.#cache.clear()
    const opened = this.#opened
    this.#opened = null
    await opened?.line.close()
  }

  async #query(bound: readonly SQLInputValue[]): Promise<Row | null> {
    if (this.#opened === null)
      throw enrichFault('ENRICH_QUERY_ENDED', { where: 'enrich: from.sqlite.query', retry: true })
    const answer = await this.#opened.line.ask(bound)
    if ('failed' in answer) {
      const { message, ...codes } = answer.failed
      const error = Object.assign(new Error(message), codes)
      const fault = sqliteRowFault(error, 'enrich: key')
      throw fault === null ? sqliteFault(error, this.#file) : enrichFault('ENRICH_KEY_INVALID', { why: fault.message })
    }
    if (answer.row === null) return null
    const row: Record<string, Value> = {}
    for (const column of this.columns()) row[column] = narrowed((answer.row[column] ?? null) as Value)
    return row
  }
}

function preparedIn(database: DatabaseSync, query: string, file: string): StatementSync {
  try {
    return database.prepare(query)
  } catch (error) {
    const fault = sqliteFault(error, file)
    throw fault.code === 'SQLITE_FAILED' ? queryInvalid((error as Error).message) : fault
  }
}

/** Whether the statement has at least so many parameters; it is not run for that. */
function binds(statement: StatementSync, count: number): boolean {
  try {
    statement.iterate(...Array<null>(count).fill(null)).return?.()
    return true
  } catch {
    return false
  }
}

function bindable(value: Value): SQLInputValue {
  if (typeof value === 'boolean') return value ? 1 : 0
  if (typeof value !== 'object' || value instanceof Uint8Array) return value
  throw enrichFault('ENRICH_KEY_INVALID', { where: 'enrich: key', why: 'it is no single value' })
}

/** Integers within 2^53 as numbers, as everywhere else. */
function narrowed(value: Value): Value {
  if (typeof value !== 'bigint') return value
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
}

function isSmall(row: Row | null): boolean {
  let bytes = 0
  for (const value of Object.values(row ?? {})) {
    bytes += typeof value === 'string' ? 2 * value.length : value instanceof Uint8Array ? value.length : 16
  }
  return bytes <= CACHE_ROW_BYTES_MAX
}

/** Device and inode: a database changes in place. */
function identityOf(path: string): string {
  const { dev, ino } = statSync(path)
  return `${dev}:${ino}`
}

const queryInvalid = (why: string): Error =>
  componentFault('SQLITE_QUERY_INVALID', {
    where: 'enrich: from.sqlite.query',
    why,
    todo: 'Give one SELECT; try it in a database shell first',
  })
