// Writes gathered into groups: one transaction and one flush for all that came while the previous group was being
// flushed.
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

import { mkdirSync } from 'node:fs'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { Disk, type Table } from './disk.ts'
import { storeFault } from './faults.ts'
import { GROUP_BYTES_MAX, RETRY_MS } from './limits.ts'
import { lockFolder } from './lock.ts'
import { Reserve } from './reserve.ts'

export type Work = {
  /** Puts and removes. Called again when the transaction failed, if it is upkeep. */
  write(): void
  /** It is on disk: memory moves on. Called in the order the work was given, before promises resolve. */
  done(): void
}

type Group = {
  readonly works: Work[]
  bytes: number
  readonly promise: Promise<void>
  resolve(): void
  reject(fault: Fault): void
}

export class Engine {
  /** No append waiting or under way was written: forget what was only planned. */
  onAppendFailed: () => void = () => {}
  /** A transaction failed, or the bound was reached. */
  onFault: (fault: Fault) => void = () => {}
  /** The file is open again after a failure: what could not be read can be. */
  onReadable: () => void = () => {}
  /** Transactions written. */
  groups = 0
  private readonly disk: Disk
  private readonly reserve: Reserve
  private readonly unlock: () => void
  private readonly marks: Table
  /** Oldest first; only the last one still takes work. */
  private appends: Group[] = []
  private upkeep: Group[] = []
  private running: Promise<void> | null = null
  private scheduled = false
  /** The last transaction failed. */
  private recovering = false
  /** It held appends. */
  private suspect = false
  /** Set when the disk contradicts memory: appends are refused until the hub starts again. */
  private broken: Fault | null = null
  private closing = false
  private ended = false

  private constructor(disk: Disk, reserve: Reserve, unlock: () => void) {
    this.disk = disk
    this.reserve = reserve
    this.unlock = unlock
    this.marks = disk.table('marks')
  }

  /** Opens or makes the store's file in `folder`. Faults: `STORE_IN_USE`, `STORE_DAMAGED`, `STORE_FULL`, `STORE_IO`. */
  static open(folder: string, bytesMax: number): Engine {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const unlock = lockFolder(folder)
    let disk: Disk | null = null
    try {
      const reserve = new Reserve(folder)
      reserve.ensure()
      disk = new Disk(folder, bytesMax)
      return new Engine(disk, reserve, unlock)
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
   * Does `work` in the next group; resolves when it is on disk. `bytes` is what it takes there, at most; 0 for a
   * little that may use what is held back for upkeep. Faults: `STORE_FULL`, `STORE_IO`, `STORE_DAMAGED`,
   * `STORE_CLOSED`.
   */
  append(bytes: number, work: Work): Promise<void> {
    let group = this.appends.at(-1)
    if (group === undefined || group.bytes >= GROUP_BYTES_MAX) {
      group = newGroup()
      this.appends.push(group)
    }
    group.works.push(work)
    group.bytes += bytes
    this.schedule()
    return group.promise
  }

  /** As `append`, but repeated until it succeeds; resolves then, or never when the store is closed before. */
  maintain(work: Work): Promise<void> {
    let group = this.upkeep.at(-1)
    if (group === undefined) {
      group = newGroup()
      this.upkeep.push(group)
    }
    group.works.push(work)
    this.schedule()
    return group.promise
  }

  /** Bytes in use, and their bound. */
  usage(): { bytes: number; bytesMax: number } {
    return { bytes: this.disk.readable ? this.disk.usedBytes() : 0, bytesMax: this.disk.bytesMax }
  }

  /** Writes what waits, then closes. Upkeep that fails now is left: what it would have settled is delivered again. */
  async close(): Promise<void> {
    if (this.closing) return
    this.closing = true
    while (this.running !== null || this.scheduled) {
      if (this.running !== null) await this.running
      else await new Promise((resolve) => setImmediate(resolve))
    }
    this.ended = true
    this.refuse(storeFault('STORE_CLOSED', { retry: true }), null)
    try {
      await this.disk.close()
    } finally {
      this.unlock()
    }
  }

  private get idle(): boolean {
    return this.appends.length === 0 && this.upkeep.length === 0
  }

  private schedule(): void {
    if (this.ended) this.refuse(storeFault('STORE_CLOSED', { retry: true }), null)
    if (this.ended || this.scheduled || this.running !== null) return
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      this.running ??= this.run().finally(() => {
        this.running = null
        if (!this.idle) this.schedule()
      })
    })
  }

  private async run(): Promise<void> {
    while (!this.idle) {
      const next = this.recovering ? undefined : this.appends[0]
      if (next !== undefined && this.broken !== null) {
        this.refuse(this.broken, null)
        continue
      }
      if (next !== undefined && next.bytes > 0 && !this.disk.room(next.bytes)) {
        const { bytesMax } = this.disk
        const fault = storeFault('STORE_FULL', { why: 'store.mapBytesMax is reached', bytesMax, retry: true })
        this.onFault(fault)
        this.refuse(fault, null)
        continue
      }
      if (next !== undefined) this.appends.shift()
      const { upkeep } = this
      this.upkeep = []
      const written = await this.write(next ?? null, upkeep)
      if (!written && this.closing) {
        this.ended = true
        return
      }
    }
  }

  /** One transaction. True when it is on disk and memory has moved on. */
  private async write(group: Group | null, upkeep: readonly Group[]): Promise<boolean> {
    try {
      if (!this.disk.readable) await this.reopen()
      if (this.recovering) this.marks.put('again', Buffer.from([this.groups & 0xff]))
      else this.holdBack()
      for (const { works } of upkeep) for (const work of works) work.write()
      if (group !== null) for (const work of group.works) work.write()
      await this.disk.commit()
    } catch (error) {
      this.disk.discard()
      await this.failed(asFault(error), group, upkeep)
      return false
    }
    this.recovering = false
    this.suspect = false
    this.groups++
    for (const { works } of upkeep) for (const work of works) work.done()
    if (group !== null) for (const work of group.works) work.done()
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
    try {
      await this.reopen()
    } catch (error) {
      // The next transaction tries again; its work waits or is refused meanwhile.
      this.onFault(asFault(error))
    }
    this.refuse(this.broken ?? fault, group)
    if (group !== null || upkeep.length === 0 || this.closing) return
    if (fault.code === 'STORE_FULL' && this.reserve.held) this.reserve.giveUp()
    else await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
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
    }
    this.suspect = false
    this.onReadable()
  }

  /** Refuses the group's appends and all that wait behind it. */
  private refuse(fault: Fault, group: Group | null): void {
    const refused = group === null ? this.appends : [group, ...this.appends]
    this.appends = []
    this.onAppendFailed()
    for (const { reject } of refused) reject(fault)
  }
}

function newGroup(): Group {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  // Handled by whoever appended; a group nobody waits for must not end the process.
  promise.catch(() => undefined)
  return { works: [], bytes: 0, promise, resolve, reject }
}
