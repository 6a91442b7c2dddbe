// From version 1 to 2: batches leave LMDB for segments, small ones for the table `inline`. In ascending order; the
// progress noted is the last number moved, so rows up to it are places and rows behind it are batches. LMDB's file keeps its size, and uses the pages that became
// free for rows; `store compact` makes it small.

import { asFault } from '#protocol/base/mod.ts'
import { parseHead } from '#protocol/codec/mod.ts'
import { type BatchName, decodeBatchRow } from './batch-row.ts'
import { BatchRows } from './batch-rows.ts'
import type { Engine } from './engine.ts'
import { INLINE_BYTES_MAX, MIGRATE_STEP_BYTES, MIGRATE_STEP_ROWS } from './limits.ts'
import type { Migration } from './migrate.ts'
import type { Blob } from './segments.ts'

/** Rows read at a time: each holds a whole batch. */
const READ_ROWS = 16

export const batchesToSegments = {
  name: 'batches to segments',
  async run({ engine, progress, commit }: Migration): Promise<void> {
    const table = engine.table('batches')
    const batchRows = new BatchRows(engine)
    let last = Number(progress ?? 0)
    adopt(engine, last)
    for (;;) {
      const moved: Moved[] = []
      const blobs: Blob[] = []
      let bytes = 0
      while (bytes < MIGRATE_STEP_BYTES && moved.length < MIGRATE_STEP_ROWS) {
        const rows = table.range({ from: last + 1, to: Number.MAX_SAFE_INTEGER, limit: READ_ROWS })
        for (const { key, value } of rows) {
          last = key as number
          const blob = value.length <= INLINE_BYTES_MAX ? null : engine.segments.add(last, value, 'copy')
          if (blob !== null) blobs.push(blob)
          moved.push({ seq: last, bytes: value, blob, name: nameOf(value) })
          bytes += value.length
        }
        if (rows.length < READ_ROWS) break
      }
      if (moved.length === 0) return
      await commit(
        String(last),
        () => {
          for (const one of moved) put(batchRows, one)
        },
        blobs,
      )
      for (const blob of blobs) engine.segments.commit(blob)
    }
  },
}

type Moved = { readonly seq: number; readonly bytes: Buffer; readonly blob: Blob | null; readonly name: BatchName }

function put(rows: BatchRows, { seq, bytes, blob, name }: Moved): void {
  if (blob !== null) {
    rows.put(seq, { place: blob.place, name })
    return
  }
  rows.remove(seq, false)
  rows.putInline(seq, { bytes, name })
}

/** What an earlier run moved is in use. */
function adopt(engine: Engine, last: number): void {
  const table = engine.table('batches')
  for (let from = 0; ; ) {
    const rows = table.range({ from: from + 1, to: last + 1, limit: MIGRATE_STEP_ROWS })
    for (const { key, value } of rows) {
      from = key as number
      engine.segments.adopt(decodeBatchRow(from, value).place)
    }
    if (rows.length < MIGRATE_STEP_ROWS) break
  }
  engine.segments.begin()
}

/** One that is damaged is moved as it is, under no name: `store check` finds it. */
function nameOf(bytes: Buffer): BatchName {
  try {
    return parseHead(bytes)
  } catch (error) {
    return { origin: '', stream: asFault(error).code, epoch: 0, firstSeq: 0, count: 0 }
  }
}
