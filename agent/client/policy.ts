// What an agent wants of a subscription of its own beside its messages, as the wire has it.

import { OnExpire, OnFull, QueueOrder, type QueuePolicy } from '#protocol/schema/mod.ts'

/** What is left out is as usual; 0 means no limit. */
export type SubscriptionPolicy = {
  /**
   * `stream`, `key`: messages of one producer stream, or with one key, are out at one consumer at a time, in their order;
   * `none` (default): competing consumers take what comes next.
   */
  readonly order?: 'none' | 'stream' | 'key'
  /** With an order: how many parts may be worked on side by side, 1 to 64; 16 when left out. */
  readonly partitions?: number
  readonly messagesMax?: number
  readonly bytesMax?: number
  /** Messages older than this are worth nothing. */
  readonly ageMsMax?: number
  /** `block` (default): senders keep what does not fit and try again. */
  readonly onFull?: 'block' | 'drop-oldest' | 'dead-letter'
  /** Deliveries of one message before it goes to the dead letters. */
  readonly maxDeliver?: number
  readonly onExpire?: 'dead-letter' | 'drop'
  /** How long settled messages are kept for `replay`, and how many bytes of them. */
  readonly retainMs?: number
  readonly retainBytes?: number
}

const ORDERS = { none: QueueOrder.NONE, stream: QueueOrder.STREAM, key: QueueOrder.KEY } as const
const FULL = { block: OnFull.BLOCK, 'drop-oldest': OnFull.DROP_OLDEST, 'dead-letter': OnFull.DEAD_LETTER } as const
const EXPIRED = { 'dead-letter': OnExpire.DEAD_LETTER, drop: OnExpire.DROP } as const

export function policyMessage(policy: SubscriptionPolicy): QueuePolicy {
  return {
    order: ORDERS[policy.order ?? 'none'],
    partitions: policy.partitions ?? 0,
    messagesMax: policy.messagesMax ?? 0,
    bytesMax: policy.bytesMax ?? 0,
    ageMsMax: policy.ageMsMax ?? 0,
    onFull: FULL[policy.onFull ?? 'block'],
    maxDeliver: policy.maxDeliver ?? 0,
    onExpire: EXPIRED[policy.onExpire ?? 'dead-letter'],
    retainMs: policy.retainMs ?? 0,
    retainBytes: policy.retainBytes ?? 0,
  }
}
