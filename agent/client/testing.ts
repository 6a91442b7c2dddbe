// For tests: a connection that keeps what is sent on it and is answered by the test, and DELIVER bodies as a hub makes them.

import { Fault } from '#protocol/base/mod.ts'
import { type Batch, extractFrom, openBatch } from '#protocol/codec/mod.ts'
import { KEY, message, sealed } from '#protocol/codec/testing.ts'
import { FRAME_HEADER_BYTES } from '#protocol/frame/mod.ts'
import {
  decodeCredit,
  decodeSettle,
  encodeReplayed,
  encodeStreamOpened,
  encodeSubscribed,
} from '#protocol/schema/mod.ts'
import { type DeliverPrefix, deliverFrameStart, FORM_BATCH, FORM_EXTRACT } from '#protocol/session/mod.ts'
import type { HubConnection } from './connection.ts'
import { clientFault } from './faults.ts'
import type { Origins } from './origins.ts'

type Asked = { readonly kind: number; readonly request: number; readonly body: Buffer }
type Sent = { readonly kind: number; readonly body: Buffer }

export class TestConnection {
  static readonly STORE_ID = Buffer.alloc(16, 7)
  readonly sent: Sent[] = []
  readonly batches: Batch[] = []
  readonly asked: Asked[] = []
  readonly terms = { storeId: TestConnection.STORE_ID }
  alive = true
  writable = true
  private readonly waiting = new Map<number, PromiseWithResolvers<Buffer>>()
  private nextRequest = 1

  get hub(): HubConnection {
    return this as unknown as HubConnection
  }

  send(kind: number, _channel: number, body: Uint8Array): void {
    this.sent.push({ kind, body: Buffer.from(body) })
  }

  sendParts(_start: Buffer, bytes: Buffer): void {
    this.batches.push(openBatch(bytes))
  }

  request(kind: number, encode: (request: number) => Uint8Array): Promise<Buffer> {
    const request = this.nextRequest++
    const answer = Promise.withResolvers<Buffer>()
    this.waiting.set(request, answer)
    const body = Buffer.from(encode(request))
    this.asked.push({ kind, request, body })
    this.sent.push({ kind, body })
    return answer.promise
  }

  answer(request: number, body: Buffer | Fault): void {
    const waiting = this.waiting.get(request)
    if (body instanceof Fault) waiting?.reject(body)
    else waiting?.resolve(body)
  }

  /** Answers the last request. */
  subscribed(consumer = 1, queue = 'q'): Buffer {
    const request = this.last.request
    const body = encodeSubscribed({ request, consumer, queue })
    this.answer(request, body)
    return body
  }

  opened(streamId: number, lastSeq: number): void {
    const { request } = this.last
    this.answer(request, encodeStreamOpened({ request, streamId, lastSeq }))
  }

  replayed(messages: number): void {
    const { request } = this.last
    this.answer(request, encodeReplayed({ request, messages }))
  }

  refuse(): void {
    this.answer(this.last.request, clientFault('REQUEST_REFUSED'))
  }

  /** Ranges of the frames of that kind, frame by frame. */
  settlements(kind: number) {
    return this.sent.filter((frame) => frame.kind === kind).map(({ body }) => decodeSettle(body).ranges)
  }

  credits(kind: number) {
    return this.sent.filter((frame) => frame.kind === kind).map(({ body }) => decodeCredit(body))
  }

  private get last(): Asked {
    return this.asked.at(-1) as Asked
  }
}

/** Believes the test key. */
export const testOrigins = { keyOf: () => KEY.publicKey } as unknown as Origins

/** Numbered messages sealed by the test key; the first has sequence number 11. */
export const sealedNumbers = (count: number): Buffer =>
  sealed(Array.from({ length: count }, (_, i) => message(String(i))))

/** A DELIVER body: the whole batch, or `places` of it. */
export function delivered(
  prefix: Partial<DeliverPrefix>,
  bytes: Buffer,
  places: readonly number[] | null = null,
): Buffer {
  const content = places === null ? bytes : extractFrom(openBatch(bytes), places)
  const count = places?.length ?? openBatch(bytes).count
  const form = places === null ? FORM_BATCH : FORM_EXTRACT
  const whole = { consumer: 1, form, attempt: 1, lane: 0, position: 0, floor: 0, count, ...prefix }
  const start = deliverFrameStart(2, whole, content.length)
  return Buffer.concat([start.subarray(FRAME_HEADER_BYTES), content])
}
