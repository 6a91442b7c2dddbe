// Looks at everything a store holds, without changing it: each batch is read and its digests are checked, each
// reference to it is counted, each lane is looked over for positions nobody answers for, and what batches say of the
// contents they refer to is compared with what is held.

import { asFault, type Fault } from '#protocol/base/mod.ts'
import { contentsIn, NO_CONTENTS, openBatch } from '#protocol/codec/mod.ts'
import { type Range, RangeSet } from '#protocol/session/mod.ts'
import type { BatchName } from './batch-row.ts'
import { BatchRows, nameOf } from './batch-rows.ts'
import { decodeHold, HOLDS_TABLE, holdRows } from './content-holds.ts'
import type { Key, Table } from './disk.ts'
import type { Engine } from './engine.ts'
import { decodeEntry, type Entry, endOf, entryAt } from './entry.ts'
import { storeFault } from './faults.ts'
import { decodeLaneState, type LaneState } from './lane.ts'
import { batchProblem } from './segment-file.ts'
import { type TimerRow, Timers } from './timers.ts'

const ROWS = 500
/** Bytes read between two turns of the event loop, so that progress can be shown. */
const TURN_BYTES = 8 * 1024 * 1024

/** Something that refers to a batch: positions of a lane, or a message that waits for its time. */
export type Reference = { readonly queueId: number; readonly lane: number } & (
  | { readonly kind: 'entry'; readonly key: Key; readonly entry: Entry }
  | { readonly kind: 'timer'; readonly timer: TimerRow }
)

/** A batch that cannot be given out. */
export type Damage = {
  readonly seq: number
  /** What it was, as far as anything says it. */
  readonly name: BatchName | null
  readonly fault: Fault
  readonly references: Reference[]
}

export type LaneFinding = {
  readonly queueId: number
  readonly lane: number
  readonly state: LaneState
  /** Positions that are neither settled nor in an entry. */
  readonly gaps: Range[]
  /** Rows that cannot be read. */
  readonly unreadable: Key[]
}

/** A batch whose row in the table of held contents is not what the batch says. */
export type HoldFinding = {
  readonly seq: number
  readonly why: 'gone' | 'missing' | 'unreadable' | 'other'
  /** What it refers to; nothing when it is gone. */
  readonly contents: readonly string[]
}

export type Survey = {
  batches: number
  bytes: number
  /** Of these, in segments. */
  segmentBytes: number
  references: number
  /** Numbers of all that have a row. */
  readonly present: Set<number>
  readonly damaged: Map<number, Damage>
  /** References found, by batch. */
  readonly counts: Map<number, number>
  /** Counted otherwise than found; 0 found: nobody refers to it. */
  readonly miscounted: { readonly seq: number; readonly counted: number; readonly found: number }[]
  /** What batches refer to, of those that refer to any. */
  readonly contents: Map<number, readonly string[]>
  readonly holds: HoldFinding[]
  /** Those with something to mend. */
  readonly lanes: LaneFinding[]
  /** Queues that lanes belong to and that do not exist. */
  readonly strays: Set<number>
  readonly queueNames: Map<number, string>
}

export type CheckProgress = (what: { phase: 'batches' | 'queues' | 'records'; done: number; of: number }) => void

export async function survey(engine: Engine, tell: CheckProgress): Promise<Survey> {
  const found: Survey = {
    batches: 0,
    bytes: 0,
    segmentBytes: 0,
    references: 0,
    present: new Set(),
    damaged: new Map(),
    counts: new Map(),
    miscounted: [],
    contents: new Map(),
    holds: [],
    lanes: [],
    strays: new Set(),
    queueNames: queueNames(engine),
  }
  await readBatches(engine, found, tell)
  await readLanes(engine, found, tell)
  for (const timer of new Timers(engine, 0).all()) {
    if (timer.timer.kind !== 'due') continue
    const { queueId, lane, entry } = timer.timer
    if (entry.batchSeq !== 0) refer(found, entry.batchSeq, { kind: 'timer', queueId, lane, timer })
  }
  await compareCounts(engine, found)
  await compareHolds(engine, found)
  return found
}

/** All rows of a table, ascending, a bounded number at a time. */
export function* rowsOf(table: Table, first: Key, end: Key): Generator<{ key: Key; value: Buffer }> {
  let from = first
  for (;;) {
    const rows = table.range({ from, to: end, limit: ROWS })
    yield* rows
    const last = rows.at(-1)?.key
    if (last === undefined || rows.length < ROWS) return
    from = typeof last === 'number' ? last + 1 : [...(last as (number | string)[]), 0]
  }
}

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function queueNames(engine: Engine): Map<number, string> {
  const table = engine.table('queues')
  const names = new Map<number, string>()
  for (const key of table.keys()) {
    const { id, name } = JSON.parse(String(table.get(key))) as { id: number; name: string }
    names.set(id, name)
  }
  return names
}

