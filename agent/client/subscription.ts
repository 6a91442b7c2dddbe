// Consumes a queue or a subscription: deliveries come in order, proven; settlements go back as ranges. Credit is given for what
// was settled, not for what arrived, so a slow consumer is never flooded.
//
// A turn lasts from SUBSCRIBED to the end of the connection or to the next replay. Deliveries belong to a turn; settlements of
// an earlier one are dropped, because the hub delivers those messages again.

import { asFault, type Fault } from '#protocol/base/mod.ts'
import {
  CHANNEL_CONTROL,
  CHANNEL_RECEIPTS,
  FRAME_CREDIT,
  FRAME_REPLAY,
  FRAME_SETTLE,
  FRAME_SUBSCRIBE,
  FRAME_UNSUBSCRIBE,
} from '#protocol/frame/mod.ts'
import {
  decodeReplayed,
  decodeSubscribed,
  encodeCredit,
  encodeReplay,
  encodeSettle,
  encodeSubscribe,
  encodeUnsubscribe,
  Outcome,
  type Settlement,
  type Subscribe,
} from '#protocol/schema/mod.ts'
import { DELIVER_PREFIX_BYTES, type DeliverPrefix, parseDeliverPrefix } from '#protocol/session/mod.ts'
import type { HubConnection } from './connection.ts'
import { type Content, Delivery, openContent, reasonText, type Settler } from './delivery.ts'
import { clientFault } from './faults.ts'
import {
  DELIVERY_CREDIT_BYTES,
  DELIVERY_CREDIT_MESSAGES,
  SETTLE_BYTES_MAX,
  SETTLE_RANGE_BYTES,
  SETTLE_RANGES_MAX,
} from './limits.ts'
import type { Origins } from './origins.ts'
import { policyMessage, type SubscriptionPolicy } from './policy.ts'

export type SubscribeOptions = {
  /** An existing queue, shared with other consumers; or, instead, `name` and `topics`. */
  readonly queue?: string
  /** A durable subscription of this agent's own: it keeps collecting while the agent is away. */
  readonly name?: string
  readonly topics?: readonly string[]
  /** Header name → value or values; all must match. */
  readonly where?: Readonly<Record<string, string | readonly string[]>>
  /** Ends with the connection. */
  readonly ephemeral?: boolean
  /** Of a subscription of its own: order among consumers, limits, retention. A queue has the hub's. */
  readonly policy?: SubscriptionPolicy
  readonly creditBytes?: number
  readonly creditMessages?: number
}

/** From where a replay begins: a position of the normal lane (others are replayed whole), or a time of the hub's clock. */
export type ReplayFrom = { readonly fromPosition: number } | { readonly fromMs: number }

/** What a subscription tells its client. */
export type SubscriptionHooks = {
  /** It has asked the hub something: the answer with this number belongs to it. */
  onRequest(request: number, subscription: Subscription): void
  /** Messages were not what their origin sealed; they were rejected. */
  onUnproven(fault: Fault, messages: number): void
  onEnd(subscription: Subscription): void
}

export class Subscription implements AsyncIterable<Delivery>, Settler {
  readonly options: SubscribeOptions
  /** The queue's name at the hub, once subscribed. */
  queueName = ''
  /** For those who poll with `tryNext`: something came. */
  onDelivery: () => void = () => {}
  /** The hub refused it after a reconnect. */
  onFailed: (fault: Fault) => void = () => {}
  private consumer = 0
  private connection: HubConnection | null = null
  private origins: Origins | null = null
  private readonly deliveries: Delivery[] = []
  private wake: (() => void) | null = null
  private ended = false
  private forgotten = false
  private failure: Fault | null = null
  private storeId = ''
  private turn: object = {}
  /** Replays asked for and not answered yet: meanwhile nothing is handed out and no settlement is sent. */
  private replaying = 0
  private receivedBytes = 0
  private receivedMessages = 0
  private settledBytes = 0
  private settledMessages = 0
  private grantedBytes = 0
  private grantedMessages = 0
  private settlements: Settlement[] = []
  private settlementBytes = 0
  private settleId = 0
  private readonly hooks: SubscriptionHooks

  /** Use `client.subscribe()`. */
  constructor(options: SubscribeOptions, hooks: SubscriptionHooks) {
    this.options = options
    this.hooks = hooks
  }

  /** Subscribes on a new connection; deliveries of the old one are dropped, the hub sends them again. */
  async attach(connection: HubConnection, origins: Origins): Promise<void> {
    this.begin()
    this.consumer = 0
    this.settleId = 0
    this.replaying = 0
    this.receivedBytes = 0
    this.receivedMessages = 0
    this.settledBytes = 0
    this.settledMessages = 0
    this.storeId = connection.terms.storeId.toString('hex')
    this.grantedBytes = this.options.creditBytes ?? DELIVERY_CREDIT_BYTES
    this.grantedMessages = this.options.creditMessages ?? DELIVERY_CREDIT_MESSAGES
    // Deliveries may come in the same chunk as the answer: be ready for them before asking.
    this.connection = connection
    this.origins = origins
    await connection.request(FRAME_SUBSCRIBE, (request) => {
      this.hooks.onRequest(request, this)
      return encodeSubscribe(this.requestBody(request))
    })
    // It was closed while the question was on its way: the hub must not go on delivering.
    if (this.ended) this.leave({ forget: this.forgotten })
  }

