// The tus protocol (1.0.0) by @tus/server: the official implementation, so clients of every language work. It is kept away from
// sockets: it gets a request and gives an answer, as values of the fetch API, and what it says about other origins is taken
// out. Its addresses are tokens: an upload's address says which upload, by which link, and cannot be made up.

import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import type { ReadableStream as NodeReadableStream } from 'node:stream/web'
import { Server } from '@tus/server'
import type { Links } from '#hub/security/mod.ts'
import { asFault, assert, Fault } from '#protocol/base/mod.ts'
import { currentExchange, type Exchange, exchanges } from '../exchange.ts'
import { httpFault, toldOf } from '../faults.ts'
import { FINISH_WAIT_MS, PART_GRACE_MS } from '../limits.ts'
import type { Finisher } from './finisher.ts'
import { UploadLocks } from './locks.ts'
import type { UploadStore } from './store.ts'

export const UPLOAD_PATH = '/upload'
const BODY_TYPE = 'application/offset+octet-stream'

export type TusOptions = {
  readonly store: UploadStore
  readonly finisher: Finisher
  readonly links: Links
  /** Of one file, whatever its link allows. */
  readonly bytesMax: number
  readonly nowMs: () => number
}

export class Tus {
  private readonly server: Server

  constructor(options: TusOptions) {
    const { store, finisher, links, bytesMax, nowMs } = options
    this.server = new Server({
      path: UPLOAD_PATH,
      datastore: store,
      locker: new UploadLocks(nowMs),
      allowedOrigins: () => false,
      respectForwardedHeaders: false,
      disableTerminationForFinishedUploads: true,
      maxSize: () => {
        const { link } = currentExchange()
        return link?.kind === 'upload' && link.bytesMax > 0 ? Math.min(link.bytesMax, bytesMax) : bytesMax
      },
      namingFunction: () => randomBytes(16).toString('hex'),
      generateUrl: (_request, { id }) => {
        const { link } = currentExchange()
        assert(link?.kind === 'upload', 'only an upload link begins uploads')
        return `${UPLOAD_PATH}/${links.part(link, id, link.expiresAtMs + PART_GRACE_MS)}`
      },
      getFileIdFromRequest: () => {
        const { link } = currentExchange()
        return link?.kind === 'part' ? link.content : undefined
      },
      onUploadFinish: async (_request, { id }) => {
        await finished(finisher, id)
        return {}
      },
      onResponseError: (_request, error) => {
        const { status, body } = told(error)
        return { status_code: status, body }
      },
    })
  }

  /** Answers a request whose link is `upload` or `part`. */
  async answer(exchange: Exchange): Promise<void> {
    const { response } = exchange
    const answer = await exchanges.run(exchange, () => this.server.handleWeb(webRequest(exchange)))
    const body = Buffer.from(await answer.arrayBuffer())
    if (response.destroyed) return
    response.statusCode = answer.status
    for (const [name, value] of answer.headers) if (!name.startsWith('access-control-')) response.setHeader(name, value)
    if (body.length > 0) response.setHeader('content-type', body[0] === 0x7b ? 'application/json' : 'text/plain')
    if (exchange.fault !== null) {
      const { retryAfter } = toldOf(exchange.fault, answer.status)
      if (retryAfter !== null) response.setHeader('retry-after', retryAfter)
    }
    // What is left of a body that was refused is not read.
    if (answer.status >= 400 || !exchange.request.complete) response.setHeader('connection', 'close')
    response.end(exchange.request.method === 'HEAD' ? undefined : body)
  }
}

/** Without the token: nothing that goes by an address can tell it. */
function webRequest({ request, link }: Exchange): Request {
  const { method = '', headers } = request
  const id = link?.kind === 'part' ? `/${link.content}` : ''
  const given = new Headers()
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && name !== 'authorization') given.set(name, String(value))
  }
  const hasBody = (method === 'PATCH' || method === 'POST') && headers['content-type'] === BODY_TYPE
  const body = hasBody
    ? { body: Readable.toWeb(request) as NodeReadableStream as ReadableStream, duplex: 'half' as const }
    : {}
  return new Request(`http://hub${UPLOAD_PATH}${id}`, { method, headers: given, ...body })
}

/** The hub finishes it in any case, unless its link was revoked: who sent the file need not wait for a full queue. */
async function finished(finisher: Finisher, id: string): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, FINISH_WAIT_MS)
  try {
    await Promise.race([finisher.finish(id), late])
  } catch (error) {
    if (asFault(error).code === 'LINK_REVOKED') throw error
    currentExchange().fault = asFault(error)
  } finally {
    clearTimeout(timer)
  }
}

/** Errors of @tus/server are objects with a status and a text. */
function told(error: Error | { status_code: number; body: string }): { status: number; body: string } {
  const exchange = currentExchange()
  if (error instanceof Fault || !('status_code' in error)) {
    exchange.fault = asFault(error)
    return toldOf(exchange.fault)
  }
  const code = error.status_code === 413 ? 'UPLOAD_TOO_LARGE' : 'UPLOAD_REFUSED'
  exchange.fault = httpFault(code, { why: error.body.trim() })
  return toldOf(exchange.fault, error.status_code)
}
