// Chunks that were just written, for those who follow an upload: they need not read them from the disk.

import { RECENT_BYTES_MAX } from './limits.ts'

export class RecentChunks {
  private readonly chunks = new Map<string, Buffer>()
  private bytes = 0

  /** `digest` in latin1. The bytes must not change any more. */
  keep(digest: string, chunk: Buffer): void {
    if (this.chunks.has(digest)) return
    this.chunks.set(digest, chunk)
    this.bytes += chunk.length
    for (const [oldest, { length }] of this.chunks) {
      if (this.bytes <= RECENT_BYTES_MAX) return
      this.chunks.delete(oldest)
      this.bytes -= length
    }
  }

  get(digest: string): Buffer | undefined {
    return this.chunks.get(digest)
  }

  forget(digest: string): void {
    const chunk = this.chunks.get(digest)
    if (chunk === undefined) return
    this.chunks.delete(digest)
    this.bytes -= chunk.length
  }
}
