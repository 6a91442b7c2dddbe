// Messages as they come: proven first, then handed out as views, settled by the places they have in their delivery.

import { ATTRIBUTE_MS_MAX, type BatchHead, type MessageView, openBatch, openExtract } from '#protocol/codec/mod.ts'
import { Outcome, type Settlement } from '#protocol/schema/mod.ts'
import { type DeliverPrefix, FORM_EXTRACT, FORM_HUB_SEALED, PRIORITIES, RangeSet } from '#protocol/session/mod.ts'
import { clientFault } from './faults.ts'
import { REASON_LENGTH_MAX } from './limits.ts'
import type { Origins } from './origins.ts'
import { PRIORITY_NAMES, type PriorityName } from './outgoing.ts'

/** What a DELIVER frame holds, proven. `places[i]` is the place of message `i` in its batch; `null` when it is `i` itself. */
export type Content = {
  readonly head: BatchHead
  readonly rawBytes: number
  readonly places: readonly number[] | null
  readonly message: (i: number) => MessageView
}

/** Faults: `DELIVERY_INVALID`, those of proofs and of `Origins.keyOf`. */
export function openContent(prefix: DeliverPrefix, content: Buffer, origins: Origins): Content {
  const miscounted = () => clientFault('DELIVERY_INVALID', { why: 'another number of messages' })
  if (prefix.form === FORM_EXTRACT) {
    const extract = openExtract(content, (head) => origins.keyOf(head))
    if (extract.messages.length !== prefix.count) throw miscounted()
    const rawBytes = extract.messages.reduce((sum, { key, body }) => sum + key.length + body.length, 0)
    const message = (i: number) => extract.messages[i] as MessageView
    return { head: extract.head, rawBytes, places: extract.indexes, message }
  }
  const batch = openBatch(content)
  if (batch.count !== prefix.count) throw miscounted()
  batch.verify(origins.keyOf(batch.head))
  return { head: batch.head, rawBytes: batch.head.payloadRawBytes, places: null, message: batch.messages() }
}

/** Where settlements go. `turn` is what the delivery was made with: settlements of an earlier one have no effect. */
export type Settler = {
  readonly queueName: string
  /** Whether settlements of that turn still have an effect. */
  isCurrent(turn: object): boolean
  settle(turn: object, range: Settlement, releasedBytes: number): void
}

/** Places in a delivery; all of it when left out. */
export type RetryOptions = {
  /** How long to wait before they are delivered again. */
  readonly delayMs?: number
  readonly from?: number
  readonly count?: number
}

/**
 * Messages delivered together: all of one sealed batch, proven to come from `origin`, at consecutive positions of a lane. It
 * can be settled until its connection ends or its subscription is replayed; later settlements have no effect.
 */
export class Delivery {
  readonly queue: string
  /** Who vouches for the messages: the agent that sealed them (or the hub, for parts of a batch sealed without a tree). */
  readonly origin: string
  readonly stream: string
  readonly epoch: number
  readonly sealedAtMs: number
  /** Which lane of the queue: positions count for each lane by itself. */
  readonly lane: number
  readonly priority: PriorityName
  /** Position of the first message in its lane. */
  readonly position: number
  readonly count: number
  /** Every position of the lane below is settled. */
  readonly floor: number
  /** 1 at the first delivery. */
  readonly attempt: number
  readonly wireBytes: number
  /** Uncompressed bytes of the messages. */
  readonly rawBytes: number
  /** The hub's store: positions mean something only within it. */
  readonly storeId: string
  private readonly settler: Settler
  private readonly turn: object
  private readonly content: Content
  private readonly hubSealed: boolean
  /** Positions already settled, one way or another. */
  private readonly open: RangeSet

