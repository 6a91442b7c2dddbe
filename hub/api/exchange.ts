// One request and its answer: who makes it, what it moves, and how it ends when its peer is too slow or another takes its
// place. What is called far below finds its exchange by `exchanges`: the tus server hands nothing of ours through.

import { AsyncLocalStorage } from 'node:async_hooks'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Link } from '#hub/security/mod.ts'
import type { Movement } from '#hub/transfer/mod.ts'
import { assert, type Fault } from '#protocol/base/mod.ts'
import { PACE_BYTES_MIN, PACE_MS } from './limits.ts'

export const exchanges = new AsyncLocalStorage<Exchange>()

export function currentExchange(): Exchange {
  const exchange = exchanges.getStore()
  assert(exchange !== undefined, 'within a request')
  return exchange
}

export class Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly link: Link | null
  /** Resolves when the connection, or the answer, has ended. */
  readonly closed: Promise<void>
  /** Why it failed, for the log. */
  fault: Fault | null = null
  bytes = 0
  /** Of the content it sends or takes. */
  movement: Pick<Movement, 'moved'> | null = null
  /** When bytes moved last. */
  movedAtMs: number
  /** When it began to wait for the peer; `null`: it does not. */
  private waitsFromMs: number | null = null
  /** Time spent waiting since the pace was looked at, and what moved. */
  private waitedMs = 0
  private paceBytes = 0
  private readonly nowMs: () => number

  constructor(parts: { request: IncomingMessage; response: ServerResponse; link: Link | null; nowMs: () => number }) {
    this.request = parts.request
    this.response = parts.response
    this.link = parts.link
    this.nowMs = parts.nowMs
    this.movedAtMs = this.nowMs()
    this.closed = new Promise((resolve) => {
      if (this.response.destroyed) resolve()
      else this.response.once('close', resolve)
    })
  }

  /** Who makes it, for people who look. */
  get by(): string {
    return `link ${this.link?.id ?? ''}`
  }

  /** Ends the connection, now. */
  cut(): void {
    this.request.destroy()
    this.response.destroy()
  }

  /** From now on it is the peer that is waited for. */
  waitForPeer(): void {
    this.waitsFromMs ??= this.nowMs()
  }

  /** Nobody waits for the peer: this time is not its. */
  peerDone(): void {
    if (this.waitsFromMs !== null) this.waitedMs += this.nowMs() - this.waitsFromMs
    this.waitsFromMs = null
  }

  moved(bytes: number): void {
    this.bytes += bytes
    this.movement?.moved(bytes)
    this.paceBytes += bytes
    this.movedAtMs = this.nowMs()
  }

  /** Called every second. True when the peer is too slow. */
  isLate(): boolean {
    if (this.waitsFromMs !== null) {
      this.peerDone()
      this.waitForPeer()
    }
    if (this.waitedMs < PACE_MS) return false
    if (this.paceBytes < PACE_BYTES_MIN) return true
    this.waitedMs = 0
    this.paceBytes = 0
    return false
  }
}
