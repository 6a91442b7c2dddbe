// What became of messages whose origin wants to be told: how many copies of each are still open, and the worst that
// happened to one. With the last copy the fate is final, and told once. Only batches that ask for receipts have a row.

import type { Batch } from '#protocol/codec/mod.ts'
import type { Table } from './disk.ts'
import type { Engine, Work } from './engine.ts'

/** In order: the worse one of two copies counts. */
export const FINAL_STATES = ['processed', 'dropped', 'expired', 'rejected'] as const
export type FinalState = (typeof FINAL_STATES)[number]

/** Places from … from+count-1 of a batch. */
export type Places = readonly [from: number, count: number]

/** Where a copy came to its end, by whom (empty: the hub), why. */
export type Ended = { queue: string; by: string; reason: string }

/** Messages from … to-1 (places in the batch) with `left` open copies; of the worst copy what is not `processed`. */
type Fate = { from: number; to: number; left: number; worst: FinalState } & Ended

export type FateOwner = {
  readonly origin: string
  readonly stream: string
  readonly epoch: number
  readonly firstSeq: number
}

/** What is told: messages of one stream with one fate. */
export type Final = FateOwner & { readonly from: number; readonly to: number; readonly state: FinalState } & Ended

type Row = FateOwner & { fates: Fate[] }

export class Fates {
  private readonly table: Table
  /** Changed, and not yet on disk. */
  private readonly changed = new Map<number, Row>()

  constructor(engine: Pick<Engine, 'table'>) {
    this.table = engine.table('fates')
  }

  /** A batch comes in; `placements` are the places of each of its copies. A work for a group. */
  begin(batchSeq: number, batch: Batch, placements: readonly (readonly Places[])[]): Work {
    const { origin, stream, epoch, firstSeq } = batch.head
    const fates: Fate[] = [{ from: 0, to: batch.count, left: 0, worst: 'processed', ...NOWHERE }]
    for (const places of placements) {
      for (const [from, count] of places) for (const fate of cut(fates, from, from + count)) fate.left++
    }
    const row: Row = { origin, stream, epoch, firstSeq, fates: joined(fates) }
    return this.change(batchSeq, row)
  }

  /** A copy of these messages has come to its end; gives those that were the last copies, and a work for a group. */
  settle(
    batchSeq: number,
    places: readonly Places[],
    state: FinalState,
    ended: Ended,
  ): { finals: Final[]; work: Work } {
    const row = this.row(batchSeq)
    if (row === null) return { finals: [], work: NO_WORK }
    const { origin, stream, epoch, firstSeq } = row
    const finals: Final[] = []
    for (const [from, count] of places) {
      for (const fate of cut(row.fates, from, from + count)) {
        fate.left--
        if (FINAL_STATES.indexOf(state) >= FINAL_STATES.indexOf(fate.worst) && state !== 'processed') {
          Object.assign(fate, { worst: state, ...ended })
        }
        if (fate.left > 0) continue
        // What was processed everywhere was so with its last copy; otherwise the worst one counts, and who ended that.
        const { queue, by, reason } = fate.worst === 'processed' ? ended : fate
        const final = { from: fate.from, to: fate.to, state: fate.worst, queue, by, reason }
        const last = finals.at(-1)
        if (last !== undefined && last.to === final.from && last.state === final.state && sameEnd(last, final)) {
          finals[finals.length - 1] = { ...last, to: final.to }
        } else {
          finals.push({ origin, stream, epoch, firstSeq, ...final })
        }
      }
    }
    row.fates = joined(row.fates.filter(({ left }) => left > 0))
    return { finals, work: this.change(batchSeq, row) }
  }

  /** The batch was not stored after all. */
  forget(batchSeq: number): void {
    this.changed.delete(batchSeq)
  }

  /** Copies that had come to their end are open again; those of final fates are not told a second time. */
  reopen(batchSeq: number, places: readonly Places[]): Work {
    const row = this.row(batchSeq)
    if (row === null) return NO_WORK
    for (const [from, count] of places) for (const fate of cut(row.fates, from, from + count)) fate.left++
    row.fates = joined(row.fates)
    return this.change(batchSeq, row)
  }

  ownerOf(batchSeq: number): FateOwner | null {
    return this.row(batchSeq)
  }

  private row(batchSeq: number): Row | null {
    const changed = this.changed.get(batchSeq)
    if (changed !== undefined) return { ...changed, fates: changed.fates.map((fate) => ({ ...fate })) }
    const bytes = this.table.get(batchSeq)
    return bytes === undefined ? null : (JSON.parse(String(bytes)) as Row)
  }

  private change(batchSeq: number, row: Row): Work {
    this.changed.set(batchSeq, row)
    return {
      write: () => {
        if (row.fates.length === 0) this.table.remove(batchSeq)
        else this.table.put(batchSeq, Buffer.from(JSON.stringify(row)))
      },
      done: () => {
        if (this.changed.get(batchSeq) === row) this.changed.delete(batchSeq)
      },
    }
  }
}

const NOWHERE: Ended = { queue: '', by: '', reason: '' }

const sameEnd = (a: Ended, b: Ended): boolean => a.queue === b.queue && a.by === b.by && a.reason === b.reason

const NO_WORK: Work = { write: () => undefined, done: () => undefined }

/** The fates of from … to-1, cut at both ends; what is not in the list is final already. */
function cut(fates: Fate[], from: number, to: number): Fate[] {
  const found: Fate[] = []
  for (let i = 0; i < fates.length; i++) {
    const fate = fates[i] as Fate
    if (fate.to <= from || fate.from >= to) continue
    if (fate.from < from) {
      fates.splice(i, 1, { ...fate, to: from }, { ...fate, from })
    } else if (fate.to > to) {
      fates.splice(i, 1, { ...fate, to }, { ...fate, from: to })
      found.push(fates[i] as Fate)
    } else {
      found.push(fate)
    }
  }
  return found
}

function joined(fates: readonly Fate[]): Fate[] {
  const out: Fate[] = []
  for (const fate of fates) {
    const last = out.at(-1)
    const same = last !== undefined && last.to === fate.from && last.left === fate.left && last.worst === fate.worst
    if (same && sameEnd(last, fate)) last.to = fate.to
    else out.push(fate)
  }
  return out
}
