// Messages of the hub's own: sealed with its key, stored like an agent's. Each stream carries one message, number 1, so the
// stream's name is what makes a repeat harmless: the store drops it, whatever happened between the two.

import type { HubStore } from '#hub/store/mod.ts'
import { BatchBuilder, type Headers, openBatch } from '#protocol/codec/mod.ts'
import type { HubIdentity } from './identity.ts'
import type { Route } from './producer.ts'

const EPOCH = 1

export type OwnMessage = {
  /** Names the message for ever: at most `STREAM_NAME_BYTES_MAX` bytes. */
  readonly stream: string
  readonly topic: string
  readonly headers: Headers
  readonly body: string
  readonly nowMs: number
}

export class OwnMessages {
  private readonly store: HubStore
  private readonly route: Route
  private readonly identity: HubIdentity

  constructor({ store, route, identity }: { store: HubStore; route: Route; identity: HubIdentity }) {
    this.store = store
    this.route = route
    this.identity = identity
  }

  /**
   * Resolves when it is on disk; nothing happens when it was there already. Faults: `TOPIC_INVALID`, `HEADERS_INVALID`,
   * `ATTRIBUTE_INVALID`, `QUEUE_FULL`, `STORE_FULL`, `STORE_IO`.
   */
  async publish({ stream: name, topic, headers, body, nowMs }: OwnMessage): Promise<void> {
    const { store, identity } = this
    const stream = store.stream(identity.name, name, EPOCH)
    try {
      if (stream.durableSeq > 0) return
      const builder = new BatchBuilder()
      builder.add(topic, headers, null, body)
      const batch = openBatch(
        builder.seal({
          origin: identity.name,
          stream: name,
          epoch: EPOCH,
          firstSeq: 1,
          sealedAtMs: nowMs,
          key: identity.key,
          compression: 'none',
          tree: false,
        }),
      )
      await store.append(stream, batch, this.route(batch, store.unrouted).placements)
    } finally {
      store.closeStream(stream)
    }
  }
}
