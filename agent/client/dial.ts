// Opens a connection to one address: TCP, TLS 1.3 or WebSocket; gives the byte stream and its channel binding.

import type { EventEmitter } from 'node:events'
import { connect as connectTcp, type OnReadOpts } from 'node:net'
import type { Duplex } from 'node:stream'
import {
  type ConnectionOptions,
  connect as connectTls,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from 'node:tls'
import { createWebSocketStream, WebSocket } from 'ws'
import { BINDING_BYTES, EXPORTER_LABEL } from '#protocol/handshake/mod.ts'
import { Inlet, type OnChunk } from '#protocol/session/mod.ts'
import type { HubAddress } from './address.ts'
import { clientFault } from './faults.ts'

export type Dialled = {
  readonly stream: Duplex
  readonly channelBinding: Buffer | null
  /** Hands on what arrives, where the stream itself does not: see `readChunks`. */
  readonly read?: (onChunk: OnChunk) => void
}

/** Hands on what arrives, from the first byte; call it once, as soon as the connection stands. */
export function readChunks({ stream, read }: Pick<Dialled, 'stream' | 'read'>, onChunk: OnChunk): void {
  if (read === undefined) stream.on('data', onChunk)
  else read(onChunk)
}

/** What one read takes off a socket at most. */
const RECEIVE_BYTES = 256 * 1024

export type DialOptions = {
  readonly address: HubAddress
  /** PEM of the authority the hub's TLS certificate must come from; `null` while enrolling, when the handshake checks it. */
  readonly caPem: string | null
  /** The hub's name stands in its certificate: an agent checks that, whatever address leads to it. */
  readonly hubName: string
  readonly timeoutMs: number
}

/** Opens a connection. Faults: `HUB_UNREACHABLE`, `HUB_TLS_FAILED`. */
export type Dial = (options: DialOptions) => Promise<Dialled>

/** Over the system's network. Faults: `HUB_UNREACHABLE`, `HUB_TLS_FAILED`. */
export async function dial(options: DialOptions): Promise<Dialled> {
  switch (options.address.kind) {
    case 'tcp': {
      const { host, port } = options.address
      const inlet = new Inlet(RECEIVE_BYTES)
      const socket = connectTcp({ host, port, noDelay: true, onread: inlet.onread })
      return { stream: await opened(socket, 'connect', options), channelBinding: null, read: inlet.read }
    }
    case 'tls': {
      const { host, port } = options.address
      const inlet = new Inlet(RECEIVE_BYTES)
      // Node documents `onread` for tls.connect as for net.connect; its types lack it there.
      const settings: ConnectionOptions & { onread: OnReadOpts } = {
        ...tlsOptions(options),
        host,
        port,
        onread: inlet.onread,
      }
      const socket = connectTls(settings)
      socket.setNoDelay(true)
      const stream = await opened(socket, 'secureConnect', options)
      return { stream, channelBinding: bindingOf(stream), read: inlet.read }
    }
    case 'websocket':
      return await dialWebSocket(options, options.address)
  }
}

async function dialWebSocket(options: DialOptions, { url, tls }: { url: string; tls: boolean }): Promise<Dialled> {
  const socket = new WebSocket(url, { ...(tls ? tlsOptions(options) : {}), perMessageDeflate: false })
  let transport: unknown = null
  socket.on('upgrade', (response) => {
    transport = response.socket
  })
  const stream = createWebSocketStream(socket)
  await opened(stream, 'open', options, socket)
  const channelBinding = tls && transport !== null ? bindingOf(transport as TLSSocket) : null
  return { stream, channelBinding }
}

function tlsOptions({ caPem, hubName }: DialOptions) {
  return {
    minVersion: 'TLSv1.3' as const,
    servername: hubName,
    ...(caPem === null ? { rejectUnauthorized: false } : { secureContext: contextFor(caPem) }),
  }
}

/** Reading a certificate takes longer than the rest of a handshake; agents have one authority, and dial again and again. */
function contextFor(caPem: string): SecureContext {
  if (lastContext?.caPem !== caPem) {
    lastContext = { caPem, context: createSecureContext({ ca: caPem, minVersion: 'TLSv1.3' }) }
  }
  return lastContext.context
}
let lastContext: { readonly caPem: string; readonly context: SecureContext } | null = null

function bindingOf(socket: TLSSocket): Buffer {
  return socket.exportKeyingMaterial(BINDING_BYTES, EXPORTER_LABEL, Buffer.alloc(0))
}

function opened<S extends Duplex>(
  stream: S,
  event: string,
  options: DialOptions,
  emitter: EventEmitter = stream,
): Promise<S> {
  const { address, timeoutMs } = options
  const where = address.kind === 'websocket' ? address.url : `${address.host}:${address.port}`
  return new Promise((resolve, reject) => {
    const settle = (fault: Error | null) => {
      clearTimeout(timer)
      stream.off('error', onError)
      emitter.off(event, onOpen)
      // From here on errors belong to the connection; until it listens, none may end the process.
      stream.on('error', () => undefined)
      if (fault === null) return resolve(stream)
      stream.destroy()
      reject(fault)
    }
    const onOpen = () => settle(null)
    const onError = (cause: Error) => settle(faultOf(cause, where))
    const timer = setTimeout(
      () => settle(clientFault('HUB_UNREACHABLE', { where, why: 'no answer in time' })),
      timeoutMs,
    )
    stream.on('error', onError)
    emitter.once(event, onOpen)
  })
}

function faultOf(cause: Error, where: string): Error {
  const code = (cause as NodeJS.ErrnoException).code ?? ''
  const tls = /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|EPROTO)/.test(code)
  return clientFault(tls ? 'HUB_TLS_FAILED' : 'HUB_UNREACHABLE', { where, why: cause.message, cause })
}
