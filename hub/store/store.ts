// The hub's store: what was sent once is stored once, in the queues it belongs to, before anyone is told so.
// An append and the dedup state it rests on are one transaction. In memory a stream and a queue have two numbers: *planned*
// (given out to batches on their way to the disk) and *durable*; when a group fails, plans fall back to what is durable.

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { assert } from '#protocol/base/mod.ts'
import type { Batch } from '#protocol/codec/mod.ts'
import { type Range, RangeSet } from '#protocol/session/mod.ts'
import { Batches } from './batches.ts'
import { Engine, type Key, type Table } from './engine.ts'
import { decodeEntry, type Entry, encodeEntry, placesOf, type Selection } from './entry.ts'
import { storeFault } from './faults.ts'
import { type Lease, Queue, type QueueInfo, type QueueRule } from './queue.ts'

const STORE_VERSION = 1
/** Where messages go that no queue wanted, and those a consumer rejected. */
export const QUEUE_UNROUTED = '$unrouted'
export const QUEUE_REJECTED = '$rejected'
const NO_RULE: QueueRule = { topics: [], where: {} }
/** Streams of one agent: each costs about 200 bytes of memory. */
const STREAMS_PER_AGENT_MAX = 4096

/** A producer stream's state at the hub. */
export type Stream = {
  readonly origin: string
  readonly name: string
  readonly epoch: number
  /** Last sequence number that is on disk. */
  durableSeq: number
  /** Last sequence number on its way there. */
  plannedSeq: number
}

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
  private readonly streamTable: Table
  private readonly originTable: Table
  private readonly queues = new Map<string, Queue>()
  private readonly streams = new Map<string, Stream>()
  private nextQueueId = 1

  private constructor(engine: Engine, cacheBytes: number) {
    this.engine = engine
    this.meta = engine.table('meta')
    this.queueTable = engine.table('queues')
    this.stateTable = engine.table('states')
    this.entryTable = engine.table('entries')
    this.streamTable = engine.table('streams')
    this.originTable = engine.table('origins')
    this.batches = new Batches(engine, cacheBytes)
    this.storeId = this.meta.get('id') ?? randomBytes(16)
    const version = this.meta.get('version')?.readUInt32LE(0) ?? STORE_VERSION
    if (version !== STORE_VERSION) {
      throw storeFault('STORE_VERSION', { why: `it is version ${version}, this hub reads ${STORE_VERSION}` })
    }
    for (const id of this.queueTable.keys()) this.openQueue(JSON.parse(String(this.queueTable.get(id))) as QueueInfo)
    this.unrouted = this.ownQueue(QUEUE_UNROUTED)
    this.rejected = this.ownQueue(QUEUE_REJECTED)
    engine.onAppendFailed = () => this.fallBack()
  }

  /** Opens or makes the store in `dataDir`. Faults: `STORE_IN_USE`, `STORE_VERSION`. */
  static async open(options: { dataDir: string; mapBytesMax: number; cacheBytes: number }): Promise<HubStore> {
    const engine = Engine.open(join(options.dataDir, 'store'), options.mapBytesMax)
    try {
      const store = new HubStore(engine, options.cacheBytes)
      const version = Buffer.alloc(4)
      version.writeUInt32LE(STORE_VERSION)
      await engine.append(() => {
        store.meta.put('id', store.storeId)
        store.meta.put('version', version)
      })
      for (const queue of store.queues.values()) if (queue.info.ephemeral) await store.forgetQueue(queue)
      return store
    } catch (error) {
      await engine.close()
      throw error
    }
  }

  close(): Promise<void> {
    return this.engine.close()
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
   * Faults: `QUEUE_CONFLICT` when it belongs to someone else.
   */
  async declareQueue(wanted: Omit<QueueInfo, 'id'>): Promise<Queue> {
    const known = this.queues.get(wanted.name)
    if (known !== undefined && known.info.owner !== wanted.owner) {
      throw storeFault('QUEUE_CONFLICT', { where: `queue ${wanted.name}` })
    }
    if (known !== undefined && JSON.stringify(known.info.rule) === JSON.stringify(wanted.rule)) return known
    const info: QueueInfo = { ...wanted, id: known?.info.id ?? this.nextQueueId++ }
    const bytes = Buffer.from(JSON.stringify(info))
    await this.engine.append(() => this.queueTable.put(info.id, bytes))
    if (known === undefined) this.openQueue(info)
    else Object.assign(known.info, info)
    this.onQueuesChanged()
    return this.queues.get(info.name) as Queue
  }

  /** Removes a queue and what waits in it. */
  async forgetQueue(queue: Queue): Promise<void> {
    const { id, name } = queue.info
    this.queues.delete(name)
    this.onQueuesChanged()
    const range = { from: [id, 0], to: [id + 1, 0], limit: 1000 }
    for (let found = this.entryTable.range(range); found.length > 0; found = this.entryTable.range(range)) {
      const released = found.map(({ key, value }) => ({
        key,
        release: this.batches.release(decodeEntry(0, value).batchSeq),
      }))
      await this.engine.maintain(() => {
        for (const { key, release } of released) {
          this.entryTable.remove(key)
          release()
        }
      })
    }
    await this.engine.maintain(() => {
      this.queueTable.remove(id)
      this.stateTable.remove(id)
    })
  }

  /** Keeps the certificate behind a key: what an agent signed is verifiable as long as it lies here, whatever key it has now. */
  rememberOrigin(origin: string, keyId: string, certificate: Buffer): void {
    if (this.originCertificate(origin, keyId)?.equals(certificate)) return
    void this.engine.maintain(() => this.originTable.put([origin, keyId], certificate))
  }

  originCertificate(origin: string, keyId: string): Buffer | null {
    return this.originTable.get([origin, keyId]) ?? null
  }

  /** The stream's state; a new one begins at 0. Faults: `STREAM_LIMIT`. */
  stream(origin: string, name: string, epoch: number): Stream {
    const id = `${origin}\0${name}\0${epoch}`
    const known = this.streams.get(id)
    if (known !== undefined) return known
    let streams = 0
    for (const stream of this.streams.values()) if (stream.origin === origin) streams++
    if (streams >= STREAMS_PER_AGENT_MAX) throw storeFault('STREAM_LIMIT', { where: `agent ${origin}` })
    const durableSeq = Number(this.streamTable.get([origin, name, epoch])?.readBigUInt64LE(0) ?? 0n)
    const stream: Stream = { origin, name, epoch, durableSeq, plannedSeq: durableSeq }
    this.streams.set(id, stream)
    return stream
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
      if (lastSeq > stream.durableSeq) await this.engine.append(() => {})
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
    await this.engine.append(() => {
      this.batches.put(batchSeq, batch.bytes, entries.length)
      entries.forEach((entry, i) => {
        const { queue } = placements[i] as Placement
        this.entryTable.put([queue.info.id, entry.position], encodeEntry(entry))
      })
      this.streamTable.put([stream.origin, stream.name, stream.epoch], encodeSeq(lastSeq))
    })
    stream.durableSeq = Math.max(stream.durableSeq, lastSeq)
    this.appendedMessages += batch.count
    this.batches.stored(batchSeq, batch.bytes, entries.length)
    for (const [i, entry] of entries.entries()) (placements[i] as Placement).queue.appended(entry)
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
    const [from, to] = range
    const { entry } = lease
    const moved = outcome === 'rejected' ? this.planRejected(queue, entry, range, reason) : null
    const finished = queue.settle(entry, from, to - from)
    const release = finished === null ? null : this.batches.release(entry.batchSeq)
    this.settledMessages += to - from
    await this.engine.maintain(() => {
      moved?.write()
      if (release !== null) {
        this.entryTable.remove([queue.info.id, entry.position])
        release()
      }
      if (queue.dirty) {
        queue.dirty = false
        this.stateTable.put(queue.info.id, encodeState(queue.settled))
      }
    })
    if (moved !== null) this.rejected.appended(moved.entry)
  }

  private planRejected(queue: Queue, entry: Entry, [from, to]: Range, reason: string) {
    const places = placesOf(entry, from - entry.position, to - from)
    const selection = places.flatMap((place) => [place, 1])
    const copy = newEntry(
      this.rejected.plan(places.length),
      places.length,
      entry.batchSeq,
      selection,
      `${queue.info.name}: ${reason}`.slice(0, 512),
    )
    const retain = this.batches.retain(entry.batchSeq)
    const key: Key = [this.rejected.info.id, copy.position]
    return {
      entry: copy,
      write: () => {
        retain()
        this.entryTable.put(key, encodeEntry(copy))
      },
    }
  }

  private ownQueue(name: string): Queue {
    return (
      this.queues.get(name) ??
      this.openQueue({ id: this.nextQueueId, name, rule: NO_RULE, owner: '$hub', ephemeral: false }, true)
    )
  }

  private openQueue(info: QueueInfo, make = false): Queue {
    this.nextQueueId = Math.max(this.nextQueueId, info.id + 1)
    if (make) {
      const bytes = Buffer.from(JSON.stringify(info))
      void this.engine.maintain(() => this.queueTable.put(info.id, bytes))
    }
    const settled = decodeState(this.stateTable.get(info.id))
    const load = (from: number, limit: number) =>
      this.entryTable
        .range({ from: [info.id, from], to: [info.id + 1, 0], limit })
        .map(({ key, value }) => decodeEntry((key as number[])[1] as number, value))
    const head = load(0, 1)[0]
    const last = this.entryTable.lastBelow([info.id, 0], [info.id, Number.MAX_SAFE_INTEGER])
    const lastEnd = last === undefined ? 0 : endOf(decodeEntry((last.key as number[])[1] as number, last.value))
    const tail = Math.max(lastEnd, settled.end)
    const queue: Queue = new Queue({
      info,
      settled,
      tail,
      head: head?.position ?? tail,
      load,
      onLeftover: (entry) => {
        const release = this.batches.release(entry.batchSeq)
        void this.engine.maintain(() => {
          this.entryTable.remove([info.id, entry.position])
          release()
        })
      },
    })
    this.queues.set(info.name, queue)
    return queue
  }

  /** A group could not be written: plans return to what is on disk. */
  private fallBack(): void {
    for (const stream of this.streams.values()) stream.plannedSeq = stream.durableSeq
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

function encodeSeq(seq: number): Buffer {
  const out = Buffer.allocUnsafe(8)
  out.writeBigUInt64LE(BigInt(seq))
  return out
}

function encodeState(settled: RangeSet): Buffer {
  return Buffer.from(JSON.stringify([settled.floor, settled.above]))
}

function decodeState(bytes: Buffer | undefined): RangeSet {
  if (bytes === undefined) return new RangeSet()
  const [floor, above] = JSON.parse(String(bytes)) as [number, Range[]]
  return new RangeSet(floor, above)
}
