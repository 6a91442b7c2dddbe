// CHUNK_DATA: u32 transfer, u32 chunk, u32 offset in the chunk, u32 zero, then 1 … 262,144 bytes of the chunk. Of a chunk they
// come in their order; chunks come in any.

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
  /** A view of the frame's body. */
  readonly bytes: Buffer
}

/** Frame header and prefix; `bytes` of the chunk are written right after. */
export function dataFrameStart(data: { transfer: number; chunk: number; offset: number; bytes: number }): Buffer {
  const out = frameStart(FRAME_CHUNK_DATA, CHANNEL_BULK, DATA_PREFIX_BYTES, data.bytes)
  let at = out.writeUInt32LE(data.transfer, FRAME_HEADER_BYTES)
  at = out.writeUInt32LE(data.chunk, at)
  at = out.writeUInt32LE(data.offset, at)
  out.writeUInt32LE(0, at)
  return out
}

/** Faults: `TRANSFER_MALFORMED`. */
export function parseChunkData(body: Buffer): ChunkData {
  const bytes = body.length - DATA_PREFIX_BYTES
  if (bytes < 1 || bytes > CHUNK_DATA_BYTES_MAX || body.readUInt32LE(12) !== 0) {
    throw transferFault('TRANSFER_MALFORMED', { where: 'frame CHUNK_DATA' })
  }
  return {
    transfer: body.readUInt32LE(0),
    chunk: body.readUInt32LE(4),
    offset: body.readUInt32LE(8),
    bytes: body.subarray(DATA_PREFIX_BYTES),
  }
}
