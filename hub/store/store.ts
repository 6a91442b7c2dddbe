// The hub's store: what was sent once is stored once, in the queues it belongs to, before anyone is told so. An append
// and the dedup state it rests on are one transaction. In memory a stream and a queue have two numbers: *planned*
// (given out to batches on their way to the disk) and *durable*; when a group fails, plans fall back to what is
// durable.

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { assert, type Fault } from '#protocol/base/mod.ts'
import type { Batch } from '#protocol/codec/mod.ts'
import { type Range, RangeSet } from '#protocol/session/mod.ts'
import { Batches } from './batches.ts'
import type { Key, Table } from './disk.ts'
import { Engine } from './engine.ts'
import { decodeEntry, type Entry, encodeEntry, placesOf, type Selection, selectionOf } from './entry.ts'
import { storeFault } from './faults.ts'
import {
  APPEND_OVERHEAD_BYTES,
  ENTRY_OVERHEAD_BYTES,
  FORGET_ENTRIES,
  QUEUE_NAME_BYTES_MAX,
  REASON_LENGTH_MAX,
  SUBSCRIPTIONS_PER_AGENT_MAX,
} from './limits.ts'
import { type Lease, Queue, type QueueInfo, type QueueRule } from './queue.ts'
import { type Stream, Streams } from './streams.ts'

const STORE_VERSION = 1
/** Where messages go that no queue wanted, and those a consumer rejected. */
export const QUEUE_UNROUTED = '$unrouted'
export const QUEUE_REJECTED = '$rejected'
const OWNER_HUB = '$hub'
const NO_RULE: QueueRule = { topics: [], where: {} }
/** Messages of a batch that go to a queue. */
export type Placement = { readonly queue: Queue; readonly selection: Selection; readonly count: number }

export class HubStore {
  /** 16 bytes made with the store: a restored or new store is another hub to its agents. */
  readonly storeId: Buffer
  readonly unrouted: Queue
  readonly rejected: Queue
  /** Called when a queue was made or forgotten. */
  onQueuesChanged: () => void = () => {}
  appendedMessages = 0
  duplicateMessages = 0
  settledMessages = 0
  private readonly engine: Engine
  private readonly batches: Batches
  private readonly meta: Table
  private readonly queueTable: Table
  private readonly stateTable: Table
  private readonly entryTable: Table
  private readonly originTable: Table
  private readonly queues = new Map<string, Queue>()
  /** Declarations under way, by name: they take turns. */
  private readonly declaring = new Map<string, Promise<Queue>>()
  private readonly streams: Streams
  /** Queues of an earlier run that are to be removed. */
  private readonly leftovers: Queue[] = []
  private nextQueueId = 1

  private constructor(engine: Engine, cacheBytes: number) {
    this.engine = engine
    this.meta = engine.table('meta')
    const version = this.meta.get('version')?.readUInt32LE(0) ?? STORE_VERSION
    if (version !== STORE_VERSION) {
      throw storeFault('STORE_VERSION', { why: `it is version ${version}, this hub reads ${STORE_VERSION}` })
    }
    this.storeId = this.meta.get('id') ?? randomBytes(16)
    this.queueTable = engine.table('queues')
    this.stateTable = engine.table('states')
    this.entryTable = engine.table('entries')
    this.streams = new Streams(engine.table('streams'))
    this.originTable = engine.table('origins')
    this.batches = new Batches(engine, cacheBytes)
    for (const id of this.queueTable.keys()) {
      const info = JSON.parse(String(this.queueTable.get(id))) as QueueInfo
      // What ended with its session, or was being forgotten: another queue may bear its name by now.
      if (info.ephemeral) this.leftovers.push(this.makeQueue(info))
      else this.openQueue(info)
    }
    this.unrouted = this.ownQueue(QUEUE_UNROUTED)
    this.rejected = this.ownQueue(QUEUE_REJECTED)
    engine.onAppendFailed = () => this.fallBack()
    engine.onReadable = () => {
      for (const queue of this.queues.values()) queue.onReady()
    }
  }

