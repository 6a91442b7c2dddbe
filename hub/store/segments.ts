// Sealed batches in append-only files. LMDB holds small rows and, for each batch, where it lies; that row is the truth:
// a record no row points at is waste, whatever it looks like. Chunks of large contents lie the same way in files of their
// own.
//
// Life of a file: head (takes records) → sealed (full) → nothing of it in use any more → spare (kept to be written
// over) or removed. What was in use at its last transaction is never written over: a place is free again when the
// transaction that removed its row is on the disk, or when no transaction ever held it.
//
// Two heads: appends, and copies made by compaction. What is copied has lived long and probably goes on living; beside
// new batches it would soon be copied again.

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { assert, Fault } from '#protocol/base/mod.ts'
import { storeFault } from './faults.ts'
import { COMPACT_SHARE, COMPACT_SHARE_FULL, compactionWasteBytes, SEGMENT_SPARES_MAX } from './limits.ts'
import { meansNoSpace } from './reserve.ts'
import {
  encodeFileHeader,
  FILE_HEADER_BYTES,
  type Place,
  parseRecordHeader,
  RECORD_ALIGN,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  recordBytes,
  writeRecordHeader,
} from './segment-file.ts'
import { SegmentFiles } from './segment-files.ts'
import { type Blob, type Segment, SegmentWriter } from './segment-writer.ts'

export type { Place } from './segment-file.ts'
export type { Blob, Segment } from './segment-writer.ts'

const PADDING = Buffer.alloc(RECORD_ALIGN)
const NOWHERE: Place = { segment: 0, offset: 0, bytes: 0, life: 0 }

export type Use = 'append' | 'copy'

export class Segments {
  onStep: (step: 'blobs-written' | 'flushed') => void = () => {}
  readonly segmentBytes: number
  readonly files: SegmentFiles
  /** Why nothing more can be appended now, or `null`; set by the engine before each group. */
  refusal: Fault | null = null
  /** Why nothing goes beyond `allowance`. */
  limit: () => Fault = () => storeFault('STORE_FULL', { retry: true })
  /** Free on the disk: what files may still grow by until the engine looks again. */
  diskBytesLeft = 0
  /** Bytes appends may still take until the engine looks again. */
  allowance = 0
  /** Nothing is written over or removed: what memory says of the disk is not certain. */
  frozen = false
  /** Compaction is worth more than usual. */
  eager = false
  /** Somebody asked for more room than there is. */
  isShort = false
  private readonly segments = new Map<number, Segment>()
  private readonly heads: Record<Use, Segment | null> = { append: null, copy: null }
  private readonly writer: SegmentWriter
  private readonly removals = new Set<Promise<void>>()
  private nextNumber = 1
  private ready = false
  private closed = false

  /** Opens or makes the folder `segments` in the store's folder. Call `adopt` for each batch, then `begin`. */
  constructor(storeFolder: string, segmentBytes: number) {
    this.segmentBytes = segmentBytes
    const folder = join(storeFolder, 'segments')
    this.files = new SegmentFiles(folder)
    this.writer = new SegmentWriter(this.files, (error, bytes) => diskFault(error, folder, bytes))
    this.writer.onIdle = (segment) => this.freeUnused(segment)
    this.writer.onStep = (step) => this.onStep(step)
    for (const { number, size, diskBytes, header } of this.files.list()) {
      const segment = newSegment(number, Math.max(header?.capacity ?? 0, size))
      segment.life = header?.life ?? 0
      segment.fileBytes = diskBytes
      this.segments.set(number, segment)
      this.nextNumber = Math.max(this.nextNumber, number + 1)
    }
  }

  /** At the start: a batch that is in use. */
  adopt(place: Place): void {
    const { segment: number, offset, bytes } = place
    let segment = this.segments.get(number)
    if (segment === undefined) {
      // Its file is lost. Reading will say so; its number is not given out again.
      segment = newSegment(number, this.segmentBytes)
      segment.damaged = true
      this.segments.set(number, segment)
      this.nextNumber = Math.max(this.nextNumber, number + 1)
    }
    segment.liveBytes += recordBytes(bytes)
    segment.tail = Math.max(segment.tail, offset + recordBytes(bytes))
  }

