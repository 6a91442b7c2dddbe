// What the end-to-end tests share: a hub inside the test's own process (real sockets, real store, quick to start), agents
// enrolled at it, and waiting for something to become true.

import { createCipheriv } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Client, type ClientOptions, type Delivery, enroll, type Subscription } from '#agent/client/mod.ts'
import { type Identity, loadIdentity } from '#agent/identity/mod.ts'
import { type Hub, startHub } from '#hub/compose.ts'
import { parseHubConfig } from '#hub/config/mod.ts'
import { type Authority, initAuthority, openAuthority } from '#hub/security/mod.ts'
import { HubStore } from '#hub/store/mod.ts'
import type { HubStatus } from '#hub/telemetry/mod.ts'

export const HOST = '127.0.0.1'
const HUB_NAME = 'test-hub'
/** For what comes at once on a quiet machine. */
const WAIT_MS_MAX = 90_000

export type Rights = { readonly publish?: readonly string[]; readonly consume?: readonly string[] }
export type LogLine = { readonly level: string; readonly message: string; readonly details: Record<string, unknown> }
type Queues = readonly { name: string; topics: readonly string[]; where?: Record<string, readonly string[]> }[]

export type LocalHubOptions = {
  readonly queues?: Queues
  readonly tls?: boolean
  /** Further settings of hub.yaml, by their top-level names. */
  readonly config?: Readonly<Record<string, unknown>>
}

/** A hub in this process. `restart` keeps its folder and its ports. */
export class LocalHub {
  readonly dir = mkdtempSync(join(tmpdir(), 'causeway-e2e-'))
  readonly lines: LogLine[] = []
  readonly authority: Authority
  readonly #options: LocalHubOptions
  readonly #clients: Client[] = []
  #hub: Hub | null = null
  #ports = { tcp: 0, websocket: 0 }
  #onLine: () => void = () => undefined

  constructor(options: LocalHubOptions) {
    this.#options = options
    const security = join(this.dataDir, 'security')
    initAuthority(security, { hubName: HUB_NAME, hostNames: [HOST] })
    this.authority = openAuthority(security)
  }

  get dataDir(): string {
    return join(this.dir, 'hub')
  }

  get tcpAddress(): string {
    return `${this.#options.tls ? 'tls' : 'tcp'}://${HOST}:${this.tcpPort}`
  }

  get websocketAddress(): string {
    return `${this.#options.tls ? 'wss' : 'ws'}://${HOST}:${this.#ports.websocket}/causeway`
  }

  get tcpPort(): number {
    return this.#ports.tcp
  }

  get websocketPort(): number {
    return this.#ports.websocket
  }

  get managementPort(): number {
    return this.#running().managementPort
  }

  status(): HubStatus {
    return this.#running().status()
  }

  async start(): Promise<void> {
    const { queues = [], tls = false, config = {} } = this.#options
    const settings = {
      name: HUB_NAME,
      listen: {
        tcp: { host: HOST, port: this.#ports.tcp, tls },
        websocket: { host: HOST, port: this.#ports.websocket, tls },
      },
      management: { host: HOST, port: 0 },
      queues,
      ...config,
    }
    // JSON is YAML; the file is for commands on this hub's folder.
    writeFileSync(join(this.dataDir, 'hub.yaml'), JSON.stringify(settings))
    const parsed = parseHubConfig(JSON.stringify(settings), { file: 'hub.yaml' })
    if (!parsed.ok) throw parsed.fault[0]
    const log = (level: string, message: string, details: Record<string, unknown> = {}) => {
      this.lines.push({ level, message, details })
      this.#onLine()
    }
    this.#hub = await startHub({ dataDir: this.dataDir, config: parsed.value, log })
    this.#ports = { tcp: this.#hub.tcpPort, websocket: this.#hub.websocketPort ?? 0 }
  }

  async stop(): Promise<void> {
    const hub = this.#hub
    this.#hub = null
    await hub?.stop()
  }

  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  /** Stops everything and removes the folder. */
  async end(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()))
    await this.stop()
    rmSync(this.dir, { recursive: true, force: true })
  }

