// Consumes a queue or a subscription: deliveries come in order, proven; settlements go back as ranges. Credit is given for what
// was settled, not for what arrived, so a slow consumer is never flooded.

import { type KeyObject, X509Certificate } from 'node:crypto'
import type { Fault } from '#protocol/base/mod.ts'
import { type BatchHead, keyIdIn, type MessageView, openBatch, openExtract } from '#protocol/codec/mod.ts'
import { keyIdOf } from '#protocol/crypto/mod.ts'
import {
  CHANNEL_CONTROL,
  CHANNEL_RECEIPTS,
  FRAME_CREDIT,
  FRAME_SETTLE,
  FRAME_SUBSCRIBE,
  FRAME_UNSUBSCRIBE,
} from '#protocol/frame/mod.ts'
import { checkCertificate } from '#protocol/handshake/mod.ts'
import {
  decodeOrigin,
  decodeSubscribed,
  encodeCredit,
  encodeSettle,
  encodeSubscribe,
  encodeUnsubscribe,
  Outcome,
  type Settlement,
  type Subscribe,
} from '#protocol/schema/mod.ts'
import {
  DELIVER_PREFIX_BYTES,
  type DeliverPrefix,
  FORM_EXTRACT,
  parseDeliverPrefix,
  RangeSet,
} from '#protocol/session/mod.ts'
import type { HubConnection } from './connection.ts'
import { clientFault } from './faults.ts'
import { DELIVERY_CREDIT_BYTES, DELIVERY_CREDIT_MESSAGES } from './limits.ts'

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
  readonly creditBytes?: number
  readonly creditMessages?: number
}

/** Certificates the hub presented on this connection, by key id. */
export class Origins {
  private readonly keys = new Map<string, { name: string; key: KeyObject }>()
  private readonly ca: X509Certificate
  private readonly hubName: string

  constructor(ca: X509Certificate, hubName: string) {
    this.ca = ca
    this.hubName = hubName
  }

  /** Takes an ORIGIN frame. Faults: `CERTIFICATE_*`. */
  introduce(body: Buffer): void {
    const { name, certificate } = decodeOrigin(body)
    const role = name === this.hubName ? 'hub' : 'agent'
    // What was signed while the certificate was valid stays true afterwards: its own dates are no reason to refuse.
    const parsed = new X509Certificate(certificate)
    const nowMs = Math.min(Date.now(), Date.parse(parsed.validTo))
    const checked = checkCertificate(Buffer.from(certificate), {
      ca: this.ca,
      role,
      name,
      nowMs,
      clockSkewMs: 86_400_000,
    })
    this.keys.set(keyIdOf(checked.publicKey).toString('hex'), { name, key: checked.publicKey })
  }

  /** The key a batch is signed with. Faults: `ORIGIN_UNKNOWN`. */
  keyOf(head: BatchHead): KeyObject {
    const known = this.keys.get(keyIdIn(head).toString('hex'))
    if (known === undefined || known.name !== head.origin) throw clientFault('ORIGIN_UNKNOWN', { where: head.origin })
    return known.key
  }
}

/** Messages delivered together: all of one sealed batch, proven to come from `origin`, at consecutive queue positions. */
export class Delivery {
  readonly queue: string
  /** Who vouches for the messages: the agent that sealed them (or the hub, for parts of a batch sealed without a tree). */
  readonly origin: string
  readonly stream: string
  readonly sealedAtMs: number
  /** Position of the first message in its queue. */
  readonly position: number
  readonly count: number
  /** Every position below is settled. */
  readonly floor: number
  /** 1 at the first delivery. */
  readonly attempt: number
  readonly wireBytes: number
  /** Uncompressed bytes of the messages. */
  readonly rawBytes: number
  /** The hub's store: positions mean something only within it. */
  readonly storeId: string
  private readonly subscription: Subscription
  private readonly connection: HubConnection
  private readonly message_: (i: number) => MessageView
  /** Positions already settled, one way or another. */
  private open: RangeSet

