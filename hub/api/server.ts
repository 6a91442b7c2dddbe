// The hub's HTTP port, for people with a browser: who has a link may put files under its topic, or take its content. There is
// nothing here for whoever has none.
//
//   /upload/TOKEN    a link's token: GET the page, POST begins an upload. An upload's: HEAD, PATCH, DELETE go on with it
//   /download/TOKEN  GET, HEAD, also of a range
//   /assets/…        what the page loads
//
// A token may also come as `Authorization: Bearer`, and then not in the address. Neither gets into a log.

import { constants } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { join, resolve } from 'node:path'
import { createSecureContext } from 'node:tls'
import type { HubTls, Link, Links } from '#hub/security/mod.ts'
import type { HubIdentity, OwnMessages } from '#hub/session/mod.ts'
import type { Log } from '#hub/telemetry/mod.ts'
import type { Contents } from '#hub/transfer/mod.ts'
import { asFault, type Clock, type Fault } from '#protocol/base/mod.ts'
import { serve } from './download/serve.ts'
import { Exchange } from './exchange.ts'
import { httpFault, toldOf } from './faults.ts'
import {
  CHECK_MS,
  CONNECTIONS_MAX,
  DOWNLOADS_MAX,
  DOWNLOADS_PER_LINK_MAX,
  HEADER_BYTES_MAX,
  HEADERS_COUNT_MAX,
  HEADERS_MS,
  REQUESTS_MAX,
  REST_MS,
  STOP_MS,
} from './limits.ts'
import { ASSETS, languageOf, PAGE_POLICY, uploadPage } from './page/page.ts'
import { UploadBook } from './upload/book.ts'
import { Finisher } from './upload/finisher.ts'
import { UploadStore } from './upload/store.ts'
import { Tus, UPLOAD_PATH } from './upload/tus.ts'

const DOWNLOAD_PATH = '/download'

export type HttpSettings = {
  readonly host: string
  readonly port: number
  readonly tls: boolean
  /** Paths of PEM files; empty: the hub's own. */
  readonly certificate: string
  readonly key: string
  readonly bytesMax: number
}

export type HttpOptions = {
  readonly settings: HttpSettings
  /** What is known of uploads lies in its folder `http`; paths of certificates begin here. */
  readonly dataDir: string
  /** The hub's own identity, for programs that know its authority, and the one for browsers. */
  readonly tls: HubTls
  readonly browser: { readonly key: string; readonly cert: string }
  readonly links: Links
  readonly contents: Contents
  readonly messages: OwnMessages
  readonly identity: HubIdentity
  /** How long an upload may rest. */
  readonly keepMs: number
  readonly clock: Clock
  readonly log: Log
}

export class HttpServer {
  private readonly options: HttpOptions
  private readonly server: Server
  private readonly store: UploadStore
  private readonly finisher: Finisher
  private readonly tus: Tus
  private readonly exchanges = new Set<Exchange>()
  private readonly counts = { requests: 0, failed: 0, receivedBytes: 0, sentBytes: 0 }
  private readonly downloads = new Map<string, number>()
  private timer: NodeJS.Timeout | null = null

  /** Faults: `HTTP_CERTIFICATE_INVALID`. */
  constructor(options: HttpOptions) {
    this.options = options
    const { dataDir, links, contents, messages, identity, keepMs, clock, log, settings } = options
    const nowMs = () => clock.wallMs()
    const book = new UploadBook(join(dataDir, 'http'), {
      digest: (bytes) => contents.hashing.digest(bytes),
      nowMs: nowMs(),
    })
    this.finisher = new Finisher({ book, contents, links, messages, identity, nowMs, log })
    this.store = new UploadStore({
      contents,
      book,
      origin: identity.name,
      keepMs,
      nowMs,
      onComplete: (content) => {
        this.finisher.finish(content).catch((error: unknown) => {
          log('warn', 'upload not finished yet', { content, fault: asFault(error).toJSON() })
        })
      },
      check: ({ link }) => {
        if (link !== null) links.check(link, nowMs())
      },
    })
    const { bytesMax } = settings
    this.tus = new Tus({ store: this.store, finisher: this.finisher, links, bytesMax, nowMs: () => clock.nowMs() })
    this.server = this.newServer()
  }

