// What a channel must still know after a crash, as a log of its changes in a folder of its own.
//
// A state names a file, how far it goes in it, and the checksum there. `save` appends what changed and flushes it, so that every
// earlier state is a beginning of the same file and still there: after a crash between `save` and the commit the channel opens
// with the former, and what was written behind it is written over. When a file has grown to twice of what is kept, `save` writes
// that into a new file under the next number; the old one goes when a state of the new one is committed.
//
// Time: a wall clock may jump, a monotonic one ends with the process. `ageMs` grows with the monotonic clock, and by what the wall
// clock says for the time between two runs (never backwards). So a wrong clock can only matter across a restart, and then only
// makes waiting shorter.
//
// A call that is repeated, as its `save` did not come, must start from what was saved last: see `ready`.

import { type FileHandle, open, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { assert } from '#protocol/base/mod.ts'
import type { ComponentContext } from '../contract.ts'
import { fileFault, flushFolder, makeFolder, removeIfThere } from '../support/mod.ts'
import { stateFault } from './faults.ts'
import { type Extent, FRAME_BYTES, frameOf, HEADER_BYTES, headerOf, readFrames } from './frames.ts'
import { STATE_RECORD_BYTES_MAX, STATE_SLACK_BYTES, STATE_WRITE_BYTES } from './limits.ts'

/** Whose state it is. Records are its own; the first byte of each is 1 … 255. */
export type StateOwner = {
  /** Forgets everything. */
  clear(): void
  /** Makes a change that was appended. May throw a fault when the record is none of its own. */
  replay(record: Buffer): void
  /** Changes that lead from nothing to what there is now. */
  snapshot(): Iterable<Buffer>
  /** About how long these are together. */
  keptBytes(): number
}

const NOTHING: Extent = { file: 0, end: 0, crc: 0 }
/** The first byte of a record of the log itself: what time it was. */
const TIME = 0
const TIME_BYTES = 17

/** Folders in use by this process: two channels in one would write over each other. */
const inUse = new Set<string>()

export class StateLog {
  readonly #folder: string
  readonly #owner: StateOwner
  readonly #context: ComponentContext
  readonly #where: string
  #file: FileHandle | null = null
  #opened = false
  #saved: Extent = NOTHING
  /** Changes since the last save, in their order. */
  readonly #pending = new Set<Buffer>()
  #pendingBytes = 0
  /** Numbers of earlier files that a state not yet let go may name. */
  #earlier: number[] = []
  /** `ageMs` is the monotonic clock and this. */
  #ageOffsetMs = 0

  constructor(type: string, owner: StateOwner, context: ComponentContext) {
    this.#folder = join(context.dataDir, type)
    this.#owner = owner
    this.#context = context
    this.#where = `channel ${type}: ${this.#folder}`
  }

  /** Faults: `STATE_INVALID`, `STATE_MISSING`, `STATE_DAMAGED`, those of files. */
  async open(state: string | null): Promise<void> {
    assert(!inUse.has(this.#folder), `one channel keeps its state in ${this.#folder}`)
    inUse.add(this.#folder)
    this.#opened = true
    try {
      const saved = state === null ? NOTHING : this.#parse(state)
      await this.#onDisk(async () => {
        await makeFolder(this.#folder)
        await this.#load(saved)
        // Of the others none is committed any more, or yet.
        for (const file of await this.#files()) if (file !== saved.file) await removeIfThere(this.#pathOf(file))
      })
    } catch (error) {
      await this.close()
      throw error
    }
  }

  /** To be called before each change of the owner: forgets changes that were never saved, as they are to be made again. */
  async ready(): Promise<void> {
    if (this.#pending.size > 0) await this.#onDisk(() => this.#load(this.#saved))
  }

  /** Milliseconds that have passed for this state, from an arbitrary start. */
  ageMs(): number {
    return this.#context.clock.nowMs() + this.#ageOffsetMs
  }

  /** The monotonic time at which `ageMs` will be this. */
  atMs(ageMs: number): number {
    return ageMs - this.#ageOffsetMs
  }

  /** A change that the owner has made; durable with the next `save`. */
  append(record: Buffer): void {
    assert(record.length > 0 && record[0] !== TIME, 'a record of a state has a type')
    assert(record.length <= STATE_RECORD_BYTES_MAX, 'a record of a state is bounded')
    this.#pending.add(record)
    this.#pendingBytes += record.length + FRAME_BYTES
  }

  /** Takes back a change that was not saved yet, as another has undone it; false when it was saved. */
  withdraw(record: Buffer): boolean {
    if (!this.#pending.delete(record)) return false
    this.#pendingBytes -= record.length + FRAME_BYTES
    return true
  }

  async save(): Promise<string> {
    if (this.#pending.size > 0) {
      await this.#onDisk(async () => {
        const limit = 2 * this.#owner.keptBytes() + STATE_SLACK_BYTES
        if (this.#file === null || this.#saved.end + this.#pendingBytes > limit) await this.#renew()
        else this.#saved = await this.#write(this.#file, this.#saved, [...this.#pending, this.#timeRecord()])
      })
      this.#forgetPending()
    }
    const { file, end, crc } = this.#saved
    return JSON.stringify({ v: 1, file, end, crc })
  }

  async committed(state: string): Promise<void> {
    const { file } = this.#parse(state)
    const gone = this.#earlier.filter((each) => each < file)
    await this.#onDisk(async () => {
      for (const each of gone) await removeIfThere(this.#pathOf(each))
    })
    this.#earlier = this.#earlier.filter((each) => each >= file)
  }

  async close(): Promise<void> {
    if (this.#opened) inUse.delete(this.#folder)
    this.#opened = false
    const file = this.#file
    this.#file = null
    await file?.close()
  }

  // ---- files ----

  async #load(extent: Extent): Promise<void> {
    this.#owner.clear()
    this.#forgetPending()
    await this.#file?.close()
    this.#file = null
    const { clock } = this.#context
    let [ageMs, wallMs] = [0, clock.wallMs() as number]
    if (extent.file > 0) {
      const file = await this.#openFile(extent.file)
      this.#file = file
      const take = (record: Buffer): void => {
        if (record[0] !== TIME) this.#owner.replay(record)
        else if (record.length === TIME_BYTES) [ageMs, wallMs] = [record.readDoubleLE(1), record.readDoubleLE(9)]
      }
      await readFrames(file, extent, { where: this.#pathOf(extent.file), take })
    }
    this.#ageOffsetMs = ageMs + Math.max(0, clock.wallMs() - wallMs) - clock.nowMs()
    this.#saved = extent
  }

  async #openFile(file: number): Promise<FileHandle> {
    try {
      return await open(this.#pathOf(file), 'r+')
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ENOENT') throw error
      throw stateFault('STATE_MISSING', { where: this.#pathOf(file), cause: error })
    }
  }

  /** Everything that is kept, in a file of its own. Until it is whole it has another name. */
  async #renew(): Promise<void> {
    const number = this.#saved.file + 1
    const path = this.#pathOf(number)
    const temporary = `${path}.tmp`
    const file = await open(temporary, 'w+')
    try {
      const header = headerOf(number)
      await writeAt(file, header.bytes, 0)
      let extent: Extent = { file: number, end: HEADER_BYTES, crc: header.crc }
      let piece: Buffer[] = []
      let bytes = 0
      for (const record of this.#owner.snapshot()) {
        piece.push(record)
        bytes += record.length
        if (bytes < STATE_WRITE_BYTES) continue
        extent = await this.#write(file, extent, piece, false)
        piece = []
        bytes = 0
      }
      extent = await this.#write(file, extent, [...piece, this.#timeRecord()])
      await rename(temporary, path)
      await flushFolder(this.#folder)
      await this.#file?.close()
      if (this.#saved.file > 0) this.#earlier.push(this.#saved.file)
      this.#file = file
      this.#saved = extent
    } catch (error) {
      await file.close()
      await removeIfThere(temporary)
      throw error
    }
  }

  async #write(file: FileHandle, from: Extent, records: readonly Buffer[], flush = true): Promise<Extent> {
    const parts: Buffer[] = []
    let { crc } = from
    for (const record of records) {
      const frame = frameOf(record, crc)
      crc = frame.crc
      parts.push(frame.bytes, record)
    }
    const bytes = Buffer.concat(parts)
    await writeAt(file, bytes, from.end)
    if (flush) await file.datasync()
    return { file: from.file, end: from.end + bytes.length, crc }
  }

  #forgetPending(): void {
    this.#pending.clear()
    this.#pendingBytes = 0
  }

  #timeRecord(): Buffer {
    const record = Buffer.alloc(TIME_BYTES)
    record.writeDoubleLE(this.ageMs(), 1)
    record.writeDoubleLE(this.#context.clock.wallMs(), 9)
    return record
  }

  async #files(): Promise<number[]> {
    const found: number[] = []
    for (const name of await readdir(this.#folder)) {
      const [, number] = /^state-(\d{1,10})\.log$/.exec(name) ?? []
      if (number !== undefined) found.push(Number(number))
      else if (/^state-\d{1,10}\.log\.tmp$/.test(name)) await removeIfThere(join(this.#folder, name))
    }
    return found
  }

  #pathOf(file: number): string {
    return join(this.#folder, `state-${file}.log`)
  }

  async #onDisk(act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch (error) {
      throw fileFault(error, this.#where)
    }
  }

  #parse(state: string): Extent {
    const isU32 = (value: unknown): value is number => Number.isInteger(value) && (value as number) >>> 0 === value
    try {
      const { v, file, end, crc } = JSON.parse(state) as Record<string, unknown>
      if (v === 1 && isU32(file) && isU32(crc) && Number.isSafeInteger(end) && (end as number) >= 0) {
        return { file, end: end as number, crc }
      }
    } catch (error) {
      throw stateFault('STATE_INVALID', { where: this.#where, why: (error as Error).message })
    }
    throw stateFault('STATE_INVALID', { where: this.#where, why: 'it has another form' })
  }
}

async function writeAt(file: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten
  }
}
