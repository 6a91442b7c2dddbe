// The disk below the store, and the only file that knows it is LMDB. Writes are gathered into groups: one transaction and one
// fsync for all that came while the previous group was being flushed. `submit` resolves when its group is on disk.
//
// Two kinds of work: an *append* fails with its group (its sender keeps the data and is told); *upkeep* (settlement, removal)
// only ever refers to what is on disk already, so it is repeated until it succeeds.

import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Database, type Key as LmdbKey, open, type RootDatabase } from 'lmdb'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { storeFault } from './faults.ts'

export type Key = number | string | (number | string)[]

/** One table: ordered keys to bytes. Reads see what is committed; writes only inside a group's work. */
export type Table = {
  get(key: Key): Buffer | undefined
  /** Entries with from ≤ key < to, ascending. */
  range(options: { from: Key; to: Key; limit: number }): { key: Key; value: Buffer }[]
  keys(): Iterable<Key>
  last(): Key | undefined
  /** The last entry with from ≤ key ≤ to. */
  lastBelow(from: Key, to: Key): { key: Key; value: Buffer } | undefined
  put(key: Key, value: Buffer): void
  remove(key: Key): void
}

type Group = {
  readonly work: (() => void)[]
  readonly promise: Promise<void>
  resolve(): void
  reject(fault: Fault): void
}

const RETRY_MS = 500

export class Engine {
  /** Called when a group's appends could not be written: forget what was only planned. */
  onAppendFailed: (fault: Fault) => void = () => {}

  private readonly env: RootDatabase
  private readonly lockPath: string
  private pending: Group | null = null
  private upkeep: (() => void)[] = []
  private writes: Promise<unknown>[] = []
  private running: Promise<void> | null = null
  private scheduled = false
  private closing = false
  groups = 0

  private constructor(env: RootDatabase, lockPath: string) {
    this.env = env
    this.lockPath = lockPath
  }

  /** Opens or makes the environment in `folder`. Faults: `STORE_IN_USE`. */
  static open(folder: string, mapBytesMax: number): Engine {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const lockPath = lockFolder(folder)
    const env = open({
      path: join(folder, 'store.mdb'),
      mapSize: mapBytesMax,
      maxDbs: 16,
      encoding: 'binary',
      // A commit is done when it is on the disk, not before: with overlapping sync (the default) a transaction whose fsync
      // fails afterwards would stay visible although nobody was promised it. Measured: no slower for groups, here faster.
      overlappingSync: false,
      eventTurnBatching: true,
    } as Parameters<typeof open>[0])
    return new Engine(env, lockPath)
  }

  table(name: string): Table {
    const db: Database<Buffer, LmdbKey> = this.env.openDB({ name, encoding: 'binary' })
    return {
      get: (key) => db.get(key),
      range: ({ from, to, limit }) =>
        Array.from(db.getRange({ start: from, end: to, limit }), ({ key, value }) => ({ key: key as Key, value })),
      keys: () => db.getKeys() as Iterable<Key>,
      last: () => Array.from(db.getKeys({ reverse: true, limit: 1 }))[0] as Key | undefined,
      lastBelow: (from, to) =>
        Array.from(db.getRange({ start: to, end: from, reverse: true, limit: 1 }), ({ key, value }) => ({
          key: key as Key,
          value,
        }))[0],
      put: (key, value) => void this.writes.push(db.put(key, value)),
      remove: (key) => void this.writes.push(db.remove(key)),
    }
  }

  /** Does `work` (puts and removes) in the next group; resolves when it is flushed, rejects when the group could not be written. */
  append(work: () => void): Promise<void> {
    this.pending ??= newGroup()
    this.pending.work.push(work)
    this.schedule()
    return this.pending.promise
  }

  /** As `append`, but repeated until it succeeds; resolves then. */
  async maintain(work: () => void): Promise<void> {
    await new Promise<void>((resolve) => {
      this.upkeep.push(() => {
        work()
        this.afterFlush.push(resolve)
      })
      this.schedule()
    })
  }

  private afterFlush: (() => void)[] = []

  private schedule(): void {
    if (this.scheduled || this.running !== null) return
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      this.running ??= this.run().finally(() => {
        this.running = null
        if (this.pending !== null || this.upkeep.length > 0) this.schedule()
      })
    })
  }

  private async run(): Promise<void> {
    while (this.pending !== null || this.upkeep.length > 0) {
      const group = this.pending
      const upkeep = this.upkeep
      this.pending = null
      this.upkeep = []
      this.afterFlush = []
      try {
        for (const work of upkeep) work()
        if (group !== null) for (const work of group.work) work()
        await this.flush()
        this.groups++
        const done = this.afterFlush
        this.afterFlush = []
        group?.resolve()
        for (const resolve of done) resolve()
      } catch (error) {
        this.upkeep = [...upkeep, ...this.upkeep]
        this.fail(group, error)
        if (this.closing) return
        if (upkeep.length > 0) await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
  }

  /** Commits what the work wrote and waits for the disk. All writes of one event turn are one transaction. */
  private async flush(): Promise<void> {
    const writes = this.writes
    this.writes = []
    await Promise.all(writes)
  }

  private fail(group: Group | null, error: unknown): void {
    const full = /MDB_MAP_FULL|ENOSPC|No space left/i.test(String(error))
    const cause = asFault(error)
    const fault = full ? storeFault('STORE_FULL', { cause, retry: true }) : storeFault('STORE_DAMAGED', { cause })
    this.onAppendFailed(fault)
    group?.reject(fault)
    const later = this.pending
    this.pending = null
    later?.reject(fault)
  }

  /** Bytes of the file and of the map. */
  usage(): { bytes: number; bytesMax: number } {
    const stats = this.env.getStats() as { mapSize?: number; lastPageNumber?: number; pageSize?: number }
    return { bytes: (stats.lastPageNumber ?? 0) * (stats.pageSize ?? 4096), bytesMax: stats.mapSize ?? 0 }
  }

  /** Writes what waits, then closes. */
  async close(): Promise<void> {
    this.closing = true
    while (this.running !== null || this.scheduled) {
      if (this.running !== null) await this.running
      else await new Promise((resolve) => setImmediate(resolve))
    }
    await this.env.close()
    rmSync(this.lockPath, { force: true })
  }
}

function newGroup(): Group {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  // The rejection is handled by whoever appended; a group nobody waits for must not end the process.
  promise.catch(() => undefined)
  return { work: [], promise, resolve, reject }
}

/** A lock file with our process id; one left by a process that is gone is taken over. Faults: `STORE_IN_USE`. */
function lockFolder(folder: string): string {
  const path = join(folder, 'lock')
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const handle = openSync(path, 'wx', 0o600)
      writeFileSync(handle, String(process.pid))
      closeSync(handle)
      return path
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const owner = existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0
    if (owner > 0 && owner !== process.pid && isAlive(owner)) {
      throw storeFault('STORE_IN_USE', { where: folder, processId: owner })
    }
    rmSync(path, { force: true })
  }
  throw storeFault('STORE_IN_USE', { where: folder })
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
