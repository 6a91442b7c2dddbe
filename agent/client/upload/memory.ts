// Memory for chunks, shared with the reading thread and used again. All uploads of a process share one bound; each gets an equal
// part of it, and always one chunk.

import { MEMORY_BYTES_MAX } from './limits.ts'

export class ChunkMemory {
  private static common: ChunkMemory | null = null
  /** Taken and not given back, and the most that ever was. */
  takenBytes = 0
  highestBytes = 0
  private freeBytes = 0
  private readonly free: SharedArrayBuffer[] = []
  private readonly bytesMax: number
  private shares = 0

  constructor(bytesMax = MEMORY_BYTES_MAX) {
    this.bytesMax = bytesMax
  }

  static shared(): ChunkMemory {
    ChunkMemory.common ??= new ChunkMemory()
    return ChunkMemory.common
  }

  /** For an upload with chunks of up to `chunkBytes`. */
  share(chunkBytes: number): MemoryShare {
    this.shares++
    return new MemoryShare(this, chunkBytes)
  }

  /** For `MemoryShare`: `null` when it has its part. */
  take(bytes: number, heldBytes: number): SharedArrayBuffer | null {
    const fits = this.takenBytes + bytes <= this.bytesMax && heldBytes + bytes <= this.bytesMax / this.shares
    if (!fits && heldBytes > 0) return null
    const at = this.free.findIndex(({ byteLength }) => byteLength === bytes)
    const found = at < 0 ? new SharedArrayBuffer(bytes) : (this.free.splice(at, 1)[0] as SharedArrayBuffer)
    if (at >= 0) this.freeBytes -= bytes
    this.takenBytes += bytes
    this.highestBytes = Math.max(this.highestBytes, this.takenBytes)
    this.trim()
    return found
  }

  give(memory: SharedArrayBuffer): void {
    this.takenBytes -= memory.byteLength
    this.freeBytes += memory.byteLength
    this.free.push(memory)
    this.trim()
  }

  ended(): void {
    this.shares--
    this.trim()
  }

  /** What is kept for the next chunks counts too; without uploads nothing is kept. */
  private trim(): void {
    const keepBytes = this.shares === 0 ? 0 : this.bytesMax - this.takenBytes
    while (this.freeBytes > keepBytes && this.free.length > 0) {
      this.freeBytes -= (this.free.shift() as SharedArrayBuffer).byteLength
    }
  }
}

export class MemoryShare {
  readonly chunkBytes: number
  private readonly memory: ChunkMemory
  private heldBytes = 0
  private isOpen = true

  constructor(memory: ChunkMemory, chunkBytes: number) {
    this.memory = memory
    this.chunkBytes = chunkBytes
  }

  /** Memory for one chunk, or `null` for the moment. */
  take(): SharedArrayBuffer | null {
    const found = this.memory.take(this.chunkBytes, this.heldBytes)
    if (found !== null) this.heldBytes += this.chunkBytes
    return found
  }

  give(memory: SharedArrayBuffer): void {
    this.heldBytes -= memory.byteLength
    this.memory.give(memory)
  }

  /** When everything taken was given back. */
  close(): void {
    if (this.isOpen) this.memory.ended()
    this.isOpen = false
  }
}
