// The producing half of a session: streams it opened, batches on their way to the store, acknowledgements.

import { type KeyObject, X509Certificate } from 'node:crypto'
import type { HubStore, Placement, Queue, Stream } from '#hub/store/mod.ts'
import { asFault, assert, type Fault } from '#protocol/base/mod.ts'
import { type Batch, keyIdIn, openBatch, topicMatches } from '#protocol/codec/mod.ts'
import { keyIdOf } from '#protocol/crypto/mod.ts'
import { CHANNEL_CONTROL, CHANNEL_RECEIPTS, FRAME_ACCEPTED, FRAME_CREDIT, FRAME_REFUSED } from '#protocol/frame/mod.ts'
import { encodeAccepted, encodeCredit, encodeRefused, type OpenStream } from '#protocol/schema/mod.ts'
import { BATCH_PREFIX_BYTES, parseBatchPrefix, sessionFault } from '#protocol/session/mod.ts'
import { CREDIT_BYTES_FIRST, type CreditPool, CreditWindow } from './credit.ts'
import { hubSessionFault } from './faults.ts'
import { reportOf } from './report.ts'
import type { Tally } from './tally.ts'

/** Where the messages of a batch go; what nobody wants goes to `unrouted`. Made by the router, which sessions do not know. */
export type Route = (
  batch: Batch,
  unrouted: Queue,
) => {
  placements: readonly Placement[]
  unroutedCount: number
  /** Large contents the batch refers to, each once. */
  contents: readonly string[]
}

/** A stream of this session. */
type OpenedStream = { readonly id: number; readonly stream: Stream; ackedSeq: number; unrouted: number }

export type ProducerOptions = {
  readonly agent: string
  readonly publicKey: KeyObject
  readonly publishPatterns: readonly string[]
  readonly store: HubStore
  readonly route: Route
  /** Whether the hub has a large content. */
  contentKnown(id: string): boolean
  readonly streamsMax: number
  readonly credit: CreditPool
  readonly tally: Tally
  send(kind: number, channel: number, body: Uint8Array): void
  onRefused(fault: Fault): void
}

export class Producer {
  messagesIn = 0
  private readonly options: ProducerOptions
  private readonly streams: OpenedStream[] = []
  private readonly allowed = new Map<string, boolean>()
  private readonly unacknowledged = new Set<OpenedStream>()
  private receivedBytes = 0
  private storedBytes = 0
  /** Absolute: never lowered. */
  private grantedBytes = CREDIT_BYTES_FIRST
  private readonly window: CreditWindow
  private readonly keyId: Buffer

  constructor(options: ProducerOptions) {
    this.options = options
    this.window = new CreditWindow(options.credit)
    this.keyId = keyIdOf(options.publicKey)
  }

  /** Continues a stream. Faults: `STREAM_UNNAMED`, `SESSION_LIMIT`, `STREAM_LIMIT`. */
  open({ stream: name, epoch }: Pick<OpenStream, 'stream' | 'epoch'>): { streamId: number; lastSeq: number } {
    if (name === '') throw hubSessionFault('STREAM_UNNAMED')
    const { store, agent, streamsMax } = this.options
    let opened = this.streams.find(({ stream }) => stream.name === name && stream.epoch === epoch)
    if (opened === undefined) {
      if (this.streams.length >= streamsMax) throw hubSessionFault('SESSION_LIMIT', { why: `${streamsMax} streams` })
      opened = { id: this.streams.length + 1, stream: store.stream(agent, name, epoch), ackedSeq: 0, unrouted: 0 }
      this.streams.push(opened)
    }
    return { streamId: opened.id, lastSeq: opened.stream.durableSeq }
  }

  /**
   * The stream goes on behind `seq`, which its agent has forgotten and the store has lost: resolves, with the last number
   * it then has, when that is on disk.
   */
  async skip(streamId: number, seq: number): Promise<number> {
    const opened = this.streams[streamId - 1]
    assert(opened !== undefined, 'only an open stream is told to skip')
    await this.options.store.skip(opened.stream, seq)
    return opened.stream.durableSeq
  }

  /** The session has ended. */
  close(): void {
    for (const { stream } of this.streams) this.options.store.closeStream(stream)
    this.streams.length = 0
    this.window.close()
  }

