// The files of the segments: opened when needed, a bounded number kept open. A file is never closed or removed while
// something is under way with it (`users`), nor renamed: other systems refuse that for open files.

import {
  closeSync,
  fdatasync,
  fsync,
  ftruncateSync,
  mkdirSync,
  open as openFile,
  openSync,
  readdirSync,
  readSync,
  readv,
  rmSync,
  statSync,
  writev,
} from 'node:fs'
import { unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type DirectFile, DirectWriter } from './direct.ts'
import { syncFolder } from './header.ts'
import { READ_BYTES_MAX, SEGMENT_FILES_OPEN_MAX } from './limits.ts'
import { FILE_HEADER_BYTES, type FileHeader, parseFileHeader } from './segment-file.ts'

const openAsync = promisify(openFile)
const fsyncAsync = promisify(fsync)
const flushAsync = promisify(fdatasync)
const readAsync = promisify(readv)
const writeAsync = promisify(writev)
const NAME = /^(\d{8,10})\.seg$/

export type FoundFile = {
  readonly number: number
  readonly size: number
  /** Bytes it takes on the disk: less than its size while parts were never written. */
  readonly diskBytes: number
  readonly header: FileHeader | null
}

/** What the files need to know of a segment. */
export type FileOwner = { readonly number: number; readonly capacity: number; users: number }

/** An open file. `direct` is for writing past the page cache: made when it is first written, `null` where that cannot be had. */
type OpenFile = { readonly owner: FileOwner; readonly handle: number; direct: DirectFile | null }

export class SegmentFiles {
  readonly folder: string
  /** Open files, the least recently used first. */
  private readonly open = new Map<number, OpenFile>()
  private readonly directWriter = new DirectWriter()

  constructor(folder: string) {
    this.folder = folder
    if (mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined) syncFolder(join(folder, '..'))
  }

  pathOf(number: number): string {
    return join(this.folder, `${String(number).padStart(8, '0')}.seg`)
  }

  /** All segment files of the folder, ascending. */
  list(): FoundFile[] {
    const found: FoundFile[] = []
    for (const name of readdirSync(this.folder).sort()) {
      const number = Number(NAME.exec(name)?.[1] ?? Number.NaN)
      if (Number.isNaN(number)) continue
      const { size, blocks } = statSync(join(this.folder, name))
      found.push({ number, size, diskBytes: Math.min(size, (blocks ?? size) * 512), header: this.headerOf(number) })
    }
    return found
  }

  /** The file's handle, for reading. Valid within this turn, or while `users` is above 0. */
  handle(owner: FileOwner): number {
    return this.file(owner, false).handle
  }

  /** Makes the file when it is missing. Gives the bytes written, which may be less. One at a time. */
  async write(owner: FileOwner, buffers: readonly Buffer[], offset: number): Promise<number> {
    const file = this.file(owner, true)
    file.direct ??= this.directWriter.open(this.pathOf(owner.number))
    if (file.direct !== null) {
      const written = await this.directWriter.write(file.direct, buffers, offset, file.handle)
      if (written !== null) return written
      this.directWriter.close(file.direct)
      file.direct = null
    }
    return (await writeAsync(file.handle, buffers, offset)).bytesWritten
  }

  /** Whatever was written is on the disk. */
  flush(owner: FileOwner): Promise<void> {
    return flushAsync(this.handle(owner))
  }

  /** Fills `bytes` from `offset` on; gives how much there was. */
  read(owner: FileOwner, bytes: Buffer, offset: number): number {
    const handle = this.handle(owner)
    let at = 0
    while (at < bytes.length) {
      const count = readSync(handle, bytes, at, bytes.length - at, offset + at)
      if (count === 0) break
      at += count
    }
    return at
  }

  /** Fills `head`, then `rest`, from `offset` on, beside this thread; gives how much there was. `users` is above 0. */
  async readRecord(owner: FileOwner, head: Buffer, rest: Buffer, offset: number): Promise<number> {
    const handle = this.handle(owner)
    const end = head.length + rest.length
    let at = 0
    while (at < end) {
      const from = Math.max(0, at - head.length)
      const piece = rest.subarray(from, from + READ_BYTES_MAX)
      const buffers = at < head.length ? [head.subarray(at), piece] : [piece]
      const { bytesRead } = await readAsync(handle, buffers, offset + at)
      if (bytesRead === 0) break
      at += bytesRead
    }
    return at
  }

  /** Makes the names of new files durable. */
  async syncNames(): Promise<void> {
    if (process.platform === 'win32') return
    const handle = await openAsync(this.folder, 'r')
    try {
      await fsyncAsync(handle)
    } finally {
      closeSync(handle)
    }
  }

  /** One that cannot be removed stays as a file without live batches: the next start finds it. */
  async remove(number: number): Promise<void> {
    this.close(number)
    try {
      await unlink(this.pathOf(number))
    } catch {
      // Nothing depends on it: it takes space, and is free or removed after the next start.
    }
  }

  closeAll(): void {
    for (const number of [...this.open.keys()]) this.close(number)
  }

  private file(owner: FileOwner, make: boolean): OpenFile {
    const known = this.open.get(owner.number)
    if (known !== undefined) {
      this.open.delete(owner.number)
      this.open.set(owner.number, known)
      return known
    }
    const handle = make ? this.openOrMake(owner) : openSync(this.pathOf(owner.number), 'r+')
    const file: OpenFile = { owner, handle, direct: null }
    this.open.set(owner.number, file)
    this.closeUnused(SEGMENT_FILES_OPEN_MAX)
    return file
  }

  private openOrMake(owner: FileOwner): number {
    const path = this.pathOf(owner.number)
    try {
      return openSync(path, 'r+')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
    const handle = openSync(path, 'w+', 0o600)
    try {
      // Its full length at once: growing it with every group would be one more thing to flush each time.
      ftruncateSync(handle, owner.capacity)
      return handle
    } catch (error) {
      closeSync(handle)
      rmSync(path, { force: true })
      throw error
    }
  }

  private headerOf(number: number): FileHeader | null {
    const bytes = Buffer.alloc(FILE_HEADER_BYTES)
    const handle = openSync(this.pathOf(number), 'r')
    try {
      const header = parseFileHeader(bytes.subarray(0, readSync(handle, bytes, 0, FILE_HEADER_BYTES, 0)))
      return header?.number === number ? header : null
    } finally {
      closeSync(handle)
    }
  }

  private closeUnused(max: number): void {
    for (const [number, { owner }] of this.open) {
      if (this.open.size <= max) return
      // The newest is about to be used.
      if (owner.users === 0 && number !== [...this.open.keys()].at(-1)) this.close(number)
    }
  }

  private close(number: number): void {
    const file = this.open.get(number)
    if (file === undefined) return
    this.open.delete(number)
    closeSync(file.handle)
    if (file.direct !== null) this.directWriter.close(file.direct)
  }
}
