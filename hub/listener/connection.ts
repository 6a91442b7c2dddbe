// One accepted connection: bytes ↔ link ↔ handshake, then a session. The same for TCP, TLS and WebSocket.

import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { Authority } from '#hub/security/mod.ts'
import { REPLY_PATTERN, Session, type SessionContext } from '#hub/session/mod.ts'
import { BULK_QUEUED_BYTES_MAX } from '#hub/transfer/mod.ts'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import {
  type CommonSettings,
  FEATURE_ENCODED_CHUNKS,
  FEATURE_TRANSFERS,
  featureWords,
  HubHandshake,
  type HubStep,
  hasFeature,
  type Peer,
  type SessionTerms,
} from '#protocol/handshake/mod.ts'
import { CorkedWriter, type Handshake, Link, type OnChunk, sessionFault } from '#protocol/session/mod.ts'

/** What is queued on a socket before its consumers wait: a few batches, so that the line never idles. */
const QUEUED_BYTES_MAX = 1024 * 1024
/** Time for CLOSE and what was written before it to reach a peer; then the socket goes, however the peer behaves. */
const LINGER_MS = 2000

export type ConnectionContext = {
  readonly authority: Authority
  readonly session: SessionContext
  readonly limits: CommonSettings['limits']
  readonly keepaliveMs: number
  readonly handshakeMsMax: number
  readonly software: string
  nowMs(): number
  wallMs(): number
  /** A session began: an older one of the same agent ends. */
  onSession(connection: Connection): void
  onClosed(connection: Connection, fault: Fault): void
  log(level: 'debug' | 'info' | 'warn', message: string, details: Readonly<Record<string, unknown>>): void
}

export type Accepted = {
  readonly stream: Duplex
  /** Hands on what arrives, where the stream itself does not. */
  readonly read?: ((onChunk: OnChunk) => void) | null
  readonly remote: string
  readonly transport: 'tcp' | 'tls' | 'websocket'
  /** RFC 9266 exporter value, or `null` where TLS ends elsewhere. */
  readonly channelBinding: Buffer | null
  readonly requireBinding: boolean
}

type Terms = {
  readonly keepaliveMs: number
  readonly frameBytesMax: number
  readonly agent: Peer
  readonly terms: SessionTerms
}

export class Connection {
  readonly remote: string
  readonly transport: string
  readonly sinceMs: number
  session: Session | null = null
  /** It came for a certificate, and has it. */
  enrolled = false
  private serial = ''
  private readonly context: ConnectionContext
  private readonly link: Link<Terms>
  private readonly stream: Duplex
  private readonly writer: CorkedWriter

  constructor(accepted: Accepted, context: ConnectionContext) {
    this.context = context
    this.remote = accepted.remote
    this.transport = accepted.transport
    this.stream = accepted.stream
    this.sinceMs = context.wallMs()
    this.writer = new CorkedWriter(accepted.stream as Duplex & { cork(): void })
    this.link = new Link<Terms>({
      transport: { write: (bytes, sent) => this.writer.write(bytes, sent), end: () => this.stream.end() },
      handshake: this.handshake(accepted),
      handler: {
        onReady: (agreed) => this.ready(agreed),
        onFrame: (kind, channel, body) => this.session?.frame(kind, channel, body),
        onClosed: (fault) => this.closed(fault),
      },
      nowMs: context.nowMs(),
      handshakeMsMax: context.handshakeMsMax,
    })
    this.attach(accepted)
    this.link.start()
  }

  get agent(): string | null {
    return this.session?.agent.name ?? null
  }

  get bytesIn(): number {
    return this.link.bytesIn
  }

  get bytesOut(): number {
    return this.link.bytesOut
  }

  tick(nowMs: number): void {
    this.link.tick(nowMs)
  }

  close(fault: Fault): void {
    this.link.close(fault)
  }

  /** Ends the session of an agent that was revoked, or has enrolled with another key, since it began. */
  recheck(): void {
    if (this.agent === null) return
    try {
      this.context.authority.agents.admit({ name: this.agent, serial: this.serial })
    } catch (error) {
      const fault = asFault(error)
      // That its record could not be read just now says nothing about the agent.
      if (fault.code.startsWith('AGENT_')) this.close(fault)
      else this.context.log('warn', 'rights not checked', { agent: this.agent, fault: fault.toJSON() })
    }
  }

