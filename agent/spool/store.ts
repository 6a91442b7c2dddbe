// The spool's file: the only place of the agent that knows LMDB.
//
// Durability. `overlappingSync` is switched off, against the package's default. With it on, a transaction becomes
// visible before it is flushed: a flush that fails afterwards leaves a batch in the file that nobody was promised, and
// after a crash without power loss the file is opened at the newest transaction, flushed or not (which `safeRestore`
// would forbid). Off, a commit is plain LMDB: pages, fdatasync, then the meta page through a descriptor opened with
// O_DSYNC. One commit at a time waits for the disk either way, and 100 puts of 100 KB took the same time in both modes
// (4.0 and 4.2 ms each), so nothing is lost by it.
//
// What survives. A killed process: every commit whose promise resolved, and possibly the one under way, wholly. A power
// cut: the same, provided the disk does not lie about flushing and writes a sector (the meta page's fields) as a whole;
// pages in use are never overwritten, and of the two meta pages the older one stays intact while the newer is written.
// Bit rot is not noticed here: a batch carries its own digest.
//
// Space. This package grows LMDB's map by itself, so `MDB_MAP_FULL` practically never comes; the bound on the file is
// ours (`room`). Space that is missing on the disk fails the commit, as ENOSPC or (a write cut short) as EIO. After any
// failure the file is closed and opened again: LMDB refuses everything after a failed meta page, and the binding would
// then wait for ever.

import { closeSync, fsyncSync, openSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Database, open, type RootDatabase } from 'lmdb'
import { assert, Fault } from '#protocol/base/mod.ts'
import { spoolFault } from './faults.ts'
import { checkFile, markMade } from './header.ts'
import { type BatchKey, decodeBatchKey, encodeBatchKey } from './keys.ts'
import { meansNoSpace } from './reserve.ts'

const MDB_MAP_FULL = -30792
/** MDB_PAGE_NOTFOUND, MDB_CORRUPTED, MDB_VERSION_MISMATCH, MDB_INVALID. */
const MDB_DAMAGED: readonly number[] = [-30797, -30796, -30794, -30793]
const META_PAGES = 2

type Opened = {
  readonly root: RootDatabase<Buffer, Buffer>
  readonly streams: Database<Buffer, Buffer>
  readonly batches: Database<Buffer, Buffer>
}

/** What one transaction does. The buffers must not change until `commit` is settled. */
export type Changes = {
  readonly put: readonly { readonly key: Buffer; readonly bytes: Uint8Array }[]
  readonly remove: readonly Buffer[]
  readonly records: readonly { readonly name: string; readonly record: Buffer }[]
  /** An upper estimate of the new space needed, to tell a full disk from a broken one. */
  readonly neededBytes: number
}

export class Store {
  readonly #folder: string
  readonly #file: string
  readonly #mapBytesMax: number
  #opened: Opened | null
  #closing = false

