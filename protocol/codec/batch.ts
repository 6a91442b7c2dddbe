// A sealed batch, read. `openBatch` checks the head; the index and the payload are decoded only when asked for, so that a hub
// routes and forwards a batch whose bodies it never touches. Verify before opening the payload: a peer's compressed bytes are
// decompressed only when their digest and signature are right.

import type { KeyObject } from 'node:crypto'
import type { Fault } from '#protocol/base/mod.ts'
import { ByteReader } from '#protocol/bytes/mod.ts'
import { inflateZstd } from '#protocol/bytes/zstd.ts'
import { ed25519, LEAF_PREFIX, SUITE_NONE, suiteOf } from '#protocol/crypto/mod.ts'
import { BODY_BYTES_MAX } from '#protocol/frame/mod.ts'
import { checkTopic, type Envelope } from './envelope.ts'
import { codecFault } from './faults.ts'
import { type BatchHead, contentDigestOf, FLAG_TREE, FLAG_ZSTD, parseHead, signatureOf, signedPart } from './head.ts'
import { readHeaders } from './headers.ts'
import { HEADERS_BYTES_MAX, KEY_BYTES_MAX, TOPIC_BYTES_MAX, ZSTD_WINDOW_LOG_MAX } from './limits.ts'

/** Consecutive messages of a batch that share an envelope. */
export type Run = { readonly envelope: number; readonly from: number; readonly count: number }

/** The envelopes of a batch and which messages use which. */
export type BatchIndex = {
  readonly envelopes: readonly Envelope[]
  readonly runs: readonly Run[]
  /** Where each envelope's entry ends within the index: its leaf begins where the one before ends. */
  readonly envelopeEnds: readonly number[]
}

/** One message of an opened payload. `key` and `body` are views. */
export type MessageView = { readonly envelope: Envelope; readonly key: Buffer; readonly body: Buffer }

const EMPTY = Buffer.alloc(0)

export class Batch {
  readonly bytes: Buffer
  readonly head: BatchHead
  private index_: BatchIndex | null = null

  /** Use `openBatch`. */
  constructor(bytes: Buffer, head: BatchHead) {
    this.bytes = bytes
    this.head = head
  }

  get count(): number {
    return this.head.count
  }

  /** The last sequence number in it. */
  get lastSeq(): number {
    return this.head.firstSeq + this.head.count - 1
  }

  get hasTree(): boolean {
    return (this.head.flags & FLAG_TREE) !== 0
  }

  /** Index and payload as stored: what the content digest covers. */
  get content(): Buffer {
    return this.bytes.subarray(this.head.headBytes)
  }

  get indexBytes(): Buffer {
    return this.bytes.subarray(this.head.headBytes, this.head.headBytes + this.head.indexBytes)
  }

  /** Topics, headers and runs; decoded once. Faults: `BATCH_MALFORMED` and those of the fields. */
  index(): BatchIndex {
    this.index_ ??= parseIndex(this.indexBytes, this.head)
    return this.index_
  }

  /** Faults: `BATCH_DAMAGED` unless the content has the digest the head names. */
  checkContent(): void {
    if (!ed25519.digest(this.content).equals(contentDigestOf(this.head))) {
      throw codecFault('BATCH_DAMAGED', { where: `${this.head.origin}/${this.head.stream} ${this.head.firstSeq}` })
    }
  }

  /** Digest and signature. Faults: `BATCH_DAMAGED`, `BATCH_UNSIGNED`, `BATCH_SIGNATURE_INVALID`. */
  verify(publicKey: KeyObject): void {
    this.checkContent()
    verifyHead(this.head, publicKey)
  }

  /**
   * The messages. Decompresses within the declared size. Call `verify` (or `checkContent`, for what our own disk gave) first.
   * Faults: `BATCH_MALFORMED`, `BATCH_DICTIONARY_UNKNOWN`.
   */
  open(): Payload {
    const { head } = this
    const stored = this.bytes.subarray(head.headBytes + head.indexBytes)
    if (head.dictionaryId !== 0) throw codecFault('BATCH_DICTIONARY_UNKNOWN', { dictionaryId: head.dictionaryId })
    if ((head.flags & FLAG_ZSTD) === 0) return new Payload(stored, head.count)
    const sizes = { rawBytes: head.payloadRawBytes, windowLogMax: ZSTD_WINDOW_LOG_MAX }
    return new Payload(inflateZstd(stored, sizes, malformedPayload), head.count)
  }

