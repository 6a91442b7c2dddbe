// The hub source's cursor: which positions of which lanes of which queue at which hub are done. `store` changes when the hub was
// made anew or restored: positions of another store mean nothing. For then it also says which messages are done: `fresh` those
// done in this store, `former` those done before it.
//
// Written down, lane 0 stands where the only lane stood before there were several: `{store, queue, floor, above, lanes?, done?,
// before?}`, with `lanes` as [lane, floor, above] of the others, `done` and `before` as identities.ts has them. Cursors of the
// older forms are read for ever.

import { LANES_MAX, type Range, RangeSet } from '#protocol/session/mod.ts'
import type { Cursor } from '../../contract.ts'
import { componentFault } from '../../faults.ts'
import { Identities } from './identities.ts'

/** Positions by lane. A lane that was never asked for is empty and takes no memory. */
export class LanePositions {
  readonly #lanes = new Map<number, RangeSet>()

  /** Lanes something is known of, ascending. */
  get lanes(): readonly number[] {
    return [...this.#lanes.keys()].sort((a, b) => a - b)
  }

  /** The set of a lane, made when it is new. */
  of(lane: number): RangeSet {
    const known = this.#lanes.get(lane)
    if (known !== undefined) return known
    const made = new RangeSet()
    this.#lanes.set(lane, made)
    return made
  }

  set(lane: number, positions: RangeSet): void {
    this.#lanes.set(lane, positions)
  }

  copy(): LanePositions {
    const copy = new LanePositions()
    for (const [lane, { floor, above }] of this.#lanes) copy.set(lane, new RangeSet(floor, above))
    return copy
  }
}

export type HubPosition = {
  readonly store: string
  readonly queue: string
  readonly done: LanePositions
  readonly fresh: Identities
  readonly former: Identities
}

export function encodeHubPosition({ store, queue, done, fresh, former }: HubPosition): Cursor {
  const { floor, above } = done.of(0)
  const lanes = done.lanes
    .filter((lane) => lane !== 0)
    .map((lane) => {
      const { floor, above } = done.of(lane)
      return [lane, floor, above]
    })
  const [now, before] = [fresh.encode(), former.encode()]
  return JSON.stringify({
    store,
    queue,
    floor,
    above,
    ...(lanes.length > 0 ? { lanes } : {}),
    ...(now.length > 0 ? { done: now } : {}),
    ...(before.length > 0 ? { before } : {}),
  })
}

/** Faults: `SOURCE_POSITION_INVALID`. */
export function decodeHubPosition(cursor: Cursor): HubPosition {
  const invalid = (cause?: unknown) =>
    componentFault('SOURCE_POSITION_INVALID', { where: 'source hub', ...(cause === undefined ? {} : { cause }) })
  let read: Record<string, unknown> | null
  try {
    read = JSON.parse(cursor) as Record<string, unknown> | null
  } catch (cause) {
    throw invalid(cause)
  }
  const { store, queue, floor, above, lanes = [], done: now = [], before = [] } = read ?? {}
  if (typeof store !== 'string' || typeof queue !== 'string' || !Array.isArray(lanes)) throw invalid()
  const done = new LanePositions()
  for (const entry of [[0, floor, above], ...lanes]) {
    if (!isLane(entry)) throw invalid()
    done.set(entry[0], new RangeSet(entry[1], entry[2]))
  }
  const [fresh, former] = [Identities.decode(now), Identities.decode(before)]
  if (fresh === null || former === null) throw invalid()
  return { store, queue, done, fresh, former }
}

function isLane(entry: unknown): entry is [lane: number, floor: number, above: Range[]] {
  if (!Array.isArray(entry)) return false
  const [lane, floor, above] = entry as unknown[]
  return isWhole(lane) && lane < LANES_MAX && isWhole(floor) && Array.isArray(above) && above.every(isRange)
}

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isRange = (value: unknown): boolean => Array.isArray(value) && value.length === 2 && value.every(isWhole)

/** Where a row comes from: `17` in lane 0, which is the only one of most queues, `4:17` in another. */
export const refOf = (lane: number, position: number): string | number =>
  lane === 0 ? position : `${lane}:${position}`

/** The lane and position of a reference. */
export function placeOf(ref: string | number): { readonly lane: number; readonly position: number } {
  const [first, second] = String(ref).split(':')
  return second === undefined ? { lane: 0, position: Number(first) } : { lane: Number(first), position: Number(second) }
}