  constructor(options: { folder: string; mapBytesMax: number }) {
    this.#folder = options.folder
    this.#file = join(options.folder, 'spool.mdb')
    this.#mapBytesMax = options.mapBytesMax
    this.#opened = this.#open()
    markMade(this.#file)
    syncFolder(this.#folder)
    syncFolder(dirname(this.#folder))
  }

  /**
   * False while the file is being closed and opened again: opening it a second time meanwhile would share the failed
   * one.
   */
  get ready(): boolean {
    return !this.#closing
  }

  get pageBytes(): number {
    return (this.#use().batches.getStats() as Stats).pageSize
  }

  /** All stream records by name. */
  records(): Map<string, Buffer> {
    const records = new Map<string, Buffer>()
    try {
      for (const { key, value } of this.#use().streams.getRange({})) records.set(key.toString('utf8'), plain(value))
    } catch (error) {
      throw this.#fault(error, 0)
    }
    return records
  }

  /** Keys of a stream's batches from `seq` on, ascending. Do not leave the iteration open: it pins pages. */
  *keys(streamId: number, seq: number): Generator<{ key: Buffer; batch: BatchKey }> {
    const start = encodeBatchKey(streamId, seq, 0, 0)
    const end = encodeBatchKey(streamId + 1, 0, 0, 0)
    try {
      for (const key of this.#use().batches.getKeys({ start, end }))
        yield { key, batch: decodeBatchKey(key, this.#file) }
    } catch (error) {
      throw this.#fault(error, 0)
    }
  }

  /** The bytes of a batch; the buffer is the caller's. */
  batch(key: Buffer): Buffer {
    const bytes = this.#get(key)
    if (bytes === undefined)
      throw spoolFault('SPOOL_CORRUPT', { where: this.#file, why: 'a batch vanished while it was read' })
    return plain(bytes)
  }

  /**
   * Is there room for `bytes` more under the file's bound? Counts pages in use, so a fragmented file may pass it a
   * little.
   */
  room(bytes: number): boolean {
    if (statSync(this.#file).size + bytes <= this.#mapBytesMax) return true
    const { streams, batches } = this.#use()
    const ofBatches = batches.getStats() as Stats
    const ofStreams = streams.getStats() as Stats
    const pages =
      META_PAGES + pagesOf(ofBatches) + pagesOf(ofStreams) + pagesOf(ofBatches.root) + pagesOf(ofBatches.free)
    return pages * ofBatches.pageSize + bytes <= this.#mapBytesMax
  }

  /** Commits all changes as one transaction; resolves when it is on the disk. On a fault nothing of it is stored. */
  async commit(changes: Changes): Promise<void> {
    const { streams, batches } = this.#use()
    let committed: Promise<boolean> | null = null
    // Writes of one event turn are one transaction and share one promise. Nothing here can throw halfway: keys and
    // values were checked before they were queued.
    for (const { key, bytes } of changes.put) committed = batches.put(key, bytes as Buffer)
    for (const key of changes.remove) committed = batches.remove(key)
    for (const { name, record } of changes.records) committed = streams.put(Buffer.from(name, 'utf8'), record)
    try {
      await committed
    } catch (error) {
      throw await this.#translate(error, changes.neededBytes)
    }
  }

  /** Closes the file and opens it again, after a failed commit. When that fails too, the next use tries once more. */
  async reopen(): Promise<void> {
    await this.close()
    this.#use()
  }

  async close(): Promise<void> {
    const opened = this.#opened
    this.#opened = null
    this.#closing = true
    try {
      await opened?.root.close()
    } finally {
      this.#closing = false
    }
  }

  #get(key: Buffer): Buffer | undefined {
    try {
      return this.#use().batches.get(key)
    } catch (error) {
      throw this.#fault(error, 0)
    }
  }

  #use(): Opened {
    assert(!this.#closing, 'the file is not used while it is being closed')
    this.#opened ??= this.#open()
    return this.#opened
  }

  #open(): Opened {
    try {
      checkFile(this.#file)
      const root = open<Buffer, Buffer>({
        path: this.#file,
        noSubdir: true,
        overlappingSync: false,
        mapSize: this.#mapBytesMax,
        maxDbs: 2,
        maxReaders: 8,
        keyEncoding: 'binary',
        encoding: 'binary',
      })
      const database = (name: string) =>
        root.openDB<Buffer, Buffer>({ name, keyEncoding: 'binary', encoding: 'binary' })
      return { root, streams: database('streams'), batches: database('batches') }
    } catch (error) {
      throw this.#fault(error, 0)
    }
  }

  /** The binding rejects with a general error and hands the cause over in a second promise. */
  async #translate(error: unknown, neededBytes: number): Promise<Fault> {
    const later = (error as { commitError?: Promise<never> }).commitError
    if (later === undefined) return this.#fault(error, neededBytes)
    return later.then(
      () => this.#fault(error, neededBytes),
      (cause: unknown) => this.#fault(cause, neededBytes),
    )
  }

  #fault(cause: unknown, neededBytes: number): Fault {
    if (cause instanceof Fault) return cause
    const { code, message } = cause as { code?: number; message?: string }
    const where = this.#file
    if (code === MDB_MAP_FULL || (typeof code === 'number' && meansNoSpace(code, this.#folder, neededBytes))) {
      return spoolFault('SPOOL_DISK_FULL', { where, retry: true, cause })
    }
    if (code !== undefined && MDB_DAMAGED.includes(code))
      return spoolFault('SPOOL_CORRUPT', { where, why: message ?? '', cause })
    return spoolFault('SPOOL_IO', { where, why: message ?? String(cause), cause })
  }
}

type TreeStats = {
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly overflowPages: number
}
type Stats = TreeStats & { readonly pageSize: number; readonly root: TreeStats; readonly free: TreeStats }

const pagesOf = (tree: TreeStats): number => tree.treeBranchPageCount + tree.treeLeafPageCount + tree.overflowPages

/**
 * The binding hands out buffers with an own `length` property on a slab of the same size; this is the same memory
 * without it.
 */
function plain(bytes: Buffer): Buffer {
  return Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength)
}

/** A new file's name is durable only when its folder is flushed. Windows cannot open folders and does not need it. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
