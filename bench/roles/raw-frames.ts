// Frames of the ceiling: u32le length of the body, then the body; nothing of the product. A batch's body is messages, each
// u32le length and bytes.

import type { Socket } from 'node:net'

export const HEADER_BYTES = 4

/** Calls `onFrame` with each whole frame, header included. Frames are valid for as long as they are held. */
export function readFrames(socket: Socket, onFrame: (frame: Buffer) => void): void {
  let held: Buffer[] = []
  let heldBytes = 0
  socket.on('data', (chunk: Buffer) => {
    held.push(chunk)
    heldBytes += chunk.length
    for (let neededBytes = frameBytes(held); heldBytes >= neededBytes; neededBytes = frameBytes(held)) {
      const all = held.length === 1 ? (held[0] as Buffer) : Buffer.concat(held, heldBytes)
      onFrame(all.subarray(0, neededBytes))
      const rest = all.subarray(neededBytes)
      held = rest.length > 0 ? [rest] : []
      heldBytes = rest.length
    }
  })
}

/** Of the first frame that is held; more than can be held while its header is not whole. */
function frameBytes(held: readonly Buffer[]): number {
  const [first] = held
  if (first === undefined) return Number.POSITIVE_INFINITY
  if (first.length >= HEADER_BYTES) return HEADER_BYTES + first.readUInt32LE(0)
  const start = Buffer.concat(held.slice(0, HEADER_BYTES))
  return start.length < HEADER_BYTES ? Number.POSITIVE_INFINITY : HEADER_BYTES + start.readUInt32LE(0)
}

/** Calls `onMessage` with the offset of each message's body; returns how many there are. */
export function eachMessage(frame: Buffer, onMessage: (offset: number) => void): number {
  let count = 0
  for (let at = HEADER_BYTES; at < frame.length; count++) {
    const bytes = frame.readUInt32LE(at)
    onMessage(at + HEADER_BYTES)
    at += HEADER_BYTES + bytes
  }
  return count
}
