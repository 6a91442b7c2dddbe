// Buffers for chunks, used again: memory that threads share is not counted by the garbage collector, so what is thrown away
// heaps up to gigabytes before it is collected.

import { Hashing } from '#hub/pool/mod.ts'
import { BUFFERS_KEPT_BYTES_MAX } from './limits.ts'

export class Buffers {
  private readonly free = new Map<number, Buffer[]>()
  private keptBytes = 0

  /** At least so many bytes; what was in it before may still be. */
  take(bytes: number): Buffer {
    const size = sizeFor(bytes)
    const known = this.free.get(size)?.pop()
    if (known === undefined) return Hashing.buffer(size)
    this.keptBytes -= size
    return known
  }

  /** Nobody reads or writes it any more: the very buffer that was taken. */
  give(buffer: Buffer): void {
    if (this.keptBytes + buffer.length > BUFFERS_KEPT_BYTES_MAX) return
    const kept = this.free.get(buffer.length) ?? []
    kept.push(buffer)
    this.free.set(buffer.length, kept)
    this.keptBytes += buffer.length
  }
}

/** Powers of two from 64 KiB on, so that files of about the same size share them. */
const sizeFor = (bytes: number): number => 2 ** Math.max(16, Math.ceil(Math.log2(bytes)))
