// Chunks: each stored once under its digest, and kept as long as a part of a content consists of it. What is written is
// decided when its transaction is put together: a chunk that another add has stored meanwhile is not stored again, and
// the place that was written for it is given back.

import { createHash } from 'node:crypto'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { decodeChunkInBackground } from '#protocol/transfer/mod.ts'
import { Compaction } from '../compaction.ts'
import type { Engine, Work } from '../engine.ts'
import { storeFault } from '../faults.ts'
import { READ_BYTES_MAX } from '../limits.ts'
import type { Place } from '../segment-file.ts'
import type { Blob } from '../segments.ts'
import type { ChunkRow } from './rows.ts'
import { numbered, type Tables } from './tables.ts'

/** Chunks' rows read in one go at the start. */
const CHUNK_ROWS = 4096

export class Chunks {
  /** In use and not given up. */
  count = 0
  /** Given up, and perhaps still named by parts. */
  readonly lost = new Set<number>()
  readonly compaction: Compaction<ChunkRow>
  /** A chunk is not what was written; found while it was copied. */
  onDamaged: (digest: Buffer) => void = () => {}
  private readonly engine: Engine
  private readonly tables: Tables
  private nextNumber: number

  /** Reads the rows of all chunks: 200,000, which are 1 TiB, take 0.6 s. */
  constructor(engine: Engine, tables: Tables) {
    this.engine = engine
    this.tables = tables
    this.adopt()
    this.nextNumber = Number(tables.chunks.table.last() ?? 0) + 1
    engine.segments.begin()
    this.compaction = new Compaction(engine, this)
  }

  /** Number and row of the chunk with this digest, as it is on the disk. Faults: `STORE_DAMAGED`, `STORE_IO`. */
  find(digest: Buffer): { number: number; row: ChunkRow } | null {
    const number = this.tables.digests.stored(nameOf(digest))
    const row = number === null ? null : this.tables.chunks.stored(number)
    return number === null || row === null || row.givenUp ? null : { number, row }
  }

  /** Begins to write a chunk. */
  write(bytes: Buffer | readonly Buffer[]): { number: number; blob: Blob } {
    const number = this.nextNumber++
    return { number, blob: this.engine.segments.add(number, bytes, 'append') }
  }

  /** Within a work: one more part consists of the chunk. Gives its number; `null` when it is not here. */
  use(digest: Buffer, length: number): number | null {
    const number = sound(() => this.tables.digests.get(nameOf(digest)))
    const row = number === null ? null : sound(() => this.tables.chunks.get(number))
    // Of one whose row is damaged nobody knows where it lies: it is stored anew.
    if (number === null || row === null) return null
    if (row.length !== length) {
      throw storeFault('CONTENT_CONFLICT', { where: chunkName(digest), why: `it has ${row.length} bytes` })
    }
    this.tables.chunks.put(number, { ...row, references: row.references + 1 })
    return number
  }

  /** Within a work: it was not given up, and its row can be read. */
  isThere(number: number): boolean {
    return sound(() => this.tables.chunks.get(number))?.givenUp === false
  }

  /** Within a work: a new chunk that one part consists of. */
  put(number: number, { digest, length, place }: Pick<ChunkRow, 'digest' | 'length' | 'place'>): void {
    this.tables.chunks.put(number, { place, length, digest: Buffer.from(digest), references: 1, givenUp: false })
    this.tables.digests.put(nameOf(digest), number)
  }

  /** A new chunk is on the disk with its row. */
  stored(blob: Blob): void {
    this.engine.segments.commit(blob)
    this.count++
  }

  /** What was written is not needed, and a transaction went on without it. */
  notStored(blob: Blob): void {
    this.engine.segments.giveBack(blob, false)
  }

  /** Within a work: a part less consists of it. Gives the place that is free when that is on the disk. */
  leave(number: number): Place | null {
    const { chunks, digests } = this.tables
    const row = chunks.get(number)
    if (row === null || row.givenUp) return null
    if (row.references > 1) {
      chunks.put(number, { ...row, references: row.references - 1 })
      return null
    }
    chunks.remove(number)
    // Another may have been stored under it, after the digest's row was damaged.
    const current = sound(() => digests.get(nameOf(row.digest)))
    if (current === null || current === number) digests.remove(nameOf(row.digest))
    return row.place
  }

  /** Gives up a chunk's place: gives the work, to be repeated until it succeeds. */
  giveUp(digest: Buffer): Work & { number: number | null } {
    const { chunks, digests } = this.tables
    let place: Place | null = null
    const work = {
      number: null as number | null,
      write: () => {
        place = null
        work.number = sound(() => digests.get(nameOf(digest)))
        if (work.number === null) return
        const row = sound(() => chunks.get(work.number as number))
        digests.remove(nameOf(digest))
        place = row?.place ?? null
        const nowhere: Place = { segment: 0, offset: 0, bytes: 0, life: 0 }
        const { length, references } = row ?? { length: 0, references: 0 }
        chunks.put(work.number, { place: place ?? nowhere, length, digest, references, givenUp: true })
      },
      done: () => {
        if (work.number === null) return
        this.lost.add(work.number)
        if (place === null) return
        this.count--
        this.engine.segments.release(place)
      },
    }
    return work
  }

