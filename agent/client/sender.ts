// Sends one producer stream: reads sealed batches from where they are kept (spool or memory), within the hub's credit, from the
// number the hub names; releases what is acknowledged. Survives every reconnect: the stream's numbers make repeats harmless.

import { asFault, type Fault } from '#protocol/base/mod.ts'
import { CHANNEL_MESSAGES, FRAME_HEADER_BYTES, FRAME_OPEN_STREAM } from '#protocol/frame/mod.ts'
import { type Accepted, decodeStreamOpened, encodeOpenStream, type Refused } from '#protocol/schema/mod.ts'
import { batchFrameStart } from '#protocol/session/mod.ts'
import { type HubConnection, refusal } from './connection.ts'

/** Where a stream's sealed batches are kept until the hub has them; an agent's spool stream is one. */
export type BatchStore = {
  readonly name: string
  readonly epoch: number
  read(options: { seq: number; bytesMax: number }): readonly { firstSeq: number; count: number; bytes: Buffer }[]
  release(seq: number): Promise<void>
}

export type SenderEvents = {
  /** The hub has more of the stream on its disk, and the store has released it. */
  onAccepted(): void
  /** The hub will not take a batch, now or ever (`details.retry`). The sender tries again by itself unless it is stopped. */
  onRefused(fault: Fault): void
  /** Messages that no queue at the hub wanted. */
  onUnrouted(messages: number): void
  onError(fault: Fault): void
}

const READ_BYTES = 1024 * 1024
const REFUSED_RETRY_MS = 2000

/** Producing credit is one account for all streams of a connection. */
export class ProducingCredit {
  private limitBytes: number
  private sentBytes = 0

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes
  }

  get available(): boolean {
    return this.sentBytes < this.limitBytes
  }

  raise(limitBytes: number): void {
    this.limitBytes = Math.max(this.limitBytes, limitBytes)
  }

  spend(bytes: number): void {
    this.sentBytes += bytes
  }
}

export class StreamSender {
  readonly store: BatchStore
  /** Of this connection; 0 until the hub has opened the stream. */
  streamId = 0
  private readonly events: SenderEvents
  private connection: HubConnection | null = null
  private credit: ProducingCredit | null = null
  private nextSeq = 1
  private retryTimer: NodeJS.Timeout | null = null
  private stopped = false

  constructor(store: BatchStore, events: SenderEvents) {
    this.store = store
    this.events = events
  }

  /** Continues the stream on a new connection. */
  async attach(connection: HubConnection, credit: ProducingCredit): Promise<void> {
    this.detach()
    const { name: stream, epoch } = this.store
    const body = await connection.request(FRAME_OPEN_STREAM, (request) => encodeOpenStream({ request, stream, epoch }))
    const opened = decodeStreamOpened(body)
    if (this.stopped || !connection.alive) return
    await this.store.release(opened.lastSeq)
    this.connection = connection
    this.credit = credit
    this.streamId = opened.streamId
    this.nextSeq = opened.lastSeq + 1
    this.pump()
  }

  report(fault: Fault): void {
    this.events.onError(fault)
  }

  detach(): void {
    this.connection = null
    this.streamId = 0
    if (this.retryTimer !== null) clearTimeout(this.retryTimer)
    this.retryTimer = null
  }

  stop(): void {
    this.stopped = true
    this.detach()
  }

  /** Sends what there is, as far as credit and socket allow. Call it when something was added. */
  pump(): void {
    const { connection, credit } = this
    if (connection === null || credit === null || this.retryTimer !== null) return
    while (credit.available && connection.writable) {
      const batches = this.store.read({ seq: this.nextSeq, bytesMax: READ_BYTES })
      if (batches.length === 0) return
      for (const { firstSeq, count, bytes } of batches) {
        if (!credit.available) return
        const start = batchFrameStart(CHANNEL_MESSAGES, this.streamId, bytes.length)
        connection.sendParts(start, bytes)
        credit.spend(start.length - FRAME_HEADER_BYTES + bytes.length)
        this.nextSeq = firstSeq + count
      }
    }
  }

  accepted({ lastSeq, unrouted }: Accepted): void {
    this.store.release(lastSeq).then(
      () => this.events.onAccepted(),
      (error: unknown) => this.events.onError(asFault(error)),
    )
    if (unrouted > 0) this.events.onUnrouted(unrouted)
    this.pump()
  }

  /** Starts again after the last number the hub has, a little later; batches behind a refused one are refused as well. */
  refused({ fault, lastSeq }: Refused): void {
    if (this.retryTimer !== null) return
    this.retryTimer = setTimeout(() => {
      this.retryTimer = null
      this.nextSeq = lastSeq + 1
      this.pump()
    }, REFUSED_RETRY_MS)
    // Last: whoever hears of it may stop the sender or begin a new epoch, and both end this waiting.
    this.events.onRefused(refusal('PUBLISH_REFUSED', fault))
  }
}