  /**
   * Takes a BATCH body. What breaks the protocol throws and ends the session; what the store or the rules cannot take is
   * answered with REFUSED, and the agent keeps it.
   */
  batch(body: Buffer): void {
    this.receivedBytes += body.length
    if (this.receivedBytes > this.grantedBytes + body.length) {
      throw sessionFault('SESSION_CREDIT_EXCEEDED', { creditBytes: this.grantedBytes })
    }
    this.window.used(this.receivedBytes - this.storedBytes)
    const opened = this.streams[parseBatchPrefix(body) - 1]
    if (opened === undefined) throw hubSessionFault('STREAM_UNKNOWN')
    const view = body.subarray(BATCH_PREFIX_BYTES)
    // A small body shares its memory with others, which the cache would keep alive with it.
    const batch = openBatch(body.length < body.buffer.byteLength ? Buffer.from(view) : view)
    const { head } = batch
    const { stream } = opened
    if (head.origin !== stream.origin || head.stream !== stream.name || head.epoch !== stream.epoch) {
      throw hubSessionFault('BATCH_FOREIGN', { where: `stream ${stream.name}`, why: `${head.origin}/${head.stream}` })
    }
    batch.verify(this.keyOf(batch))
    void this.store(opened, batch, body.length)
  }

  /** The session's key, or an earlier one of the same agent: a spool outlives a re-enrolment. */
  private keyOf(batch: Batch): KeyObject {
    const keyId = keyIdIn(batch.head)
    if (keyId.equals(this.keyId)) return this.options.publicKey
    const certificate = this.options.store.originCertificate(this.options.agent, keyId.toString('hex'))
    return certificate === null ? this.options.publicKey : new X509Certificate(certificate).publicKey
  }

  private async store(opened: OpenedStream, batch: Batch, bytes: number): Promise<void> {
    const { store, route } = this.options
    try {
      this.checkRights(batch)
      const { placements, unroutedCount, contents } = route(batch, store.unrouted)
      const isNew = batch.lastSeq > opened.stream.plannedSeq
      // A batch that comes again may have had its contents: they go with its last message.
      if (isNew && contents.length > 0) this.checkContents(contents)
      // In the same turn: from here on they are held.
      await store.append(opened.stream, batch, placements, contents)
      this.count(batch, isNew)
      opened.unrouted += unroutedCount
    } catch (error) {
      this.storedBytes += bytes
      this.refuse(opened, batch, asFault(error))
      return
    }
    this.storedBytes += bytes
    if (this.unacknowledged.size === 0) queueMicrotask(() => this.acknowledge())
    this.unacknowledged.add(opened)
  }

  private count(batch: Batch, isNew: boolean): void {
    const { tally } = this.options
    this.messagesIn += batch.count
    if (!isNew) {
      tally.duplicate += batch.count
      return
    }
    tally.accepted += batch.count
    tally.acceptedBytes += batch.bytes.length
  }

  /** One ACCEPTED for all batches of a stream that became durable together. */
  private acknowledge(): void {
    for (const opened of this.unacknowledged) {
      opened.ackedSeq = opened.stream.durableSeq
      const body = encodeAccepted({
        streamId: opened.id,
        lastSeq: opened.ackedSeq,
        creditBytes: this.grant(),
        unrouted: opened.unrouted,
      })
      opened.unrouted = 0
      this.options.send(FRAME_ACCEPTED, CHANNEL_RECEIPTS, body)
    }
    this.unacknowledged.clear()
  }

  private grant(): number {
    this.grantedBytes = Math.max(this.grantedBytes, this.storedBytes + this.window.bytes)
    return this.grantedBytes
  }

  private refuse(opened: OpenedStream, batch: Batch, fault: Fault): void {
    this.options.onRefused(fault)
    const body = encodeRefused({
      streamId: opened.id,
      firstSeq: batch.head.firstSeq,
      fault: reportOf(fault),
      lastSeq: opened.stream.durableSeq,
    })
    this.options.send(FRAME_REFUSED, CHANNEL_RECEIPTS, body)
    // What was refused takes no room any more.
    const credit = { consumer: 0, bytes: this.grant(), messages: 0 }
    this.options.send(FRAME_CREDIT, CHANNEL_CONTROL, encodeCredit(credit))
  }

  private checkContents(contents: readonly string[]): void {
    for (const id of contents) {
      if (!this.options.contentKnown(id))
        throw hubSessionFault('CONTENT_MISSING', { where: `content ${id}`, retry: true })
    }
  }

  /** Every topic of the batch must be one the agent may publish to. */
  private checkRights(batch: Batch): void {
    for (const { topic } of batch.index().envelopes) {
      let allowed = this.allowed.get(topic)
      if (allowed === undefined) {
        allowed = this.options.publishPatterns.some((pattern) => topicMatches(pattern, topic))
        if (this.allowed.size >= 4096) this.allowed.clear()
        this.allowed.set(topic, allowed)
      }
      if (!allowed)
        throw hubSessionFault('RIGHT_MISSING', { where: `agent ${this.options.agent}`, why: `publish to ${topic}` })
    }
  }
}
