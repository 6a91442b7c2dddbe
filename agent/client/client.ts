// The library applications use: connect once, then publish, subscribe, settle, request. The client keeps one connection to the
// hub, renews it with jittered backoff, and carries publishers and subscriptions over to the new one.

import type { Identity } from '#agent/identity/mod.ts'
import { asFault, type Fault, jitteredBackoff } from '#protocol/base/mod.ts'
import type { MessageView } from '#protocol/codec/mod.ts'
import { type SigningKey, signingKey } from '#protocol/crypto/mod.ts'
import {
  FRAME_ACCEPTED,
  FRAME_CREDIT,
  FRAME_DELIVER,
  FRAME_ORIGIN,
  FRAME_REFUSED,
  FRAME_REPLAYED,
  FRAME_SETTLED,
  FRAME_STREAM_OPENED,
  FRAME_SUBSCRIBED,
} from '#protocol/frame/mod.ts'
import {
  decodeAccepted,
  decodeCredit,
  decodeRefused,
  decodeReplayed,
  decodeStreamOpened,
  decodeSubscribed,
} from '#protocol/schema/mod.ts'
import { parseDeliverPrefix } from '#protocol/session/mod.ts'
import { HubConnection } from './connection.ts'
import { type ReceiveContentsOptions, receiveContents } from './contents.ts'
import type { Dial } from './dial.ts'
import { type Download, type Downloaded, type DownloadOptions, startDownload } from './download/mod.ts'
import { clientFault } from './faults.ts'
import type { Line } from './line.ts'
import { Origins } from './origins.ts'
import { Publisher, type PublisherOptions } from './publisher.ts'
import { ReceiptFeed } from './receipts.ts'
import { Requester, type RequestOptions, respond } from './requests.ts'
import { type BatchStore, ProducingCredit, type SenderEvents, StreamSender } from './sender.ts'
import { type SubscribeOptions, Subscription } from './subscription.ts'
import {
  type Direction,
  type Transfer,
  type TransferLimits,
  type TransferReport,
  Transfers,
  type TransferWishes,
} from './transfers.ts'
import { Upload, type UploadOptions } from './upload/mod.ts'

export type ClientOptions = {
  readonly identity: Identity
  /** Instead of the addresses in the identity. */
  readonly addresses?: readonly string[]
  readonly reconnectMsFirst?: number
  readonly reconnectMsMax?: number
  /** 0 ≤ random < 1. */
  readonly random?: () => number
  /** Opens connections in another way than over the system's network: through a tunnel, or a simulation. */
  readonly dial?: Dial
  /** What all uploads, and all downloads, of this client together keep to. Messages do not count, and do not wait for them. */
  readonly transfers?: TransferLimits
  /** What is wished of single transfers from outside, and kept over restarts; it goes before what they were begun with. */
  readonly wishes?: TransferWishes
  readonly onConnected?: () => void
  /** The connection could not be made, or ended; the client tries again. */
  readonly onDisconnected?: (fault: Fault) => void
  /** Something the hub presented is not what its origin sealed or not by whom it says. What was delivered of it is rejected. */
  readonly onUnproven?: (fault: Fault) => void
  /** `ACKNOWLEDGED_LOST`: what a publisher here was told to be stored is not any more, because the hub was restored. */
  readonly onLost?: (fault: Fault) => void
}

/** How much of what waits the hub may send ahead. */
export type Credit = Pick<SubscribeOptions, 'creditBytes' | 'creditMessages'>

export class Client {
  readonly name: string
  bytesIn = 0
  bytesOut = 0
  /** Uncompressed bytes of the messages received. */
  rawBytesIn = 0
  /** Messages received that were rejected because they could not be proven. */
  unprovenMessages = 0
  /** The fault of the last failed attempt, while disconnected. */
  lastFault: Fault | null = null
  private readonly options: ClientOptions
  private readonly key: SigningKey
  private connection: HubConnection | null = null
  private credit: ProducingCredit | null = null
  private origins: Origins | null = null
  private readonly senders = new Set<StreamSender>()
  private readonly subscriptions = new Map<Subscription, PromiseWithResolvers<void>>()
  /** Of this connection: requests whose answer a subscription must see at once. */
  private readonly bySubscriptionRequest = new Map<number, Subscription>()
  private readonly consumers = new Map<number, Subscription>()
  private requester: Requester | null = null
  private closing: Fault | null = null
  private stopWaiting: (() => void) | null = null
  private readonly running: Promise<void>
  private readonly publishers = new Set<Publisher>()
  private readonly transfers: Transfers

