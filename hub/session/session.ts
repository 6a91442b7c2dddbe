// One agent's session after the handshake: frames to store, queues to frames. The connection itself is the listener's.

import { type KeyObject, X509Certificate } from 'node:crypto'
import type { HubStore, Queue, QueueInfo } from '#hub/store/mod.ts'
import { DEFAULT_POLICY, inboxOf, OWNER_HUB, receiptsOf, retains, storeFault } from '#hub/store/mod.ts'
import { type Contents, TransferDesk } from '#hub/transfer/mod.ts'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { type BatchHead, keyIdIn, patternCovers, patternProblem } from '#protocol/codec/mod.ts'
import { keyIdOf } from '#protocol/crypto/mod.ts'
import {
  BATCH_FRAME_BYTES_MAX,
  CHANNEL_CONTROL,
  CHANNEL_RECEIPTS,
  FRAME_BATCH,
  FRAME_CREDIT,
  FRAME_FAILED,
  FRAME_OPEN_STREAM,
  FRAME_ORIGIN,
  FRAME_REPLAY,
  FRAME_REPLAYED,
  FRAME_SETTLE,
  FRAME_SETTLED,
  FRAME_STREAM_OPENED,
  FRAME_SUBSCRIBE,
  FRAME_SUBSCRIBED,
  FRAME_UNSUBSCRIBE,
} from '#protocol/frame/mod.ts'
import {
  decodeCredit,
  decodeOpenStream,
  decodeReplay,
  decodeSettle,
  decodeSubscribe,
  decodeUnsubscribe,
  encodeFailed,
  encodeOrigin,
  encodeReplayed,
  encodeSettled,
  encodeStreamOpened,
  encodeSubscribed,
  type OpenStream,
  type Replay,
  type Subscribe,
} from '#protocol/schema/mod.ts'
import { sessionFault } from '#protocol/session/mod.ts'
import { Consumer, type Outlet } from './consumer.ts'
import { ContentRights } from './content-rights.ts'
import type { CreditPool } from './credit.ts'
import type { Dispatcher } from './dispatcher.ts'
import { hubSessionFault } from './faults.ts'
import type { HubIdentity } from './identity.ts'
import { policyFrom } from './policy.ts'
import { Producer, type Route } from './producer.ts'
import { reportOf } from './report.ts'
import type { RollbackGuard } from './rollback.ts'
import type { Tally } from './tally.ts'

/** Topic under which agents answer requests; everyone enrolled may publish there, the reply's name cannot be guessed. */
export const REPLY_PATTERN = 'reply/#'

/** What the hub lends every session. */
export type SessionContext = {
  readonly store: HubStore
  readonly route: Route
  /** Whether the hub has a large content, so that messages may refer to it; without it none is known. */
  contentKnown?(id: string): boolean
  readonly dispatcher: Dispatcher
  readonly identity: HubIdentity
  /** Shared by all producing connections. */
  readonly credit: CreditPool
  /** Large content. */
  readonly contents: Contents
  /** Told when an agent knows of more than the store has. */
  readonly rollback: Pick<RollbackGuard, 'claimed'>
  /** Makes the inboxes of agents that are new. */
  lookForAgents(): void
  /** The agent's account, the same object for all its sessions. */
  tally(agent: string): Tally
  log(level: 'debug' | 'info' | 'warn', message: string, details: Readonly<Record<string, unknown>>): void
}

export type SessionAgent = {
  readonly name: string
  readonly certificate: Buffer
  readonly publish: readonly string[]
  readonly consume: readonly string[]
}

/** The connection as a session sees it. */
export type SessionConnection = {
  readonly writable: boolean
  /** As `writable`, for large content: sooner false, so that what is urgent does not wait behind it. */
  readonly bulkWritable: boolean
  send(kind: number, channel: number, body: Uint8Array): void
  /** `sent`: the second is not needed any more. */
  sendParts(first: Buffer, second: Buffer, sent?: () => void): void
  close(fault: Fault): void
}

/** What was agreed with the agent. */
export type SessionLimits = {
  readonly streamsMax: number
  readonly subscriptionsMax: number
  readonly frameBytesMax: number
  /** Frames of transfers may be sent. */
  readonly transfers: boolean
  /** Chunks of large content may travel encoded. */
  readonly encodedChunks: boolean
}

export class Session {
  readonly agent: SessionAgent
  messagesOut = 0
  private producer_: Producer | null = null
  private desk_: TransferDesk | null = null
  private readonly context: SessionContext
  private readonly connection: SessionConnection
  private readonly limits: SessionLimits
  private readonly tally: Tally
  private readonly consumers = new Map<number, Consumer>()
  private readonly introduced = new Set<string>()
  private readonly rights: ContentRights
  private nextConsumer = 1
  private closed = false

