// What takes many steps: the parts of a removed content, and the parts that named a chunk which was lost. Each step is an
// upkeep transaction of bounded size; rows say what has been begun, so that the next start goes on with it.

import { asFault, type Fault } from '#protocol/base/mod.ts'
import type { Engine, Work } from '../engine.ts'
import { storeFault } from '../faults.ts'
import { CONTENT_REMOVE_PARTS, CONTENT_SCAN_PARTS, RETRY_MS } from '../limits.ts'
import type { Place } from '../segment-file.ts'
import { type Chunks, sound } from './chunks.ts'
import type { PartKey } from './rows.ts'
import type { Tables } from './tables.ts'

type Task = { readonly promise: Promise<void>; resolve(): void }

export class Cleaning {
  onFault: (fault: Fault) => void = () => {}
  private readonly engine: Engine
  private readonly tables: Tables
  private readonly chunks: Chunks
  /** Contents to take apart, by number, in their order. */
  private readonly removals = new Map<number, Task>()
  /** Chunks whose parts are to be found. */
  private readonly lost = new Map<number, Task>()
  private running: Promise<void> | null = null

  constructor(engine: Engine, tables: Tables, chunks: Chunks) {
    this.engine = engine
    this.tables = tables
    this.chunks = chunks
    for (const key of tables.removing.table.keys()) this.removals.set(key as number, newTask())
    for (const number of chunks.lost) this.lost.set(number, newTask())
  }

  /** Goes on with what the last life of the store left. */
  start(): void {
    if (this.running !== null || this.removals.size + this.lost.size === 0) return
    this.running = this.run().finally(() => {
      this.running = null
      if (!this.engine.ending) this.start()
    })
  }

  /** The content's own row is gone: its parts follow. Resolves when they are, or when the store is closed. */
  remove(content: number): Promise<void> {
    return this.add(this.removals, content)
  }

  /** The chunk was given up: no part names it any more when this resolves, or when the store is closed. */
  forget(chunk: number): Promise<void> {
    return this.add(this.lost, chunk)
  }

  async idle(): Promise<void> {
    while (this.running !== null) await this.running
  }

  private add(tasks: Map<number, Task>, number: number): Promise<void> {
    const task = tasks.get(number) ?? newTask()
    tasks.set(number, task)
    this.start()
    return Promise.race([task.promise, this.engine.whenEnded])
  }

  private async run(): Promise<void> {
    while (!this.engine.ending) {
      const content = this.removals.keys().next()
      try {
        if (this.lost.size > 0) await this.findParts(new Map(this.lost))
        else if (content.done !== true) await this.takeApart(content.value)
        else return
      } catch (error) {
        // What was to be read could not be: moments after a failed transaction, or a failing disk.
        if (this.engine.ending) return
        this.onFault(asFault(error))
        await Promise.race([pause(RETRY_MS), this.engine.whenEnded])
      }
    }
  }

  private async takeApart(content: number): Promise<void> {
    const { tables, chunks } = this
    let left = true
    let freed: Place[] = []
    const step: Work = {
      write: () => {
        freed = []
        const parts = tables.parts.table.range({ ...allOf(content), limit: CONTENT_REMOVE_PARTS })
        for (const { key } of parts) {
          const part = sound(() => tables.parts.get(key as PartKey))
          const place = part === null ? null : sound(() => chunks.leave(part.chunk))
          if (place !== null) freed.push(place)
          tables.parts.remove(key as PartKey)
        }
        left = parts.length === CONTENT_REMOVE_PARTS
        if (!left) tables.removing.remove(content)
      },
      done: () => chunks.freed(freed),
    }
    while (left) {
      await this.written(step)
      if (this.engine.ending) return
    }
    this.removals.get(content)?.resolve()
    this.removals.delete(content)
  }

  private async findParts(tasks: ReadonlyMap<number, Task>): Promise<void> {
    const { tables } = this
    let from: PartKey = [0, 0]
    for (;;) {
      const rows = tables.parts.table.range({
        from,
        to: [Number.MAX_SAFE_INTEGER, 0],
        limit: CONTENT_SCAN_PARTS,
      })
      const found: PartKey[] = []
      for (const { key, value } of rows) {
        const part = sound(() => tables.parts.decode(value, key as PartKey))
        if (part !== null && tasks.has(part.chunk)) found.push(key as PartKey)
      }
      if (found.length > 0) await this.written(this.missing(found, tasks))
      else await new Promise((resolve) => setImmediate(resolve))
      if (this.engine.ending) return
      const last = rows.at(-1)
      if (last === undefined || rows.length < CONTENT_SCAN_PARTS) break
      const [content, index] = last.key as PartKey
      from = [content, index + 1]
    }
    await this.written({
      write: () => {
        for (const chunk of tasks.keys()) tables.chunks.remove(chunk)
      },
      done: () => {
        for (const chunk of tasks.keys()) this.chunks.lost.delete(chunk)
      },
    })
    for (const [chunk, { resolve }] of tasks) {
      this.lost.delete(chunk)
      resolve()
    }
  }

  /** Takes the rows of parts away that name a lost chunk. */
  private missing(keys: readonly PartKey[], tasks: ReadonlyMap<number, Task>): Work {
    const { parts, contents } = this.tables
    const write = () => {
      for (const key of keys) {
        const part = sound(() => parts.get(key))
        // Stored anew, or removed, in the meantime.
        if (part === null || !tasks.has(part.chunk)) continue
        parts.remove(key)
        const content = sound(() => contents.get(key[0]))
        if (content === null) continue
        const bytes = content.bytes - part.length
        contents.put(key[0], { ...content, state: 'open', parts: content.parts - 1, bytes })
      }
    }
    return { write, done: () => undefined }
  }

  private async written(work: Work): Promise<void> {
    await Promise.race([this.engine.maintain(work), this.engine.whenEnded])
  }
}

/** Keys of a content's parts. */
export const allOf = (content: number): { from: PartKey; to: PartKey } => ({
  from: [content, 0],
  to: [content + 1, 0],
})

export const closedFault = (): Fault => storeFault('STORE_CLOSED', { retry: true })

function newTask(): Task {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { promise, resolve }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
