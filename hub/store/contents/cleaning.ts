// What takes many steps: the parts of a removed content, and the parts that named a chunk which was lost. Each step is an
// upkeep transaction of bounded size; rows say what has been begun, so that the next start goes on with it.

import { asFault, type Fault } from '#protocol/base/mod.ts'
import type { Engine, Work } from '../engine.ts'
import { storeFault } from '../faults.ts'
import { CONTENT_REMOVE_PARTS, CONTENT_SCAN_PARTS, RETRY_MS } from '../limits.ts'
import type { Place } from '../segment-file.ts'
import { type Chunks, sound } from './chunks.ts'
import { type ChunkState, counted, isHere, type PartKey } from './rows.ts'
import { namedKeys, type Tables } from './tables.ts'

type Task = {
  readonly promise: Promise<void>
  resolve(): void
  /** It changed since its parts began to be looked for; and what it was then. */
  again: boolean
  seen: ChunkState | null
}

export class Cleaning {
  onFault: (fault: Fault) => void = () => {}
  /** Parts of a content that were missing are there again, and that is on the disk. */
  onHealed: (content: number) => void = () => {}
  private readonly engine: Engine
  private readonly tables: Tables
  private readonly chunks: Chunks
  /** Contents to take apart, by number, in their order. */
  private readonly removals = new Map<number, Task>()
  /** Chunks that were given up or came again, whose parts are to say so. */
  private readonly settling = new Map<number, Task>()
  private running: Promise<void> | null = null

  constructor(engine: Engine, tables: Tables, chunks: Chunks) {
    this.engine = engine
    this.tables = tables
    this.chunks = chunks
    for (const key of tables.removing.table.keys()) this.removals.set(key as number, newTask())
    for (const number of chunks.unsettled) this.settling.set(number, newTask())
    chunks.unsettled.clear()
  }

  /** Goes on with what the last life of the store left. */
  start(): void {
    if (this.running !== null || this.removals.size + this.settling.size === 0) return
    this.running = this.run().finally(() => {
      this.running = null
      if (!this.engine.ending) this.start()
    })
  }

  /** The content's own row is gone: its parts follow. Resolves when they are, or when the store is closed. */
  remove(content: number): Promise<void> {
    return this.add(this.removals, content)
  }

  /** The chunk was given up, or came again. */
  changed(chunk: number): void {
    const task = this.settling.get(chunk)
    if (task !== undefined) task.again = true
    void this.settle(chunk)
  }

  /** Its parts say so when this resolves, or when the store is closed. */
  settle(chunk: number): Promise<void> {
    return this.add(this.settling, chunk)
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
        if (this.settling.size > 0) await this.settleParts(new Map(this.settling))
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
    let lost: number[] = []
    const step: Work = {
      write: () => {
        freed = []
        lost = []
        const origin = tables.removing.get(content) ?? ''
        const readers = namedKeys(tables.readers.table, content, CONTENT_REMOVE_PARTS)
        for (const key of readers) tables.readers.remove(key)
        const parts = tables.parts.table.range({ ...allOf(content), limit: CONTENT_REMOVE_PARTS })
        for (const { key } of parts) {
          const part = sound(() => tables.parts.get(key as PartKey))
          const place = part === null ? null : sound(() => chunks.leave(part.chunk, origin))
          if (place !== null) freed.push(place)
          if (part !== null && chunks.lost.has(part.chunk)) lost.push(part.chunk)
          tables.parts.remove(key as PartKey)
        }
        left = parts.length === CONTENT_REMOVE_PARTS || readers.length === CONTENT_REMOVE_PARTS
        if (!left) tables.removing.remove(content)
      },
      done: () => {
        chunks.freed(freed)
        chunks.left(lost)
      },
    }
    while (left) {
      await this.written(step)
      if (this.engine.ending) return
    }
    this.removals.get(content)?.resolve()
    this.removals.delete(content)
  }

  /** Looks through all parts for those of some chunks. */
  private async settleParts(tasks: ReadonlyMap<number, Task>): Promise<void> {
    const { tables } = this
    for (const [chunk, task] of tasks) {
      task.again = false
      task.seen = sound(() => tables.chunks.stored(chunk))?.state ?? null
    }
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
      if (found.length > 0) await this.written(this.marking(found, tasks))
      else await new Promise((resolve) => setImmediate(resolve))
      if (this.engine.ending) return
      const last = rows.at(-1)
      if (last === undefined || rows.length < CONTENT_SCAN_PARTS) break
      const [content, index] = last.key as PartKey
      from = [content, index + 1]
    }
    await this.written(this.settled(tasks))
    if (this.engine.ending) return
    for (const [chunk, task] of tasks) {
      if (task.again) continue
      this.settling.delete(chunk)
      task.resolve()
    }
  }

  /** Parts say of their chunk what is so when this is written. */
  private marking(keys: readonly PartKey[], tasks: ReadonlyMap<number, Task>): Work {
    const { parts, contents, chunks } = this.tables
    let healed = new Set<number>()
    const write = () => {
      healed = new Set()
      for (const key of keys) {
        const part = sound(() => parts.get(key))
        // Stored anew, or removed, in the meantime.
        if (part === null || !tasks.has(part.chunk)) continue
        const chunk = sound(() => chunks.get(part.chunk))
        const missing = chunk === null || !isHere(chunk)
        const isGone = chunk === null || chunk.references === 0
        if (isGone) parts.remove(key)
        else parts.put(key, { ...part, missing })
        const content = isGone || missing !== part.missing ? sound(() => contents.get(key[0])) : null
        if (content === null) continue
        const sign = missing === part.missing ? 0 : missing ? -1 : 1
        const row = counted(content, { parts: sign, bytes: sign * part.length })
        // Another part may come in its place: then it is to be sealed anew.
        contents.put(key[0], isGone ? { ...row, state: 'open', manifest: null } : row)
        if (!missing) healed.add(key[0])
      }
    }
    return {
      write,
      done: () => {
        for (const content of healed) this.onHealed(content)
      },
    }
  }

  /** All parts say so. */
  private settled(tasks: ReadonlyMap<number, Task>): Work {
    const { chunks } = this.tables
    let gone: number[] = []
    const write = () => {
      gone = []
      for (const [number, { again, seen }] of tasks) {
        const row = again ? null : sound(() => chunks.get(number))
        if (row === null || row.state !== seen) continue
        const isGone = row.references === 0
        if (isGone) gone.push(number)
        if (isGone) this.chunks.remove(number)
        else chunks.put(number, { ...row, state: isHere(row) ? 'here' : 'lost' })
      }
    }
    return {
      write,
      done: () => {
        for (const number of gone) this.chunks.lost.delete(number)
      },
    }
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
  return { promise, resolve, again: false, seen: null }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
