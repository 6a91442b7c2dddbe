// The spool: streams of sealed batches on disk, bounded in bytes. See contract.ts for the promises.
//
// One transaction at a time. Appends and releases that arrive while one is being flushed form the next (group commit).
// Memory moves on only after the flush, so a failed transaction is undone by forgetting it: its appends and all those
// queued behind it are refused with the same fault, because their batches carry sequence numbers that would leave a
// gap.

import { randomInt } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { asFault, assert, type Fault } from '#protocol/base/mod.ts'
import type { Spool, SpoolEntry, SpooledBatch, SpoolStream, SpoolUsage } from './contract.ts'
import { spoolFault } from './faults.ts'
import { decodeRecord, encodeBatchKey, encodeRecord, type StreamRecord } from './keys.ts'
import * as limits from './limits.ts'
import { lockFolder } from './lock.ts'
import { Reserve } from './reserve.ts'
import { SpaceWaiters } from './space.ts'
import { type Changes, Store } from './store.ts'
import { Stream, type StreamHost } from './stream.ts'

export type SpoolOptions = {
  /** The spool's own folder; made when missing. */
  path: string
  /** Bound over all streams: batches with their overhead on disk. */
  bytesMax: number
  /** Bound on the file. Default: `mapBytesFor(bytesMax)`, which leaves room for fragmentation. */
  mapBytesMax?: number
}

type Append = {
  readonly stream: Stream
  readonly firstSeq: number
  readonly count: number
  readonly batches: SpoolEntry['batches']
  readonly cursor: string | null
  readonly charge: number
  readonly settle: Settle
}

type Release = {
  readonly stream: Stream
  readonly seq: number
  readonly storeId: string | null
  readonly settle: Settle
}
type Settle = { readonly resolve: () => void; readonly reject: (fault: Fault) => void }

/** What one transaction will have done, to be applied to memory once it is durable. */
type Group = {
  readonly appends: readonly Append[]
  readonly changes: Changes
  readonly records: ReadonlyMap<Stream, StreamRecord>
  /** Streams with nothing whole left below the sequence number asked for. */
  readonly finished: ReadonlyMap<Stream, number>
  readonly freed: { readonly bytes: number; readonly batches: number; readonly messages: number }
}

type Released = Pick<Group, 'finished' | 'freed'> & {
  readonly remove: Buffer[]
  readonly released: Map<Stream, number>
  /** Streams whose releases are by another store of the hub than the one before. */
  readonly to: Map<Stream, string>
}

/** Opens or makes a spool. Faults: `SPOOL_IN_USE`, `SPOOL_CORRUPT`, `SPOOL_DISK_FULL`, `SPOOL_IO`. */
export async function openSpool(options: SpoolOptions): Promise<Spool> {
  const folder = resolve(options.path)
  const mapBytesMax = options.mapBytesMax ?? limits.mapBytesFor(options.bytesMax)
  try {
    mkdirSync(folder, { recursive: true })
  } catch (error) {
    throw spoolFault('SPOOL_IO', { where: folder, why: (error as Error).message, cause: error })
  }
  const unlock = lockFolder(folder)
  let store: Store | null = null
  try {
    const reserve = new Reserve(folder)
    reserve.ensure()
    store = new Store({ folder, mapBytesMax })
    return new LmdbSpool({ folder, store, reserve, unlock, bytesMax: options.bytesMax })
  } catch (error) {
    await store?.close()
    unlock()
    throw asFault(error, folder)
  }
}

class LmdbSpool implements Spool, StreamHost {
  readonly #folder: string
  readonly #store: Store
  readonly #reserve: Reserve
  readonly #unlock: () => void
  readonly #bytesMax: number
  readonly #pageBytes: number
  readonly #streams = new Map<string, Stream>()
  readonly #space: SpaceWaiters
  #appends: Append[] = []
  #releases: Release[] = []
  #bytes = 0
  #batches = 0
  #messages = 0
  #running: Promise<void> | null = null
  /** LMDB gives the pages a transaction freed to the one after the next only: true while the last one freed batches. */
  #freedByLast = false
  /** Set when the disk contradicts memory: nothing is done any more until the agent starts again. */
  #broken: Fault | null = null
  #closed = false

