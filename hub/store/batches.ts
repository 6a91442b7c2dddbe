// Sealed batches, each stored once however many queues refer to it, and forgotten when the last reference is settled.
// What was written lately is also kept in memory, within a bound: most deliveries never read the disk.

import { openBatch } from '#protocol/codec/mod.ts'
import type { Engine, Table } from './engine.ts'
import { storeFault } from './faults.ts'

export class Batches {
  nextSeq: number
  private readonly table: Table
  /** References left, for batches with more than one; the others have no entry here. */
  private readonly sharesTable: Table
  private readonly shares = new Map<number, number>()
  private readonly cache = new Map<number, Buffer>()
  private cachedBytes = 0
  private readonly cacheBytesMax: number
  storedCount = 0
  storedBytes = 0

  constructor(engine: Engine, cacheBytesMax: number) {
    this.table = engine.table('batches')
    this.sharesTable = engine.table('shares')
    this.cacheBytesMax = cacheBytesMax
    this.nextSeq = ((this.table.last() as number | undefined) ?? 0) + 1
  }

  /** Within a group's work. */
  put(seq: number, bytes: Buffer, references: number): void {
    this.table.put(seq, bytes)
    if (references > 1) this.sharesTable.put(seq, encodeCount(references))
  }

  /** After the group is flushed: readable, and cached. */
  stored(seq: number, bytes: Buffer, references: number): void {
    if (references > 1) this.shares.set(seq, references)
    this.storedCount++
    this.storedBytes += bytes.length
    this.cache.set(seq, bytes)
    this.cachedBytes += bytes.length
    for (const [oldest, old] of this.cache) {
      if (this.cachedBytes <= this.cacheBytesMax) break
      this.uncache(oldest, old)
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
  retain(seq: number): () => void {
    const now = this.references(seq) + 1
    this.shares.set(seq, now)
    return () => this.sharesTable.put(seq, encodeCount(this.shares.get(seq) ?? now))
  }

  /** Drops one reference: gives the work to be done in a group. */
  release(seq: number): () => void {
    const left = this.references(seq) - 1
    if (left > 0) {
      this.shares.set(seq, left)
      return () => this.sharesTable.put(seq, encodeCount(left))
    }
    const shared = this.shares.delete(seq) || this.sharesTable.get(seq) !== undefined
    const cached = this.cache.get(seq)
    if (cached !== undefined) this.uncache(seq, cached)
    return () => {
      this.table.remove(seq)
      if (shared) this.sharesTable.remove(seq)
    }
  }

  private references(seq: number): number {
    return this.shares.get(seq) ?? decodeCount(this.sharesTable.get(seq))
  }

  private uncache(seq: number, bytes: Buffer): void {
    this.cache.delete(seq)
    this.cachedBytes -= bytes.length
  }
}

function encodeCount(count: number): Buffer {
  const out = Buffer.allocUnsafe(4)
  out.writeUInt32LE(count)
  return out
}

function decodeCount(bytes: Buffer | undefined): number {
  return bytes === undefined ? 1 : bytes.readUInt32LE(0)
}
