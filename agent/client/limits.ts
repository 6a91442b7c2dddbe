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

export const HANDSHAKE_MS_MAX = 30_000

/** What is queued on the socket before producers wait. */
export const QUEUED_BYTES_MAX = 1024 * 1024

/** Large content keeps to half of it, so that what is more urgent waits behind less. */
export const BULK_QUEUED_BYTES_MAX = 512 * 1024

/** On a slow line a piece takes an eighth of a second, but is never so small that frames weigh more than content. */
export const PIECES_PER_SECOND = 8
export const PIECE_BYTES_MIN = 4 * 1024
/** Timers of a busy process come so late. */
export const LATE_SECONDS = 0.05
/** While nothing may travel at this time of day, that is asked again so often. */
export const CLOSED_WINDOW_MS = 500
/** Where the rate is limited a hub is allowed to have so much on its way: a quarter of a second's worth, and some frames at least. */
export const CREDIT_AHEAD_SECONDS = 0.25
export const CREDIT_AHEAD_BYTES_MIN = 64 * 1024

/** Batches are sealed at about this raw size: large enough to share signature, write and acknowledgement, small enough for latency. */
export const BATCH_BYTES = 256 * 1024

/** Bytes a publisher holds until they are acknowledged. */
export const WINDOW_BYTES = 8 * 1024 * 1024

/** What a subscription lets the hub send ahead: about sixteen batches. */
export const DELIVERY_CREDIT_BYTES = 4 * 1024 * 1024
export const DELIVERY_CREDIT_MESSAGES = 65_536

/**
 * Pauses of a stream whose batch was refused for the moment (a full queue): short enough to use the room a consumer makes,
 * long enough that a thousand waiting senders cost a hub some hundred refusals a second.
 */
export const REFUSED_RETRY_MS_FIRST = 100
export const REFUSED_RETRY_MS_MAX = 5000
/** And when only an operator can change the answer. */
export const UNCURED_RETRY_MS_FIRST = 2000

/** One SETTLE carries at most so many ranges, and so many bytes: a range takes 40 and its reason, of a frame's 64 KiB. */
export const SETTLE_RANGES_MAX = 512
export const SETTLE_BYTES_MAX = 48 * 1024
export const SETTLE_RANGE_BYTES = 40

/** What a fault says of a delivery is cut to the length of a settlement's reason. */
export const REASON_LENGTH_MAX = 512
