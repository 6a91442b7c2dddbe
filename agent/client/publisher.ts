// Publishes messages from memory: gathers them into batches, seals each once, keeps it until the hub has it on disk.
// `publish` gives the promise of the batch the message is in: one promise for many messages.

import { randomBytes } from 'node:crypto'
import { asFault, Fault } from '#protocol/base/mod.ts'
import { BatchBuilder, type Compression, openBatch, type Receipts } from '#protocol/codec/mod.ts'
import type { SigningKey } from '#protocol/crypto/mod.ts'
import { clientFault } from './faults.ts'
import { BATCH_BYTES, WINDOW_BYTES } from './limits.ts'
import { HeaderSets, type OutgoingMessage } from './outgoing.ts'
import { type BatchStore, StreamSender } from './sender.ts'

export type PublisherOptions = {
  /** The producer stream's name; messages of one stream stay in order. */
  readonly stream: string
  readonly compression?: Compression
  /**
   * `batch` (default): the batch is signed as a whole, fastest. `message`: every message can also leave the batch with a
   * proof of its own, for subscriptions that take some messages of a batch, and for evidence.
   */
  readonly proof?: 'batch' | 'message'
  /**
   * What the hub tells later, by messages that `client.receipts()` gives: nothing (default), what became of each message in
   * the end, or also its delivery.
   */
  readonly receipts?: Receipts
  /** Raw bytes after which a batch is sealed. */
  readonly batchBytes?: number
  /** Bytes held until acknowledged; `room` waits below it. */
  readonly windowBytes?: number
}

/** Messages of this publisher's stream that became durable together: sequence numbers, both included. */
export type Published = { readonly epoch: number; readonly firstSeq: number; readonly lastSeq: number }

type Pending = { readonly firstSeq: number; readonly count: number; readonly bytes: Buffer; readonly open: OpenBatch }

type OpenBatch = PromiseWithResolvers<Published>

export class Publisher {
  readonly name: string
  /** Of the stream; a new one begins, with numbers from 1, when the hub has refused messages for good. */
  epoch = newEpoch()
  readonly sender: StreamSender
  unroutedMessages = 0
  /** Why the hub does not take the next batch at present (a full queue): it is offered again; `null` since it took one. */
  refused: Fault | null = null
  private readonly onRestart: () => void
  /** Id of the hub's store that has what was released. */
  private releasedTo: string | null = null
  private readonly origin: string
  private readonly key: SigningKey
  private readonly options: Required<PublisherOptions>
  private readonly headerSets = new HeaderSets()
  private builder = new BatchBuilder()
  /** The number the next sealed batch begins with. */
  private sealSeq = 1
  /** The highest number the hub has acknowledged in the epoch that is being sent. */
  private releasedSeq = 0
  private pending: Pending[] = []
  private pendingBytes = 0
  /**
   * A batch was refused for good while others before it were on their way to the hub's disk: they are waited for, in their
   * epoch, before the new one begins at the hub.
   */
  private former: { readonly epoch: number; readonly pending: Pending[] } | null = null
  private current: OpenBatch | null = null
  private scheduled = false
  private waiting: (() => void)[] = []
  private closedBy: Fault | null = null
  /** Why messages were lost since the last `flush`. */
  private untold: Fault | null = null

  /** Use `client.publisher()`. */
  constructor(
    options: PublisherOptions & {
      origin: string
      key: SigningKey
      onRestart: (publisher: Publisher) => void
      onLost: (fault: Fault) => void
    },
  ) {
    this.name = options.stream
    this.origin = options.origin
    this.key = options.key
    this.options = {
      compression: 'none',
      proof: 'batch',
      receipts: 'none',
      batchBytes: BATCH_BYTES,
      windowBytes: WINDOW_BYTES,
      ...options,
    }
    this.onRestart = () => options.onRestart(this)
    this.sender = new StreamSender(this.batchStore(), {
      onAccepted: () => {
        this.refused = null
      },
      onRefused: (fault, firstSeq) => {
        if (fault.details.retry === true) this.refused = fault
        else this.refuseFrom(firstSeq, fault)
      },
      onUnrouted: (messages) => {
        this.unroutedMessages += messages
      },
      onError: (fault) => this.fail(fault),
      onLost: options.onLost,
    })
  }

  /** The sequence number the next message gets: with `epoch` and the stream's name its identity, which receipts name. */
  get nextSeq(): number {
    return this.sealSeq + this.builder.count
  }

