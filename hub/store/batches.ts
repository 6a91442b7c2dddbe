// Sealed batches, each stored once however many queues refer to it, and forgotten when the last reference is settled.
// The bytes lie in segment files, a row here says where; those of a small batch lie in its row, so that the one flush of
// its transaction is all it waits for. What was written lately is also kept in memory, within a bound: most deliveries
// never read the disk.
//
// A batch has one row until it is released. Compaction moves batches: it changes the row, and what is counted for the
// old place goes over to the new one when that is on the disk, also for a batch that is being released meanwhile.

import { type BatchHead, parseHead } from '#protocol/codec/mod.ts'
import { type BatchName, type BatchRow, decodeBatchRow, inlineRowBytes } from './batch-row.ts'
import { BatchRows } from './batch-rows.ts'
import { Compaction } from './compaction.ts'
import { ContentHolds } from './content-holds.ts'
import type { Table } from './disk.ts'
import type { Engine, Work } from './engine.ts'
import { storeFault } from './faults.ts'
import { BATCH_NUMBERS_RESERVED } from './limits.ts'
import { batchProblem, type Place } from './segment-file.ts'
import type { Blob, Segments } from './segments.ts'

/** A number of references on its way to the disk; told apart by identity. */
type Plan = { readonly count: number }

const NUMBERS_KEY = 'batch numbers'

/** A batch on its way to the disk. Hand `blob` to the engine with the work that calls `write` and `done`. */
export type NewBatch = {
  readonly seq: number
  /** `null`: it lies in its row. */
  readonly blob: Blob | null
  /** What its row takes among those of the append; a page's rest is in `APPEND_OVERHEAD_BYTES`. */
  readonly rowBytes: number
  write(): void
  done(): void
}

export class Batches {
  /** Of the next batch. */
  nextSeq: number
  private readonly engine: Engine
  private readonly segments: Segments
  private readonly rows: BatchRows
  /** Contents that batches refer to. */
  readonly holds: ContentHolds
  /** References left, for batches with more than one; the others have no row here. */
  private readonly sharesTable: Table
  private readonly marks: Table
  /** Numbers below this were given out in this or an earlier life of the store. */
  private reservedSeq: number
  /** Numbers of references that are on their way to the disk; what is there already is read from there. */
  private readonly planned = new Map<number, Plan>()
  /** Batches whose removal is on its way to the disk, and where they lie. */
  private readonly releasing = new Map<number, Place>()
  private readonly cache = new Map<number, Buffer>()
  private cachedBytes_ = 0
  private readonly cacheBytesMax: number
  readonly compaction: Compaction<BatchRow>

  /** One for each engine. Reads the rows of all batches in segments: 60,000 take 0.2 s. */
  constructor(engine: Engine, cacheBytesMax: number) {
    this.engine = engine
    this.segments = engine.segments
    this.rows = new BatchRows(engine)
    this.sharesTable = engine.table('shares')
    this.marks = engine.table('marks')
    this.cacheBytesMax = cacheBytesMax
    this.adopt()
    this.reservedSeq = Number(this.marks.get(NUMBERS_KEY) ?? 1)
    // Numbers also stand in what outlives a batch, so none is given to another one.
    this.nextSeq = Math.max(this.rows.last() + 1, this.reservedSeq)
    this.segments.begin()
    this.holds = new ContentHolds(engine, this.rows)
    this.compaction = new Compaction(engine, this)
  }

  /** Whether something still refers to it. */
  has(seq: number): boolean {
    return this.rows.has(seq)
  }

  /** Bytes in memory, at most `cacheBytesMax`. */
  get cachedBytes(): number {
    return this.cachedBytes_
  }

  /**
   * A new batch: it has a number and, unless it is small, a place, and is being written. `write` puts its rows, within a
   * group's work; `done` is told when they are on the disk. When the append is refused there is nothing to do. `bytes`
   * must not change any more.
   */
  add(bytes: Buffer, references: number, head: BatchHead = parseHead(bytes)): NewBatch {
    const seq = this.nextSeq++
    const blob = this.engine.belongsInRow(bytes.length) ? null : this.segments.add(seq, bytes, 'append')
    const { origin, stream, epoch, firstSeq, count } = head
    const name: BatchName = { origin, stream, epoch, firstSeq, count }
    let reserved = 0
    return {
      seq,
      blob,
      rowBytes: blob === null ? inlineRowBytes(name, bytes.length) : 0,
      write: () => {
        if (blob === null) this.rows.putInline(seq, { bytes, name })
        else this.rows.put(seq, { place: blob.place, name })
        if (references > 1) this.sharesTable.put(seq, encodeCount(references))
        if (seq < this.reservedSeq) return
        reserved = seq + BATCH_NUMBERS_RESERVED
        this.marks.put(NUMBERS_KEY, Buffer.from(String(reserved)))
      },
      done: () => {
        this.reservedSeq = Math.max(this.reservedSeq, reserved)
        if (blob !== null) this.segments.commit(blob)
        this.keep(seq, bytes)
      },
    }
  }