  /** At the start, when all is adopted: goes on in the file with the most space left; frees those not in use. */
  begin(): void {
    assert(!this.ready, 'it begins once')
    this.ready = true
    let best: Segment | null = null
    for (const segment of this.segments.values()) {
      if (segment.liveBytes === 0 || segment.damaged || segment.life === 0) continue
      if (best === null || roomIn(segment) > roomIn(best)) best = segment
    }
    if (best !== null && roomIn(best) > this.segmentBytes / 4) {
      best.state = 'head'
      this.heads.append = best
    }
    for (const segment of [...this.segments.values()]) this.freeUnused(segment)
  }

  /**
   * Gives the batch a place and begins to write it; `bytes` must not change any more. What it is worth shows when it is
   * flushed. Ends with `commit` or `giveBack`.
   */
  add(seq: number, bytes: Buffer | readonly Buffer[], use: Use): Blob {
    assert(this.ready, 'places are known')
    const length = lengthOf(bytes)
    const size = recordBytes(length)
    const refused = this.refusalFor(size, use)
    if (refused !== null) return newBlob(null, NOWHERE, size, refused)
    let head = this.heads[use]
    if (head === null || head.fault !== null || head.tail + size > head.capacity || this.mustSpare(head, size)) {
      head = this.beginHead(use, size)
    }
    this.diskBytesLeft -= growthOf(head, size)
    const place: Place = { segment: head.number, offset: head.tail, bytes: length, life: head.life }
    const blob = newBlob(head, place, size, null)
    head.tail += size
    head.pending++
    const header = Buffer.allocUnsafe(RECORD_HEADER_BYTES)
    writeRecordHeader(header, { seq, bytes: length, life: head.life })
    const padding = size - RECORD_HEADER_BYTES - length
    const buffers = Buffer.isBuffer(bytes) ? [header, bytes] : [header, ...bytes]
    if (padding > 0) buffers.push(PADDING.subarray(0, padding))
    this.writer.add({ segment: head, offset: place.offset, bytes: size, buffers, blob })
    return blob
  }

  /** Resolves when all of them are on the disk. Faults: `STORE_FULL`, `STORE_IO`. */
  flush(blobs: readonly Blob[]): Promise<void> {
    return this.writer.flush(blobs)
  }

  /** The transaction with its row is on the disk. */
  commit(blob: Blob): void {
    const { segment } = blob
    assert(segment !== null && !blob.ended, 'a blob ends once')
    blob.ended = true
    segment.pending--
    segment.liveBytes += blob.recordBytes
  }

  /**
   * It was refused. `again`: its place may be written over, because no transaction ever held it; give the last back
   * first.
   */
  giveBack(blob: Blob, again: boolean): void {
    const { segment } = blob
    if (blob.ended || segment === null) return
    blob.ended = true
    segment.pending--
    if (again && segment.tail === blob.place.offset + blob.recordBytes) segment.tail = blob.place.offset
    this.freeUnused(segment)
  }

  /** The row of a batch is removed, and that is on the disk. */
  release(place: Place): void {
    const segment = this.segments.get(place.segment)
    if (segment === undefined) return
    segment.liveBytes -= recordBytes(place.bytes)
    this.freeUnused(segment)
  }

  /** The batch's bytes as they are on the disk, unchecked but for its record's header. Faults: `STORE_DAMAGED`, `STORE_IO`. */
  read(place: Place, seq: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(RECORD_HEADER_BYTES + place.bytes)
    let read = 0
    try {
      read = this.files.read(this.segments.get(place.segment) ?? newSegment(place.segment, 0), bytes, place.offset)
    } catch (cause) {
      throw this.readFault(place, cause)
    }
    this.checkHeader(place, seq, read === bytes.length ? parseRecordHeader(bytes) : null)
    return bytes.subarray(RECORD_HEADER_BYTES)
  }