  /** Made by `Subscription`. */
  constructor(parts: {
    subscription: Subscription
    connection: HubConnection
    prefix: DeliverPrefix
    head: BatchHead
    wireBytes: number
    rawBytes: number
    message: (i: number) => MessageView
  }) {
    this.subscription = parts.subscription
    this.connection = parts.connection
    this.queue = parts.subscription.queueName
    this.origin = parts.head.origin
    this.stream = parts.head.stream
    this.sealedAtMs = parts.head.sealedAtMs
    this.position = parts.prefix.position
    this.count = parts.prefix.count
    this.floor = parts.prefix.floor
    this.attempt = parts.prefix.attempt
    this.wireBytes = parts.wireBytes
    this.rawBytes = parts.rawBytes
    this.storeId = parts.connection.terms.storeId.toString('hex')
    this.message_ = parts.message
    this.open = new RangeSet(this.position)
  }

  /** Message `i` (0 ≤ i < count); its key and body are views that live as long as the delivery. */
  message(i: number): MessageView {
    return this.message_(i)
  }

  *[Symbol.iterator](): Generator<MessageView> {
    for (let i = 0; i < this.count; i++) yield this.message_(i)
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
    this.send(from, count, Outcome.PROCESSED, '')
  }

  /** These messages can never be processed: the hub keeps them aside with the reason. */
  reject(reason: string, from = 0, count = this.count - from): void {
    this.send(from, count, Outcome.REJECTED, reason.slice(0, 512).toWellFormed())
  }

  /** Deliver these messages again. */
  retry(from = 0, count = this.count - from): void {
    this.send(from, count, Outcome.RETRY, '')
  }

  /** Settles as processed whatever of it has not been settled in another way. */
  settleOpen(): void {
    for (const [from, to] of this.open.missing(this.position, this.position + this.count)) {
      this.settle(from - this.position, to - from)
    }
  }

  /** Without effect when the connection is gone: the hub delivers again what it does not know to be settled. */
  private send(from: number, count: number, outcome: Outcome, reason: string): void {
    if (count <= 0) return
    const start = this.position + from
    const [first] = this.open.missing(start, start + count)
    if (first === undefined || first[0] !== start || first[1] !== start + count) {
      throw clientFault('SETTLED_TWICE', { where: `position ${start}` })
    }
    this.open.add(start, start + count)
    const done = this.open.floor >= this.position + this.count
    this.subscription.settle(this.connection, { from: start, count, outcome, reason }, done ? this.wireBytes : 0)
  }
}

export class Subscription implements AsyncIterable<Delivery> {
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
  private settledBytes = 0
  private settledMessages = 0
  private grantedBytes = 0
  private grantedMessages = 0
  private settlements: Settlement[] = []
  private settleId = 0
  private readonly onEnd: (subscription: Subscription) => void

  /** Use `client.subscribe()`. */
  constructor(options: SubscribeOptions, onEnd: (subscription: Subscription) => void) {
    this.options = options
    this.onEnd = onEnd
  }

