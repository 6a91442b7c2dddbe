// A chunk as it travels: as it is, or encoded as one zstd frame (RFC 8878) that says the chunk's length as its content size and is
// shorter than the chunk. Credit counts content: of a chunk of `length` bytes whose encoded form has `encodedBytes`, the first x of
// those count for ⌊x · length / encodedBytes⌋. So a window bounds what a sink holds of content, however well it compresses, and a
// chunk counts for its length in the end, whichever way it came.

import { constants, zstdCompressSync } from 'node:zlib'
import { freeBuffer } from '#protocol/bytes/free.ts'
import { inflateZstd, inflateZstdInBackground } from '#protocol/bytes/zstd.ts'
import { transferFault } from './faults.ts'
import { CHUNK_BYTES_MAX } from './limits.ts'

/** A frame of one segment has a window of its content: that of the largest chunk. */
const WINDOW_LOG_MAX = Math.log2(CHUNK_BYTES_MAX)
/** Measured on JSON and CSV: the fastest, and hardly longer than the next two. */
const LEVEL_FASTEST = 1

/** Content that the first `sent` bytes of a chunk stand for. Exact: products stay below 2^46. `encodedBytes` 0: not encoded. */
export function contentUpTo(sent: number, encodedBytes: number, length: number): number {
  return encodedBytes === 0 ? sent : Math.floor((sent * length) / encodedBytes)
}

/** The most bytes of a chunk that stand for no more than `content` bytes. */
export function sentWithin(content: number, encodedBytes: number, length: number): number {
  if (encodedBytes === 0) return content
  return Math.ceil(((Math.min(content, length) + 1) * encodedBytes) / length) - 1
}

/** The encoded form, of at most `bytesMax` bytes; `null` when it would be longer. */
export function encodeChunk(chunk: Buffer, bytesMax: number, level = LEVEL_FASTEST): Buffer | null {
  if (bytesMax < 1) return null
  try {
    return zstdCompressSync(chunk, {
      pledgedSrcSize: chunk.length,
      maxOutputLength: bytesMax,
      // One output buffer.
      chunkSize: Math.max(64, bytesMax),
      params: { [constants.ZSTD_c_compressionLevel]: level },
    })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') return null
    throw error
  }
}

/**
 * Puts the encoded form, of at most `bytesMax` bytes, in the place of the chunk, and gives its length; 0: it would be longer, and
 * the chunk stays.
 */
export function encodeInPlace(chunk: Buffer, bytesMax: number, level: number): number {
  const encoded = encodeChunk(chunk, bytesMax, level)
  return encoded === null ? 0 : moved(encoded, chunk)
}

/** The chunk of `length` bytes. It takes no more memory than that and the window. Its digest is not checked. Faults: `CHUNK_DAMAGED`. */
export const decodeChunk = (encoded: Buffer, length: number): Buffer =>
  inflateZstd(encoded, optionsFor(length), damaged)

/** The same into the beginning of `into`, which may be where the encoded form lies. */
export const decodeChunkInto = (encoded: Buffer, length: number, into: Buffer): void =>
  void moved(decodeChunk(encoded, length), into)

/** The same on another thread; `encoded` must not change meanwhile. */
export const decodeChunkInBackground = (encoded: Buffer, length: number): Promise<Buffer> =>
  inflateZstdInBackground(encoded, optionsFor(length), damaged)

function moved(bytes: Buffer, into: Buffer): number {
  const { length } = bytes
  bytes.copy(into)
  freeBuffer(bytes)
  return length
}

const optionsFor = (rawBytes: number) => ({ rawBytes, windowLogMax: WINDOW_LOG_MAX, saysSize: true })
const damaged = (why: string, cause?: unknown) => transferFault('CHUNK_DAMAGED', { why, cause })
