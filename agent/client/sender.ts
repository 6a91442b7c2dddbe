// Sends one producer stream: reads sealed batches from where they are kept (spool or memory), within the hub's credit, from the
// number the hub names; releases what is acknowledged. Survives every reconnect: the stream's numbers make repeats harmless.

import { asFault, type Fault } from '#protocol/base/mod.ts'
import { CHANNEL_MESSAGES, FRAME_HEADER_BYTES, FRAME_OPEN_STREAM } from '#protocol/frame/mod.ts'
import {
  type Accepted,
  decodeStreamOpened,
  encodeOpenStream,
  type Refused,
  type StreamOpened,
} from '#protocol/schema/mod.ts'
import { batchFrameStart } from '#protocol/session/mod.ts'
import { type HubConnection, refusal } from './connection.ts'
import { clientFault } from './faults.ts'
import { REFUSED_RETRY_MS_FIRST, REFUSED_RETRY_MS_MAX, UNCURED_RETRY_MS_FIRST } from './limits.ts'

/** Where a stream's sealed batches are kept until the hub has them; an agent's spool stream is one. */
export type BatchStore = {
  readonly name: string
  readonly epoch: number
  /** The highest number released; 0 when none. What lies up to there cannot be sent any more. */
  readonly releasedSeq: number
  /** Id of the hub's store (32 hex digits) in which the hub has it; `null` when nobody knows. */
  readonly releasedTo: string | null
  read(options: { seq: number; bytesMax: number }): readonly { firstSeq: number; count: number; bytes: Buffer }[]
  /** The hub's store `storeId` has everything up to `seq` on its disk. */
  release(seq: number, storeId: string): Promise<void>
  /**
   * The hub ends before `releasedSeq` and does not go on behind it either (an older version). True when a new epoch has
   * begun because of it: the stream is opened again. Without it such a stream stays refused (`STREAM_GAP`).
   */
  restart?(): boolean
}

export type SenderEvents = {
  /** The hub has more of the stream on its disk, and the store has released it. */
  onAccepted(): void
  /**
   * The hub will not take the batch that begins at `firstSeq`, now or ever (`details.retry`); batches before it may still be
   * acknowledged. The sender tries again by itself unless it is stopped.
   */
  onRefused(fault: Fault, firstSeq: number): void
  /** Messages that no queue at the hub wanted. */
  onUnrouted(messages: number): void
  onError(fault: Fault): void
  /**
   * `ACKNOWLEDGED_LOST`: the hub's store is an older copy and lacks messages it had acknowledged, `details.from` … `details.to`
   * of the stream. The stream goes on behind them. Told again when the connection ends before that is certain.
   */
  onLost(fault: Fault): void
}

const READ_BYTES = 1024 * 1024

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
  private readonly random: () => number
  private nextSeq = 1
  private retryTimer: NodeJS.Timeout | null = null
  /** Refusals since the hub last took something. */
  private refusals = 0
  /** What the hub is known to have of the stream. */
  private readonly known = { epoch: 0, seq: 0 }
  /** Counts attachments: what an older one finds out is out of date. */
  private attachment = 0
  private stopped = false

  /** `random` gives numbers in [0, 1). */
  constructor(store: BatchStore, events: SenderEvents, random: () => number = Math.random) {
    this.store = store
    this.events = events
    this.random = random
  }

  /** Continues the stream on a new connection. */
  async attach(connection: HubConnection, credit: ProducingCredit): Promise<void> {
    this.detach()
    const { attachment, store } = this
    const isOver = () => this.stopped || !connection.alive || attachment !== this.attachment
    let opened = await this.open(connection, { skip: false })
    if (isOver()) return
    if (opened.lastSeq < store.releasedSeq) {
      // Only this side knows that it cannot send them any more, and says so before the hub goes on without them.
      this.events.onLost(lostFault(store, opened.lastSeq))
      opened = await this.open(connection, { skip: true })
      if (isOver()) return
      if (opened.lastSeq < store.releasedSeq && store.restart?.() === true) return await this.attach(connection, credit)
    }
    await store.release(opened.lastSeq, storeIdOf(connection))
    if (attachment !== this.attachment) return
    this.connection = connection
    this.credit = credit
    this.streamId = opened.streamId
    this.nextSeq = opened.lastSeq + 1
    // Its acknowledgement was lost with the connection: nobody else will tell.
    if (this.learn(opened.lastSeq)) this.events.onAccepted()
    this.pump()
  }

  private async open(connection: HubConnection, { skip }: { skip: boolean }): Promise<StreamOpened> {
    const { name: stream, epoch, releasedSeq: knownSeq, releasedTo } = this.store
    const knownStore = Buffer.from(releasedTo ?? '', 'hex')
    const asked = { stream, epoch, knownSeq, knownStore, skip }
    return decodeStreamOpened(
      await connection.request(FRAME_OPEN_STREAM, (request) => encodeOpenStream({ request, ...asked })),
    )
  }

  /** Whether that is more than was known. */
  private learn(seq: number): boolean {
    const { epoch } = this.store
    const isMore = seq > (epoch === this.known.epoch ? this.known.seq : 0)
    if (isMore) Object.assign(this.known, { epoch, seq })
    return isMore
  }

  report(fault: Fault): void {
    this.events.onError(fault)
  }

  detach(): void {
    this.attachment++
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
    this.refusals = 0
    this.learn(lastSeq)
    if (this.connection === null) return
    this.store.release(lastSeq, storeIdOf(this.connection)).then(
      () => this.events.onAccepted(),
      (error: unknown) => this.events.onError(asFault(error)),
    )
    if (unrouted > 0) this.events.onUnrouted(unrouted)
    this.pump()
  }

  /**
   * Starts again after the last number the hub has, a little later, and later each time; batches behind a refused one are
   * refused as well, and other streams of the connection go on meanwhile.
   */
  refused({ fault, firstSeq, lastSeq }: Refused): void {
    if (this.retryTimer !== null) return
    const pauseMs = refusedPauseMs({ refusals: this.refusals++, retry: fault?.retry === true, random: this.random })
    this.retryTimer = setTimeout(() => {
      this.retryTimer = null
      this.nextSeq = lastSeq + 1
      this.pump()
    }, pauseMs)
    // Last: whoever hears of it may stop the sender or begin a new epoch, and both end this waiting.
    this.events.onRefused(refusal('PUBLISH_REFUSED', fault), firstSeq)
  }
}

const storeIdOf = ({ terms }: HubConnection): string => terms.storeId.toString('hex')

function lostFault({ name, epoch, releasedSeq }: BatchStore, lastSeq: number): Fault {
  const [from, to] = [lastSeq + 1, releasedSeq]
  return clientFault('ACKNOWLEDGED_LOST', {
    where: `stream ${name}`,
    why: `numbers ${from} to ${to} of epoch ${epoch}`,
    from,
    to,
    epoch,
  })
}

/**
 * How long to wait after `refusals` refusals in a row: doubled each time, its upper half at random, so that the senders to a
 * full queue spread out and none comes back before the hub has answered what is still under way. What only an operator
 * cures (`retry` false) is asked about less eagerly.
 */
export function refusedPauseMs(options: { refusals: number; retry: boolean; random: () => number }): number {
  const firstMs = options.retry ? REFUSED_RETRY_MS_FIRST : UNCURED_RETRY_MS_FIRST
  const ceilingMs = Math.min(REFUSED_RETRY_MS_MAX, firstMs * 2 ** Math.min(options.refusals, 30))
  return Math.ceil(ceilingMs * (0.5 + options.random() / 2))
}
