// The source's side of one transfer, without I/O: which chunks the sink wants, how much it may still be sent, and what to send
// next, a frame at a time.

import { CHUNK_DATA_BYTES_MAX } from '#protocol/frame/mod.ts'
import type { ChunkRange } from '#protocol/schema/mod.ts'
import { type Range, RangeSet } from '#protocol/session/mod.ts'
import type { ChunkList } from './chunk-list.ts'
import { transferFault } from './faults.ts'

/** A piece of a chunk to be sent now. */
export type Piece = { readonly chunk: number; readonly offset: number; readonly bytes: number }

export class Outgoing {
  readonly list: ChunkList
  /** Content bytes sent in this session; those sent again count again. */
  sentBytes = 0
  private creditBytes: number
  private readonly stored = new RangeSet()
  /** Runs the sink wants and that were not begun, in the order asked for. */
  private wanted: Range[] = []
  private wantedChunks_ = 0
  /** The chunk that is being sent, and how far. */
  private current = -1
  private offset = 0

  constructor(list: ChunkList, creditBytes: number) {
    this.list = list
    this.creditBytes = creditBytes
  }

  /** Chunks the sink has; all of them once it is done. */
  get storedChunks(): number {
    return this.stored.floor + this.stored.above.reduce((sum, [from, to]) => sum + to - from, 0)
  }

  /** Everything is named and at the sink. */
  get delivered(): boolean {
    return this.list.complete && this.stored.floor >= this.list.count
  }

  has(chunk: number): boolean {
    return this.stored.has(chunk)
  }

  /** Whole chunks that are wanted and not begun. */
  get wantedChunks(): number {
    return this.wantedChunks_
  }

  /** The chunk whose bytes are needed next, or -1. */
  get next(): number {
    return this.current >= 0 ? this.current : (this.wanted[0]?.[0] ?? -1)
  }

  /** The next chunks that will be needed, for reading ahead: at most `max`. */
  upcoming(max: number): number[] {
    const out = this.current >= 0 ? [this.current] : []
    for (const [from, to] of this.wanted) for (let i = from; i < to && out.length < max; i++) out.push(i)
    return out
  }

  /** Faults: `TRANSFER_MALFORMED`. */
  want(ranges: readonly ChunkRange[]): void {
    for (const { from, count } of ranges) {
      this.check(from, count)
      this.wanted.push([from, from + count])
      this.wantedChunks_ += count
      // A sink may ask for a chunk again, but not make us remember more than there is.
      if (this.wanted.length > this.list.count + 1) throw transferFault('TRANSFER_MALFORMED', { why: 'too many wants' })
    }
  }

  /** Faults: `TRANSFER_MALFORMED`. */
  acknowledge(ranges: readonly ChunkRange[], creditBytes: number): void {
    for (const { from, count } of ranges) {
      this.check(from, count)
      this.stored.add(from, from + count)
    }
    this.creditBytes = Math.max(this.creditBytes, creditBytes)
  }

  /**
   * What to send now, or `null`: nothing is wanted, or credit is used up. It counts as sent. `bytesMax`: for a slow line, on
   * which a piece of the usual size would be in the way for long.
   */
  take(bytesMax = CHUNK_DATA_BYTES_MAX): Piece | null {
    if (this.current < 0 && !this.begin()) return null
    const left = this.list.lengthAt(this.current) - this.offset
    const bytes = Math.min(left, CHUNK_DATA_BYTES_MAX, bytesMax, this.creditBytes - this.sentBytes)
    if (bytes <= 0) return null
    const piece = { chunk: this.current, offset: this.offset, bytes }
    this.offset += bytes
    this.sentBytes += bytes
    if (bytes === left) this.current = -1
    return piece
  }

  private begin(): boolean {
    const first = this.wanted[0]
    if (first === undefined) return false
    const [from, to] = first
    if (from + 1 < to) this.wanted[0] = [from + 1, to]
    else this.wanted.shift()
    this.wantedChunks_--
    this.current = from
    this.offset = 0
    return true
  }

  private check(from: number, count: number): void {
    if (count > 0 && from + count <= this.list.count) return
    throw transferFault('TRANSFER_MALFORMED', { why: `chunks ${from} to ${from + count - 1} were never named` })
  }
}
