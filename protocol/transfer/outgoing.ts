// The source's side of one transfer, without I/O: which chunks the sink wants, how much it may still be sent, and what to send
// next, a frame at a time. Chunks are sent whole, one after the other; only one that the sink comes to have by another way is
// broken off, and one of which the sink has the beginning from an earlier session goes on where that ends.

import { assert } from '#protocol/base/mod.ts'
import { CHUNK_DATA_BYTES_MAX } from '#protocol/frame/mod.ts'
import type { ChunkPart, ChunkRange } from '#protocol/schema/mod.ts'
import type { ChunkList } from './chunk-list.ts'
import { contentUpTo, sentWithin } from './coding.ts'
import { transferFault } from './faults.ts'
import { MENTIONS_PER_CHUNK_MAX } from './limits.ts'
import { ChunkMarks } from './marks.ts'

/** A piece of a chunk to be sent now, in the form it is sent in. */
export type Piece = {
  readonly chunk: number
  readonly offset: number
  readonly bytes: number
  /** What it counts for. */
  readonly contentBytes: number
  /** Nothing of the chunk was sent before it since the chunk was asked for. */
  readonly isFirst: boolean
}

/** The sink wants it, and it was not begun since. */
const WANTED = 1
/** The sink has it. */
const STORED = 2

/** Entries of the queue that may be out of date before it is cleared of them. */
const STALE_MAX = 256

export class Outgoing {
  readonly list: ChunkList
  /** Content sent in this session, by what credit counts; what is sent again counts again. */
  sentBytes = 0
  private creditBytes: number
  private readonly marks = new ChunkMarks()
  private stored = 0
  private wanted = 0
  /** What was wanted, in the order asked for, from `head` on; what is not marked as wanted any more is passed over. */
  private queue: number[] = []
  private head = 0
  /** Chunks in all WANT, and in all STORED. */
  private wantMentions = 0
  private storedMentions = 0
  /** The chunk that is being sent, how far, and how much content that is. */
  private current = -1
  private offset = 0
  private isFirst = false
  private counted = 0
  private encodedBytes = 0
  /** The beginning of a chunk that waits, which the sink has. */
  private part: ChunkPart | null = null

  constructor(list: ChunkList, creditBytes: number) {
    this.list = list
    this.creditBytes = creditBytes
  }

  /** Chunks the sink has; all of them once it is done. */
  get storedChunks(): number {
    return this.stored
  }

  /** Everything is named and at the sink. */
  get delivered(): boolean {
    return this.list.complete && this.stored === this.list.count
  }

  has(chunk: number): boolean {
    return this.marks.has(chunk, STORED)
  }

  /** Whole chunks that are wanted and not begun. */
  get wantedChunks(): number {
    return this.wanted
  }

  /** The chunk whose bytes are needed next, or -1. */
  get next(): number {
    return this.current >= 0 ? this.current : this.first()
  }

  /** Credit is left, so that something is sent as soon as it is there. */
  get mayGoOn(): boolean {
    return this.sentBytes < this.creditBytes
  }

  /** The next chunks that will be needed, for reading ahead: at most `max`. */
  upcoming(max: number): number[] {
    const out = this.current >= 0 && max > 0 ? [this.current] : []
    for (let i = this.head; i < this.queue.length && out.length < max; i++) {
      const chunk = this.queue[i] as number
      if (this.marks.has(chunk, WANTED)) out.push(chunk)
    }
    return out
  }

  /**
   * A chunk that waits, is being sent or is stored is not sent once more for being asked for again; one that was sent whole is.
   * `part`: the sink has the beginning of one of them. Faults: `TRANSFER_MALFORMED`.
   */
  want(ranges: readonly ChunkRange[], part: ChunkPart | null = null): void {
    const mentions = this.mentions(ranges, this.wantMentions)
    if (part !== null) this.check(part, ranges)
    this.wantMentions += mentions
    for (const { from, count } of ranges) {
      for (let chunk = from; chunk < from + count; chunk++) {
        if (chunk === this.current || this.marks.has(chunk, STORED) || !this.marks.set(chunk, WANTED)) continue
        this.queue.push(chunk)
        this.wanted++
      }
    }
    if (part !== null && this.marks.has(part.chunk, WANTED)) this.part = part
  }