async function readBatches(engine: Engine, found: Survey, tell: CheckProgress): Promise<void> {
  const all = engine.usage().bytes
  const rows = new BatchRows(engine)
  let sinceTurn = 0
  for (const row of rows.all()) {
    const { seq } = row
    found.batches++
    found.present.add(seq)
    try {
      const bytes = rows.bytesOf(row)
      found.bytes += bytes.length
      if (!row.inline) found.segmentBytes += bytes.length
      sinceTurn += bytes.length
      const problem = batchProblem(bytes)
      if (problem !== null) throw problem
      const contents = contentsOf(bytes)
      if (contents.length > 0) found.contents.set(seq, contents)
    } catch (error) {
      const fault = asFault(error, `batch ${seq}`)
      found.damaged.set(seq, { seq, name: nameOf(row), fault, references: [] })
    }
    if (sinceTurn < TURN_BYTES) continue
    sinceTurn = 0
    tell({ phase: 'batches', done: found.bytes, of: all })
    await turn()
  }
}

async function readLanes(engine: Engine, found: Survey, tell: CheckProgress): Promise<void> {
  const states = engine.table('states')
  const lanes = new Map<string, [number, number]>()
  for (const key of states.keys()) lanes.set(String(key), key as [number, number])
  const entries = engine.table('entries')
  // Lanes without a state of their own are known from their entries alone.
  for (let from: Key = [0, 0, 0]; ; ) {
    const [first] = entries.range({ from, to: [Number.MAX_SAFE_INTEGER], limit: 1 })
    if (first === undefined) break
    const [queueId, lane] = first.key as [number, number, number]
    lanes.set(String([queueId, lane]), [queueId, lane])
    from = [queueId, lane + 1, 0]
  }
  let done = 0
  for (const [queueId, lane] of lanes.values()) {
    if (!found.queueNames.has(queueId)) found.strays.add(queueId)
    const state = decodeLaneState(states.get([queueId, lane]))
    const covered = new RangeSet(state.settled.floor, state.settled.above)
    const unreadable: Key[] = []
    let end = covered.end
    for (const { key, value } of rowsOf(entries, [queueId, lane, 0], [queueId, lane + 1, 0])) {
      const entry = readEntry(key, value)
      if (entry === null) {
        unreadable.push(key)
        end = Math.max(end, ((key as number[])[2] as number) + 1)
        continue
      }
      covered.add(entry.position, endOf(entry))
      end = Math.max(end, endOf(entry))
      found.references++
      if (entry.batchSeq !== 0) refer(found, entry.batchSeq, { kind: 'entry', queueId, lane, key, entry })
    }
    const gaps = covered.missing(0, end) as Range[]
    if (gaps.length > 0 || unreadable.length > 0) found.lanes.push({ queueId, lane, state, gaps, unreadable })
    tell({ phase: 'queues', done: ++done, of: lanes.size })
    await turn()
  }
}

function readEntry(key: Key, value: Buffer): Entry | null {
  try {
    return entryAt((key as number[])[2] as number, decodeEntry(value))
  } catch {
    return null
  }
}

function refer(found: Survey, seq: number, reference: Reference): void {
  found.counts.set(seq, (found.counts.get(seq) ?? 0) + 1)
  let damage = found.damaged.get(seq)
  if (damage === undefined && !found.present.has(seq)) {
    damage = {
      seq,
      name: null,
      fault: storeFault('STORE_DAMAGED', { where: `batch ${seq}`, why: 'it is missing' }),
      references: [],
    }
    found.damaged.set(seq, damage)
  }
  damage?.references.push(reference)
}

async function compareCounts(engine: Engine, found: Survey): Promise<void> {
  const shares = engine.table('shares')
  // What a crash left before it was placed: dropped when the store is opened.
  for (const key of engine.table('made').keys()) found.counts.set(Number(key), (found.counts.get(Number(key)) ?? 0) + 1)
  for (const seq of found.present) {
    const counted = shares.get(seq)?.readUInt32LE(0) ?? 1
    const references = found.counts.get(seq) ?? 0
    if (counted !== references) found.miscounted.push({ seq, counted, found: references })
  }
  for (const { key, value } of rowsOf(shares, 1, Number.MAX_SAFE_INTEGER)) {
    const seq = key as number
    if (found.present.has(seq)) continue
    found.miscounted.push({ seq, counted: value.readUInt32LE(0), found: 0 })
  }
  await turn()
}

async function compareHolds(engine: Engine, found: Survey): Promise<void> {
  const unseen = new Map(found.contents)
  for (const { seq, value } of holdRows(engine.table(HOLDS_TABLE))) {
    const contents = found.contents.get(seq) ?? NO_CONTENTS
    unseen.delete(seq)
    // What a damaged batch refers to is known from its row alone.
    if (found.present.has(seq) && found.damaged.has(seq)) continue
    const held = decodeHold(value)
    const isRight = held !== null && contents.length > 0 && sameContents(held, contents)
    if (isRight) continue
    const why = !found.present.has(seq) ? 'gone' : held === null ? 'unreadable' : 'other'
    found.holds.push({ seq, why, contents })
  }
  for (const [seq, contents] of unseen) found.holds.push({ seq, why: 'missing', contents })
  await turn()
}

/** One whose attributes mean nothing refers to nothing: older hubs took what they did not know. */
function contentsOf(batch: Buffer): readonly string[] {
  try {
    return contentsIn(openBatch(batch))
  } catch {
    return NO_CONTENTS
  }
}

function sameContents(a: readonly string[], b: readonly string[]): boolean {
  const ids = new Set(a)
  return ids.size === b.length && b.every((id) => ids.has(id))
}
