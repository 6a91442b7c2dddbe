// The store for large content: contents of up to 1 TiB in chunks, each chunk stored once however many contents consist of
// it. It has an engine of its own, so that a large content neither waits for nor holds up messages, and neither fills the
// other's bound. Chunks lie in its segments; rows say what a content is, which chunk each of its parts is, and where that lies.
//
// A content goes when it is removed: its own row at once, its parts in steps. Under the same id another may begin
// meanwhile, since parts belong to the content's number, which is not given out again while there are parts of it.

import { asFault, type Fault } from '#protocol/base/mod.ts'
import { Engine, type EngineOptions, type Work } from '../engine.ts'
import { storeFault } from '../faults.ts'
import {
  APPEND_OVERHEAD_BYTES,
  CONTENT_ADD_BYTES,
  CONTENT_MANIFEST_BYTES_MAX,
  CONTENT_ROWS,
  CONTENT_TOUCH_MS,
  contentSegmentBytesFor,
} from '../limits.ts'
import { nothing } from '../works.ts'
import { AddWork, type Chunk } from './adding.ts'
import { Chunks, type StoredChunk, sound } from './chunks.ts'
import { allOf, Cleaning, closedFault } from './cleaning.ts'
import {
  type ContentId,
  type ContentInfo,
  type ContentView,
  checkInfo,
  checkPart,
  invalid,
  newRow,
  type Part,
  sealProblem,
  unknown,
} from './info.ts'
import { Readers } from './readers.ts'
import type { ContentRow, PartKey } from './rows.ts'
import { numbered, Tables } from './tables.ts'
import { checkVersion } from './version.ts'

export type ContentStoreOptions = {
  /** Its own: `DATA/contents`. */
  readonly folder: string
  readonly bytesMax: number
  readonly freeBytesMin?: number
  readonly segmentBytes?: number
  /** The setting that says `bytesMax`, for who comes to the bound. */
  readonly bytesMaxSetting?: string
  /** Told when something could not be written or is damaged, for the log. */
  readonly onFault?: (fault: Fault) => void
  /** Told of each step on the way to the disk: for tests that end the process there. */
  readonly onStep?: EngineOptions['onStep']
}

export class ContentStore {
  /** Parts of it that were lost are here again; when all are, it is sealed again. */
  onHealed: (id: ContentId) => void = () => {}
  private readonly engine: Engine
  private readonly tables: Tables
  private readonly chunks: Chunks
  private readonly cleaning: Cleaning
  /** Who may read what. */
  readonly readers: Readers
  private contents = 0
  private nextContent: number
  /** When contents were last used, by number: what is not on the disk yet, and what is on its way there. */
  private touched = new Map<number, number>()
  private touching = new Map<number, number>()
  private touchTimer: NodeJS.Timeout | null = null
  /** Reads under way: files are closed behind them. */
  private readonly reads = new Set<Promise<unknown>>()

  private constructor(engine: Engine, options: ContentStoreOptions) {
    this.engine = engine
    if (options.onFault !== undefined) engine.onFault = options.onFault
    checkVersion(engine)
    this.tables = new Tables(engine)
    this.chunks = new Chunks(engine, this.tables)
    this.cleaning = new Cleaning(engine, this.tables, this.chunks)
    this.readers = new Readers(engine, this.tables)
    const onFault = (fault: Fault) => this.engine.onFault(fault)
    this.cleaning.onFault = onFault
    this.cleaning.onHealed = (number) => this.healed(number)
    this.chunks.onDamaged = (digest) => void this.damaged(digest).catch(nothing)
    this.chunks.onChanged = (chunk) => this.cleaning.changed(chunk)
    const { contents, removing } = this.tables
    for (const _row of numbered(contents.table, CONTENT_ROWS)) this.contents++
    this.nextContent = Math.max(Number(contents.table.last() ?? 0), Number(removing.table.last() ?? 0)) + 1
    engine.beforeCommit = () => this.beforeCommit()
    engine.onDiscarded = () => this.onDiscarded()
    engine.onGroup = () => this.touching.clear()
    engine.beforeClose = () => this.idle()
    this.cleaning.start()
  }