  constructor(options: {
    agent: SessionAgent
    context: SessionContext
    connection: SessionConnection
    limits: SessionLimits
  }) {
    this.agent = options.agent
    this.context = options.context
    this.connection = options.connection
    this.limits = options.limits
    this.tally = this.context.tally(this.agent.name)
    this.tally.sessions++
    const { agent, context } = this
    const mayConsume = (queue: QueueInfo) => this.mayConsumeQueue(queue)
    this.rights = new ContentRights({ agent: agent.name, context, mayConsume })
  }

  /** Made for the first stream: most agents of a large hub are idle, and a key takes memory. */
  get producer(): Producer {
    this.producer_ ??= this.makeProducer()
    return this.producer_
  }

  private makeProducer(): Producer {
    const { agent, context } = this
    return new Producer({
      agent: agent.name,
      publicKey: this.rememberedKey(),
      publishPatterns: agent.publish,
      store: context.store,
      route: context.route,
      contentKnown: (id) => context.contentKnown?.(id) === true && this.rights.mayRead(id),
      streamsMax: this.limits.streamsMax,
      credit: context.credit,
      tally: this.tally,
      send: (kind, channel, body) => this.connection.send(kind, channel, body),
      onRefused: (fault) => context.log('warn', 'batch refused', { agent: agent.name, fault: fault.toJSON() }),
    })
  }

  /** Made for the first transfer. */
  private get desk(): TransferDesk {
    this.desk_ ??= this.makeDesk()
    return this.desk_
  }

  private makeDesk(): TransferDesk {
    const { agent, connection, context } = this
    return new TransferDesk({
      agent: agent.name,
      contents: context.contents,
      encoded: this.limits.encodedChunks,
      checkMaySend: () => {
        if (agent.publish.some((pattern) => pattern !== REPLY_PATTERN)) return
        throw hubSessionFault('RIGHT_MISSING', { where: `agent ${agent.name}`, why: 'publish anything' })
      },
      mayRead: (id) => this.rights.mayRead(id),
      // As with a producer: who takes the content is shown the certificate, perhaps when this session is long over.
      publicKey: () => this.rememberedKey(),
      bulkWritable: () => connection.bulkWritable && !this.closed,
      send: (kind, channel, body) => connection.send(kind, channel, body),
      sendParts: (first, second, sent) => connection.sendParts(first, second, sent),
      introduce: ({ origin, keyId }) => this.introduceKey(origin, keyId.toString('hex')),
      failed: (request, fault) => this.failed(request, fault),
      reportOf,
      log: context.log,
    })
  }

  private rememberedKey(): KeyObject {
    const { agent, context } = this
    const { publicKey } = new X509Certificate(agent.certificate)
    context.store.rememberOrigin(agent.name, keyIdOf(publicKey).toString('hex'), agent.certificate)
    return publicKey
  }

  get consumerCount(): number {
    return this.consumers.size
  }

  /** A frame from the agent. What breaks the protocol throws: the connection closes with it. */
  frame(kind: number, _channel: number, body: Buffer): void {
    switch (kind) {
      case FRAME_BATCH:
        this.producer.batch(body)
        return
      case FRAME_SETTLE:
        this.settle(body)
        return
      case FRAME_CREDIT:
        this.credit(body)
        return
      case FRAME_OPEN_STREAM:
        this.openStream(body)
        return
      case FRAME_SUBSCRIBE:
        void this.subscribe(decodeSubscribe(body))
        return
      case FRAME_UNSUBSCRIBE:
        this.unsubscribe(body)
        return
      case FRAME_REPLAY:
        void this.replay(decodeReplay(body))
        return
      default:
        if (this.limits.transfers && this.desk.frame(kind, body)) return
        throw sessionFault('SESSION_FRAME_UNEXPECTED', { where: `frame kind 0x${kind.toString(16)}` })
    }
  }

  /** The connection can take more again. */
  pump(): void {
    for (const consumer of this.consumers.values()) this.context.dispatcher.wake(consumer.queue)
    this.desk_?.pump()
  }

  /** The connection is gone: consumers give back what is not settled. */
  close(): void {
    this.closed = true
    this.producer_?.close()
    this.desk_?.close()
    for (const consumer of this.consumers.values()) this.end(consumer, consumer.ephemeral)
    this.consumers.clear()
  }

  private openStream(body: Buffer): void {
    const asked = decodeOpenStream(body)
    this.answer(asked.request, () => {
      const { streamId, lastSeq } = this.producer.open(asked)
      const { stream, epoch, knownSeq, knownStore, skip } = asked
      if (lastSeq < knownSeq && this.context.store.storeId.equals(knownStore)) {
        this.context.rollback.claimed({ agent: this.agent.name, stream, epoch, knownSeq, durableSeq: lastSeq })
      } else if (lastSeq < knownSeq && skip) void this.skip(asked, streamId)
      else this.streamOpened(asked.request, streamId, lastSeq)
    })
  }