  /** Made by `Subscription`. */
  constructor(parts: {
    settler: Settler
    turn: object
    storeId: string
    prefix: DeliverPrefix
    content: Content
    wireBytes: number
  }) {
    const { prefix, content } = parts
    this.settler = parts.settler
    this.turn = parts.turn
    this.queue = parts.settler.queueName
    this.origin = content.head.origin
    this.stream = content.head.stream
    this.epoch = content.head.epoch
    this.sealedAtMs = content.head.sealedAtMs
    this.lane = prefix.lane
    this.priority = PRIORITY_NAMES[prefix.lane % PRIORITIES] as PriorityName
    this.position = prefix.position
    this.count = prefix.count
    this.floor = prefix.floor
    this.attempt = prefix.attempt
    this.wireBytes = parts.wireBytes
    this.rawBytes = content.rawBytes
    this.storeId = parts.storeId
    this.content = content
    this.hubSealed = prefix.form === FORM_HUB_SEALED
    this.open = new RangeSet(this.position)
  }

  /**
   * Message `i` (0 ≤ i < count); its key and body are views that live as long as the delivery. Faults: `BATCH_MALFORMED` when
   * its origin signed something unreadable: reject that message.
   */
  message(i: number): MessageView {
    return this.content.message(i)
  }

  /**
   * The sequence number of message `i`: with `origin`, `stream` and `epoch` its identity for ever. `null` where the hub
   * sealed the part anew (`origin` is the hub) and nothing proves which messages it took.
   */
  seqOf(i: number): number | null {
    if (this.hubSealed) return null
    const { head, places } = this.content
    return head.firstSeq + (places === null ? i : (places[i] as number))
  }

  *[Symbol.iterator](): Generator<MessageView> {
    for (let i = 0; i < this.count; i++) yield this.content.message(i)
  }

  /** Whether it can still be settled. If not, what was open of it is delivered again. */
  get isCurrent(): boolean {
    return this.settler.isCurrent(this.turn)
  }

  /** Whether message `i` was settled, one way or another. */
  isSettled(i: number): boolean {
    return this.open.has(this.position + i)
  }

  /** Whether message `i` has not been settled yet. */
  isOpen(i: number): boolean {
    return !this.open.has(this.position + i)
  }

  /** Everything was processed; or the part from … from+count-1 (places in this delivery). */
  settle(from = 0, count = this.count - from): void {
    this.send(from, count, { outcome: Outcome.PROCESSED, reason: '', delayMs: 0 })
  }

  /** These messages can never be processed: the hub keeps them aside with the reason. */
  reject(reason: string, from = 0, count = this.count - from): void {
    this.send(from, count, { outcome: Outcome.REJECTED, reason: reasonText(reason), delayMs: 0 })
  }

  /** Deliver these messages again, to anybody, at once or after `delayMs`. Faults: `RETRY_DELAY_INVALID`. */
  retry({ delayMs = 0, from = 0, count = this.count - from }: RetryOptions = {}): void {
    if (!Number.isInteger(delayMs) || delayMs < 0 || delayMs > ATTRIBUTE_MS_MAX) {
      throw clientFault('RETRY_DELAY_INVALID', { why: `${delayMs} ms` })
    }
    this.send(from, count, { outcome: Outcome.RETRY, reason: '', delayMs })
  }

  /** Settles as processed whatever of it has not been settled in another way. */
  settleOpen(): void {
    for (const [from, to] of this.open.missing(this.position, this.position + this.count)) {
      this.settle(from - this.position, to - from)
    }
  }

  /** Without effect when the connection is gone: the hub delivers again what it does not know to be settled. */
  private send(from: number, count: number, how: Pick<Settlement, 'outcome' | 'reason' | 'delayMs'>): void {
    if (count <= 0) return
    const start = this.position + from
    const [first] = this.open.missing(start, start + count)
    if (first === undefined || first[0] !== start || first[1] !== start + count) {
      throw clientFault('SETTLED_TWICE', { where: `position ${start}` })
    }
    this.open.add(start, start + count)
    const done = this.open.floor >= this.position + this.count
    const { outcome, reason, delayMs } = how
    const range = { from: start, count, outcome, reason, lane: this.lane, delayMs }
    this.settler.settle(this.turn, range, done ? this.wireBytes : 0)
  }
}

/** Cut to what a settlement may carry. */
export const reasonText = (reason: string): string => reason.slice(0, REASON_LENGTH_MAX).toWellFormed()
