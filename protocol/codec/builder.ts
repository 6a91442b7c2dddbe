// Gathers messages into a batch and seals it: encode once, hash, sign. One builder serves one producer stream; `seal` leaves
// it empty for the next batch. Records are written where they will stay; nothing is allocated per message but a leaf hash.

import { constants, zstdCompressSync } from 'node:zlib'
import { assert } from '#protocol/base/mod.ts'
import { varintBytes, writeVarint } from '#protocol/bytes/mod.ts'
import {
  ed25519,
  LEAF_PREFIX,
  merkleRoot,
  nodeHash,
  type SigningKey,
  SUITE_ED25519,
  SUITE_NONE,
} from '#protocol/crypto/mod.ts'
import { BODY_BYTES_MAX, INDEX_BYTES_MAX, PAYLOAD_RAW_BYTES_MAX } from '#protocol/frame/mod.ts'
import { checkTopic, encodeHeaders } from './envelope.ts'
import { codecFault } from './faults.ts'
import { FLAG_RECEIPT_DELIVERED, FLAG_RECEIPT_FINAL, FLAG_TREE, FLAG_ZSTD, headSize, writeHead } from './head.ts'
import { type Headers, NO_HEADERS } from './headers.ts'
import { BATCH_MESSAGES_MAX, ENVELOPES_MAX, KEY_BYTES_MAX, ZSTD_WINDOW_LOG_MAX } from './limits.ts'

export type Compression = 'none' | 'zstd'

export type SealOptions = {
  readonly origin: string
  readonly stream: string
  readonly epoch: number
  readonly firstSeq: number
  readonly sealedAtMs: number
  /** Ed25519, or `null` for an unsigned batch (tests and measurements only: hubs refuse it by default). */
  readonly key: SigningKey | null
  readonly compression: Compression
  /** Whether to hash every message into a tree, so that each can leave the batch with a proof. */
  readonly tree: boolean
  /** Which receipts the origin wants of these messages; none by default. */
  readonly receipts?: Receipts
}

/** `final`: what became of a message in the end. `all`: also its delivery. */
export type Receipts = 'none' | 'final' | 'all'

const RECEIPT_FLAGS = { none: 0, final: FLAG_RECEIPT_FINAL, all: FLAG_RECEIPT_FINAL | FLAG_RECEIPT_DELIVERED } as const

const EMPTY = Buffer.alloc(0)
const RECORDS_BYTES_START = 64 * 1024
/** Compression that saves less than this share is not worth the receiver's work. */
const SAVING_MIN = 0.9
const COMPRESSED_CHUNK_BYTES = 64 * 1024

export class BatchBuilder {
  private records: Buffer = Buffer.allocUnsafeSlow(RECORDS_BYTES_START)
  private scratch: Buffer = EMPTY
  private recordsBytes = 0
  private ends = new Uint32Array(1024)
  private count_ = 0
  private index: Buffer = Buffer.allocUnsafeSlow(1024)
  private indexBytes = 0
  private envelopeEnds: number[] = []
  private runs: number[] = []
  private readonly byTopic = new Map<string, number>()
  private readonly byEnvelope = new Map<string, number>()
  private lastTopic = ''
  private lastHeaders: Headers = NO_HEADERS
  private lastEnvelope = -1

  /** Messages gathered so far. */
  get count(): number {
    return this.count_
  }

  /** Raw payload bytes so far: records and their end offsets. */
  get rawBytes(): number {
    return this.recordsBytes + 4 * this.count_
  }

  /** Whether one more message of these sizes still fits the limits of a batch. */
  fits(bodyBytes: number, keyBytes: number): boolean {
    return (
      this.count_ < BATCH_MESSAGES_MAX &&
      this.envelopeEnds.length < ENVELOPES_MAX &&
      this.indexBytes < INDEX_BYTES_MAX / 2 &&
      this.rawBytes + bodyBytes + keyBytes + 20 <= PAYLOAD_RAW_BYTES_MAX
    )
  }