  /** No ranges: only credit. Faults: `TRANSFER_MALFORMED`. */
  acknowledge(ranges: readonly ChunkRange[], creditBytes: number): void {
    this.storedMentions += this.mentions(ranges, this.storedMentions)
    for (const { from, count } of ranges) {
      for (let chunk = from; chunk < from + count; chunk++) {
        if (this.marks.set(chunk, STORED)) this.stored++
        if (this.marks.clear(chunk, WANTED)) this.wanted--
        if (chunk === this.current) this.current = -1
      }
    }
    if (this.queue.length - this.head > 2 * this.wanted + STALE_MAX) this.tidy()
    this.creditBytes = Math.max(this.creditBytes, creditBytes)
  }

  /**
   * What to send now, or `null`: nothing is wanted, or credit is used up. It counts as sent. `bytesMax`: for a slow line, on
   * which a piece of the usual size would be in the way for long. `encodedBytes`: length of the chunk's encoded form, when that
   * is what is sent: from its first piece to its last.
   */
  take(bytesMax = CHUNK_DATA_BYTES_MAX, encodedBytes = 0): Piece | null {
    if (this.current < 0 && !this.begin()) return null
    const { current: chunk, isFirst, part } = this
    const length = this.list.lengthAt(chunk)
    if (isFirst) this.choose(encodedBytes, length)
    const { offset } = this
    assert(encodedBytes === this.encodedBytes && encodedBytes < length, 'a chunk is sent in one form')
    const sentBytes = encodedBytes === 0 ? length : encodedBytes
    const within = sentWithin(this.counted + this.creditBytes - this.sentBytes, encodedBytes, length)
    const bytes = Math.min(sentBytes - offset, CHUNK_DATA_BYTES_MAX, bytesMax, within - offset)
    if (bytes <= 0) return null
    const counted = contentUpTo(offset + bytes, encodedBytes, length)
    const contentBytes = counted - this.counted
    this.isFirst = false
    this.offset += bytes
    this.counted = counted
    this.sentBytes += contentBytes
    if (part?.chunk === chunk) this.part = null
    if (this.offset === sentBytes) this.current = -1
    return { chunk, offset, bytes, contentBytes, isFirst }
  }

  private begin(): boolean {
    const chunk = this.first()
    if (chunk < 0) return false
    this.head++
    this.marks.clear(chunk, WANTED)
    this.wanted--
    this.current = chunk
    this.isFirst = true
    return true
  }

  /** The form in which the current chunk is sent, until its last piece. What the sink has of another form is of no use to it. */
  private choose(encodedBytes: number, length: number): void {
    const { part } = this
    this.encodedBytes = encodedBytes
    this.offset = part?.chunk === this.current && part.encodedBytes === encodedBytes ? part.bytes : 0
    this.counted = contentUpTo(this.offset, encodedBytes, length)
  }

  /** The first one that waits, or -1. What is before it in the queue is out of date. */
  private first(): number {
    const { queue } = this
    while (this.head < queue.length && !this.marks.has(queue[this.head] as number, WANTED)) this.head++
    if (this.head > STALE_MAX && 2 * this.head > queue.length) {
      queue.splice(0, this.head)
      this.head = 0
    }
    return queue[this.head] ?? -1
  }

  private tidy(): void {
    this.queue = this.queue.slice(this.head).filter((chunk) => this.marks.has(chunk, WANTED))
    this.head = 0
  }

  private check(part: ChunkPart, ranges: readonly ChunkRange[]): void {
    const { chunk, bytes, encodedBytes } = part
    const isWanted = ranges.some(({ from, count }) => chunk >= from && chunk < from + count)
    const length = isWanted ? this.list.lengthAt(chunk) : 0
    if (encodedBytes >= length || bytes === 0 || bytes >= (encodedBytes === 0 ? length : encodedBytes)) {
      throw transferFault('TRANSFER_MALFORMED', { where: `chunk ${chunk}`, why: `a beginning of ${bytes} bytes` })
    }
  }

  /** Checks the ranges of a frame before anything is done for them; gives how many chunks they are. */
  private mentions(ranges: readonly ChunkRange[], before: number): number {
    const { count: named } = this.list
    let mentions = 0
    for (const { from, count } of ranges) {
      if (count === 0 || from + count > named) {
        throw transferFault('TRANSFER_MALFORMED', {
          why: `${count} chunks from ${from} on, of ${named} that were named`,
        })
      }
      mentions += count
    }
    if (before + mentions > MENTIONS_PER_CHUNK_MAX * named) {
      throw transferFault('TRANSFER_MALFORMED', { why: 'chunks are named again and again' })
    }
    return mentions
  }
}
