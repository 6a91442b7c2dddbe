// The frame reader: whatever arrives, however it is cut, gives the same frames and the same end.

import { createHash } from 'node:crypto'
import { assert, Fault } from '#protocol/base/mod.ts'
import { Random } from '#protocol/bytes/testing.ts'
import {
  BATCH_FRAME_BYTES_MAX,
  FLAG_IGNORABLE,
  FRAME_HEADER_BYTES,
  FrameReader,
  frameOf,
  frameRules,
  PREFACE,
} from '#protocol/frame/mod.ts'
import { mutated } from './mutate.ts'
import type { Target } from './target.ts'

type Read = { readonly frames: string[]; readonly fault: Fault | null; readonly bytes: number }

/** Bodies are looked at when everything was read: by then whoever kept them must still have the same bytes. */
function read(pieces: Iterable<Buffer>): Read {
  const kept: [number, number, Buffer][] = []
  const reader = new FrameReader((kind, channel, body) => kept.push([kind, channel, body]))
  reader.batchBytesMax = BATCH_FRAME_BYTES_MAX
  let fault: Fault | null = null
  try {
    for (const piece of pieces) reader.push(piece)
    reader.end()
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    fault = error
  }
  const frames = kept.map(([kind, channel, body]) => `${kind} ${channel} ${body.length} ${body.toString('latin1')}`)
  return { frames, fault, bytes: kept.reduce((sum, [, , body]) => sum + body.length, 0) }
}

/** All pieces in one buffer, each overwrites the one before: as sockets are read. */
function* cut(input: Buffer, random: Random): Generator<Buffer> {
  const received = Buffer.alloc(60)
  for (let at = 0; at < input.length; ) {
    const length = random.below(random.oneIn(3) ? 60 : 10)
    yield received.subarray(0, input.copy(received, 0, at, Math.min(at + length, input.length)))
    at += length
  }
}

function streamOf(random: Random): Buffer {
  const parts: Buffer[] = [PREFACE]
  for (let i = random.below(5); i >= 0; i--) {
    const [kind, rule] = random.pick(frameRules)
    parts.push(frameOf(kind, random.pick(rule.channels), random.bytes(random.below(random.oneIn(6) ? 200 : 20))))
    const frame = parts.at(-1) as Buffer
    if (random.oneIn(12)) parts.push(frame)
    if (random.oneIn(12)) frame[4] = random.u32()
    if (random.oneIn(20)) frame.set([0x80 | random.below(64), FLAG_IGNORABLE], 4)
    if (random.oneIn(12)) frame[5] = random.pick([0x80, 0x01, 0x81])
  }
  return Buffer.concat(parts)
}

export const frames: Target = {
  name: 'frames',
  share: 0.34,
  layers: { preface: 0.6, frame: 0.5, clean: 0.1, ignored: 0.005 },
  make(random) {
    if (random.oneIn(20))
      return Buffer.concat([random.oneIn(2) ? PREFACE : Buffer.alloc(0), random.bytes(random.below(60))])
    const stream = streamOf(random)
    if (random.oneIn(8)) return stream
    // Damage behind the preface mostly: before it there is nothing to find.
    if (random.oneIn(8)) return mutated(random, stream, streamOf(random))
    return Buffer.concat([PREFACE, mutated(random, stream.subarray(8), streamOf(random).subarray(8))])
  },
  run(input, reach) {
    const whole = read([input])
    const seed = createHash('sha256').update(input).digest().readUInt32LE(0)
    const pieces = read(cut(input, new Random(seed)))
    assert(
      whole.fault?.code === pieces.fault?.code,
      `cut up it ends with ${pieces.fault?.code}, not ${whole.fault?.code}`,
    )
    assert(whole.frames.join() === pieces.frames.join(), 'cut up it gives the same frames')
    assert(whole.frames.length <= input.length / FRAME_HEADER_BYTES, 'a frame takes at least its header')
    assert(whole.bytes <= input.length, 'bodies are part of the input')
    if (input.length >= PREFACE.length && whole.fault?.code !== 'PREFACE_WRONG') reach('preface')
    if (whole.frames.length > 0) reach('frame')
    if (whole.fault === null && whole.bytes + whole.frames.length * 8 + 8 < input.length) reach('ignored')
    if (whole.fault !== null) throw whole.fault
    reach('clean')
    return input.length
  },
}
