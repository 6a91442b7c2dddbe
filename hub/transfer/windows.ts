// How much all uploads together may have under way: each as much as the protocol allows while there are few, less when there are
// many, never less than a chunk, so that none stands still.

import { CHUNK_BYTES_MAX, WINDOW_BYTES } from '#protocol/transfer/mod.ts'
import { AGAIN_BYTES_MAX, LARGE_CHUNKS_WINDOW_BYTES, UNDER_WAY_BYTES_MAX, UPLOADS_MAX } from './limits.ts'

export class Windows {
  private uploads = 0

  /** `null`: there are as many uploads as may be. */
  enter(): Disposable | null {
    if (this.uploads >= UPLOADS_MAX) return null
    this.uploads++
    let left = false
    return {
      [Symbol.dispose]: () => {
        if (!left) this.uploads--
        left = true
      },
    }
  }

  /** Bytes one upload may have under way now, with chunks of `chunkBytes`; 0: of any length. */
  of(chunkBytes: number): number {
    const longest = chunkBytes === 0 ? CHUNK_BYTES_MAX : chunkBytes
    const share = Math.floor(UNDER_WAY_BYTES_MAX / Math.max(1, this.uploads))
    const isLarge = 3 * longest > AGAIN_BYTES_MAX
    const most = isLarge ? LARGE_CHUNKS_WINDOW_BYTES : Math.min(WINDOW_BYTES, AGAIN_BYTES_MAX - longest)
    return Math.min(most, Math.max(longest, share))
  }
}
