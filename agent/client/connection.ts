// One authenticated connection to the hub: requests with answers, frames to whoever listens. It lives until the line breaks;
// the client makes the next one.

import { randomBytes } from 'node:crypto'
import type { Identity } from '#agent/identity/mod.ts'
import { type Fault, systemClock } from '#protocol/base/mod.ts'
import { CHANNEL_CONTROL, FRAME_FAILED } from '#protocol/frame/mod.ts'
import {
  AgentHandshake,
  type AgentStep,
  FEATURE_ENCODED_CHUNKS,
  FEATURE_TRANSFERS,
  featureWords,
  type SessionTerms,
} from '#protocol/handshake/mod.ts'
import { decodeFailed } from '#protocol/schema/mod.ts'
import { CorkedWriter, Link, sessionFault } from '#protocol/session/mod.ts'
import { parseAddress } from './address.ts'
import { type Dial, type Dialled, dial, readChunks } from './dial.ts'
import { clientFault } from './faults.ts'
import { BULK_QUEUED_BYTES_MAX, HANDSHAKE_MS_MAX, LIMITS, QUEUED_BYTES_MAX, SOFTWARE, VERSIONS } from './limits.ts'

type Terms = SessionTerms & { readonly frameBytesMax: number }

type FrameListener = (kind: number, body: Buffer) => void

type Parts = {
  readonly terms: SessionTerms
  readonly link: Link<Terms>
  readonly writer: CorkedWriter
  readonly listeners: Map<number, FrameListener>
  readonly closed: Promise<Fault>
}

export type ConnectionOptions = {
  readonly address: string
  readonly identity: Identity
  readonly dial?: Dial
  /** What is offered to the hub; fewer, as an older agent does, in tests. */
  readonly features?: readonly number[]
  readonly onDrain: () => void
  readonly onBytes: (bytesIn: number, bytesOut: number) => void
}

const FEATURES = [FEATURE_TRANSFERS, FEATURE_ENCODED_CHUNKS]

/** Frames of the hub go to the listener of their kind. */
export class HubConnection {
  readonly terms: SessionTerms
  /** Resolves when it has ended, with the reason. */
  readonly closed: Promise<Fault>
  private readonly link: Link<Terms>
  private readonly writer: CorkedWriter
  private readonly requests = new Map<number, (answer: Buffer | Fault) => void>()
  private readonly listeners: Map<number, FrameListener>
  private nextRequest = 1

  /** Use `HubConnection.open`. */
  constructor(parts: Parts) {
    this.terms = parts.terms
    this.link = parts.link
    this.writer = parts.writer
    this.listeners = parts.listeners
    this.closed = parts.closed
    this.listeners.set(FRAME_FAILED, (_kind, body) => this.failed(body))
    void this.closed.then((fault) => this.abandon(fault))
  }

  /** Dials and shakes hands. Faults: `ADDRESS_INVALID`, `HUB_UNREACHABLE`, `HUB_TLS_FAILED`, `HANDSHAKE_*`, `CERTIFICATE_*`. */
  static async open(options: ConnectionOptions): Promise<HubConnection> {
    const { identity } = options
    const address = parseAddress(options.address)
    const dialled = await (options.dial ?? dial)({
      address,
      caPem: identity.caCertificate.toString(),
      hubName: identity.hubName,
      timeoutMs: HANDSHAKE_MS_MAX,
    })
    return await establish(dialled, options, address.kind)
  }

  /** False while enough is queued on the socket. */
  get writable(): boolean {
    return this.link.ready && this.writer.queuedBytes < QUEUED_BYTES_MAX
  }

  /** The same for large content. */
  get bulkWritable(): boolean {
    return this.link.ready && this.writer.queuedBytes < BULK_QUEUED_BYTES_MAX
  }

  get alive(): boolean {
    return this.link.ready
  }

  listen(kind: number, listener: FrameListener): void {
    this.listeners.set(kind, listener)
  }

  send(kind: number, channel: number, body: Uint8Array): void {
    this.link.send(kind, channel, body)
  }

  sendParts(first: Buffer, second: Buffer): void {
    this.link.sendParts(first, second)
  }

  /**
   * Sends a request and gives the body of the frame that answers it; the listener of that kind must call `answer`.
   * Faults: `REQUEST_REFUSED`, `CONNECTION_LOST`.
   */
  request(kind: number, encode: (request: number) => Uint8Array): Promise<Buffer> {
    const request = this.nextRequest++
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    this.requests.set(request, (answer) => (Buffer.isBuffer(answer) ? resolve(answer) : reject(answer)))
    this.link.send(kind, CHANNEL_CONTROL, encode(request))
    if (!this.link.ready) this.abandon(clientFault('CONNECTION_LOST'))
    return promise
  }

