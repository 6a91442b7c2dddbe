// Decompression of bytes from outside: exactly one zstd frame (RFC 8878), no dictionary, a bounded window, exactly the
// declared size. The library stops after the first frame and ignores what follows, so the frame's end is found here.

import { promisify } from 'node:util'
import { constants, type ZstdOptions, zstdDecompress, zstdDecompressSync } from 'node:zlib'
import type { Fault } from '#protocol/base/mod.ts'

const MAGIC = 0xfd2fb528
/** The least zlib accepts. */
const CHUNK_BYTES_MIN = 64
const BLOCK_RLE = 1
const BLOCK_RESERVED = 3
const DICTIONARY_ID_BYTES = [0, 1, 2, 4]
const CONTENT_SIZE_BYTES = [0, 2, 4, 8]
/** A content size of two bytes begins here. */
const CONTENT_SIZE_TWO_MIN = 256

export type InflateOptions = {
  readonly rawBytes: number
  readonly windowLogMax: number
  /** The frame itself must say `rawBytes` as its content size. */
  readonly saysSize?: boolean
}

type Malformed = (why: string, cause?: unknown) => Fault

const inBackground = promisify(zstdDecompress) as (bytes: Buffer, options: ZstdOptions) => Promise<Buffer>

/** `malformed` makes the caller's fault. `stored` is never decompressed beyond `rawBytes`. */
export function inflateZstd(stored: Buffer, options: InflateOptions, malformed: Malformed): Buffer {
  checkFrame(stored, options, malformed)
  let raw: Buffer
  try {
    raw = zstdDecompressSync(stored, bounded(options))
  } catch (cause) {
    throw malformed(TOO_MUCH, cause)
  }
  return whole(raw, options, malformed)
}

/** The same on another thread; `stored` must not change meanwhile. */
export async function inflateZstdInBackground(
  stored: Buffer,
  options: InflateOptions,
  malformed: Malformed,
): Promise<Buffer> {
  checkFrame(stored, options, malformed)
  let raw: Buffer
  try {
    raw = await inBackground(stored, bounded(options))
  } catch (cause) {
    throw malformed(TOO_MUCH, cause)
  }
  return whole(raw, options, malformed)
}

const TOO_MUCH = 'it does not decompress within the declared size'

function checkFrame(stored: Buffer, { rawBytes, saysSize = false }: InflateOptions, malformed: Malformed): void {
  const frame = zstdFrame(stored)
  if (frame?.bytes !== stored.length) throw malformed('it is not one zstd frame without a dictionary')
  if (saysSize && frame.contentBytes !== rawBytes) throw malformed('its zstd frame is of another size')
}

const bounded = ({ rawBytes, windowLogMax }: InflateOptions): ZstdOptions => ({
  maxOutputLength: rawBytes,
  // One output buffer of the declared size, instead of many that are joined.
  chunkSize: Math.max(rawBytes, CHUNK_BYTES_MIN),
  params: { [constants.ZSTD_d_windowLogMax]: windowLogMax },
})

function whole(raw: Buffer, { rawBytes }: InflateOptions, malformed: Malformed): Buffer {
  if (raw.length !== rawBytes) throw malformed('it is shorter than declared')
  return raw
}

type ZstdFrame = {
  readonly bytes: number
  /** What it says it is the frame of; -1: it does not say. */
  readonly contentBytes: number
}

/** The zstd frame that `bytes` begins with; `null` when there is none, it is cut, or it wants a dictionary. */
function zstdFrame(bytes: Buffer): ZstdFrame | null {
  if (bytes.length < 6 || bytes.readUInt32LE(0) !== MAGIC) return null
  const descriptor = bytes[4] as number
  const singleSegment = (descriptor & 0x20) !== 0
  if ((descriptor & 0x18) !== 0 || DICTIONARY_ID_BYTES[descriptor & 3] !== 0) return null
  const sizeAt = singleSegment ? 5 : 6
  const sizeBytes = Math.max(singleSegment ? 1 : 0, CONTENT_SIZE_BYTES[descriptor >>> 6] as number)
  let at = sizeAt + sizeBytes
  if (at > bytes.length) return null
  const contentBytes = contentSize(bytes, sizeAt, sizeBytes)
  for (let last = false; !last; ) {
    if (at + 3 > bytes.length) return null
    const block = bytes.readUIntLE(at, 3)
    last = (block & 1) === 1
    const type = (block >>> 1) & 3
    if (type === BLOCK_RESERVED) return null
    at += 3 + (type === BLOCK_RLE ? 1 : block >>> 3)
  }
  return { bytes: at + ((descriptor & 0x04) !== 0 ? 4 : 0), contentBytes }
}

function contentSize(bytes: Buffer, at: number, sizeBytes: number): number {
  switch (sizeBytes) {
    case 0:
      return -1
    case 2:
      return CONTENT_SIZE_TWO_MIN + bytes.readUInt16LE(at)
    case 8:
      return Number(bytes.readBigUInt64LE(at))
    default:
      return bytes.readUIntLE(at, sizeBytes)
  }
}
