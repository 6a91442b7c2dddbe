// Writes gathered into groups: one transaction and one flush for all that came while the previous group was being
// flushed. Batches go to segment files, where writing begins at once; their group's transaction, which holds the small
// rows, begins when they are flushed. So a row never points at something that is not there. Small batches lie in their
// rows: a group of these alone has one flush, its transaction's.
//
// Two kinds of work. An *append* fails with its group and everything planned behind it: its sender keeps the data and
// is told. *Upkeep* (settlement, removal, declaration of the hub's own things) only ever refers to what is on disk
// already, so it is repeated, the same a second time as the first, until it succeeds. Appends are refused when the
// store reaches its bound or the disk is full; upkeep then still goes through, by the part of both that is held back
// for it.
//
// After a failed transaction the next one is upkeep alone: with appends behind it, it would fail again as long as they
// do. It writes something in any case: LMDB gives the pages that one transaction freed only to the next but one, so
// appends alone would go on failing on a full disk although there is space.
//
// A transaction that was reported as failed may be in the file all the same. Upkeep alone is then repeated, over itself. With
// appends in it nothing is written any more until the hub starts again: memory does not know of them, and what came now
// would get the places they have.

import { mkdirSync } from 'node:fs'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { Disk, type Table } from './disk.ts'
import { storeFault } from './faults.ts'
import {
  FREE_BYTES_MIN,
  GROUP_BYTES_MAX,
  INLINE_BYTES_MAX,
  mapReserveBytes,
  RETRY_MS,
  segmentBytesFor,
  UPKEEP_WAIT_MS,
} from './limits.ts'
import { lockFolder } from './lock.ts'
import { diskBytes, freeBytes, Reserve } from './reserve.ts'
import { type Blob, Segments } from './segments.ts'

export type Work = {
  /** Puts and removes. Called again when the transaction failed, if it is upkeep. */
  write(): void
  /** It is on disk: memory moves on. Called in the order the work was given, before promises resolve. */
  done(): void
}

/** Moments of a group's life, for tests that end the process at one of them. */
export type Step = 'blobs-written' | 'flushed' | 'committed' | 'compacting'

export type EngineOptions = {
  /** Appends are refused while the disk has less free. */
  readonly freeBytesMin?: number
  /** Of a segment file; by itself it follows from the bound and the disk. */
  readonly segmentBytes?: number | ((bytesMax: number) => number)
  /** The setting that says the bound, for who comes to it. */
  readonly bytesMaxSetting?: string
  readonly onStep?: (step: Step) => void
}

type Group = {
  readonly works: Work[]
  readonly blobs: Blob[]
  bytes: number
  blobBytes: number
  readonly promise: Promise<void>
  resolve(): void
  reject(fault: Fault): void
}

/**
 * One transaction: from the first write to the end of its flush. `bytes`: what its appends take, batches and rows, at
 * most.
 */
export type GroupWritten = { readonly ms: number; readonly works: number; readonly bytes: number }

export class Engine {
  /** Told of each transaction that is on the disk. */
  onGroup: (group: GroupWritten) => void = () => {}
  /** No append waiting or under way was written: forget what was only planned. */
  onAppendFailed: () => void = () => {}
  /** What works wrote is not on the disk: whatever they noted about it no longer holds. They may be called again. */
  onDiscarded: () => void = () => {}
  /** All works of a transaction have written: the last chance to put something that goes with them. */
  beforeCommit: () => void = () => {}
  /** A transaction is on the disk and memory has moved on. */
  onWritten: () => void = () => {}
  /** Nothing is written any more, and the files are about to be closed. */
  beforeClose: () => Promise<void> = () => Promise.resolve()
  /** A transaction failed, or the bound was reached. */
  onFault: (fault: Fault) => void = () => {}
  /** The file is open again after a failure: what could not be read can be. */
  onReadable: () => void = () => {}
  /** Transactions written. */
  groups = 0
  readonly segments: Segments
  readonly step: (step: Step) => void
  private readonly folder: string
  private readonly freeBytesMin: number
  private readonly bytesMaxSetting: string
  private readonly disk: Disk
  private readonly reserve: Reserve
  private readonly unlock: () => void
  private readonly marks: Table
  /** Oldest first; only the last one still takes work. */
  private appends: Group[] = []
  private upkeep: Group[] = []
  private running: Promise<void> | null = null
  private scheduled = false
  /** When upkeep that waits alone is written. */
  private upkeepDueMs = 0
  private upkeepTimer: NodeJS.Timeout | null = null
  /** The last transaction failed. */
  private recovering = false
  /** It held appends. */
  private suspect = false
  /** Set when the disk contradicts memory: appends are refused, and upkeep waits, until the hub starts again. */
  private broken: Fault | null = null
  private closing = false
  private ended = false
  /** It is the disk rather than the store's bound that appends come to first. */
  private diskBound = false
  private rowsDiskBound = false
  /** Bytes rows may still take. */
  private rowsAllowance = 0
  private readonly end = Promise.withResolvers<void>()

