// The store's file, and the only place of the hub that knows it is LMDB: ordered tables, one transaction at a time.
//
// Durability. `overlappingSync` is off, against the package's default: with it a transaction becomes visible before it
// is flushed, and would stay visible when its flush fails although nobody was promised it. Off, a commit is plain
// LMDB: pages, fdatasync, then the meta page. Measured with groups of batches: no slower.
//
// Space. The package grows LMDB's map by itself, so `MDB_MAP_FULL` practically never comes; the bound on the file is
// ours (`room`). Space that is missing on the disk fails the commit, as ENOSPC or (a write cut short) as EIO. After
// any failure the file is closed and opened again: LMDB refuses everything after a failed meta page, and the binding
// would then wait for ever.

import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Database, type Key as LmdbKey, open, type RootDatabase } from 'lmdb'
import { assert, Fault } from '#protocol/base/mod.ts'
import { storeFault } from './faults.ts'
import { checkFile, markMade, syncFolder } from './header.ts'
import { MAP_BYTES } from './limits.ts'
import { meansNoSpace } from './reserve.ts'

export type Key = number | string | (number | string)[]

type Row = { readonly key: Key; readonly value: Buffer }

/** One table: ordered keys to bytes. Reads see what is committed; writes only inside a group's work. */
export type Table = {
  get(key: Key): Buffer | undefined
  /** Entries with from ≤ key < to, ascending. */
  range(options: { from: Key; to: Key; limit: number }): Row[]
  /** All keys, ascending: for small tables. */
  keys(): Key[]
  last(): Key | undefined
  /** The last entry with from ≤ key < to. */
  lastIn(from: Key, to: Key): Row | undefined
  put(key: Key, value: Buffer): void
  remove(key: Key): void
}

type LmdbTable = Database<Buffer, LmdbKey>
/** `value` null: remove. */
type Write = { readonly table: string; readonly key: Key; readonly value: Buffer | null }

const META_PAGES = 2
/** MDB_PAGE_NOTFOUND, MDB_CORRUPTED, MDB_VERSION_MISMATCH, MDB_INVALID. */
const MDB_DAMAGED: readonly number[] = [-30797, -30796, -30794, -30793]
/** Pages a transaction may take beside what is put: branches, free list. */
const PAGES_BESIDE = 32

export class Disk {
  readonly bytesMax: number
  private readonly folder: string
  private readonly file: string
  private root: RootDatabase<Buffer, LmdbKey> | null = null
  private readonly tables = new Map<string, LmdbTable>()
  private readonly names = new Set<string>()
  private writes: Write[] = []
  /** The last transaction known to be ours and whole. */
  private transaction = 0
  private fileBytes = 0
  private pageBytes = 4096

  /** Opens or makes the file. Faults: `STORE_DAMAGED`, `STORE_IO`. */
  constructor(folder: string, bytesMax: number) {
    this.folder = folder
    this.file = join(folder, 'store.mdb')
    this.bytesMax = bytesMax
    this.open()
    this.look()
    markMade(this.file)
    syncFolder(folder)
    syncFolder(dirname(folder))
  }

  /** False from a failed commit until the file is open again: nothing can be read meanwhile. */
  get readable(): boolean {
    return this.root !== null
  }

  table(name: string): Table {
    if (!this.names.has(name)) {
      this.names.add(name)
      try {
        this.tables.set(name, this.openTable(name))
        // A new table is a transaction of its own.
        this.look()
      } catch (error) {
        throw this.fault(error, PAGES_BESIDE * this.pageBytes)
      }
    }
    const read = <T>(look: (rows: LmdbTable) => T): T => {
      try {
        return look(this.tables.get(name) ?? this.unreadable())
      } catch (error) {
        throw this.fault(error, 0)
      }
    }
    const row = ({ key, value }: { key: LmdbKey; value: Buffer }): Row => ({ key: key as Key, value })
    return {
      get: (key) => read((rows) => rows.get(key)),
      range: ({ from, to, limit }) => read((rows) => Array.from(rows.getRange({ start: from, end: to, limit }), row)),
      keys: () => read((rows) => Array.from(rows.getKeys()) as Key[]),
      last: () => read((rows) => Array.from(rows.getKeys({ reverse: true, limit: 1 }))[0] as Key | undefined),
      lastIn: (from, to) => {
        const backwards = { start: to, end: from, exclusiveStart: true, inclusiveEnd: true, reverse: true, limit: 1 }
        return read((rows) => Array.from(rows.getRange(backwards), row)[0])
      },
      put: (key, value) => void this.writes.push({ table: name, key, value }),
      remove: (key) => void this.writes.push({ table: name, key, value: null }),
    }
  }

  /** Forgets what was put and not committed. */
  discard(): void {
    this.writes = []
  }

