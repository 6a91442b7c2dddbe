// The bytes on disk: batch keys and stream records. Pure.
//
// A batch's key carries everything the spool must know of it besides its content, so that counting at start and
// releasing read keys only and never touch the pages of the batches:
//
//   u32 stream id · u48 first sequence number · u32 messages · u32 bytes       (big-endian: byte order is sequence
//   order)
//
// A stream's record, under its name:
//
//   u8 format = 2 · u32 id · u48 epoch · u48 next · u48 released · u8 has cursor · 16 bytes store id of the hub that
//   has what was released, zeros when unknown · cursor in UTF-8
//
// Format 1 has no store id; it is read for ever.

import { spoolFault } from './faults.ts'
import { CURSOR_BYTES_MAX } from './limits.ts'

export const BATCH_KEY_BYTES = 18
const RECORD_FORMAT = 2
/** Before the cursor, by format. */
const RECORD_BYTES: Readonly<Record<number, number>> = { 1: 24, 2: 40 }
const RECORD_BYTES_NOW = 40
const STORE_ID_BYTES = 16
const NO_STORE = '00'.repeat(STORE_ID_BYTES)

export type BatchKey = {
  readonly streamId: number
  readonly firstSeq: number
  readonly count: number
  readonly bytes: number
}

export type StreamRecord = {
  readonly id: number
  readonly epoch: number
  readonly nextSeq: number
  readonly releasedSeq: number
  /** 32 hex digits, or `null`. */
  readonly releasedTo: string | null
  readonly cursor: string | null
}

export function encodeBatchKey(streamId: number, firstSeq: number, count: number, bytes: number): Buffer {
  const key = Buffer.allocUnsafe(BATCH_KEY_BYTES)
  key.writeUInt32BE(streamId, 0)
  key.writeUIntBE(firstSeq, 4, 6)
  key.writeUInt32BE(count, 10)
  key.writeUInt32BE(bytes, 14)
  return key
}

export function decodeBatchKey(key: Buffer, where: string): BatchKey {
  if (key.length !== BATCH_KEY_BYTES) {
    throw spoolFault('SPOOL_CORRUPT', { where, why: `a batch key has ${key.length} bytes, not ${BATCH_KEY_BYTES}` })
  }
  return {
    streamId: key.readUInt32BE(0),
    firstSeq: key.readUIntBE(4, 6),
    count: key.readUInt32BE(10),
    bytes: key.readUInt32BE(14),
  }
}

export function encodeRecord(record: StreamRecord): Buffer {
  const cursor = record.cursor === null ? Buffer.alloc(0) : Buffer.from(record.cursor, 'utf8')
  const bytes = Buffer.allocUnsafe(RECORD_BYTES_NOW + cursor.length)
  bytes.writeUInt8(RECORD_FORMAT, 0)
  bytes.writeUInt32BE(record.id, 1)
  bytes.writeUIntBE(record.epoch, 5, 6)
  bytes.writeUIntBE(record.nextSeq, 11, 6)
  bytes.writeUIntBE(record.releasedSeq, 17, 6)
  bytes.writeUInt8(record.cursor === null ? 0 : 1, 23)
  bytes.write(record.releasedTo ?? NO_STORE, 24, STORE_ID_BYTES, 'hex')
  cursor.copy(bytes, RECORD_BYTES_NOW)
  return bytes
}

export function decodeRecord(bytes: Buffer, where: string): StreamRecord {
  const corrupt = (why: string) => spoolFault('SPOOL_CORRUPT', { where, why })
  const format = bytes[0] ?? 0
  const start = RECORD_BYTES[format]
  if (start === undefined)
    throw corrupt(`a stream record has format ${format}, this version reads up to ${RECORD_FORMAT}`)
  if (bytes.length < start || bytes.length > start + CURSOR_BYTES_MAX) {
    throw corrupt(`a stream record has ${bytes.length} bytes`)
  }
  const hasCursor = bytes.readUInt8(23)
  if (hasCursor > 1 || (hasCursor === 0 && bytes.length > start)) throw corrupt('a stream record has trailing bytes')
  const storeId = format === 1 ? NO_STORE : bytes.toString('hex', 24, 24 + STORE_ID_BYTES)
  const record = {
    id: bytes.readUInt32BE(1),
    epoch: bytes.readUIntBE(5, 6),
    nextSeq: bytes.readUIntBE(11, 6),
    releasedSeq: bytes.readUIntBE(17, 6),
    releasedTo: storeId === NO_STORE ? null : storeId,
    cursor: hasCursor === 0 ? null : bytes.toString('utf8', start),
  }
  if (record.nextSeq < 1 || record.releasedSeq >= record.nextSeq || record.epoch < 1) {
    throw corrupt(`next ${record.nextSeq}, released ${record.releasedSeq}, epoch ${record.epoch} cannot be`)
  }
  return record
}
