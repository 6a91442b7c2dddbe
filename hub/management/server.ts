// The local management port: /healthz and /metrics for monitors on this machine; /status and /admin for holders of the
// token that lies, readable by the hub's user alone, in the data folder.
//
// An answer of /admin is JSON lines: `{"progress":…}` each second, then one `{"result":…}` or `{"fault":…}`. What fails
// within the first second has an HTTP status of its own and `{"faults":[…]}`.

import { randomBytes, timingSafeEqual } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { HubStatus, Log, Metrics, QueueStatus } from '#hub/telemetry/mod.ts'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { type AdminWork, isWorthShowing, parseRequest } from './admin.ts'
import { type Contact, contactPath } from './contact.ts'
import { managementFault } from './faults.ts'
import { OPERATIONS_MAX, PROGRESS_MS, REQUEST_BYTES_MAX } from './limits.ts'
import type { Operators, Progress } from './operator.ts'

const HEADERS_TIMEOUT_MS = 5000
/** Node looks for late requests only every 30 s unless it is told. */
const CHECK_MS = 1000

const JSON_TYPE = 'application/json'
const LINES_TYPE = 'application/x-ndjson'

export type ManagementOptions = {
  readonly dataDir: string
  readonly status: () => HubStatus
  readonly metrics: Pick<Metrics, 'contentType' | 'text'>
  readonly operators: Operators
  /** Told what operators did. */
  readonly log?: Log
}

export class ManagementServer {
  private readonly server: Server
  private readonly token = randomBytes(32).toString('base64url')
  private readonly options: ManagementOptions
  private operations = 0

  constructor(options: ManagementOptions) {
    this.options = options
    this.server = createServer(
      {
        headersTimeout: HEADERS_TIMEOUT_MS,
        requestTimeout: HEADERS_TIMEOUT_MS,
        connectionsCheckingInterval: CHECK_MS,
      },
      (request, response) => {
        this.answer(request, response).catch((error: unknown) => refuse(response, [asFault(error)]))
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
    const { method, url } = request
    const wanted = url === '/admin' ? 'POST' : 'GET'
    if (method !== wanted) return send(405, 'text/plain', `only ${wanted}\n`)
    if (url === '/healthz') return send(200, 'text/plain', 'ok\n')
    if (url === '/metrics') return send(200, metrics.contentType, await metrics.text())
    if (url !== '/status' && url !== '/admin') {
      return send(404, 'text/plain', 'not found: /healthz /metrics /status /admin\n')
    }
    if (!this.authorised(request)) return send(401, 'text/plain', 'the token of the data folder is needed\n')
    if (url === '/status') return send(200, JSON_TYPE, JSON.stringify(shownStatus(status())))
    await this.administer(request, response)
  }

  private async administer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { operators } = this.options
    const body = await bodyOf(request)
    if (body === null) {
      // Its rest is not read: the connection has done its work.
      response.setHeader('connection', 'close')
      return refuse(response, [managementFault('ADMIN_REQUEST_TOO_LARGE', { bytesMax: REQUEST_BYTES_MAX })])
    }
    const parsed = parseRequest(body)
    if (!parsed.ok) return refuse(response, parsed.fault)
    if (this.operations >= OPERATIONS_MAX) return refuse(response, [managementFault('ADMIN_BUSY', { retry: true })])
    this.operations++
    try {
      const result = await operate(operators, parsed.value, response)
      this.options.log?.('info', 'operator', { request: shorten(body), ...countsOf(result) })
    } finally {
      this.operations--
    }
  }

  private authorised(request: IncomingMessage): boolean {
    const given = Buffer.from(request.headers.authorization ?? '')
    const wanted = Buffer.from(`Bearer ${this.token}`)
    return given.length === wanted.length && timingSafeEqual(given, wanted)
  }
}

/** Does the work and answers; while it takes long it says how far it is, and stops when nobody listens any more. */
async function operate(operators: Operators, work: AdminWork, response: ServerResponse): Promise<unknown> {
  const startedAt = performance.now()
  let messages = 0
  let cancelled = false
  const progress: Progress = {
    report(done) {
      messages = done
    },
    get cancelled() {
      return cancelled
    },
  }
  const line = (value: unknown, end = false) => {
    if (!response.headersSent) response.writeHead(200, { 'content-type': LINES_TYPE, 'cache-control': 'no-store' })
    response.write(`${JSON.stringify(value)}\n`)
    if (end) response.end()
  }
  const timer = setInterval(() => {
    line({ progress: { messages, seconds: Math.round((performance.now() - startedAt) / 1000) } })
  }, PROGRESS_MS)
  response.once('close', () => {
    clearInterval(timer)
    cancelled = !response.writableEnded
  })
  try {
    const result = await work(operators, progress)
    line({ result }, true)
    return result
  } catch (error) {
    const fault = asFault(error)
    if (!response.headersSent) throw fault
    line({ fault }, true)
    return { fault: fault.code }
  } finally {
    clearInterval(timer)
  }
}

/** `null` when it is too large. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    chunks.push(chunk as Buffer)
    bytes += (chunk as Buffer).length
    if (bytes > REQUEST_BYTES_MAX) return null
  }
  return Buffer.concat(chunks)
}

/** HTTP statuses of faults; others that were foreseen are conflicts with what the hub is doing or holds. */
const STATUSES: Readonly<Record<string, number>> = {
  ADMIN_REQUEST_INVALID: 400,
  MESSAGES_UNNAMED: 400,
  REPLAY_START_UNNAMED: 400,
  QUEUE_MISSING: 404,
  MESSAGE_MISSING: 404,
  CONTENT_GONE: 404,
  ADMIN_REQUEST_TOO_LARGE: 413,
  ADMIN_BUSY: 503,
  STORE_FULL: 507,
  INTERNAL: 500,
}

function refuse(response: ServerResponse, faults: readonly Fault[]): void {
  const code = faults[0]?.code ?? 'INTERNAL'
  const status = STATUSES[code] ?? (code.startsWith('FIELD_') ? 400 : 409)
  if (response.headersSent) response.destroy()
  else response.writeHead(status, { 'content-type': JSON_TYPE }).end(JSON.stringify({ faults }))
}

/**
 * The status without what thousands of agents would make long: queues as lines of a list, and of inboxes and receipts
 * only those that hold something.
 */
function shownStatus(status: HubStatus): HubStatus {
  const shown = status.queues.filter(isWorthShowing).map(
    (queue): QueueStatus => ({
      name: queue.name,
      owner: queue.owner,
      ephemeral: queue.ephemeral,
      topics: queue.topics,
      depth: queue.depth,
      bytes: queue.bytes,
      inFlight: queue.inFlight,
      delayed: queue.delayed,
      retained: queue.retained,
      consumers: queue.consumers,
      oldestAtMs: queue.oldestAtMs,
      tail: queue.tail,
      counters: queue.counters,
    }),
  )
  return { ...status, queues: shown, queuesHidden: status.queues.length - shown.length }
}

/** A request as it is logged. */
function shorten(body: Buffer): string {
  const text = body.toString('utf8')
  return text.length > 500 ? `${text.slice(0, 500)}…` : text
}

/** What an operation did, without what it showed: no topic, header, body or name of a file gets into a log. */
function countsOf(result: unknown): Readonly<Record<string, unknown>> {
  if (typeof result !== 'object' || result === null) return {}
  return Object.fromEntries(
    Object.entries(result).filter(([key, value]) => typeof value === 'number' || key === 'fault'),
  )
}