  /**
   * Adds a message to the open batch; resolves when the hub has that batch on disk, with the numbers of all its messages.
   * Faults: `BODY_TOO_LARGE`, `TOPIC_INVALID`, `HEADERS_INVALID`, `ATTRIBUTE_INVALID`, `PUBLISH_WINDOW_FULL`, `CLIENT_CLOSED`
   * (thrown at once, nothing added); `PUBLISH_REFUSED` (the promise rejects for all that was not stored).
   */
  publish(message: OutgoingMessage): Promise<Published> {
    this.checkOpen()
    const { topic, body, key } = message
    const headers = this.headerSets.of(message)
    if (!this.builder.fits(body.length, key?.length ?? 0) && this.builder.count > 0) this.seal()
    this.builder.add(topic, headers, key ?? null, body)
    this.current ??= newOpenBatch()
    const { promise } = this.current
    if (this.builder.rawBytes >= this.options.batchBytes) this.seal()
    else this.schedule()
    return promise
  }

  /**
   * Publishes messages, to any topics, all or none: they are a batch of their own, so the hub stores every one of them or
   * refuses them together, and nobody else's message is refused with them. Resolves with their numbers, in the order given.
   * Faults: those of `publish`, `GROUP_TOO_LARGE` (thrown at once, nothing added).
   */
  publishAll(messages: readonly OutgoingMessage[]): Promise<Published> {
    this.checkOpen()
    if (this.builder.count > 0) this.seal()
    const { epoch, sealSeq } = this
    if (messages.length === 0) return Promise.resolve({ epoch, firstSeq: sealSeq, lastSeq: sealSeq - 1 })
    try {
      for (const message of messages) {
        this.builder.add(message.topic, this.headerSets.of(message), message.key ?? null, message.body)
      }
    } catch (error) {
      this.builder = new BatchBuilder()
      if (!(error instanceof Fault) || error.code !== 'BATCH_TOO_LARGE') throw error
      throw clientFault('GROUP_TOO_LARGE', { why: `${messages.length} messages`, cause: error })
    }
    this.current = newOpenBatch()
    const { promise } = this.current
    this.seal()
    return promise
  }

  /** Resolves when less than `windowBytes` wait for acknowledgement. */
  async room(): Promise<void> {
    while (this.pendingBytes >= this.options.windowBytes && this.closedBy === null) {
      await new Promise<void>((resolve) => this.waiting.push(resolve))
    }
  }

  /**
   * Seals what is open; resolves when everything published since the last `flush` is on the hub's disk. Faults: those of
   * `publish`, also for messages whose own promise nobody awaited.
   */
  async flush(): Promise<void> {
    if (this.builder.count > 0) this.seal()
    // What fails this promise is also remembered, and told below.
    await (this.pending.at(-1) ?? this.former?.pending.at(-1))?.open.promise.catch(() => undefined)
    const { untold } = this
    this.untold = null
    if (untold !== null) throw untold
  }

  /** Ends it; promises still open reject. */
  close(fault: Fault): void {
    this.closedBy = fault
    this.sender.stop()
    this.current?.reject(fault)
    this.fail(fault)
  }

  /** What the sender sees: one epoch at a time. */
  private batchStore(): BatchStore {
    const publisher = this
    return {
      name: this.name,
      get epoch() {
        return publisher.sending.epoch
      },
      get releasedSeq() {
        return publisher.releasedSeq
      },
      get releasedTo() {
        return publisher.releasedTo
      },
      read: (options) => publisher.read(options),
      release: async (seq, storeId) => publisher.release(seq, storeId),
      restart: () => publisher.restart(),
    }
  }

  private get sending(): { readonly epoch: number; readonly pending: Pending[] } {
    return this.former ?? { epoch: this.epoch, pending: this.pending }
  }

  private read({ seq, bytesMax }: { seq: number; bytesMax: number }): readonly Pending[] {
    const { pending } = this.sending
    const from = pending.findIndex((batch) => batch.firstSeq >= seq)
    if (from < 0) return []
    let bytes = 0
    let to = from
    while (to < pending.length && (to === from || bytes < bytesMax)) bytes += (pending[to++] as Pending).bytes.length
    return pending.slice(from, to)
  }