  private constructor(options: ClientOptions) {
    this.options = options
    this.name = options.identity.name
    this.key = signingKey(options.identity.key)
    this.transfers = new Transfers(options.transfers, options.wishes)
    this.running = this.run()
  }

  /** A client that connects by itself and stays connected until `close`. It can be used at once. */
  static start(options: ClientOptions): Client {
    return new Client(options)
  }

  /** As `start`, but resolves when the first connection stands. Faults: why the first attempt failed. */
  static async connect(options: ClientOptions): Promise<Client> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const client = new Client({
      ...options,
      onConnected: () => {
        options.onConnected?.()
        resolve()
      },
      onDisconnected: (fault) => {
        options.onDisconnected?.(fault)
        reject(fault)
      },
    })
    try {
      await promise
    } catch (error) {
      await client.close()
      throw error
    }
    return client
  }

  get connected(): boolean {
    return this.connection?.alive === true
  }

  /** A publisher of one producer stream, in memory. Faults: `CLIENT_CLOSED`. */
  publisher(options: PublisherOptions): Publisher {
    if (this.closing !== null) throw this.closing
    const publisher = new Publisher({
      ...options,
      origin: this.name,
      key: this.key,
      onRestart: () => this.attachSender(publisher.sender),
      onLost: (fault) => this.options.onLost?.(fault),
    })
    this.publishers.add(publisher)
    this.addSender(publisher.sender)
    return publisher
  }

  /** Sends a stream whose sealed batches lie elsewhere: an agent's spool. Call `pump` of the result when it has more. */
  sendFrom(store: BatchStore, events: SenderEvents): StreamSender {
    const sender = new StreamSender(store, events)
    this.addSender(sender)
    return sender
  }

  removeSender(sender: StreamSender): void {
    sender.stop()
    this.senders.delete(sender)
  }

  /**
   * Consumes; resolves when the hub has confirmed. It is carried over to new connections by itself.
   * Faults: `REQUEST_REFUSED`, `CLIENT_CLOSED`.
   */
  async subscribe(options: SubscribeOptions): Promise<Subscription> {
    if (this.closing !== null) throw this.closing
    const subscription = new Subscription(options, {
      onRequest: (request, asker) => this.bySubscriptionRequest.set(request, asker),
      onUnproven: (fault, messages) => {
        this.unprovenMessages += messages
        this.options.onUnproven?.(fault)
      },
      onEnd: (ended) => this.subscriptions.delete(ended),
    })
    const confirmed = Promise.withResolvers<void>()
    this.subscriptions.set(subscription, confirmed)
    if (this.connected) void this.attachSubscription(subscription)
    await confirmed.promise
    return subscription
  }

  /** What is addressed to this agent (`to/<name>/…`), to a group of its or to all: needs no right. Faults: as `subscribe`. */
  inbox(credit: Credit = {}): Promise<Subscription> {
    return this.subscribe({ queue: `inbox/${this.name}`, ...credit })
  }

  /**
   * What became of messages whose publishers ask for receipts; they wait at the hub until they are settled here. It needs no
   * right. Faults: as `subscribe`.
   */
  async receipts(credit: Credit = {}): Promise<ReceiptFeed> {
    const subscription = await this.subscribe({ queue: `receipts/${this.name}`, ...credit })
    return new ReceiptFeed(subscription, this.options.identity.hubName)
  }

  /** Asks and waits for one answer. Faults: `REQUEST_TIMEOUT`, `PUBLISH_REFUSED`, `REQUEST_REFUSED`, `CLIENT_CLOSED`. */
  request(options: RequestOptions) {
    this.requester ??= new Requester(this)
    return this.requester.request(options)
  }

  /** Answers requests on topics or a queue; see `respond`. */
  respond(options: SubscribeOptions, handler: Parameters<typeof respond>[2]): Promise<Subscription> {
    return respond(this, options, handler)
  }

  /**
   * Brings large content into a file here; it goes on over new connections until it is there. See `Download`.
   * Faults: `DOWNLOAD_INVALID`, `CLIENT_CLOSED`.
   */
  download(options: DownloadOptions): Download {
    return startDownload(options, this)
  }

  /**
   * Downloads the large contents a message refers to, into a folder; settle the message when they are there. After a repeated
   * delivery what is there is not fetched again. Faults: as `Download.done`.
   */
  receiveContents(message: MessageView, options: ReceiveContentsOptions): Promise<Downloaded[]> {
    return receiveContents(this, message, options)
  }

  /**
   * Sends a file as a large content, over new connections where needed; messages name it by its id. Faults: `UPLOAD_INVALID`,
   * `CONTENT_NAME_INVALID`, `CLIENT_CLOSED`; those of the result's promises.
   */
  upload(options: UploadOptions): Upload {
    if (this.closing !== null) throw this.closing
    return new Upload(this, options)
  }

  /** Begins an upload or a download; it goes on over new connections until it ends itself by `removeTransfer`. */
  addTransfer(transfer: Transfer): void {
    if (this.closing !== null) throw this.closing
    this.transfers.add(transfer)
  }

  removeTransfer(transfer: Transfer): void {
    this.transfers.remove(transfer)
  }

  /** Asks the hub for one again, on the connection that stands. */
  beginTransfer(transfer: Transfer): void {
    this.transfers.begin(transfer)
  }

  transferLine(direction: Direction): Line {
    return this.transfers.line(direction)
  }

  /** One has arrived. */
  transferDone(id: string): void {
    this.transfers.done(id)
  }

  /** One was given up, and whoever waited for it knows for good: nothing more is wished of it. */
  transferSettled(id: string): void {
    this.transfers.settled(id)
  }

  /** See `TransferHost`. */
  transferUnwanted(tell: (connection: HubConnection) => void): void {
    this.transfers.unwanted(tell)
  }

  /** One goes on under another id: the file has changed. */
  transferRenamed(id: string, to: string): void {
    this.transfers.renamed(id, to)
  }

  /** Uploads and downloads that are not over. */
  transferReports(): TransferReport[] {
    return this.transfers.reports()
  }

  /** What this agent seals with. */
  get sealingKey(): SigningKey {
    return this.key
  }

  /** Settlements already made still go out; what was published and is not acknowledged is refused with `CLIENT_CLOSED`. */
  async close(): Promise<void> {
    this.closing ??= clientFault('CLIENT_CLOSED')
    this.requester?.close(this.closing)
    for (const publisher of this.publishers) publisher.close(this.closing)
    for (const subscription of this.subscriptions.keys()) {
      subscription.flush()
      subscription.end()
    }
    for (const sender of this.senders) sender.stop()
    this.transfers.close(this.closing)
    for (const { reject, promise } of this.subscriptions.values()) {
      // Whoever awaits `subscribe` is told; where nobody does any more, the rejection is nobody's.
      promise.catch(() => undefined)
      reject(this.closing)
    }
    this.connection?.close(this.closing)
    this.stopWaiting?.()
    await this.running
  }

  private async run(): Promise<void> {
    const { addresses = this.options.identity.addresses, random = Math.random } = this.options
    const { reconnectMsFirst = 200, reconnectMsMax = 15_000 } = this.options
    // Full jitter: agents that lost the hub together do not come back together.
    const backoff = jitteredBackoff({ firstMs: reconnectMsFirst, maxMs: reconnectMsMax, random })
    while (this.closing === null) {
      const address = addresses[backoff.failures % addresses.length] as string
      try {
        const connection = await this.open(address)
        const fault = await connection.closed
        backoff.reset()
        this.lost(fault)
      } catch (error) {
        this.lost(asFault(error, address))
      }
      if (this.closing !== null) return
      // Two programs with one identity would cut each other off without end: the one that was cut off stands back.
      const cutOff = this.lastFault?.details.peerCode === 'IDENTITY_TAKEN_OVER'
      await this.wait(cutOff ? reconnectMsMax : backoff.next())
    }
  }

  private async open(address: string): Promise<HubConnection> {
    const { identity, dial } = this.options
    const connection = await HubConnection.open({
      address,
      identity,
      ...(dial === undefined ? {} : { dial }),
      onDrain: () => this.pump(),
      onBytes: (bytesIn, bytesOut) => {
        this.bytesIn += bytesIn
        this.bytesOut += bytesOut
      },
    })
    if (this.closing !== null) {
      connection.close(this.closing)
      return connection
    }
    this.connection = connection
    this.credit = new ProducingCredit(connection.terms.limits.creditBytesMax)
    this.origins = new Origins(identity.caCertificate, identity.hubName)
    this.consumers.clear()
    this.bySubscriptionRequest.clear()
    this.listen(connection)
    this.lastFault = null
    for (const sender of this.senders) this.attachSender(sender)
    for (const subscription of this.subscriptions.keys()) void this.attachSubscription(subscription)
    this.transfers.attach(connection, this.origins)
    this.options.onConnected?.()
    return connection
  }

  private listen(connection: HubConnection): void {
    connection.listen(FRAME_STREAM_OPENED, (_kind, body) => connection.answer(decodeStreamOpened(body).request, body))
    connection.listen(FRAME_SUBSCRIBED, (_kind, body) => {
      const { request, consumer } = decodeSubscribed(body)
      const subscription = this.asker(request)
      if (subscription !== undefined) {
        subscription.subscribed(body)
        this.consumers.set(consumer, subscription)
      }
      connection.answer(request, body)
    })
    connection.listen(FRAME_REPLAYED, (_kind, body) => {
      const { request } = decodeReplayed(body)
      this.asker(request)?.replayed()
      connection.answer(request, body)
    })
    connection.listen(FRAME_ACCEPTED, (_kind, body) => {
      const accepted = decodeAccepted(body)
      this.credit?.raise(accepted.creditBytes)
      this.sender(accepted.streamId)?.accepted(accepted)
      this.pump()
    })
    connection.listen(FRAME_REFUSED, (_kind, body) => {
      const refused = decodeRefused(body)
      this.sender(refused.streamId)?.refused(refused)
    })
    connection.listen(FRAME_CREDIT, (_kind, body) => {
      this.credit?.raise(decodeCredit(body).bytes)
      this.pump()
    })
    connection.listen(FRAME_ORIGIN, (_kind, body) => {
      const fault = this.origins?.introduce(body) ?? null
      if (fault !== null) this.options.onUnproven?.(fault)
    })
    connection.listen(FRAME_DELIVER, (_kind, body) => {
      const subscription = this.consumers.get(parseDeliverPrefix(body).consumer)
      this.rawBytesIn += subscription?.receive(connection, body) ?? 0
    })
    connection.listen(FRAME_SETTLED, () => undefined)
  }

  /** Who asked; each answer comes once. */
  private asker(request: number): Subscription | undefined {
    const subscription = this.bySubscriptionRequest.get(request)
    this.bySubscriptionRequest.delete(request)
    return subscription
  }

  private lost(fault: Fault): void {
    this.connection = null
    this.lastFault = fault
    for (const sender of this.senders) sender.detach()
    this.transfers.detach()
    if (this.closing === null) this.options.onDisconnected?.(fault)
  }

  private sender(streamId: number): StreamSender | undefined {
    for (const sender of this.senders) if (sender.streamId === streamId) return sender
    return undefined
  }

  private pump(): void {
    for (const sender of this.senders) sender.pump()
    this.transfers.pump()
  }

  private addSender(sender: StreamSender): void {
    this.senders.add(sender)
    this.attachSender(sender)
  }

  private attachSender(sender: StreamSender): void {
    const { connection, credit } = this
    if (connection === null || credit === null || !connection.alive) return
    sender.attach(connection, credit).catch((error: unknown) => {
      if (connection.alive) sender.report(asFault(error))
    })
  }

  private async attachSubscription(subscription: Subscription): Promise<void> {
    const { connection, origins } = this
    if (connection === null || origins === null) return
    const confirmed = this.subscriptions.get(subscription)
    try {
      await subscription.attach(connection, origins)
      confirmed?.resolve()
    } catch (error) {
      if (!connection.alive) return
      this.subscriptions.delete(subscription)
      subscription.fail(asFault(error))
      confirmed?.reject(error)
    }
  }

  private wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.stopWaiting = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
