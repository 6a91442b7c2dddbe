// The messages behind a hold: which ones refer to a large content, for people who ask.

import { contentsIn, openBatch } from '#protocol/codec/mod.ts'
import type { MessageId } from './admin.ts'
import type { HubStore } from './store.ts'

/** The first `max` messages, of stored batches, that refer to a content; those of batches that cannot be read are left out. */
export function messagesReferringTo(store: HubStore, content: string, max: number): MessageId[] {
  const found: MessageId[] = []
  for (const seq of store.contentHolds.batchesOf(content)) {
    for (const id of messagesIn(store, seq, content)) {
      if (found.length === max) return found
      found.push(id)
    }
  }
  return found
}

function messagesIn(store: HubStore, seq: number, content: string): MessageId[] {
  try {
    const batch = openBatch(store.batchBytes(seq))
    const { origin, stream, epoch, firstSeq } = batch.head
    return batch.index().runs.flatMap(({ from, count }) => {
      if (!contentsIn(batch, [from, count]).includes(content)) return []
      return Array.from({ length: count }, (_, i) => ({ origin, stream, epoch, seq: firstSeq + from + i }))
    })
  } catch {
    // Damaged, or on its way to the disk.
    return []
  }
}