  /**
   * Opens or makes the store. Faults: `STORE_IN_USE`, `STORE_VERSION`, `STORE_DAMAGED`, `STORE_FULL`, `STORE_IO`.
   */
  static open(options: ContentStoreOptions): ContentStore {
    const { folder, bytesMax, freeBytesMin, segmentBytes, onStep } = options
    const engine = Engine.open(folder, bytesMax, {
      bytesMaxSetting: options.bytesMaxSetting ?? 'contents.bytesMax',
      segmentBytes: segmentBytes ?? contentSegmentBytesFor,
      ...(freeBytesMin === undefined ? {} : { freeBytesMin }),
      ...(onStep === undefined ? {} : { onStep }),
    })
    try {
      return new ContentStore(engine, options)
    } catch (error) {
      // Nothing was written, so nothing can fail, and it is done at once.
      void engine.close()
      throw error
    }
  }

  /** False for moments after a failed transaction; whatever reads rows throws `STORE_IO` (`retry`) meanwhile. */
  get readable(): boolean {
    return this.engine.readable
  }

  /** `null` when there is none. Faults: `STORE_DAMAGED`, `STORE_IO`. */
  get(id: ContentId): ContentView | null {
    const found = this.find(id)
    return found === null ? null : this.viewOf(found.number, found.row)
  }

  /** All contents, in the order they were begun. Those whose row is damaged are left out: a check names them. */
  *all(): IterableIterator<ContentView> {
    for (const { number, value } of numbered(this.tables.contents.table, CONTENT_ROWS)) {
      const row = sound(() => this.tables.contents.decode(value, number))
      if (row !== null) yield this.viewOf(number, row)
    }
  }

  /**
   * Begins a content, or finds it begun: the same id, origin and size are the same content, however it is described.
   * Resolves when it is on the disk. Faults: `CONTENT_CONFLICT`, `CONTENT_INVALID`, `STORE_FULL`, `STORE_IO`, `STORE_CLOSED`.
   */
  async begin(info: ContentInfo): Promise<ContentView> {
    checkInfo(info)
    const { ids, contents } = this.tables
    let made = false
    const decide = (): Fault | null => {
      const known = ids.get(info.id)
      made = known === null
      if (known !== null) {
        const row = contents.get(known)
        if (row?.origin === info.origin && row.size === info.size) return null
        return storeFault('CONTENT_CONFLICT', { where: `content ${info.id}`, why: 'it is of another origin or size' })
      }
      const number = this.nextContent++
      ids.put(info.id, number)
      contents.put(number, newRow(info))
      return null
    }
    await this.append(APPEND_OVERHEAD_BYTES, decide, () => {
      if (made) this.contents++
    })
    const view = this.get(info.id)
    // Removed in the same moment.
    if (view === null) throw unknown(info.id)
    return view
  }

  /** Whether a chunk of this digest is durable here. */
  has(digest: Buffer): boolean {
    return sound(() => this.chunks.find(digest)) !== null
  }

  /** Whether it is, and by a content of that origin. */
  hasOf(origin: string, digest: Buffer): boolean {
    const found = sound(() => this.chunks.find(digest))
    return found !== null && this.chunks.isOwn(found.number, origin)
  }

  /** What is at an index of a content; `null` when it is missing. */
  part(id: ContentId, index: number): { digest: Buffer; length: number } | null {
    const found = this.find(id)
    const row = found === null ? null : this.tables.parts.stored([found.number, index])
    return row === null || this.chunks.lost.has(row.chunk) ? null : { digest: row.digest, length: row.length }
  }

  /** Parts from an index on, ascending, without those that are missing; `limit` at most. */
  parts(id: ContentId, from: number, limit: number): Part[] {
    const found = this.find(id)
    const parts: Part[] = []
    if (found === null) return parts
    const { parts: table } = this.tables
    let range = { ...allOf(found.number), from: [found.number, from] as PartKey }
    for (;;) {
      const rows = table.table.range({ ...range, limit: limit - parts.length })
      for (const { key, value } of rows) {
        const [, index] = key as PartKey
        const { digest, length, chunk } = table.decode(value, key as PartKey)
        if (!this.chunks.lost.has(chunk)) parts.push({ index, digest, length })
      }
      const last = rows.at(-1)
      if (last === undefined || parts.length === limit) return parts
      range = { ...range, from: [found.number, (last.key as PartKey)[1] + 1] }
    }
  }

