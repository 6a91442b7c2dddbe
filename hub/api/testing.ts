// For tests: a hub's HTTP part with real stores on a real disk, requests by hand, and a line that breaks where it is told to.

import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { type IncomingHttpHeaders, request } from 'node:http'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Router } from '#hub/router/mod.ts'
import { type Links, openLinks } from '#hub/security/mod.ts'
import { OwnMessages } from '#hub/session/mod.ts'
import { ContentStore, HubStore, type Lease, policyOf, QUEUE_UNROUTED } from '#hub/store/mod.ts'
import { Contents } from '#hub/transfer/mod.ts'
import { millis, systemClock } from '#protocol/base/mod.ts'
import { type Headers, openBatch } from '#protocol/codec/mod.ts'
import { signingKey } from '#protocol/crypto/mod.ts'
import { HttpServer, type HttpSettings } from './server.ts'

export const MIB = 1024 * 1024
export const DAY_MS = 86_400_000
const KEY = signingKey(generateKeyPairSync('ed25519').privateKey)

export type StageOptions = {
  readonly settings?: Partial<HttpSettings>
  readonly contentBytesMax?: number
  readonly queueMessagesMax?: number
}

export type Published = {
  readonly topic: string
  readonly headers: Headers
  readonly body: string
  readonly origin: string
}

export class Stage {
  readonly dataDir: string
  readonly links: Links
  readonly logged: string[] = []
  /** Added to the hub's wall clock. */
  aheadMs = 0
  store!: HubStore
  contents!: Contents
  http!: HttpServer
  port = 0
  private readonly options: StageOptions

  private constructor(dataDir: string, options: StageOptions) {
    this.dataDir = dataDir
    this.options = options
    this.links = openLinks(join(dataDir, 'security'))
  }

  static async open(t: Test, options: StageOptions = {}): Promise<Stage> {
    const stage = new Stage(t.testdir(), options)
    await stage.start()
    t.teardown(() => stage.stop())
    return stage
  }

  async start(): Promise<void> {
    const { dataDir, options } = this
    this.store = await HubStore.open({ dataDir, mapBytesMax: 256 * MIB, cacheBytes: 4 * MIB })
    const contentStore = ContentStore.open({
      folder: join(dataDir, 'contents'),
      bytesMax: options.contentBytesMax ?? 1024 * MIB,
      freeBytesMin: 0,
    })
    const router = new Router()
    this.store.queues.onChanged = () => router.stale(() => this.store.queues.all())
    const own = { topics: [], where: {} }
    this.store.queues.own(QUEUE_UNROUTED, '', own, policyOf({}))
    await this.store.queues.declare({
      name: 'files',
      rule: { topics: ['permits/#'], where: {} },
      owner: null,
      ephemeral: false,
      policy: policyOf({ messagesMax: options.queueMessagesMax ?? 0 }),
    })
    this.store.queues.onChanged()
    this.contents = new Contents({
      store: contentStore,
      holds: (id) => this.store.contentHolds.count(id),
      keepMs: 7 * DAY_MS,
      nowMs: () => this.nowMs(),
      onFault: () => undefined,
    })
    await this.open()
  }

  /** The HTTP part alone. */
  async open(): Promise<void> {
    this.http = this.newHttp({})
    this.port = await this.http.start()
  }

  newHttp(settings: Partial<HttpSettings>): HttpServer {
    const identity = { name: 'hub-1', key: KEY, certificate: Buffer.alloc(0) }
    const route = this.routeOf()
    const { store, contents, links, dataDir } = this
    return new HttpServer({
      settings: {
        host: '127.0.0.1',
        port: 0,
        tls: false,
        certificate: '',
        key: '',
        bytesMax: 512 * MIB,
        ...this.options.settings,
        ...settings,
      },
      dataDir,
      tls: { key: '', cert: '', minVersion: 'TLSv1.3' },
      browser: { key: '', cert: '' },
      links,
      contents,
      messages: new OwnMessages({ store, route, identity }),
      identity,
      keepMs: 7 * DAY_MS,
      clock: { wallMs: () => millis(this.nowMs()), nowMs: () => systemClock.nowMs() },
      log: (level, message, details = {}) => void this.logged.push(JSON.stringify({ level, message, ...details })),
    })
  }

