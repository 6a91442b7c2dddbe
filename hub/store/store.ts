// The hub's store: what was sent once is stored once, in the queues it belongs to, before anyone is told so. An append
// and the dedup state it rests on are one transaction; so is everything that ends a message in one place and puts it in
// another. In memory a stream has two numbers: *planned* (given out to batches on their way to the disk) and *durable*;
// when a group fails, plans fall back to what is durable.

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { assert, type Fault, systemClock } from '#protocol/base/mod.ts'
import {
  type Attributes,
  type Batch,
  contentsIn,
  FLAG_RECEIPT_DELIVERED,
  FLAG_RECEIPT_FINAL,
} from '#protocol/codec/mod.ts'
import type { Range } from '#protocol/session/mod.ts'
import { Batches } from './batches.ts'
import type { ContentHolds } from './content-holds.ts'
import { Conveying } from './conveying.ts'
import type { Table } from './disk.ts'
import { Endings, type PlaceWork, placesIn } from './endings.ts'
import type { Engine, EngineOptions, GroupWritten, Work } from './engine.ts'
import type { NewEntry, Selection } from './entry.ts'
import { Fates } from './fates.ts'
import { storeFault } from './faults.ts'
import type { Lane, Lease } from './lane.ts'
import { LaneBook } from './lane-book.ts'
import { APPEND_OVERHEAD_BYTES, ENTRY_OVERHEAD_BYTES, EXPIRED_PER_TAKE, TRACE_PLACES_MAX } from './limits.ts'
import { encodeVersion, type MigrationProgress, openEngine, STORE_VERSION } from './migrate.ts'
import type { Queue } from './queue.ts'
import { type Admitted, Queues } from './queues.ts'
import { Receipts } from './receipts.ts'
import { type ReplayFrom, replay } from './replay.ts'
import { type Stream, Streams } from './streams.ts'
import { Timers } from './timers.ts'
import { Trace, type TracePlace } from './trace.ts'
import { Upkeep } from './upkeep.ts'
import { nothing, together } from './works.ts'

/** Messages of a batch that go to a queue. */
export type Placement = {
  readonly queue: Queue
  readonly selection: Selection
  readonly count: number
  /** Which part of an ordered queue; 0 without an order. */
  readonly partition: number
  readonly attributes: Attributes
  /** Kept with its entry. */
  readonly note?: string
  /** See `NewEntry`. */
  readonly backNote?: string
}

/** Time as the store needs it; tests give their own. */
export type StoreClock = {
  wallMs(): number
  /** Calls back after `ms`; gives what takes that back. */
  schedule(ms: number, callback: () => void): () => void
}

export type StoreOptions = {
  readonly dataDir: string
  readonly mapBytesMax: number
  readonly cacheBytes: number
  readonly freeBytesMin?: number
  readonly traceKeepMs?: number
  readonly traceBytesMax?: number
  /** Bytes of receipts one agent has not collected; 0 is no limit. */
  readonly receiptsBytesMax?: number
  readonly clock?: StoreClock
  /** Told when something could not be written, for the log. */
  readonly onFault?: (fault: Fault) => void
  /** Told how far an older folder's migration is. */
  readonly onMigrate?: MigrationProgress
  /** Told of each step on the way to the disk: for tests that end the process there. */
  readonly onStep?: EngineOptions['onStep']
}

export const STORE_ID_BYTES = 16
const TRACE_KEEP_MS = 7 * 86_400_000
const TRACE_BYTES_MAX = 256 * 1024 * 1024
const RECEIPTS_BYTES_MAX = 64 * 1024 * 1024

/** One copy of messages of a batch, on its way to a place. */
type Copy = {
  readonly queue: Queue
  readonly lane: number
  readonly entry: NewEntry
  readonly dueAtMs: number
  /** Why it goes to the dead letters instead; empty when it does not. */
  readonly refusal: string
}

