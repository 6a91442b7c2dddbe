// Request and reply over topics: a request names a topic for the answer and a number; the answer carries the number back.

import { randomBytes } from 'node:crypto'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { HEADER_CORRELATION, HEADER_DEADLINE_MS, HEADER_REPLY_TO, type MessageView } from '#protocol/codec/mod.ts'
import type { Client } from './client.ts'
import { clientFault } from './faults.ts'
import type { Publisher } from './publisher.ts'
import type { SubscribeOptions, Subscription } from './subscription.ts'

export type RequestOptions = {
  readonly topic: string
  readonly body: Uint8Array
  /** How long to wait for the answer. */
  readonly deadlineMs: number
}

type Waiting = { resolve(reply: MessageView): void; reject(fault: Fault): void; readonly timer: NodeJS.Timeout }

export class Requester {
  private readonly client: Client
  private readonly replyTopic: string
  private readonly publisher: Publisher
  private readonly waiting = new Map<number, Waiting>()
  private subscription: Promise<Subscription> | null = null
  private next = 1

  constructor(client: Client) {
    this.client = client
    const id = randomBytes(9).toString('base64url')
    this.replyTopic = `reply/${client.name}/${id}`
    this.publisher = client.publisher({ stream: `requests-${id}` })
  }

  /** The deadline counts from here, also while the hub is away. Faults: `REQUEST_TIMEOUT`, and those of publishing. */
  request(options: RequestOptions): Promise<MessageView> {
    const { topic, deadlineMs } = options
    const number = this.next++
    const { promise, resolve, reject } = Promise.withResolvers<MessageView>()
    const timer = setTimeout(() => {
      this.fail(number, clientFault('REQUEST_TIMEOUT', { where: topic, deadlineMs }))
    }, deadlineMs)
    this.waiting.set(number, { resolve, reject, timer })
    this.ask(number, options, Date.now() + deadlineMs).catch((error: unknown) => this.fail(number, asFault(error)))
    return promise
  }

  /** Nobody will answer any more. */
  close(fault: Fault): void {
    for (const number of [...this.waiting.keys()]) this.fail(number, fault)
  }

  private async ask(number: number, { topic, body }: RequestOptions, deadlineAtMs: number): Promise<void> {
    this.subscription ??= this.listen()
    await this.subscription
    if (!this.waiting.has(number)) return
    const headers = {
      [HEADER_REPLY_TO]: this.replyTopic,
      [HEADER_CORRELATION]: number,
      [HEADER_DEADLINE_MS]: deadlineAtMs,
    }
    await this.publisher.publish({ topic, body, headers })
  }

  private fail(number: number, fault: Fault): void {
    const waiting = this.waiting.get(number)
    if (waiting === undefined) return
    this.waiting.delete(number)
    clearTimeout(waiting.timer)
    waiting.reject(fault)
  }

  private async listen(): Promise<Subscription> {
    const name = this.replyTopic.replaceAll('/', '-')
    try {
      const subscription = await this.client.subscribe({ name, topics: [`${this.replyTopic}/#`], ephemeral: true })
      this.receive(subscription).catch((error: unknown) => this.unheard(asFault(error)))
      return subscription
    } catch (error) {
      this.unheard(asFault(error))
      throw error
    }
  }

  /** No answer can reach us: the next request subscribes anew. */
  private unheard(fault: Fault): void {
    this.subscription = null
    this.close(fault)
  }

  private async receive(subscription: Subscription): Promise<void> {
    for await (const delivery of subscription) {
      for (let i = 0; i < delivery.count; i++) {
        try {
          this.answered(delivery.message(i))
        } catch (error) {
          // Its origin signed something unreadable; the other answers are as good as before.
          delivery.reject(asFault(error).message, i, 1)
        }
      }
      delivery.settleOpen()
    }
  }

  private answered(message: MessageView): void {
    const number = Number(message.envelope.headers[HEADER_CORRELATION])
    const waiting = this.waiting.get(number)
    if (waiting === undefined) return
    this.waiting.delete(number)
    clearTimeout(waiting.timer)
    waiting.resolve(message)
  }
}

/**
 * Answers requests: `handler` gives the reply's body. A request is settled when its reply is on the hub's disk; one past its
 * deadline is settled without an answer. A handler that throws rejects the request with the reason.
 */
export async function respond(
  client: Client,
  options: SubscribeOptions,
  handler: (message: MessageView) => Promise<Uint8Array> | Uint8Array,
): Promise<Subscription> {
  const subscription = await client.subscribe(options)
  const publisher = client.publisher({ stream: `replies-${randomBytes(9).toString('base64url')}` })
  const serve = async () => {
    for await (const delivery of subscription) {
      for (let i = 0; i < delivery.count; i++) {
        try {
          await answer(delivery.message(i))
        } catch (error) {
          delivery.reject(error instanceof Error ? error.message : String(error), i, 1)
          continue
        }
        delivery.settle(i, 1)
      }
    }
  }
  const answer = async (message: MessageView): Promise<void> => {
    const { headers } = message.envelope
    const replyTo = headers[HEADER_REPLY_TO]
    const late = Number(headers[HEADER_DEADLINE_MS] ?? Number.POSITIVE_INFINITY) < Date.now()
    if (typeof replyTo !== 'string' || late) return
    const body = await handler(message)
    const correlation = headers[HEADER_CORRELATION] ?? null
    await publisher.publish({ topic: replyTo, body, headers: { [HEADER_CORRELATION]: correlation } })
  }
  serve().catch((error: unknown) => subscription.fail(asFault(error)))
  return subscription
}
