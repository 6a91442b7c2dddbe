// Some messages of a batch, with the proof that they belong to it: the batch's signed head, the chosen records, the envelopes
// they name, and the hashes that lead from both to the root in the head. A receiver learns nothing of the other messages but
// their number. Layout in protocol/spec, section "Extract".

import type { KeyObject } from 'node:crypto'
import { zstdCompressSync } from 'node:zlib'
import { assert, type Fault } from '#protocol/base/mod.ts'
import { ByteReader, varintBytes, writeVarint } from '#protocol/bytes/mod.ts'
import { inflateZstd } from '#protocol/bytes/zstd.ts'
import { DIGEST_BYTES, ed25519, multiProof, nodeHash, rootFromProof } from '#protocol/crypto/mod.ts'
import { BATCH_FRAME_BYTES_MAX } from '#protocol/frame/mod.ts'
import { type Batch, type MessageView, parseEnvelope, parseRecord, recordLayout, verifyHead } from './batch.ts'
import { leafHashes, treeRoot } from './builder.ts'
import type { Envelope } from './envelope.ts'
import { codecFault } from './faults.ts'
import { type BatchHead, FLAG_TREE, parseHead, rootOf } from './head.ts'

/** After the head: one flag byte and the raw size of what follows. */
const PART_HEAD_BYTES = 5
const PART_ZSTD = 0x01
const COMPRESS_FROM_BYTES = 512
/** zstd window: 2^23 covers the largest frame. */
const EXTRACT_WINDOW_LOG_MAX = 23

/** Messages taken out of a batch. `indexes[i]` is the place of message `i` in its batch. */
export type Extract = {
  readonly head: BatchHead
  readonly indexes: readonly number[]
  readonly messages: readonly MessageView[]
}

/**
 * Takes the messages at `indexes` (ascending, unique) out of `batch`, whose content was checked.
 * Faults: `EXTRACT_INVALID` when the batch has no tree or its origin signed a wrong one; those of `index`, `open` and records.
 */
export function extractFrom(batch: Batch, indexes: readonly number[]): Buffer {
  const { head } = batch
  assert(isSelection(indexes, head.count), 'the indexes are those of messages of the batch, ascending')
  if (!batch.hasTree) throw codecFault('EXTRACT_INVALID', { why: 'the batch was sealed without a tree' })
  const payload = batch.open()
  const { envelopeEnds } = batch.index()
  const envelopeLeaves = leafHashes(batch.indexBytes, envelopeEnds)
  const messageLeaves = leafHashes(payload.records(), payload.ends())
  if (treeRoot([...envelopeLeaves], [...messageLeaves]) !== rootOf(head)) {
    throw codecFault('EXTRACT_INVALID', { why: 'the origin signed a root that is not the root of its messages' })
  }
  const records = indexes.map((i) => payload.record(i))
  const used = [...new Set(records.map((record) => recordLayout(record).envelope))].sort((a, b) => a - b)
  if ((used.at(-1) as number) >= head.envelopeCount) {
    throw codecFault('EXTRACT_INVALID', { why: 'the origin signed a message that names no envelope of its batch' })
  }
  const entries = used.map((i) => batch.indexBytes.subarray(i === 0 ? 0 : envelopeEnds[i - 1], envelopeEnds[i]))
  const part = new PartWriter()
  part.numbers(ascending(indexes))
  for (const record of records) part.bytes(record)
  part.hashes(multiProof(ed25519, messageLeaves, indexes))
  part.numbers(ascending(used))
  for (const entry of entries) part.bytes(entry)
  part.hashes(multiProof(ed25519, envelopeLeaves, used))
  return Buffer.concat([head.bytes, ...packed(part.finish())])
}

/**
 * Reads an extract and proves it: the signature over the head, then every record and envelope up to its root.
 * Faults: `EXTRACT_INVALID`, `PROOF_INVALID`, `BATCH_SIGNATURE_INVALID` and those of the head.
 */
