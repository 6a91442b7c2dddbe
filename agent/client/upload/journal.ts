// What is known of a file's chunks, kept over restarts, so that none is hashed again. It belongs to one state of one file: path, size,
// time of the last write, inode, the way it is cut; and to the id under which it is sent. A record that is lost or damaged ends what
// is believed: it costs the hash of the chunks behind it. Little-endian:
//
//   header: 0 u32 "CWU1" · 4 u16 bytes of the path · 6 u16 0 · 8 content id (16) · 24 u53 size · 32 u64 ns of the last write ·
//           40 u64 inode · 48 u32 chunk bytes · 52 u32 average where cut by content, else 0 · 56 path · u32 CRC-32
//   record: 0 u32 CRC-32 of place and what follows · 4 u32 length · 8 SHA-256 (32)

import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { crc32 } from 'node:zlib'
import { writeU53 } from '#protocol/bytes/mod.ts'
import { DIGEST_BYTES, ed25519 } from '#protocol/crypto/mod.ts'
import { CHUNKS_MAX, CONTENT_ID_BYTES } from '#protocol/transfer/mod.ts'
import type { Stamp } from './content-file.ts'
import { JOURNAL_SYNC_MS, JOURNAL_WRITE_MS } from './limits.ts'

const MAGIC = 0x31555743
const PATH_AT = 56
const RECORD_BYTES = 8 + DIGEST_BYTES
const ID_AT = 8
/** Longer than the systems allow, and what follows it. */
const HEADER_PATH_BYTES_MAX = 16 * 1024

export type JournalKey = {
  readonly path: string
  readonly stamp: Stamp
  readonly chunkBytes: number
  /** Where cut by content, else 0. */
  readonly average: number
}

export type KnownChunk = { readonly digest: Buffer; readonly length: number }

/** Two uploads of one file at once must not write into one journal: the second does without. */
const inUse = new Set<string>()

export class Journal {
  readonly id: Buffer
  /** What was known when it was opened, from the first chunk on. */
  readonly known: readonly KnownChunk[]
  /** Why it does not go on, if it does not: the upload does. */
  failed: Error | null = null
  private readonly path: string
  private readonly file: FileHandle
  private count: number
  private pending: Buffer[] = []
  private timer: NodeJS.Timeout | null = null
  private writing: Promise<void> = Promise.resolve()
  private syncedAtMs = 0
  private isOpen = true

  private constructor(parts: { path: string; file: FileHandle; id: Buffer; known: readonly KnownChunk[] }) {
    this.path = parts.path
    this.file = parts.file
    this.id = parts.id
    this.known = parts.known
    this.count = parts.known.length
  }

  /** How that state of the file is being sent, under that id if one is given; `null` when it is not. */
  static async planOf(
    folder: string,
    of: Pick<JournalKey, 'path' | 'stamp'>,
    id: Buffer | null,
  ): Promise<Pick<JournalKey, 'chunkBytes' | 'average'> | null> {
    try {
      const bytes = Buffer.alloc(PATH_AT + HEADER_PATH_BYTES_MAX)
      await using file = await open(pathOf(folder, of.path), 'r')
      const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
      const plan = { chunkBytes: bytes.readUInt32LE(48), average: bytes.readUInt32LE(52) }
      const expected = headerOf({ ...of, ...plan }, id ?? bytes.subarray(ID_AT, ID_AT + CONTENT_ID_BYTES))
      return bytes.subarray(0, Math.min(bytesRead, expected.length)).equals(expected) ? plan : null
    } catch {
      return null
    }
  }

  /**
   * The journal of that state of the file, or an empty one in the place of any other; `null` when this process has it open.
   * `id`: the one it must have; `null` for any. Rejects when the folder cannot be used.
   */
  static async open(folder: string, key: JournalKey, id: Buffer | null, freshId: Buffer): Promise<Journal | null> {
    const path = pathOf(folder, key.path)
    if (inUse.has(path)) return null
    inUse.add(path)
    let file: FileHandle | null = null
    try {
      await mkdir(folder, { recursive: true })
      file = await open(path, 'a+', 0o600)
      const found = await read(file, key, id)
      if (found !== null) {
        await file.truncate(found.end)
        return new Journal({ path, file, ...found })
      }
      await file.truncate(0)
      await file.appendFile(headerOf(key, id ?? freshId))
      return new Journal({ path, file, id: id ?? freshId, known: [] })
    } catch (error) {
      inUse.delete(path)
      await file?.close()
      throw error
    }
  }

