// Which large contents stored batches refer to: a content must stay as long as a batch that names it does. A row for each
// batch that names some, in the table `holds`, comes in the transaction that stores the batch and goes in the one that
// releases it, so whatever keeps the batch (a queue, the dead letters, a time to wait for, replay) keeps its contents.
//
// Row, by the batch's number:
//   0 u8 1 · 1 16 bytes for each id, each once · u32 CRC-32 of all before
//
// In memory each content that is held has a count: about 200 bytes, and 50 for each batch that holds something. It also
// counts batches on their way to the disk, so that there is no moment at which one is stored and its contents are free.

import { crc32 } from 'node:zlib'
import { contentsIn, NO_CONTENTS, openBatch } from '#protocol/codec/mod.ts'
import type { BatchRows } from './batch-rows.ts'
import type { Table } from './disk.ts'
import type { Engine } from './engine.ts'
import { HOLD_ROWS } from './limits.ts'
import { nothing } from './works.ts'

export const HOLDS_TABLE = 'holds'
const FORMAT = 1
const IDS_AT = 1
const ID_BYTES = 16
const CRC_BYTES = 4

/** The contents of a batch on its way to the disk. */
export type NewHold = {
  /** What its row takes, at most. */
  readonly bytes: number
  /** Within the work that stores the batch. */
  write(): void
  /** The append was refused. */
  refused(): void
}

type Held = { readonly id: string; count: number }

export class ContentHolds {
  /** Told that no batch holds a content any more, when that is on the disk. Must not throw. */
  onFreed: (id: string) => void = nothing
  private readonly engine: Pick<Engine, 'maintain'>
  private readonly table: Table
  private readonly rows: BatchRows
  private readonly contents = new Map<string, Held>()
  private readonly byBatch = new Map<number, readonly Held[]>()
  /** Rows whose batches are gone: an older program released them, which does not know this table. */
  private leftovers: number[] = []

  /** Reads all rows: 60,000 take 0.1 s. */
  constructor(engine: Pick<Engine, 'table' | 'maintain'>, rows: BatchRows) {
    this.engine = engine
    this.table = engine.table(HOLDS_TABLE)
    this.rows = rows
    for (const { seq, value } of holdRows(this.table)) {
      const stored = rows.stored(seq)
      if (stored === null) this.leftovers.push(seq)
      else this.enter(seq, decodeHold(value) ?? this.read(seq))
    }
  }

  /** Batches that hold a content, stored or on their way; 0 for one nobody refers to. */
  count(id: string): number {
    return this.contents.get(id)?.count ?? 0
  }

  /** All contents that are held, with their counts. */
  *all(): Generator<readonly [id: string, count: number]> {
    for (const { id, count } of this.contents.values()) yield [id, count]
  }

  /** The batches that hold a content, stored or on their way. */
  *batchesOf(id: string): Generator<number> {
    let left = this.count(id)
    for (const [seq, held] of left === 0 ? [] : this.byBatch) {
      if (!held.some((content) => content.id === id)) continue
      yield seq
      if (--left === 0) return
    }
  }

  /** Whether a stored batch holds anything. */
  has(seq: number): boolean {
    return this.byBatch.size > 0 && this.byBatch.has(seq)
  }

  /** A batch on its way to the disk refers to these contents, each named once: from now on they are held. */
  hold(seq: number, ids: readonly string[]): NewHold {
    const row = encodeHold(ids)
    this.enter(seq, ids)
    return {
      bytes: row.length,
      write: () => this.table.put(seq, row),
      refused: () => this.refused(seq),
    }
  }

  /** Within the work that takes the batch off the disk. */
  remove(seq: number): void {
    this.table.remove(seq)
  }

  /** The batch is off the disk. */
  released(seq: number): void {
    const held = this.byBatch.get(seq) ?? []
    this.byBatch.delete(seq)
    for (const content of held) {
      content.count--
      if (content.count > 0) continue
      this.contents.delete(content.id)
      this.onFreed(content.id)
    }
  }

  /** Removes rows whose batches are gone. */
  async forgetLeftovers(): Promise<void> {
    const seqs = this.leftovers
    this.leftovers = []
    if (seqs.length === 0) return
    const write = () => {
      for (const seq of seqs) this.table.remove(seq)
    }
    await this.engine.maintain({ write, done: nothing })
  }

  /** What a disk said to have failed may be stored all the same: the next transaction knows. */
  private refused(seq: number): void {
    const done = () => {
      if (!this.rows.has(seq)) this.released(seq)
    }
    void this.engine.maintain({ write: nothing, done })
  }

  private enter(seq: number, ids: readonly string[]): void {
    const held: Held[] = []
    for (const id of ids) {
      let content = this.contents.get(id)
      if (content === undefined) {
        // A string of its own: an id may be a view of all the headers it came with.
        content = { id: Buffer.from(id, 'hex').toString('hex'), count: 0 }
        this.contents.set(content.id, content)
      }
      content.count++
      held.push(content)
    }
    this.byBatch.set(seq, held)
  }

  /** What the batch itself says, when its row is damaged; nothing when both are: it cannot be delivered any more. */
  private read(seq: number): readonly string[] {
    try {
      const stored = this.rows.stored(seq)
      return stored === null ? NO_CONTENTS : contentsIn(openBatch(this.rows.read(stored)))
    } catch {
      return NO_CONTENTS
    }
  }
}

export function encodeHold(ids: readonly string[]): Buffer {
  const crcAt = IDS_AT + ids.length * ID_BYTES
  const out = Buffer.allocUnsafe(crcAt + CRC_BYTES)
  out[0] = FORMAT
  for (const [i, id] of ids.entries()) out.write(id, IDS_AT + i * ID_BYTES, 'hex')
  out.writeUInt32LE(crc32(out.subarray(0, crcAt)), crcAt)
  return out
}

/** `null`: it is not what was written. */
export function decodeHold(row: Buffer): readonly string[] | null {
  const crcAt = row.length - CRC_BYTES
  if (row[0] !== FORMAT || crcAt <= IDS_AT || (crcAt - IDS_AT) % ID_BYTES !== 0) return null
  if (row.readUInt32LE(crcAt) !== crc32(row.subarray(0, crcAt))) return null
  const ids: string[] = []
  for (let at = IDS_AT; at < crcAt; at += ID_BYTES) ids.push(row.toString('hex', at, at + ID_BYTES))
  return ids
}

/** All rows, ascending, a bounded number at a time. */
export function* holdRows(table: Table): Generator<{ readonly seq: number; readonly value: Buffer }> {
  let last = 0
  for (;;) {
    const rows = table.range({ from: last + 1, to: Number.MAX_SAFE_INTEGER, limit: HOLD_ROWS })
    for (const { key, value } of rows) {
      last = key as number
      yield { seq: last, value }
    }
    if (rows.length < HOLD_ROWS) return
  }
}
