// A table in a file. It is read whole, and again when it has changed; one that cannot be read then leaves the former in use, with a
// warning: whoever writes it in place, or wrongly, does not stop the flow.

import { readFile } from 'node:fs/promises'
import { asFault } from '#protocol/base/mod.ts'
import type { ComponentContext, Row, Value } from '../../contract.ts'
import { decodeDocument, parseCsvRecord, parseJson, parseJsonRecord } from '../../formats/mod.ts'
import { csvOptions } from '../../support/mod.ts'
import { enrichFault } from './faults.ts'
import { LOOK_MS, TABLE_BYTES_MAX } from './limits.ts'
import type { Lookup } from './lookup.ts'
import type { EnrichSettings } from './settings.ts'
import { rowsOf, type Table, tableOf, versionOf } from './table.ts'

type FileSettings = Extract<EnrichSettings['from'], { type: 'file' }>['settings']
type Placed = Iterable<readonly [Row, string]>

export class TableFile implements Lookup {
  readonly #path: string
  readonly #settings: FileSettings
  readonly #key: readonly string[]
  readonly #context: ComponentContext
  #table: Table | null = null
  #version = ''
  #lookedMs = 0

  constructor(settings: FileSettings, key: readonly string[], context: ComponentContext) {
    this.#path = context.resolvePath(settings.path)
    this.#settings = settings
    this.#key = key
    this.#context = context
  }

  async open(): Promise<void> {
    this.#lookedMs = this.#context.clock.nowMs()
    this.#version = await versionOf(this.#path)
    this.#table = await this.#read()
  }

  async refresh(): Promise<void> {
    const nowMs = this.#context.clock.nowMs()
    if (nowMs - this.#lookedMs < LOOK_MS) return
    this.#lookedMs = nowMs
    // Taken before it is read: what is written while it is read is seen at the next look.
    let version = 'none'
    try {
      version = await versionOf(this.#path)
      if (version === this.#version) return
      this.#table = await this.#read()
      this.#context.log('info', 'a look-up table was read again', { path: this.#path, rows: this.#table.size })
    } catch (error) {
      if (version === this.#version) return
      const fault = asFault(error, this.#path).toJSON()
      this.#context.log('warn', 'a look-up table changed and cannot be read: the former stays in use', { fault })
    }
    this.#version = version
  }

  columns(): readonly string[] {
    return this.#table?.columns ?? []
  }

  find(key: readonly Value[]): Row | null {
    return this.#table?.find(key) ?? null
  }

  async close(): Promise<void> {
    this.#table = null
  }

  async #read(): Promise<Table> {
    const where = this.#path
    let bytes: Buffer
    try {
      bytes = await readFile(where)
    } catch (error) {
      throw enrichFault('ENRICH_TABLE_INVALID', { where, why: (error as Error).message, cause: error })
    }
    if (bytes.length > TABLE_BYTES_MAX) {
      throw enrichFault('ENRICH_TABLE_INVALID', { where, why: `${bytes.length} bytes`, limitBytes: TABLE_BYTES_MAX })
    }
    const decoded = decodeDocument(bytes, this.#settings.encoding)
    if (!decoded.ok)
      throw enrichFault('ENRICH_TABLE_INVALID', { where: `${where} line ${decoded.line}`, why: decoded.why })
    return tableOf(this.#rowsOf(decoded.text), { key: this.#key, where })
  }

  #rowsOf(text: string): Placed {
    switch (this.#settings.format) {
      case 'csv':
        return this.#csvRows(text)
      case 'jsonl':
        return this.#jsonRows(text)
      default:
        return rowsOf(this.#json(text), this.#key, this.#path)
    }
  }

  #json(text: string): unknown {
    try {
      return parseJson(text)
    } catch (error) {
      throw enrichFault('ENRICH_TABLE_INVALID', { where: this.#path, why: (error as Error).message })
    }
  }

  *#jsonRows(text: string): Placed {
    for (const [i, line] of text.split('\n').entries()) {
      if (line.trim() === '') continue
      const record = parseJsonRecord(line)
      if (!record.ok)
        throw enrichFault('ENRICH_TABLE_INVALID', { where: `${this.#path} line ${i + 1}`, why: record.why })
      yield [record.row, `line ${i + 1}`]
    }
  }

  *#csvRows(text: string): Placed {
    const lines = text.split('\n')
    let names: readonly string[] | null = null
    for (let at = 0; at < lines.length; ) {
      const place = `line ${at + 1}`
      const refuse = (why: string): Error =>
        enrichFault('ENRICH_TABLE_INVALID', { where: `${this.#path} ${place}`, why })
      if ((lines[at] as string).trim() === '') {
        at += 1
        continue
      }
      const record = parseCsvRecord(lines, at, csvOptions(this.#settings))
      if (record.kind !== 'fields') throw refuse(record.kind === 'open' ? 'a quote is never closed' : record.why)
      at += record.lines
      const { fields } = record
      if (names === null) {
        names = fields
        if (new Set(names).size < names.length || names.includes('__proto__'))
          throw refuse('a column is named twice, or __proto__')
        continue
      }
      if (fields.length !== names.length) throw refuse(`${fields.length} columns, the first line has ${names.length}`)
      const row: Record<string, Value> = {}
      for (const [i, name] of names.entries()) row[name] = fields[i] as string
      yield [row, place]
    }
  }
}
