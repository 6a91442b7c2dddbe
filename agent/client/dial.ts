// Opens a connection to one address: TCP, TLS 1.3 or WebSocket; gives the byte stream and its channel binding.

import type { EventEmitter } from 'node:events'
import { connect as connectTcp } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { createWebSocketStream, WebSocket } from 'ws'
import { BINDING_BYTES, EXPORTER_LABEL } from '#protocol/handshake/mod.ts'
import type { HubAddress } from './address.ts'
import { clientFault } from './faults.ts'

export type Dialled = { readonly stream: Duplex; readonly channelBinding: Buffer | null }

export type DialOptions = {
  readonly address: HubAddress
  /** PEM of the authority the hub's TLS certificate must come from; `null` while enrolling, when the handshake checks it. */
  readonly caPem: string | null
  /** The hub's name stands in its certificate: an agent checks that, whatever address leads to it. */
  readonly hubName: string
  readonly timeoutMs: number
}

/** Faults: `HUB_UNREACHABLE`, `HUB_TLS_FAILED`. */
export async function dial(options: DialOptions): Promise<Dialled> {
  switch (options.address.kind) {
    case 'tcp':
      return {
        stream: await opened(connectTcp({ ...options.address, noDelay: true }), 'connect', options),
        channelBinding: null,
      }
    case 'tls': {
      const socket = connectTls({ ...tlsOptions(options), host: options.address.host, port: options.address.port })
      socket.setNoDelay(true)
      const stream = await opened(socket, 'secureConnect', options)
      return { stream, channelBinding: bindingOf(stream) }
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
  return { stream, channelBinding: tls && transport !== null ? bindingOf(transport as TLSSocket) : null }
}

function tlsOptions({ caPem, hubName }: DialOptions) {
  return {
    minVersion: 'TLSv1.3' as const,
    servername: hubName,
    ...(caPem === null ? { rejectUnauthorized: false } : { ca: caPem }),
  }
}

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
