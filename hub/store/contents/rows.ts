// Rows of the contents' tables, little-endian, each ended by a u32 CRC-32 of all before it:
//
// A content, by number:
//   0 u8 1 · 1 u8 state · 2 u53 size · 10 u53 created · 18 u53 keep · 26 u53 touched · 34 u32 chunk bytes · 38 u32 parts ·
//   42 u53 bytes of them · 50 u32 one more than the highest index · 54 id (16) · u8 length, origin · u8 length, name ·
//   u8 length, media type · u16 length, manifest; a row of format 2 is of one that expires, and ends: · u53 when
// A part, by content's number and index:
//   0 u8 1 · 1 u32 length · 5 u53 chunk's number · 13 digest (32); a row of format 2 is of one that is not counted in its content,
//   because its chunk was given up
// A chunk, by number; a row of format 2 is of one that is stored encoded (protocol/transfer/coding.ts), in fewer bytes than it has:
//   0 u8 1 or 2 · 1 u8 state · 2 u32 segment · 6 u32 offset · 10 u32 bytes · 14 u48 life · 20 u32 references ·
//   24 digest (32) · in format 2: 56 u32 length of the chunk
// A number, by content's id or chunk's digest (whose bytes are checked with it); also how many parts of one origin consist of
// a chunk, by chunk's number and origin:
//   0 u8 1 · 1 u53 number
// An agent that may read a content, by content's number and agent:
//   0 u8 1 · 1 content's id (16)
//
// A content that is being removed, by number, without a checksum: 0 u8 1 · 1 origin

import { crc32 } from 'node:zlib'
import { readU53, writeU53 } from '#protocol/bytes/mod.ts'
import { storeFault } from '../faults.ts'
import type { Place } from '../segment-file.ts'

const FORMAT = 1
const FORMAT_ENCODED = 2
const FORMAT_EXPIRING = 2
const FORMAT_MISSING = 2
const CRC_BYTES = 4
const ID_AT = 54
const ID_BYTES = 16
export const DIGEST_BYTES = 32
const PART_BYTES = 13 + DIGEST_BYTES + CRC_BYTES
const LENGTH_AT = 24 + DIGEST_BYTES
const CHUNK_BYTES = LENGTH_AT + CRC_BYTES
const ENCODED_CHUNK_BYTES = LENGTH_AT + 4 + CRC_BYTES
const NUMBER_BYTES = 9 + CRC_BYTES
const READER_BYTES = 1 + ID_BYTES + CRC_BYTES

export type ContentState = 'open' | 'sealed'
const STATES: readonly ContentState[] = ['open', 'sealed']

export type ContentRow = {
  readonly id: string
  readonly origin: string
  readonly name: string
  readonly mediaType: string
  readonly size: number
  readonly chunkBytes: number
  readonly createdAtMs: number
  readonly keepMs: number
  readonly touchedAtMs: number
  /** 0: it does not. */
  readonly expiresAtMs: number
  readonly state: ContentState
  readonly manifest: Buffer | null
  /** Parts with a row, bytes of them, and one more than the highest index there ever was. */
  readonly parts: number
  readonly bytes: number
  readonly end: number
}

export type PartRow = {
  readonly digest: Buffer
  readonly length: number
  readonly chunk: number
  /** Not counted in its content: its chunk was given up. It is again when the chunk comes again, by whatever content. */
  readonly missing: boolean
}

/**
 * A chunk that turned out to be damaged is given up: its place holds nothing any more, and its parts are missing. It is `losing`
 * until all of them are marked so, then `lost`; `healing`, when it has come again, until all of them are counted again.
 */
export const CHUNK_STATES = ['here', 'losing', 'healing', 'lost'] as const
export type ChunkState = (typeof CHUNK_STATES)[number]

export type ChunkRow = {
  readonly place: Place
  /** Of the chunk. It lies there encoded when its place has fewer bytes. */
  readonly length: number
  readonly digest: Buffer
  /** Parts that consist of it, missing ones included. 0: nobody knows, its row was damaged; such a one never comes again. */
  readonly references: number
  readonly state: ChunkState
}

export const isHere = ({ state }: ChunkRow): boolean => state === 'here' || state === 'healing'

