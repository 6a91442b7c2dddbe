import t from 'tap'
import { CHANNEL_BULK, CHANNEL_MESSAGES, FRAME_BATCH, FRAME_CHUNK_DATA, PREFACE } from './kinds.ts'
import { BATCH_FRAME_BYTES_MAX, BULK_FRAME_BYTES_MAX } from './limits.ts'
import { FrameReader } from './reader.ts'
import { frameOf } from './writer.ts'

t.test(
  'parts of large content come in one buffer, one after the other; other bodies are kept by whoever wants to',
  async (t) => {
    const bodies: Buffer[] = []
    const seen: string[] = []
    const reader = new FrameReader((_kind, _channel, body) => {
      bodies.push(body)
      seen.push(`${body.length} ${body[0]} ${body.at(-1)}`)
    })
    reader.batchBytesMax = BATCH_FRAME_BYTES_MAX
    const frames = [
      PREFACE,
      frameOf(FRAME_CHUNK_DATA, CHANNEL_BULK, Buffer.alloc(BULK_FRAME_BYTES_MAX, 1)),
      frameOf(FRAME_BATCH, CHANNEL_MESSAGES, Buffer.alloc(100_000, 2)),
      frameOf(FRAME_CHUNK_DATA, CHANNEL_BULK, Buffer.alloc(1000, 3)),
      frameOf(FRAME_BATCH, CHANNEL_MESSAGES, Buffer.alloc(100_000, 4)),
    ]
    const all = Buffer.concat(frames)
    for (let at = 0; at < all.length; at += 65_536) reader.push(all.subarray(at, at + 65_536))
    t.strictSame(seen, [`${BULK_FRAME_BYTES_MAX} 1 1`, '100000 2 2', '1000 3 3', '100000 4 4'])
    t.equal(bodies[0]?.buffer, bodies[2]?.buffer)
    t.equal(bodies[1]?.[0], 2, 'a batch is as it was')
  },
)