  /**
   * Opens or makes the store in `dataDir`. Faults: `STORE_IN_USE`, `STORE_VERSION`, `STORE_DAMAGED`, `STORE_FULL`,
   * `STORE_IO`.
   */
  static async open(options: {
    dataDir: string
    mapBytesMax: number
    cacheBytes: number
    /** Told when something could not be written, for the log. */
    onFault?: (fault: Fault) => void
  }): Promise<HubStore> {
    const engine = Engine.open(join(options.dataDir, 'store'), options.mapBytesMax)
    if (options.onFault !== undefined) engine.onFault = options.onFault
    try {
      const store = new HubStore(engine, options.cacheBytes)
      await store.sign()
      for (const queue of store.leftovers.splice(0)) await store.forgetQueue(queue)
      return store
    } catch (error) {
      await engine.close()
      throw error
    }
  }

  close(): Promise<void> {
    return this.engine.close()
  }

  private async sign(): Promise<void> {
    if (this.meta.get('id') !== undefined) return
    const version = Buffer.alloc(4)
    version.writeUInt32LE(STORE_VERSION)
    const write = () => {
      this.meta.put('id', this.storeId)
      this.meta.put('version', version)
    }
    await this.engine.append(0, { write, done: nothing })
  }

  usage(): { bytes: number; bytesMax: number; groups: number } {
    return { ...this.engine.usage(), groups: this.engine.groups }
  }

  queue(name: string): Queue | undefined {
    return this.queues.get(name)
  }

  allQueues(): Iterable<Queue> {
    return this.queues.values()
  }

  /**
   * The queue of that name, made when new; an existing one takes the rule given. Resolves when it is durable.
   * Faults: `QUEUE_CONFLICT` when it belongs to someone else or is ephemeral and shall not be (or the other way round),
   * `QUEUE_LIMIT`, `QUEUE_NAME_INVALID`.
   */
  async declareQueue(wanted: Omit<QueueInfo, 'id'>): Promise<Queue> {
    const before = this.declaring.get(wanted.name)
    // The outcome of the one before is its caller's business.
    const turn = before === undefined ? this.declare(wanted) : before.catch(nothing).then(() => this.declare(wanted))
    this.declaring.set(wanted.name, turn)
    try {
      return await turn
    } finally {
      if (this.declaring.get(wanted.name) === turn) this.declaring.delete(wanted.name)
    }
  }

  private async declare(wanted: Omit<QueueInfo, 'id'>): Promise<Queue> {
    const { name, owner, ephemeral, rule } = wanted
    const known = this.queues.get(name)
    const where = `queue ${name.slice(0, QUEUE_NAME_BYTES_MAX)}`
    if (known !== undefined && (known.info.owner !== owner || known.info.ephemeral !== ephemeral)) {
      throw storeFault('QUEUE_CONFLICT', { where })
    }
    if (known !== undefined && JSON.stringify(known.info.rule) === JSON.stringify(rule)) return known
    if (known === undefined) this.mayDeclare(wanted, where)
    const info: QueueInfo = { ...wanted, id: known?.info.id ?? this.nextQueueId++ }
    const bytes = Buffer.from(JSON.stringify(info))
    // Upkeep: a full store shall not keep consumers from emptying it.
    await this.engine.maintain({ write: () => this.queueTable.put(info.id, bytes), done: nothing })
    if (known === undefined) this.openQueue(info)
    else Object.assign(known.info, info)
    this.onQueuesChanged()
    return this.queues.get(name) as Queue
  }

  private mayDeclare({ name, owner }: Omit<QueueInfo, 'id'>, where: string): void {
    const nameBytes = Buffer.byteLength(name)
    if (nameBytes === 0 || nameBytes > QUEUE_NAME_BYTES_MAX) {
      throw storeFault('QUEUE_NAME_INVALID', { where, why: `it has ${nameBytes} bytes` })
    }
    if (owner === null) return
    let owned = 0
    for (const { info } of this.queues.values()) if (info.owner === owner) owned++
    if (owned >= SUBSCRIPTIONS_PER_AGENT_MAX) throw storeFault('QUEUE_LIMIT', { where: `agent ${owner}` })
  }

