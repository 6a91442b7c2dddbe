// The fixed bytes before the sealed batch in BATCH and DELIVER bodies. Little-endian; reserved bytes are zero.

import { readU53, writeU53 } from '#protocol/bytes/mod.ts'
import { FRAME_BATCH, FRAME_DELIVER, FRAME_HEADER_BYTES, frameStart } from '#protocol/frame/mod.ts'
import { sessionFault } from './faults.ts'

/** BATCH: u32 stream id, u32 zero. */
export const BATCH_PREFIX_BYTES = 8

/** DELIVER: u32 consumer, u8 form, u8 attempt, u16 lane, u64 position, u64 floor, u32 count, u32 zero. */
export const DELIVER_PREFIX_BYTES = 32

export const PRIORITIES = 3
export const PARTITIONS_MAX = 64
/** Lanes of one queue: each partition has one for each priority. */
export const LANES_MAX = PARTITIONS_MAX * PRIORITIES

export const FORM_BATCH = 0
export const FORM_EXTRACT = 1
/** As FORM_EXTRACT, but a whole batch sealed by the hub: its messages came out of one that its origin sealed without a tree. */
export const FORM_HUB_SEALED = 2

export type DeliverPrefix = {
  readonly consumer: number
  readonly form: number
  /** 1 at the first delivery; stays at 255. */
  readonly attempt: number
  /** Which lane of the queue: partition * 3 + priority (0 normal, 1 urgent, 2 bulk). */
  readonly lane: number
  /** Position of the first message in its lane; the others follow without gaps. */
  readonly position: number
  /** Every position below is settled. */
  readonly floor: number
  readonly count: number
}

/** Frame header and prefix for a batch of `batchBytes`, which is written right after. */
export function batchFrameStart(channel: number, streamId: number, batchBytes: number): Buffer {
  const out = frameStart(FRAME_BATCH, channel, BATCH_PREFIX_BYTES, batchBytes)
  out.writeUInt32LE(streamId, FRAME_HEADER_BYTES)
  out.writeUInt32LE(0, FRAME_HEADER_BYTES + 4)
  return out
}

/** The stream id before a batch. Faults: `SESSION_BODY_INVALID`. */
export function parseBatchPrefix(body: Buffer): number {
  if (body.length <= BATCH_PREFIX_BYTES || body.readUInt32LE(4) !== 0) {
    throw sessionFault('SESSION_BODY_INVALID', { where: 'frame BATCH' })
  }
  return body.readUInt32LE(0)
}

export function deliverFrameStart(channel: number, prefix: DeliverPrefix, contentBytes: number): Buffer {
  const out = frameStart(FRAME_DELIVER, channel, DELIVER_PREFIX_BYTES, contentBytes)
  let at = out.writeUInt32LE(prefix.consumer, FRAME_HEADER_BYTES)
  out[at++] = prefix.form
  out[at++] = Math.min(prefix.attempt, 255)
  at = out.writeUInt16LE(prefix.lane, at)
  at = writeU53(out, at, prefix.position)
  at = writeU53(out, at, prefix.floor)
  at = out.writeUInt32LE(prefix.count, at)
  out.writeUInt32LE(0, at)
  return out
}

/** Faults: `SESSION_BODY_INVALID`. */
export function parseDeliverPrefix(body: Buffer): DeliverPrefix {
  const invalid = sessionFault.bind(null, 'SESSION_BODY_INVALID', { where: 'frame DELIVER' })
  if (body.length <= DELIVER_PREFIX_BYTES) throw invalid()
  const form = body[4] as number
  const lane = body.readUInt16LE(6)
  if (form > FORM_HUB_SEALED || lane >= LANES_MAX || body.readUInt32LE(28) !== 0) throw invalid()
  return {
    consumer: body.readUInt32LE(0),
    form,
    attempt: body[5] as number,
    lane,
    position: readU53(body, 8, 'frame DELIVER'),
    floor: readU53(body, 16, 'frame DELIVER'),
    count: body.readUInt32LE(24),
  }
}