export class HubStore {
  /** 16 bytes made with the store, and anew when it was restored: its positions are those of another hub to its agents. */
  storeId: Buffer
  appendedMessages = 0
  duplicateMessages = 0
  /** Told of each transaction: how long it took, pieces of work and bytes of batches in it. */
  onGroup: (group: GroupWritten) => void = () => {}
  readonly queues: Queues
  readonly endings: Endings
  readonly trace: Trace
  readonly timers: Timers
  readonly book: LaneBook
  readonly batches: Batches
  readonly conveying: Conveying
  readonly upkeep: Upkeep
  readonly clock: StoreClock
  private readonly engine: Engine
  private readonly meta: Table
  private readonly originTable: Table
  private readonly streams: Streams
  private readonly fates: Fates
  private readonly receipts: Receipts

  private constructor(engine: Engine, options: StoreOptions) {
    this.engine = engine
    this.clock = options.clock ?? SYSTEM_CLOCK
    this.meta = engine.table('meta')
    this.storeId = this.meta.get('id') ?? randomBytes(STORE_ID_BYTES)
    this.originTable = engine.table('origins')
    this.streams = new Streams(engine.table('streams'))
    this.batches = new Batches(engine, options.cacheBytes)
    this.book = new LaneBook(engine, (batchSeq) => this.batches.release(batchSeq))
    const run = randomBytes(6).readUIntBE(0, 6)
    this.timers = new Timers(engine, run)
    this.trace = new Trace(engine, {
      keepMs: options.traceKeepMs ?? TRACE_KEEP_MS,
      bytesMax: options.traceBytesMax ?? TRACE_BYTES_MAX,
      run,
      bytes: Number(this.meta.get('traceBytes')?.readBigUInt64LE(0) ?? 0n),
    })
    this.fates = new Fates(engine)
    this.queues = new Queues(engine, this.book, this.batches, this.timers)
    this.receipts = new Receipts(this.queues, this.book, options.receiptsBytesMax ?? RECEIPTS_BYTES_MAX)
    const onFault = options.onFault ?? nothing
    this.endings = new Endings({
      engine,
      batches: this.batches,
      book: this.book,
      fates: this.fates,
      queues: this.queues,
      receipts: this.receipts,
      timers: this.timers,
      trace: this.trace,
      clock: this.clock,
      onFault,
    })
    this.conveying = new Conveying({
      engine,
      batches: this.batches,
      endings: this.endings,
      queues: this.queues,
      streams: this.streams,
      trace: this.trace,
      clock: this.clock,
    })
    this.queues.onAbandoned = (queue, entry, open) => this.endings.abandoned(queue.info.name, entry, open)
    this.upkeep = new Upkeep({
      engine,
      batches: this.batches,
      book: this.book,
      endings: this.endings,
      queues: this.queues,
      timers: this.timers,
      trace: this.trace,
      clock: this.clock,
      onFault,
    })
    engine.onAppendFailed = () => this.streams.forgetPlans()
    engine.onDiscarded = () => this.book.onDiscarded()
    engine.beforeCommit = () => this.beforeCommit()
    engine.onGroup = (group) => {
      this.book.onWritten()
      this.onGroup(group)
    }
    // Later: the transaction that is tried first then must not hold a part of what follows.
    engine.onReadable = () => void setImmediate(() => this.goOn())
  }

  /**
   * Opens or makes the store in `dataDir`. Faults: `STORE_IN_USE`, `STORE_VERSION`, `STORE_DAMAGED`, `STORE_FULL`,
   * `STORE_IO`.
   */
  static async open(options: StoreOptions): Promise<HubStore> {
    const { freeBytesMin, onStep, onMigrate } = options
    const engine = await openEngine(join(options.dataDir, 'store'), options.mapBytesMax, {
      ...(freeBytesMin === undefined ? {} : { freeBytesMin }),
      ...(onStep === undefined ? {} : { onStep }),
      ...(onMigrate === undefined ? {} : { onMigrate }),
    })
    if (options.onFault !== undefined) engine.onFault = options.onFault
    try {
      const store = new HubStore(engine, options)
      await store.sign()
      await store.queues.forgetLeftovers()
      await store.contentHolds.forgetLeftovers()
      await store.conveying.forgetLeftovers()
      store.upkeep.start()
      return store
    } catch (error) {
      await engine.close()
      throw error
    }
  }

