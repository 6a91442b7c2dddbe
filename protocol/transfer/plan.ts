// How content is cut into chunks of one size.

import { transferFault } from './faults.ts'
import {
  CHUNK_BYTES_MAX,
  CHUNK_BYTES_MIN,
  CHUNKS_MAX,
  CHUNKS_WANTED,
  CONTENT_BYTES_MAX,
  EARLIER_PLAN_FACTOR,
} from './limits.ts'

/**
 * Length of every chunk but the last, for `size` bytes of content; that of an earlier version as long as there are not far too
 * many of them. Faults: `TRANSFER_TOO_LARGE`.
 */
export function chunkBytesFor(size: number, earlier = 0): number {
  if (size > CONTENT_BYTES_MAX) throw transferFault('TRANSFER_TOO_LARGE', { why: `${size} bytes` })
  const isLength = earlier >= CHUNK_BYTES_MIN && earlier <= CHUNK_BYTES_MAX
  if (isLength && size / earlier <= EARLIER_PLAN_FACTOR * CHUNKS_WANTED) return earlier
  const wanted = Math.ceil(size / CHUNKS_WANTED / CHUNK_BYTES_MIN) * CHUNK_BYTES_MIN
  return Math.min(CHUNK_BYTES_MAX, Math.max(CHUNK_BYTES_MIN, wanted))
}

/** What a peer says of its content, checked. Faults: `TRANSFER_TOO_LARGE`, `TRANSFER_MALFORMED`. */
export function checkPlan({ size, chunkBytes }: { size: number; chunkBytes: number }): void {
  if (size > CONTENT_BYTES_MAX) throw transferFault('TRANSFER_TOO_LARGE', { why: `${size} bytes` })
  if (chunkBytes === 0) return
  if (chunkBytes < CHUNK_BYTES_MIN || chunkBytes > CHUNK_BYTES_MAX || Math.ceil(size / chunkBytes) > CHUNKS_MAX) {
    throw transferFault('TRANSFER_MALFORMED', { why: `${size} bytes in chunks of ${chunkBytes}` })
  }
}
