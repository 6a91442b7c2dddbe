// The head of a batch: who sealed it, where it stands in its stream, how large its parts are, what they hash to.
// Layout in protocol/spec, section "Batch". `parseHead` is the only place that turns these bytes into values.

import { decodeText, readU53, writeU53 } from '#protocol/bytes/mod.ts'
import { DIGEST_BYTES, ed25519, KEY_ID_BYTES, SUITE_NONE, suiteOf } from '#protocol/crypto/mod.ts'
import { INDEX_BYTES_MAX, PAYLOAD_RAW_BYTES_MAX } from '#protocol/frame/mod.ts'
import { codecFault } from './faults.ts'
import { BATCH_MESSAGES_MAX, ENVELOPES_MAX, NAME_BYTES_MAX } from './limits.ts'

/** "CWB1" */
const MAGIC = 0x31425743
export const FLAG_ZSTD = 0x01
export const FLAG_TREE = 0x02
/** The origin wants to be told what became of each message in the end. */
export const FLAG_RECEIPT_FINAL = 0x04
/** And when it was delivered. */
export const FLAG_RECEIPT_DELIVERED = 0x08
const FLAGS_KNOWN = FLAG_ZSTD | FLAG_TREE | FLAG_RECEIPT_FINAL | FLAG_RECEIPT_DELIVERED

const CONTENT_DIGEST_AT = 56
const ROOT_AT = 88
const KEY_ID_AT = 120
const NAMES_AT = 128
const CHECK_BYTES = 8
const ZEROS = Buffer.alloc(DIGEST_BYTES)
/** Fixed part, two length bytes and the signature's length. */
const HEAD_BYTES_MIN = NAMES_AT + 2 + 2 + CHECK_BYTES
const HEAD_BYTES_MAX = HEAD_BYTES_MIN + 2 * NAME_BYTES_MAX + 512
/** What a signature is made over begins with this, so that it can never be taken for a signature of something else. */
const SIGNATURE_CONTEXT = Buffer.from('causeway batch v1\0')

export type BatchHead = {
  readonly suite: number
  readonly flags: number
  readonly headBytes: number
  readonly count: number
  readonly indexBytes: number
  readonly payloadBytes: number
  readonly payloadRawBytes: number
  readonly dictionaryId: number
  readonly envelopeCount: number
  readonly firstSeq: number
  readonly epoch: number
  readonly sealedAtMs: number
  readonly origin: string
  readonly stream: string
  /** Where what the signature covers ends; the signature follows after two length bytes. */
  readonly signedBytes: number
  readonly signatureBytes: number
  /** The head's own bytes: a view of the batch. */
  readonly bytes: Buffer
}

export type HeadInput = Omit<BatchHead, 'headBytes' | 'signedBytes' | 'signatureBytes' | 'bytes'> & {
  readonly contentDigest: Buffer
  /** Of the signing key; `null` for an unsigned batch. */
  readonly keyId: Buffer | null
  /** 32 bytes as latin1, or the empty string without `FLAG_TREE`. */
  readonly root: string
  readonly sign: ((bytes: Buffer) => Buffer) | null
}

/** Bytes of the head of a batch with these names and suite. Faults: `BATCH_MALFORMED` for a name that is empty or too long. */
export function headSize({ origin, stream, suite }: { origin: string; stream: string; suite: number }): number {
  const originBytes = Buffer.byteLength(origin)
  const streamBytes = Buffer.byteLength(stream)
  if (originBytes === 0 || originBytes > NAME_BYTES_MAX || streamBytes === 0 || streamBytes > NAME_BYTES_MAX) {
    throw codecFault('BATCH_MALFORMED', { why: 'an origin or stream name is empty or too long' })
  }
  const signatureBytes = suite === SUITE_NONE ? 0 : suiteOf(suite).signatureBytes
  return NAMES_AT + 2 + originBytes + streamBytes + 2 + signatureBytes + CHECK_BYTES
}

/** A head in a buffer of its own. */
export function encodeHead(input: HeadInput): Buffer {
  const out = Buffer.alloc(headSize(input))
  writeHead(out, input)
  return out
}

