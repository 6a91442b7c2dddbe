// Messages that go on in another form: what was made of them comes into queues, and they leave theirs, in one transaction.
//
// Batches made here come to the disk first, each with a row in the table `made` that says so. The transaction that places them then
// only refers to what is there already, and is repeated until it succeeds, as all upkeep is. After a crash between the two nothing
// refers to them, and they are dropped: their messages lie where they lay, and are made again.

import { assert } from '#protocol/base/mod.ts'
import { type Batch, contentsIn } from '#protocol/codec/mod.ts'
import type { Batches } from './batches.ts'
import type { Conveyed } from './conveyed.ts'
import type { Table } from './disk.ts'
import { type Endings, type PlaceWork, placesIn } from './endings.ts'
import type { Engine, Work } from './engine.ts'
import type { Home, NewEntry } from './entry.ts'
import { storeFault } from './faults.ts'
import type { Lease } from './lane.ts'
import { APPEND_OVERHEAD_BYTES, REASON_LENGTH_MAX } from './limits.ts'
import type { Queue } from './queue.ts'
import type { Queues } from './queues.ts'
import type { Placement, StoreClock } from './store.ts'
import type { Stream, Streams } from './streams.ts'
import type { Trace } from './trace.ts'
import { nothing, together } from './works.ts'

/** A batch on the disk that nothing refers to yet. */
export type Made = { readonly seq: number; readonly batch: Batch }

/** Where messages of a made batch go; `note` says why, among dead letters, and `home` where a redrive sends them. `expiresAtMs`: 0 for never. */
export type MadePlacement = Placement & { readonly expiresAtMs?: number; readonly home?: Home }

/** Messages from … from+count-1 of a lease that go on: as they are, in `to`, or as what was made of them. */
export type Leaving = Conveyed & { readonly lease: Lease }

/** A made batch, what of, how, and where its messages go. */
export type Placed = {
  readonly made: Made
  readonly of: string
  readonly detail?: unknown
  readonly placements: readonly MadePlacement[]
}

/** What happens together. */
export type Conveyance = {
  readonly leaving: readonly Leaving[]
  readonly made: readonly Placed[]
  /** Kept with it under names, each until the next with that name; see `state`. `null`: no longer kept. */
  readonly states?: readonly { readonly name: string; readonly text: string | null }[]
}

type Parts = {
  readonly engine: Engine
  readonly batches: Batches
  readonly endings: Endings
  readonly queues: Queues
  readonly streams: Streams
  readonly trace: Trace
  readonly clock: StoreClock
}

const MADE_ROW = Buffer.from([1])

const ageOf = ({ info }: Queue, nowMs: number): number => (info.policy.ageMsMax > 0 ? nowMs + info.policy.ageMsMax : 0)

export class Conveying {
  private readonly parts: Parts
  private readonly madeTable: Table
  private readonly keptTable: Table

  constructor(parts: Parts) {
    this.parts = parts
    this.madeTable = parts.engine.table('made')
    this.keptTable = parts.engine.table('kept')
  }

  /** What the last conveyance with this name kept; `null` when there was none. */
  state(name: string): string | null {
    const row = this.keptTable.get(name)
    return row === undefined ? null : String(row)
  }

  /** Names under which something is kept. */
  get stateNames(): readonly string[] {
    return this.keptTable.keys().map(String)
  }

  /**
   * Brings a batch of the hub's own to the disk; the next of its stream. It is to be conveyed or dropped. Faults: `STORE_FULL`, `STORE_IO`.
   */
  async keep(stream: Stream, batch: Batch): Promise<Made> {
    const { batches, engine, streams } = this.parts
    assert(batch.head.firstSeq === stream.plannedSeq + 1, 'batches of the hub follow one another')
    const added = batches.add(batch.bytes, 1, batch.head)
    const contents = contentsIn(batch)
    const hold = contents.length === 0 ? null : batches.holds.hold(added.seq, contents)
    stream.plannedSeq = batch.lastSeq
    const work: Work = {
      write: () => {
        added.write()
        hold?.write()
        this.madeTable.put(added.seq, MADE_ROW)
        streams.put(stream, batch.lastSeq)
      },
      done: () => {
        streams.stored(stream, batch.lastSeq)
        added.done()
      },
    }
    try {
      await engine.append(added.rowBytes + (hold?.bytes ?? 0) + APPEND_OVERHEAD_BYTES, work, added.blob)
    } catch (error) {
      hold?.refused()
      throw error
    }
    return { seq: added.seq, batch }
  }

  /** Nobody needs it any more. */
  drop(made: readonly Made[]): Promise<void> {
    return made.length === 0
      ? Promise.resolve()
      : this.parts.engine.maintain(together(made.map((one) => this.forget(one.seq))))
  }

