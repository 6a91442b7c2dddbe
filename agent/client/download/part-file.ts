// The file a download grows in. It has its full size from the start; chunks are written at their places, past the page cache where
// the system, the file system and the plan allow it (measured in hub/store/direct.ts: three times the speed for a fiftieth of
// the processor). Where all is zeros nothing is written.

import { constants, type FileHandle, open } from 'node:fs/promises'
import type { ChunkArena } from './arena.ts'
import { NO_LINKS } from './journal.ts'
import { DISK_PAGE_BYTES } from './limits.ts'

/** Compared with, and written, in such steps. */
const ZEROS = Buffer.alloc(64 * 1024)

export class PartFile {
  readonly path: string
  /** Where nothing was written by us there are zeros. */
  isFresh: boolean
  private readonly file: FileHandle
  /** The same file, past the page cache. */
  private readonly direct: FileHandle | null
  private directWorks: boolean

  private constructor(parts: { path: string; file: FileHandle; direct: FileHandle | null; isFresh: boolean }) {
    this.path = parts.path
    this.file = parts.file
    this.direct = parts.direct
    this.directWorks = parts.direct !== null
    this.isFresh = parts.isFresh
  }

  /** Makes one of that size; with `goOn` opens the one that is there. `chunkBytes`: 0 when chunks lie anywhere. */
  static async open(
    path: string,
    { size, chunkBytes, goOn = false }: { size: number; chunkBytes: number; goOn?: boolean },
    arena: ChunkArena,
  ): Promise<PartFile> {
    const file = await open(path, constants.O_RDWR | constants.O_CREAT | NO_LINKS, 0o666)
    try {
      if (!goOn) {
        await file.truncate(0)
        await file.truncate(size)
      }
      const aligned = chunkBytes > 0 && chunkBytes % DISK_PAGE_BYTES === 0 && size >= chunkBytes
      const direct = aligned ? await openDirect(path, arena) : null
      return new PartFile({ path, file, direct, isFresh: !goOn })
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Bytes of it, or `null` when there is no such file of that size. */
  static async exists(path: string, size: number): Promise<boolean> {
    try {
      const file = await open(path, constants.O_RDONLY | NO_LINKS)
      try {
        const stat = await file.stat()
        return stat.isFile() && stat.size === size
      } finally {
        await file.close()
      }
    } catch {
      return false
    }
  }

  get isDirect(): boolean {
    return this.directWorks
  }

  /** Writes neighbours at `offset`. They stay the caller's. */
  async write(buffers: readonly Buffer[], offset: number): Promise<void> {
    const bytes = buffers.reduce((sum, buffer) => sum + buffer.length, 0)
    // The last chunk of a content rarely fills its last page.
    if (this.direct !== null && this.directWorks && bytes % DISK_PAGE_BYTES === 0) {
      try {
        const { bytesWritten } = await this.direct.writev([...buffers], offset)
        if (bytesWritten === bytes) return
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error
        this.directWorks = false
      }
    }
    let at = offset
    for (const buffer of buffers) {
      await writeAll(this.file, buffer, at)
      at += buffer.length
    }
  }

  /** Makes it zeros from `offset` on: where it is not known to be so already, what is there is looked at first. */
  async clear(offset: number, bytes: number): Promise<void> {
    if (this.isFresh) return
    const there = Buffer.alloc(Math.min(bytes, ZEROS.length))
    for (let at = 0; at < bytes; at += there.length) {
      const step = there.subarray(0, Math.min(there.length, bytes - at))
      if ((await readAll(this.file, step, offset + at)) && isZeros(step)) continue
      await writeAll(this.file, ZEROS.subarray(0, step.length), offset + at)
    }
  }

  /** Fills `into` from `offset` on; gives whether there was so much. */
  read(into: Buffer, offset: number): Promise<boolean> {
    return readAll(this.file, into, offset)
  }

  /** What was written is durable afterwards. */
  sync(): Promise<void> {
    return this.file.datasync()
  }

  /** All of it is durable; gives when it was last changed, ms since 1970. */
  async finish(): Promise<number> {
    await this.file.sync()
    return Math.floor((await this.file.stat()).mtimeMs)
  }

  async close(): Promise<void> {
    await this.direct?.close()
    await this.file.close()
  }
}

async function openDirect(path: string, arena: ChunkArena): Promise<FileHandle | null> {
  if (constants.O_DIRECT === undefined) return null
  let direct: FileHandle
  try {
    direct = await open(path, constants.O_RDWR | constants.O_DIRECT | NO_LINKS)
  } catch {
    return null
  }
  if (await arena.align(direct.fd)) return direct
  await direct.close()
  return null
}

async function writeAll(file: FileHandle, buffer: Buffer, offset: number): Promise<void> {
  for (let at = 0; at < buffer.length; ) {
    at += (await file.write(buffer, at, buffer.length - at, offset + at)).bytesWritten
  }
}

export function isZeros(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const step = bytes.subarray(at, at + ZEROS.length)
    if (!step.equals(ZEROS.subarray(0, step.length))) return false
  }
  return true
}

/** Fills `into`; gives whether the file had so much. */
export async function readAll(file: FileHandle, into: Buffer, offset: number): Promise<boolean> {
  for (let at = 0; at < into.length; ) {
    const { bytesRead } = await file.read(into, at, into.length - at, offset + at)
    if (bytesRead === 0) return false
    at += bytesRead
  }
  return true
}
