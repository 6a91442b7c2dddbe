// What a queue does beside keeping messages in order: how consumers share it, what it may hold, what happens to what
// nobody can process or what comes too late. Zero means no limit.

import { PARTITIONS_MAX } from '#protocol/session/mod.ts'

/** Where messages go that no queue wanted. */
export const QUEUE_UNROUTED = '$unrouted'
/** Where messages go that were rejected, tried too often, came too late or did not fit. */
export const QUEUE_DEAD = '$dead'
/** Where messages wait whose content, or a pipeline, decides where they go. */
export const QUEUE_ROUTING = '$routing'
/** An agent's own: what is addressed to it, to a group of its or to all. */
export const inboxOf = (agent: string): string => `inbox/${agent}`
/** An agent's own: what became of messages it asked receipts of. */
export const receiptsOf = (agent: string): string => `receipts/${agent}`

export type QueuePolicy = {
  /**
   * `stream`, `key`: messages of one producer stream, or with one key, are out at one consumer at a time; `none`:
   * competing consumers take what comes next.
   */
  readonly order: 'none' | 'stream' | 'key'
  /** Parts the queue is divided into, when it has an order: 1 to 64. */
  readonly partitions: number
  readonly messagesMax: number
  readonly bytesMax: number
  readonly ageMsMax: number
  /** `block`: batches that do not fit are refused for the moment, their senders keep them. */
  readonly onFull: 'block' | 'drop-oldest' | 'dead-letter'
  /** Deliveries of one message before it goes to the dead letters. */
  readonly maxDeliver: number
  /** Name of the queue for what cannot be processed. */
  readonly deadLetter: string
  readonly onExpire: 'dead-letter' | 'drop'
  /** How long and how many bytes of settled messages are kept, to be replayed. Either keeps nothing at 0. */
  readonly retainMs: number
  readonly retainBytes: number
}

export const PARTITIONS_DEFAULT = 16

export const DEFAULT_POLICY: QueuePolicy = {
  order: 'none',
  partitions: 1,
  messagesMax: 0,
  bytesMax: 0,
  ageMsMax: 0,
  onFull: 'block',
  maxDeliver: 0,
  deadLetter: QUEUE_DEAD,
  onExpire: 'dead-letter',
  retainMs: 0,
  retainBytes: 0,
}

/** The policy with what was given, within its bounds. */
export function policyOf(given: Partial<QueuePolicy>): QueuePolicy {
  const order = given.order ?? 'none'
  const wanted = given.partitions ?? 0
  const partitions = order === 'none' ? 1 : Math.min(wanted === 0 ? PARTITIONS_DEFAULT : wanted, PARTITIONS_MAX)
  return { ...DEFAULT_POLICY, ...given, order, partitions }
}

/** Whether settled messages are kept. */
export const retains = ({ retainMs, retainBytes }: QueuePolicy): boolean => retainMs > 0 || retainBytes > 0
