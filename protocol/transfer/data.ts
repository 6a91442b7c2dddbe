// CHUNK_DATA: u32 transfer, u32 chunk, u32 offset, u32 length of the encoded chunk, then 1 … 262,144 bytes of the chunk, or of what
// encodes it (`coding.ts`): the offset is one in that. Of a chunk they come in their order; chunks come in any.

import {
  CHANNEL_BULK,
  CHUNK_DATA_BYTES_MAX,
  FRAME_CHUNK_DATA,
  FRAME_HEADER_BYTES,
  frameStart,
} from '#protocol/frame/mod.ts'
import { transferFault } from './faults.ts'

export const DATA_PREFIX_BYTES = 16

export type ChunkData = {
  readonly transfer: number
  readonly chunk: number
  readonly offset: number
  /** Of the whole chunk as it is sent; 0: it is not encoded. */
  readonly encodedBytes: number
  /** A view of the frame's body. */
  readonly bytes: Buffer
}

/** Frame header and prefix; `bytes` of the chunk are written right after. */
export function dataFrameStart(data: {
  transfer: number
  chunk: number
  offset: number
  encodedBytes?: number
  bytes: number
}): Buffer {
  const out = frameStart(FRAME_CHUNK_DATA, CHANNEL_BULK, DATA_PREFIX_BYTES, data.bytes)
  let at = out.writeUInt32LE(data.transfer, FRAME_HEADER_BYTES)
  at = out.writeUInt32LE(data.chunk, at)
  at = out.writeUInt32LE(data.offset, at)
  out.writeUInt32LE(data.encodedBytes ?? 0, at)
  return out
}

/** Faults: `TRANSFER_MALFORMED`. */
export function parseChunkData(body: Buffer): ChunkData {
  const bytes = body.length - DATA_PREFIX_BYTES
  if (bytes < 1 || bytes > CHUNK_DATA_BYTES_MAX) throw malformed()
  const offset = body.readUInt32LE(8)
  const encodedBytes = body.readUInt32LE(12)
  if (encodedBytes > 0 && offset + bytes > encodedBytes) throw malformed()
  return {
    transfer: body.readUInt32LE(0),
    chunk: body.readUInt32LE(4),
    offset,
    encodedBytes,
    bytes: body.subarray(DATA_PREFIX_BYTES),
  }
}

const malformed = () => transferFault('TRANSFER_MALFORMED', { where: 'frame CHUNK_DATA' })