  async close(): Promise<void> {
    this.upkeep.stop()
    await this.engine.close()
  }

  private async sign(): Promise<void> {
    if (this.meta.get('id') !== undefined) return
    const write = () => {
      this.meta.put('id', this.storeId)
      this.meta.put('version', encodeVersion(STORE_VERSION))
    }
    await this.engine.append(0, { write, done: nothing })
  }

  private beforeCommit(): void {
    this.book.beforeCommit()
    const bytes = Buffer.allocUnsafe(8)
    bytes.writeBigUInt64LE(BigInt(Math.floor(this.trace.usedBytes)))
    this.meta.put('traceBytes', bytes)
  }

  usage(): { bytes: number; bytesMax: number; groups: number } {
    return { ...this.engine.usage(), groups: this.engine.groups }
  }

  /** Large contents that stored batches refer to. */
  get contentHolds(): ContentHolds {
    return this.batches.holds
  }

  get unrouted(): Queue {
    return this.queues.unrouted
  }

  /** False for moments after a failed transaction; consumers are woken when it is over. */
  get readable(): boolean {
    return this.engine.readable
  }

  get settledMessages(): number {
    return this.endings.settledMessages
  }

  /**
   * Keeps the certificate behind a key: what an agent signed is verifiable as long as it lies here, whatever key it
   * has now.
   */
  rememberOrigin(origin: string, keyId: string, certificate: Buffer): void {
    if (this.originCertificate(origin, keyId)?.equals(certificate)) return
    void this.engine.maintain({ write: () => this.originTable.put([origin, keyId], certificate), done: nothing })
  }

  originCertificate(origin: string, keyId: string): Buffer | null {
    return this.originTable.get([origin, keyId]) ?? null
  }

  /**
   * The stream's state; a new one begins at 0. To be given back with `closeStream`.
   * Faults: `STREAM_LIMIT`, `STREAM_NAME_INVALID`.
   */
  stream(origin: string, name: string, epoch: number): Stream {
    return this.streams.open(origin, name, epoch)
  }

  /**
   * The stream goes on behind `seq`, although batches before are missing: a store that was put back to an older copy lost
   * them, and their agent has forgotten them. Resolves when that is on disk; never when the store is closed before.
   */
  async skip(stream: Stream, seq: number): Promise<void> {
    if (seq <= stream.plannedSeq) return
    const write = () => {
      if (seq > stream.plannedSeq) this.streams.put(stream, seq)
    }
    await this.engine.maintain({ write, done: () => this.streams.skipped(stream, seq) })
  }

  /**
   * A new store id: the folder was put back to an older copy, so positions and acknowledgements given since then mean
   * nothing any more. Resolves when it is on disk; sessions that began before must end then.
   */
  async renewId(): Promise<void> {
    const id = randomBytes(STORE_ID_BYTES)
    const write = () => this.meta.put('id', id)
    const done = () => {
      this.storeId = id
    }
    await this.engine.maintain({ write, done })
  }

  /** A session does not use it any more. */
  closeStream(stream: Stream): void {
    this.streams.close(stream)
  }