  /** The answer to SUBSCRIBE; called as soon as it arrives, since deliveries may follow at once. */
  subscribed(body: Buffer): void {
    const { consumer, queue } = decodeSubscribed(body)
    this.consumer = consumer
    this.queueName = queue
  }

  /**
   * A DELIVER body for this consumer; gives the uncompressed bytes of its messages. What is not what its origin sealed is
   * rejected with the reason and never handed on. Faults: `SESSION_BODY_INVALID`.
   */
  receive(connection: HubConnection, body: Buffer): number {
    if (connection !== this.connection || this.origins === null || this.ended) return 0
    const prefix = parseDeliverPrefix(body)
    const wireBytes = body.length
    this.receivedBytes += wireBytes
    this.receivedMessages += prefix.count
    const view = body.subarray(DELIVER_PREFIX_BYTES)
    let content: Content
    try {
      // A large body has a buffer of its own; a small one lies in the socket's chunk, which it must not keep alive.
      content = openContent(prefix, body.length === body.buffer.byteLength ? view : Buffer.from(view), this.origins)
    } catch (error) {
      this.refuse(prefix, wireBytes, asFault(error))
      return 0
    }
    const { turn, storeId } = this
    this.deliveries.push(new Delivery({ settler: this, turn, storeId, prefix, content, wireBytes }))
    this.wakeUp()
    return content.rawBytes
  }

  /**
   * Opens again what the hub has retained of this subscription: it is delivered once more, besides what is open anyway. Gives
   * how many settled messages that are. From the call on, deliveries that came before have no effect any more: what was
   * settled of them before the call is settled, the rest comes again. Afterwards as before when the hub refuses.
   * Faults: `REQUEST_REFUSED` (only an agent's own subscriptions can be replayed), `CONNECTION_LOST` (whether it happened is
   * not known; repeat it), `CLIENT_CLOSED`.
   */
  async replay(from: ReplayFrom): Promise<number> {
    if (this.ended) throw this.failure ?? clientFault('CLIENT_CLOSED', { where: this.queueName })
    const { connection, consumer } = this
    if (connection === null || !connection.alive || consumer === 0)
      throw clientFault('CONNECTION_LOST', { retry: true })
    const fromMs = 'fromMs' in from ? Math.max(0, Math.floor(from.fromMs)) : 0
    const fromPosition = 'fromPosition' in from ? from.fromPosition : 0
    this.flush()
    this.replaying++
    try {
      const body = await connection.request(FRAME_REPLAY, (request) => {
        this.hooks.onRequest(request, this)
        return encodeReplay({ request, consumer, fromPosition, fromMs })
      })
      return decodeReplayed(body).messages
    } catch (error) {
      if (connection === this.connection) this.resume()
      throw error
    }
  }

  /** @internal REPLAYED, as soon as it arrives, since deliveries may follow at once: a new turn. */
  replayed(): void {
    this.begin()
    // What came before will not be settled any more: its credit is free.
    this.settledBytes = this.receivedBytes
    this.settledMessages = this.receivedMessages
    this.grant()
    this.resume()
  }

  get hasNext(): boolean {
    return this.deliveries.length > 0 && this.replaying === 0
  }

  /** The next delivery if one is here. */
  tryNext(): Delivery | null {
    return this.hasNext ? (this.deliveries.shift() as Delivery) : null
  }