  /**
   * Writes everything put since the last commit as one transaction; resolves when it is on the disk. On a fault
   * nothing of it is stored (but see `reopen`). Faults: `STORE_FULL`, `STORE_DAMAGED`, `STORE_IO`.
   */
  async commit(): Promise<void> {
    const { writes } = this
    this.writes = []
    if (writes.length === 0) return
    // The binding makes one transaction of all writes of one event turn, with one promise.
    const promises = new Set<Promise<boolean>>()
    let neededBytes = PAGES_BESIDE * this.pageBytes
    try {
      for (const { table, key, value } of writes) {
        const target = this.tables.get(table) ?? this.unreadable()
        promises.add(value === null ? target.remove(key) : target.put(key, value))
        neededBytes += value === null ? 0 : value.length + this.pageBytes
      }
      for (const promise of promises) await promise
    } catch (error) {
      throw await this.translate(error, neededBytes)
    }
    this.look()
  }

  /**
   * After a failed commit: closes the file and opens it again; true when the transaction took effect all the same.
   * Faults: `STORE_DAMAGED`, `STORE_IO`; then try again.
   */
  async reopen(): Promise<boolean> {
    await this.close()
    this.open()
    const advanced = this.stats().lastTxnId > this.transaction
    this.look()
    return advanced
  }

  /** Bytes of the file, pages that are free in it included. */
  get allBytes(): number {
    return this.fileBytes
  }

  /** Bytes of the pages in use. */
  usedBytes(): number {
    const { root, free } = this.stats()
    let pages = META_PAGES + pagesOf(root) + pagesOf(free)
    for (const table of this.tables.values()) pages += pagesOf(table.getStats() as TreeStats)
    return pages * this.pageBytes
  }

  /** Copies the tables, without free pages, to a new file. Faults: `STORE_FULL`, `STORE_IO`. */
  async copy(path: string): Promise<void> {
    try {
      await (this.root ?? this.unreadable()).backup(path, true)
    } catch (error) {
      throw this.fault(error, this.fileBytes)
    }
  }

  async close(): Promise<void> {
    const { root } = this
    this.root = null
    this.tables.clear()
    this.writes = []
    await root?.close()
  }

  private open(): void {
    assert(this.root === null, 'the file is opened once')
    try {
      mkdirSync(this.folder, { recursive: true, mode: 0o700 })
      checkFile(this.file)
      this.root = open<Buffer, LmdbKey>({
        path: this.file,
        noSubdir: true,
        mapSize: Math.min(this.bytesMax, MAP_BYTES),
        maxDbs: 32,
        encoding: 'binary',
        overlappingSync: false,
        eventTurnBatching: true,
      })
      for (const name of this.names) this.tables.set(name, this.openTable(name))
    } catch (error) {
      this.root = null
      this.tables.clear()
      throw this.fault(error, PAGES_BESIDE * this.pageBytes)
    }
  }

  private openTable(name: string): LmdbTable {
    return (this.root ?? this.unreadable()).openDB<Buffer, LmdbKey>({ name, encoding: 'binary' })
  }

  private look(): void {
    const { lastTxnId, lastPageNumber, pageSize } = this.stats()
    this.transaction = lastTxnId
    this.pageBytes = pageSize
    this.fileBytes = (lastPageNumber + 1) * pageSize
  }

  private stats(): Stats {
    return (this.root ?? this.unreadable()).getStats() as Stats
  }

  private unreadable(): never {
    throw storeFault('STORE_IO', { where: this.file, why: 'the file is closed', retry: true })
  }

  /** The binding rejects with a general error and hands the cause over in a second promise. */
  private async translate(error: unknown, neededBytes: number): Promise<Fault> {
    const later = (error as { commitError?: Promise<never> }).commitError
    if (later === undefined) return this.fault(error, neededBytes)
    return later.then(
      () => this.fault(error, neededBytes),
      (cause: unknown) => this.fault(cause, neededBytes),
    )
  }

  private fault(cause: unknown, neededBytes: number): Fault {
    if (cause instanceof Fault) return cause
    const { code, message } = cause as { code?: unknown; message?: string }
    const where = this.file
    const why = message ?? String(cause)
    if (typeof code === 'number' && meansNoSpace(code, this.folder, neededBytes)) {
      return storeFault('STORE_FULL', { where, why: 'the disk is full', retry: true, cause })
    }
    if (typeof code === 'number' && MDB_DAMAGED.includes(code)) {
      return storeFault('STORE_DAMAGED', { where, why, retry: true, cause })
    }
    return storeFault('STORE_IO', { where, why, retry: true, cause })
  }
}

type TreeStats = {
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly overflowPages: number
}
type Stats = TreeStats & {
  readonly pageSize: number
  readonly lastTxnId: number
  readonly lastPageNumber: number
  readonly root: TreeStats
  readonly free: TreeStats
}

const pagesOf = (tree: TreeStats): number => tree.treeBranchPageCount + tree.treeLeafPageCount + tree.overflowPages