  /**
   * Gives message `i`; the payload is opened at the first call. A record must name the envelope that the index gave it: what
   * was routed by the one is read by the other. Faults: those of `open`, `BATCH_MALFORMED`.
   */
  messages(): (i: number) => MessageView {
    const { envelopes, runs } = this.index()
    let payload: Payload | null = null
    let run = 0
    return (i) => {
      payload ??= this.open()
      while (i < (runs[run] as Run).from) run--
      while (i >= (runs[run] as Run).from + (runs[run] as Run).count) run++
      const message = payload.message(i, envelopes)
      if (message.envelope !== envelopes[(runs[run] as Run).envelope]) {
        throw codecFault('BATCH_MALFORMED', { why: `message ${i} names another envelope than the index` })
      }
      return message
    }
  }
}

/** A batch over `bytes`, which it keeps as they are. Faults: `BATCH_MALFORMED`, `BATCH_TOO_LARGE`, `BATCH_DAMAGED` (head). */
export function openBatch(bytes: Buffer): Batch {
  const head = parseHead(bytes)
  if (head.headBytes + head.indexBytes + head.payloadBytes !== bytes.length) {
    throw codecFault('BATCH_MALFORMED', { why: 'its length is not the sum of its parts' })
  }
  if ((head.flags & FLAG_ZSTD) === 0 && head.payloadBytes !== head.payloadRawBytes) {
    throw codecFault('BATCH_MALFORMED', { why: 'its payload sizes contradict each other' })
  }
  return new Batch(bytes, head)
}

/** Faults: `BATCH_UNSIGNED`, `BATCH_SIGNATURE_INVALID`. */
export function verifyHead(head: BatchHead, publicKey: KeyObject): void {
  const where = `${head.origin}/${head.stream} ${head.firstSeq}`
  if (head.suite === SUITE_NONE) throw codecFault('BATCH_UNSIGNED', { where })
  const signed = signedPart(head.bytes, head.signedBytes)
  if (!suiteOf(head.suite).verify(publicKey, signed, signatureOf(head))) {
    throw codecFault('BATCH_SIGNATURE_INVALID', { where })
  }
}

/** The raw payload: end offsets (u32 each), then records, each `0x00 ‖ envelope ‖ key length ‖ key ‖ body`. */
export class Payload {
  readonly bytes: Buffer
  readonly count: number
  private readonly recordsAt: number

  constructor(bytes: Buffer, count: number) {
    this.bytes = bytes
    this.count = count
    this.recordsAt = 4 * count
    if (bytes.length < this.recordsAt + 3 * count) throw codecFault('BATCH_MALFORMED', { why: 'the payload is cut' })
    let previous = 0
    for (let i = 0; i < count; i++) {
      const end = bytes.readUInt32LE(4 * i)
      if (end < previous + 3) throw codecFault('BATCH_MALFORMED', { why: `offset of message ${i}` })
      previous = end
    }
    if (this.recordsAt + previous !== bytes.length) throw codecFault('BATCH_MALFORMED', { why: 'the last offset' })
  }

  /** The record of message `i` (0 ≤ i < count): its leaf in the tree. A view. */
  record(i: number): Buffer {
    const from = i === 0 ? 0 : this.bytes.readUInt32LE(4 * i - 4)
    return this.bytes.subarray(this.recordsAt + from, this.recordsAt + this.bytes.readUInt32LE(4 * i))
  }

  /**
   * Message `i` (0 ≤ i < count), as `parseRecord` of its record, without making that first: a view costs more than all the
   * rest of it. Faults: as `parseRecord`.
   */
  message(i: number, envelopes: readonly Envelope[]): MessageView {
    const { bytes, recordsAt } = this
    const from = recordsAt + (i === 0 ? 0 : bytes.readUInt32LE(4 * i - 4))
    const to = recordsAt + bytes.readUInt32LE(4 * i)
    const envelope = envelopes[bytes[from + 1] as number]
    const keyBytes = bytes[from + 2] as number
    const bodyAt = from + 3 + keyBytes
    // Whatever is not one of the common, short records takes the way that knows all of them and all that can be wrong.
    const isShort = bytes[from] === LEAF_PREFIX && keyBytes < 0x80 && bodyAt <= to && to - bodyAt <= BODY_BYTES_MAX
    if (!isShort || envelope === undefined || (bytes[from + 1] as number) >= 0x80)
      return parseRecord(this.record(i), envelopes)
    return {
      envelope,
      key: keyBytes === 0 ? EMPTY : bytes.subarray(from + 3, bodyAt),
      body: bytes.subarray(bodyAt, to),
    }
  }

