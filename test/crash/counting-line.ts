// A line between an agent and its hub that counts what travels on it, seen from outside both: bytes of the chunks of one content in
// CHUNK_DATA frames, and which of them travelled before. Without TLS, so that frames can be read.

import { connect, createServer, type Server, type Socket } from 'node:net'
import { CHUNK_DATA_BYTES_MAX, FRAME_CHUNK_DATA, FrameReader } from '#protocol/frame/mod.ts'
import { parseChunkData } from '#protocol/transfer/mod.ts'

export class CountingLine {
  /** Bytes of chunks as they travel, either way. */
  bytes = 0
  /** Of these, such as had travelled before. */
  againBytes = 0
  /** How far each chunk has travelled at most. */
  private readonly seen = new Map<number, number>()
  private readonly server: Server
  private readonly sockets = new Set<Socket>()

  private constructor(server: Server) {
    this.server = server
  }

  /** Leads to `port` of this machine, for as long as something listens there. */
  static async open(port: number): Promise<CountingLine> {
    const server = createServer({ noDelay: true })
    const line = new CountingLine(server)
    server.on('connection', (socket) => line.join(socket, connect({ host: '127.0.0.1', port, noDelay: true })))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return line
  }

  get port(): number {
    return (this.server.address() as { port: number }).port
  }

  /** Connections that stand, each counted at both ends. */
  get open(): number {
    return this.sockets.size
  }

  close(): void {
    this.server.close()
    for (const socket of this.sockets) socket.destroy()
  }

  private join(agent: Socket, hub: Socket): void {
    this.lead(agent, hub)
    this.lead(hub, agent)
  }

  private count(body: Buffer): void {
    const { chunk, offset, bytes } = parseChunkData(body)
    const end = offset + bytes.length
    const before = this.seen.get(chunk) ?? 0
    this.bytes += bytes.length
    this.againBytes += Math.max(0, Math.min(before, end) - offset)
    this.seen.set(chunk, Math.max(before, end))
  }

  private lead(from: Socket, to: Socket): void {
    const reader = new FrameReader((kind, _channel, body) => {
      if (kind === FRAME_CHUNK_DATA) this.count(body)
    })
    // What is let pass is the ends' business.
    reader.batchBytesMax = 64 * CHUNK_DATA_BYTES_MAX
    this.sockets.add(from)
    from.on('data', (chunk) => {
      reader.push(chunk)
      if (!to.write(chunk)) from.pause()
    })
    to.on('drain', () => from.resume())
    from.on('error', () => to.destroy())
    from.on('close', () => {
      this.sockets.delete(from)
      to.destroy()
    })
  }
}
