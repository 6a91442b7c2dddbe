// Chunks that were just written, for those who follow an upload: they need not read them from the disk.

import type { SharedBuffers } from '#hub/pool/mod.ts'
import type { StoredChunk } from '#hub/store/mod.ts'
import { RECENT_BYTES_MAX } from './limits.ts'

export class RecentChunks {
  private readonly chunks = new Map<string, StoredChunk>()
  /** Of memory: a short chunk holds as much of it as any other. */
  private heldBytes = 0
  private readonly buffers: SharedBuffers

  constructor(buffers: SharedBuffers) {
    this.buffers = buffers
  }

  /** `digest` in latin1. The bytes must not change any more; they are held here as long as they are kept. */
  keep(digest: string, chunk: StoredChunk): void {
    if (this.chunks.has(digest)) return
    this.chunks.set(digest, chunk)
    this.buffers.hold(chunk.bytes)
    this.heldBytes += chunk.bytes.buffer.byteLength
    for (const oldest of this.chunks.keys()) {
      if (this.heldBytes <= RECENT_BYTES_MAX) return
      this.forget(oldest)
    }
  }

  /** Hold what it gives, if it is needed beyond this turn. */
  get(digest: string): StoredChunk | undefined {
    return this.chunks.get(digest)
  }

  forget(digest: string): void {
    const chunk = this.chunks.get(digest)
    if (chunk === undefined) return
    this.chunks.delete(digest)
    this.heldBytes -= chunk.bytes.buffer.byteLength
    this.buffers.release(chunk.bytes)
  }
}
