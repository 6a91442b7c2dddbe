// Messages of a lease that go on elsewhere, put together by where they go and by how they leave.

import { type Home, placesOf } from './entry.ts'
import type { Lease } from './lane.ts'
import type { Queue } from './queue.ts'

/**
 * Where messages go on as they are. With a `note`, which says why, among dead letters: a redrive brings them back from there to `home`
 * (left out: where they leave), with `backNote`.
 */
export type Target = {
  readonly queue: Queue
  readonly lane: number
  readonly note?: string
  readonly backNote?: string
  readonly home?: Home
}

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
  readonly to: Iterable<Copies>
}

/**
 * What parts of a lease come to, each kind together; but in one lane nothing comes before what lay before it, so that what differs
 * there is apart, in its order.
 */
export function sorted(
  { entry }: Lease,
  parts: readonly Conveyed[],
): { copies: Iterable<Copies>; ends: Iterable<Ends> } {
  const copies: Copies[] = []
  /** The last of each lane. */
  const last = new Map<string, { readonly key: string; readonly copy: Copies }>()
  const ends = new Map<string, Ends & { readonly to: Set<Copies> }>()
  for (const { from, count, to, by, reason, detail } of parts) {
    const places = placesOf(entry, from - entry.position, count)
    const isDead = to.length > 0 && to.every(({ note }) => note !== undefined)
    const went = to.map((target, i) => {
      // One copy goes on as the one whose end is told.
      const told = i === 0 && !isDead && entry.receiptFlags !== 0
      const { queue, lane, note, backNote = '', home } = target
      const back = home === undefined ? backNote : `${home.queueId} ${home.lane} ${backNote}`
      const at = `${queue.info.id} ${lane}`
      const key = `${at} ${told} ${note === undefined ? '' : `:${note}\0${back}`}`
      let went = last.get(at)
      if (went?.key !== key) {
        went = { key, copy: { target, told, places: [] } }
        last.set(at, went)
        copies.push(went.copy)
      }
      went.copy.places.push(...places)
      return went
    })
    const key = JSON.stringify([went.map((one) => one.key), by, reason, detail])
    const end = ends.get(key)
    const all = went.map(({ copy }) => copy)
    if (end === undefined) {
      ends.set(key, { isDead, isOver: to.length === 0, by, reason, detail, places: [...places], to: new Set(all) })
      continue
    }
    end.places.push(...places)
    for (const copy of all) end.to.add(copy)
  }
  return { copies, ends: ends.values() }
}