  private constructor(folder: string, disk: Disk, reserve: Reserve, unlock: () => void, options: EngineOptions) {
    this.folder = folder
    this.disk = disk
    this.reserve = reserve
    this.unlock = unlock
    this.freeBytesMin = options.freeBytesMin ?? FREE_BYTES_MIN
    this.bytesMaxSetting = options.bytesMaxSetting ?? 'store.mapBytesMax'
    this.step = options.onStep ?? (() => undefined)
    const bytesMax = Math.min(disk.bytesMax, diskBytes(folder))
    const { segmentBytes = segmentBytesFor } = options
    this.segments = new Segments(folder, typeof segmentBytes === 'number' ? segmentBytes : segmentBytes(bytesMax))
    this.segments.onStep = this.step
    this.segments.limit = () => this.refusal(this.diskBound)
    this.marks = disk.table('marks')
    this.look()
  }

  /** Opens or makes the store in `folder`. Faults: `STORE_IN_USE`, `STORE_DAMAGED`, `STORE_FULL`, `STORE_IO`. */
  static open(folder: string, bytesMax: number, options: EngineOptions = {}): Engine {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const unlock = lockFolder(folder)
    let disk: Disk | null = null
    try {
      const reserve = new Reserve(folder)
      reserve.ensure()
      disk = new Disk(folder, bytesMax)
      return new Engine(folder, disk, reserve, unlock, options)
    } catch (error) {
      // Nothing was written, so nothing can fail, and it is done at once.
      void disk?.close()
      unlock()
      throw asFault(error, folder)
    }
  }

  table(name: string): Table {
    return this.disk.table(name)
  }

  /** False for moments after a failed transaction; `onReadable` tells the end. Reads throw meanwhile. */
  get readable(): boolean {
    return this.disk.readable
  }

  /**
   * Does `work` in the next group; resolves when it and its batch are on disk. `bytes` is what its rows take there, a
   * batch that lies in one included, at most; 0 for a little that may use what is held back for upkeep. Faults:
   * `STORE_FULL`, `STORE_IO`, `STORE_DAMAGED`, `STORE_CLOSED`.
   */
  append(bytes: number, work: Work, blob: Blob | null = null): Promise<void> {
    let group = this.appends.at(-1)
    if (group === undefined || group.bytes + group.blobBytes >= GROUP_BYTES_MAX) {
      group = newGroup()
      this.appends.push(group)
    }
    group.works.push(work)
    group.bytes += bytes
    if (blob !== null) {
      group.blobs.push(blob)
      group.blobBytes += blob.recordBytes
    }
    this.schedule()
    return group.promise
  }

  /** As `append`, but repeated until it succeeds; resolves then, or never when the store is closed before. */
  maintain(work: Work): Promise<void> {
    let group = this.upkeep.at(-1)
    if (group === undefined) {
      this.upkeepDueMs = performance.now() + UPKEEP_WAIT_MS
      group = newGroup()
      this.upkeep.push(group)
    }
    group.works.push(work)
    this.schedule()
    return group.promise
  }

  /** Small ones; and any, while LMDB's file has the space that segments would need of a full disk. */
  belongsInRow(batchBytes: number): boolean {
    if (batchBytes <= INLINE_BYTES_MAX) return true
    return this.diskBound && !this.segments.hasRoom(batchBytes) && batchBytes < this.rowsAllowance / 2
  }

  /** Why batches of so many bytes more would not be taken now; `null` when they would. */
  refusalOfMore(bytes: number): Fault | null {
    if (this.ended || this.closing) return storeFault('STORE_CLOSED', { retry: true })
    if (this.broken !== null) return this.broken
    const { disk, segments } = this
    if (!disk.readable) return null
    this.look()
    if (segments.refusal !== null) return segments.refusal
    const limit = disk.bytesMax - mapReserveBytes(disk.bytesMax) - segments.reserveBytes
    if (bytes > limit - disk.usedBytes() - segments.usedBytes) return this.refusal(false)
    return bytes > this.freeOnDisk() - this.freeBytesMin + segments.spareBytes ? this.refusal(true) : null
  }

  /** Bytes in use, or not free yet, and their bound. */
  usage(): { bytes: number; bytesMax: number } {
    const { bytesMax } = this.disk
    return { bytes: (this.disk.readable ? this.disk.usedBytes() : 0) + this.segments.usedBytes, bytesMax }
  }

  /** Copies the rows, without free pages, to a new file. */
  copyRows(path: string): Promise<void> {
    return this.disk.copy(path)
  }

