// Cuts a byte stream into frames, however it is split. Every body is gathered once into memory of its own, allocated when its
// header was read, never a view of a chunk: transports read into one buffer again and again, and whoever keeps a body need not
// ask where it came from. Copying 256 KiB costs a twentieth of hashing it; a fresh buffer for every read costs far more. Only parts
// of large content, which are put together elsewhere at once, come in a buffer that the next of them overwrites.

import { frameFault } from './faults.ts'
import { FLAG_IGNORABLE, FRAME_HEADER_BYTES, type FrameRule, flagsAreKnown, frameRule, PREFACE } from './kinds.ts'
import {
  BATCH_FRAME_BYTES_MAX,
  BULK_FRAME_BYTES_MAX,
  CONTROL_FRAME_BYTES_MAX,
  HANDSHAKE_FRAME_BYTES_MAX,
} from './limits.ts'

/**
 * Called for every frame in order. `body` is the callee's to keep and never changes, but for kinds of size `bulk`, whose body is
 * good until the callee returns. Small ones share a slab of Node's buffer pool: what is kept for long is better copied off it,
 * lest it keep its neighbours.
 */
export type OnFrame = (kind: number, channel: number, body: Buffer) => void

export class FrameReader {
  /** Raised from the handshake's bound to the agreed one when the peer is authenticated. */
  batchBytesMax: number = HANDSHAKE_FRAME_BYTES_MAX

  private prefaceSeen = 0
  private readonly header = Buffer.alloc(FRAME_HEADER_BYTES)
  private headerFilled = 0
  private body: Buffer | null = null
  private bodyFilled = 0
  /** Of `bulk` frames, for one after the other; made for the first. */
  private bulk: Buffer | null = null
  private readonly onFrame: OnFrame

  constructor(onFrame: OnFrame) {
    this.onFrame = onFrame
  }

  /**
   * Takes the next bytes of the stream and calls back for every frame completed by them. `chunk` is the caller's again afterwards.
   * Faults: `PREFACE_WRONG` and the `FRAME_*` codes; the reader is unusable after a fault.
   */
  push(chunk: Buffer): void {
    let at = this.prefaceSeen < PREFACE.length ? this.readPreface(chunk) : 0
    while (at < chunk.length) {
      if (this.body !== null) {
        at = this.fillBody(chunk, at)
      } else if (this.headerFilled === 0 && chunk.length - at >= FRAME_HEADER_BYTES) {
        at = this.startFrame(chunk, at, chunk, at + FRAME_HEADER_BYTES)
      } else {
        const taken = Math.min(FRAME_HEADER_BYTES - this.headerFilled, chunk.length - at)
        chunk.copy(this.header, this.headerFilled, at, at + taken)
        this.headerFilled += taken
        at += taken
        if (this.headerFilled === FRAME_HEADER_BYTES) {
          this.headerFilled = 0
          at = this.startFrame(this.header, 0, chunk, at)
        }
      }
    }
  }

  /** Call when the stream ended: `FRAME_CUT` if that was inside a frame. */
  end(): void {
    if (this.body !== null || this.headerFilled > 0) throw frameFault('FRAME_CUT')
  }

  private readPreface(chunk: Buffer): number {
    const taken = Math.min(PREFACE.length - this.prefaceSeen, chunk.length)
    for (let i = 0; i < taken; i++) {
      if (chunk[i] !== PREFACE[this.prefaceSeen + i]) throw frameFault('PREFACE_WRONG')
    }
    this.prefaceSeen += taken
    return taken
  }

  /** Reads the header at `headerAt`, then the body from `chunk` as far as it is there; gives the offset after it. */
  private startFrame(header: Buffer, headerAt: number, chunk: Buffer, at: number): number {
    const length = header.readUInt32LE(headerAt)
    const kind = header[headerAt + 4] as number
    this.check(kind, header[headerAt + 5] as number, header.readUInt16LE(headerAt + 6), length)
    if (header !== this.header) header.copy(this.header, 0, headerAt, headerAt + FRAME_HEADER_BYTES)
    this.body = frameRule(kind)?.size === 'bulk' ? this.bulkBody(length) : Buffer.allocUnsafe(length)
    this.bodyFilled = 0
    return this.fillBody(chunk, at)
  }

  private bulkBody(length: number): Buffer {
    this.bulk ??= Buffer.allocUnsafeSlow(BULK_FRAME_BYTES_MAX)
    return this.bulk.subarray(0, length)
  }

  private fillBody(chunk: Buffer, at: number): number {
    const body = this.body as Buffer
    const taken = Math.min(body.length - this.bodyFilled, chunk.length - at)
    chunk.copy(body, this.bodyFilled, at, at + taken)
    this.bodyFilled += taken
    if (this.bodyFilled === body.length) {
      this.body = null
      const kind = this.header[4] as number
      if (frameRule(kind) !== undefined) this.onFrame(kind, this.header.readUInt16LE(6), body)
    }
    return at + taken
  }

  private check(kind: number, flags: number, channel: number, length: number): void {
    const rule = frameRule(kind)
    const where = rule === undefined ? `frame kind 0x${kind.toString(16)}` : `frame ${rule.name}`
    if (!flagsAreKnown(flags)) throw frameFault('FRAME_FLAGS_RESERVED', { where })
    if (rule === undefined && (flags & FLAG_IGNORABLE) === 0) throw frameFault('FRAME_KIND_UNKNOWN', { where })
    const limitBytes = rule === undefined ? CONTROL_FRAME_BYTES_MAX : this.limitOf(rule.size)
    if (length > limitBytes) throw frameFault('FRAME_TOO_LARGE', { where, lengthBytes: length, limitBytes })
    if (rule !== undefined && !rule.channels.includes(channel)) {
      throw frameFault('FRAME_CHANNEL_WRONG', { where, channel })
    }
  }

  private limitOf(size: FrameRule['size']): number {
    if (size === 'batch') return Math.min(this.batchBytesMax, BATCH_FRAME_BYTES_MAX)
    // A peer cuts content into pieces of this size whatever was agreed for batches: only before the handshake it is less.
    if (size === 'bulk' && this.batchBytesMax > HANDSHAKE_FRAME_BYTES_MAX) return BULK_FRAME_BYTES_MAX
    return size === 'control' ? CONTROL_FRAME_BYTES_MAX : HANDSHAKE_FRAME_BYTES_MAX
  }
}
