// The hub source's cursor: which positions of which queue at which hub are done. `store` changes when the hub was made anew
// or restored: positions of another store mean nothing.

import { type Range, RangeSet } from '#protocol/session/mod.ts'
import type { Cursor } from '../../contract.ts'
import { componentFault } from '../../faults.ts'

export type HubPosition = { readonly store: string; readonly queue: string; readonly done: RangeSet }

export function encodeHubPosition({ store, queue, done }: HubPosition): Cursor {
  return JSON.stringify({ store, queue, floor: done.floor, above: done.above })
}

/** Faults: `SOURCE_POSITION_INVALID`. */
export function decodeHubPosition(cursor: Cursor): HubPosition {
  try {
    const { store, queue, floor, above } = JSON.parse(cursor) as Record<string, unknown>
    if (typeof store === 'string' && typeof queue === 'string' && Number.isSafeInteger(floor) && Array.isArray(above)) {
      return { store, queue, done: new RangeSet(floor as number, above as Range[]) }
    }
  } catch (cause) {
    throw componentFault('SOURCE_POSITION_INVALID', { where: 'source hub', cause })
  }
  throw componentFault('SOURCE_POSITION_INVALID', { where: 'source hub' })
}

export function copyOf(set: RangeSet): RangeSet {
  return new RangeSet(set.floor, set.above)
}
