// A line between an agent and its hub that carries so many bytes a second each way and no more: what comes faster waits at its ends,
// as it does before a modem.

import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Test } from 'tap'

const STEP_MS = 4
/** A machine that stood still does not get more at once afterwards. */
const SAVED_MS_MAX = 100

export class SlowLine {
  private readonly server: Server
  private readonly sockets = new Set<Socket>()

  private constructor(server: Server) {
    this.server = server
  }

  /** Leads to `port` of this machine until the test ends. */
  static async open(t: Test, port: number, bytesPerSecond: number): Promise<SlowLine> {
    const server = createServer({ noDelay: true })
    const line = new SlowLine(server)
    server.on('connection', (near) => {
      const far = connect({ host: '127.0.0.1', port, noDelay: true })
      line.lead(near, far, bytesPerSecond)
      line.lead(far, near, bytesPerSecond)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.teardown(() => line.close())
    return line
  }

  get address(): string {
    return `tcp://127.0.0.1:${(this.server.address() as { port: number }).port}`
  }

  private close(): void {
    this.server.close()
    for (const socket of this.sockets) socket.destroy()
  }

  private lead(from: Socket, to: Socket, bytesPerSecond: number): void {
    this.sockets.add(from)
    let balanceBytes = 0
    let atMs = performance.now()
    let timer: NodeJS.Timeout | null = null
    const carry = () => {
      timer = null
      const nowMs = performance.now()
      const passedMs = Math.min(nowMs - atMs, SAVED_MS_MAX)
      balanceBytes = Math.min(0, balanceBytes) + (passedMs * bytesPerSecond) / 1000
      atMs = nowMs
      if (balanceBytes <= 0) timer = setTimeout(carry, STEP_MS)
      else from.resume()
    }
    from.on('data', (bytes) => {
      // Time in which nothing came is lost.
      if (timer === null) atMs = Math.max(atMs, performance.now() - 2 * STEP_MS)
      to.write(bytes)
      balanceBytes -= bytes.length
      if (balanceBytes > 0) return
      from.pause()
      timer ??= setTimeout(carry, STEP_MS)
    })
    from.on('error', () => undefined) // It closes next.
    from.on('close', () => {
      if (timer !== null) clearTimeout(timer)
      this.sockets.delete(from)
      to.destroy()
    })
  }
}