  private attach({ read }: Accepted): void {
    const { stream, link, context } = this
    const receive: OnChunk = (chunk) => link.receive(context.nowMs(), chunk)
    if (read == null) stream.on('data', receive)
    else read(receive)
    stream.on('drain', () => this.session?.pump())
    stream.on('error', (error) =>
      link.ended(sessionFault('SESSION_CLOSED_BY_PEER', { why: error.message, cause: error })),
    )
    stream.on('close', () => link.ended(null))
  }

  private handshake(accepted: Accepted): Handshake<Terms> {
    const { context } = this
    const { authority } = context
    const handshake = new HubHandshake({
      name: authority.hubName,
      versions: { min: 1, max: 1 },
      features: featureWords([FEATURE_TRANSFERS, FEATURE_ENCODED_CHUNKS]),
      limits: context.limits,
      software: context.software,
      nonce: randomBytes(32),
      channelBinding: accepted.channelBinding,
      requireBinding: accepted.requireBinding,
      key: authority.hubKey,
      certificate: authority.hubCertificate,
      caCertificate: authority.caCertificate,
      sessionId: randomBytes(16),
      storeId: context.session.store.storeId,
      keepaliveMs: context.keepaliveMs,
      admit: (agent) => void authority.agents.admit({ name: agent.name, serial: agent.serial }),
    })
    return {
      start: () => [],
      receive: (kind, body) => {
        const step = handshake.receive(context.wallMs(), kind, body)
        if (step.enrol !== null) return this.enrol(handshake, step.enrol)
        return { send: step.send, done: termsOf(step) }
      },
    }
  }

  /** Redeems the token and answers with the certificate; the connection has then done its work. */
  private enrol(
    handshake: HubHandshake,
    request: NonNullable<HubStep['enrol']>,
  ): { send: HubStep['send']; done: null } {
    const enrolment = this.context.authority.enrol(request)
    const { send } = handshake.enrolled(enrolment)
    this.enrolled = true
    this.context.log('info', 'agent enrolled', { agent: request.name, remote: this.remote })
    process.nextTick(() => this.stream.end())
    return { send, done: null }
  }

  private ready({ agent, terms }: Terms): void {
    const record = this.context.authority.agents.get(agent.name)
    const { limits } = terms
    this.serial = agent.serial
    this.session = new Session({
      agent: {
        name: agent.name,
        certificate: agent.certificate,
        publish: [...(record?.publish ?? []), REPLY_PATTERN],
        consume: [...(record?.consume ?? []), `reply/${agent.name}/#`],
      },
      context: this.context.session,
      connection: this.outlet(),
      limits: {
        streamsMax: limits.streamsMax,
        subscriptionsMax: limits.subscriptionsMax,
        frameBytesMax: limits.frameBytesMax,
        transfers: hasFeature(terms.features, FEATURE_TRANSFERS),
        encodedChunks: hasFeature(terms.features, FEATURE_ENCODED_CHUNKS),
      },
    })
    const { remote, transport } = this
    this.context.log('info', 'session', { agent: agent.name, remote, transport, software: agent.software })
    this.context.onSession(this)
  }

  private outlet() {
    const { writer, link } = this
    return {
      get writable() {
        return writer.queuedBytes < QUEUED_BYTES_MAX && link.ready
      },
      get bulkWritable() {
        return writer.queuedBytes < BULK_QUEUED_BYTES_MAX && link.ready
      },
      send: (kind: number, channel: number, body: Uint8Array) => link.send(kind, channel, body),
      sendParts: (first: Buffer, second: Buffer, sent?: () => void) => link.sendParts(first, second, sent),
      close: (fault: Fault) => link.close(fault),
    }
  }

  private closed(fault: Fault): void {
    const { session } = this
    session?.close()
    this.context.onClosed(this, fault)
    const { stream } = this
    if (!stream.writableEnded) stream.end()
    if (stream.destroyed) return
    stream.once('finish', () => stream.destroySoon?.())
    const timer = setTimeout(() => stream.destroy(), LINGER_MS)
    stream.once('close', () => clearTimeout(timer))
  }
}

declare module 'node:stream' {
  interface Duplex {
    destroySoon?(): void
  }
}

function termsOf({ done }: HubStep): Terms | null {
  if (done?.kind !== 'session') return null
  const { agent, terms } = done
  return { agent, terms, keepaliveMs: terms.keepaliveMs, frameBytesMax: terms.limits.frameBytesMax }
}