  /** Faults: `HTTP_LISTEN_FAILED`. Gives the port in use. */
  async start(): Promise<number> {
    const { host, port } = this.options.settings
    const bound = await new Promise<number>((resolve, reject) => {
      this.server.once('error', (cause) => {
        reject(httpFault('HTTP_LISTEN_FAILED', { where: `${host}:${port}`, why: cause.message, cause }))
      })
      this.server.listen(port, host, () => {
        const address = this.server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : port)
      })
    })
    this.finisher.start()
    this.timer = setInterval(() => {
      for (const exchange of this.exchanges) if (exchange.isLate()) exchange.cut()
    }, CHECK_MS)
    this.timer.unref()
    return bound
  }

  /** Breaks uploads off behind what was received of them, and downloads. */
  async stop(): Promise<void> {
    if (this.timer !== null) clearInterval(this.timer)
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()))
    for (const exchange of this.exchanges) exchange.cut()
    this.server.closeAllConnections()
    const late = new Promise<void>((resolve) => setTimeout(resolve, STOP_MS).unref())
    await Promise.race([Promise.all([closed, this.store.idle()]), late])
    await Promise.race([this.finisher.stop(), late])
  }

  /** What it does, and has done since the start. */
  get status(): { open: number; requests: number; failed: number; receivedBytes: number; sentBytes: number } {
    return { open: this.exchanges.size, ...this.counts }
  }

  private count({ link, bytes, fault }: Exchange): void {
    const { counts } = this
    counts.requests++
    if (fault !== null) counts.failed++
    if (link?.kind === 'download') counts.sentBytes += bytes
    else counts.receivedBytes += bytes
  }

  private newServer(): Server {
    const { settings } = this.options
    const bounds = {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: HEADERS_MS,
      // A large body takes its time: the pace of each request is looked at instead.
      requestTimeout: 0,
      keepAliveTimeout: REST_MS,
      connectionsCheckingInterval: CHECK_MS,
    }
    const answer = (request: IncomingMessage, response: ServerResponse) => void this.answer(request, response)
    const server = settings.tls
      ? createHttpsServer({ ...bounds, ...secretsOf(this.options), handshakeTimeout: HEADERS_MS }, answer)
      : createServer(bounds, answer)
    server.maxHeadersCount = HEADERS_COUNT_MAX
    server.maxConnections = CONNECTIONS_MAX
    // Nobody is asked to send a body before his link is found good.
    server.on('checkContinue', answer)
    return server
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { links, clock, log } = this.options
    // What breaks is told by `close`.
    request.on('error', () => undefined)
    response.on('error', () => undefined)
    const area = areaOf(request)
    let exchange: Exchange | null = null
    try {
      setCommonHeaders(response)
      if (this.exchanges.size >= REQUESTS_MAX) throw httpFault('HTTP_BUSY', { retry: true })
      const asset = ASSETS.get(request.url ?? '')
      if (asset !== undefined) return answerAsset(request, response, asset)
      if (area === null) throw httpFault('HTTP_NOT_FOUND')
      const link = links.read(tokenOf(request, area), clock.wallMs())
      exchange = new Exchange({ request, response, link, nowMs: () => clock.nowMs() })
      this.exchanges.add(exchange)
      if (request.headers.expect !== undefined) response.writeContinue()
      await this.perform(area, link, exchange)
    } catch (error) {
      const fault = asFault(error)
      if (exchange === null) log('debug', 'request refused', { area, method: request.method, fault: fault.toJSON() })
      else exchange.fault = fault
      refuse(request, response, fault)
    } finally {
      if (exchange !== null) {
        await exchange.closed
        this.exchanges.delete(exchange)
        this.count(exchange)
        tell(log, exchange)
      }
    }
  }

  private async perform(area: Area, link: Link, exchange: Exchange): Promise<void> {
    const { method = '' } = exchange.request
    const wanted = area === 'download' ? ['download'] : ['upload', 'part']
    if (!wanted.includes(link.kind)) throw kindFault(link)
    if (link.kind === 'download') {
      checkMethod(exchange.response, method, READING)
      return await this.download(link.id, link.content, exchange)
    }
    const isPage = link.kind === 'upload' && (method === 'GET' || method === 'HEAD')
    if (isPage) return answerPage(exchange)
    const methods = link.kind === 'upload' ? ['POST', 'OPTIONS'] : ['HEAD', 'PATCH', 'DELETE', 'OPTIONS']
    checkMethod(exchange.response, method, link.kind === 'upload' ? [...READING, ...methods] : methods)
    await this.tus.answer(exchange)
  }

  private async download(link: string, content: string, exchange: Exchange): Promise<void> {
    const { contents, links, clock } = this.options
    const own = this.downloads.get(link) ?? 0
    let all = 0
    for (const count of this.downloads.values()) all += count
    if (own >= DOWNLOADS_PER_LINK_MAX || all >= DOWNLOADS_MAX) throw httpFault('HTTP_BUSY', { retry: true })
    this.downloads.set(link, own + 1)
    try {
      // What was begun in time may end; what is revoked may not.
      const check = () => links.check({ id: link, expiresAtMs: Number.MAX_SAFE_INTEGER }, clock.wallMs())
      await serve(exchange, { contents, content, check })
    } finally {
      const left = (this.downloads.get(link) ?? 1) - 1
      if (left > 0) this.downloads.set(link, left)
      else this.downloads.delete(link)
    }
  }
}