  /** Hands an answering frame to its request. */
  answer(request: number, body: Buffer): void {
    const waiting = this.requests.get(request)
    if (waiting === undefined) throw sessionFault('SESSION_FRAME_UNEXPECTED', { why: `no request ${request}` })
    this.requests.delete(request)
    waiting(body)
  }

  close(fault: Fault): void {
    this.link.close(fault)
  }

  private failed(body: Buffer): void {
    const { request, fault } = decodeFailed(body)
    const waiting = this.requests.get(request)
    this.requests.delete(request)
    waiting?.(refusal('REQUEST_REFUSED', fault))
  }

  private abandon(cause: Fault): void {
    const waiting = [...this.requests.values()]
    this.requests.clear()
    for (const settle of waiting) settle(clientFault('CONNECTION_LOST', { cause, retry: true }))
  }
}

/** A fault the hub reported, in the user's terms: its message and its remedy. */
export function refusal(
  code: 'REQUEST_REFUSED' | 'PUBLISH_REFUSED',
  report: { code: string; message: string; remedy: string; retry: boolean } | null,
): Fault {
  if (report === null) return clientFault(code)
  return clientFault(code, {
    why: `${report.code}: ${report.message}`,
    todo: report.remedy,
    hubCode: report.code,
    retry: report.retry,
  })
}

function establish(
  dialled: Dialled,
  options: ConnectionOptions,
  kind: 'tcp' | 'tls' | 'websocket',
): Promise<HubConnection> {
  const { identity, features = FEATURES } = options
  const { stream, channelBinding } = dialled
  const handshake = new AgentHandshake({
    name: identity.name,
    hubName: identity.hubName,
    key: identity.key,
    purpose: { kind: 'session', certificate: identity.certificate, ca: identity.caCertificate },
    versions: VERSIONS,
    features: featureWords(features),
    limits: LIMITS,
    software: SOFTWARE,
    nonce: randomBytes(32),
    channelBinding,
    requireBinding: kind === 'tls',
  })
  const writer = new CorkedWriter(stream)
  const listeners = new Map<number, FrameListener>()
  const closed = Promise.withResolvers<Fault>()
  const ready = Promise.withResolvers<HubConnection>()
  const link = new Link<Terms>({
    transport: { write: (bytes) => writer.write(bytes), end: () => stream.end() },
    handshake: {
      start: () => handshake.start().send,
      receive: (frameKind, body) => {
        const step = handshake.receive(Date.now(), frameKind, body)
        return { send: step.send, done: termsOf(step) }
      },
    },
    handler: {
      onReady: (terms) => ready.resolve(new HubConnection({ terms, link, writer, listeners, closed: closed.promise })),
      onFrame: (frameKind, _channel, body) => dispatch(listeners, frameKind, body),
      onClosed: (fault) => {
        clearInterval(timer)
        stream.destroySoon?.()
        closed.resolve(fault)
        ready.reject(fault)
      },
    },
    nowMs: systemClock.nowMs(),
    handshakeMsMax: HANDSHAKE_MS_MAX,
  })
  const timer = setInterval(() => link.tick(systemClock.nowMs()), 1000)
  attach(dialled, link, options)
  link.start()
  return ready.promise
}

function attach(dialled: Dialled, link: Link<Terms>, { onDrain, onBytes }: ConnectionOptions): void {
  const { stream } = dialled
  let countedIn = 0
  let countedOut = 0
  const count = () => {
    onBytes(link.bytesIn - countedIn, link.bytesOut - countedOut)
    countedIn = link.bytesIn
    countedOut = link.bytesOut
  }
  readChunks(dialled, (chunk) => {
    link.receive(systemClock.nowMs(), chunk)
    count()
  })
  stream.on('drain', onDrain)
  stream.on('error', (error) => link.ended(lineBroken(error)))
  stream.on('close', () => {
    count()
    link.ended(null)
  })
}

/** An error of the socket, such as writing to one the peer has just ended. */
export function lineBroken(cause: Error): Fault {
  return clientFault('CONNECTION_LOST', { why: cause.message, cause, retry: true })
}

function dispatch(listeners: Map<number, FrameListener>, kind: number, body: Buffer): void {
  const listener = listeners.get(kind)
  if (listener === undefined) {
    throw sessionFault('SESSION_FRAME_UNEXPECTED', { where: `frame kind 0x${kind.toString(16)}` })
  }
  listener(kind, body)
}

function termsOf({ done }: AgentStep): Terms | null {
  if (done?.kind !== 'session') return null
  return { ...done.terms, frameBytesMax: done.terms.limits.frameBytesMax }
}

declare module 'node:stream' {
  interface Duplex {
    destroySoon?(): void
  }
}
