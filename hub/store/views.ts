// A message as an operator sees it.

import type { Batch } from '#protocol/codec/mod.ts'
import { type Entry, placesOf } from './entry.ts'
import type { Lane } from './lane.ts'

const PREVIEW_BYTES = 200

export function messageView(
  { lane, entry, batch }: { lane: Lane; entry: Entry; batch: Batch | null },
  position: number,
  from: string | null,
) {
  const place = placesOf(entry, position - entry.position, 1)[0] ?? 0
  const message = batch?.messages()(place)
  const body = message?.body ?? Buffer.from(entry.note)
  const head = batch?.head
  return {
    id: {
      origin: head?.origin ?? '',
      stream: head?.stream ?? lane.queue.info.name,
      epoch: head?.epoch ?? 0,
      seq: (head?.firstSeq ?? position) + place,
    },
    lane: lane.number,
    position,
    topic: message?.envelope.topic ?? '',
    headers: message?.envelope.headers ?? {},
    key: message === undefined || message.key.length === 0 ? null : printable(message.key),
    bodyBytes: body.length,
    preview: printable(body.subarray(0, PREVIEW_BYTES)),
    acceptedAtMs: entry.storedAtMs,
    attempts: entry.attempts,
    reason: batch === null ? '' : entry.note,
    from,
    inFlight: !lane.waits(position),
    expiresAtMs: entry.expiresAtMs === 0 ? null : entry.expiresAtMs,
  }
}

/** UTF-8 with what cannot be printed as "·"; other bytes in hexadecimal. */
function printable(bytes: Buffer): string {
  const text = bytes.toString('utf8')
  // A character cut at the end is no reason to take the rest for binary.
  const whole = text.endsWith('\ufffd') ? text.slice(0, -1) : text
  if (whole.includes('\ufffd')) return bytes.toString('hex')
  return whole.replace(/\p{C}/gu, '·')
}
