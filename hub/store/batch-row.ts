// Rows of batches: where a batch lies, or the batch itself; and what it is, so that one that is lost can still be named.
//
// A place, in the table `batches`:
//   0 u8 1 · 1 u32 segment · 5 u32 offset · 9 u32 bytes · 13 u48 life · 19 name · u32 CRC-32 of all before
// A batch, in the table `inline`:
//   0 u8 2 · 1 name · u32 CRC-32 of all before · the batch, which carries its own digests, to the end
// Name:
//   0 u53 epoch · 8 u53 first sequence number · 16 u32 messages · 20 u8 origin's bytes, origin · u8 stream's bytes, stream
//
// A small batch's row says its name twice, apart from the batch's head: one that is damaged in either is still named.

import { crc32 } from 'node:zlib'
import { readU53, writeU53 } from '#protocol/bytes/mod.ts'
import { type BatchHead, parseHead } from '#protocol/codec/mod.ts'
import { storeFault } from './faults.ts'
import type { Place } from './segment-file.ts'

const FORMAT_PLACE = 1
const FORMAT_INLINE = 2
const PLACE_NAME_AT = 19
const INLINE_NAME_AT = 1
const NAME_ORIGIN_AT = 20
const CRC_BYTES = 4
const NOT_AS_WRITTEN = 'its row is not what was written'
/** What a batch's head begins with. */
const BATCH_MAGIC = Buffer.from('CWB1')

/** What a batch is: enough to tell its origin which messages were lost. */
export type BatchName = Pick<BatchHead, 'origin' | 'stream' | 'epoch' | 'firstSeq' | 'count'>
/** Of a batch in a segment. */
export type BatchRow = { readonly place: Place; readonly name: BatchName }
/** Of a batch that lies in its row. */
export type InlineRow = { readonly bytes: Buffer; readonly name: BatchName }

export function encodeBatchRow({ place, name }: BatchRow): Buffer {
  const out = Buffer.allocUnsafe(PLACE_NAME_AT + nameSize(name) + CRC_BYTES)
  out[0] = FORMAT_PLACE
  out.writeUInt32LE(place.segment, 1)
  out.writeUInt32LE(place.offset, 5)
  out.writeUInt32LE(place.bytes, 9)
  out.writeUIntLE(place.life, 13, 6)
  const crcAt = writeName(out, PLACE_NAME_AT, name)
  out.writeUInt32LE(crc32(out.subarray(0, crcAt)), crcAt)
  return out
}

/** Faults: `STORE_DAMAGED`. */
export function decodeBatchRow(seq: number, bytes: Buffer): BatchRow {
  if (bytes[0] !== FORMAT_PLACE || checkedName(bytes, PLACE_NAME_AT) !== bytes.length) {
    throw storeFault('STORE_DAMAGED', { where: `batch ${seq}`, why: NOT_AS_WRITTEN })
  }
  return { place: placeOf(bytes), name: nameAt(bytes, PLACE_NAME_AT) }
}

/** Bytes of the row of a batch that lies in it. */
export function inlineRowBytes(name: BatchName, batchBytes: number): number {
  return INLINE_NAME_AT + nameSize(name) + CRC_BYTES + batchBytes
}

export function encodeInlineRow({ bytes, name }: InlineRow): Buffer {
  const out = Buffer.allocUnsafe(inlineRowBytes(name, bytes.length))
  out[0] = FORMAT_INLINE
  const crcAt = writeName(out, INLINE_NAME_AT, name)
  out.writeUInt32LE(crc32(out.subarray(0, crcAt)), crcAt)
  bytes.copy(out, crcAt + CRC_BYTES)
  return out
}

/** The batch is a view of the row, and not checked. Faults: `STORE_DAMAGED`. */
export function decodeInlineRow(seq: number, row: Buffer): InlineRow {
  const batchAt = row[0] === FORMAT_INLINE ? checkedName(row, INLINE_NAME_AT) : null
  if (batchAt === null) throw storeFault('STORE_DAMAGED', { where: `batch ${seq}`, why: NOT_AS_WRITTEN })
  return { bytes: row.subarray(batchAt), name: nameAt(row, INLINE_NAME_AT) }
}

/** The batch in a row whose other part is damaged, unless its head is too. Its content is not checked. */
export function salvageInline(row: Buffer): InlineRow | null {
  for (let at = row.indexOf(BATCH_MAGIC); at >= 0; at = row.indexOf(BATCH_MAGIC, at + 1)) {
    const bytes = row.subarray(at)
    try {
      return { bytes, name: parseHead(bytes) }
    } catch {
      // These bytes mean something else.
    }
  }
  return null
}

/** `agent/stream, epoch 1, 5–9`: how a batch is named to people. */
export function describeBatch({ origin, stream, epoch, firstSeq, count }: BatchName): string {
  return `${origin}/${stream}, epoch ${epoch}, ${firstSeq}–${firstSeq + count - 1}`
}

function placeOf(row: Buffer): Place {
  return {
    segment: row.readUInt32LE(1),
    offset: row.readUInt32LE(5),
    bytes: row.readUInt32LE(9),
    life: row.readUIntLE(13, 6),
  }
}

function nameSize({ origin, stream }: BatchName): number {
  return NAME_ORIGIN_AT + 2 + Buffer.byteLength(origin) + Buffer.byteLength(stream)
}

/** Gives where it ends. */
function writeName(out: Buffer, start: number, { origin, stream, epoch, firstSeq, count }: BatchName): number {
  writeU53(out, start, epoch)
  writeU53(out, start + 8, firstSeq)
  out.writeUInt32LE(count, start + 16)
  let at = start + NAME_ORIGIN_AT
  out[at++] = Buffer.byteLength(origin)
  at += out.write(origin, at)
  out[at++] = Buffer.byteLength(stream)
  return at + out.write(stream, at)
}

/** Where the checksum behind a name ends; `null` when it is not right. */
function checkedName(row: Buffer, start: number): number | null {
  const streamAt = start + NAME_ORIGIN_AT + 1 + (row[start + NAME_ORIGIN_AT] ?? 0)
  const crcAt = streamAt + 1 + (row[streamAt] ?? 0)
  if (crcAt + CRC_BYTES > row.length || row.readUInt32LE(crcAt) !== crc32(row.subarray(0, crcAt))) return null
  return crcAt + CRC_BYTES
}

function nameAt(row: Buffer, start: number): BatchName {
  const originAt = start + NAME_ORIGIN_AT
  const streamAt = originAt + 1 + (row[originAt] as number)
  const endAt = streamAt + 1 + (row[streamAt] as number)
  return {
    origin: row.toString('utf8', originAt + 1, streamAt),
    stream: row.toString('utf8', streamAt + 1, endAt),
    epoch: readU53(row, start, 'batch row'),
    firstSeq: readU53(row, start + 8, 'batch row'),
    count: row.readUInt32LE(start + 16),
  }
}
