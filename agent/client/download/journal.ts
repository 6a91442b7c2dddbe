// The journal beside a part file: which chunks are verified and durable in it. What it says is believed after a restart without
// hashing again, so a record is written only when its chunk has been flushed. Once the content is complete it is kept as the
// file's index: later versions find in it what they need not fetch. Little-endian:
//
//   header: 0 u32 "CWJ1" · 4 u32 0 · 8 content id (16) · 24 u53 size · 32 u32 chunk bytes · 36 u64 0 · 44 u32 CRC-32
//   record: 0 u32 chunk · 4 u32 length · 8 u53 offset · 16 SHA-256 (32) · 48 u32 CRC-32
//
// Length 0: the chunk is not there any more. Chunk 0xffffffff: everything is there; the offset is when the file was last changed.

import { constants, type FileHandle, open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { readU53, writeU53 } from '#protocol/bytes/mod.ts'
import { CHUNK_BYTES_MAX, CHUNKS_MAX, CONTENT_ID_BYTES } from '#protocol/transfer/mod.ts'
import { JOURNAL_BYTES_MAX, JOURNAL_HEADER_BYTES, JOURNAL_RECORD_BYTES } from './limits.ts'
import { type ChunkPlace, ChunkRecords } from './records.ts'

const MAGIC = 0x314a5743
const COMPLETE = 0xffff_ffff
const NO_DIGEST = Buffer.alloc(32)
/** Nobody may have put a link in its place. Windows has no such flag. */
export const NO_LINKS = constants.O_NOFOLLOW ?? 0

export type JournalHeader = { readonly id: Buffer; readonly size: number; readonly chunkBytes: number }

export type JournalContents = JournalHeader & {
  readonly records: ChunkRecords
  /** When the complete file was last changed, ms since 1970; `null` while it is not complete. */
  readonly completeMs: number | null
  /** Where the last good record ends. */
  readonly end: number
}

export class Journal {
  readonly records: ChunkRecords
  private readonly file: FileHandle
  private end: number
  /** Writes come one after the other: the end of one is the beginning of the next. */
  private last: Promise<void> = Promise.resolve()

  private constructor(file: FileHandle, records: ChunkRecords, end: number) {
    this.file = file
    this.records = records
    this.end = end
  }

  /** An empty one, in the place of any other. */
  static async create(path: string, header: JournalHeader): Promise<Journal> {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | NO_LINKS
    const file = await open(path, flags, 0o600)
    try {
      await file.write(encodeHeader(header), 0, JOURNAL_HEADER_BYTES, 0)
      return new Journal(file, new ChunkRecords(), JOURNAL_HEADER_BYTES)
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Goes on with what `readJournal` gave. */
  static async resume(path: string, { records, end }: JournalContents): Promise<Journal> {
    const file = await open(path, constants.O_RDWR | NO_LINKS)
    try {
      // A record that was cut short is written over; what is behind it is not to be taken for records later.
      await file.truncate(end)
      return new Journal(file, records, end)
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Durable when it resolves; only then `records` knows them. When it fails it can be called again with the same. */
  async add(places: readonly ChunkPlace[]): Promise<void> {
    await this.write(places.map(encodeRecord))
    for (const place of places) this.records.set(place)
  }

  /** What lies in its place is not this chunk. */
  async drop(index: number): Promise<void> {
    await this.write([encodeRecord({ index, offset: 0, length: 0, digest: NO_DIGEST })])
    this.records.drop(index)
  }

  /** All of the content is there. */
  async complete(changedMs: number): Promise<void> {
    await this.write([encodeRecord({ index: COMPLETE, offset: changedMs, length: 0, digest: NO_DIGEST })])
  }

  close(): Promise<void> {
    return this.file.close()
  }

  private write(records: readonly Buffer[]): Promise<void> {
    const done = this.last.then(() => this.append(Buffer.concat(records)))
    this.last = done.catch(() => {
      // Whoever asked for it is told; the next one is written all the same.
    })
    return done
  }

  private async append(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      at += (await this.file.write(bytes, at, bytes.length - at, this.end + at)).bytesWritten
    }
    await this.file.datasync()
    this.end += bytes.length
  }
}

/** `null` where there is none, or what is there is none. */
export const readJournal = (path: string): Promise<JournalContents | null> =>
  reading(path, async (file) => {
    if ((await file.stat()).size > JOURNAL_BYTES_MAX) return null
    return parseJournal(await file.readFile())
  })

/** The same of its beginning and its end alone: the chunks are not read. */
export const peekJournal = (path: string): Promise<Omit<JournalContents, 'records' | 'end'> | null> =>
  reading(path, async (file) => {
    const { size } = await file.stat()
    const records = Math.floor((size - JOURNAL_HEADER_BYTES) / JOURNAL_RECORD_BYTES)
    const bytes = Buffer.alloc(JOURNAL_HEADER_BYTES + JOURNAL_RECORD_BYTES)
    if (records < 1 || size > JOURNAL_BYTES_MAX) return null
    const lastAt = JOURNAL_HEADER_BYTES + (records - 1) * JOURNAL_RECORD_BYTES
    await file.read(bytes, 0, JOURNAL_HEADER_BYTES, 0)
    await file.read(bytes, JOURNAL_HEADER_BYTES, JOURNAL_RECORD_BYTES, lastAt)
    return parseJournal(bytes)
  })

async function reading<T>(path: string, read: (file: FileHandle) => Promise<T | null>): Promise<T | null> {
  let file: FileHandle
  try {
    file = await open(path, constants.O_RDONLY | NO_LINKS)
  } catch {
    return null
  }
  try {
    return await read(file)
  } finally {
    await file.close()
  }
}

export function parseJournal(bytes: Buffer): JournalContents | null {
  if (bytes.length < JOURNAL_HEADER_BYTES) return null
  if (bytes.readUInt32LE(0) !== MAGIC || bytes.readUInt32LE(44) !== crc32(bytes.subarray(0, 44))) return null
  const id = Buffer.from(bytes.subarray(8, 8 + CONTENT_ID_BYTES))
  const size = readU53(bytes, 24, 'journal')
  const records = new ChunkRecords()
  let completeMs: number | null = null
  let at = JOURNAL_HEADER_BYTES
  for (; at + JOURNAL_RECORD_BYTES <= bytes.length; at += JOURNAL_RECORD_BYTES) {
    const record = bytes.subarray(at, at + JOURNAL_RECORD_BYTES)
    if (record.readUInt32LE(48) !== crc32(record.subarray(0, 48))) break
    const index = record.readUInt32LE(0)
    const length = record.readUInt32LE(4)
    const offset = readU53(record, 8, 'journal')
    if (index === COMPLETE) completeMs = offset
    else if (index >= CHUNKS_MAX || length > CHUNK_BYTES_MAX || offset + length > size) break
    else if (length === 0) records.drop(index)
    else records.set({ index, offset, length, digest: record.subarray(16, 48) })
  }
  return { id, size, chunkBytes: bytes.readUInt32LE(32), records, completeMs, end: at }
}

function encodeHeader({ id, size, chunkBytes }: JournalHeader): Buffer {
  const out = Buffer.alloc(JOURNAL_HEADER_BYTES)
  out.writeUInt32LE(MAGIC, 0)
  id.copy(out, 8)
  writeU53(out, 24, size)
  out.writeUInt32LE(chunkBytes, 32)
  out.writeUInt32LE(crc32(out.subarray(0, 44)), 44)
  return out
}

function encodeRecord({ index, offset, length, digest }: ChunkPlace): Buffer {
  const out = Buffer.alloc(JOURNAL_RECORD_BYTES)
  out.writeUInt32LE(index, 0)
  out.writeUInt32LE(length, 4)
  writeU53(out, 8, offset)
  digest.copy(out, 16)
  out.writeUInt32LE(crc32(out.subarray(0, 48)), 48)
  return out
}
