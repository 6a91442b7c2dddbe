// Frames out: a header of 8 bytes, little-endian: u32 body length, u8 kind, u8 flags, u16 channel.

import { FRAME_HEADER_BYTES } from './kinds.ts'

/** Writes a frame header at `at`; gives the offset after it. */
export function writeFrameHeader(out: Buffer, at: number, kind: number, channel: number, bodyBytes: number): number {
  out.writeUInt32LE(bodyBytes, at)
  out[at + 4] = kind
  out[at + 5] = 0
  return out.writeUInt16LE(channel, at + 6)
}

/** A whole small frame in one buffer. */
export function frameOf(kind: number, channel: number, body: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(FRAME_HEADER_BYTES + body.length)
  out.set(body, writeFrameHeader(out, 0, kind, channel, body.length))
  return out
}

/** A buffer that holds the header and room for `prefixBytes`; the frame goes on with `tailBytes` written separately. */
export function frameStart(kind: number, channel: number, prefixBytes: number, tailBytes: number): Buffer {
  const out = Buffer.allocUnsafe(FRAME_HEADER_BYTES + prefixBytes)
  writeFrameHeader(out, 0, kind, channel, prefixBytes + tailBytes)
  return out
}