  records(): Buffer {
    return this.bytes.subarray(this.recordsAt)
  }

  /** End offsets within `records()`. */
  ends(): Uint32Array {
    const ends = new Uint32Array(this.count)
    for (let i = 0; i < this.count; i++) ends[i] = this.bytes.readUInt32LE(4 * i)
    return ends
  }
}

/** Takes a record apart. `envelopes` are those of its batch. Faults: `BATCH_MALFORMED`, `BODY_TOO_LARGE`. */
export function parseRecord(record: Buffer, envelopes: readonly Envelope[]): MessageView {
  const { envelope: number, keyAt, keyBytes } = recordLayout(record)
  const envelope = envelopes[number]
  if (envelope === undefined) throw codecFault('BATCH_MALFORMED', { why: `record names envelope ${number}` })
  const body = record.subarray(keyAt + keyBytes)
  if (body.length > BODY_BYTES_MAX) throw codecFault('BODY_TOO_LARGE', { where: `topic ${envelope.topic}` })
  return { envelope, key: keyBytes === 0 ? EMPTY : record.subarray(keyAt, keyAt + keyBytes), body }
}

/** Which envelope a record names and where its key lies. Faults: `BATCH_MALFORMED` and those of the varints. */
export function recordLayout(record: Buffer): { envelope: number; keyAt: number; keyBytes: number } {
  if (record[0] !== LEAF_PREFIX) throw codecFault('BATCH_MALFORMED', { why: 'a record does not begin with 0x00' })
  const envelope = record[1] as number
  const keyBytes = record[2] as number
  if (envelope < 0x80 && keyBytes < 0x80 && 3 + keyBytes <= record.length) return { envelope, keyAt: 3, keyBytes }
  const reader = new ByteReader(record, 'record', 1)
  const longEnvelope = reader.varint()
  const longKeyBytes = reader.varint()
  if (longKeyBytes > Math.min(KEY_BYTES_MAX, reader.remaining))
    throw codecFault('BATCH_MALFORMED', { why: 'a key is cut' })
  return { envelope: longEnvelope, keyAt: reader.offset, keyBytes: longKeyBytes }
}

function parseIndex(bytes: Buffer, head: BatchHead): BatchIndex {
  const reader = new ByteReader(bytes, 'batch index')
  const envelopes: Envelope[] = []
  const envelopeEnds: number[] = []
  let checked = ''
  for (let i = 0; i < head.envelopeCount; i++) {
    const envelope = parseEnvelope(reader, checked)
    checked = envelope.topic
    envelopes.push(envelope)
    envelopeEnds.push(reader.offset)
  }
  const runs: Run[] = []
  let from = 0
  while (from < head.count) {
    const envelope = reader.varint()
    const count = reader.varint()
    if (envelope >= envelopes.length || count === 0 || count > head.count - from) {
      throw codecFault('BATCH_MALFORMED', { why: 'a run of its index' })
    }
    runs.push({ envelope, from, count })
    from += count
  }
  reader.finish()
  return { envelopes, runs, envelopeEnds }
}

/** One envelope entry at the reader: `0x00 ‖ topic length ‖ topic ‖ headers length ‖ headers`. Of `checked` it is known that it is a topic. */
export function parseEnvelope(reader: ByteReader, checked = ''): Envelope {
  if (reader.u8() !== LEAF_PREFIX) throw codecFault('BATCH_MALFORMED', { why: 'an envelope does not begin with 0x00' })
  const topicBytes = reader.varint()
  if (topicBytes > TOPIC_BYTES_MAX) throw codecFault('BATCH_MALFORMED', { why: 'a topic is too long' })
  const topic = reader.text(topicBytes)
  if (topic !== checked || topic === '') checkTopic(topic)
  const headersBytes = reader.varint()
  if (headersBytes > HEADERS_BYTES_MAX) throw codecFault('BATCH_MALFORMED', { why: 'headers are too long' })
  const from = reader.skip(headersBytes)
  return { topic, headers: readHeaders(reader.bytes, from, reader.offset) }
}

function malformedPayload(why: string, cause?: unknown): Fault {
  return codecFault('BATCH_MALFORMED', { where: 'payload', why, ...(cause === undefined ? {} : { cause }) })
}
