// Channel `enrich`: puts what a table or a database knows of a row into it.
//
// What is found wins over fields of the same name. A row without a value in `key` is one of which nothing is known. What the table
// or database holds may change: then the same row gets other fields. Documents go on with their items. Stateless.

import { asFault } from '#protocol/base/mod.ts'
import type { Channel, ComponentContext, Item, Reject, Row, Value } from '../../contract.ts'
import { valueIn } from '../../field.ts'
import { listNames } from '../../names.ts'
import { enrichFault } from './faults.ts'
import { ASKED_MAX } from './limits.ts'
import type { Lookup } from './lookup.ts'
import type { EnrichSettings } from './settings.ts'
import { SqliteLookup } from './sqlite.ts'
import { rowsOf, type Table, tableOf } from './table.ts'
import { TableFile } from './table-file.ts'

const OF_ONE_ROW: ReadonlySet<string> = new Set(['ENRICH_NOT_FOUND', 'ENRICH_KEY_INVALID', 'ENRICH_QUERY_TIMEOUT'])

export class EnrichChannel implements Channel {
  readonly #settings: EnrichSettings
  readonly #lookup: Lookup

  /** Throws ENRICH_TABLE_INVALID for a table in the settings. */
  constructor(settings: EnrichSettings, context: ComponentContext) {
    this.#settings = settings
    this.#lookup = lookupOf(settings, context)
  }

  async open(): Promise<void> {
    await this.#lookup.open()
    this.#checkColumns()
  }

  async process(items: readonly Item[], reject: (reject: Reject) => void): Promise<readonly Item[]> {
    await this.#lookup.refresh()
    const done: Item[] = []
    for (let from = 0; from < items.length; from += ASKED_MAX) {
      const asked = items.slice(from, from + ASKED_MAX)
      const rows = await Promise.allSettled(asked.map(({ row }) => this.#enriched(row)))
      for (const [i, settled] of rows.entries()) {
        const item = asked[i] as Item
        if (settled.status === 'fulfilled') {
          done.push({ ...item, row: settled.value })
          continue
        }
        const fault = asFault(settled.reason, 'enrich')
        if (!OF_ONE_ROW.has(fault.code)) throw settled.reason
        reject({ item, fault })
      }
    }
    return done
  }

  close(): Promise<void> {
    return this.#lookup.close()
  }

  async #enriched(row: Row): Promise<Row> {
    const { into } = this.#settings
    const key = this.#keyOf(row)
    const found = key === null ? null : await this.#lookup.find(key)
    if (found === null) return this.#without(row, key)
    const taken = this.#taken(found)
    return into === undefined ? { ...row, ...taken } : { ...row, [into]: taken }
  }

  #keyOf(row: Row): Value[] | null {
    const key: Value[] = []
    for (const field of this.#settings.key) {
      const value = Object.hasOwn(row, field) ? row[field] : null
      if (value === null || value === undefined) return null
      key.push(value)
    }
    return key
  }

  #without(row: Row, key: readonly Value[] | null): Row {
    const { into, missing, defaults } = this.#settings
    switch (missing) {
      case 'null': {
        if (into !== undefined) return { ...row, [into]: null }
        return { ...row, ...Object.fromEntries(this.#fields().map((field) => [field, null])) }
      }
      case 'default': {
        const nulls = Object.fromEntries(this.#fields().map((field) => [field, null]))
        const values = { ...nulls, ...(defaults as Row) }
        return into === undefined ? { ...row, ...values } : { ...row, [into]: values }
      }
      default: {
        const why =
          key === null ? `no value in ${this.#settings.key.join(', ')}` : key.map(String).join(', ').slice(0, 200)
        throw enrichFault('ENRICH_NOT_FOUND', { where: 'enrich: key', why })
      }
    }
  }

  #taken(found: Row): Row {
    const { fields } = this.#settings
    const taken: Record<string, Value> = {}
    if (fields === undefined) {
      for (const column of this.#lookup.columns()) taken[column] = valueIn(found, column)
    } else for (const field in fields) taken[field] = valueIn(found, fields[field] as string)
    return taken
  }

  /** The fields that a row gets. */
  #fields(): readonly string[] {
    const { fields } = this.#settings
    return fields === undefined ? this.#lookup.columns() : Object.keys(fields)
  }

  #checkColumns(): void {
    const { fields = {}, from, key } = this.#settings
    const keys = from.type === 'sqlite' ? [] : (from.settings.columns ?? key)
    const known = [...keys, ...this.#lookup.columns()]
    const missing = Object.values(fields).find((column) => !known.includes(column))
    if (missing === undefined) return
    const why = `${JSON.stringify(missing)}; there are ${listNames(known, 'and')}`
    throw enrichFault('ENRICH_COLUMN_MISSING', { where: 'enrich: fields', why })
  }
}

function lookupOf({ from, key }: EnrichSettings, context: ComponentContext): Lookup {
  switch (from.type) {
    case 'file':
      return new TableFile(from.settings, from.settings.columns ?? key, context)
    case 'sqlite':
      return new SqliteLookup(from.settings, key.length, context)
    default: {
      const columns = from.settings.columns ?? key
      const where = 'enrich: from.inline.table'
      return inlineLookup(tableOf(rowsOf(from.settings.table, columns, where), { key: columns, where }))
    }
  }
}

const inlineLookup = (table: Table): Lookup => ({
  open: async () => {},
  refresh: async () => {},
  columns: () => table.columns,
  find: (key) => table.find(key),
  close: async () => {},
})