  /** Places that nothing uses any more, and that is on the disk. */
  freed(places: readonly Place[]): void {
    for (const place of places) this.engine.segments.release(place)
    this.count -= places.length
  }

  /** Reads without hashing, into the beginning of `into` when it is given. Faults: `CHUNK_UNKNOWN`, `STORE_DAMAGED`, `STORE_IO`. */
  async read(digest: Buffer, into: Buffer | null): Promise<StoredChunk> {
    const found = this.find(digest)
    if (found === null) throw storeFault('CHUNK_UNKNOWN', { where: chunkName(digest) })
    const { place, length } = found.row
    const bytes = into === null ? Buffer.allocUnsafeSlow(place.bytes) : into.subarray(0, place.bytes)
    try {
      await this.engine.segments.readInto(place, found.number, bytes)
      return { bytes, length }
    } catch (cause) {
      throw readFault(digest, cause)
    }
  }

  // What compaction asks for.

  row(number: number): ChunkRow | null {
    const row = this.tables.chunks.stored(number)
    return row === null || row.givenUp ? null : row
  }

  async sound(number: number, { place, length, digest }: ChunkRow): Promise<Buffer> {
    try {
      const bytes = Buffer.allocUnsafeSlow(place.bytes)
      await this.engine.segments.readInto(place, number, bytes)
      if (await isChunk({ bytes, length }, digest)) return bytes
      throw storeFault('STORE_DAMAGED', { why: 'its bytes are not those of its digest' })
    } catch (cause) {
      const fault = readFault(digest, cause)
      if (fault.code === 'STORE_DAMAGED') this.onDamaged(digest)
      throw fault
    }
  }

  move(number: number, from: ChunkRow, blob: Blob): Work {
    const { chunks } = this.tables
    const { segments } = this.engine
    let moved = false
    return {
      write: () => {
        const row = sound(() => chunks.get(number))
        moved = row !== null && !row.givenUp && samePlace(row.place, from.place)
        if (moved && row !== null) chunks.put(number, { ...row, place: blob.place })
      },
      done: () => {
        if (!moved) return segments.giveBack(blob, false)
        segments.commit(blob)
        segments.release(from.place)
      },
    }
  }

  /** Counts what is in use in the segments. A damaged row is reported when its chunk is read. */
  private adopt(): void {
    for (const { number, value } of numbered(this.tables.chunks.table, CHUNK_ROWS)) {
      const row = sound(() => this.tables.chunks.decode(value, number))
      if (row === null) this.engine.segments.frozen = true
      else if (row.givenUp) this.lost.add(number)
      else {
        this.engine.segments.adopt(row.place)
        this.count++
      }
    }
  }
}

/** A chunk as it lies here: what encodes it, when it has fewer bytes than the chunk. */
export type StoredChunk = { readonly bytes: Buffer; readonly length: number }

/** Whether it is the chunk of that digest. */
export async function isChunk({ bytes, length }: StoredChunk, digest: Buffer): Promise<boolean> {
  try {
    const chunk = bytes.length < length ? await decodeChunkInBackground(bytes, length) : bytes
    return (await digestOf(chunk)).equals(digest)
  } catch (error) {
    if (asFault(error).code === 'CHUNK_DAMAGED') return false
    throw error
  }
}

/** SHA-256, with turns for others in between. */
async function digestOf(bytes: Buffer): Promise<Buffer> {
  const hash = createHash('sha256')
  for (let at = 0; at < bytes.length; at += READ_BYTES_MAX) {
    hash.update(bytes.subarray(at, at + READ_BYTES_MAX))
    await new Promise((resolve) => setImmediate(resolve))
  }
  return hash.digest()
}

/** `null` also for a row that is damaged: upkeep goes on without it, and never gives up because of it. */
export function sound<T>(read: () => T | null): T | null {
  try {
    return read()
  } catch (error) {
    if (asFault(error).code === 'STORE_DAMAGED') return null
    throw error
  }
}

export const chunkName = (digest: Buffer): string => `chunk ${digest.toString('hex')}`
export const nameOf = (digest: Buffer): string => digest.toString('base64')

const samePlace = (a: Place, b: Place): boolean => a.segment === b.segment && a.offset === b.offset && a.life === b.life

function readFault(digest: Buffer, cause: unknown): Fault {
  const { code, where, message } = asFault(cause)
  const why = where === null ? message : `${where}: ${message}`
  if (code === 'STORE_DAMAGED' || code === 'STORE_IO') return storeFault(code, { where: chunkName(digest), why, cause })
  return asFault(cause)
}