  /**
   * Stores a batch, its queue entries and its stream's last number in one transaction; resolves when they are on disk.
   * A batch the stream has already is a duplicate: it resolves, when the first copy is on disk, and has no effect.
   * `contents` are those its messages refer to, for callers who know them: they are held before this returns.
   * Faults: `STREAM_GAP`, `STREAM_OVERLAP`, `QUEUE_FULL`, `RECEIPTS_FULL`, `STORE_FULL`.
   */
  async append(
    stream: Stream,
    batch: Batch,
    placements: readonly Placement[],
    contents: readonly string[] = contentsIn(batch),
  ): Promise<void> {
    const { firstSeq } = batch.head
    const { lastSeq } = batch
    if (lastSeq <= stream.plannedSeq) {
      this.duplicateMessages += batch.count
      if (lastSeq > stream.durableSeq) await this.engine.append(0, { write: nothing, done: nothing })
      return
    }
    if (firstSeq !== stream.plannedSeq + 1) {
      const where = `stream ${stream.origin}/${stream.name}`
      const why = `${firstSeq} came after ${stream.plannedSeq}`
      throw storeFault(firstSeq > stream.plannedSeq ? 'STREAM_GAP' : 'STREAM_OVERLAP', { where, why, retry: true })
    }
    assert(placements.length > 0, 'every message has a place')
    const nowMs = this.clock.wallMs()
    // Everything that may throw comes before the first plan.
    if ((batch.head.flags & RECEIPT_FLAGS) !== 0) this.receipts.check(batch.head.origin)
    const admitted = this.queues.admit(placements, batch)
    for (const { queue, lane } of admitted) this.book.lane(queue, lane)
    const asksFinal = (batch.head.flags & FLAG_RECEIPT_FINAL) !== 0
    if (asksFinal && admitted.some(({ refusal }) => refusal !== '')) this.receipts.prepare(batch.head.origin)
    const added = this.batches.add(batch.bytes, placements.length)
    const copies = admitted.map((placement) => copyOf(placement, batch, added.seq, nowMs))
    const placed = copies.map((copy) => this.copyWork(copy))
    const works: readonly Work[] = [added, ...placed, ...this.receiptWorks(added.seq, batch, copies, nowMs)]
    const planned = copies.map(({ queue, entry }) => this.queues.plan(queue, entry))
    stream.plannedSeq = lastSeq
    const hold = contents.length === 0 ? null : this.contentHolds.hold(added.seq, contents)
    const rowBytes = hold === null ? added.rowBytes : added.rowBytes + hold.bytes + APPEND_OVERHEAD_BYTES
    const bytes = copies.reduce((sum, { entry }) => sum + entryBytes(entry), rowBytes)
    try {
      await this.engine.append(
        bytes + APPEND_OVERHEAD_BYTES,
        {
          write: () => {
            for (const work of works) work.write()
            hold?.write()
            this.streams.put(stream, lastSeq)
            this.trace.accepted(added.seq, batch, nowMs, tracePlaces(copies, placed))
          },
          done: () => {
            this.streams.stored(stream, lastSeq)
            this.appendedMessages += batch.count
            for (const work of works) work.done()
          },
        },
        added.blob,
      )
    } catch (error) {
      this.fates.forget(added.seq)
      hold?.refused()
      throw error
    } finally {
      for (const undo of planned) undo()
    }
    for (const queue of new Set(copies.map((copy) => copy.queue))) this.endings.makeRoom(queue)
  }

  /** The sealed bytes of a stored batch. Faults: `STORE_DAMAGED`. */
  batchBytes(seq: number): Buffer {
    return this.batches.get(seq)
  }

  /** The next messages of a queue for `holder`; what has expired meanwhile is taken away. */
  take(queue: Queue, messagesMax: number, holder: object, open?: (lane: Lane) => boolean): Lease | null {
    const nowMs = this.clock.wallMs()
    for (let expired = 1; ; expired++) {
      const lease = queue.take(messagesMax, holder, nowMs, open)
      if (lease === null) return null
      if (lease.entry.expiresAtMs === 0 || lease.entry.expiresAtMs > nowMs) return lease
      // It was not delivered.
      const gone = this.endings.expire({ ...lease, attempt: lease.attempt - 1 })
      if (expired < EXPIRED_PER_TAKE) continue
      void gone.then(() => queue.onReady())
      return null
    }
  }

  /** Messages of a lease went out to an agent. */
  delivered(lease: Lease, by: string): void {
    const { queue } = lease.lane
    queue.counters.delivered += lease.count
    if ((lease.entry.receiptFlags & FLAG_RECEIPT_DELIVERED) !== 0) this.endings.tellDelivered(lease, by)
  }

  /** A consumer is gone: what it has not settled goes back to its place, or to the dead letters when that was the last try. */
  giveBack(leases: readonly Lease[], by: string): void {
    this.endings.giveBack(leases, by)
  }

  /** Resolves when it is on disk. */
  settle(lease: Lease, [from, to]: Range, outcome: 'processed' | 'rejected', told: { reason: string; by: string }) {
    if (outcome === 'processed') return this.endings.processed(lease, from, to - from, told.by)
    return this.endings.rejected(lease, from, to - from, told)
  }

