// Sealed batches, each stored once however many queues refer to it, and forgotten when the last reference is settled.
// What was written lately is also kept in memory, within a bound: most deliveries never read the disk.

import { openBatch } from '#protocol/codec/mod.ts'
import type { Table } from './disk.ts'
import type { Engine, Work } from './engine.ts'
import { storeFault } from './faults.ts'

/** A number of references on its way to the disk; told apart by identity. */
type Plan = { readonly count: number }

export class Batches {
  nextSeq: number
  private readonly table: Table
  /** References left, for batches with more than one; the others have no row here. */
  private readonly sharesTable: Table
  /** Numbers of references that are on their way to the disk; what is there already is read from there. */
  private readonly planned = new Map<number, Plan>()
  private readonly cache = new Map<number, Buffer>()
  private cachedBytes_ = 0
  private readonly cacheBytesMax: number

  constructor(engine: Pick<Engine, 'table'>, cacheBytesMax: number) {
    this.table = engine.table('batches')
    this.sharesTable = engine.table('shares')
    this.cacheBytesMax = cacheBytesMax
    this.nextSeq = ((this.table.last() as number | undefined) ?? 0) + 1
  }

  /** Bytes in memory, at most `cacheBytesMax`. */
  get cachedBytes(): number {
    return this.cachedBytes_
  }

  /** Within a group's work. */
  put(seq: number, bytes: Buffer, references: number): void {
    this.table.put(seq, bytes)
    if (references > 1) this.sharesTable.put(seq, encodeCount(references))
  }

  /** What was just put is on disk. */
  stored(seq: number, bytes: Buffer): void {
    if (bytes.length > this.cacheBytesMax) return
    this.cache.set(seq, bytes)
    this.cachedBytes_ += bytes.length
    for (const oldest of this.cache.keys()) {
      if (this.cachedBytes_ <= this.cacheBytesMax) break
      this.uncache(oldest)
    }
  }

  /** The batch's bytes. What comes from the disk is checked. Faults: `STORE_DAMAGED`. */
  get(seq: number): Buffer {
    const cached = this.cache.get(seq)
    if (cached !== undefined) return cached
    const bytes = this.table.get(seq)
    if (bytes === undefined) throw storeFault('STORE_DAMAGED', { where: `batch ${seq}`, why: 'it is missing' })
    try {
      openBatch(bytes).checkContent()
    } catch (cause) {
      throw storeFault('STORE_DAMAGED', { where: `batch ${seq}`, cause })
    }
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
    const done = () => this.written(seq, plan)
    if (plan.count > 0) {
      this.planned.set(seq, plan)
      return { write: () => this.sharesTable.put(seq, encodeCount(plan.count)), done }
    }
    this.planned.delete(seq)
    this.uncache(seq)
    return {
      write: () => {
        this.table.remove(seq)
        if (shared) this.sharesTable.remove(seq)
      },
      done,
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

  private uncache(seq: number): void {
    const bytes = this.cache.get(seq)
    if (bytes === undefined) return
    this.cache.delete(seq)
    this.cachedBytes_ -= bytes.length
  }
}

function encodeCount(count: number): Buffer {
  const out = Buffer.allocUnsafe(4)
  out.writeUInt32LE(count)
  return out
}