/** With so much more or less of it. It is sealed with what it was sealed with when all of it is there again. */
export function counted(content: ContentRow, { parts, bytes }: { parts: number; bytes: number }): ContentRow {
  const row = { ...content, parts: content.parts + parts, bytes: content.bytes + bytes }
  return { ...row, state: row.manifest !== null && isWhole(row) ? 'sealed' : 'open' }
}

/** Counted by number, so parts and the highest index say together whether one is missing. */
export const isWhole = ({ parts, end, bytes, size }: ContentRow): boolean => parts === end && bytes === size

export function encodeContent(row: ContentRow): Buffer {
  const texts = [row.origin, row.name, row.mediaType].map((text) => Buffer.from(text))
  const manifest = row.manifest ?? Buffer.alloc(0)
  const textBytes = texts.reduce((sum, { length }) => sum + 1 + length, 0)
  const isExpiring = row.expiresAtMs > 0
  const fixedBytes = ID_AT + ID_BYTES + 2 + (isExpiring ? 8 : 0) + CRC_BYTES
  const out = Buffer.allocUnsafe(fixedBytes + textBytes + manifest.length)
  out[0] = isExpiring ? FORMAT_EXPIRING : FORMAT
  out[1] = STATES.indexOf(row.state)
  writeU53(out, 2, row.size)
  writeU53(out, 10, row.createdAtMs)
  writeU53(out, 18, row.keepMs)
  writeU53(out, 26, row.touchedAtMs)
  out.writeUInt32LE(row.chunkBytes, 34)
  out.writeUInt32LE(row.parts, 38)
  writeU53(out, 42, row.bytes)
  out.writeUInt32LE(row.end, 50)
  out.write(row.id, ID_AT, 'hex')
  let at = ID_AT + ID_BYTES
  for (const text of texts) {
    out[at++] = text.length
    at += text.copy(out, at)
  }
  at = out.writeUInt16LE(manifest.length, at)
  at += manifest.copy(out, at)
  if (isExpiring) writeU53(out, at, row.expiresAtMs)
  return signed(out)
}

/** Faults: `STORE_DAMAGED`. */
export function decodeContent(bytes: Buffer, number: number): ContentRow {
  const isExpiring = bytes[0] === FORMAT_EXPIRING
  const bytesMin = ID_AT + ID_BYTES + 5 + (isExpiring ? 8 : 0) + CRC_BYTES
  check(bytes, bytesMin, () => `content number ${number}`, isExpiring ? FORMAT_EXPIRING : FORMAT)
  let at = ID_AT + ID_BYTES
  const text = () => {
    const from = at + 1
    at = from + (bytes[at] as number)
    return bytes.toString('utf8', from, at)
  }
  const [origin, name, mediaType] = [text(), text(), text()]
  const manifestBytes = bytes.readUInt16LE(at)
  return {
    id: bytes.toString('hex', ID_AT, ID_AT + ID_BYTES),
    origin,
    name,
    mediaType,
    size: readU53(bytes, 2, 'content row'),
    chunkBytes: bytes.readUInt32LE(34),
    createdAtMs: readU53(bytes, 10, 'content row'),
    keepMs: readU53(bytes, 18, 'content row'),
    touchedAtMs: readU53(bytes, 26, 'content row'),
    expiresAtMs: isExpiring ? readU53(bytes, at + 2 + manifestBytes, 'content row') : 0,
    state: STATES[bytes[1] as number] ?? 'open',
    manifest: manifestBytes === 0 ? null : bytes.subarray(at + 2, at + 2 + manifestBytes),
    parts: bytes.readUInt32LE(38),
    bytes: readU53(bytes, 42, 'content row'),
    end: bytes.readUInt32LE(50),
  }
}

export function encodePart({ digest, length, chunk, missing }: PartRow): Buffer {
  const out = Buffer.allocUnsafe(PART_BYTES)
  out[0] = missing ? FORMAT_MISSING : FORMAT
  out.writeUInt32LE(length, 1)
  writeU53(out, 5, chunk)
  digest.copy(out, 13, 0, DIGEST_BYTES)
  return signed(out)
}

/** Faults: `STORE_DAMAGED`. */
export function decodePart(bytes: Buffer, [content, index]: PartKey): PartRow {
  const missing = bytes[0] === FORMAT_MISSING
  const format = missing ? FORMAT_MISSING : FORMAT
  check(bytes, PART_BYTES, () => `part ${index} of content number ${content}`, format)
  return {
    digest: bytes.subarray(13, 13 + DIGEST_BYTES),
    length: bytes.readUInt32LE(1),
    chunk: readU53(bytes, 5, 'part row'),
    missing,
  }
}