  constructor(parts: { folder: string; store: Store; reserve: Reserve; unlock: () => void; bytesMax: number }) {
    this.#folder = parts.folder
    this.#store = parts.store
    this.#reserve = parts.reserve
    this.#unlock = parts.unlock
    this.#bytesMax = parts.bytesMax
    this.#pageBytes = this.#store.pageBytes
    this.#space = new SpaceWaiters((charge) => this.#bytes + charge <= this.#bytesMax)
    this.#load()
  }

  stream(name: string): SpoolStream {
    const known = this.#streams.get(name)
    if (known !== undefined) return known
    this.#refuseWhenUnusable()
    const nameBytes = Buffer.byteLength(name, 'utf8')
    if (nameBytes < 1 || nameBytes > limits.STREAM_NAME_BYTES_MAX) {
      throw spoolFault('SPOOL_STREAM_INVALID', { where: name.slice(0, 80), why: `the name has ${nameBytes} bytes` })
    }
    if (this.#streams.size >= limits.STREAMS_MAX) {
      throw spoolFault('SPOOL_STREAMS_MAX', { where: this.#folder, limit: limits.STREAMS_MAX })
    }
    const id = 1 + Math.max(0, ...Array.from(this.#streams.values(), (each) => each.id))
    // Written with the first append: until then nobody can hold a message of this epoch.
    const epoch = randomInt(1, limits.SEQ_MAX)
    const stream = new Stream(this, name, { id, epoch, nextSeq: 1, releasedSeq: 0, releasedTo: null, cursor: null })
    this.#streams.set(name, stream)
    return stream
  }

  streams(): readonly string[] {
    return [...this.#streams.keys()]
  }

  usage(): SpoolUsage {
    return { bytes: this.#bytes, bytesMax: this.#bytesMax, batches: this.#batches, messages: this.#messages }
  }

  async space(bytes: number, signal: AbortSignal): Promise<void> {
    this.#refuseWhenUnusable()
    const charge = this.#chargeOf(bytes)
    if (charge > this.#bytesMax) throw this.#tooLarge(bytes)
    return this.#space.wait(charge, signal)
  }

  async append(stream: Stream, entry: SpoolEntry): Promise<void> {
    this.#refuseWhenUnusable()
    this.#check(stream, entry)
    const { batches, cursor } = entry
    const charge = batches.reduce((sum, { bytes }) => sum + this.#chargeOf(bytes.length), 0)
    if (charge > this.#bytesMax) throw this.#tooLarge(charge)
    if (this.#bytes + charge > this.#bytesMax || this.#appends.length >= limits.QUEUE_APPENDS_MAX) {
      throw spoolFault('SPOOL_FULL', { where: this.#folder, retry: true, bytes: this.#bytes, bytesMax: this.#bytesMax })
    }
    const settled = Promise.withResolvers<void>()
    const count = batches.reduce((sum, batch) => sum + batch.count, 0)
    this.#appends.push({ stream, firstSeq: stream.nextSeq, count, batches, cursor, charge, settle: settled })
    stream.nextSeq += count
    this.#bytes += charge
    this.#start()
    return settled.promise
  }

  read(stream: Stream, options: { seq: number; bytesMax: number }): SpooledBatch[] {
    this.#refuseWhenUnusable()
    if (!this.#store.ready) return []
    const found: { key: Buffer; firstSeq: number; count: number }[] = []
    let total = 0
    for (const { key, batch } of this.#store.keys(stream.id, Math.max(options.seq, 1))) {
      // On disk, but memory has not moved on yet: whoever sent it could be acknowledged before it can be released.
      if (batch.firstSeq >= stream.durable.nextSeq) break
      if (found.length > 0 && total + batch.bytes > options.bytesMax) break
      total += batch.bytes
      found.push({ key, firstSeq: batch.firstSeq, count: batch.count })
    }
    return found.map(({ key, firstSeq, count }) => ({ firstSeq, count, bytes: this.#store.batch(key) }))
  }

  async release(stream: Stream, seq: number, storeId: string | null): Promise<void> {
    this.#refuseWhenUnusable()
    const { releasedSeq, releasedTo } = stream.durable
    // Nothing to forget; but that another store has it now is worth knowing. Of a stream without a release nothing is.
    if (seq < releasedSeq || seq === 0) return
    if (seq === releasedSeq && (storeId === null || storeId === releasedTo)) return
    if (!Number.isSafeInteger(seq) || seq >= stream.durable.nextSeq) {
      const why = `${seq} cannot be released, the last stored is ${stream.durable.nextSeq - 1}`
      throw spoolFault('SPOOL_STREAM_INVALID', { where: stream.name, why })
    }
    const settled = Promise.withResolvers<void>()
    this.#releases.push({ stream, seq, storeId, settle: settled })
    this.#start()
    return settled.promise
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#space.refuse(spoolFault('SPOOL_CLOSED', { where: this.#folder }))
    try {
      await this.#running
      await this.#store.close()
    } finally {
      this.#unlock()
    }
  }

  // ---- the one transaction at a time ----

  #start(): void {
    this.#running ??= this.#run()
  }

  async #run(): Promise<void> {
    // Let the appends of this turn join the first transaction.
    await Promise.resolve()
    while (this.#appends.length + this.#releases.length > 0) {
      let group: Group | null = null
      try {
        if (this.#broken !== null) throw this.#broken
        this.#reserve.ensure()
        group = this.#take()
        if (group.changes.records.length === 0) {
          this.#apply(group)
          continue
        }
        if (group.appends.length > 0 && !this.#store.room(group.changes.neededBytes)) {
          throw spoolFault('SPOOL_DISK_FULL', {
            where: this.#folder,
            retry: true,
            why: 'the file has reached its bound',
          })
        }
        await this.#store.commit(group.changes)
      } catch (error) {
        await this.#failed(group, asFault(error, this.#folder))
        continue
      }
      this.#apply(group)
      this.#space.wake()
    }
    // In the same step as the test above: what is queued later must start a new run.
    this.#running = null
  }

  /** Takes what fits into one transaction. Appends leave the queue; releases stay until they are durable. */
  #take(): Group {
    // First, because reading keys may fail: the appends must then still be in their queue.
    const { remove, released, to, finished, freed } = this.#takeReleases()
    const appends = this.#takeAppends()
    const put: Changes['put'][number][] = []
    const fields = new Map<Stream, Partial<StreamRecord>>()
    let neededBytes = 0
    for (const each of appends) {
      let firstSeq = each.firstSeq
      for (const { bytes, count } of each.batches) {
        put.push({ key: encodeBatchKey(each.stream.id, firstSeq, count, bytes.length), bytes })
        firstSeq += count
      }
      fields.set(each.stream, { nextSeq: each.firstSeq + each.count, cursor: each.cursor })
      neededBytes += each.charge
    }
    for (const [stream, releasedSeq] of released) fields.set(stream, { ...fields.get(stream), releasedSeq })
    for (const [stream, releasedTo] of to) fields.set(stream, { ...fields.get(stream), releasedTo })
    const records = new Map<Stream, StreamRecord>()
    const written: Changes['records'][number][] = []
    for (const [stream, changed] of fields) {
      const { record, bytes } = stream.recordWith(changed)
      records.set(stream, record)
      written.push({ name: stream.name, record: bytes })
      neededBytes += bytes.length + this.#pageBytes
    }
    // A few pages more for the branches above and the free list.
    neededBytes += 16 * this.#pageBytes
    return { appends, records, finished, freed, changes: { put, remove, records: written, neededBytes } }
  }

  #takeAppends(): Append[] {
    let bytes = 0
    let taken = 0
    for (const each of this.#appends) {
      if (taken >= limits.GROUP_APPENDS_MAX || bytes >= limits.GROUP_BYTES_MAX) break
      taken += 1
      bytes += each.charge
    }
    return this.#appends.splice(0, taken)
  }

  /** The next slice of what is to be released, whole batches only. */
  #takeReleases(): Released {
    const target = new Map<Stream, number>()
    const to = new Map<Stream, string>()
    for (const { stream, seq, storeId } of this.#releases) {
      target.set(stream, Math.max(seq, target.get(stream) ?? 0))
      if (storeId !== null && storeId !== stream.durable.releasedTo) to.set(stream, storeId)
    }
    const remove: Buffer[] = []
    const released = new Map<Stream, number>()
    const finished = new Map<Stream, number>()
    let bytes = 0
    let charge = 0
    let messages = 0
    for (const [stream, seq] of target) {
      let more = false
      for (const { key, batch } of this.#store.keys(stream.id, stream.durable.releasedSeq + 1)) {
        const lastSeq = batch.firstSeq + batch.count - 1
        if (lastSeq > seq) break
        more = remove.length >= limits.RELEASE_KEYS_MAX || bytes >= limits.RELEASE_BYTES_MAX
        if (more) break
        remove.push(key)
        released.set(stream, lastSeq)
        bytes += batch.bytes
        charge += this.#chargeOf(batch.bytes)
        messages += batch.count
      }
      if (!more) finished.set(stream, seq)
    }
    return { remove, released, to, finished, freed: { bytes: charge, batches: remove.length, messages } }
  }

  #apply(group: Group): void {
    for (const [stream, record] of group.records) stream.durable = record
    const grown = new Set<Stream>()
    for (const each of group.appends) {
      this.#batches += each.batches.length
      this.#messages += each.count
      if (each.batches.length > 0) grown.add(each.stream)
      each.settle.resolve()
    }
    this.#freedByLast = group.freed.batches > 0
    this.#bytes -= group.freed.bytes
    this.#batches -= group.freed.batches
    this.#messages -= group.freed.messages
    this.#releases = this.#releases.filter((each) => {
      if ((group.finished.get(each.stream) ?? 0) < each.seq && each.stream.durable.releasedSeq < each.seq) return true
      each.settle.resolve()
      return false
    })
    for (const stream of grown) stream.announce()
  }

  /** Undoes a failed transaction in memory and makes the file usable again. */
  async #failed(group: Group | null, fault: Fault): Promise<void> {
    if (group !== null && group.appends.length > 0 && (await this.#advanced(fault))) {
      this.#appends.unshift(...group.appends)
      return
    }
    const refused = [...(group?.appends ?? []), ...this.#appends]
    this.#appends = []
    for (const each of refused) {
      this.#bytes -= each.charge
      each.stream.nextSeq = each.stream.durable.nextSeq
    }
    if (this.#broken === null) this.#broken = await this.#reopen()
    const told = this.#broken ?? fault
    // A release on a full disk is tried again alone, then with the reserve given up; then its caller is told.
    const again = told.code === 'SPOOL_DISK_FULL' && (refused.length > 0 || this.#reserve.held)
    if (told.code === 'SPOOL_DISK_FULL' && refused.length === 0 && this.#reserve.held) this.#reserve.giveUp()
    if (!again) {
      const given = this.#releases
      this.#releases = []
      for (const each of given) each.settle.reject(told)
    }
    for (const each of refused) each.settle.reject(told)
    this.#space.wake()
    // Reading gave nothing while the file was closed.
    for (const stream of this.#streams.values()) stream.announce()
  }

  /**
   * On a full disk, appends fail although batches were released just before, and as nothing else is ever committed they
   * would go on failing. An empty transaction in between makes the released pages usable: true when it is worth another
   * try.
   */
  async #advanced(fault: Fault): Promise<boolean> {
    if (fault.code !== 'SPOOL_DISK_FULL' || !this.#freedByLast || this.#broken !== null) return false
    this.#freedByLast = false
    this.#broken = await this.#reopen()
    const [stream] = this.#streams.values()
    if (stream === undefined || this.#broken !== null) return false
    const records = [{ name: stream.name, record: encodeRecord(stream.durable) }]
    try {
      await this.#store.commit({ put: [], remove: [], records, neededBytes: 16 * this.#pageBytes })
      return true
    } catch (error) {
      // The appends are refused with the fault they met; this one only says the same again.
      if (asFault(error).code !== 'SPOOL_DISK_FULL') throw error
      return false
    }
  }

  /** Opens the file anew and compares it with memory. Returns a fault when the spool must not be used any more. */
  async #reopen(): Promise<Fault | null> {
    try {
      await this.#store.reopen()
      const records = this.#store.records()
      for (const stream of this.#streams.values()) {
        const onDisk = records.get(stream.name)
        const expected = encodeRecord(stream.durable)
        const untouched = onDisk === undefined && stream.durable.nextSeq === 1 && stream.durable.cursor === null
        if (untouched) continue
        // Written anew, because it may lie there in the form of an earlier version.
        if (onDisk !== undefined && encodeRecord(decodeRecord(onDisk, this.#folder)).equals(expected)) continue
        const why = `after a failed write, stream ${stream.name} on disk is not what was acknowledged`
        return spoolFault('SPOOL_IO', { where: this.#folder, why })
      }
      return null
    } catch (error) {
      // The next use opens the file; until then the fault that caused all this is the one to tell.
      return asFault(error).code === 'SPOOL_CORRUPT' ? asFault(error) : null
    }
  }

  // ---- loading and checking ----

  /** Reads the records, counts the batches and proves that every stream is without a gap from released to next. */
  #load(): void {
    for (const [name, bytes] of this.#store.records()) {
      const where = `${this.#folder}, stream ${name}`
      const stream = new Stream(this, name, decodeRecord(bytes, where))
      let expected = stream.durable.releasedSeq + 1
      for (const { batch } of this.#store.keys(stream.id, 0)) {
        if (batch.firstSeq !== expected || batch.count < 1) {
          throw spoolFault('SPOOL_CORRUPT', {
            where,
            why: `message ${expected} should follow, the next is ${batch.firstSeq}`,
          })
        }
        expected += batch.count
        this.#bytes += this.#chargeOf(batch.bytes)
        this.#batches += 1
        this.#messages += batch.count
      }
      if (expected !== stream.durable.nextSeq) {
        throw spoolFault('SPOOL_CORRUPT', {
          where,
          why: `batches end before ${expected}, the record says ${stream.durable.nextSeq}`,
        })
      }
      this.#streams.set(name, stream)
    }
  }

  /** What a batch of this size takes on the disk. */
  #chargeOf(bytes: number): number {
    if (bytes <= limits.INLINE_BYTES_MAX) return bytes + limits.BATCH_OVERHEAD_BYTES
    const pages = Math.ceil((bytes + limits.PAGE_HEADER_BYTES) / this.#pageBytes)
    return pages * this.#pageBytes + limits.BATCH_OVERHEAD_BYTES
  }

  #check(stream: Stream, { batches, cursor }: SpoolEntry): void {
    const refuse = (why: string) => spoolFault('SPOOL_ENTRY_INVALID', { where: stream.name, why })
    let total = 0
    for (const { bytes, count } of batches) {
      if (!Number.isInteger(count) || count < 1 || count > limits.MESSAGES_PER_BATCH_MAX)
        throw refuse(`${count} messages`)
      if (bytes.length > limits.BATCH_BYTES_MAX) throw this.#tooLarge(bytes.length)
      if (bytes.length === 0) throw refuse('a batch without bytes')
      total += count
    }
    if (cursor !== null && Buffer.byteLength(cursor, 'utf8') > limits.CURSOR_BYTES_MAX) {
      throw refuse(`a cursor above ${limits.CURSOR_BYTES_MAX} bytes`)
    }
    assert(stream.nextSeq + total <= limits.SEQ_MAX, 'sequence numbers of a stream are never used up')
  }

  #tooLarge(bytes: number): Fault {
    return spoolFault('SPOOL_BATCH_TOO_LARGE', { where: this.#folder, batchBytes: bytes, bytesMax: this.#bytesMax })
  }

  #refuseWhenUnusable(): void {
    if (this.#closed) throw spoolFault('SPOOL_CLOSED', { where: this.#folder })
    if (this.#broken !== null) throw this.#broken
  }
}
