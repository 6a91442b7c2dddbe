// Flags for each chunk of a content, a byte a chunk: at most 256 KiB, whatever a peer says in which order.

import { assert } from '#protocol/base/mod.ts'
import { CHUNKS_MAX } from './limits.ts'

const FIRST_CAPACITY = 64

export class ChunkMarks {
  private flags = new Uint8Array(FIRST_CAPACITY)

  /** Has it any of these flags? */
  has(chunk: number, flags: number): boolean {
    return ((this.flags[chunk] ?? 0) & flags) !== 0
  }

  /** True when it did not have the flag before. */
  set(chunk: number, flag: number): boolean {
    assert(chunk >= 0 && chunk < CHUNKS_MAX, 'a chunk of a list')
    if (chunk >= this.flags.length) this.grow(chunk + 1)
    if (this.has(chunk, flag)) return false
    this.flags[chunk] = (this.flags[chunk] as number) | flag
    return true
  }

  /** True when it had the flag. */
  clear(chunk: number, flag: number): boolean {
    if (!this.has(chunk, flag)) return false
    this.flags[chunk] = (this.flags[chunk] as number) & ~flag
    return true
  }

  private grow(needed: number): void {
    const flags = new Uint8Array(Math.min(CHUNKS_MAX, Math.max(needed, 2 * this.flags.length)))
    flags.set(this.flags)
    this.flags = flags
  }
}
