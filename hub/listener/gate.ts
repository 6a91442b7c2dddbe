// Lets a bounded number of connections through their handshakes at a time, first come first served. When all agents come
// back at once, each waits its turn and then gets through quickly; all at the same time would each take as long as all of
// them together, run into their time limits, and come again.

import type { Socket } from 'node:net'

/** Handshakes under way: their round trips overlap, and each takes one or two milliseconds of the processor. */
export const HANDSHAKES_MAX = 64

type Waiting = { readonly socket: Socket; readonly begin: (socket: Socket) => void }

export class Gate {
  private readonly max: number
  /** Those in their handshake, by remote address and port. */
  private readonly inside = new Map<string, Socket>()
  private readonly waiting = new Set<Waiting>()

  constructor(max = HANDSHAKES_MAX) {
    this.max = max
  }

  get waitingCount(): number {
    return this.waiting.size
  }

  /**
   * Calls `begin` when it is the socket's turn. A socket that is paused does not notice that its peer has gone: it still
   * has its turn, and loses it as soon as it is read.
   */
  enter(socket: Socket, begin: (socket: Socket) => void): void {
    const entry: Waiting = { socket, begin }
    const remote = remoteOf(socket)
    // Without a listener the reset of a connection that waits would end the process.
    socket.on('error', ignored)
    socket.once('close', () => {
      this.waiting.delete(entry)
      if (this.inside.get(remote) === socket) this.leave(remote)
    })
    this.waiting.add(entry)
    this.next()
  }

  /** The handshake from there is over, one way or another. */
  leave(remote: string): void {
    if (this.inside.delete(remote)) this.next()
  }

  private next(): void {
    for (const entry of this.waiting) {
      if (this.inside.size >= this.max) return
      this.waiting.delete(entry)
      this.inside.set(remoteOf(entry.socket), entry.socket)
      entry.begin(entry.socket)
    }
  }
}

export const remoteOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress}:${remotePort}`

function ignored(): void {
  // What became of the connection is told by `close`.
}