/** Writes and signs a head of `headSize` bytes at the start of `out`. */
export function writeHead(out: Buffer, input: HeadInput): void {
  const originBytes = Buffer.byteLength(input.origin)
  const streamBytes = Buffer.byteLength(input.stream)
  const signedBytes = NAMES_AT + 2 + originBytes + streamBytes
  const signatureBytes = input.suite === SUITE_NONE ? 0 : suiteOf(input.suite).signatureBytes
  const headBytes = signedBytes + 2 + signatureBytes + CHECK_BYTES
  out.fill(0, 0, headBytes)
  out.writeUInt32LE(MAGIC, 0)
  out[4] = input.suite
  out[5] = input.flags
  out.writeUInt16LE(headBytes, 6)
  out.writeUInt32LE(input.count, 8)
  out.writeUInt32LE(input.indexBytes, 12)
  out.writeUInt32LE(input.payloadBytes, 16)
  out.writeUInt32LE(input.payloadRawBytes, 20)
  out.writeUInt32LE(input.dictionaryId, 24)
  out.writeUInt32LE(input.envelopeCount, 28)
  writeU53(out, 32, input.firstSeq)
  writeU53(out, 40, input.epoch)
  writeU53(out, 48, input.sealedAtMs)
  input.contentDigest.copy(out, CONTENT_DIGEST_AT)
  if (input.root !== '') out.write(input.root, ROOT_AT, 'latin1')
  input.keyId?.copy(out, KEY_ID_AT)
  let at = NAMES_AT
  out[at++] = originBytes
  at += out.write(input.origin, at)
  out[at++] = streamBytes
  at += out.write(input.stream, at)
  at = out.writeUInt16LE(signatureBytes, at)
  if (input.sign !== null) at += input.sign(signedPart(out, signedBytes)).copy(out, at)
  ed25519.digest(out.subarray(0, at)).copy(out, at, 0, CHECK_BYTES)
}

/**
 * Parses and checks the head that `bytes` begins with: sizes against limits, names, its check bytes. Not the signature.
 * Faults: `BATCH_MALFORMED`, `BATCH_TOO_LARGE`, `BATCH_DAMAGED`.
 */
export function parseHead(bytes: Buffer): BatchHead {
  const headBytes = bytes.length < HEAD_BYTES_MIN ? 0 : bytes.readUInt16LE(6)
  if (headBytes < HEAD_BYTES_MIN || headBytes > HEAD_BYTES_MAX || headBytes > bytes.length) {
    throw codecFault('BATCH_MALFORMED', { why: 'the head is cut' })
  }
  if (bytes.readUInt32LE(0) !== MAGIC) throw codecFault('BATCH_MALFORMED', { why: 'it does not begin with "CWB1"' })
  const checkAt = headBytes - CHECK_BYTES
  const check = ed25519.digest(bytes.subarray(0, checkAt))
  if (check.compare(bytes, checkAt, headBytes, 0, CHECK_BYTES) !== 0) {
    throw codecFault('BATCH_DAMAGED', { where: 'head' })
  }
  const originBytes = bytes[NAMES_AT] as number
  const streamAt = NAMES_AT + 1 + originBytes
  if (streamAt + 1 > checkAt) throw codecFault('BATCH_MALFORMED', { why: 'the head is cut' })
  const streamBytes = bytes[streamAt] as number
  const signedBytes = streamAt + 1 + streamBytes
  if (signedBytes + 2 > checkAt) throw codecFault('BATCH_MALFORMED', { why: 'the head is cut' })
  const head: BatchHead = {
    suite: bytes[4] as number,
    flags: bytes[5] as number,
    headBytes,
    count: bytes.readUInt32LE(8),
    indexBytes: bytes.readUInt32LE(12),
    payloadBytes: bytes.readUInt32LE(16),
    payloadRawBytes: bytes.readUInt32LE(20),
    dictionaryId: bytes.readUInt32LE(24),
    envelopeCount: bytes.readUInt32LE(28),
    firstSeq: readU53(bytes, 32, 'batch head'),
    epoch: readU53(bytes, 40, 'batch head'),
    sealedAtMs: readU53(bytes, 48, 'batch head'),
    origin: decodeText(bytes.subarray(NAMES_AT + 1, streamAt), 'origin'),
    stream: decodeText(bytes.subarray(streamAt + 1, signedBytes), 'stream'),
    signedBytes,
    signatureBytes: bytes.readUInt16LE(signedBytes),
    bytes: bytes.subarray(0, headBytes),
  }
  checkHead(head)
  return head
}

