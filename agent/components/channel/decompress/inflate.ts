// Decompression within bounds: zlib gives its output piece by piece, and what goes beyond is never made, whatever headers claim.

import { promisify } from 'node:util'
import {
  constants,
  gunzip,
  type InputType,
  inflate,
  inflateRaw,
  type ZlibOptions,
  type ZstdOptions,
  zstdDecompress,
} from 'node:zlib'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import {
  compressFault,
  FRAMES_MAX,
  PIECE_BYTES_MAX,
  PIECE_BYTES_MIN,
  RATIO_FREE_BYTES,
  ZSTD_WINDOW_LOG_MAX,
} from '../compress/mod.ts'

type Info = { readonly buffer: Buffer; readonly engine: { readonly bytesWritten: number } }
type Inflater = (bytes: InputType, options: ZlibOptions & { info: true }) => Promise<Info>

const INFLATERS = {
  gzip: promisify(gunzip) as unknown as Inflater,
  deflate: promisify(inflate) as unknown as Inflater,
  'deflate-raw': promisify(inflateRaw) as unknown as Inflater,
}
const unzstd = promisify(zstdDecompress) as unknown as (
  bytes: InputType,
  options: ZstdOptions & { info: true },
) => Promise<Info>

export type Coding = 'gzip' | 'deflate' | 'deflate-raw' | 'zstd'

/** What may come out of an item, and why not more. */
export type Bounds = { readonly outputBytesMax: number; readonly ratioMax: number }

/** The bytes that may come of `inputBytes`, and the fault when there are more. */
export function outputBound(
  inputBytes: number,
  { outputBytesMax, ratioMax }: Bounds,
): { bytes: number; beyond(): Fault } {
  const byRatio = Math.max(RATIO_FREE_BYTES, inputBytes * ratioMax)
  return byRatio < outputBytesMax
    ? {
        bytes: byRatio,
        beyond: () =>
          compressFault('DECOMPRESSED_RATIO', {
            why: `more than ${ratioMax} times ${inputBytes} bytes`,
            limitBytes: byRatio,
          }),
      }
    : {
        bytes: outputBytesMax,
        beyond: () =>
          compressFault('DECOMPRESSED_TOO_LARGE', {
            why: `more than ${outputBytesMax} bytes`,
            limitBytes: outputBytesMax,
          }),
      }
}

/** All of `bytes` must be in the format. Faults: `COMPRESSED_INVALID`, and what `beyond` gives when it is more than `limitBytes`. */
export async function inflated(
  coding: Coding,
  bytes: Buffer,
  { limitBytes, beyond }: { readonly limitBytes: number; beyond(): Fault },
): Promise<Buffer> {
  try {
    if (coding === 'zstd') return await inflatedFrames(bytes, limitBytes)
    const { buffer, engine } = await INFLATERS[coding](bytes, { ...pieces(bytes, limitBytes), info: true })
    if (engine.bytesWritten !== bytes.length) throw trailing(engine.bytesWritten)
    return buffer
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ERR_BUFFER_TOO_LARGE') throw beyond()
    if (code !== undefined && /^(?:Z_|ZSTD_)/.test(code)) {
      throw compressFault('COMPRESSED_INVALID', { why: (error as Error).message, cause: error })
    }
    throw asFault(error)
  }
}

/** One frame after the other (RFC 8878, section 3.1): the library itself stops after the first. */
async function inflatedFrames(bytes: Buffer, limitBytes: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let left = limitBytes
  let at = 0
  for (let frames = 0; at < bytes.length || frames === 0; frames += 1) {
    if (frames === FRAMES_MAX)
      throw compressFault('COMPRESSED_INVALID', { why: `more than ${FRAMES_MAX} frames`, position: at })
    const rest = bytes.subarray(at)
    if (isSkippable(rest)) {
      const end = 8 + rest.readUInt32LE(4)
      if (end > rest.length)
        throw compressFault('COMPRESSED_INVALID', { why: 'a skippable frame is cut', position: at })
      at += end
      continue
    }
    // Zero is no bound for the library; one byte more than is left is one too many all the same.
    const params = { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX }
    const { buffer, engine } = await unzstd(rest, { ...pieces(rest, Math.max(left, 1)), params, info: true })
    if (engine.bytesWritten === 0 || buffer.length > left) {
      throw buffer.length > left ? Object.assign(new Error(), { code: 'ERR_BUFFER_TOO_LARGE' }) : trailing(at)
    }
    parts.push(buffer)
    left -= buffer.length
    at += engine.bytesWritten
  }
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
}

const isSkippable = (bytes: Buffer): boolean =>
  bytes.length >= 8 && (bytes.readUInt32LE(0) & 0xffff_fff0) >>> 0 === 0x184d_2a50

function pieces(bytes: Buffer, limitBytes: number): { chunkSize: number; maxOutputLength: number } {
  const chunkSize = Math.min(PIECE_BYTES_MAX, Math.max(PIECE_BYTES_MIN, bytes.length * 4))
  return { chunkSize, maxOutputLength: limitBytes }
}

const trailing = (position: number): Fault =>
  compressFault('COMPRESSED_INVALID', { why: `something else follows, at ${position}`, position })
