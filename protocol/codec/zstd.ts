// Decompression of bytes from outside: exactly one zstd frame (RFC 8878), no dictionary, a bounded window, exactly the
// declared size. The library stops after the first frame and ignores what follows, so the frame's end is found here.

import { constants, zstdDecompressSync } from 'node:zlib'
import type { Fault } from '#protocol/base/mod.ts'

const MAGIC = 0xfd2fb528
/** The least zlib accepts. */
const CHUNK_BYTES_MIN = 64
const BLOCK_RLE = 1
const BLOCK_RESERVED = 3
const DICTIONARY_ID_BYTES = [0, 1, 2, 4]
const CONTENT_SIZE_BYTES = [0, 2, 4, 8]

/** `malformed` makes the caller's fault. `stored` is never decompressed beyond `rawBytes`. */
export function inflateZstd(
  stored: Buffer,
  options: { rawBytes: number; windowLogMax: number },
  malformed: (why: string, cause?: unknown) => Fault,
): Buffer {
  const { rawBytes, windowLogMax } = options
  if (zstdFrameBytes(stored) !== stored.length) throw malformed('it is not one zstd frame without a dictionary')
  let raw: Buffer
  try {
    raw = zstdDecompressSync(stored, {
      maxOutputLength: rawBytes,
      // One output buffer of the declared size, instead of many that are joined.
      chunkSize: Math.max(rawBytes, CHUNK_BYTES_MIN),
      params: { [constants.ZSTD_d_windowLogMax]: windowLogMax },
    })
  } catch (cause) {
    throw malformed('it does not decompress within the declared size', cause)
  }
  if (raw.length !== rawBytes) throw malformed('it is shorter than declared')
  return raw
}

/** The length of the zstd frame that `bytes` begins with; -1 when there is none, it is cut, or it wants a dictionary. */
function zstdFrameBytes(bytes: Buffer): number {
  if (bytes.length < 6 || bytes.readUInt32LE(0) !== MAGIC) return -1
  const descriptor = bytes[4] as number
  const singleSegment = (descriptor & 0x20) !== 0
  if ((descriptor & 0x18) !== 0 || DICTIONARY_ID_BYTES[descriptor & 3] !== 0) return -1
  const sizeBytes = CONTENT_SIZE_BYTES[descriptor >>> 6] as number
  let at = 5 + (singleSegment ? Math.max(1, sizeBytes) : 1 + sizeBytes)
  for (let last = false; !last; ) {
    if (at + 3 > bytes.length) return -1
    const block = bytes.readUIntLE(at, 3)
    last = (block & 1) === 1
    const type = (block >>> 1) & 3
    if (type === BLOCK_RESERVED) return -1
    at += 3 + (type === BLOCK_RLE ? 1 : block >>> 3)
  }
  return at + ((descriptor & 0x04) !== 0 ? 4 : 0)
}
