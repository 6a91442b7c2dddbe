// Writes records as soon as they are handed over, one gathered write at a time, and flushes what a group needs.
//
// One write at a time keeps the order: a place that was given back and given out again is never written by two. What
// comes while a write is under way goes with the next. After a failed flush nobody knows what of the file is on the
// disk, and a second flush would say nothing about it: the segment takes no more, and what it was to hold is refused.

import type { Fault } from '#protocol/base/mod.ts'
import { DISK_PAGE_BYTES, FLUSH_AHEAD_BYTES, PAGE_END_BYTES_MIN, WRITE_BUFFERS_MAX, WRITE_BYTES_MAX } from './limits.ts'
import type { Place } from './segment-file.ts'
import type { SegmentFiles } from './segment-files.ts'

const ZEROS = Buffer.alloc(DISK_PAGE_BYTES)

export type Segment = {
  readonly number: number
  readonly capacity: number
  life: number
  /** Where the next record goes. */
  tail: number
  /** What the file takes on the disk, as far as we wrote it. */
  fileBytes: number
  /** Of records whose batches are in use. */
  liveBytes: number
  /** Records placed, and neither committed nor given back. */
  pending: number
  /** `head`: takes records. `spare`: nothing in it is in use. */
  state: 'head' | 'sealed' | 'spare'
  /** Writes, flushes and reads under way. */
  users: number
  /** It takes nothing more, and what was not committed is not to be trusted. */
  fault: Fault | null
  /** Writes done, and how many of them are flushed. */
  writes: number
  flushed: number
  /** Written since the last flush began. */
  unflushedBytes: number
  flushing: Promise<void> | null
  /** Its name is durable. */
  named: boolean
  /** Something in it is damaged: it is not copied any more, so that it can be examined. */
  damaged: boolean
}

/** A record on its way to the disk. */
export type Blob = {
  readonly segment: Segment | null
  readonly place: Place
  readonly recordBytes: number
  /** It is not written and never will be. */
  fault: Fault | null
  /** Number of the write, in its segment, that wrote it; 0 before. */
  write: number
  /** Committed or given back. */
  ended: boolean
}

type Write = {
  readonly segment: Segment
  readonly offset: number
  readonly bytes: number
  readonly buffers: readonly Buffer[]
  /** `null`: the header of the file. */
  readonly blob: Blob | null
}

export class SegmentWriter {
  onStep: (step: 'blobs-written' | 'flushed') => void = () => {}
  /** A segment is not used any more by what was under way. */
  onIdle: (segment: Segment) => void = () => {}
  private readonly files: SegmentFiles
  private readonly translate: (error: unknown, bytes: number) => Fault
  private waiting: Write[] = []
  private running: Promise<void> | null = null
  private turn = Promise.withResolvers<void>()

  constructor(files: SegmentFiles, translate: (error: unknown, bytes: number) => Fault) {
    this.files = files
    this.translate = translate
  }

  add(write: Write): void {
    write.segment.users++
    this.waiting.push(write)
    // What the same turn brings goes together.
    this.running ??= Promise.resolve().then(() => this.run())
  }

  /** Resolves when all of them are on the disk. Faults: the first that one of them has. */
  async flush(blobs: readonly Blob[]): Promise<void> {
    for (const blob of blobs) {
      while (blob.fault === null && blob.write === 0) await this.turn.promise
      if (blob.fault !== null) throw blob.fault
    }
    this.onStep('blobs-written')
    const last = new Map<Segment, number>()
    for (const { segment, write } of blobs)
      if (segment !== null) last.set(segment, Math.max(write, last.get(segment) ?? 0))
    const flushes: Promise<void>[] = []
    for (const [segment, write] of last) flushes.push(this.flushSegment(segment, write))
    if (flushes.length === 1) await flushes[0]
    else await Promise.all(flushes)
    this.onStep('flushed')
  }

  /** Waits for whatever is under way. */
  async idle(segments: Iterable<Segment>): Promise<void> {
    while (this.running !== null) await this.running
    // What it fails with is known from its segment.
    for (const { flushing } of segments) await flushing?.catch(() => undefined)
  }

