// The local management port: /healthz and /metrics for monitors on this machine, /status for holders of the token that lies,
// readable by the hub's user alone, in the data folder.

import { randomBytes, timingSafeEqual } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { HubStatus, Metrics } from '#hub/telemetry/mod.ts'
import { asFault } from '#protocol/base/mod.ts'
import { managementFault } from './faults.ts'

const HEADERS_TIMEOUT_MS = 5000
/** Node looks for late requests only every 30 s unless it is told. */
const CHECK_MS = 1000

/** How a local command finds the running hub. */
type Contact = { readonly url: string; readonly token: string; readonly processId: number }

const contactPath = (dataDir: string): string => join(dataDir, 'run', 'management.json')

export class ManagementServer {
  private readonly server: Server
  private readonly token = randomBytes(32).toString('base64url')
  private readonly options: { dataDir: string; status: () => HubStatus; metrics: Metrics }

  constructor(options: { dataDir: string; status: () => HubStatus; metrics: Metrics }) {
    this.options = options
    this.server = createServer(
      {
        headersTimeout: HEADERS_TIMEOUT_MS,
        requestTimeout: HEADERS_TIMEOUT_MS,
        connectionsCheckingInterval: CHECK_MS,
      },
      (request, response) => {
        this.answer(request, response).catch((error: unknown) => {
          response.writeHead(500, { 'content-type': 'application/json' }).end(JSON.stringify(asFault(error)))
        })
      },
    )
  }

  /** Faults: `MANAGEMENT_LISTEN_FAILED`. Gives the port in use. */
  async start(host: string, port: number): Promise<number> {
    const bound = await new Promise<number>((resolve, reject) => {
      this.server.once('error', (cause) => {
        reject(managementFault('MANAGEMENT_LISTEN_FAILED', { where: `${host}:${port}`, why: cause.message, cause }))
      })
      this.server.listen(port, host, () => {
        const address = this.server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : port)
      })
    })
    const shown = host.includes(':') ? `[${host}]` : host
    const contact: Contact = { url: `http://${shown}:${bound}`, token: this.token, processId: process.pid }
    mkdirSync(join(this.options.dataDir, 'run'), { recursive: true, mode: 0o700 })
    writeFileSync(contactPath(this.options.dataDir), JSON.stringify(contact), { mode: 0o600 })
    return bound
  }

  async stop(): Promise<void> {
    rmSync(contactPath(this.options.dataDir), { force: true })
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve())
      this.server.closeAllConnections()
    })
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { metrics, status } = this.options
    const send = (code: number, type: string, body: string) => {
      response.writeHead(code, { 'content-type': type, 'cache-control': 'no-store' }).end(body)
    }
    if (request.method !== 'GET') return send(405, 'text/plain', 'only GET\n')
    if (request.url === '/healthz') return send(200, 'text/plain', 'ok\n')
    if (request.url === '/metrics') return send(200, metrics.contentType, await metrics.text())
    if (request.url !== '/status') return send(404, 'text/plain', 'not found: /healthz /metrics /status\n')
    if (!this.authorised(request)) return send(401, 'text/plain', 'the token of the data folder is needed\n')
    return send(200, 'application/json', JSON.stringify(status()))
  }

  private authorised(request: IncomingMessage): boolean {
    const given = Buffer.from(request.headers.authorization ?? '')
    const wanted = Buffer.from(`Bearer ${this.token}`)
    return given.length === wanted.length && timingSafeEqual(given, wanted)
  }
}

/** Asks the hub that runs on `dataDir`. Faults: `HUB_NOT_RUNNING`. */
export async function fetchStatus(dataDir: string): Promise<HubStatus> {
  let contact: Contact
  try {
    contact = JSON.parse(readFileSync(contactPath(dataDir), 'utf8')) as Contact
  } catch (cause) {
    throw managementFault('HUB_NOT_RUNNING', { where: dataDir, cause })
  }
  try {
    const response = await fetch(`${contact.url}/status`, {
      headers: { authorization: `Bearer ${contact.token}` },
      signal: AbortSignal.timeout(HEADERS_TIMEOUT_MS),
    })
    if (response.ok) return (await response.json()) as HubStatus
    throw managementFault('HUB_NOT_RUNNING', { where: dataDir, why: `it answered ${response.status}` })
  } catch (cause) {
    throw managementFault('HUB_NOT_RUNNING', { where: dataDir, cause })
  }
}