  private release(seq: number, storeId: string): void {
    const { epoch, pending } = this.sending
    this.releasedTo = storeId
    let released = 0
    for (const batch of pending) {
      const { firstSeq, count, open } = batch
      if (firstSeq + count - 1 > seq) break
      released++
      this.pendingBytes -= batch.bytes.length
      open.resolve({ epoch, firstSeq, lastSeq: firstSeq + count - 1 })
    }
    this.releasedSeq = Math.max(this.releasedSeq, seq)
    if (released === 0) return
    pending.splice(0, released)
    this.wake()
    this.leaveFormer()
  }

  /** A hub that lost what it had acknowledged, and cannot go on behind it, would refuse all that follows: it gets a new epoch. */
  private restart(): boolean {
    const kept = [...(this.former?.pending ?? []), ...this.pending]
    this.former = null
    this.begin()
    this.releasedSeq = 0
    this.pendingBytes = 0
    for (const { bytes, count, open } of kept) {
      const message = openBatch(bytes).messages()
      const builder = new BatchBuilder()
      for (let i = 0; i < count; i++) {
        const { envelope, key, body } = message(i)
        builder.add(envelope.topic, envelope.headers, key.length === 0 ? null : key, body)
      }
      this.hold(builder, open)
    }
    return true
  }

  private checkOpen(): void {
    if (this.closedBy !== null) throw this.closedBy
    if (this.pendingBytes > 2 * this.options.windowBytes) throw clientFault('PUBLISH_WINDOW_FULL')
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      if (this.builder.count > 0 && this.closedBy === null) this.seal()
    })
  }

  private seal(): void {
    const open = this.current as OpenBatch
    this.current = null
    try {
      this.hold(this.builder, open)
    } catch (error) {
      // What cannot be sealed must not stay in the way of what follows.
      this.builder = new BatchBuilder()
      this.untold ??= asFault(error)
      open.reject(asFault(error))
      return
    }
    this.sender.pump()
  }

  /** Seals what is in `builder` and keeps it until it is acknowledged. */
  private hold(builder: BatchBuilder, open: OpenBatch): void {
    const { count } = builder
    const bytes = builder.seal({
      origin: this.origin,
      stream: this.name,
      epoch: this.epoch,
      firstSeq: this.sealSeq,
      sealedAtMs: Date.now(),
      key: this.key,
      compression: this.options.compression,
      tree: this.options.proof === 'message',
      receipts: this.options.receipts,
    })
    this.pending.push({ firstSeq: this.sealSeq, count, bytes, open })
    this.pendingBytes += bytes.length
    this.sealSeq += count
  }

  /** The batch that begins at `firstSeq` will never be stored, nor what follows it: say so, and begin a new epoch. */
  private refuseFrom(firstSeq: number, fault: Fault): void {
    const { epoch, pending } = this.sending
    const refused = pending.filter((batch) => batch.firstSeq >= firstSeq)
    const waiting = pending.filter((batch) => batch.firstSeq < firstSeq)
    if (this.former === null) this.begin()
    this.former = { epoch, pending: waiting }
    this.tell(refused, fault)
    this.leaveFormer()
  }

  /** Once nothing of the former epoch is waited for, the stream goes on in the present one. */
  private leaveFormer(): void {
    if (this.former === null || this.former.pending.length > 0) return
    this.former = null
    this.releasedSeq = 0
    this.onRestart()
  }

  /** Nothing pending will be acknowledged any more. */
  private fail(fault: Fault): void {
    const pending = [...(this.former?.pending ?? []), ...this.pending]
    this.former = null
    this.begin()
    this.releasedSeq = 0
    this.tell(pending, fault)
  }

  private tell(lost: readonly Pending[], fault: Fault): void {
    if (lost.length > 0) this.untold ??= fault
    for (const { bytes, open } of lost) {
      this.pendingBytes -= bytes.length
      open.reject(fault)
    }
    this.wake()
  }

  /** A new epoch, in which numbers start again. */
  private begin(): void {
    this.pending = []
    this.epoch = newEpoch()
    this.sealSeq = 1
    this.refused = null
  }

  private wake(): void {
    const waiting = this.waiting
    this.waiting = []
    for (const resolve of waiting) resolve()
  }
}

function newOpenBatch(): OpenBatch {
  const open = Promise.withResolvers<Published>()
  // Whoever publishes without awaiting is told by `flush` and by later promises; a rejection alone must not end the process.
  open.promise.catch(() => undefined)
  return open
}

/** A random 48-bit number, never 0. */
function newEpoch(): number {
  return randomBytes(6).readUIntLE(0, 6) || 1
}
