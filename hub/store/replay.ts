// A queue begins again: what was settled and is still kept is open once more.

import { FLAG_RECEIPT_FINAL } from '#protocol/codec/mod.ts'
import { type Range, RangeSet } from '#protocol/session/mod.ts'
import type { Work } from './engine.ts'
import { type Entry, endOf, pairsOf, placesOf, selectionOf, settledBytes } from './entry.ts'
import type { Fates } from './fates.ts'
import { storeFault } from './faults.ts'
import type { Lane } from './lane.ts'
import type { LaneBook } from './lane-book.ts'
import { LOAD_ENTRIES } from './limits.ts'
import { retains } from './policy.ts'
import type { Queue } from './queue.ts'

/** From a position of lane 0 (other lanes whole), or from a time of acceptance (milliseconds since 1970). */
export type ReplayFrom = { readonly fromPosition: number } | { readonly fromMs: number }

/**
 * Opens again what the queue retains from there on; gives how many settled messages that are. In memory at once, on disk
 * with the works it gives. Faults: `QUEUE_NOT_RETAINED`, `QUEUE_BUSY`.
 */
export function replay(
  { book, fates }: { book: LaneBook; fates: Fates },
  queue: Queue,
  from: ReplayFrom,
): { messages: number; works: Work[] } {
  const where = `queue ${queue.info.name}`
  if (!retains(queue.info.policy)) throw storeFault('QUEUE_NOT_RETAINED', { where })
  if (queue.inFlight > 0) throw storeFault('QUEUE_BUSY', { where, why: `${queue.inFlight} messages are out` })
  let messages = 0
  const works: Work[] = []
  const onReopened = (entry: Entry, ranges: readonly Range[]): void => {
    for (const [first, to] of ranges) messages += to - first
    if ((entry.receiptFlags & FLAG_RECEIPT_FINAL) === 0) return
    const places = ranges.flatMap(([first, to]) => placesOf(entry, first - entry.position, to - first))
    works.push(fates.reopen(entry.batchSeq, pairsOf(selectionOf(places))))
  }
  for (const lane of queue.lanes.values()) replayLane(book, lane, { from, onReopened })
  return { messages, works }
}

type Reopening = {
  readonly from: ReplayFrom
  onReopened(entry: Entry, ranges: readonly Range[]): void
}

function replayLane(book: LaneBook, lane: Lane, { from, onReopened }: Reopening): void {
  const asked = 'fromMs' in from ? positionAt(book, lane, from.fromMs) : lane.number === 0 ? from.fromPosition : 0
  const wanted = Math.min(asked, lane.tail)
  const { id } = lane.queue.info
  const settled = cutAt(lane.settled, wanted)
  let { bytes, retainedBytes } = lane
  let known = wanted
  for (let at = book.entryFrom(lane, wanted); ; ) {
    const entries = book.read(id, lane.number, at, LOAD_ENTRIES)
    for (const entry of entries) {
      at = endOf(entry)
      if (entry.position >= lane.tail || lane.leaving.has(entry.position)) continue
      // What is not there any more stays settled.
      if (entry.position > known) settled.add(known, entry.position)
      known = endOf(entry)
      const before = openCount(lane.settled, entry)
      const open = settled.missing(entry.position, endOf(entry))
      const after = countOf(open)
      if (after === before) continue
      if (before === 0) retainedBytes -= entry.bytes
      bytes += settledBytes(entry, entry.count - before) - settledBytes(entry, entry.count - after)
      const reopened = open.flatMap(([first, to]) => settledIn(lane.settled, first, to))
      onReopened(entry, reopened)
    }
    if (entries.length < LOAD_ENTRIES) break
  }
  if (known < lane.tail) settled.add(known, lane.tail)
  const head = book.entryFrom(lane, settled.floor)
  lane.reopen({ settled, bytes, retainedBytes: Math.max(0, retainedBytes) }, head)
}

/** The set without anything from `position` on. */
function cutAt(settled: RangeSet, position: number): RangeSet {
  if (position < settled.floor) return new RangeSet(position)
  const kept = settled.above.filter(([from]) => from < position)
  return new RangeSet(
    settled.floor,
    kept.map(([from, to]) => [from, Math.min(to, position)]),
  )
}

const countOf = (ranges: readonly Range[]): number => ranges.reduce((sum, [from, to]) => sum + to - from, 0)

const openCount = (settled: RangeSet, entry: Entry): number => countOf(settled.missing(entry.position, endOf(entry)))

/** The parts of from ≤ p < to that are in the set. */
function settledIn(settled: RangeSet, from: number, to: number): Range[] {
  const out: Range[] = []
  let at = from
  for (const [openFrom, openTo] of settled.missing(from, to)) {
    if (openFrom > at) out.push([at, openFrom])
    at = openTo
  }
  if (at < to) out.push([at, to])
  return out
}

/** Position of the first entry accepted at `atMs` or later. Entries of a lane mostly lie in order of time. */
function positionAt(book: LaneBook, lane: Lane, atMs: number): number {
  const { id } = lane.queue.info
  let low = book.entryFrom(lane, 0)
  let high = lane.tail
  while (low < high) {
    const middle = low + Math.floor((high - low) / 2)
    const [entry] = book.read(id, lane.number, book.entryFrom(lane, middle), 1)
    if (entry === undefined || entry.storedAtMs >= atMs)
      high = entry === undefined ? middle : Math.min(middle, entry.position)
    else low = endOf(entry)
  }
  return low
}
