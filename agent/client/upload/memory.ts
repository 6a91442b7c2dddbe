// Memory for chunks, shared with the reading thread and used again. All uploads of a process share one bound; each gets a part of it
// by its priority, and always one chunk. Who holds more than its part, because another one has begun, gives back what it has only
// read ahead.

import { PRIORITY_NORMAL, type Priority } from '#protocol/codec/mod.ts'
import { MEMORY_BYTES_MAX, MEMORY_PARTS } from './limits.ts'

export class ChunkMemory {
  private static common: ChunkMemory | null = null
  /** Taken and not given back, and the most that ever was. */
  takenBytes = 0
  highestBytes = 0
  private freeBytes = 0
  private readonly free: SharedArrayBuffer[] = []
  private readonly bytesMax: number
  private readonly shares = new Set<MemoryShare>()
  /** Of all shares. */
  private parts = 0

  constructor(bytesMax = MEMORY_BYTES_MAX) {
    this.bytesMax = bytesMax
  }

  static shared(): ChunkMemory {
    ChunkMemory.common ??= new ChunkMemory()
    return ChunkMemory.common
  }

  /** For an upload with chunks of up to `chunkBytes`. */
  share(chunkBytes: number, priority: Priority = PRIORITY_NORMAL): MemoryShare {
    const share = new MemoryShare(this, chunkBytes, MEMORY_PARTS[priority] as number)
    this.shares.add(share)
    this.parts += share.parts
    for (const other of this.shares) other.squeeze()
    return share
  }

  /** For `MemoryShare`. */
  resize(share: MemoryShare, parts: number): void {
    this.parts += parts - share.parts
    share.parts = parts
    for (const one of this.shares) one.squeeze()
  }

  /** For `MemoryShare`: bytes it may hold. */
  partOf(share: MemoryShare): number {
    return (this.bytesMax * share.parts) / this.parts
  }

  /** For `MemoryShare`: `null` when it has its part. */
  take(bytes: number, { heldBytes, bytesMax }: MemoryShare): SharedArrayBuffer | null {
    const fits = this.takenBytes + bytes <= this.bytesMax && heldBytes + bytes <= bytesMax
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

  ended(share: MemoryShare): void {
    this.shares.delete(share)
    this.parts -= share.parts
    this.trim()
  }

  /** What is kept for the next chunks counts too; without uploads nothing is kept. */
  private trim(): void {
    const keepBytes = this.shares.size === 0 ? 0 : this.bytesMax - this.takenBytes
    while (this.freeBytes > keepBytes && this.free.length > 0) {
      this.freeBytes -= (this.free.shift() as SharedArrayBuffer).byteLength
    }
  }
}

export class MemoryShare {
  readonly chunkBytes: number
  parts: number
  heldBytes = 0
  /** Gives back memory that can be done without; false when there is none. */
  giveUp: () => boolean = () => false
  private readonly memory: ChunkMemory
  private isOpen = true

  constructor(memory: ChunkMemory, chunkBytes: number, parts: number) {
    this.memory = memory
    this.chunkBytes = chunkBytes
    this.parts = parts
  }

  /** What it may hold; one chunk in any case. */
  get bytesMax(): number {
    return this.memory.partOf(this)
  }

  /** Another part of the memory, by another priority. */
  prioritize(priority: Priority): void {
    if (this.isOpen) this.memory.resize(this, MEMORY_PARTS[priority] as number)
  }

  /** Its part has become less. */
  squeeze(): void {
    while (this.heldBytes > Math.max(this.bytesMax, this.chunkBytes) && this.giveUp());
  }

  /** Memory for one chunk, or `null` for the moment. */
  take(): SharedArrayBuffer | null {
    const found = this.memory.take(this.chunkBytes, this)
    if (found !== null) this.heldBytes += this.chunkBytes
    return found
  }

  give(memory: SharedArrayBuffer): void {
    this.heldBytes -= memory.byteLength
    this.memory.give(memory)
  }

  /** When everything taken was given back. */
  close(): void {
    if (this.isOpen) this.memory.ended(this)
    this.isOpen = false
  }
}
