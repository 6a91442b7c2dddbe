// Copies what is still in use in poorly filled segments together, so that the files stay bounded however little of each
// remains. One segment at a time, in small steps: read, check, copy, flush, then the rows in an upkeep transaction.
// Appends go on in between; a hub killed anywhere has either the old row or the new one.

import { asFault, type Fault } from '#protocol/base/mod.ts'
import type { Engine, Work } from './engine.ts'
import { COMPACT_STEP_BYTES, RETRY_MS } from './limits.ts'
import { type Place, recordBytes } from './segment-file.ts'
import { recordsIn } from './segment-scan.ts'
import type { Blob, Segment } from './segments.ts'

/** Whose records it moves: batches, or the chunks of large contents. */
export type Movable<Row extends Placed> = {
  /** What the record of that number belongs to; `null` when nothing uses it. */
  row(seq: number): Row | null
  /** Its bytes, checked. Throws when they are not what was written. */
  sound(seq: number, row: Row): Buffer | Promise<Buffer>
  /** Points the row to the copy; ends the blob. */
  move(seq: number, from: Row, blob: Blob): Work
}

type Placed = { readonly place: Place }
type Live<Row> = { readonly seq: number; readonly row: Row }

export class Compaction<Row extends Placed> {
  /** Something stands in its way; what is damaged stays where it is. */
  onFault: (fault: Fault) => void
  /** Segments emptied, bytes copied. */
  segments = 0
  copiedBytes = 0
  private readonly engine: Engine
  private readonly rows: Movable<Row>
  private running: Promise<void> | null = null

  constructor(engine: Engine, rows: Movable<Row>) {
    this.engine = engine
    this.rows = rows
    this.onFault = (fault) => engine.onFault(fault)
    engine.onWritten = () => this.nudge()
    engine.beforeClose = () => this.idle()
  }

  /** Begins when there is something to do and it is not at it. */
  nudge(): void {
    if (this.running !== null || this.engine.ending || this.engine.segments.toCompact() === null) return
    this.running = this.run().finally(() => {
      this.running = null
    })
  }

  /** Somebody asks for more room than there is, or no longer: then less waste is worth copying together. */
  hasten(isShort: boolean): void {
    this.engine.segments.isShort = isShort
    if (isShort) this.nudge()
  }

  /** Offline: copies together whatever pays at all. */
  async all(): Promise<void> {
    await this.idle()
    this.engine.segments.eager = true
    this.nudge()
    await this.idle()
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.running !== null) await this.running
  }

  private async run(): Promise<void> {
    for (;;) {
      await turn()
      const segment = this.engine.ending ? null : this.engine.segments.toCompact()
      if (segment === null) return
      try {
        await this.empty(segment)
      } catch (error) {
        if (this.engine.ending) return
        this.onFault(asFault(error))
        // A full or failing disk: tried again with the next thing written, but not at once.
        const { promise, resolve } = Promise.withResolvers<void>()
        const timer = setTimeout(resolve, RETRY_MS)
        await Promise.race([promise, this.engine.whenEnded])
        clearTimeout(timer)
        return
      }
    }
  }

  /** Moves all that is in use out of a segment. */
  private async empty(segment: Segment): Promise<void> {
    const { segments } = this.engine
    segments.hold(segment, 1)
    try {
      let step: Live<Row>[] = []
      let bytes = 0
      for await (const { seq, offset, header } of recordsIn(segments.files, segment, segment.life)) {
        if (this.engine.ending) return
        const row = this.rows.row(seq)
        if (row === null || row.place.segment !== segment.number || row.place.offset !== offset) continue
        if (row.place.life !== header.life) continue
        step.push({ seq, row })
        bytes += recordBytes(row.place.bytes)
        if (bytes < COMPACT_STEP_BYTES) continue
        await this.copy(segment, step)
        step = []
        bytes = 0
      }
      if (step.length > 0) await this.copy(segment, step)
    } finally {
      segments.hold(segment, -1)
    }
    this.segments++
    // Something is left that could not be found or read.
    if (segment.liveBytes > 0 && segment.state === 'sealed') segment.damaged = true
  }

  private async copy(segment: Segment, live: readonly Live<Row>[]): Promise<void> {
    const { segments } = this.engine
    const blobs: Blob[] = []
    const works: Work[] = []
    try {
      for (const { seq, row } of live) {
        const bytes = await this.sound(segment, seq, row)
        if (bytes === null) continue
        const blob = segments.add(seq, bytes, 'copy')
        blobs.push(blob)
        works.push(this.rows.move(seq, row, blob))
        this.copiedBytes += bytes.length
      }
      await segments.flush(blobs)
    } catch (error) {
      for (const blob of blobs.toReversed()) segments.giveBack(blob, true)
      throw error
    }
    this.engine.step('compacting')
    const all = (what: 'write' | 'done') => () => {
      for (const work of works) work[what]()
    }
    if (works.length === 0) return
    const written = this.engine.maintain({ write: all('write'), done: all('done') })
    await Promise.race([written, this.engine.whenEnded])
    await turn()
  }

  /** What lies there, or `null` when it is damaged: a copy would not make it better. */
  private async sound(segment: Segment, seq: number, row: Row): Promise<Buffer | null> {
    try {
      return await this.rows.sound(seq, row)
    } catch (error) {
      segment.damaged = true
      this.onFault(asFault(error))
      return null
    }
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