  /** Removes a queue and what waits in it. A hub killed in between goes on when it starts. */
  async forgetQueue(queue: Queue): Promise<void> {
    if (queue.forgotten) return
    const { id, name } = queue.info
    queue.forgotten = true
    if (this.queues.get(name) === queue) this.queues.delete(name)
    this.onQueuesChanged()
    const doomed = Buffer.from(JSON.stringify({ ...queue.info, ephemeral: true }))
    await this.engine.maintain({ write: () => this.queueTable.put(id, doomed), done: nothing })
    // What was settled in it is on disk now. What was on its way to it is when this is, or was refused with this.
    await this.engine.append(0, { write: nothing, done: nothing }).catch(nothing)
    const range = { from: [id, 0], to: [id + 1, 0], limit: FORGET_ENTRIES }
    for (let found = this.entryTable.range(range); found.length > 0; found = this.entryTable.range(range)) {
      const released = found.map(({ key, value }) => ({
        key,
        release: this.batches.release(decodeEntry(0, value).batchSeq),
      }))
      await this.engine.maintain({
        write: () => {
          for (const { key, release } of released) {
            this.entryTable.remove(key)
            release.write()
          }
        },
        done: () => {
          for (const { release } of released) release.done()
        },
      })
    }
    const write = () => {
      this.queueTable.remove(id)
      this.stateTable.remove(id)
    }
    await this.engine.maintain({ write, done: nothing })
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

  /** A session does not use it any more. */
  closeStream(stream: Stream): void {
    this.streams.close(stream)
  }

  /**
   * Stores a batch, its queue entries and its stream's last number in one transaction; resolves when they are on disk.
   * A batch the stream has already is a duplicate: it resolves, when the first copy is on disk, and has no effect.
   * Faults: `STREAM_GAP`, `STREAM_OVERLAP`, `STORE_FULL`.
   */
  async append(stream: Stream, batch: Batch, placements: readonly Placement[]): Promise<void> {
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
    stream.plannedSeq = lastSeq
    const batchSeq = this.batches.nextSeq++
    const entries = placements.map(({ queue, selection, count }) =>
      newEntry(queue.plan(count), count, batchSeq, selection, queue === this.unrouted ? 'NO_ROUTE' : ''),
    )
    const rows = entries.map(encodeEntry)
    const bytes = rows.reduce((sum, row) => sum + row.length + ENTRY_OVERHEAD_BYTES, batch.bytes.length)
    await this.engine.append(bytes + APPEND_OVERHEAD_BYTES, {
      write: () => {
        this.batches.put(batchSeq, batch.bytes, entries.length)
        for (const [i, { position }] of entries.entries()) {
          this.entryTable.put([(placements[i] as Placement).queue.info.id, position], rows[i] as Buffer)
        }
        this.streams.put(stream, lastSeq)
      },
      done: () => {
        this.streams.stored(stream, lastSeq)
        this.appendedMessages += batch.count
        this.batches.stored(batchSeq, batch.bytes)
        for (const [i, entry] of entries.entries()) (placements[i] as Placement).queue.appended(entry)
      },
    })
  }

  /** The sealed bytes of a stored batch. Faults: `STORE_DAMAGED`. */
  batchBytes(seq: number): Buffer {
    return this.batches.get(seq)
  }

  /**
   * Settles messages of a lease. Rejected ones stay in the hub's queue of rejected messages with the reason.
   * Resolves when that is on disk.
   */
  async settle(
    queue: Queue,
    lease: Lease,
    range: Range,
    outcome: 'processed' | 'rejected',
    reason: string,
  ): Promise<void> {
    // Whoever forgot the queue gave up what was in it, and the batches are released with it.
    if (queue.forgotten) return
    const [from, to] = range
    const { entry } = lease
    const moved = outcome === 'rejected' ? this.planRejected(queue, entry, range, reason) : null
    const finished = queue.settle(entry, from, to - from)
    const release = finished === null ? null : this.batches.release(entry.batchSeq)
    await this.engine.maintain({
      write: () => {
        moved?.write()
        if (release !== null) {
          this.entryTable.remove([queue.info.id, entry.position])
          release.write()
        }
        if (queue.dirty) {
          queue.dirty = false
          this.stateTable.put(queue.info.id, encodeState(queue.settled))
        }
      },
      done: () => {
        this.settledMessages += to - from
        moved?.done()
        release?.done()
      },
    })
  }

  private planRejected(queue: Queue, entry: Entry, [from, to]: Range, reason: string) {
    const places = placesOf(entry, from - entry.position, to - from)
    const copy = newEntry(
      this.rejected.plan(places.length),
      places.length,
      entry.batchSeq,
      selectionOf(places),
      `${queue.info.name}: ${reason}`.slice(0, REASON_LENGTH_MAX),
    )
    const retain = this.batches.retain(entry.batchSeq)
    const key: Key = [this.rejected.info.id, copy.position]
    return {
      write: () => {
        retain.write()
        this.entryTable.put(key, encodeEntry(copy))
      },
      done: () => {
        retain.done()
        this.rejected.appended(copy)
      },
    }
  }

  private ownQueue(name: string): Queue {
    return (
      this.queues.get(name) ??
      this.openQueue({ id: this.nextQueueId, name, rule: NO_RULE, owner: OWNER_HUB, ephemeral: false }, true)
    )
  }

  private openQueue(info: QueueInfo, make = false): Queue {
    if (make) {
      const bytes = Buffer.from(JSON.stringify(info))
      void this.engine.maintain({ write: () => this.queueTable.put(info.id, bytes), done: nothing })
    }
    const queue = this.makeQueue(info)
    this.queues.set(info.name, queue)
    return queue
  }

  /** A queue as the disk has it. */
  private makeQueue(info: QueueInfo): Queue {
    this.nextQueueId = Math.max(this.nextQueueId, info.id + 1)
    const settled = decodeState(this.stateTable.get(info.id))
    const load = (from: number, limit: number) =>
      this.entryTable
        .range({ from: [info.id, from], to: [info.id + 1, 0], limit })
        .map(({ key, value }) => readEntry(info, key, value))
    const head = load(0, 1)[0]
    const last = this.entryTable.lastIn([info.id, 0], [info.id + 1, 0])
    const lastEnd = last === undefined ? 0 : endOf(readEntry(info, last.key, last.value))
    const tail = Math.max(lastEnd, settled.end)
    const queue: Queue = new Queue({
      info,
      settled,
      tail,
      head: head?.position ?? tail,
      load: (from, limit) => (this.engine.readable ? load(from, limit) : null),
      onLeftover: (entry) => {
        const release = this.batches.release(entry.batchSeq)
        const write = () => {
          this.entryTable.remove([info.id, entry.position])
          release.write()
        }
        void this.engine.maintain({ write, done: release.done })
      },
    })
    return queue
  }

  /** A group could not be written: plans return to what is on disk. */
  private fallBack(): void {
    this.streams.forgetPlans()
    for (const queue of this.queues.values()) {
      queue.dirty = true
      // What goes to the queue of rejected messages is upkeep, which is repeated: its plans stand.
      if (queue !== this.rejected) queue.forgetPlans()
    }
  }
}

function newEntry(position: number, count: number, batchSeq: number, selection: Selection, reason: string): Entry {
  return { position, count, batchSeq, selection, reason, remaining: count, attempts: 0 }
}

function endOf(entry: Entry): number {
  return entry.position + entry.count
}

function readEntry({ name }: QueueInfo, key: Key, value: Buffer): Entry {
  const position = (key as number[])[1] as number
  try {
    return decodeEntry(position, value)
  } catch (cause) {
    throw storeFault('STORE_DAMAGED', { where: `queue ${name}, position ${position}`, cause })
  }
}

function nothing(): void {
  // Nothing to write, or nothing to do when it is written.
}

function encodeState(settled: RangeSet): Buffer {
  return Buffer.from(JSON.stringify([settled.floor, settled.above]))
}

function decodeState(bytes: Buffer | undefined): RangeSet {
  if (bytes === undefined) return new RangeSet()
  const [floor, above] = JSON.parse(String(bytes)) as [number, Range[]]
  return new RangeSet(floor, above)
}