  /** Deliver again, `delayMs` later. Resolves when that is on disk, as far as it has to be. */
  retry(lease: Lease, [from, to]: Range, told: { delayMs: number; reason: string; by: string }): Promise<void> {
    return this.endings.retry(lease, from, to - from, told)
  }

  /**
   * Opens again what the queue retains from there on; resolves, with how many settled messages that are, when it is on
   * disk. Faults: `QUEUE_NOT_RETAINED`, `QUEUE_BUSY`.
   */
  async replay(queue: Queue, from: ReplayFrom): Promise<number> {
    const { messages, works } = replay({ book: this.book, fates: this.fates }, queue, from)
    await this.engine.maintain(together(works))
    queue.onReady()
    return messages
  }

  private goOn(): void {
    this.endings.goOn()
    this.queues.wakeAll()
    this.upkeep.goOn()
  }

  private copyWork({ queue, lane, entry, dueAtMs }: Copy): PlaceWork {
    if (dueAtMs > 0) return this.endings.later(queue, lane, entry, dueAtMs)
    return this.endings.place(this.book.lane(queue, lane), entry)
  }

  /** Which fates begin with this batch, and those that are decided at once. */
  private receiptWorks(batchSeq: number, batch: Batch, copies: readonly Copy[], nowMs: number): Work[] {
    if ((batch.head.flags & FLAG_RECEIPT_FINAL) === 0) return []
    const begun = this.fates.begin(
      batchSeq,
      batch,
      copies.map(({ entry }) => placesIn(entry)),
    )
    const works = [begun]
    for (const { queue, entry, refusal } of copies) {
      if (refusal === '') continue
      const home = entry.home === null ? queue : this.queues.withId(entry.home.queueId)
      const ended = { queue: home?.info.name ?? '', by: '', reason: refusal }
      const { finals, work } = this.fates.settle(batchSeq, placesIn(entry), 'rejected', ended)
      works.push(work, ...this.receipts.tell(finals, nowMs))
    }
    return works
  }
}

const RECEIPT_FLAGS = FLAG_RECEIPT_FINAL | FLAG_RECEIPT_DELIVERED

const SYSTEM_CLOCK: StoreClock = {
  wallMs: () => systemClock.wallMs(),
  schedule: (ms, callback) => {
    const timer = setTimeout(callback, ms)
    timer.unref()
    return () => clearTimeout(timer)
  },
}

function copyOf(admitted: Admitted, batch: Batch, batchSeq: number, nowMs: number): Copy {
  const { queue, lane, selection, count, attributes, refusal, home, note, backNote } = admitted
  const { ttlMs, delayMs, deliverAtMs } = attributes
  const isDead = refusal !== ''
  const lives = [isDead ? 0 : ttlMs, queue.info.policy.ageMsMax].filter((ms) => ms > 0)
  const dueAtMs = Math.max(nowMs + delayMs, deliverAtMs)
  const entry: NewEntry = {
    batchSeq,
    count,
    bytes: Math.floor((batch.bytes.length * count) / batch.count),
    storedAtMs: nowMs,
    expiresAtMs: lives.length === 0 ? 0 : nowMs + Math.min(...lives),
    attempts: 0,
    receiptFlags: isDead ? 0 : batch.head.flags & RECEIPT_FLAGS,
    home,
    note: isDead ? refusal : note,
    backNote,
    selection,
  }
  return { queue, lane, entry, dueAtMs: !isDead && dueAtMs > nowMs ? dueAtMs : 0, refusal }
}

const entryBytes = (entry: NewEntry): number => ENTRY_OVERHEAD_BYTES + 5 * (entry.selection?.length ?? 0)

/** Where copies went, for the trace; known when their works have written. */
function tracePlaces(copies: readonly Copy[], works: readonly PlaceWork[]): TracePlace[] {
  return copies.slice(0, TRACE_PLACES_MAX).map(({ queue, lane, entry }, i) => ({
    queueId: queue.info.id,
    lane,
    position: works[i]?.placed?.position ?? -1,
    places: entry.selection === null ? [] : placesIn(entry),
  }))
}