  /** Writes what waits, then closes. Upkeep that fails now is left: what it would have settled is delivered again. */
  async close(beforeUnlock: () => void = () => undefined): Promise<void> {
    if (this.closing) return
    this.closing = true
    if (this.upkeepTimer !== null) clearTimeout(this.upkeepTimer)
    this.upkeepTimer = null
    if (!this.idle) this.schedule()
    while (this.running !== null || this.scheduled) {
      if (this.running !== null) await this.running
      else await new Promise((resolve) => setImmediate(resolve))
    }
    this.ended = true
    this.end.resolve()
    this.refuse(storeFault('STORE_CLOSED', { retry: true }), null)
    try {
      await this.beforeClose()
      await this.segments.close()
      await this.disk.close()
      beforeUnlock()
    } finally {
      this.unlock()
    }
  }

  /** It is being closed: nothing new is begun. */
  get ending(): boolean {
    return this.closing
  }

  /** Resolves when nothing is written any more: what waits to be will not be. */
  get whenEnded(): Promise<void> {
    return this.end.promise
  }

  private get idle(): boolean {
    return this.appends.length === 0 && this.upkeep.length === 0
  }

  /** Something waits that is not to wait any longer. Upkeep alone waits a little, and mostly goes with an append. */
  private get due(): boolean {
    if (this.broken !== null) return this.appends.length > 0
    if (this.appends.length > 0 || this.recovering || this.closing) return !this.idle
    return this.upkeep.length > 0 && performance.now() >= this.upkeepDueMs
  }

