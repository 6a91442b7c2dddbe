// Receipts: what the hub tells an origin of its messages. They are messages of the hub's own in the queue `receipts/<agent>`,
// kept until they are settled, so none is missed while the application is away.

import { asFault } from '#protocol/base/mod.ts'
import type { Delivery } from './delivery.ts'
import { clientFault } from './faults.ts'
import type { Subscription } from './subscription.ts'

const STATES = ['delivered', 'processed', 'rejected', 'expired', 'dropped'] as const

/** All but `delivered` are final; a message gets exactly one of those. */
export type ReceiptState = (typeof STATES)[number]

/** What a receipt says: messages `from` to `to` (sequence numbers, both included) of a stream of this agent's. */
export type ReceiptFacts = {
  readonly stream: string
  readonly epoch: number
  readonly from: number
  readonly to: number
  readonly state: ReceiptState
  /** The queue where it happened. */
  readonly queue: string
  /** The agent that did it; empty when it was the hub itself. */
  readonly by: string
  readonly reason: string
  /** The hub's clock, milliseconds since 1970. */
  readonly atMs: number
}

/** A receipt; it comes again, to whoever asks next, until it is settled. */
export class Receipt implements ReceiptFacts {
  readonly stream: string
  readonly epoch: number
  readonly from: number
  readonly to: number
  readonly state: ReceiptState
  readonly queue: string
  readonly by: string
  readonly reason: string
  readonly atMs: number
  readonly #delivery: Delivery
  readonly #place: number

  /** Made by `ReceiptFeed`. */
  constructor(facts: ReceiptFacts, delivery: Delivery, place: number) {
    this.stream = facts.stream
    this.epoch = facts.epoch
    this.from = facts.from
    this.to = facts.to
    this.state = facts.state
    this.queue = facts.queue
    this.by = facts.by
    this.reason = facts.reason
    this.atMs = facts.atMs
    this.#delivery = delivery
    this.#place = place
  }

  /** Whether this says what became of a message in the end. */
  get final(): boolean {
    return this.state !== 'delivered'
  }

  /** The application has noted it. */
  settle(): void {
    this.#delivery.settle(this.#place, 1)
  }
}

/** Use `client.receipts()`. One that cannot be read is rejected, with the reason, and lies among the hub's dead letters. */
export class ReceiptFeed implements AsyncIterable<Receipt> {
  readonly subscription: Subscription
  private readonly hubName: string
  private delivery: Delivery | null = null
  private place = 0

  constructor(subscription: Subscription, hubName: string) {
    this.subscription = subscription
    this.hubName = hubName
  }

  /** The next one; `null` when the feed was closed. Throws when the hub refuses it after a reconnect. */
  async next(): Promise<Receipt | null> {
    for (;;) {
      if (this.delivery === null || this.place >= this.delivery.count) {
        this.delivery = await this.subscription.next()
        this.place = 0
        if (this.delivery === null) return null
      }
      const receipt = this.read(this.delivery, this.place++)
      if (receipt !== null) return receipt
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Receipt> {
    for (let receipt = await this.next(); receipt !== null; receipt = await this.next()) yield receipt
  }

  /** What is not settled comes again to whoever asks next. */
  close(): void {
    this.subscription.close()
  }

  private read(delivery: Delivery, place: number): Receipt | null {
    try {
      if (delivery.origin !== this.hubName)
        throw clientFault('RECEIPT_INVALID', { why: `written by ${delivery.origin}` })
      return new Receipt(parseReceipt(delivery.message(place).body), delivery, place)
    } catch (error) {
      const { code, message } = asFault(error)
      delivery.reject(`${code}: ${message}`, place, 1)
      return null
    }
  }
}

/** Faults: `RECEIPT_INVALID`. Fields it does not know are left out: later hubs may tell more. */
export function parseReceipt(body: Buffer): ReceiptFacts {
  const invalid = (why: string, cause?: unknown) =>
    clientFault('RECEIPT_INVALID', { why, ...(cause === undefined ? {} : { cause }) })
  let value: unknown
  try {
    value = JSON.parse(body.toString('utf8'))
  } catch (cause) {
    throw invalid('it is not JSON', cause)
  }
  if (typeof value !== 'object' || value === null) throw invalid('it is not an object')
  const fields = value as Record<string, unknown>
  const text = (name: string): string => {
    const field = fields[name]
    if (typeof field !== 'string') throw invalid(`${name} is not a text`)
    return field
  }
  const whole = (name: string): number => {
    const field = fields[name]
    if (!Number.isSafeInteger(field) || (field as number) < 0) throw invalid(`${name} is not a whole number`)
    return field as number
  }
  const state = STATES.find((known) => known === fields.state)
  if (state === undefined) throw invalid('its state is not known')
  const [from, to] = [whole('from'), whole('to')]
  if (from > to) throw invalid('it is about no message')
  return {
    stream: text('stream'),
    epoch: whole('epoch'),
    from,
    to,
    state,
    queue: text('queue'),
    by: text('by'),
    reason: text('reason'),
    atMs: whole('atMs'),
  }
}