  /**
   * The same without waiting for the disk on this thread, into `out`, which is as long as the record says. The place may be
   * given up meanwhile. Faults: `STORE_DAMAGED`, `STORE_IO`.
   */
  async readInto(place: Place, seq: number, out: Buffer): Promise<void> {
    assert(out.length === place.bytes, 'there is room for what is read')
    const segment = this.segments.get(place.segment)
    if (segment === undefined) {
      throw storeFault('STORE_DAMAGED', { where: this.files.pathOf(place.segment), why: 'the file is lost' })
    }
    const head = Buffer.allocUnsafe(RECORD_HEADER_BYTES)
    segment.users++
    try {
      const read = await this.files.readRecord(segment, head, out, place.offset)
      this.checkHeader(place, seq, read === head.length + out.length ? parseRecordHeader(head) : null)
    } catch (cause) {
      throw this.readFault(place, cause)
    } finally {
      this.hold(segment, -1)
    }
  }

  private readFault(place: Place, cause: unknown): Fault {
    if (cause instanceof Fault) return cause
    const code = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'STORE_DAMAGED' : 'STORE_IO'
    return storeFault(code, { where: this.files.pathOf(place.segment), why: (cause as Error).message, cause })
  }

  private checkHeader(place: Place, seq: number, header: RecordHeader | null): void {
    const { bytes, life } = place
    if (header !== null && header.seq === seq && header.bytes === bytes && header.life === life) return
    throw storeFault('STORE_DAMAGED', {
      where: `${this.files.pathOf(place.segment)} at byte ${place.offset}`,
      why: `there is no record of number ${seq}`,
    })
  }

  /** Bytes the files take on the disk, spares included. */
  get fileBytes(): number {
    let bytes = 0
    for (const segment of this.segments.values()) bytes += segment.fileBytes
    return bytes
  }

  /** Bytes in use, with those that are not free yet; without spares. */
  get usedBytes(): number {
    let bytes = 0
    for (const { state, tail, fileBytes } of this.segments.values()) {
      if (state !== 'spare') bytes += state === 'head' ? tail : Math.max(tail, fileBytes)
    }
    return bytes
  }

  /** Bytes of files kept to be written over. */
  get spareBytes(): number {
    let bytes = 0
    for (const { state, fileBytes } of this.segments.values()) if (state === 'spare') bytes += fileBytes
    return bytes
  }

  get liveBytes(): number {
    let bytes = 0
    for (const segment of this.segments.values()) bytes += segment.liveBytes
    return bytes
  }

  get count(): number {
    return this.segments.size
  }

  /** Whether a batch would be taken now. */
  hasRoom(batchBytes: number): boolean {
    return this.refusal === null && recordBytes(batchBytes) <= this.allowance
  }

  /** Left free under the bound, so that batches can be copied together when it is reached. */
  get reserveBytes(): number {
    return this.segmentBytes
  }

  /** Gives spares back to the disk. */
  removeSpares(): void {
    for (const segment of [...this.segments.values()]) if (segment.state === 'spare') this.remove(segment)
  }

  /** The sealed segment best copied together now, or `null`. */
  toCompact(): Segment | null {
    let waste = 0
    let worst: Segment | null = null
    for (const segment of this.segments.values()) {
      if (segment.state !== 'sealed' || segment.pending > 0 || segment.damaged) continue
      waste += segment.fileBytes - segment.liveBytes
      if (worst === null || shareOf(segment) < shareOf(worst)) worst = segment
    }
    if (worst === null || this.frozen) return null
    if (this.refusal !== null || this.eager || this.isShort) return shareOf(worst) < COMPACT_SHARE_FULL ? worst : null
    return waste > compactionWasteBytes(this.segmentBytes) && shareOf(worst) < COMPACT_SHARE ? worst : null
  }

  async close(): Promise<void> {
    this.closed = true
    await this.writer.idle(this.segments.values())
    while (this.removals.size > 0) await Promise.all(this.removals)
    this.files.closeAll()
  }

  /** A read, elsewhere, begins or ends. */
  hold(segment: Segment, users: 1 | -1): void {
    segment.users += users
    if (segment.users === 0) this.freeUnused(segment)
  }