  /** The batch's bytes. What comes from the disk is checked. Faults: `STORE_DAMAGED`, `STORE_IO`. */
  get(seq: number): Buffer {
    const cached = this.cache.get(seq)
    if (cached !== undefined) return cached
    const row = this.rows.stored(seq)
    if (row === null) throw storeFault('STORE_DAMAGED', { where: `batch ${seq}`, why: 'it is missing' })
    return this.rows.read(row)
  }

  /** Where a batch lies in the segments; `null` when none of that number does. Faults: `STORE_DAMAGED`. */
  row(seq: number): BatchRow | null {
    return this.rows.placed(seq)
  }

  /** The batch's bytes for a copy of them, checked. Faults: `STORE_DAMAGED`, `STORE_IO`, and those of a batch. */
  sound(seq: number, { place }: BatchRow): Buffer {
    const bytes = this.segments.read(place, seq)
    const problem = batchProblem(bytes)
    if (problem !== null) throw problem
    return bytes
  }

  /** Adds one reference: gives the work to be done in a group. */
  retain(seq: number): Work {
    const plan: Plan = { count: this.references(seq).count + 1 }
    this.planned.set(seq, plan)
    return {
      write: () => this.sharesTable.put(seq, encodeCount(plan.count)),
      done: () => this.written(seq, plan),
    }
  }

  /** Drops one reference: gives the work to be done in a group. With the last one the batch goes. */
  release(seq: number): Work {
    const { count, shared } = this.references(seq)
    const plan: Plan = { count: count - 1 }
    if (plan.count > 0) {
      this.planned.set(seq, plan)
      return {
        write: () => this.sharesTable.put(seq, encodeCount(plan.count)),
        done: () => this.written(seq, plan),
      }
    }
    this.planned.delete(seq)
    this.uncache(seq)
    const inline = this.noteReleasing(seq)
    const holds = this.holds.has(seq)
    return {
      write: () => {
        this.rows.remove(seq, inline)
        if (shared) this.sharesTable.remove(seq)
        if (holds) this.holds.remove(seq)
      },
      done: () => {
        if (holds) this.holds.released(seq)
        const place = this.releasing.get(seq)
        this.releasing.delete(seq)
        if (place !== undefined) this.segments.release(place)
        this.compaction.nudge()
      },
    }
  }

  /**
   * Points a batch's row to its copy: gives the work to be done in a group. It does nothing when the batch is not where
   * it was, or is being released.
   */
  move(seq: number, from: BatchRow, blob: Blob): Work {
    let moved = false
    return {
      write: () => {
        const now = this.releasing.has(seq) ? null : this.row(seq)
        moved = now !== null && samePlace(now.place, from.place)
        if (moved) this.rows.put(seq, { place: blob.place, name: from.name })
      },
      done: () => {
        if (!moved) {
          this.segments.giveBack(blob, false)
          return
        }
        this.segments.commit(blob)
        this.segments.release(from.place)
        if (this.releasing.has(seq)) this.releasing.set(seq, blob.place)
      },
    }
  }

  /** Whether it lies in its row; `null` when that cannot be said. */
  private noteReleasing(seq: number): boolean | null {
    try {
      const row = this.row(seq)
      if (row !== null) this.releasing.set(seq, row.place)
      return row === null
    } catch {
      // A damaged row says no place: what it held is counted as live until the hub starts again.
      return null
    }
  }

  /** Counts what is in use in the segments. A damaged row is reported when its batch is read. */
  private adopt(): void {
    for (const { seq, value } of this.rows.allPlaced()) {
      try {
        this.segments.adopt(decodeBatchRow(seq, value).place)
      } catch {
        this.segments.frozen = true
      }
    }
  }

  private references(seq: number): { count: number; shared: boolean } {
    const planned = this.planned.get(seq)
    if (planned !== undefined) return { count: planned.count, shared: true }
    const row = this.sharesTable.get(seq)
    return { count: row === undefined ? 1 : row.readUInt32LE(0), shared: row !== undefined }
  }

  /** Forgets a plan that is on disk, unless another one has taken its place. */
  private written(seq: number, plan: Plan): void {
    if (this.planned.get(seq) === plan) this.planned.delete(seq)
  }

  private keep(seq: number, bytes: Buffer): void {
    if (bytes.length > this.cacheBytesMax) return
    this.cache.set(seq, bytes)
    this.cachedBytes_ += bytes.length
    for (const oldest of this.cache.keys()) {
      if (this.cachedBytes_ <= this.cacheBytesMax) break
      this.uncache(oldest)
    }
  }

  private uncache(seq: number): void {
    const bytes = this.cache.get(seq)
    if (bytes === undefined) return
    this.cache.delete(seq)
    this.cachedBytes_ -= bytes.length
  }
}

const samePlace = (a: Place, b: Place): boolean => a.segment === b.segment && a.offset === b.offset && a.life === b.life

function encodeCount(count: number): Buffer {
  const out = Buffer.allocUnsafe(4)
  out.writeUInt32LE(count)
  return out
}
