// Messages of a lease that go on elsewhere, put together by where they go and by how they leave.

import { placesOf } from './entry.ts'
import type { Lease } from './lane.ts'
import type { Queue } from './queue.ts'

/** Where messages go on as they are. With a `note`, which says why, among dead letters: they come back from there by a redrive. */
export type Target = { readonly queue: Queue; readonly lane: number; readonly note?: string }

/** Messages from … from+count-1 of a lease, and where they go on, each a copy. */
export type Conveyed = {
  readonly from: number
  readonly count: number
  readonly to: readonly Target[]
  readonly by: string
  readonly reason: string
  readonly detail?: unknown
}

/** Messages that go to one lane the same way, by their places in the batch. `told`: their end is told to their origin. */
export type Copies = { readonly target: Target; readonly told: boolean; readonly places: number[] }

/** Messages that leave the same way. */
export type Ends = Pick<Conveyed, 'by' | 'reason' | 'detail'> & {
  readonly isDead: boolean
  readonly isOver: boolean
  readonly places: number[]
  readonly to: readonly Copies[]
}

/** What parts of a lease come to, each kind together. */
export function sorted(
  { entry }: Lease,
  parts: readonly Conveyed[],
): { copies: Iterable<Copies>; ends: Iterable<Ends> } {
  const copies = new Map<string, Copies>()
  const ends = new Map<string, Ends>()
  for (const { from, count, to, by, reason, detail } of parts) {
    const places = placesOf(entry, from - entry.position, count)
    const isDead = to.length > 0 && to.every(({ note }) => note !== undefined)
    const went = to.map((target, i) => {
      // One copy goes on as the one whose end is told.
      const told = i === 0 && !isDead
      const { queue, lane, note } = target
      const key = `${queue.info.id} ${lane} ${told} ${note === undefined ? '' : `:${note}`}`
      let copy = copies.get(key)
      if (copy === undefined) {
        copy = { target, told, places: [] }
        copies.set(key, copy)
      }
      copy.places.push(...places)
      return { key, copy }
    })
    const key = JSON.stringify([went.map((one) => one.key), by, reason, detail])
    const end = ends.get(key)
    if (end !== undefined) end.places.push(...places)
    else {
      const all = went.map(({ copy }) => copy)
      ends.set(key, { isDead, isOver: to.length === 0, by, reason, detail, places: [...places], to: all })
    }
  }
  return { copies: copies.values(), ends: ends.values() }
}
