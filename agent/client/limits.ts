// What this side can take, told to the hub in HELLO; the smaller of both sides wins.

import { BATCH_MESSAGES_MAX, HEADERS_BYTES_MAX } from '#protocol/codec/mod.ts'
import { BATCH_FRAME_BYTES_MAX, BODY_BYTES_MAX } from '#protocol/frame/mod.ts'

export const VERSIONS = { min: 1, max: 1 } as const
export const SOFTWARE = 'causeway-agent/0.1.0'

export const LIMITS = {
  frameBytesMax: BATCH_FRAME_BYTES_MAX,
  batchBytesMax: BATCH_FRAME_BYTES_MAX,
  bodyBytesMax: BODY_BYTES_MAX,
  batchMessagesMax: BATCH_MESSAGES_MAX,
  headersBytesMax: HEADERS_BYTES_MAX,
  /** Unacknowledged bytes a producer may have under way: the hub holds them in memory until they are on its disk. */
  creditBytesMax: 8 * 1024 * 1024,
  streamsMax: 256,
  subscriptionsMax: 256,
}

export const HANDSHAKE_MS_MAX = 10_000

/** What is queued on the socket before producers wait. */
export const QUEUED_BYTES_MAX = 1024 * 1024

/** Batches are sealed at about this raw size: large enough to share signature, write and acknowledgement, small enough for latency. */
export const BATCH_BYTES = 256 * 1024

/** Bytes a publisher holds until they are acknowledged. */
export const WINDOW_BYTES = 8 * 1024 * 1024

/** What a subscription lets the hub send ahead: about sixteen batches. */
export const DELIVERY_CREDIT_BYTES = 4 * 1024 * 1024
export const DELIVERY_CREDIT_MESSAGES = 65_536
