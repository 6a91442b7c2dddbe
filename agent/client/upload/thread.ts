// The thread that reads, cuts and hashes the files of all uploads of a process, so that the thread of the sockets does none of it.
// Chunks lie in shared memory; what goes to and fro is where they are and what was found.

import { Worker } from 'node:worker_threads'
import type { Fault } from '#protocol/base/mod.ts'
import type { CutSizes } from '#protocol/transfer/mod.ts'
import { clientFault } from '../faults.ts'
import type { FileProblem, HashedChunk, Stamp } from './content-file.ts'
import { uploadFault } from './faults.ts'
import { THREAD_IDLE_MS } from './limits.ts'

export type Job =
  | { readonly kind: 'open'; readonly file: number; readonly path: string }
  | ({ readonly kind: 'plan'; readonly file: number } & Plan)
  | { readonly kind: 'next'; readonly file: number; readonly memory: SharedArrayBuffer }
  | ({ readonly kind: 'read'; readonly file: number; readonly memory: SharedArrayBuffer } & Part)
  | { readonly kind: 'check'; readonly file: number }
  | { readonly kind: 'close'; readonly file: number }

export type Answer = {
  readonly id: number
  readonly value: unknown
  readonly problem: { readonly code: FileProblem['code']; readonly why: string } | null
}

type Plan = { readonly offset: number; readonly chunkBytes: number; readonly cut: CutSizes | null }
type Part = { readonly offset: number; readonly length: number }
type Waiting = { readonly path: string; readonly answer: PromiseWithResolvers<unknown> }

export class ReadingThread {
  private static common: ReadingThread | null = null
  private worker: Worker | null = null
  private nextId = 1
  private nextFile = 1
  private openFiles = 0
  private readonly waiting = new Map<number, Waiting>()
  private idle: NodeJS.Timeout | null = null

  /** The one of this process. It ends by itself, and does not keep the process alive while it has nothing to do. */
  static shared(): ReadingThread {
    ReadingThread.common ??= new ReadingThread()
    return ReadingThread.common
  }

  /** Faults: `CONTENT_UNREADABLE`. */
  async open(path: string): Promise<OpenFile> {
    const file = this.nextFile++
    this.openFiles++
    try {
      const stamp = (await this.run({ kind: 'open', file, path }, path)) as Stamp
      return new OpenFile(this, { file, path, stamp })
    } catch (error) {
      this.closed()
      throw error
    }
  }

  /** For `OpenFile`. Faults: `CONTENT_CHANGED`, `CONTENT_UNREADABLE`. */
  run(job: Job, path: string): Promise<unknown> {
    if (this.idle !== null) clearTimeout(this.idle)
    this.idle = null
    this.worker ??= this.start()
    this.worker.ref()
    const id = this.nextId++
    const answer = Promise.withResolvers<unknown>()
    this.waiting.set(id, { path, answer })
    this.worker.postMessage({ id, job })
    return answer.promise
  }

  /** For `OpenFile`. */
  closed(): void {
    this.openFiles--
    this.rest()
  }

  private start(): Worker {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { name: 'reading' })
    worker.on('message', (answer: Answer) => this.answered(answer))
    const lost = (error: Error) => {
      if (this.worker === worker) this.lost(error)
    }
    worker.on('error', lost)
    worker.on('exit', (code) => lost(new Error(`the reading thread ended with code ${code}`)))
    return worker
  }

  private answered({ id, value, problem }: Answer): void {
    const waiting = this.waiting.get(id)
    this.waiting.delete(id)
    this.rest()
    if (problem === null) waiting?.answer.resolve(value)
    else waiting?.answer.reject(faultOf(problem, waiting.path))
  }

  private rest(): void {
    if (this.waiting.size > 0) return
    this.worker?.unref()
    if (this.openFiles > 0 || this.worker === null || this.idle !== null) return
    this.idle = setTimeout(() => {
      const { worker } = this
      this.worker = null
      void worker?.terminate()
    }, THREAD_IDLE_MS)
    this.idle.unref()
  }

  private lost(cause: Error): void {
    this.worker = null
    const waiting = [...this.waiting.values()]
    this.waiting.clear()
    for (const { path, answer } of waiting) {
      answer.reject(uploadFault('CONTENT_UNREADABLE', { where: path, why: cause.message, cause }))
    }
  }
}

/** A file that the thread holds open. Memory is `SharedArrayBuffer`s; a chunk lies at its front. */
export class OpenFile {
  readonly stamp: Stamp
  readonly path: string
  private readonly thread: ReadingThread
  private readonly file: number
  private isOpen = true

  /** Made by `ReadingThread.open`. */
  constructor(thread: ReadingThread, { file, path, stamp }: { file: number; path: string; stamp: Stamp }) {
    this.thread = thread
    this.file = file
    this.path = path
    this.stamp = stamp
  }

  /** How `next` cuts, and from where on. */
  async plan(plan: Plan): Promise<void> {
    await this.thread.run({ kind: 'plan', file: this.file, ...plan }, this.path)
  }

  /** Reads, cuts and hashes the next chunk. Faults: `CONTENT_CHANGED`, `CONTENT_UNREADABLE`; so with those below. */
  async next(memory: SharedArrayBuffer): Promise<HashedChunk> {
    return (await this.thread.run({ kind: 'next', file: this.file, memory }, this.path)) as HashedChunk
  }

  async read(memory: SharedArrayBuffer, part: Part): Promise<void> {
    await this.thread.run({ kind: 'read', file: this.file, memory, ...part }, this.path)
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

function faultOf({ code, why }: { code: FileProblem['code']; why: string }, where: string): Fault {
  return code === 'CONTENT_CHANGED' ? clientFault(code, { where, why }) : uploadFault(code, { where, why })
}