/** Content's number, index. */
export type PartKey = [number, number]

export function encodeChunk({ place, length, digest, references, state }: ChunkRow): Buffer {
  const isEncoded = place.bytes < length
  const out = Buffer.allocUnsafe(isEncoded ? ENCODED_CHUNK_BYTES : CHUNK_BYTES)
  out[0] = isEncoded ? FORMAT_ENCODED : FORMAT
  out[1] = CHUNK_STATES.indexOf(state)
  out.writeUInt32LE(place.segment, 2)
  out.writeUInt32LE(place.offset, 6)
  out.writeUInt32LE(place.bytes, 10)
  out.writeUIntLE(place.life, 14, 6)
  out.writeUInt32LE(references, 20)
  digest.copy(out, 24, 0, DIGEST_BYTES)
  if (isEncoded) out.writeUInt32LE(length, LENGTH_AT)
  return signed(out)
}

/** Faults: `STORE_DAMAGED`. */
export function decodeChunk(bytes: Buffer, number: number): ChunkRow {
  const isEncoded = bytes[0] === FORMAT_ENCODED
  const [bytesMin, format] = isEncoded ? [ENCODED_CHUNK_BYTES, FORMAT_ENCODED] : [CHUNK_BYTES, FORMAT]
  check(bytes, bytesMin, () => `chunk number ${number}`, format)
  const place: Place = {
    segment: bytes.readUInt32LE(2),
    offset: bytes.readUInt32LE(6),
    bytes: bytes.readUInt32LE(10),
    life: bytes.readUIntLE(14, 6),
  }
  const digest = bytes.subarray(24, 24 + DIGEST_BYTES)
  const length = isEncoded ? bytes.readUInt32LE(LENGTH_AT) : place.bytes
  const state = CHUNK_STATES[bytes[1] as number] ?? 'here'
  return { place, length, digest, references: bytes.readUInt32LE(20), state }
}

/** `key`: what the number belongs to; it cannot be swapped with another's. */
export function encodeNumber(number: number, key: string): Buffer {
  const out = Buffer.allocUnsafe(NUMBER_BYTES)
  out[0] = FORMAT
  writeU53(out, 1, number)
  out.writeUInt32LE(crc32(key, crc32(out.subarray(0, 9))), 9)
  return out
}

/** Faults: `STORE_DAMAGED`. */
export function decodeNumber(bytes: Buffer, key: string): number {
  const sound = bytes.length === NUMBER_BYTES && bytes.readUInt32LE(9) === crc32(key, crc32(bytes.subarray(0, 9)))
  if (!sound || bytes[0] !== FORMAT) throw damaged(`number of ${key}`)
  return readU53(bytes, 1, 'number row')
}

/** The id is checked: the number may be another content's, since an older program removes no such rows. */
export function encodeReader(id: string): Buffer {
  const out = Buffer.allocUnsafe(READER_BYTES)
  out[0] = FORMAT
  out.write(id, 1, 'hex')
  return signed(out)
}

/** Faults: `STORE_DAMAGED`. */
export function decodeReader(bytes: Buffer, [content, agent]: NamedKey): string {
  check(bytes, READER_BYTES, () => `reader ${agent} of content number ${content}`)
  return bytes.toString('hex', 1, 1 + ID_BYTES)
}

/** A number of the store, and an agent's name. */
export type NamedKey = [number, string]

function signed(out: Buffer): Buffer {
  const crcAt = out.length - CRC_BYTES
  out.writeUInt32LE(crc32(out.subarray(0, crcAt)), crcAt)
  return out
}

function check(bytes: Buffer, bytesMin: number, where: () => string, format = FORMAT): void {
  const crcAt = bytes.length - CRC_BYTES
  const sound = bytes.length >= bytesMin && bytes.readUInt32LE(crcAt) === crc32(bytes.subarray(0, crcAt))
  if (!sound || bytes[0] !== format) throw damaged(where())
}

const damaged = (where: string) => storeFault('STORE_DAMAGED', { where, why: 'its row is not what was written' })