  private async run(): Promise<void> {
    while (this.waiting.length > 0) {
      const gathered = this.gather()
      if (gathered.length === 0) continue
      const { segment } = gathered[0] as Write
      let fault = segment.fault
      try {
        if (fault === null) await this.write(segment, gathered)
      } catch (error) {
        fault = this.translate(error, gathered.at(-1)?.bytes ?? 0)
        // Without space it stays in use, unless its own header is missing: what was written before is sound.
        if (fault.code !== 'STORE_FULL' || gathered.some(({ blob }) => blob === null)) segment.fault = fault
      }
      if (fault === null) segment.writes++
      for (const { blob } of gathered) {
        segment.users--
        if (blob === null) continue
        if (fault === null) blob.write = segment.writes
        else blob.fault ??= fault
      }
      this.flushAhead(segment)
      const { turn } = this
      this.turn = Promise.withResolvers()
      turn.resolve()
      if (segment.users === 0) this.onIdle(segment)
    }
    this.running = null
  }

  /** The next writes that follow one another in one file. Those given back in the meantime are left out. */
  private gather(): Write[] {
    const { waiting } = this
    const gathered: Write[] = []
    let bytes = 0
    let buffers = 0
    let end = -1
    let taken = 0
    for (const write of waiting) {
      if (write.blob?.ended === true) {
        write.segment.users--
        taken++
        continue
      }
      const first = gathered[0]
      const fits = bytes + write.bytes <= WRITE_BYTES_MAX && buffers + write.buffers.length < WRITE_BUFFERS_MAX
      if (first !== undefined && (write.segment !== first.segment || write.offset !== end || !fits)) break
      gathered.push(write)
      bytes += write.bytes
      buffers += write.buffers.length
      end = write.offset + write.bytes
      taken++
    }
    this.waiting = waiting.slice(taken)
    return gathered
  }

  private async write(segment: Segment, gathered: readonly Write[]): Promise<void> {
    const offset = gathered[0]?.offset ?? 0
    const buffers: Buffer[] = []
    let bytes = 0
    for (const write of gathered) {
      buffers.push(...write.buffers)
      bytes += write.bytes
    }
    const end = offset + bytes
    const padding = (DISK_PAGE_BYTES - (end % DISK_PAGE_BYTES)) % DISK_PAGE_BYTES
    if (padding > 0 && bytes >= PAGE_END_BYTES_MIN && segment.tail === end && end + padding <= segment.capacity) {
      segment.tail += padding
      buffers.push(ZEROS.subarray(0, padding))
      bytes += padding
    }
    let done = await this.files.write(segment, buffers, offset)
    // Cut short: a signal, or a disk that is nearly full, whose error the next try brings.
    while (done < bytes) {
      const more = await this.files.write(segment, rest(buffers, done), offset + done)
      if (more === 0) throw Object.assign(new Error('nothing could be written'), { code: 'EIO', errno: -5 })
      done += more
    }
    segment.unflushedBytes += bytes
    segment.fileBytes = Math.max(segment.fileBytes, offset + bytes)
  }

  /** Begins to flush what a group will need soon, when it is enough to be worth it. */
  private flushAhead(segment: Segment): void {
    if (segment.unflushedBytes < FLUSH_AHEAD_BYTES || segment.flushing !== null || segment.fault !== null) return
    // Whoever needs it waits for it, and sees its fault.
    void this.flushNow(segment).catch(() => undefined)
  }

  private async flushSegment(segment: Segment, write: number): Promise<void> {
    while (segment.flushed < write) {
      if (segment.fault !== null) throw segment.fault
      // One that began before the last write was done says nothing about it.
      // Its own fault shows in the segment.
      if (segment.flushing !== null) await segment.flushing.catch(() => undefined)
      else await this.flushNow(segment)
    }
    if (segment.fault !== null) throw segment.fault
  }

  private async flushNow(segment: Segment): Promise<void> {
    segment.users++
    const { writes } = segment
    segment.unflushedBytes = 0
    const work = async () => {
      try {
        await this.files.flush(segment)
        if (!segment.named) await this.files.syncNames()
        segment.named = true
        segment.flushed = writes
      } catch (error) {
        segment.fault = this.translate(error, 0)
        throw segment.fault
      } finally {
        segment.users--
        segment.flushing = null
      }
    }
    segment.flushing = work()
    // Whoever waits for it is told; when nobody does, it is known from the segment.
    segment.flushing.catch(() => undefined)
    try {
      await segment.flushing
    } finally {
      if (segment.users === 0) this.onIdle(segment)
    }
  }
}

/** The buffers without their first `skip` bytes. */
function rest(buffers: readonly Buffer[], skip: number): Buffer[] {
  const left: Buffer[] = []
  let at = 0
  for (const buffer of buffers) {
    if (at + buffer.length > skip) left.push(buffer.subarray(Math.max(0, skip - at)))
    at += buffer.length
  }
  return left
}