  private schedule(): void {
    if (this.ended) this.refuse(storeFault('STORE_CLOSED', { retry: true }), null)
    if (this.ended || this.scheduled || this.running !== null) return
    if (!this.due) {
      if (this.upkeep.length > 0 && this.broken === null) this.waitForUpkeep()
      return
    }
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      this.running ??= this.run().finally(() => {
        this.running = null
        if (!this.idle) this.schedule()
      })
    })
  }

  private waitForUpkeep(): void {
    if (this.upkeepTimer !== null) return
    this.upkeepTimer = setTimeout(
      () => {
        this.upkeepTimer = null
        this.schedule()
      },
      Math.max(0, Math.ceil(this.upkeepDueMs - performance.now())),
    )
  }

  private async run(): Promise<void> {
    while (this.due) {
      if (this.broken !== null) return this.refuse(this.broken, null)
      const next = this.recovering ? undefined : this.appends[0]
      this.look()
      const full = next === undefined || next.bytes === 0 ? null : this.refusalFor(next.bytes)
      if (full !== null) {
        this.onFault(full)
        this.refuse(full, null)
        continue
      }
      if (next !== undefined) this.appends.shift()
      const group = next !== undefined && (await this.flushed(next)) ? next : null
      // Before the upkeep is taken: what comes while the file is opened belongs to this transaction as well, since its lanes'
      // states are put with it.
      if (!this.disk.readable) await this.reopenIfPossible()
      if (this.broken !== null) return this.refuse(this.broken, group)
      const { upkeep } = this
      this.upkeep = []
      if (group === null && upkeep.length === 0 && !this.recovering) continue
      const written = await this.write(group, upkeep)
      if (!written && this.closing) {
        this.ended = true
        return
      }
    }
  }

  /** Are the group's batches on the disk? Otherwise it was refused, with what was behind it. */
  private async flushed(group: Group): Promise<boolean> {
    if (group.blobs.length === 0) return true
    try {
      await this.segments.flush(group.blobs)
      return true
    } catch (error) {
      const fault = asFault(error)
      this.onFault(fault)
      this.appends.unshift(group)
      this.refuse(fault, null)
      return false
    }
  }

  /** What is left for appends: under the bound, with what upkeep may need left over, and on the disk. */
  private look(): void {
    const { disk, segments } = this
    if (!disk.readable) return
    const limit = disk.bytesMax - mapReserveBytes(disk.bytesMax) - segments.reserveBytes
    const free = this.freeOnDisk() - this.freeBytesMin
    let left = limit - disk.allBytes - segments.fileBytes
    // Pages that are free in LMDB's file: rows that take them need nothing of the disk.
    let freePages = 0
    if (left < 2 * GROUP_BYTES_MAX || free < 2 * GROUP_BYTES_MAX) {
      const used = disk.usedBytes()
      if (left < 2 * GROUP_BYTES_MAX) left = limit - used - segments.usedBytes
      freePages = Math.max(0, disk.allBytes - used - mapReserveBytes(disk.allBytes))
    }
    if (free < 0) segments.removeSpares()
    // What is written over takes nothing new.
    const onDisk = free + segments.spareBytes
    const rowsOnDisk = Math.max(0, free) + freePages
    segments.allowance = Math.max(0, Math.min(left, onDisk))
    segments.diskBytesLeft = Math.max(0, free)
    this.rowsAllowance = Math.max(0, Math.min(left, rowsOnDisk))
    this.diskBound = onDisk < left
    this.rowsDiskBound = rowsOnDisk < left
    segments.refusal = left > 0 && onDisk > 0 ? null : this.refusal(onDisk <= 0)
  }

  /** A folder that cannot be asked is no reason to stop: what cannot be written says so itself. */
  private freeOnDisk(): number {
    try {
      return freeBytes(this.folder)
    } catch (error) {
      this.onFault(asFault(error, this.folder))
      return Number.MAX_SAFE_INTEGER
    }
  }

  private refusalFor(bytes: number): Fault | null {
    return bytes > this.rowsAllowance ? this.refusal(this.rowsDiskBound) : null
  }

  private refusal(disk: boolean): Fault {
    const { bytesMax } = this.disk
    return disk
      ? storeFault('STORE_FULL', {
          where: this.folder,
          why: 'the disk is nearly full',
          freeBytesMin: this.freeBytesMin,
          retry: true,
        })
      : storeFault('STORE_FULL', { why: `${this.bytesMaxSetting} is reached`, bytesMax, retry: true })
  }

  /** One transaction. True when it is on disk and memory has moved on. */
  private async write(group: Group | null, upkeep: readonly Group[]): Promise<boolean> {
    const startMs = performance.now()
    try {
      if (this.recovering) this.marks.put('again', Buffer.from([this.groups & 0xff]))
      else this.holdBack()
      for (const { works } of upkeep) for (const work of works) work.write()
      if (group !== null) for (const work of group.works) work.write()
      this.beforeCommit()
      await this.disk.commit()
      this.step('committed')
    } catch (error) {
      this.disk.discard()
      this.onDiscarded()
      await this.failed(asFault(error), group, upkeep)
      return false
    }
    this.recovering = false
    this.suspect = false
    this.groups++
    for (const { works } of upkeep) for (const work of works) work.done()
    if (group !== null) for (const work of group.works) work.done()
    this.look()
    const works = upkeep.reduce((sum, { works }) => sum + works.length, group?.works.length ?? 0)
    this.onGroup({ ms: performance.now() - startMs, works, bytes: group === null ? 0 : group.bytes + group.blobBytes })
    this.onWritten()
    for (const { resolve } of upkeep) resolve()
    group?.resolve()
    return true
  }

  /** Makes the reserve again after it was given up. Without it the store works on, until the disk is full. */
  private holdBack(): void {
    try {
      this.reserve.ensure()
    } catch (error) {
      this.onFault(asFault(error))
    }
  }

  private async failed(fault: Fault, group: Group | null, upkeep: readonly Group[]): Promise<void> {
    this.upkeep = [...upkeep, ...this.upkeep]
    this.recovering = true
    if (group !== null) this.suspect = true
    this.onFault(fault)
    await this.reopenIfPossible()
    this.refuse(this.broken ?? fault, group)
    if (group !== null || upkeep.length === 0 || this.closing) return
    if (fault.code === 'STORE_FULL' && this.reserve.held) this.reserve.giveUp()
    else await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
  }

  private async reopenIfPossible(): Promise<void> {
    try {
      await this.reopen()
    } catch (error) {
      // The transaction fails for the same reason, and is tried again.
      this.onFault(asFault(error))
    }
  }

  /** Opens the file anew and looks whether the appends that failed are in it all the same. */
  private async reopen(): Promise<void> {
    const advanced = await this.disk.reopen()
    if (this.suspect && advanced) {
      this.broken = storeFault('STORE_DAMAGED', {
        why: 'a write that was reported as failed is in the file',
        todo: 'Check the disk, then start the hub again: it goes on with what the file holds',
        retry: true,
      })
      this.onFault(this.broken)
      this.segments.frozen = true
    }
    this.suspect = false
    this.onReadable()
  }

  /** Refuses the group's appends and all that wait behind it. */
  private refuse(fault: Fault, group: Group | null): void {
    const waiting = this.appends
    const refused = group === null ? waiting : [group, ...waiting]
    this.appends = []
    // Places a transaction held are not written over: whether it failed altogether is known only to the disk.
    for (const { blobs } of waiting.toReversed()) {
      for (const blob of blobs.toReversed()) this.segments.giveBack(blob, true)
    }
    for (const blob of group?.blobs ?? []) this.segments.giveBack(blob, false)
    this.onAppendFailed()
    for (const { reject } of refused) reject(fault)
  }
}

function newGroup(): Group {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  // Handled by whoever appended; a group nobody waits for must not end the process.
  promise.catch(() => undefined)
  return { works: [], blobs: [], bytes: 0, blobBytes: 0, promise, resolve, reject }
}
