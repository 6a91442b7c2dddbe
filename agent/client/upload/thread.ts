// The thread that reads, cuts and hashes the files of all uploads of a process, so that the thread of the sockets does none of it.
// Chunks lie in shared memory; what goes to and fro is where they are and what was found.

import type { Fault } from '#protocol/base/mod.ts'
import type { CutSizes } from '#protocol/transfer/mod.ts'
import { clientFault } from '../faults.ts'
import { AskedThread } from '../threads/mod.ts'
import type { HashedChunk, Prepared, Stamp } from './content-file.ts'
import { uploadFault } from './faults.ts'

export type Job =
  | { readonly kind: 'open'; readonly file: number; readonly path: string }
  | ({ readonly kind: 'plan'; readonly file: number } & Plan)
  | { readonly kind: 'next'; readonly file: number; readonly memory: SharedArrayBuffer }
  | ({ readonly kind: 'encode'; readonly file: number; readonly memory: SharedArrayBuffer } & Omit<Part, 'offset'>)
  | ({ readonly kind: 'read'; readonly file: number; readonly memory: SharedArrayBuffer } & Part)
  | { readonly kind: 'check'; readonly file: number }
  | { readonly kind: 'close'; readonly file: number }

type Plan = { readonly offset: number; readonly chunkBytes: number; readonly cut: CutSizes | null }
type Part = { readonly offset: number; readonly length: number; readonly level: number }

export class ReadingThread {
  private static common: ReadingThread | null = null
  private readonly thread = new AskedThread(new URL('./worker.ts', import.meta.url), 'reading')
  private nextFile = 1

  /** The one of this process. */
  static shared(): ReadingThread {
    ReadingThread.common ??= new ReadingThread()
    return ReadingThread.common
  }

  /** Faults: `CONTENT_UNREADABLE`. */
  async open(path: string): Promise<OpenFile> {
    const file = this.nextFile++
    this.thread.hold()
    try {
      const found = (await this.run({ kind: 'open', file, path }, path)) as Pick<OpenFile, 'stamp' | 'isPacked'>
      return new OpenFile(this, { file, path, ...found })
    } catch (error) {
      this.closed()
      throw error
    }
  }

  /** For `OpenFile`. Faults: `CONTENT_CHANGED`, `CONTENT_UNREADABLE`. */
  async run(job: Job, path: string): Promise<unknown> {
    try {
      return await this.thread.ask(job)
    } catch (error) {
      throw faultOf(error as Error & { code?: unknown }, path)
    }
  }

  /** For `OpenFile`. */
  closed(): void {
    this.thread.release()
  }
}

/** A file that the thread holds open. Memory is `SharedArrayBuffer`s; a chunk lies at its front. */
export class OpenFile {
  readonly stamp: Stamp
  /** It begins as compressed files do. */
  readonly isPacked: boolean
  readonly path: string
  private readonly thread: ReadingThread
  private readonly file: number
  private isOpen = true

  /** Made by `ReadingThread.open`. */
  constructor(thread: ReadingThread, parts: { file: number; path: string; stamp: Stamp; isPacked: boolean }) {
    this.thread = thread
    this.file = parts.file
    this.path = parts.path
    this.stamp = parts.stamp
    this.isPacked = parts.isPacked
  }

  /** How `next` cuts, and from where on. */
  async plan(plan: Plan): Promise<void> {
    await this.thread.run({ kind: 'plan', file: this.file, ...plan }, this.path)
  }

  /** Reads, cuts and hashes the next chunk. Faults: `CONTENT_CHANGED`, `CONTENT_UNREADABLE`; so with those below. */
  async next(memory: SharedArrayBuffer): Promise<HashedChunk> {
    return (await this.thread.run({ kind: 'next', file: this.file, memory }, this.path)) as HashedChunk
  }

  /** Leaves the encoded form of the chunk in memory in its place, where that gains. */
  async encode(memory: SharedArrayBuffer, how: Omit<Part, 'offset'>): Promise<Prepared> {
    return (await this.thread.run({ kind: 'encode', file: this.file, memory, ...how }, this.path)) as Prepared
  }

  /** A chunk that was hashed before; with a `level` above 0 its encoded form is left in memory, where that gains. */
  async read(memory: SharedArrayBuffer, part: Part): Promise<Prepared> {
    return (await this.thread.run({ kind: 'read', file: this.file, memory, ...part }, this.path)) as Prepared
  }

  /** Whether it is what was opened. */
  async check(): Promise<void> {
    await this.thread.run({ kind: 'check', file: this.file }, this.path)
  }

  async close(): Promise<void> {
    if (!this.isOpen) return
    this.isOpen = false
    // A thread that is gone has closed it.
    await this.thread.run({ kind: 'close', file: this.file }, this.path).catch(() => undefined)
    this.thread.closed()
  }
}

/** A thread that is gone has lost its files: what is asked of them then is not answered. */
function faultOf(error: Error & { code?: unknown }, where: string): Fault {
  const { code, message: why } = error
  if (code === 'CONTENT_CHANGED') return clientFault(code, { where, why })
  return uploadFault('CONTENT_UNREADABLE', { where, why, cause: error })
}