  /** Subscribes on a new connection; deliveries of the old one are dropped, the hub sends them again. */
  async attach(connection: HubConnection, origins: Origins, onRequest: (request: number) => void): Promise<void> {
    this.deliveries.length = 0
    this.consumer = 0
    this.settlements = []
    this.settleId = 0
    this.settledBytes = 0
    this.settledMessages = 0
    this.grantedBytes = this.options.creditBytes ?? DELIVERY_CREDIT_BYTES
    this.grantedMessages = this.options.creditMessages ?? DELIVERY_CREDIT_MESSAGES
    // Deliveries may come in the same chunk as the answer: be ready for them before asking.
    this.connection = connection
    this.origins = origins
    await connection.request(FRAME_SUBSCRIBE, (request) => {
      onRequest(request)
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

  /** A DELIVER body for this consumer; gives the uncompressed bytes of its messages. Faults: `DELIVERY_INVALID` and those of proofs; nothing unproven is handed on. */
  receive(connection: HubConnection, body: Buffer): number {
    if (connection !== this.connection || this.origins === null || this.ended) return 0
    const prefix = parseDeliverPrefix(body)
    const view = body.subarray(DELIVER_PREFIX_BYTES)
    // A large body has a buffer of its own; a small one lies in the socket's chunk, which it must not keep alive.
    const content = body.length === body.buffer.byteLength ? view : Buffer.from(view)
    const { head, rawBytes, message } = openContent(prefix, content, this.origins)
    const wireBytes = body.length
    this.deliveries.push(new Delivery({ subscription: this, connection, prefix, head, wireBytes, rawBytes, message }))
    this.wake?.()
    this.onDelivery()
    return rawBytes
  }

  get hasNext(): boolean {
    return this.deliveries.length > 0
  }

  /** The next delivery if one is here. */
  tryNext(): Delivery | null {
    return this.deliveries.shift() ?? null
  }

  /** The next delivery; `null` when the subscription was closed. Throws when the hub refuses it after a reconnect. */
  async next(): Promise<Delivery | null> {
    while (this.deliveries.length === 0 && !this.ended) {
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
    this.onEnd(this)
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

  /** @internal Settlements of one event turn travel together. */
  settle(connection: HubConnection, range: Settlement, releasedBytes: number): void {
    if (connection !== this.connection || this.ended) return
    const last = this.settlements.at(-1)
    this.settledMessages += range.count
    this.settledBytes += releasedBytes
    if (
      last !== undefined &&
      last.from + last.count === range.from &&
      last.outcome === range.outcome &&
      last.reason === range.reason
    ) {
      this.settlements[this.settlements.length - 1] = { ...last, count: last.count + range.count }
    } else {
      if (this.settlements.length === 0) setImmediate(() => this.flush())
      this.settlements.push(range)
      if (this.settlements.length >= 512) this.flush()
    }
  }

  /** @internal Sends settlements and the credit they give back. */
  flush(): void {
    const { connection, consumer } = this
    if (this.settlements.length === 0 || connection === null || consumer === 0) return
    const ranges = this.settlements
    this.settlements = []
    connection.send(FRAME_SETTLE, CHANNEL_RECEIPTS, encodeSettle({ consumer, settleId: ++this.settleId, ranges }))
    const bytes = this.settledBytes + (this.options.creditBytes ?? DELIVERY_CREDIT_BYTES)
    const messages = this.settledMessages + (this.options.creditMessages ?? DELIVERY_CREDIT_MESSAGES)
    if (bytes === this.grantedBytes && messages === this.grantedMessages) return
    this.grantedBytes = bytes
    this.grantedMessages = messages
    connection.send(FRAME_CREDIT, CHANNEL_CONTROL, encodeCredit({ consumer, bytes, messages }))
  }

  private requestBody(request: number): Subscribe {
    const { queue = '', name = '', topics = [], where = {}, ephemeral = false } = this.options
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
    }
  }
}

type Content = { readonly head: BatchHead; readonly rawBytes: number; readonly message: (i: number) => MessageView }

function openContent(prefix: DeliverPrefix, content: Buffer, origins: Origins): Content {
  if (prefix.form === FORM_EXTRACT) {
    const extract = openExtract(content, (head) => origins.keyOf(head))
    if (extract.messages.length !== prefix.count)
      throw clientFault('DELIVERY_INVALID', { why: 'another number of messages' })
    const rawBytes = extract.messages.reduce((sum, { key, body }) => sum + key.length + body.length, 0)
    return { head: extract.head, rawBytes, message: (i) => extract.messages[i] as MessageView }
  }
  const batch = openBatch(content)
  if (batch.count !== prefix.count) throw clientFault('DELIVERY_INVALID', { why: 'another number of messages' })
  batch.verify(origins.keyOf(batch.head))
  return { head: batch.head, rawBytes: batch.head.payloadRawBytes, message: batch.messages() }
}