  /**
   * Resolves when it is on the disk. Limits of the queues are the caller's business: see `Queues.admit`. `onTaken`: it is on its way
   * there, and what comes from now on comes behind it. What `said` throws is thrown, and nothing has happened: what it sees of the queues
   * is so until what it gives counts in them. Faults, before anything has happened: `QUEUE_UNKNOWN`, with `retry`, when a
   * queue was forgotten meanwhile.
   */
  async convey(said: Conveyance | (() => Conveyance), onTaken: () => void = nothing): Promise<void> {
    const { endings, engine } = this.parts
    // A transaction may fail before this goes on.
    do await endings.whenReadable()
    while (!engine.readable)
    const { leaving, made, states = [] } = typeof said === 'function' ? said() : said
    for (const { to } of leaving) for (const { queue } of to) mustBeThere(queue)
    for (const { placements } of made) for (const { queue } of placements) mustBeThere(queue)
    const works: Work[] = []
    const queues = new Set<Queue>()
    for (const [lease, parts] of byLease(leaving)) {
      const work = endings.conveyed(lease, parts)
      if (work !== null) works.push(work)
      for (const { to } of parts) for (const { queue } of to) queues.add(queue)
    }
    for (const placed of made) {
      works.push(...this.place(placed))
      for (const { queue } of placed.placements) queues.add(queue)
    }
    for (const { name, text } of states) {
      const bytes = text === null ? null : Buffer.from(text)
      const write = () => (bytes === null ? this.keptTable.remove(name) : this.keptTable.put(name, bytes))
      works.push({ write, done: nothing })
    }
    const conveyed = works.length === 0 ? null : engine.maintain(together(works))
    onTaken()
    if (conveyed === null) return
    await conveyed
    for (const queue of queues) endings.makeRoom(queue)
  }

  /** What a crash left between the disk and the queues. */
  async forgetLeftovers(): Promise<void> {
    const seqs = [...this.madeTable.keys()].map(Number)
    if (seqs.length > 0) await this.parts.engine.maintain(together(seqs.map((seq) => this.forget(seq))))
  }

  private forget(seq: number): Work {
    const { batches } = this.parts
    const released = batches.has(seq) ? batches.release(seq) : { write: nothing, done: nothing }
    return {
      write: () => {
        released.write()
        this.madeTable.remove(seq)
      },
      done: released.done,
    }
  }

  private place({ made: { seq, batch }, of, detail, placements }: Placed): Work[] {
    assert(placements.length > 0, 'what was made has a place')
    const { batches, clock, endings, queues, trace } = this.parts
    const nowMs = clock.wallMs()
    const places: { work: PlaceWork; queue: Queue; lane: number; entry: NewEntry }[] = placements.map((placement) => {
      const { queue, selection, count, attributes, partition, note = '', backNote = '' } = placement
      const lane = queues.laneOf(partition, attributes.priority)
      const lives = [placement.expiresAtMs ?? 0, ageOf(queue, nowMs)].filter((ms) => ms > 0)
      const entry: NewEntry = {
        batchSeq: seq,
        count,
        bytes: Math.floor((batch.bytes.length * count) / batch.count),
        storedAtMs: nowMs,
        expiresAtMs: lives.length === 0 ? 0 : Math.min(...lives),
        attempts: 0,
        receiptFlags: 0,
        home: placement.home ?? null,
        note: note.slice(0, REASON_LENGTH_MAX),
        backNote,
        selection,
      }
      return { work: endings.placeIn(queue, lane, entry), queue, lane, entry }
    })
    // The row in `made` was the first reference.
    const retained = placements.slice(1).map(() => batches.retain(seq))
    const noted: Work = {
      write: () => {
        this.madeTable.remove(seq)
        const to = places.map(({ work, queue, lane, entry }) => ({
          queueId: queue.info.id,
          lane,
          position: work.placed?.position ?? -1,
          places: entry.selection === null ? [] : placesIn(entry),
        }))
        trace.accepted(seq, batch, nowMs, to, { of, detail })
      },
      done: nothing,
    }
    return [...places.map(({ work }) => work), ...retained, noted]
  }
}

/** What came into a queue that is forgotten would be lost. */
function mustBeThere({ info, forgotten }: Queue): void {
  if (forgotten)
    throw storeFault('QUEUE_UNKNOWN', { where: `queue ${info.name}`, why: 'it was forgotten', retry: true })
}

function byLease(leaving: readonly Leaving[]): Map<Lease, Leaving[]> {
  const leases = new Map<Lease, Leaving[]>()
  for (const one of leaving) {
    const parts = leases.get(one.lease)
    if (parts === undefined) leases.set(one.lease, [one])
    else parts.push(one)
  }
  return leases
}
