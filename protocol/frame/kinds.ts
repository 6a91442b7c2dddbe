// The table of frame kinds and channels: wire numbers as literals, never reused. Retired numbers stay listed here.

/** What both sides send first: "CWAY", then bytes that any text-mode or 7-bit transport would damage. */
export const PREFACE = Buffer.from([0x43, 0x57, 0x41, 0x59, 0x0d, 0x0a, 0x9a, 0x0a])

export const FRAME_HEADER_BYTES = 8

/** Flag: a receiver that does not know this kind skips the frame instead of closing. */
export const FLAG_IGNORABLE = 0x80
const FLAGS_KNOWN = FLAG_IGNORABLE

export const CHANNEL_CONTROL = 0
export const CHANNEL_URGENT = 1
export const CHANNEL_MESSAGES = 2
export const CHANNEL_RECEIPTS = 3
export const CHANNEL_BULK = 4
export const CHANNEL_LAST = CHANNEL_BULK

// Handshake, control channel.
export const FRAME_HELLO = 0x01
export const FRAME_PROOF = 0x02
export const FRAME_READY = 0x03
export const FRAME_ENROLL = 0x04
export const FRAME_ENROLLED = 0x05
// Connection, control channel.
export const FRAME_PING = 0x06
export const FRAME_PONG = 0x07
export const FRAME_CLOSE = 0x08
export const FRAME_CREDIT = 0x09
export const FRAME_FAILED = 0x0a
// Producing.
export const FRAME_OPEN_STREAM = 0x10
export const FRAME_STREAM_OPENED = 0x11
export const FRAME_BATCH = 0x12
export const FRAME_ACCEPTED = 0x13
export const FRAME_REFUSED = 0x14
// Consuming.
export const FRAME_SUBSCRIBE = 0x20
export const FRAME_SUBSCRIBED = 0x21
export const FRAME_UNSUBSCRIBE = 0x22
export const FRAME_DELIVER = 0x23
export const FRAME_SETTLE = 0x24
export const FRAME_SETTLED = 0x25
export const FRAME_ORIGIN = 0x26
export const FRAME_REPLAY = 0x27
export const FRAME_REPLAYED = 0x28
// Transfers.
export const FRAME_OPEN_TRANSFER = 0x30
export const FRAME_TRANSFER_OPENED = 0x31
export const FRAME_FETCH = 0x32
export const FRAME_FETCHED = 0x33
export const FRAME_CHUNKS = 0x34
export const FRAME_WANT = 0x35
export const FRAME_CHUNK_DATA = 0x36
export const FRAME_STORED = 0x37
export const FRAME_SEAL = 0x38
export const FRAME_SEALED = 0x39
export const FRAME_END_TRANSFER = 0x3a
// Retired: none.

export type FrameRule = {
  readonly name: string
  /**
   * `control` bodies are small protobuf messages; `batch` bodies carry sealed batches and follow the agreed limit; `bulk` ones
   * carry a part of large content.
   */
  readonly size: 'handshake' | 'control' | 'batch' | 'bulk'
  readonly channels: readonly number[]
}

const control = [CHANNEL_CONTROL]
const receipts = [CHANNEL_RECEIPTS]
const bulk = [CHANNEL_BULK]
const carriers = [CHANNEL_URGENT, CHANNEL_MESSAGES, CHANNEL_BULK]

const rules: readonly (readonly [number, FrameRule])[] = [
  [FRAME_HELLO, { name: 'HELLO', size: 'handshake', channels: control }],
  [FRAME_PROOF, { name: 'PROOF', size: 'handshake', channels: control }],
  [FRAME_READY, { name: 'READY', size: 'handshake', channels: control }],
  [FRAME_ENROLL, { name: 'ENROLL', size: 'handshake', channels: control }],
  [FRAME_ENROLLED, { name: 'ENROLLED', size: 'handshake', channels: control }],
  [FRAME_PING, { name: 'PING', size: 'control', channels: control }],
  [FRAME_PONG, { name: 'PONG', size: 'control', channels: control }],
  [FRAME_CLOSE, { name: 'CLOSE', size: 'control', channels: control }],
  [FRAME_CREDIT, { name: 'CREDIT', size: 'control', channels: control }],
  [FRAME_FAILED, { name: 'FAILED', size: 'control', channels: control }],
  [FRAME_OPEN_STREAM, { name: 'OPEN_STREAM', size: 'control', channels: control }],
  [FRAME_STREAM_OPENED, { name: 'STREAM_OPENED', size: 'control', channels: control }],
  [FRAME_BATCH, { name: 'BATCH', size: 'batch', channels: carriers }],
  [FRAME_ACCEPTED, { name: 'ACCEPTED', size: 'control', channels: receipts }],
  [FRAME_REFUSED, { name: 'REFUSED', size: 'control', channels: receipts }],
  [FRAME_SUBSCRIBE, { name: 'SUBSCRIBE', size: 'control', channels: control }],
  [FRAME_SUBSCRIBED, { name: 'SUBSCRIBED', size: 'control', channels: control }],
  [FRAME_UNSUBSCRIBE, { name: 'UNSUBSCRIBE', size: 'control', channels: control }],
  [FRAME_DELIVER, { name: 'DELIVER', size: 'batch', channels: carriers }],
  [FRAME_SETTLE, { name: 'SETTLE', size: 'control', channels: receipts }],
  [FRAME_SETTLED, { name: 'SETTLED', size: 'control', channels: receipts }],
  [FRAME_ORIGIN, { name: 'ORIGIN', size: 'control', channels: control }],
  [FRAME_REPLAY, { name: 'REPLAY', size: 'control', channels: control }],
  [FRAME_REPLAYED, { name: 'REPLAYED', size: 'control', channels: control }],
  [FRAME_OPEN_TRANSFER, { name: 'OPEN_TRANSFER', size: 'control', channels: control }],
  [FRAME_TRANSFER_OPENED, { name: 'TRANSFER_OPENED', size: 'control', channels: control }],
  [FRAME_FETCH, { name: 'FETCH', size: 'control', channels: control }],
  [FRAME_FETCHED, { name: 'FETCHED', size: 'control', channels: control }],
  [FRAME_CHUNKS, { name: 'CHUNKS', size: 'control', channels: control }],
  [FRAME_WANT, { name: 'WANT', size: 'control', channels: receipts }],
  [FRAME_CHUNK_DATA, { name: 'CHUNK_DATA', size: 'bulk', channels: bulk }],
  [FRAME_STORED, { name: 'STORED', size: 'control', channels: receipts }],
  [FRAME_SEAL, { name: 'SEAL', size: 'control', channels: control }],
  [FRAME_SEALED, { name: 'SEALED', size: 'control', channels: receipts }],
  [FRAME_END_TRANSFER, { name: 'END_TRANSFER', size: 'control', channels: control }],
]

const byKind: (FrameRule | undefined)[] = new Array(256).fill(undefined)
for (const [kind, rule] of rules) byKind[kind] = rule

/** The rule of a kind, or `undefined` when this version does not know it. */
export function frameRule(kind: number): FrameRule | undefined {
  return byKind[kind]
}

/** All kinds this version knows, for the specification's table. */
export const frameRules = rules

export function flagsAreKnown(flags: number): boolean {
  return (flags & ~FLAGS_KNOWN) === 0
}