function checkHead(head: BatchHead): void {
  const malformed = (why: string): never => {
    throw codecFault('BATCH_MALFORMED', { why })
  }
  const tooLarge = (why: string): never => {
    throw codecFault('BATCH_TOO_LARGE', { why })
  }
  if ((head.flags & ~FLAGS_KNOWN) !== 0) malformed('it sets reserved flags')
  if (head.signedBytes + 2 + head.signatureBytes + CHECK_BYTES !== head.headBytes) malformed('the signature is cut')
  const wanted = head.suite === SUITE_NONE ? 0 : suiteOf(head.suite).signatureBytes
  if (head.signatureBytes !== wanted) malformed("the signature's length is wrong")
  if (head.count === 0 || head.envelopeCount === 0 || head.envelopeCount > head.count) malformed('its counts are wrong')
  if (head.count > BATCH_MESSAGES_MAX) tooLarge(`${head.count} messages, ${BATCH_MESSAGES_MAX} allowed`)
  if (head.envelopeCount > ENVELOPES_MAX) tooLarge(`${head.envelopeCount} envelopes, ${ENVELOPES_MAX} allowed`)
  if (head.indexBytes > INDEX_BYTES_MAX) tooLarge(`index of ${head.indexBytes} bytes`)
  if (head.payloadRawBytes > PAYLOAD_RAW_BYTES_MAX) tooLarge(`payload of ${head.payloadRawBytes} bytes`)
  if (head.payloadBytes > head.payloadRawBytes) malformed('its payload is larger than declared')
  if (head.firstSeq < 1 || head.firstSeq + head.count > Number.MAX_SAFE_INTEGER)
    malformed('its sequence is out of range')
  if ((head.flags & FLAG_TREE) === 0 && !isZero(head, ROOT_AT, DIGEST_BYTES))
    malformed('it has a root without saying so')
  if (head.suite === SUITE_NONE && !isZero(head, KEY_ID_AT, KEY_ID_BYTES)) malformed('it has a key without a signature')
  const originBytes = head.bytes[NAMES_AT] as number
  const streamBytes = head.signedBytes - NAMES_AT - 2 - originBytes
  if (originBytes === 0 || streamBytes === 0) malformed('its origin or stream has no name')
  if (originBytes > NAME_BYTES_MAX || streamBytes > NAME_BYTES_MAX)
    malformed("its origin's or stream's name is too long")
}

function isZero(head: BatchHead, at: number, length: number): boolean {
  return head.bytes.compare(ZEROS, 0, length, at, at + length) === 0
}

export function contentDigestOf(head: BatchHead): Buffer {
  return head.bytes.subarray(CONTENT_DIGEST_AT, CONTENT_DIGEST_AT + DIGEST_BYTES)
}

/** The Merkle root as latin1, meaningful with `FLAG_TREE`. */
export function rootOf(head: BatchHead): string {
  return head.bytes.toString('latin1', ROOT_AT, ROOT_AT + DIGEST_BYTES)
}

/** Which key signed it: see `keyIdOf`. A view. */
export function keyIdIn(head: BatchHead): Buffer {
  return head.bytes.subarray(KEY_ID_AT, KEY_ID_AT + KEY_ID_BYTES)
}

export function signatureOf(head: BatchHead): Buffer {
  const at = head.signedBytes + 2
  return head.bytes.subarray(at, at + head.signatureBytes)
}

/** What is signed: a context, then the head up to the end of the stream's name. */
export function signedPart(headBytes: Buffer, signedBytes: number): Buffer {
  return Buffer.concat([SIGNATURE_CONTEXT, headBytes.subarray(0, signedBytes)])
}
