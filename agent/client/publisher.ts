// Publishes messages from memory: gathers them into batches, seals each once, keeps it until the hub has it on disk.
// `publish` gives the promise of the batch the message is in: one promise for many messages.

import { randomBytes } from 'node:crypto'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { BatchBuilder, type Compression, type Headers, NO_HEADERS } from '#protocol/codec/mod.ts'
import type { SigningKey } from '#protocol/crypto/mod.ts'
import { clientFault } from './faults.ts'
import { BATCH_BYTES, WINDOW_BYTES } from './limits.ts'
import { type BatchStore, StreamSender } from './sender.ts'

export type OutgoingMessage = {
  readonly topic: string
  readonly body: Uint8Array
  readonly key?: Uint8Array
  /** Share one object among messages with equal headers: it is encoded once. */
  readonly headers?: Headers
}

export type PublisherOptions = {
  /** The producer stream's name; messages of one stream stay in order. */
  readonly stream: string
  readonly compression?: Compression
  /**
   * `batch` (default): the batch is signed as a whole, fastest. `message`: every message can also leave the batch with a
   * proof of its own, for subscriptions that take some messages of a batch, and for evidence.
   */
  readonly proof?: 'batch' | 'message'
  /** Raw bytes after which a batch is sealed. */
  readonly batchBytes?: number
  /** Bytes held until acknowledged; `room` waits below it. */
  readonly windowBytes?: number
}

type Pending = { readonly firstSeq: number; readonly count: number; readonly bytes: Buffer; readonly open: OpenBatch }

type OpenBatch = { readonly promise: Promise<void>; resolve(): void; reject(fault: Fault): void }

export class Publisher implements BatchStore {
  readonly name: string
  epoch = newEpoch()
  readonly sender: StreamSender
  unroutedMessages = 0
  private readonly origin: string
  private readonly key: SigningKey
  private readonly options: Required<PublisherOptions>
  private readonly builder = new BatchBuilder()
  private nextSeq = 1
  private pending: Pending[] = []
  private pendingBytes = 0
  private current: OpenBatch | null = null
  private scheduled = false
  private waiting: (() => void)[] = []
  private closedBy: Fault | null = null
  /** Why messages were lost since the last `flush`. */
  private untold: Fault | null = null

  /** Use `client.publisher()`. */
  constructor(
    options: PublisherOptions & { origin: string; key: SigningKey; onRestart: (publisher: Publisher) => void },
  ) {
    this.name = options.stream
    this.origin = options.origin
    this.key = options.key
    this.options = {
      compression: 'none',
      proof: 'batch',
      batchBytes: BATCH_BYTES,
      windowBytes: WINDOW_BYTES,
      ...options,
    }
    this.sender = new StreamSender(this, {
      onAccepted: () => undefined,
      onRefused: (fault) => {
        if (fault.details.retry === true) return
        this.fail(fault)
        options.onRestart(this)
      },
      onUnrouted: (messages) => {
        this.unroutedMessages += messages
      },
      onError: (fault) => this.fail(fault),
    })
  }

  /**
   * Adds a message to the open batch; resolves when the hub has that batch on disk.
   * Faults: `BODY_TOO_LARGE`, `TOPIC_INVALID`, `HEADERS_INVALID`, `PUBLISH_WINDOW_FULL`, `CLIENT_CLOSED` (thrown at once, nothing
   * added); `PUBLISH_REFUSED` (the promise rejects for all that was not stored).
   */
  publish({ topic, body, key = undefined, headers = NO_HEADERS }: OutgoingMessage): Promise<void> {
    if (this.closedBy !== null) throw this.closedBy
    if (this.pendingBytes > 2 * this.options.windowBytes) throw clientFault('PUBLISH_WINDOW_FULL')
    if (!this.builder.fits(body.length, key?.length ?? 0) && this.builder.count > 0) this.seal()
    this.builder.add(topic, headers, key ?? null, body)
    this.current ??= openBatch()
    const { promise } = this.current
    if (this.builder.rawBytes >= this.options.batchBytes) this.seal()
    else this.schedule()
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
    await this.pending.at(-1)?.open.promise.catch(() => undefined)
    const { untold } = this
    this.untold = null
    if (untold !== null) throw untold
  }

  /** Ends it; promises still open reject. */
  close(fault: Fault): void {
    this.closedBy = fault
    this.sender.stop()
    this.fail(fault)
  }

  read({ seq, bytesMax }: { seq: number; bytesMax: number }): readonly Pending[] {
    const from = this.pending.findIndex((batch) => batch.firstSeq >= seq)
    if (from < 0) return []
    let bytes = 0
    let to = from
    while (to < this.pending.length && (to === from || bytes < bytesMax))
      bytes += (this.pending[to++] as Pending).bytes.length
    return this.pending.slice(from, to)
  }

  async release(seq: number): Promise<void> {
    let released = 0
    for (const batch of this.pending) {
      if (batch.firstSeq + batch.count - 1 > seq) break
      released++
      this.pendingBytes -= batch.bytes.length
      batch.open.resolve()
    }
    if (released === 0) return
    this.pending.splice(0, released)
    const waiting = this.waiting
    this.waiting = []
    for (const resolve of waiting) resolve()
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
    const { count } = this.builder
    try {
      const bytes = this.builder.seal({
        origin: this.origin,
        stream: this.name,
        epoch: this.epoch,
        firstSeq: this.nextSeq,
        sealedAtMs: Date.now(),
        key: this.key,
        compression: this.options.compression,
        tree: this.options.proof === 'message',
      })
      this.pending.push({ firstSeq: this.nextSeq, count, bytes, open })
      this.pendingBytes += bytes.length
      this.nextSeq += count
    } catch (error) {
      this.untold ??= asFault(error)
      open.reject(asFault(error))
      return
    }
    this.sender.pump()
  }

  /** Nothing pending will be stored: say so, and begin a new epoch, in which numbers start again. */
  private fail(fault: Fault): void {
    const { pending } = this
    if (pending.length > 0) this.untold ??= fault
    this.pending = []
    this.pendingBytes = 0
    this.epoch = newEpoch()
    this.nextSeq = 1
    for (const { open } of pending) open.reject(fault)
    const waiting = this.waiting
    this.waiting = []
    for (const resolve of waiting) resolve()
  }
}

function openBatch(): OpenBatch {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  // Whoever publishes without awaiting is told by `flush` and by later promises; a rejection alone must not end the process.
  promise.catch(() => undefined)
  return { promise, resolve, reject }
}

/** A random 48-bit number, never 0. */
function newEpoch(): number {
  return randomBytes(6).readUIntLE(0, 6) || 1
}