  /**
   * Adds a message. `body` and `key` are copied; texts are written as UTF-8. Messages that share topic and headers *object* are
   * the cheapest. Faults: `BODY_TOO_LARGE`, `TOPIC_INVALID`, `HEADERS_INVALID`, `BATCH_TOO_LARGE` (nothing was added).
   */
  add(topic: string, headers: Headers, key: Uint8Array | string | null, body: Uint8Array | string): void {
    const bodyBytes = typeof body === 'string' ? Buffer.byteLength(body) : body.length
    const keyBytes = key === null ? 0 : typeof key === 'string' ? Buffer.byteLength(key) : key.length
    if (bodyBytes > BODY_BYTES_MAX) {
      throw codecFault('BODY_TOO_LARGE', {
        why: `${bodyBytes} bytes, ${BODY_BYTES_MAX} allowed`,
        where: `topic ${topic}`,
      })
    }
    if (keyBytes > KEY_BYTES_MAX) throw codecFault('BATCH_TOO_LARGE', { why: `key of ${keyBytes} bytes` })
    if (!this.fits(bodyBytes, keyBytes)) throw codecFault('BATCH_TOO_LARGE', { why: 'the batch is full' })
    const envelope = this.envelope(topic, headers)
    this.extendRun(envelope)
    let at = this.reserve(1 + 8 + 8 + keyBytes + bodyBytes)
    const records = this.records
    records[at++] = LEAF_PREFIX
    at = envelope < 128 ? writeByte(records, at, envelope) : writeVarint(records, at, envelope)
    at = keyBytes < 128 ? writeByte(records, at, keyBytes) : writeVarint(records, at, keyBytes)
    if (key !== null) at = writeContent(records, at, key, keyBytes)
    this.recordsBytes = writeContent(records, at, body, bodyBytes)
    if (this.count_ === this.ends.length) this.growEnds()
    this.ends[this.count_++] = this.recordsBytes
  }

  /** Seals what was gathered into one buffer of its own and empties the builder. */
  seal(options: SealOptions): Buffer {
    assert(this.count_ > 0, 'a batch has at least one message')
    const { key, origin, stream } = options
    const indexBytes = this.finishIndex()
    const payloadRawBytes = this.rawBytes
    const packed =
      options.compression === 'zstd' ? compress(this.writePayload(this.scratchOf(payloadRawBytes), 0)) : null
    const payloadBytes = packed?.length ?? payloadRawBytes
    const headBytes = headSize({ origin, stream, suite: key === null ? SUITE_NONE : SUITE_ED25519 })
    const out = Buffer.allocUnsafeSlow(headBytes + indexBytes + payloadBytes)
    this.index.copy(out, headBytes, 0, indexBytes)
    if (packed === null) this.writePayload(out, headBytes + indexBytes)
    else packed.copy(out, headBytes + indexBytes)
    writeHead(out, {
      suite: key === null ? SUITE_NONE : SUITE_ED25519,
      flags:
        (packed === null ? 0 : FLAG_ZSTD) | (options.tree ? FLAG_TREE : 0) | RECEIPT_FLAGS[options.receipts ?? 'none'],
      count: this.count_,
      indexBytes,
      payloadBytes,
      payloadRawBytes,
      dictionaryId: 0,
      envelopeCount: this.envelopeEnds.length,
      firstSeq: options.firstSeq,
      epoch: options.epoch,
      sealedAtMs: options.sealedAtMs,
      origin,
      stream,
      contentDigest: ed25519.digest(out.subarray(headBytes)),
      root: options.tree ? this.treeRoot() : '',
      keyId: key === null ? null : key.keyId,
      sign: key === null ? null : (bytes) => ed25519.sign(key.privateKey, bytes),
    })
    this.clear()
    return out
  }

  private clear(): void {
    this.recordsBytes = 0
    this.count_ = 0
    this.indexBytes = 0
    this.envelopeEnds = []
    this.runs = []
    this.byTopic.clear()
    this.byEnvelope.clear()
    this.lastEnvelope = -1
  }

  private envelope(topic: string, headers: Headers): number {
    if (this.lastEnvelope >= 0 && headers === this.lastHeaders && topic === this.lastTopic) return this.lastEnvelope
    const known = headers === NO_HEADERS ? this.byTopic.get(topic) : undefined
    const envelope = known ?? this.addEnvelope(topic, headers)
    this.lastTopic = topic
    this.lastHeaders = headers
    this.lastEnvelope = envelope
    return envelope
  }