  private refusalFor(size: number, use: Use): Fault | null {
    if (this.closed) return storeFault('STORE_CLOSED', { retry: true })
    if (use === 'copy') return null
    if (this.refusal !== null) return this.refusal
    if (size > this.allowance) return this.limit()
    this.allowance -= size
    return null
  }

  /** The disk has no room for the head to grow, and a spare needs none. */
  private mustSpare(head: Segment, size: number): boolean {
    return growthOf(head, size) > this.diskBytesLeft && this.spareFor(size) !== null
  }

  private spareFor(size: number): Segment | null {
    for (const segment of this.segments.values()) {
      if (segment.state !== 'spare' || segment.users > 0) continue
      if (segment.capacity >= FILE_HEADER_BYTES + size) return segment
    }
    return null
  }

  /** A file for `use` with room for a record of `size`, under a new life. */
  private beginHead(use: Use, size: number): Segment {
    const before = this.heads[use]
    const needed = FILE_HEADER_BYTES + size
    let segment = this.spareFor(size)
    if (segment === null) {
      segment = newSegment(this.nextNumber++, Math.max(this.segmentBytes, needed))
      segment.named = false
      this.segments.set(segment.number, segment)
    }
    segment.state = 'head'
    segment.life = randomBytes(6).readUIntLE(0, 6)
    segment.tail = FILE_HEADER_BYTES
    segment.damaged = false
    this.heads[use] = segment
    const buffers = [encodeFileHeader(segment)]
    this.writer.add({ segment, offset: 0, bytes: FILE_HEADER_BYTES, buffers, blob: null })
    if (before !== null) {
      before.state = 'sealed'
      this.freeUnused(before)
    }
    return segment
  }

  private freeUnused(segment: Segment): void {
    if (segment.state !== 'sealed' || segment.liveBytes > 0 || segment.pending > 0 || segment.users > 0) return
    if (!this.ready || this.frozen || this.closed) return
    let spares = 0
    for (const { state } of this.segments.values()) if (state === 'spare') spares++
    const keep = spares < SEGMENT_SPARES_MAX && segment.capacity === this.segmentBytes && segment.fault === null
    if (keep) segment.state = 'spare'
    else this.remove(segment)
  }

  private remove(segment: Segment): void {
    this.segments.delete(segment.number)
    const removal = this.files.remove(segment.number).finally(() => this.removals.delete(removal))
    this.removals.add(removal)
  }
}

/** Bytes the file would take on the disk beyond what it takes, with `size` more in it. */
const growthOf = ({ tail, fileBytes }: Segment, size: number): number =>
  Math.max(0, tail + size - Math.max(tail, fileBytes))
const lengthOf = (bytes: Buffer | readonly Buffer[]): number =>
  Buffer.isBuffer(bytes) ? bytes.length : bytes.reduce((sum, { length }) => sum + length, 0)
const roomIn = (segment: Segment): number => segment.capacity - segment.tail
const shareOf = (segment: Segment): number => segment.liveBytes / Math.max(1, segment.fileBytes)

function newSegment(number: number, capacity: number): Segment {
  return {
    number,
    capacity,
    life: 0,
    tail: FILE_HEADER_BYTES,
    fileBytes: 0,
    liveBytes: 0,
    pending: 0,
    state: 'sealed',
    users: 0,
    fault: null,
    writes: 0,
    flushed: 0,
    unflushedBytes: 0,
    flushing: null,
    named: true,
    damaged: false,
  }
}

function newBlob(segment: Segment | null, place: Place, recordBytes: number, fault: Fault | null): Blob {
  return { segment, place, recordBytes, fault, write: 0, ended: false }
}

/** What an error of the file system means for the store. */
function diskFault(cause: unknown, where: string, neededBytes: number): Fault {
  if (cause instanceof Fault) return cause
  const { code, errno, message } = cause as NodeJS.ErrnoException
  const why = message ?? String(cause)
  // By its name too: Windows has other numbers.
  if (code === 'ENOSPC' || (errno !== undefined && meansNoSpace(Math.abs(errno), where, neededBytes))) {
    return storeFault('STORE_FULL', { where, why: 'the disk is full', retry: true, cause })
  }
  return storeFault('STORE_IO', { where, why, retry: true, cause })
}
