// Memory for chunks on their way, shared with the hashing thread: one block, given out in pieces of whole units, first fit. What
// is given out begins where a disk page may begin, so that it can be written past the page cache as it is.

import { read } from 'node:fs'
import { CHUNK_BYTES_MAX, CHUNK_BYTES_MIN } from '#protocol/transfer/mod.ts'
import { sharedBuffer } from '../threads/mod.ts'
import { ARENA_BYTES_MAX, ARENA_SPARE_BYTES_MAX, DISK_PAGE_BYTES, SPARE_BLOCK_BYTES_MAX } from './limits.ts'

const UNIT_BYTES = CHUNK_BYTES_MIN
const ALIGN_STEP_BYTES = 16

export class ChunkArena {
  private readonly memory: Buffer
  private readonly taken: Uint8Array
  /** Where in the memory the first unit begins. A large block of the system begins 16 bytes behind a page. */
  private base = DISK_PAGE_BYTES - ALIGN_STEP_BYTES
  /** Buffers that found no gap. */
  private readonly extra = new Set<Buffer>()
  usedBytes = 0

  /** For content of that size: a small one needs little. */
  constructor(size: number) {
    // Twice the content: what is copied from files here, and what comes meanwhile. No chunk is longer than the content.
    const bytes = Math.min(ARENA_BYTES_MAX, size + Math.min(size, CHUNK_BYTES_MAX))
    const units = Math.ceil(bytes / UNIT_BYTES)
    this.memory = blockFor(units * UNIT_BYTES + DISK_PAGE_BYTES)
    this.taken = new Uint8Array(units)
  }

  /** The content is through, and nothing of it comes any more. A small block that nobody uses serves the next one. */
  release(): void {
    const { length } = this.memory
    if (this.usedBytes > 0 || length > SPARE_BLOCK_BYTES_MAX) return
    const spareBytes = spare.reduce((sum, block) => sum + block.length, 0)
    if (spareBytes + length <= ARENA_SPARE_BYTES_MAX) spare.push(this.memory)
  }

  get bytes(): number {
    return this.taken.length * UNIT_BYTES
  }

  /** A buffer for a chunk, or `null` when there is no room for it now. Give back what you get with `free`. */
  tryAllocate(bytes: number): Buffer | null {
    const units = Math.max(1, Math.ceil(bytes / UNIT_BYTES))
    if (this.usedBytes + units * UNIT_BYTES > this.bytes) return null
    const first = this.findGap(units)
    this.usedBytes += units * UNIT_BYTES
    if (first < 0) {
      const buffer = sharedBuffer(units * UNIT_BYTES).subarray(0, bytes)
      this.extra.add(buffer)
      return buffer
    }
    this.taken.fill(1, first, first + units)
    const at = this.base + first * UNIT_BYTES
    return this.memory.subarray(at, at + bytes)
  }

  /**
   * A buffer for a chunk that comes, in any case: what is read from files here may hold all of the block for a while, and small
   * chunks take more of it than their length. How much that can be is bounded by the credit the hub has.
   */
  allocate(bytes: number): Buffer {
    const within = this.tryAllocate(bytes)
    if (within !== null) return within
    const units = Math.max(1, Math.ceil(bytes / UNIT_BYTES))
    this.usedBytes += units * UNIT_BYTES
    const buffer = sharedBuffer(units * UNIT_BYTES).subarray(0, bytes)
    this.extra.add(buffer)
    return buffer
  }

  free(buffer: Buffer): void {
    const units = Math.max(1, Math.ceil(buffer.length / UNIT_BYTES))
    this.usedBytes -= units * UNIT_BYTES
    if (buffer.buffer !== this.memory.buffer) {
      for (const extra of this.extra) if (extra.buffer === buffer.buffer) this.extra.delete(extra)
      return
    }
    const first = (buffer.byteOffset - this.memory.byteOffset - this.base) / UNIT_BYTES
    this.taken.fill(0, first, first + units)
  }

  /** Finds where buffers have to begin for this file, opened past the page cache. `false`: nowhere. Nothing is given out yet. */
  async align(handle: number): Promise<boolean> {
    for (let at = DISK_PAGE_BYTES - ALIGN_STEP_BYTES; at >= 0; at -= ALIGN_STEP_BYTES) {
      if (await canRead(handle, this.memory.subarray(at, at + DISK_PAGE_BYTES))) {
        this.base = at
        return true
      }
    }
    return false
  }

  private findGap(units: number): number {
    const { taken } = this
    let run = 0
    for (let i = 0; i < taken.length; i++) {
      run = taken[i] === 0 ? run + 1 : 0
      if (run === units) return i + 1 - units
    }
    return -1
  }
}

/** Blocks of a process that small contents can use again: the system gets memory of threads back late, when garbage is collected. */
const spare: Buffer[] = []

function blockFor(bytesMin: number): Buffer {
  if (bytesMin > SPARE_BLOCK_BYTES_MAX) return sharedBuffer(bytesMin)
  const at = spare.findIndex(({ length }) => length >= bytesMin)
  if (at >= 0) return spare.splice(at, 1)[0] as Buffer
  // Few lengths, so that they fit others.
  return sharedBuffer(2 ** Math.ceil(Math.log2(bytesMin)))
}

const canRead = (handle: number, into: Buffer): Promise<boolean> =>
  new Promise((resolve) => read(handle, into, 0, into.length, 0, (error) => resolve(error === null)))
