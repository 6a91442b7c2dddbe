// Accepts connections on TCP, TLS and WebSocket and keeps the list of them.

import { constants } from 'node:crypto'
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { createWebSocketStream, WebSocketServer } from 'ws'
import { hubSessionFault } from '#hub/session/mod.ts'
import { type Fault, systemClock } from '#protocol/base/mod.ts'
import { BINDING_BYTES, EXPORTER_LABEL } from '#protocol/handshake/mod.ts'
import { type Accepted, Connection, type ConnectionContext } from './connection.ts'
import { listenerFault } from './faults.ts'
import { Gate, remoteOf } from './gate.ts'
import { readThroughInlet } from './inlet.ts'

const TICK_MS = 1000
/** Connections the system keeps for us while we are busy: Linux allows 4,096 at once by default. */
const BACKLOG = 4096
/** Sessions whose agents are looked up again in one tick: 4,096 file stamps are about 20 ms; 20,000 sessions take five ticks. */
const RECHECKED_MAX = 4096
/** What `stop` gives peers to take their leave; half of it is Connection's own. */
const STOP_MS_MAX = 4000
/** One WebSocket message: at most one frame with its parts. */
const WEBSOCKET_MESSAGE_BYTES_MAX = 8 * 1024 * 1024

export type ListenAddress = { readonly host: string; readonly port: number; readonly tls: boolean }

export type ListenerOptions = {
  readonly tcp: ListenAddress
  readonly websocket: (ListenAddress & { readonly path: string }) | null
  readonly sessionsMax: number
  readonly context: Omit<ConnectionContext, 'onSession' | 'onClosed' | 'nowMs' | 'wallMs'>
}

export class Listener {
  readonly connections = new Set<Connection>()
  accepted = 0
  closedBytesIn = 0
  closedBytesOut = 0
  private readonly options: ListenerOptions
  private readonly servers: (TcpServer | HttpServer)[] = []
  private readonly context: ConnectionContext
  private timer: NodeJS.Timeout | null = null
  /** Every accepted socket, also while it is still in a TLS or HTTP handshake and no connection yet. */
  private readonly sockets = new Set<Socket>()
  private recheckedAt = 0
  private readonly gate = new Gate()
  /** The connection each agent's session has. */
  private readonly byAgent = new Map<string, Connection>()

  constructor(options: ListenerOptions) {
    this.options = options
    this.context = {
      ...options.context,
      nowMs: () => systemClock.nowMs(),
      wallMs: () => systemClock.wallMs(),
      onSession: (connection) => {
        this.gate.leave(connection.remote)
        this.takeOver(connection)
      },
      onClosed: (connection, fault) => {
        this.gate.leave(connection.remote)
        if (this.byAgent.get(connection.agent ?? '') === connection) this.byAgent.delete(connection.agent ?? '')
        if (!this.connections.delete(connection)) return
        this.closedBytesIn += connection.bytesIn
        this.closedBytesOut += connection.bytesOut
        this.tellEnd(connection, fault)
      },
    }
  }

  /** Faults: `LISTEN_FAILED`. Gives the ports in use (for port 0). */
  async start(): Promise<{ tcpPort: number; websocketPort: number | null }> {
    const { tcp, websocket } = this.options
    const tcpPort = await this.listen(this.tcpServer(tcp), tcp)
    const websocketPort = websocket === null ? null : await this.listen(this.websocketServer(websocket), websocket)
    this.timer = setInterval(() => {
      const nowMs = systemClock.nowMs()
      for (const connection of this.connections) connection.tick(nowMs)
      this.recheck()
    }, TICK_MS)
    return { tcpPort, websocketPort }
  }

  /** A revoked agent is not only refused: its open session ends within a few ticks. */
  private recheck(): void {
    const all = [...this.connections]
    if (this.recheckedAt >= all.length) this.recheckedAt = 0
    const part = all.slice(this.recheckedAt, this.recheckedAt + RECHECKED_MAX)
    this.recheckedAt += part.length
    for (const connection of part) connection.recheck()
  }

  /** A warning is for what an operator should look into: strangers and broken sessions, not agents that take their leave. */
  private tellEnd(connection: Connection, fault: Fault): void {
    const { agent, remote, enrolled } = connection
    const { log } = this.options.context
    if (enrolled) log('info', 'enrolment ended', { remote })
    else if (fault.details.peerCode === 'CLIENT_CLOSED') log('info', 'session ended', { agent, remote })
    else log(agent === null ? 'warn' : 'info', 'connection ended', { agent, remote, fault: fault.toJSON() })
  }

  /** Tells every agent, then closes. */
  async stop(): Promise<void> {
    if (this.timer !== null) clearInterval(this.timer)
    const fault = listenerFault('HUB_STOPPING')
    for (const connection of this.connections) connection.close(fault)
    const closed = Promise.all(
      this.servers.map(
        (server) =>
          new Promise<void>((resolve) => {
            server.close(() => resolve())
            if ('closeAllConnections' in server) server.closeAllConnections()
          }),
      ),
    )
    // A peer that does not read, or has not got through its handshake, must not keep the hub from stopping.
    const timer = setTimeout(() => {
      for (const socket of this.sockets) socket.destroy()
    }, STOP_MS_MAX)
    await closed
    clearTimeout(timer)
  }