  /** The next chunk. It is written soon. */
  add(digest: Uint8Array, length: number): void {
    if (this.failed !== null || !this.isOpen) return
    const record = Buffer.alloc(RECORD_BYTES)
    record.writeUInt32LE(length, 4)
    record.set(digest, 8)
    record.writeUInt32LE(checksum(record, this.count++), 0)
    this.pending.push(record)
    this.timer ??= setTimeout(() => {
      this.timer = null
      this.write()
    }, JOURNAL_WRITE_MS)
  }

  /** Everything added is in the file, or it has failed. */
  async flush(): Promise<void> {
    this.write()
    await this.writing
  }

  /** It is kept for the next time. */
  async close(): Promise<void> {
    if (!this.isOpen) return
    await this.flush()
    await this.end()
  }

  /** It is not needed any more. */
  async remove(): Promise<void> {
    this.pending = []
    await this.writing
    // What cannot be removed is found to be of no use the next time.
    await rm(this.path, { force: true }).catch(() => undefined)
    await this.end()
  }

  private async end(): Promise<void> {
    if (!this.isOpen) return
    this.isOpen = false
    if (this.timer !== null) clearTimeout(this.timer)
    inUse.delete(this.path)
    // Nothing is lost with it but hashes.
    await this.file.close().catch(() => undefined)
  }

  private write(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    if (this.pending.length === 0) return
    const bytes = Buffer.concat(this.pending)
    this.pending = []
    this.writing = this.writing
      .then(() => this.append(bytes))
      .catch((error: Error) => {
        this.failed ??= error
      })
  }

  private async append(bytes: Buffer): Promise<void> {
    if (this.failed !== null) return
    await this.file.appendFile(bytes)
    const nowMs = performance.now()
    if (nowMs - this.syncedAtMs < JOURNAL_SYNC_MS) return
    this.syncedAtMs = nowMs
    await this.file.datasync()
  }
}

const pathOf = (folder: string, path: string): string =>
  join(folder, `${ed25519.digest(Buffer.from(resolve(path))).toString('hex', 0, 16)}.upload`)

type Found = { readonly id: Buffer; readonly known: KnownChunk[]; readonly end: number }

async function read(file: FileHandle, key: JournalKey, id: Buffer | null): Promise<Found | null> {
  const expected = headerOf(key, id ?? Buffer.alloc(CONTENT_ID_BYTES))
  const { size } = await file.stat()
  if (size < expected.length || size > expected.length + CHUNKS_MAX * RECORD_BYTES) return null
  const bytes = Buffer.alloc(size)
  const { bytesRead } = await file.read(bytes, 0, size, 0)
  const foundId = Buffer.from(bytes.subarray(ID_AT, ID_AT + CONTENT_ID_BYTES))
  const header = headerOf(key, id ?? foundId)
  if (bytesRead < size || !bytes.subarray(0, header.length).equals(header)) return null
  const known: KnownChunk[] = []
  let [at, sum] = [header.length, 0]
  while (at + RECORD_BYTES <= size) {
    const record = bytes.subarray(at, at + RECORD_BYTES)
    const length = record.readUInt32LE(4)
    const isGood = record.readUInt32LE(0) === checksum(record, known.length)
    const fits = length > 0 && sum + length <= key.stamp.size
    if (!isGood || !fits || !fitsPlan(key, length, sum)) break
    known.push({ digest: record.subarray(8), length })
    sum += length
    at += RECORD_BYTES
  }
  return { id: foundId, known, end: at }
}

const fitsPlan = ({ chunkBytes, stamp }: JournalKey, length: number, at: number): boolean =>
  chunkBytes === 0 || length === Math.min(chunkBytes, stamp.size - at)

/** Over the record's place too: one that was written for another place is none. */
const checksum = (record: Buffer, place: number): number => crc32(record.subarray(4), place)

function headerOf({ path, stamp, chunkBytes, average }: JournalKey, id: Buffer): Buffer {
  const name = Buffer.from(resolve(path))
  const out = Buffer.alloc(PATH_AT + name.length + 4)
  out.writeUInt32LE(MAGIC, 0)
  out.writeUInt16LE(name.length, 4)
  id.copy(out, ID_AT)
  writeU53(out, 24, stamp.size)
  out.writeBigUInt64LE(BigInt.asUintN(64, stamp.mtimeNs), 32)
  out.writeBigUInt64LE(BigInt.asUintN(64, stamp.inode), 40)
  out.writeUInt32LE(chunkBytes, 48)
  out.writeUInt32LE(average, 52)
  name.copy(out, PATH_AT)
  out.writeUInt32LE(crc32(out.subarray(0, PATH_AT + name.length)), PATH_AT + name.length)
  return out
}