  private addEnvelope(topic: string, headers: Headers): number {
    checkTopic(topic)
    const headerBytes = headers === NO_HEADERS ? EMPTY : encodeHeaders(headers)
    const name = `${topic}\0${headerBytes.toString('latin1')}`
    const known = this.byEnvelope.get(name)
    if (known !== undefined) return known
    const topicBytes = Buffer.byteLength(topic)
    const size = 1 + varintBytes(topicBytes) + topicBytes + varintBytes(headerBytes.length) + headerBytes.length
    this.index = grown(this.index, this.indexBytes, size)
    let at = this.indexBytes
    this.index[at++] = LEAF_PREFIX
    at = writeVarint(this.index, at, topicBytes)
    at += this.index.write(topic, at)
    at = writeVarint(this.index, at, headerBytes.length)
    at += headerBytes.copy(this.index, at)
    this.indexBytes = at
    const envelope = this.envelopeEnds.push(at) - 1
    this.byEnvelope.set(name, envelope)
    if (headers === NO_HEADERS) this.byTopic.set(topic, envelope)
    return envelope
  }

  private extendRun(envelope: number): void {
    const { runs } = this
    if (runs.length > 0 && runs[runs.length - 2] === envelope) (runs[runs.length - 1] as number)++
    else runs.push(envelope, 1)
  }

  private reserve(bytes: number): number {
    this.records = grown(this.records, this.recordsBytes, bytes)
    return this.recordsBytes
  }

  private growEnds(): void {
    const larger = new Uint32Array(this.ends.length * 2)
    larger.set(this.ends)
    this.ends = larger
  }

  /** Writes end offsets and records at `at`; gives `out` cut to them. */
  private writePayload(out: Buffer, at: number): Buffer {
    for (let i = 0; i < this.count_; i++) out.writeUInt32LE(this.ends[i] as number, at + 4 * i)
    this.records.copy(out, at + 4 * this.count_, 0, this.recordsBytes)
    return out.subarray(at, at + this.rawBytes)
  }

  /** A buffer for what is about to be compressed, used again for every batch. */
  private scratchOf(bytes: number): Buffer {
    if (this.scratch.length < bytes) this.scratch = Buffer.allocUnsafeSlow(Math.max(bytes, 2 * this.scratch.length))
    return this.scratch
  }

  /** Writes the runs behind the envelopes; gives the index's length. */
  private finishIndex(): number {
    const { runs } = this
    this.index = grown(this.index, this.indexBytes, 8 * runs.length)
    let at = this.indexBytes
    for (const part of runs) at = writeVarint(this.index, at, part)
    if (at > INDEX_BYTES_MAX) throw codecFault('BATCH_TOO_LARGE', { why: `index of ${at} bytes` })
    return at
  }

  private treeRoot(): string {
    return treeRoot(leafHashes(this.index, this.envelopeEnds), leafHashes(this.records, this.ends, this.count_))
  }
}

/** Leaf hashes of entries that lie one after the other in `bytes`, given their end offsets. */
export function leafHashes(bytes: Buffer, ends: ArrayLike<number>, count = ends.length): string[] {
  const leaves: string[] = new Array(count)
  let from = 0
  for (let i = 0; i < count; i++) {
    const to = ends[i] as number
    leaves[i] = ed25519.digestLatin1(bytes.subarray(from, to))
    from = to
  }
  return leaves
}

/** The root of a batch: a node over the tree of envelopes and the tree of messages. Destroys both lists. */
export function treeRoot(envelopes: string[], messages: string[]): string {
  return nodeHash(ed25519, merkleRoot(ed25519, envelopes), merkleRoot(ed25519, messages))
}

/** The payload compressed, or `null` when that is not worth it. */
function compress(raw: Buffer): Buffer | null {
  const packed = zstdCompressSync(raw, {
    chunkSize: COMPRESSED_CHUNK_BYTES,
    params: {
      [constants.ZSTD_c_compressionLevel]: 1,
      [constants.ZSTD_c_windowLog]: ZSTD_WINDOW_LOG_MAX,
    },
  })
  return packed.length < raw.length * SAVING_MIN ? packed : null
}

function grown(buffer: Buffer, used: number, wanted: number): Buffer {
  if (used + wanted <= buffer.length) return buffer
  const larger = Buffer.allocUnsafeSlow(Math.max(buffer.length * 2, used + wanted))
  buffer.copy(larger, 0, 0, used)
  return larger
}

function writeContent(out: Buffer, at: number, content: Uint8Array | string, bytes: number): number {
  if (typeof content === 'string') out.write(content, at)
  else out.set(content, at)
  return at + bytes
}

function writeByte(out: Buffer, at: number, value: number): number {
  out[at] = value
  return at + 1
}