  /** The next delivery; `null` when the subscription was closed. Throws when the hub refuses it after a reconnect. */
  async next(): Promise<Delivery | null> {
    while (!this.hasNext && !this.ended) {
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
      this.wake = null
    }
    if (this.failure !== null) throw this.failure
    return this.ended ? null : (this.deliveries.shift() as Delivery)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Delivery> {
    for (let delivery = await this.next(); delivery !== null; delivery = await this.next()) yield delivery
  }

  /** Stops consuming; what is not settled goes back to the queue. `forget` also removes the agent's own subscription. */
  close(options: { forget?: boolean } = {}): void {
    if (this.ended) return
    this.forgotten = options.forget === true
    this.flush()
    this.end()
    this.leave({ forget: this.forgotten })
    this.hooks.onEnd(this)
  }

  private leave({ forget }: { forget: boolean }): void {
    const { connection, consumer } = this
    if (connection === null || !connection.alive || consumer === 0) return
    this.consumer = 0
    connection.send(FRAME_UNSUBSCRIBE, CHANNEL_CONTROL, encodeUnsubscribe({ request: 0, consumer, forget }))
  }

  /** The hub will not have it any more. */
  fail(fault: Fault): void {
    if (this.failure !== null) return
    this.failure = fault
    this.end()
    this.onFailed(fault)
  }

  /** Wakes who waits in `next`; no more deliveries come. */
  end(): void {
    this.ended = true
    this.wake?.()
  }

  /** @internal */
  isCurrent(turn: object): boolean {
    return turn === this.turn && !this.ended && this.connection?.alive === true
  }

  /** @internal Settlements of one event turn travel together. */
  settle(turn: object, range: Settlement, releasedBytes: number): void {
    if (turn !== this.turn || this.ended) return
    const last = this.settlements.at(-1)
    this.settledMessages += range.count
    this.settledBytes += releasedBytes
    if (last !== undefined && continues(last, range)) {
      this.settlements[this.settlements.length - 1] = { ...last, count: last.count + range.count }
      return
    }
    if (this.settlements.length === 0) setImmediate(() => this.flush())
    this.settlements.push(range)
    // A character is at most three bytes in UTF-8.
    this.settlementBytes += SETTLE_RANGE_BYTES + 3 * range.reason.length
    if (this.settlements.length >= SETTLE_RANGES_MAX || this.settlementBytes >= SETTLE_BYTES_MAX) this.flush()
  }

  /** @internal Sends settlements and the credit they give back. */
  flush(): void {
    const { connection, consumer } = this
    if (this.settlements.length === 0 || this.replaying > 0 || connection === null || consumer === 0) return
    for (const ranges of frames(this.settlements)) {
      connection.send(FRAME_SETTLE, CHANNEL_RECEIPTS, encodeSettle({ consumer, settleId: ++this.settleId, ranges }))
    }
    this.settlements = []
    this.settlementBytes = 0
    this.grant()
  }

  private grant(): void {
    const { connection, consumer } = this
    const bytes = this.settledBytes + (this.options.creditBytes ?? DELIVERY_CREDIT_BYTES)
    const messages = this.settledMessages + (this.options.creditMessages ?? DELIVERY_CREDIT_MESSAGES)
    if (connection === null || (bytes === this.grantedBytes && messages === this.grantedMessages)) return
    this.grantedBytes = bytes
    this.grantedMessages = messages
    connection.send(FRAME_CREDIT, CHANNEL_CONTROL, encodeCredit({ consumer, bytes, messages }))
  }

  /** A turn begins: nothing of the former one is handed out or settled. */
  private begin(): void {
    this.turn = {}
    this.deliveries.length = 0
    this.settlements = []
    this.settlementBytes = 0
  }

  /** A replay was answered. */
  private resume(): void {
    this.replaying = Math.max(0, this.replaying - 1)
    this.flush()
    if (this.hasNext) this.wakeUp()
  }

  /** What cannot be proven goes back as rejected, so that the hub sets it aside and nobody meets it again and again. */
  private refuse({ lane, position, count }: DeliverPrefix, wireBytes: number, cause: Fault): void {
    const reason = reasonText(`${cause.code}: ${cause.message}`)
    this.settle(this.turn, { from: position, count, outcome: Outcome.REJECTED, reason, lane, delayMs: 0 }, wireBytes)
    const where = `queue ${this.queueName}, lane ${lane}, position ${position}`
    const fault = clientFault('DELIVERY_UNPROVEN', { where, why: `${cause.code}: ${cause.message}`, count, cause })
    this.hooks.onUnproven(fault, count)
  }

  private wakeUp(): void {
    this.wake?.()
    this.onDelivery()
  }

  private requestBody(request: number): Subscribe {
    const { queue = '', name = '', topics = [], where = {}, ephemeral = false, policy } = this.options
    return {
      request,
      queue,
      name,
      topics,
      where: Object.entries(where).map(([header, values]) => ({
        name: header,
        values: typeof values === 'string' ? [values] : values,
      })),
      ephemeral,
      creditBytes: this.grantedBytes,
      creditMessages: this.grantedMessages,
      policy: policy === undefined ? null : policyMessage(policy),
    }
  }
}

/** Whether `next` says the same of the positions right behind `last`. */
function continues(last: Settlement, next: Settlement): boolean {
  return (
    last.from + last.count === next.from &&
    last.lane === next.lane &&
    last.outcome === next.outcome &&
    last.reason === next.reason &&
    last.delayMs === next.delayMs
  )
}

/** Settlements as they fit into frames: those held back by a replay may be many. */
function* frames(settlements: readonly Settlement[]): Generator<readonly Settlement[]> {
  let from = 0
  let bytes = 0
  for (let i = 0; i < settlements.length; i++) {
    const own = SETTLE_RANGE_BYTES + 3 * (settlements[i] as Settlement).reason.length
    if (i > from && (bytes + own > SETTLE_BYTES_MAX || i - from >= SETTLE_RANGES_MAX)) {
      yield settlements.slice(from, i)
      from = i
      bytes = 0
    }
    bytes += own
  }
  yield settlements.slice(from)
}
