// What an agent tells about itself: status.json in its data folder, replaced whole twice a second.

import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Client, TransferReport } from '#agent/client/mod.ts'
import type { Outbox } from '#agent/components/mod.ts'
import type { Identity } from '#agent/identity/mod.ts'
import type { Supervisor } from '#agent/runtime/mod.ts'
import type { Spool, SpoolUsage } from '#agent/spool/mod.ts'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { agentFault } from './faults.ts'

const WRITE_MS = 500
/** A status older than this comes from an agent that hangs or is gone. */
export const SILENT_MS = 20 * WRITE_MS

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
  /** Streams the hub refuses, with its reason: they wait in the spool. */
  readonly refused: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** Streams of which the hub has lost what it had acknowledged, since the agent started. */
  readonly lost: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** Bytes on the socket, above TLS. */
  readonly wire: { readonly bytesIn: number; readonly bytesOut: number }
  /** Uncompressed bytes of messages received and sealed. */
  readonly raw: { readonly bytesIn: number; readonly bytesOut: number }
  /** Large content that is sent or received, or waits for it. */
  readonly transfers: readonly TransferStatus[]
}

export type TransferStatus = Omit<TransferReport, 'fault'> & {
  /** Why it waits, where there is a reason. */
  readonly fault: Readonly<Record<string, unknown>> | null
}

/** Of a client's transfers that are not over. */
export const transfersOf = (client: Client): TransferStatus[] =>
  client.transferReports().map(({ fault, ...report }) => ({ ...report, fault: fault?.toJSON() ?? null }))

export function statusOf(parts: {
  identity: Identity
  client: Client
  spool: Spool
  supervisor: Supervisor
  outbox: Outbox
  startedAtMs: number
}): AgentStatus {
  const { identity, client, spool, supervisor, outbox, startedAtMs } = parts
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
    refused: Object.fromEntries([...outbox.refused()].map(([name, fault]) => [name, fault.toJSON()])),
    lost: Object.fromEntries([...outbox.lost()].map(([name, fault]) => [name, fault.toJSON()])),
    wire: { bytesIn: client.bytesIn, bytesOut: client.bytesOut },
    raw: { bytesIn: client.rawBytesIn, bytesOut: outbox.rawBytes },
    transfers: transfersOf(client),
  }
}

/**
 * The status of the agent that runs on a data folder. A file whose writer is gone or silent is one that a crash left.
 * Faults: `AGENT_NOT_RUNNING`.
 */
export function readStatus(dataDir: string): AgentStatus {
  const path = join(dataDir, 'status.json')
  const fault = (why: string) => agentFault('AGENT_NOT_RUNNING', { where: dataDir, why })
  // One that may not be seen is another matter: the system's own error says so.
  const written = statSync(path, { throwIfNoEntry: false })
  if (written === undefined) throw fault('there is no status.json')
  const ageMs = Date.now() - written.mtimeMs
  const status = JSON.parse(readFileSync(path, 'utf8')) as AgentStatus
  if (!isAlive(status.pid))
    throw fault(`process ${status.pid} is gone; it was last seen ${Math.round(ageMs / 1000)} s ago`)
  if (ageMs > SILENT_MS)
    throw fault(`process ${status.pid} has not written its status for ${Math.round(ageMs / 1000)} s`)
  return status
}

/** Whether an agent runs on this data folder. */
export function isRunning(dataDir: string): boolean {
  try {
    readStatus(dataDir)
    return true
  } catch (error) {
    if (asFault(error).code === 'AGENT_NOT_RUNNING') return false
    throw error
  }
}

export function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Writes a status beside itself and renames, so that a reader never sees half of it. */
export class StatusFile<T> {
  readonly #path: string
  readonly #read: () => T
  readonly #onFault: (fault: Fault | null) => void
  readonly #timer: NodeJS.Timeout
  #failing = false

  /** `onFault` hears once that it cannot be written (a full disk), and with `null` that it can be again. */
  constructor(path: string, read: () => T, onFault: (fault: Fault | null) => void) {
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
