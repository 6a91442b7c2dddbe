// The two tables that rows of batches lie in, by number: `batches` says where a batch lies in the segments, `inline`
// holds small ones themselves. A batch has a row in one of them. They are apart because the start of a store reads all
// places, and must not read the batches.

import {
  type BatchName,
  type BatchRow,
  decodeBatchRow,
  decodeInlineRow,
  describeBatch,
  encodeBatchRow,
  encodeInlineRow,
  type InlineRow,
  salvageInline,
} from './batch-row.ts'
import type { Table } from './disk.ts'
import type { Engine } from './engine.ts'
import { storeFault } from './faults.ts'
import { batchProblem } from './segment-file.ts'
import type { Segments } from './segments.ts'

/** Rows read in one go: those of `inline` hold up to 16 KiB. */
const PLACE_ROWS = 4096
const INLINE_ROWS = 256

/** A row as it is stored. */
export type StoredRow = { readonly seq: number; readonly inline: boolean; readonly value: Buffer }

export class BatchRows {
  private readonly segments: Segments
  private readonly places: Table
  private readonly inline: Table

  constructor(engine: Engine) {
    this.segments = engine.segments
    this.places = engine.table('batches')
    this.inline = engine.table('inline')
  }

  has(seq: number): boolean {
    return this.stored(seq) !== null
  }

  stored(seq: number): StoredRow | null {
    const place = this.places.get(seq)
    if (place !== undefined) return { seq, inline: false, value: place }
    const value = this.inline.get(seq)
    return value === undefined ? null : { seq, inline: true, value }
  }

  /** Where a batch lies; `null` when there is none or it lies in its row. Faults: `STORE_DAMAGED`. */
  placed(seq: number): BatchRow | null {
    const value = this.places.get(seq)
    return value === undefined ? null : decodeBatchRow(seq, value)
  }

  /** Bytes and messages of a batch; `null` when there is none. Faults: `STORE_DAMAGED`. */
  sizeOf(seq: number): { bytes: number; count: number } | null {
    const stored = this.stored(seq)
    if (stored === null) return null
    if (stored.inline) {
      const { bytes, name } = decodeInlineRow(seq, stored.value)
      return { bytes: bytes.length, count: name.count }
    }
    const { place, name } = decodeBatchRow(seq, stored.value)
    return { bytes: place.bytes, count: name.count }
  }

  /** The highest number in use; 0 when there is none. */
  last(): number {
    return Math.max(Number(this.places.last() ?? 0), Number(this.inline.last() ?? 0))
  }

  /** Those in segments. */
  allPlaced(): Generator<StoredRow> {
    return rowsIn(this.places, false, PLACE_ROWS)
  }

  /** Those in segments, then the others. */
  *all(): Generator<StoredRow> {
    yield* this.allPlaced()
    yield* rowsIn(this.inline, true, INLINE_ROWS)
  }

  /** The batch's bytes, as they are. Faults: `STORE_DAMAGED`, `STORE_IO`. */
  bytesOf({ seq, inline, value }: StoredRow): Buffer {
    return inline ? decodeInlineRow(seq, value).bytes : this.segments.read(decodeBatchRow(seq, value).place, seq)
  }

  /** The same, checked. Faults: `STORE_DAMAGED`, `STORE_IO`, which name the batch. */
  read(row: StoredRow): Buffer {
    try {
      const bytes = this.bytesOf(row)
      const problem = batchProblem(bytes)
      if (problem !== null) throw problem
      return bytes
    } catch (cause) {
      const name = nameOf(row)
      const where = name === null ? `batch ${row.seq}` : `batch ${row.seq} of ${describeBatch(name)}`
      const code = (cause as { code: string }).code === 'STORE_IO' ? 'STORE_IO' : 'STORE_DAMAGED'
      throw storeFault(code, { where, cause })
    }
  }

  put(seq: number, row: BatchRow): void {
    this.places.put(seq, encodeBatchRow(row))
  }

  putInline(seq: number, row: InlineRow): void {
    this.inline.put(seq, encodeInlineRow(row))
  }

  /** Of one table, or of both. */
  remove(seq: number, inline: boolean | null): void {
    if (inline !== true) this.places.remove(seq)
    if (inline !== false) this.inline.remove(seq)
  }
}

/** What a batch is, said by its row or else by its own head; `null` when both are damaged. */
export function nameOf({ seq, inline, value }: StoredRow): BatchName | null {
  try {
    return inline ? decodeInlineRow(seq, value).name : decodeBatchRow(seq, value).name
  } catch {
    return inline ? (salvageInline(value)?.name ?? null) : null
  }
}

function* rowsIn(table: Table, inline: boolean, limit: number): Generator<StoredRow> {
  let last = 0
  for (;;) {
    const rows = table.range({ from: last + 1, to: Number.MAX_SAFE_INTEGER, limit })
    for (const { key, value } of rows) {
      last = key as number
      yield { seq: last, inline, value }
    }
    if (rows.length < limit) return
  }
}