  /**
   * Stores a part: its row, and its chunk unless that is here already. `bytes` null says that it is. The caller has verified
   * the digest, and awaited `begin`. The same part again is harmless; another one in its place is refused. Resolves when it
   * is on the disk.
   *
   * `bytes` must not change until this settles, either way; then they may be reused.
   *
   * Faults: `CHUNK_UNKNOWN`, `CONTENT_UNKNOWN`, `CONTENT_CONFLICT`, `CONTENT_INVALID`, `STORE_FULL`, `STORE_IO`,
   * `STORE_CLOSED`.
   */
  async add(id: ContentId, index: number, chunk: Chunk): Promise<void> {
    const { digest, length, bytes } = chunk
    checkPart(index, chunk)
    const number = this.tables.ids.stored(id)
    if (number === null) throw unknown(id)
    for (;;) {
      const written = bytes === null || this.has(digest) ? null : this.chunks.write(digest, bytes)
      const work = new AddWork(this.tables, this.chunks, { id, number, index, digest, length, written })
      await this.engine.append(CONTENT_ADD_BYTES, work, written?.blob ?? null)
      if (work.healed) this.onHealed(id)
      if (work.refused === null) return
      // It went away since we looked: with its bytes it is stored anew.
      if (work.refused.code !== 'CHUNK_UNKNOWN' || bytes === null) throw work.refused
    }
  }

  /**
   * A chunk as it lies on the disk: the caller compares it with the digest, and says `damaged` when they differ.
   * Does not wait for the disk on this thread. Into the beginning of `into` when that is given (as long as the chunk at
   * least); the result is a part of it. Faults: `CHUNK_UNKNOWN`, `STORE_DAMAGED` (say `damaged` then too), `STORE_IO`.
   */
  async read(digest: Buffer, into: Buffer | null = null): Promise<StoredChunk> {
    const read = this.chunks.read(digest, into)
    this.reads.add(read)
    try {
      return await read
    } finally {
      this.reads.delete(read)
    }
  }

  /**
   * A chunk turned out to be damaged: its place is given up, it is not here any more, and parts that consist of it are
   * missing. Sealed contents are open again then. Resolves when all that is on the disk. Faults: `STORE_CLOSED`.
   */
  async damaged(digest: Buffer): Promise<void> {
    const work = this.chunks.giveUp(digest)
    await this.maintain(work)
    if (work.number === null) return
    this.engine.onFault(
      storeFault('STORE_DAMAGED', {
        where: `chunk ${digest.toString('hex')}`,
        why: 'it was given up',
        todo: 'Check the disk; the chunk comes again when its sender sends the content again, or anybody another content that has it',
      }),
    )
    await this.cleaning.settle(work.number)
    this.checkOpen()
  }

  /**
   * The content is whole. Await all `add`s before. Again with the same manifest is harmless. Resolves when it is on the disk.
   * Faults: `CONTENT_UNKNOWN`, `CONTENT_INCOMPLETE`, `CONTENT_CONFLICT`, `CONTENT_INVALID`, `STORE_FULL`, `STORE_IO`,
   * `STORE_CLOSED`.
   */
  async seal(id: ContentId, manifest: Buffer): Promise<void> {
    if (manifest.length === 0 || manifest.length > CONTENT_MANIFEST_BYTES_MAX) {
      throw invalid(`a manifest has 1 to ${CONTENT_MANIFEST_BYTES_MAX} bytes`)
    }
    const { ids, contents } = this.tables
    const decide = (): Fault | null => {
      const number = ids.get(id)
      const row = number === null ? null : contents.get(number)
      if (number === null || row === null) return unknown(id)
      const problem = sealProblem(row, manifest)
      if (problem === null && row.state !== 'sealed') {
        contents.put(number, { ...row, state: 'sealed', manifest: Buffer.from(manifest) })
      }
      return problem
    }
    await this.append(0, decide, nothing)
  }

  /** When it expires from now on; 0: never. Resolves when that is on the disk. Faults: `CONTENT_UNKNOWN`, as `begin`. */
  async expire(id: ContentId, expiresAtMs: number): Promise<void> {
    const { ids, contents } = this.tables
    const decide = (): Fault | null => {
      const number = ids.get(id)
      const row = number === null ? null : contents.get(number)
      if (number === null || row === null) return unknown(id)
      contents.put(number, { ...row, expiresAtMs: Math.floor(expiresAtMs) })
      return null
    }
    await this.append(0, decide, nothing)
  }

