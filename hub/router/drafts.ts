// What is made, on its way into batches of the hub's own.

import type { MadePlacement, Queue, Target } from '#hub/store/mod.ts'
import type { MadeMessage } from '#hub/transform/mod.ts'
import { attributesOf, type Batch, BatchBuilder, PLAIN } from '#protocol/codec/mod.ts'
import { Choices } from './choices.ts'
import { MADE_BATCH_BYTES } from './limits.ts'

/** A message that is made, and where to. */
export type MadeOne = {
  readonly message: MadeMessage
  readonly to: readonly Queue[]
  /** Why it is dead; `null`: it is not. */
  readonly note: string | null
  /** See `Target`. */
  readonly backNote?: string
  readonly home?: Target['home']
}

/** What was made and fits into one batch; to be sealed when its number is known. */
export type Draft = {
  readonly messages: readonly MadeOne[]
  readonly of: string
  readonly detail: unknown
  /** Holds the messages until it is sealed. */
  readonly builder: BatchBuilder
}

/** What was made, in as many batches as it takes. */
export function draftsOf(messages: readonly MadeOne[], of: string, detail: unknown): Draft[] {
  const drafts: (Draft & { readonly messages: MadeOne[] })[] = []
  for (const one of messages) {
    const { body, key } = one.message
    const size = typeof body === 'string' ? Buffer.byteLength(body) : body.length
    let draft = drafts.at(-1)
    const isFull = draft === undefined || draft.builder.rawBytes + size > MADE_BATCH_BYTES
    if (draft === undefined || isFull || !draft.builder.fits(size, key?.length ?? 0)) {
      draft = { messages: [], of, detail, builder: new BatchBuilder() }
      drafts.push(draft)
    }
    add(draft.builder, one)
    draft.messages.push(one)
  }
  return drafts
}

function add(builder: BatchBuilder, { message }: MadeOne): void {
  builder.add(message.topic, message.headers, message.key, message.body)
}

/** Its messages, to be sealed; also when they were before. */
export function builderOf({ messages, builder }: Draft): BatchBuilder {
  if (builder.count === 0) for (const one of messages) add(builder, one)
  return builder
}

/** Where the messages of a draft go, once it is a batch. */
export function placementsOf({ messages }: Draft, batch: Batch): MadePlacement[] {
  const choices = new Choices(batch)
  const noted: MadePlacement[] = []
  for (const [i, { message, to, note, backNote = '', home }] of messages.entries()) {
    for (const queue of to) {
      const back = home === undefined ? { backNote } : { backNote, home }
      if (note === null) choices.add(queue, attributesOf(message.headers), i, 1)
      else noted.push({ queue, partition: 0, attributes: PLAIN, count: 1, selection: [i, 1], note, ...back })
    }
  }
  const placements: MadePlacement[] = choices.placements().map((placement) => {
    const { ttlMs } = placement.attributes
    return ttlMs === 0 ? placement : { ...placement, expiresAtMs: batch.head.sealedAtMs + ttlMs }
  })
  return [...placements, ...noted]
}