  /** What the store has lost and the agent has forgotten comes from nowhere any more: the stream goes on behind it. */
  private async skip({ request, stream, epoch, knownSeq }: OpenStream, streamId: number): Promise<void> {
    const { agent, context } = this
    try {
      const lastSeq = await this.producer.skip(streamId, knownSeq)
      context.log('warn', 'stream goes on behind what the store lacks', { agent: agent.name, stream, epoch, knownSeq })
      this.streamOpened(request, streamId, lastSeq)
    } catch (error) {
      this.failed(request, asFault(error))
    }
  }

  private streamOpened(request: number, streamId: number, lastSeq: number): void {
    const body = encodeStreamOpened({ request, streamId, lastSeq })
    this.connection.send(FRAME_STREAM_OPENED, CHANNEL_CONTROL, body)
  }

  private async subscribe(request: Subscribe): Promise<void> {
    try {
      const queue = await this.queueFor(request)
      // The agent went while its queue was being made; what ends with the session has to end now.
      if (this.closed) return this.forgetPassing(queue)
      if (this.limits.frameBytesMax < BATCH_FRAME_BYTES_MAX) throw hubSessionFault('FRAMES_TOO_SMALL')
      if (this.consumers.size >= this.limits.subscriptionsMax) {
        throw hubSessionFault('SESSION_LIMIT', { why: `${this.limits.subscriptionsMax} consumers` })
      }
      const consumer = new Consumer({
        id: this.nextConsumer++,
        queue,
        store: this.context.store,
        outlet: this.outlet(),
        identity: this.context.identity,
        agent: this.agent.name,
        tally: this.tally,
        creditBytes: request.creditBytes,
        creditMessages: request.creditMessages,
      })
      this.consumers.set(consumer.id, consumer)
      const answer = {
        request: request.request,
        consumer: consumer.id,
        queue: queue.info.name,
      }
      this.connection.send(FRAME_SUBSCRIBED, CHANNEL_CONTROL, encodeSubscribed(answer))
      this.context.dispatcher.add(consumer)
    } catch (error) {
      this.failed(request.request, asFault(error))
    }
  }

  /** The queue a SUBSCRIBE means, made when it is a new subscription; checks the agent's rights. */
  private async queueFor(request: Subscribe): Promise<Queue> {
    const { store } = this.context
    if (request.queue !== '') return this.existingQueue(request.queue)
    if (request.name === '' || request.topics.length === 0) throw hubSessionFault('SUBSCRIPTION_INVALID')
    for (const topic of request.topics) {
      const why = patternProblem(topic)
      if (why !== null) throw hubSessionFault('SUBSCRIPTION_INVALID', { where: `topic ${topic}`, why })
      this.mayConsume(`topic ${topic}`, (pattern) => patternCovers(pattern, topic))
    }
    return await store.queues.declare({
      name: `${this.agent.name}:${request.name}`,
      rule: {
        topics: request.topics,
        where: Object.fromEntries(request.where.map(({ name, values }) => [name, values])),
      },
      owner: this.agent.name,
      ephemeral: request.ephemeral,
      policy: request.policy === null ? DEFAULT_POLICY : policyFrom(request.policy),
    })
  }

  private existingQueue(name: string): Queue {
    const { store } = this.context
    const isOwn = name === inboxOf(this.agent.name) || name === receiptsOf(this.agent.name)
    if (isOwn) {
      // Enrolled a moment ago, perhaps by another process.
      if (store.queues.get(name) === undefined) this.context.lookForAgents()
      return store.queues.get(name) ?? store.queues.own(name, this.agent.name)
    }
    this.mayConsume(`queue ${name}`, (pattern) => patternCovers(pattern, name))
    const queue = store.queues.get(name)
    // Those of the hub itself can be consumed by who has the right; another agent's cannot.
    const isOpen = queue?.info.owner === null || queue?.info.owner === OWNER_HUB
    if (queue === undefined || !isOpen) throw storeFault('QUEUE_UNKNOWN', { where: name })
    return queue
  }

  /** Everything the subscription retains from there on is open again. Refused, it takes nothing from the consumer. */
  private async replay({ request, consumer: id, fromMs, fromPosition }: Replay): Promise<void> {
    try {
      const consumer = this.consumer(id)
      const { queue } = consumer
      const where = `queue ${queue.info.name}`
      if (queue.info.owner !== this.agent.name) throw hubSessionFault('RIGHT_MISSING', { where, why: 'replay it' })
      if (!retains(queue.info.policy)) throw storeFault('QUEUE_NOT_RETAINED', { where })
      const elsewhere = queue.inFlight - consumer.messagesOut
      if (elsewhere > 0) throw storeFault('QUEUE_BUSY', { where, why: `${elsewhere} messages are out elsewhere` })
      consumer.pauses++
      try {
        // It is the agent's wish, not a failure: no try is lost by it.
        consumer.abandon({ isTry: false })
        const messages = await this.context.store.replay(queue, fromMs > 0 ? { fromMs } : { fromPosition })
        if (this.closed) return
        this.connection.send(FRAME_REPLAYED, CHANNEL_CONTROL, encodeReplayed({ request, messages }))
      } finally {
        consumer.pauses--
      }
      this.context.dispatcher.wake(queue)
    } catch (error) {
      this.failed(request, asFault(error))
    }
  }

