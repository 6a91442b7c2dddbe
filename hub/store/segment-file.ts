// The bytes of a segment file: a header page, then records, each a header and a sealed batch.
//
//   page    0  u32 "CWS1" · 4 u32 format · 8 u32 number · 12 u32 capacity · 16 u48 life · 60 u32 CRC-32 of 0…59
//   record  0  u32 "CWR1" · 4 u32 batch bytes · 8 u53 batch number · 16 u48 life · 22 u16 0 · 24 u32 0 ·
//           28 u32 CRC-32 of 0…27 · 32 the batch · zeros to a multiple of 64
//
// A file is used again without being erased. Each use is a *life* with a random number, which its header and all its
// records bear: what an earlier life left behind is never taken for something of this one. The batch carries its own
// digests, so a record needs none: a torn one has a sound header and a batch that does not open.

import { crc32 } from 'node:zlib'
import { readU53, writeU53 } from '#protocol/bytes/mod.ts'
import { openBatch } from '#protocol/codec/mod.ts'

export const FORMAT = 1
export const FILE_HEADER_BYTES = 4096
export const RECORD_HEADER_BYTES = 32
export const RECORD_ALIGN = 64
const FILE_MAGIC = 0x31535743
const RECORD_MAGIC = 0x31525743
const FILE_CRC_AT = 60
const RECORD_CRC_AT = 28

/** Where a batch lies. */
export type Place = {
  readonly segment: number
  /** Of the record in its file. */
  readonly offset: number
  /** Of the batch alone. */
  readonly bytes: number
  readonly life: number
}

export type FileHeader = { readonly number: number; readonly capacity: number; readonly life: number }
export type RecordHeader = { readonly seq: number; readonly bytes: number; readonly life: number }

/** Bytes a batch takes in a file. */
export function recordBytes(batchBytes: number): number {
  return Math.ceil((RECORD_HEADER_BYTES + batchBytes) / RECORD_ALIGN) * RECORD_ALIGN
}

export function encodeFileHeader({ number, capacity, life }: FileHeader): Buffer {
  const out = Buffer.alloc(FILE_HEADER_BYTES)
  out.writeUInt32LE(FILE_MAGIC, 0)
  out.writeUInt32LE(FORMAT, 4)
  out.writeUInt32LE(number, 8)
  out.writeUInt32LE(capacity, 12)
  out.writeUIntLE(life, 16, 6)
  out.writeUInt32LE(crc32(out.subarray(0, FILE_CRC_AT)), FILE_CRC_AT)
  return out
}

/** `null`: it is not one of ours, or was cut while it was written. */
export function parseFileHeader(bytes: Buffer): FileHeader | null {
  if (bytes.length < FILE_CRC_AT + 4 || bytes.readUInt32LE(0) !== FILE_MAGIC || bytes.readUInt32LE(4) !== FORMAT) {
    return null
  }
  if (bytes.readUInt32LE(FILE_CRC_AT) !== crc32(bytes.subarray(0, FILE_CRC_AT))) return null
  return { number: bytes.readUInt32LE(8), capacity: bytes.readUInt32LE(12), life: bytes.readUIntLE(16, 6) }
}

/** Writes 32 bytes at the start of `out`. */
export function writeRecordHeader(out: Buffer, { seq, bytes, life }: RecordHeader): void {
  out.writeUInt32LE(RECORD_MAGIC, 0)
  out.writeUInt32LE(bytes, 4)
  writeU53(out, 8, seq)
  out.writeUIntLE(life, 16, 6)
  out.writeUInt16LE(0, 22)
  out.writeUInt32LE(0, 24)
  out.writeUInt32LE(crc32(out.subarray(0, RECORD_CRC_AT)), RECORD_CRC_AT)
}

/** The record header at `at`; `null` when there is none. */
export function parseRecordHeader(bytes: Buffer, at = 0): RecordHeader | null {
  if (bytes.length < at + RECORD_HEADER_BYTES || bytes.readUInt32LE(at) !== RECORD_MAGIC) return null
  if (bytes.readUInt32LE(at + RECORD_CRC_AT) !== crc32(bytes.subarray(at, at + RECORD_CRC_AT))) return null
  return {
    bytes: bytes.readUInt32LE(at + 4),
    seq: readU53(bytes, at + 8, 'record'),
    life: bytes.readUIntLE(at + 16, 6),
  }
}

/** The fault in a batch as it was read, or `null`: its head's check bytes and its content's digest. */
export function batchProblem(bytes: Buffer): unknown {
  try {
    openBatch(bytes).checkContent()
    return null
  } catch (error) {
    return error
  }
}
