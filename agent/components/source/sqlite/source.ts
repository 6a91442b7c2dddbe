// Source `sqlite`: rows of a table, view or query, in the order of key or (watermark, key), resumable at any row.
//
// What is found. Without a watermark: rows whose key is greater than the last one taken; the table must only grow at its end.
// With a watermark: also rows whose watermark changed. The watermark must grow with every change (a sequence, a time stamp).
// Time stamps do so only roughly: within one tick, and across transactions that commit in another order than they read the
// clock. So at the end of the data the last `overlapRows` rows are looked at again, and what appeared between them is taken;
// rows already taken are recognised by (watermark, key), also after a restart, so this gives no duplicates. A row that
// appears further back is not found.
// Rows whose watermark is NULL are taken once, in key order, after the others; they come again when it gets a value.
// Deleted rows are not noticed.

import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import type { ComponentContext, Cursor, Item, Portion, Reject, Source } from '../../contract.ts'
import { fileFault, openDatabase, RejectFile, reasonOf, sqliteFault, waitFor } from '../../support/mod.ts'
import type { Place, Position } from './position.ts'
import { BEGINNING, decodePosition, encodePosition, hashPlace } from './position.ts'
import { RowReader, type Stretch } from './rows.ts'
import type { SqliteSourceSettings } from './settings.ts'

/** One of the last rows taken: its hash, and its place (`null` when only the cursor remembers it). */
type Taken = { readonly hash: string; readonly place: Place | null }

export class SqliteSource implements Source {
  readonly #settings: SqliteSourceSettings
  readonly #context: ComponentContext
  readonly #file: string
  readonly #fingerprint: string
  readonly #overlapRows: number
  #database: DatabaseSync | null = null
  #reader: RowReader | null = null
  #rejects: RejectFile | null = null
  #low: Place | null = null
  #high: Place | null = null
  #nulls: Place | null = null
  #taken: Taken[] = []
  /** The next query starts at `#low` and skips what was taken; else it reads on from `#high`. */
  #again = false
  #ended = false
  #version: unknown = null

  constructor(settings: SqliteSourceSettings, context: ComponentContext) {
    this.#settings = settings
    this.#context = context
    this.#file = context.resolvePath(settings.file)
    this.#overlapRows = settings.watermark === undefined ? 0 : settings.overlapRows
    this.#fingerprint = JSON.stringify([settings.table ?? null, settings.key, settings.watermark ?? null])
  }

  async open(position: Cursor | null): Promise<void> {
    const width = this.#settings.key.length + (this.#settings.watermark === undefined ? 0 : 1)
    const start: Position = position === null ? BEGINNING : decodePosition(position, this.#fingerprint, width)
    this.#low = start.low
    this.#high = start.high
    this.#nulls = start.nulls
    this.#taken = start.seen.map((hash) => ({ hash, place: null }))
    // Rows may have come late while the flow was down.
    this.#again = start.high !== null
    this.#ended = false
    this.#database = openDatabase(this.#file, { readOnly: true })
    try {
      this.#reader = new RowReader(this.#database, this.#settings, this.#file)
    } catch (error) {
      throw sqliteFault(error, this.#file)
    }
  }

  async next(signal: AbortSignal): Promise<Portion | null> {
    if (signal.aborted) return null
    // Read before the rows: a change after this moment wakes `idle`.
    this.#version = this.#dataVersion()
    const items = this.#takeOrdered() ?? this.#takeWithoutWatermark()
    if (items === null) {
      this.#ended = this.#settings.once
      return null
    }
    return { items, cursor: this.#cursor() }
  }

  ended(): boolean {
    return this.#ended
  }

  async idle(signal: AbortSignal): Promise<void> {
    // The counter costs one page read and changes with every commit of anyone else: no query until it does.
    do await waitFor(this.#settings.pollMs, signal)
    while (!signal.aborted && this.#version !== null && this.#dataVersion() === this.#version)
  }

  async reject(rejects: readonly Reject[]): Promise<void> {
    const path = join(this.#context.dataDir, 'rejected.jsonl')
    try {
      this.#rejects ??= await RejectFile.open(path)
      await this.#rejects.append(
        rejects.map((reject) => ({
          ref: reject.item.ref,
          code: reject.fault.code,
          reason: reasonOf(reject),
          row: reject.item.row,
        })),
      )
    } catch (error) {
      throw fileFault(error, path)
    }
  }

  async committed(_cursor: Cursor): Promise<void> {
    this.#rejects?.forget()
  }

  async close(): Promise<void> {
    const rejects = this.#rejects
    this.#rejects = null
    this.#reader = null
    this.#database?.close()
    this.#database = null
    await rejects?.close()
  }

  #cursor(): Cursor {
    const seen = this.#taken.map((taken) => taken.hash)
    return encodePosition({ low: this.#low, high: this.#high, nulls: this.#nulls, seen }, this.#fingerprint)
  }

  /** `null` when it cannot be told, which counts as changed. */
  #dataVersion(): unknown {
    try {
      return this.#database?.prepare('PRAGMA data_version').get()?.data_version ?? null
    } catch {
      return null
    }
  }

  /** The next rows in order, or `null` when there are no new ones. */
  #takeOrdered(): readonly Item[] | null {
    for (;;) {
      const again = this.#again
      const from = again ? this.#low : this.#high
      const seen = new Set(again ? this.#taken.map((taken) => taken.hash) : [])
      const stretch = this.#open().after(from, this.#settings.batchRows + seen.size, seen)
      if (again) this.#rememberAgain(stretch, from)
      else this.#rememberOn(stretch)
      if (stretch.items.length > 0) return stretch.items
      if (stretch.atEnd) return null
    }
  }

  /** After reading on from `#high`: the window of the last rows slides along. */
  #rememberOn({ places, atEnd }: Stretch): void {
    this.#again = atEnd
    const window = [...this.#taken, ...places.slice(-this.#overlapRows - 1).map(takenAt)]
    const surplus = window.length - this.#overlapRows
    this.#high = places.at(-1) ?? this.#high
    if (surplus > 0) this.#low = window[surplus - 1]?.place ?? this.#low
    this.#taken = window.slice(Math.max(0, surplus))
  }

  /**
   * After reading again from `#low`: the window is what was read now. When the stretch ended before the old window did, the
   * rows taken beyond are still to be skipped, and the next stretch must start from `#low` once more.
   */
  #rememberAgain({ places, met, atEnd }: Stretch, from: Place | null): void {
    const tail = places.slice(-this.#overlapRows - 1).map(takenAt)
    const beyond = atEnd ? [] : this.#taken.filter((taken) => !met.has(taken.hash)).slice(0, this.#overlapRows)
    const surplus = tail.length - this.#overlapRows
    this.#low = surplus > 0 ? (tail[0]?.place ?? from) : from
    this.#high = places.at(-1) ?? this.#high
    this.#taken = [...beyond, ...tail.slice(Math.max(0, surplus))]
    this.#again = atEnd || beyond.length > 0
  }

  #takeWithoutWatermark(): readonly Item[] | null {
    const { items, places } = this.#open().withoutWatermark(this.#nulls, this.#settings.batchRows)
    this.#nulls = places.at(-1) ?? this.#nulls
    return items.length > 0 ? items : null
  }

  #open(): RowReader {
    if (this.#reader === null) throw new Error('the source is not open')
    return this.#reader
  }
}

function takenAt(place: Place): Taken {
  return { hash: hashPlace(place), place }
}