  /** Whether SUBSCRIBE would give it to the agent, or has. */
  private mayConsumeQueue({ name, owner, rule }: QueueInfo): boolean {
    const covers = (wanted: string) => this.agent.consume.some((pattern) => patternCovers(pattern, wanted))
    if (owner === null || owner === OWNER_HUB) return covers(name)
    if (owner !== this.agent.name) return false
    return name === inboxOf(owner) || name === receiptsOf(owner) || rule.topics.every(covers)
  }

  private mayConsume(what: string, allows: (pattern: string) => boolean): void {
    if (this.agent.consume.some(allows)) return
    throw hubSessionFault('RIGHT_MISSING', { where: `agent ${this.agent.name}`, why: `consume ${what}` })
  }

  private unsubscribe(body: Buffer): void {
    const { consumer: id, forget } = decodeUnsubscribe(body)
    const consumer = this.consumer(id)
    this.consumers.delete(id)
    this.end(consumer, consumer.ephemeral || (forget && consumer.queue.info.owner === this.agent.name))
  }

  private end(consumer: Consumer, forget: boolean): void {
    this.context.dispatcher.remove(consumer)
    consumer.close()
    if (forget) this.forget(consumer.queue)
  }

  private forgetPassing(queue: Queue): void {
    if (queue.info.ephemeral) this.forget(queue)
  }

  /** Unless somebody else still consumes it: with the last one it goes. */
  private forget(queue: Queue): void {
    if (this.context.dispatcher.consumersOf(queue) > 0) return
    this.context.store.queues.forget(queue).catch((error: unknown) => {
      this.context.log('warn', 'subscription not removed', { queue: queue.info.name, fault: asFault(error).toJSON() })
    })
  }

  private credit(body: Buffer): void {
    const { consumer: id, bytes, messages } = decodeCredit(body)
    const consumer = this.consumers.get(id)
    // Credit for a consumer that was just ended crosses its end on the way.
    if (consumer === undefined && id < this.nextConsumer && id > 0) return
    this.consumer(id).grant(bytes, messages)
    this.context.dispatcher.wake(this.consumer(id).queue)
  }

  private settle(body: Buffer): void {
    const { consumer: id, settleId, ranges } = decodeSettle(body)
    if (!this.consumers.has(id) && id < this.nextConsumer && id > 0) return
    void this.consumer(id)
      .settle(ranges)
      .then(() => this.connection.send(FRAME_SETTLED, CHANNEL_RECEIPTS, encodeSettled({ consumer: id, settleId })))
  }

  private consumer(id: number): Consumer {
    const consumer = this.consumers.get(id)
    if (consumer === undefined) throw hubSessionFault('CONSUMER_UNKNOWN', { why: `consumer ${id}` })
    return consumer
  }

  private outlet(): Outlet {
    const { connection } = this
    const session = this
    return {
      get writable() {
        return connection.writable && !session.closed
      },
      sendParts: (first, second) => connection.sendParts(first, second),
      introduce: (head) => this.introduce(head),
      onDelivered: (lease) => this.rights.delivered(lease),
      onSetAside: (fault) => this.context.log('warn', 'messages set aside', { fault: fault.toJSON() }),
      fail: (fault) => connection.close(fault),
    }
  }

  private introduce(head: BatchHead): void {
    this.introduceKey(head.origin, keyIdIn(head).toString('hex'))
  }

  private introduceKey(origin: string, keyId: string): void {
    if (this.introduced.has(keyId)) return
    const { identity, store } = this.context
    const certificate = origin === identity.name ? identity.certificate : store.originCertificate(origin, keyId)
    if (certificate === null) return
    this.introduced.add(keyId)
    this.connection.send(FRAME_ORIGIN, CHANNEL_CONTROL, encodeOrigin({ name: origin, certificate }))
  }

  private answer(request: number, work: () => void): void {
    try {
      work()
    } catch (error) {
      this.failed(request, asFault(error))
    }
  }

  private failed(request: number, fault: Fault): void {
    this.context.log('info', 'request failed', { agent: this.agent.name, fault: fault.toJSON() })
    this.connection.send(FRAME_FAILED, CHANNEL_CONTROL, encodeFailed({ request, fault: reportOf(fault) }))
  }
}
