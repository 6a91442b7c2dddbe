// Verified chunks become durable here: written at their places, then, as many as have been written meanwhile, flushed, noted in
// the journal, and the journal flushed. Writes go on while the former ones are flushed. Buffers are kept until then, so that
// nothing is lost when the disk is full: the same is tried again until there is room.

import { setTimeout as sleep } from 'node:timers/promises'
import { asFault, type Fault, jitteredBackoff } from '#protocol/base/mod.ts'
import type { ChunkArena } from './arena.ts'
import { downloadFault } from './faults.ts'
import type { Journal } from './journal.ts'
import { RETRY_MS_FIRST, RETRY_MS_MAX, WRITE_BYTES, WRITES_MAX } from './limits.ts'
import type { PartFile } from './part-file.ts'
import type { ChunkPlace } from './records.ts'

/**
 * A chunk that is what its digest says; `bytes` is the store's until it is durable, and `digest` is its own. `null`: all of it are
 * zeros, which need no memory, and on most file systems no disk.
 */
export type Verified = ChunkPlace & { readonly bytes: Buffer | null }

export type StoreHooks = {
  /** These are durable; their buffers are given back already. */
  onDurable(chunks: readonly Verified[]): void
  /** The disk is full, and is tried again; `null`: it goes on. */
  onFull(fault: Fault | null): void
  /** It cannot go on. */
  onFailed(fault: Fault): void
}

export class ChunkStore {
  readonly part: PartFile
  readonly journal: Journal
  private readonly arena: ChunkArena
  private readonly hooks: StoreHooks
  /** Ascending by offset. */
  private waiting: Verified[] = []
  private written: Verified[] = []
  private writes = 0
  private flushing = false
  private scheduled = false
  private failure: Fault | null = null
  private readonly stopping = new AbortController()
  private readonly backoff: { firstMs: number; maxMs: number; random: () => number }
  private readonly whenIdle: (() => void)[] = []
  private fullBy = 0

  constructor(parts: {
    part: PartFile
    journal: Journal
    arena: ChunkArena
    hooks: StoreHooks
    retryMsFirst?: number
  }) {
    this.part = parts.part
    this.journal = parts.journal
    this.arena = parts.arena
    this.hooks = parts.hooks
    this.backoff = { firstMs: parts.retryMsFirst ?? RETRY_MS_FIRST, maxMs: RETRY_MS_MAX, random: Math.random }
  }

  put(chunk: Verified): void {
    const { waiting } = this
    let at = waiting.length
    // They come nearly in order.
    while (at > 0 && (waiting[at - 1] as Verified).offset > chunk.offset) at--
    waiting.splice(at, 0, chunk)
    if (this.scheduled) return
    this.scheduled = true
    // What is hashed in this turn is written together.
    setImmediate(() => {
      this.scheduled = false
      this.pump()
    })
  }

  /** What lies in its place is not this chunk. */
  async drop(index: number): Promise<void> {
    this.part.isFresh = false
    await this.journal.drop(index)
  }

  /** Resolves when everything put is durable, or it has failed or was stopped. */
  idle(): Promise<void> {
    if (this.isIdle) return Promise.resolve()
    return new Promise((resolve) => this.whenIdle.push(resolve))
  }

  /** Does something else to the same disk, again while that is full. Faults: `TARGET_FULL`, `TARGET_FAILED`. */
  async persist(act: () => Promise<void>): Promise<void> {
    if (!(await this.untilRoom(act))) throw this.failure ?? downloadFault('TARGET_FAILED', { where: this.part.path })
  }

  /** Nothing more is tried again; what is on its way comes to an end. */
  async stop(): Promise<void> {
    this.stopping.abort()
    await this.idle()
  }

  private get isIdle(): boolean {
    if (this.writes > 0 || this.flushing) return false
    return this.failure !== null || (this.waiting.length === 0 && this.written.length === 0)
  }

  private pump(): void {
    while (this.writes < WRITES_MAX && this.waiting.length > 0 && this.failure === null) void this.write(this.takeRun())
    if (!this.flushing && this.written.length > 0 && this.failure === null) void this.flush()
    if (this.isIdle) for (const resolve of this.whenIdle.splice(0)) resolve()
  }

  /** Neighbours, as far as they are there: all to be written, or all zeros. */
  private takeRun(): Verified[] {
    const { waiting } = this
    let count = 1
    let bytes = (waiting[0] as Verified).length
    for (; count < waiting.length; count++) {
      const [last, next] = [waiting[count - 1], waiting[count]] as [Verified, Verified]
      const isZeros = next.bytes === null
      if (last.offset + last.length !== next.offset || isZeros !== (last.bytes === null)) break
      if (!isZeros && bytes + next.length > WRITE_BYTES) break
      bytes += next.length
    }
    return waiting.splice(0, count)
  }

  private async write(run: readonly Verified[]): Promise<void> {
    this.writes++
    const good = await this.untilRoom(() => this.writeRun(run))
    this.writes--
    if (good) this.written.push(...run)
    this.pump()
  }

  private writeRun(run: readonly Verified[]): Promise<void> {
    const { offset } = run[0] as Verified
    const buffers = run.flatMap(({ bytes }) => bytes ?? [])
    if (buffers.length > 0) return this.part.write(buffers, offset)
    const bytes = run.reduce((sum, { length }) => sum + length, 0)
    return this.part.clear(offset, bytes)
  }

  private async flush(): Promise<void> {
    this.flushing = true
    const group = this.written
    this.written = []
    const good = await this.untilRoom(async (again) => {
      // A flush that failed may have thrown away what it was to write.
      if (again) for (const chunk of group) await this.writeRun([chunk])
      await this.part.sync()
      await this.journal.add(group)
    })
    this.flushing = false
    if (good) {
      for (const { bytes } of group) if (bytes !== null) this.arena.free(bytes)
      this.hooks.onDurable(group)
    }
    this.pump()
  }

  /** Does it, again and again while the disk is full; gives whether it was done. */
  private async untilRoom(act: (again: boolean) => Promise<void>): Promise<boolean> {
    const backoff = jitteredBackoff(this.backoff)
    while (this.failure === null) {
      try {
        await act(backoff.failures > 0)
        if (backoff.failures > 0 && --this.fullBy === 0) this.hooks.onFull(null)
        return true
      } catch (error) {
        if (!isFull(error) || this.stopping.signal.aborted) this.fail(error)
        else {
          if (backoff.failures === 0 && ++this.fullBy === 1) this.hooks.onFull(fullFault(this.part.path, error))
          await sleep(backoff.next(), undefined, { signal: this.stopping.signal }).catch(() => {
            // Stopped: the next try is the last.
          })
        }
      }
    }
    return false
  }

  private fail(error: unknown): void {
    if (this.failure !== null) return
    this.failure = targetFault(this.part.path, error)
    this.hooks.onFailed(this.failure)
  }
}

export const isFull = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '')

const fullFault = (where: string, cause: unknown): Fault => downloadFault('TARGET_FULL', { where, cause, retry: true })

/** What the system says of a file, as a fault. */
export function targetFault(where: string, cause: unknown): Fault {
  if (isFull(cause)) return fullFault(where, cause)
  if ((cause as NodeJS.ErrnoException).syscall === undefined) return asFault(cause, where)
  return downloadFault('TARGET_FAILED', { where, cause, why: (cause as Error).message })
}