type Area = 'upload' | 'download'

const READING: readonly string[] = ['GET', 'HEAD']

/** Who is refused is told what may be done (RFC 9110, section 15.5.6). */
function checkMethod(response: ServerResponse, method: string, allowed: readonly string[]): void {
  if (allowed.includes(method)) return
  response.setHeader('allow', allowed.join(', '))
  throw httpFault('HTTP_METHOD', { where: method })
}

function areaOf({ url = '' }: IncomingMessage): Area | null {
  for (const [path, area] of [[UPLOAD_PATH, 'upload'] as const, [DOWNLOAD_PATH, 'download'] as const]) {
    if (url === path || url.startsWith(`${path}/`)) return area
  }
  return null
}

/** The address's last part, or else what the header has; each form is checked by whoever reads tokens. */
function tokenOf({ url = '', headers }: IncomingMessage, area: Area): string {
  const given = url.slice(area.length + '//'.length)
  if (given !== '') return given
  return /^Bearer +([^ ]+)$/i.exec(headers.authorization ?? '')?.[1] ?? ''
}

function kindFault({ kind }: Link): Fault {
  const todo = kind === 'download' ? 'It is for taking a file, not for sending one' : 'It is for sending files'
  return httpFault('HTTP_NOT_FOUND', { why: 'the link is for something else', todo })
}

/** Nothing here belongs into a cache, a frame, or another site's hands. */
function setCommonHeaders(response: ServerResponse): void {
  response.setHeader('cache-control', 'no-store')
  response.setHeader('content-security-policy', "default-src 'none'; sandbox; frame-ancestors 'none'")
  response.setHeader('cross-origin-resource-policy', 'same-origin')
  response.setHeader('referrer-policy', 'no-referrer')
  response.setHeader('x-content-type-options', 'nosniff')
}

function answerAsset(
  { method = '' }: IncomingMessage,
  response: ServerResponse,
  { type, body }: { type: string; body: string },
) {
  checkMethod(response, method, READING)
  response.setHeader('content-type', type)
  response.setHeader('content-length', Buffer.byteLength(body))
  response.end(method === 'HEAD' ? undefined : body)
}

function answerPage({ request, response }: Exchange): void {
  const language = languageOf(request.headers['accept-language'])
  response.setHeader('content-security-policy', PAGE_POLICY)
  response.setHeader('content-language', language)
  response.setHeader('vary', 'Accept-Language')
  answerAsset(request, response, { type: 'text/html; charset=utf-8', body: uploadPage(language) })
}

function refuse(request: IncomingMessage, response: ServerResponse, fault: Fault): void {
  if (response.headersSent || response.destroyed) {
    // Too late for another status: who counts bytes sees that it ended early.
    response.destroy()
    return
  }
  const { status, body, retryAfter } = toldOf(fault)
  if (retryAfter !== null) response.setHeader('retry-after', retryAfter)
  // What is left of its body is not read.
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' })
  response.end(request.method === 'HEAD' ? undefined : body)
}

function tell(log: Log, { request, response, link, bytes, fault }: Exchange): void {
  const { method } = request
  const details = { method, kind: link?.kind, link: link?.id, status: response.statusCode, bytes }
  if (fault !== null)
    log(response.statusCode >= 500 ? 'warn' : 'info', 'http request failed', { ...details, fault: fault.toJSON() })
  else log(bytes > 0 ? 'info' : 'debug', 'http request', details)
}

/** Without a certificate in the settings each client is shown the one of two that it can read. */
function secretsOf({ settings, tls, browser, dataDir }: HttpOptions) {
  const common = { minVersion: tls.minVersion, secureOptions: constants.SSL_OP_NO_TICKET }
  const { certificate, key } = settings
  if (certificate === '') {
    const order = { sigalgs: 'ed25519:ecdsa_secp256r1_sha256', honorCipherOrder: true }
    return { ...common, ...order, key: [tls.key, browser.key], cert: [tls.cert, browser.cert] }
  }
  try {
    const [cert, secret] = [certificate, key].map((path) => readFileSync(resolve(dataDir, path)))
    const secrets = { ...common, cert, key: secret }
    createSecureContext(secrets)
    return secrets
  } catch (cause) {
    throw httpFault('HTTP_CERTIFICATE_INVALID', { why: (cause as Error).message, cause })
  }
}