  async stop(): Promise<void> {
    await this.http.stop()
    await this.contents.close()
    await this.store.close()
  }

  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  nowMs(): number {
    return Date.now() + this.aheadMs
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.port}${path}`
  }

  uploadLink(given: { topic?: string; bytesMax?: number; uses?: number; expiresInMs?: number } = {}) {
    const { topic = 'permits/scans', bytesMax = 0, uses = 0, expiresInMs = DAY_MS } = given
    const expiresAtMs = this.nowMs() + expiresInMs
    const headers = { district: '北' }
    const { token, id } = this.links.make({ kind: 'upload', topic, headers, bytesMax, uses, expiresAtMs }, this.nowMs())
    return { path: `/upload/${token}`, token, id }
  }

  downloadLink(content: string, expiresInMs = DAY_MS) {
    const { token, id } = this.links.make(
      { kind: 'download', content, expiresAtMs: this.nowMs() + expiresInMs },
      this.nowMs(),
    )
    return { path: `/download/${token}`, token, id }
  }

  /** Everything that lies in a queue. */
  published(name = 'files'): Published[] {
    const queue = this.store.queues.get(name)
    const holder = {}
    const leases: Lease[] = []
    for (;;) {
      const lease = queue === undefined ? null : this.store.take(queue, 1000, holder)
      if (lease === null) break
      leases.push(lease)
    }
    const out = leases.map(({ entry }) => {
      const batch = openBatch(this.store.batchBytes(entry.batchSeq))
      batch.verify(createPublicKey(KEY.privateKey))
      const { envelope, body } = batch.messages()(0)
      return { topic: envelope.topic, headers: envelope.headers, body: body.toString(), origin: batch.head.origin }
    })
    this.store.giveBack(leases, 'test')
    return out
  }

  private routeOf() {
    const router = new Router()
    router.stale(() => this.store.queues.all())
    return (batch: Parameters<Router['route']>[0], unrouted: Parameters<Router['route']>[1]) =>
      router.route(batch, unrouted)
  }
}

export type Answer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Buffer }

/** One request on a connection of its own; an answer that ends too early has what came of it, and `broken`. */
export function ask(
  url: string,
  options: { method?: string; headers?: Record<string, string>; body?: Buffer | string } = {},
): Promise<Answer & { readonly broken: boolean }> {
  const { method = 'GET', headers = {}, body } = options
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent: false }, (response) => {
      const parts: Buffer[] = []
      const end = (broken: boolean) =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts), broken })
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('end', () => end(!response.complete))
      response.on('error', () => end(true))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

export const TUS = { 'tus-resumable': '1.0.0' }

/** Begins an upload; gives the path to go on at. */
export async function begin(stage: Stage, path: string, size: number, metadata: Record<string, string> = {}) {
  const pairs = Object.entries(metadata).map(([name, value]) => `${name} ${Buffer.from(value).toString('base64')}`)
  const headers = { ...TUS, 'upload-length': String(size) }
  const told = pairs.length === 0 ? headers : { ...headers, 'upload-metadata': pairs.join(',') }
  const answer = await ask(stage.url(path), { method: 'POST', headers: told })
  return { ...answer, location: answer.headers.location ?? '' }
}

export async function patch(stage: Stage, path: string, offset: number, body: Buffer) {
  const headers = { ...TUS, 'upload-offset': String(offset), 'content-type': 'application/offset+octet-stream' }
  return await ask(stage.url(path), { method: 'PATCH', headers, body })
}

export async function offsetAt(stage: Stage, path: string): Promise<number> {
  const { status, headers } = await ask(stage.url(path), { method: 'HEAD', headers: TUS })
  return status === 200 ? Number(headers['upload-offset']) : -status
}

/** Bytes that repeat nowhere. */
export function noise(bytes: number, seed = 'a'): Buffer {
  const out = Buffer.alloc(bytes)
  for (let at = 0, n = 0; at < bytes; n++)
    at += createHash('sha512')
      .update(`${seed} ${n >> 10}`)
      .digest()
      .copy(out, at)
  for (let at = 0; at + 4 <= bytes; at += 1024) out.writeUInt32LE(at ^ seed.charCodeAt(0), at)
  return out
}

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** A line to `port` that breaks when so many bytes have gone up on one connection, as often as told. */
export async function breakingLine(t: Test, port: () => number, breaks: number[]): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(port(), '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => sockets.delete(socket))
    }
    let up = 0
    near.on('data', (bytes) => {
      up += bytes.length
      const limit = breaks[0]
      if (limit !== undefined && up > limit) {
        breaks.shift()
        near.resetAndDestroy()
        far.resetAndDestroy()
        return
      }
      if (!far.write(bytes)) {
        near.pause()
        far.once('drain', () => near.resume())
      }
    })
    far.on('data', (bytes) => near.write(bytes))
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}