  private tcpServer({ tls }: ListenAddress): TcpServer {
    const inner = tls ? this.tlsServer() : null
    return createTcpServer({ noDelay: true, pauseOnConnect: true }, (accepted) => {
      const { socket, read } = inner === null ? readThroughInlet(accepted) : { socket: accepted, read: null }
      this.track(socket)
      this.gate.enter(socket, () => {
        const plain = { stream: socket, read, transport: 'tcp', channelBinding: null, requireBinding: false } as const
        if (inner === null) this.accept(plain)
        else inner.emit('connection', socket)
        socket.resume()
      })
    })
  }

  /** Does the TLS of sockets that are handed to it; it does not listen itself. */
  private tlsServer(): TcpServer {
    const { authority, handshakeMsMax } = this.options.context
    // Agents prove themselves anew each time and take up no TLS session: tickets would only cost time and memory.
    const secureOptions = constants.SSL_OP_NO_TICKET
    const settings = { ...authority.tls, secureOptions, handshakeTimeout: handshakeMsMax }
    const server = createTlsServer(settings, (stream) =>
      this.accept({ stream, transport: 'tls', channelBinding: bindingOf(stream), requireBinding: true }),
    )
    server.on('tlsClientError', (error, socket) => {
      this.options.context.log('warn', 'TLS failed', { remote: socket.remoteAddress ?? '', why: error.message })
      // After a handshake that took too long the socket is still open: Node leaves it to us.
      socket.destroy()
    })
    return server
  }

  private websocketServer({ tls, path }: ListenAddress & { path: string }): HttpServer {
    const refuse = (_request: unknown, response: import('node:http').ServerResponse) => {
      response.writeHead(426, { 'content-type': 'text/plain' }).end('This port speaks WebSocket.\n')
    }
    const { authority, handshakeMsMax } = this.options.context
    const times = {
      headersTimeout: handshakeMsMax,
      requestTimeout: handshakeMsMax,
      keepAliveTimeout: handshakeMsMax,
      connectionsCheckingInterval: TICK_MS,
    }
    const server = tls
      ? createHttpsServer({ ...authority.tls, ...times, handshakeTimeout: handshakeMsMax }, refuse)
      : createHttpServer(times, refuse)
    server.on('connection', (socket: Socket) => this.track(socket))
    const sockets = new WebSocketServer({
      server,
      path,
      maxPayload: WEBSOCKET_MESSAGE_BYTES_MAX,
      perMessageDeflate: false,
      clientTracking: false,
    })
    sockets.on('connection', (webSocket, request) => {
      const stream = createWebSocketStream(webSocket)
      const { socket } = request
      // Behind a proxy the agent cannot see this connection's TLS, so WebSocket admits sessions without channel binding.
      const binding = 'exportKeyingMaterial' in socket ? bindingOf(socket as TLSSocket) : null
      const remote = remoteOf(socket)
      this.accept({ stream, remote, transport: 'websocket', channelBinding: binding, requireBinding: false })
    })
    return server
  }

  /** `remote` is needed of a stream that is not a socket itself. */
  private accept(accepted: Omit<Accepted, 'remote'> & { remote?: string }): void {
    const { stream } = accepted
    const remote = accepted.remote ?? remoteOf(stream as Socket)
    this.accepted++
    if (this.connections.size >= this.options.sessionsMax) {
      this.options.context.log('warn', 'connection refused', { remote, fault: listenerFault('HUB_BUSY').toJSON() })
      stream.destroy()
      return
    }
    this.connections.add(new Connection({ ...accepted, remote }, this.context))
  }

  private takeOver(newer: Connection): void {
    const name = newer.agent ?? ''
    const older = this.byAgent.get(name)
    this.byAgent.set(name, newer)
    older?.close(hubSessionFault('IDENTITY_TAKEN_OVER', { where: `agent ${name}` }))
  }

  private track(socket: Socket): void {
    this.sockets.add(socket)
    socket.once('close', () => this.sockets.delete(socket))
  }

  private listen(server: TcpServer | HttpServer, { host, port }: ListenAddress): Promise<number> {
    return new Promise((resolve, reject) => {
      server.once('error', (cause) => {
        reject(listenerFault('LISTEN_FAILED', { where: `${host}:${port}`, why: cause.message, cause }))
      })
      server.listen({ port, host, backlog: BACKLOG }, () => {
        this.servers.push(server)
        const address = server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : port)
      })
    })
  }
}

function bindingOf(socket: TLSSocket): Buffer {
  return socket.exportKeyingMaterial(BINDING_BYTES, EXPORTER_LABEL, Buffer.alloc(0))
}