  invite(agent: string, { publish = ['#'], consume = ['#'] }: Rights = {}): string {
    const addresses = [this.tcpAddress]
    return this.authority.invite({ agent, publish, consume, addresses, expiresInMs: 600_000 }).token
  }

  identityFolder(name: string): string {
    return join(this.dir, name, 'identity')
  }

  /** Without rights named it may do everything. */
  async enroll(name: string, rights: Rights = {}): Promise<Identity> {
    return await enroll({ folder: this.identityFolder(name), tokenText: this.invite(name, rights) })
  }

  /** A connected client of a new agent (or of a known one), closed by `end`. */
  async client(name: string, rights: Rights = {}, options: Partial<ClientOptions> = {}): Promise<Client> {
    const known = this.authority.agents.get(name) !== null
    const identity = known ? loadIdentity(this.identityFolder(name)) : await this.enroll(name, rights)
    const client = await Client.connect({ identity, reconnectMsFirst: 20, reconnectMsMax: 200, ...options })
    this.#clients.push(client)
    return client
  }

  queue(name: string): HubStatus['queues'][number] {
    const found = this.status().queues.find((queue) => queue.name === name)
    if (found === undefined) throw new Error(`no queue ${name}`)
    return found
  }

  /** The first log line that fits, now or later. */
  async logged(fits: (line: LogLine) => boolean): Promise<LogLine> {
    const from = Promise.withResolvers<LogLine>()
    const look = () => {
      const line = this.lines.find(fits)
      if (line !== undefined) from.resolve(line)
    }
    this.#onLine = look
    look()
    return await inTime(from.promise, 'a log line')
  }

  /** Opens the store of a hub that is stopped. */
  async store(): Promise<HubStore> {
    return await HubStore.open({ dataDir: this.dataDir, mapBytesMax: 2 ** 30, cacheBytes: 2 ** 20 })
  }

  #running(): Hub {
    if (this.#hub === null) throw new Error('the hub is stopped')
    return this.#hub
  }
}

/** A hub for one test file, or one test; taken down at its end. */
export async function localHub(t: Test, options: LocalHubOptions = {}): Promise<LocalHub> {
  const hub = new LocalHub(options)
  t.teardown(() => hub.end())
  await hub.start()
  return hub
}

/** Resolves when `check` gives something other than false or undefined; for what tells nobody when it changes. */
export async function eventually<T>(what: string, check: () => T | Promise<T>): Promise<Exclude<T, false | undefined>> {
  const deadline = performance.now() + WAIT_MS_MAX
  for (;;) {
    const value = await check()
    if (value !== false && value !== undefined) return value as Exclude<T, false | undefined>
    if (performance.now() > deadline) throw new Error(`not in time: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** The promise, or an error that says what was waited for. */
export async function inTime<T>(promise: Promise<T>, what: string, ms = WAIT_MS_MAX): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`not in time: ${what}`)), ms)
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** The next delivery; an error when none comes. */
export async function nextOf(subscription: Subscription): Promise<Delivery> {
  const delivery = await inTime(subscription.next(), `a delivery of ${subscription.queueName}`)
  if (delivery === null) throw new Error('the subscription was closed')
  return delivery
}

/** Publishes a message that refers to a content and that no queue wants: who may consume $unrouted may fetch it. */
export async function refer(client: Client, content: string): Promise<void> {
  const publisher = client.publisher({ stream: `refers to ${content}` })
  await publisher.publish({ topic: 'shared', body: Buffer.alloc(0), contents: [content] })
}

/** Bodies of the next `count` messages, settled. */
export async function bodiesOf(subscription: Subscription, count: number): Promise<string[]> {
  const bodies: string[] = []
  while (bodies.length < count) {
    const delivery = await nextOf(subscription)
    for (const { body } of delivery) bodies.push(body.toString())
    delivery.settle()
  }
  return bodies
}

/** Bytes that look random, the same for the same name (of at most 16 bytes): so are their cuts. */
export const noise = (name: string, bytes: number): Buffer =>
  createCipheriv('aes-128-ctr', Buffer.alloc(16, name), Buffer.alloc(16)).update(Buffer.alloc(bytes))

/** Numbers as messages, in batches of their own when `apart`. */
export const numbered = (count: number, from = 0): string[] => Array.from({ length: count }, (_, i) => String(from + i))
