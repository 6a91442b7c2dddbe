// One connection, sans-IO: bytes in, frames out, handshake first, then frames to a handler; keepalive and deadlines by `tick`.
// Knows nothing of sockets, stores or what the frames mean. The transport calls `receive`, `tick` and `ended`; the link calls
// `write` and `end`. After `onClosed` it is dead: both may be called again without effect.

import { asFault, type Fault } from '#protocol/base/mod.ts'
import {
  CHANNEL_CONTROL,
  FRAME_CLOSE,
  FRAME_PING,
  FRAME_PONG,
  FrameReader,
  frameOf,
  PREFACE,
} from '#protocol/frame/mod.ts'
import { closeBody, peerClosed } from '#protocol/handshake/mod.ts'
import { sessionFault } from './faults.ts'

/** What the link needs of a connection. `write` must keep order and may buffer; `end` closes after what was written. */
export type Transport = {
  /** `sent`, when given, is called once the bytes are not needed any more. */
  write(bytes: Buffer, sent?: () => void): void
  end(): void
}

/** A frame to send on the control channel. */
export type ControlFrame = readonly [kind: number, body: Uint8Array]

/** A handshake as the link drives it; `done` ends it and gives what was agreed. Throws a fault when it has failed. */
export type Handshake<T> = {
  start(): readonly ControlFrame[]
  receive(kind: number, body: Buffer): { readonly send: readonly ControlFrame[]; readonly done: T | null }
}

export type Agreed = { readonly keepaliveMs: number; readonly frameBytesMax: number }

export type LinkHandler<T extends Agreed> = {
  onReady(agreed: T): void
  /** A frame after the handshake; `body` is the handler's to keep. May throw a fault: the link closes with it. */
  onFrame(kind: number, channel: number, body: Buffer): void
  /** Exactly once, with the reason. */
  onClosed(fault: Fault): void
}

/** A peer that misses this many keepalive intervals is taken for dead. */
const SILENT_INTERVALS = 3

export class Link<T extends Agreed> {
  bytesIn = 0
  bytesOut = 0
  private readonly transport: Transport
  private readonly handler: LinkHandler<T>
  /** Until it is done: what it holds is not needed afterwards. */
  private handshake: Handshake<T> | null
  private readonly reader: FrameReader
  private readonly handshakeDeadlineMs: number
  private phase: 'handshake' | 'ready' | 'closed' = 'handshake'
  private keepaliveMs = 0
  private heardAtMs: number
  private spokeAtMs: number
  private nowMs: number

  constructor(options: {
    transport: Transport
    handler: LinkHandler<T>
    handshake: Handshake<T>
    nowMs: number
    handshakeMsMax: number
  }) {
    this.transport = options.transport
    this.handler = options.handler
    this.handshake = options.handshake
    this.nowMs = options.nowMs
    this.heardAtMs = options.nowMs
    this.spokeAtMs = options.nowMs
    this.handshakeDeadlineMs = options.nowMs + options.handshakeMsMax
    this.reader = new FrameReader((kind, channel, body) => this.frame(kind, channel, body))
  }

  get ready(): boolean {
    return this.phase === 'ready'
  }

  get closed(): boolean {
    return this.phase === 'closed'
  }

  /** Sends the preface and the first handshake frames. */
  start(): void {
    this.write(PREFACE)
    this.sendControl(this.handshake?.start() ?? [])
  }

  /** Bytes that arrived. They are the transport's again afterwards: nothing keeps a view of them. */
  receive(nowMs: number, bytes: Buffer): void {
    if (this.phase === 'closed') return
    this.nowMs = nowMs
    this.heardAtMs = nowMs
    this.bytesIn += bytes.length
    try {
      this.reader.push(bytes)
    } catch (error) {
      this.close(asFault(error))
    }
  }

  /** Call about once a second. */
  tick(nowMs: number): void {
    this.nowMs = nowMs
    if (this.phase === 'handshake' && nowMs > this.handshakeDeadlineMs) {
      this.close(sessionFault('SESSION_HANDSHAKE_SLOW'))
    } else if (this.phase === 'ready') {
      const silentMs = nowMs - this.heardAtMs
      if (silentMs > SILENT_INTERVALS * this.keepaliveMs) this.close(sessionFault('SESSION_SILENT', { silentMs }))
      else if (nowMs - Math.min(this.spokeAtMs, this.heardAtMs) >= this.keepaliveMs) this.ping()
    }
  }

  /** The connection has ended or failed. */
  ended(cause: Fault | null): void {
    if (this.phase === 'closed') return
    try {
      this.reader.end()
    } catch (error) {
      this.finish(cause ?? asFault(error))
      return
    }
    this.finish(cause ?? sessionFault('SESSION_CLOSED_BY_PEER', { why: 'the connection ended without a reason' }))
  }

  /** A small frame. */
  send(kind: number, channel: number, body: Uint8Array): void {
    this.write(frameOf(kind, channel, body))
  }

  /** A frame in parts; the first holds its header. `sent`: the second is not needed any more. */
  sendParts(first: Buffer, second: Buffer, sent?: () => void): void {
    this.write(first)
    this.write(second, sent)
  }

  /** Tells the peer why, then ends. */
  close(fault: Fault): void {
    if (this.phase === 'closed') return
    this.send(FRAME_CLOSE, CHANNEL_CONTROL, closeBody(fault, { authenticated: this.phase === 'ready' }))
    this.transport.end()
    this.finish(fault)
  }

  private write(bytes: Buffer, sent?: () => void): void {
    if (this.phase === 'closed') {
      sent?.()
      return
    }
    this.spokeAtMs = this.nowMs
    this.bytesOut += bytes.length
    if (sent === undefined) this.transport.write(bytes)
    else this.transport.write(bytes, sent)
  }

  private ping(): void {
    this.send(FRAME_PING, CHANNEL_CONTROL, Buffer.alloc(8))
  }

  /** Frames on the control channel; also what a handshake has to say later. */
  sendControl(frames: readonly ControlFrame[]): void {
    for (const [kind, body] of frames) this.send(kind, CHANNEL_CONTROL, body)
  }

  private frame(kind: number, channel: number, body: Buffer): void {
    if (this.phase === 'closed') return
    if (kind === FRAME_CLOSE) this.peerClosed(body)
    else if (this.phase === 'handshake') this.handshakeFrame(kind, body)
    else if (kind === FRAME_PING) this.send(FRAME_PONG, CHANNEL_CONTROL, body.subarray(0, 8))
    else if (kind !== FRAME_PONG) this.handler.onFrame(kind, channel, body)
  }

  private handshakeFrame(kind: number, body: Buffer): void {
    if (this.handshake === null) return
    const step = this.handshake.receive(kind, body)
    this.sendControl(step.send)
    if (step.done === null) return
    this.phase = 'ready'
    this.handshake = null
    this.keepaliveMs = step.done.keepaliveMs
    this.reader.batchBytesMax = step.done.frameBytesMax
    this.handler.onReady(step.done)
  }

  private peerClosed(body: Buffer): void {
    const fault = peerClosed(body)
    this.transport.end()
    this.finish(fault)
  }

  private finish(fault: Fault): void {
    if (this.phase === 'closed') return
    this.phase = 'closed'
    this.handler.onClosed(fault)
  }
}
