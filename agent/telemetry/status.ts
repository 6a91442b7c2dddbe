// What an agent tells about itself: status.json in its data folder, replaced whole twice a second.

import { renameSync, rmSync, writeFileSync } from 'node:fs'
import type { Client } from '#agent/client/mod.ts'
import type { Identity } from '#agent/identity/mod.ts'
import type { Supervisor } from '#agent/runtime/mod.ts'
import type { Spool, SpoolUsage } from '#agent/spool/mod.ts'
import type { Fault } from '#protocol/base/mod.ts'
import { agentFault } from './faults.ts'

const WRITE_MS = 500

export type AgentStatus = {
  readonly pid: number
  readonly name: string
  readonly hub: string
  readonly startedAtMs: number
  readonly rssBytes: number
  readonly rssBytesMax: number
  readonly connected: boolean
  /** Why not, when not. */
  readonly lastFault: Readonly<Record<string, unknown>> | null
  readonly flows: Readonly<
    Record<
      string,
      {
        readonly state: string
        readonly rowsIn: number
        readonly rowsOut: number
        readonly rejected: number
        readonly restarts: number
        readonly lastFault: Readonly<Record<string, unknown>> | null
      }
    >
  >
  readonly spool: SpoolUsage
  /** Bytes on the socket, above TLS. */
  readonly wire: { readonly bytesIn: number; readonly bytesOut: number }
  /** Uncompressed bytes of messages received and sealed. */
  readonly raw: { readonly bytesIn: number; readonly bytesOut: number }
}

export function statusOf(parts: {
  identity: Identity
  client: Client
  spool: Spool
  supervisor: Supervisor
  raw: { readonly bytesOut: number }
  startedAtMs: number
}): AgentStatus {
  const { identity, client, spool, supervisor, raw, startedAtMs } = parts
  return {
    pid: process.pid,
    name: identity.name,
    hub: identity.hubName,
    startedAtMs,
    rssBytes: process.memoryUsage.rss(),
    rssBytesMax: process.resourceUsage().maxRSS * 1024,
    connected: client.connected,
    lastFault: client.lastFault?.toJSON() ?? null,
    flows: Object.fromEntries(
      supervisor
        .status()
        .map(({ name, state, rowsIn, rowsOut, rejected, restarts, lastFault }) => [
          name,
          { state, rowsIn, rowsOut, rejected, restarts, lastFault: lastFault?.toJSON() ?? null },
        ]),
    ),
    spool: spool.usage(),
    wire: { bytesIn: client.bytesIn, bytesOut: client.bytesOut },
    raw: { bytesIn: client.rawBytesIn, bytesOut: raw.bytesOut },
  }
}

/** Writes the status beside itself and renames, so that a reader never sees half of it. */
export class StatusFile {
  readonly #path: string
  readonly #read: () => AgentStatus
  readonly #onFault: (fault: Fault | null) => void
  readonly #timer: NodeJS.Timeout
  #failing = false

  /** `onFault` hears once that it cannot be written (a full disk), and with `null` that it can be again. */
  constructor(path: string, read: () => AgentStatus, onFault: (fault: Fault | null) => void) {
    this.#path = path
    this.#read = read
    this.#onFault = onFault
    this.#write()
    this.#timer = setInterval(() => this.#write(), WRITE_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
    rmSync(this.#path, { force: true })
  }

  #write(): void {
    const temporary = `${this.#path}.new`
    try {
      writeFileSync(temporary, JSON.stringify(this.#read()), { mode: 0o600 })
      renameSync(temporary, this.#path)
    } catch (cause) {
      // Records go on moving, whoever watches.
      if (!this.#failing) this.#onFault(agentFault('STATUS_UNWRITABLE', { where: this.#path, cause }))
      this.#failing = true
      return
    }
    if (this.#failing) this.#onFault(null)
    this.#failing = false
  }
}
