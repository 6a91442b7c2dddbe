// Frames in and out: small control frames many to a chunk, and batches that span chunks.

import { CHANNEL_MESSAGES, CHANNEL_RECEIPTS, FRAME_SETTLE, FrameReader, frameOf, PREFACE } from '#protocol/frame/mod.ts'
import { batchFrameStart } from '#protocol/session/mod.ts'
import { sealed } from './samples.ts'
import type { Suite } from './suite.ts'

const CHUNK_BYTES = 64 * 1024
const SMALL_BYTES = 32

export function frame(): Suite {
  const small = Buffer.alloc(SMALL_BYTES, 1)
  const perChunk = Math.floor(CHUNK_BYTES / frameOf(FRAME_SETTLE, CHANNEL_RECEIPTS, small).length)
  const smallChunk = Buffer.concat(
    Array.from({ length: perChunk }, () => frameOf(FRAME_SETTLE, CHANNEL_RECEIPTS, small)),
  )
  const batch = sealed({ compression: 'none', tree: false })
  const large = Buffer.concat([batchFrameStart(CHANNEL_MESSAGES, 1, batch.length), batch])
  const largeChunks = Array.from({ length: Math.ceil(large.length / CHUNK_BYTES) }, (_, i) =>
    large.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES),
  )
  let frames = 0
  const reader = new FrameReader(() => frames++)
  reader.batchBytesMax = 2 * large.length
  reader.push(Buffer.from(PREFACE))
  return {
    cases: [
      {
        name: 'write a frame of 32 B',
        unit: 'frames',
        perRun: perChunk,
        run: () => {
          for (let i = 0; i < perChunk; i++) frameOf(FRAME_SETTLE, CHANNEL_RECEIPTS, small)
        },
      },
      { name: 'read frames of 32 B from 64 KiB', unit: 'frames', perRun: perChunk, run: () => reader.push(smallChunk) },
      {
        name: 'read a batch of 256 KiB in chunks of 64 KiB',
        unit: 'frames',
        perRun: 1,
        run: () => {
          for (const chunk of largeChunks) reader.push(chunk)
        },
      },
    ],
  }
}