  /** It is still of use. On the disk with whatever is written next, half a minute later at most. */
  touch(id: ContentId, nowMs: number): void {
    const number = this.tables.ids.stored(id)
    if (number === null) return
    this.touched.set(number, Math.floor(nowMs))
    if (this.touchTimer !== null) return
    this.touchTimer = setTimeout(() => {
      this.touchTimer = null
      if (this.touched.size > 0) void this.engine.maintain({ write: nothing, done: nothing })
    }, CONTENT_TOUCH_MS)
    this.touchTimer.unref()
  }

  /**
   * Removes a content; its id is free when the first step is on the disk, and adds under way are refused from there on.
   * Resolves when its last part is gone. Killed in between, it goes on at the next start. Nothing when it is not there.
   * Faults: `STORE_CLOSED`.
   */
  async remove(id: ContentId): Promise<void> {
    const { ids, contents, removing } = this.tables
    let number: number | null = null
    await this.maintain({
      write: () => {
        number = sound(() => ids.get(id))
        if (number === null) return
        const origin = sound(() => contents.get(number as number))?.origin ?? ''
        ids.remove(id)
        contents.remove(number)
        removing.put(number, origin)
      },
      done: () => {
        if (number !== null) this.contents--
      },
    })
    if (number === null) return
    await this.cleaning.remove(number)
    this.checkOpen()
  }

  /** `lostChunks`: given up, and not here again. */
  usage(): {
    bytes: number
    bytesMax: number
    contents: number
    chunks: number
    lostChunks: number
    liveBytes: number
  } {
    const { contents, chunks, engine } = this
    const { liveBytes } = engine.segments
    return { ...engine.usage(), contents, chunks: chunks.count, lostChunks: chunks.lost.size, liveBytes }
  }

  /** Why so many bytes more would not be taken now; `null` when they would. Who asks in vain has room made, as far as there is waste. */
  freeFor(bytes: number): Fault | null {
    const refusal = this.engine.refusalOfMore(bytes)
    this.chunks.compaction.hasten(refusal !== null)
    return refusal
  }

  /** Writes what waits, then closes. What was to be removed goes on at the next start. */
  async close(): Promise<void> {
    if (this.touchTimer !== null) clearTimeout(this.touchTimer)
    this.touchTimer = null
    if (this.touched.size > 0 && !this.engine.ending) void this.engine.maintain({ write: nothing, done: nothing })
    await this.engine.close()
  }

  private async idle(): Promise<void> {
    await this.chunks.compaction.idle()
    await this.cleaning.idle()
    while (this.reads.size > 0) await Promise.allSettled(this.reads)
  }

  private healed(number: number): void {
    const row = sound(() => this.tables.contents.stored(number))
    if (row !== null) this.onHealed(row.id)
  }

  private find(id: ContentId): { number: number; row: ContentRow } | null {
    const number = this.tables.ids.stored(id)
    const row = number === null ? null : this.tables.contents.stored(number)
    return number === null || row === null ? null : { number, row }
  }

  private viewOf(number: number, row: ContentRow): ContentView {
    const { parts: chunks, end: _, touchedAtMs, ...rest } = row
    return { ...rest, chunks, touchedAtMs: this.touched.get(number) ?? this.touching.get(number) ?? touchedAtMs }
  }

  private beforeCommit(): void {
    const { contents } = this.tables
    this.touching = this.touched
    this.touched = new Map()
    for (const [number, touchedAtMs] of this.touching) {
      const row = sound(() => contents.get(number))
      if (row !== null) contents.put(number, { ...row, touchedAtMs })
    }
    this.tables.flush()
  }

  private onDiscarded(): void {
    this.tables.discard()
    this.touched = new Map([...this.touching, ...this.touched])
    this.touching.clear()
  }

  /**
   * A work that decides what to put when its transaction is put together, or gives the fault it refuses with: then others
   * go on. `decide` throws only before it puts anything.
   */
  private async append(bytes: number, decide: () => Fault | null, done: () => void): Promise<void> {
    let refused: Fault | null = null
    const write = () => {
      try {
        refused = decide()
      } catch (error) {
        refused = asFault(error)
      }
    }
    await this.engine.append(bytes, { write, done })
    if (refused !== null) throw refused
  }

  /** As the engine's, but told when the store is closed before. */
  private async maintain(work: Work): Promise<void> {
    let written = false
    await Promise.race([this.engine.maintain(work).then(() => (written = true)), this.engine.whenEnded])
    if (!written) throw closedFault()
  }

  private checkOpen(): void {
    if (this.engine.ending) throw closedFault()
  }
}
