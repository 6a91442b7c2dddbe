// The thread of `HashPool`.

import { hash } from 'node:crypto'
import { decodeChunkInto } from '#protocol/transfer/coding.ts'
import { answerQuestions } from '../threads/answering.ts'
import type { ToDigest } from './pool.ts'

answerQuestions(({ memory, offset, length, encodedBytes }: ToDigest): Uint8Array | null => {
  const chunk = Buffer.from(memory, offset, length)
  if (encodedBytes > 0 && !decoded(chunk, encodedBytes)) return null
  // Its own 32 bytes: a small buffer shares a slab, all of which would be copied.
  return new Uint8Array(hash('sha256', chunk, 'buffer'))
})

function decoded(chunk: Buffer, encodedBytes: number): boolean {
  try {
    decodeChunkInto(chunk.subarray(0, encodedBytes), chunk.length, chunk)
    return true
  } catch {
    return false
  }
}