export function openExtract(bytes: Buffer, keyOf: (head: BatchHead) => KeyObject): Extract {
  const head = parseHead(bytes)
  verifyHead(head, keyOf(head))
  if ((head.flags & FLAG_TREE) === 0) throw codecFault('EXTRACT_INVALID', { why: 'its batch has no tree' })
  const reader = new ByteReader(unpacked(bytes.subarray(head.headBytes)), 'extract')
  const indexes = readAscending(reader, head.count)
  const records = indexes.map(() => reader.view(reader.varint()))
  const messageProof = readHashes(reader)
  const used = readAscending(reader, head.envelopeCount)
  const entries = used.map(() => reader.view(reader.varint()))
  const envelopeProof = readHashes(reader)
  reader.finish()
  const root = nodeHash(
    ed25519,
    rootFromProof(ed25519, head.envelopeCount, used, entries.map(ed25519.digestLatin1), envelopeProof),
    rootFromProof(ed25519, head.count, indexes, records.map(ed25519.digestLatin1), messageProof),
  )
  if (root !== rootOf(head)) throw codecFault('EXTRACT_INVALID', { why: 'it leads to another root' })
  const envelopes: Envelope[] = []
  entries.forEach((entry, i) => {
    const entryReader = new ByteReader(entry, 'envelope')
    envelopes[used[i] as number] = parseEnvelope(entryReader)
    entryReader.finish()
  })
  return { head, indexes, messages: records.map((record) => parseRecord(record, envelopes)) }
}

function isSelection(indexes: readonly number[], count: number): boolean {
  let previous = -1
  for (const index of indexes) {
    if (!Number.isInteger(index) || index <= previous || index >= count) return false
    previous = index
  }
  return previous >= 0
}

/** Ascending numbers as count, first, then gaps minus one. */
function ascending(values: readonly number[]): number[] {
  const out = [values.length]
  let previous = -1
  for (const value of values) {
    out.push(value - previous - 1)
    previous = value
  }
  return out
}

function readAscending(reader: ByteReader, limit: number): number[] {
  const count = reader.varint()
  if (count === 0 || count > limit) throw codecFault('EXTRACT_INVALID', { why: `${count} of ${limit}` })
  const values: number[] = []
  let previous = -1
  for (let i = 0; i < count; i++) {
    previous += reader.varint() + 1
    if (previous >= limit) throw codecFault('EXTRACT_INVALID', { why: `place ${previous} of ${limit}` })
    values.push(previous)
  }
  return values
}

function readHashes(reader: ByteReader): string[] {
  const count = reader.varint()
  const bytes = reader.view(count * DIGEST_BYTES)
  const hashes: string[] = []
  for (let at = 0; at < bytes.length; at += DIGEST_BYTES) hashes.push(bytes.toString('latin1', at, at + DIGEST_BYTES))
  return hashes
}

class PartWriter {
  private readonly parts: Buffer[] = []

  numbers(values: readonly number[]): void {
    const out = Buffer.allocUnsafe(values.reduce((sum, value) => sum + varintBytes(value), 0))
    let at = 0
    for (const value of values) at = writeVarint(out, at, value)
    this.parts.push(out)
  }

  bytes(data: Buffer): void {
    this.numbers([data.length])
    this.parts.push(data)
  }

  hashes(hashes: readonly string[]): void {
    this.numbers([hashes.length])
    for (const hash of hashes) this.parts.push(Buffer.from(hash, 'latin1'))
  }

  finish(): Buffer {
    return Buffer.concat(this.parts)
  }
}

function packed(raw: Buffer): [Buffer, Buffer] {
  const small = raw.length < COMPRESS_FROM_BYTES ? raw : zstdCompressSync(raw)
  const start = Buffer.allocUnsafe(PART_HEAD_BYTES)
  start[0] = small.length < raw.length ? PART_ZSTD : 0
  start.writeUInt32LE(raw.length, 1)
  return [start, small.length < raw.length ? small : raw]
}

function unpacked(part: Buffer): Buffer {
  const reader = new ByteReader(part, 'extract')
  const flags = reader.u8()
  const rawBytes = reader.u32()
  const stored = reader.view(reader.remaining)
  if ((flags & ~PART_ZSTD) !== 0) throw codecFault('EXTRACT_INVALID', { why: 'it sets reserved flags' })
  if (rawBytes > BATCH_FRAME_BYTES_MAX) throw codecFault('BATCH_TOO_LARGE', { why: `extract of ${rawBytes} bytes` })
  if (flags === 0) {
    if (stored.length !== rawBytes) throw codecFault('EXTRACT_INVALID', { why: 'its sizes contradict each other' })
    return stored
  }
  return inflateZstd(stored, { rawBytes, windowLogMax: EXTRACT_WINDOW_LOG_MAX }, invalidPart)
}

function invalidPart(why: string, cause?: unknown): Fault {
  return codecFault('EXTRACT_INVALID', { why, ...(cause === undefined ? {} : { cause }) })
}
