// What is said of a content and its parts, and what may be said of them.

import type { Fault } from '#protocol/base/mod.ts'
import { CHUNK_BYTES_MAX, CONTENT_BYTES_MAX } from '#protocol/transfer/mod.ts'
import { storeFault } from '../faults.ts'
import { CONTENT_TEXT_BYTES_MAX } from '../limits.ts'
import type { Chunk } from './adding.ts'
import { type ContentRow, type ContentState, DIGEST_BYTES, isWhole } from './rows.ts'

/** 16 random bytes in hex, chosen by the sender. */
export type ContentId = string

export type ContentInfo = {
  readonly id: ContentId
  /** The agent that sends it. */
  readonly origin: string
  readonly name: string
  readonly mediaType: string
  readonly size: number
  /** Of every chunk but the last; 0 when chunks are cut by their content. Kept for readers, not enforced here. */
  readonly chunkBytes: number
  readonly createdAtMs: number
  readonly keepMs: number
  /** Kept for readers like the others; 0 or absent: it does not expire. */
  readonly expiresAtMs?: number
}

export type ContentView = ContentInfo & {
  /** `sealed` goes back to `open`, with its manifest, when a chunk of it turned out to be damaged. */
  readonly state: ContentState
  readonly manifest: Buffer | null
  readonly touchedAtMs: number
  readonly expiresAtMs: number
  /** Parts that are durable here, and bytes of them. */
  readonly chunks: number
  readonly bytes: number
}

export type Part = { readonly index: number; readonly digest: Buffer; readonly length: number }

const ID = /^[0-9a-f]{32}$/

export function newRow(info: ContentInfo): ContentRow {
  const { id, origin, name, mediaType, size, chunkBytes, createdAtMs, keepMs, expiresAtMs = 0 } = info
  return {
    id,
    origin,
    name,
    mediaType,
    size,
    chunkBytes,
    createdAtMs: Math.floor(createdAtMs),
    keepMs: Math.floor(keepMs),
    touchedAtMs: Math.floor(createdAtMs),
    expiresAtMs: Math.floor(expiresAtMs),
    state: 'open',
    manifest: null,
    parts: 0,
    bytes: 0,
    end: 0,
  }
}

export function sealProblem(row: ContentRow, manifest: Buffer): Fault | null {
  const where = `content ${row.id}`
  if (row.state === 'sealed') {
    if (row.manifest?.equals(manifest)) return null
    return storeFault('CONTENT_CONFLICT', { where, why: 'it is sealed with another manifest' })
  }
  if (isWhole(row)) return null
  const why = `${row.parts} parts of ${row.bytes} bytes, of ${row.size} bytes in all`
  return storeFault('CONTENT_INCOMPLETE', { where, why })
}

export function checkInfo(info: ContentInfo): void {
  const { id, origin, name, mediaType, size, chunkBytes, createdAtMs, keepMs, expiresAtMs = 0 } = info
  if (!ID.test(id)) throw invalid('an id is 32 hex digits')
  for (const text of [origin, name, mediaType]) {
    if (Buffer.byteLength(text) > CONTENT_TEXT_BYTES_MAX)
      throw invalid(`a text has ${CONTENT_TEXT_BYTES_MAX} bytes at most`)
  }
  if (!isCount(size) || size > CONTENT_BYTES_MAX) throw invalid(`a content has ${CONTENT_BYTES_MAX} bytes at most`)
  if (!isCount(chunkBytes) || chunkBytes > CHUNK_BYTES_MAX)
    throw invalid(`a chunk has ${CHUNK_BYTES_MAX} bytes at most`)
  if (!(createdAtMs >= 0) || !(keepMs >= 0) || !(expiresAtMs >= 0)) throw invalid('times are not below 0')
}

export function checkPart(index: number, { digest, length, bytes, isEncoded = false }: Chunk): void {
  if (!isCount(index) || index >= 0xffff_ffff) throw invalid('an index is a number below 2^32 - 1')
  if (digest.length !== DIGEST_BYTES) throw invalid(`a digest has ${DIGEST_BYTES} bytes`)
  if (!isCount(length) || length === 0 || length > CHUNK_BYTES_MAX) {
    throw invalid(`a chunk has 1 to ${CHUNK_BYTES_MAX} bytes`)
  }
  if (bytes === null) return
  const given = Buffer.isBuffer(bytes) ? bytes.length : bytes.reduce((sum, piece) => sum + piece.length, 0)
  if (isEncoded ? given > 0 && given < length : given === length) return
  throw invalid(`${given} bytes were given for ${isEncoded ? 'an encoded' : 'a'} chunk of ${length}`)
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0
export const invalid = (why: string): Fault => storeFault('CONTENT_INVALID', { why })
export const unknown = (id: ContentId): Fault => storeFault('CONTENT_UNKNOWN', { where: `content ${id}` })
