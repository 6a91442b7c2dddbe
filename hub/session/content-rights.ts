// Which large contents an agent may fetch, and refer to: those it has sent, those that a message refers to which was delivered to
// it, and those that one refers to which lies where it may consume it. A right that is recorded when a message is delivered
// outlives the message; the last one needs no record: it covers what a hub that was killed had delivered and not yet recorded.

import { type HubStore, type Lease, placesOf, type QueueInfo, selectionOf } from '#hub/store/mod.ts'
import type { Contents } from '#hub/transfer/mod.ts'
import { asFault } from '#protocol/base/mod.ts'
import { contentsIn, openBatch } from '#protocol/codec/mod.ts'
import type { Route } from './producer.ts'

export type ContentRightsOptions = {
  readonly agent: string
  readonly context: { readonly store: HubStore; readonly contents: Contents; readonly route: Route }
  /** Whether the agent may consume the queue. */
  mayConsume(queue: QueueInfo): boolean
}

export class ContentRights {
  private readonly options: ContentRightsOptions

  constructor(options: ContentRightsOptions) {
    this.options = options
  }

  /** Faults: `STORE_IO`. */
  mayRead(id: string): boolean {
    const { agent, context } = this.options
    const { contents, store } = context
    if (contents.store.get(id)?.origin === agent || contents.store.readers.has(id, agent)) return true
    for (const seq of store.contentHolds.batchesOf(id)) if (this.mayReceive(seq, id)) return true
    return false
  }

  /** Messages go out to the agent. */
  delivered({ entry, from, count }: Lease): void {
    const { agent, context } = this.options
    const { store } = context
    if (entry.batchSeq === 0 || !store.contentHolds.has(entry.batchSeq)) return
    const batch = openBatch(store.batchBytes(entry.batchSeq))
    const places = selectionOf(placesOf(entry, from - entry.position, count))
    for (const id of contentsIn(batch, places)) context.contents.store.readers.admit(id, agent)
  }

  /** Whether a message of the batch refers to it and goes, by the rules of now, where the agent may consume it. */
  private mayReceive(seq: number, id: string): boolean {
    const { context, mayConsume } = this.options
    const { store, route } = context
    try {
      const batch = openBatch(store.batchBytes(seq))
      const { placements } = route(batch, store.unrouted)
      return placements.some(({ queue, selection }) => {
        return mayConsume(queue.info) && contentsIn(batch, selection).includes(id)
      })
    } catch (error) {
      // Damaged, or not stored yet: nobody can receive it either.
      if (asFault(error).code === 'STORE_IO') throw error
      return false
    }
  }
}
