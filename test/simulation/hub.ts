// A hub on the simulated network and disk: the real store, router, sessions and connections, put together as hub/compose.ts
// does it, without sockets. It can be stopped, killed at any moment, and put back to an older copy of its folder.

import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Connection } from '#hub/listener/connection.ts'
import { Router } from '#hub/router/mod.ts'
import type { Authority } from '#hub/security/mod.ts'
import { CREDIT_BYTES_FIRST, CreditPool, Dispatcher, hubSessionFault, RollbackGuard } from '#hub/session/mod.ts'
import type { Disk } from '#hub/store/disk.ts'
import {
  Admin,
  ContentStore,
  HubStore,
  inboxOf,
  markRestored,
  OWNER_HUB,
  policyOf,
  QUEUE_DEAD,
  QUEUE_UNROUTED,
  type QueuePolicy,
} from '#hub/store/mod.ts'
import type { Segments } from '#hub/store/segments.ts'
import { HubMeters } from '#hub/telemetry/mod.ts'
import { Contents } from '#hub/transfer/mod.ts'
import { asFault } from '#protocol/base/mod.ts'
import { BATCH_MESSAGES_MAX, HEADERS_BYTES_MAX } from '#protocol/codec/mod.ts'
import { signingKey } from '#protocol/crypto/mod.ts'
import { BATCH_FRAME_BYTES_MAX, BODY_BYTES_MAX } from '#protocol/frame/mod.ts'
import { sessionFault } from '#protocol/session/mod.ts'
import { outside, Process, START_MS, type World } from './clock.ts'
import type { End, Network } from './network.ts'

const MIB = 1024 * 1024
const KEEPALIVE_MS = 5000
const HANDSHAKE_MS_MAX = 10_000
const TICK_MS = 1000
const CONTENT_KEEP_MS = 3_600_000

export type SimQueue = {
  readonly name: string
  readonly topics: readonly string[]
  readonly policy?: Partial<QueuePolicy>
}

export type SimHubOptions = {
  readonly world: World
  readonly network: Network
  readonly authority: Authority
  readonly dataDir: string
  readonly queues: readonly SimQueue[]
  /** Batches kept in memory; with 0 every delivery reads the disk. */
  readonly cacheBytes?: number
  /** It takes large content, too. */
  readonly contents?: boolean
}

/** The parts of a store that a process that dies leaves to the system to close. */
type StoreInside = { engine: { disk: Disk; segments: Segments; unlock(): void; closing: boolean } }

/** What runs between a start and an end. */
export type Running = {
  readonly process: Process
  readonly store: HubStore
  readonly dispatcher: Dispatcher
  readonly admin: Admin
  readonly connections: Set<Connection>
  readonly contents: Contents | null
}

export class SimHub {
  running: Running | null = null
  /** Starts so far, and what each was: for judging what may be lost. */
  starts = 0
  readonly restores: { readonly copiedAtMs: number; readonly atMs: number }[] = []
  /** What agents were told when they were refused or cut off. */
  readonly refusals = new Map<string, number>()
  private readonly options: SimHubOptions
  private copiedAtMs = 0

  constructor(options: SimHubOptions) {
    this.options = options
    mkdirSync(options.dataDir, { recursive: true })
  }

  /** Resolves when it listens. Run the world meanwhile. */
  start(): Promise<void> {
    const { world } = this.options
    const process = new Process('hub')
    this.starts++
    world.log(`hub starts (${this.starts})`)
    return world.within(process, () => this.run(process))
  }

  /** Ends it in order. */
  async stop(): Promise<void> {
    const { running } = this
    const { world } = this.options
    if (running === null) return
    this.running = null
    world.log('hub stops')
    await world.within(running.process, async () => {
      for (const connection of running.connections) {
        connection.close(sessionFault('SESSION_CLOSED_BY_PEER', { why: 'the hub stops' }))
      }
      await running.contents?.close()
      await running.store.close()
    })
    world.kill(running.process)
    this.options.network.hubGone('told')
  }

  /** Ends it as a kill does: what was not on the disk is lost, what it meant to do is not done. */
  async kill(agents: 'told' | 'silent' = 'told'): Promise<void> {
    const { running } = this
    const { world, network } = this.options
    if (running === null) return
    this.running = null
    world.log('hub is killed')
    world.kill(running.process)
    network.hubGone(agents)
    const stores = running.contents === null ? [running.store] : [running.store, running.contents.store]
    await outside(async () => {
      for (const store of stores) {
        const { engine } = store as unknown as StoreInside
        await engine.disk.close()
        engine.segments.files.closeAll()
        engine.unlock()
      }
    })
  }

  /** Keeps a copy of what is on the disk now. */
  copy(): void {
    const { world } = this.options
    world.log('hub: its folder is copied')
    this.copiedAtMs = world.nowMs
    rmSync(this.copyPath, { recursive: true, force: true })
    cpSync(this.storePath, this.copyPath, { recursive: true, filter: (path) => !path.endsWith('owner.lock') })
  }

  get hasCopy(): boolean {
    return existsSync(this.copyPath)
  }

  /** As causeway-hub store restored does, while the hub does not run; given again when the disk fails. */
  async markRestored(): Promise<void> {
    const { dataDir, world } = this.options
    for (;;) {
      const marked = world.within(new Process('operator'), () => markRestored(dataDir))
      const failed = await world.outcome(
        marked.then(
          () => false,
          (error: unknown) => {
            if (asFault(error).code !== 'STORE_IO') throw error
            return true
          },
        ),
        'store restored',
      )
      world.log(`hub: its folder is ${failed ? 'not ' : ''}marked as restored`)
      if (!failed) return
    }
  }

  /** Puts the copy in the place of the folder, while the hub does not run. */
  restore(): void {
    const { world } = this.options
    world.log(`hub: its folder is put back to that of ${this.copiedAtMs} ms`)
    this.restores.push({ copiedAtMs: this.copiedAtMs, atMs: world.nowMs })
    rmSync(this.storePath, { recursive: true })
    cpSync(this.copyPath, this.storePath, { recursive: true })
  }

  private get storePath(): string {
    return join(this.options.dataDir, 'store')
  }

  private get copyPath(): string {
    return join(this.options.dataDir, 'copy')
  }

  private async run(process: Process): Promise<void> {
    const { authority, dataDir, network, queues, world, cacheBytes = MIB } = this.options
    const store = await HubStore.open({
      dataDir,
      mapBytesMax: 64 * MIB,
      cacheBytes,
      onFault: (fault) => world.log(`hub: store ${fault.code}`),
    })
    const contents = this.options.contents === true ? this.openContents(store) : null
    const router = new Router()
    const route = (...[batch, unrouted]: Parameters<Router['route']>) => router.route(batch, unrouted)
    store.queues.onChanged = () => router.stale(() => store.queues.all())
    const dead = policyOf({ onFull: 'drop-oldest', onExpire: 'drop' })
    for (const name of [QUEUE_DEAD, QUEUE_UNROUTED]) store.queues.own(name, OWNER_HUB, NO_RULE, dead)
    for (const { name, topics, policy = {} } of queues) {
      const rule = { topics, where: {} }
      await store.queues.declare({ name, rule, owner: null, ephemeral: false, policy: policyOf(policy) })
    }
    const lookForAgents = () => makeInboxes(store, authority, dead)
    lookForAgents()
    store.queues.onChanged()
    const dispatcher = new Dispatcher()
    const connections = new Set<Connection>()
    const admin = new Admin({
      store,
      consumersOf: (queue) => dispatcher.consumersOf(queue),
      abandon: (queue) => {
        for (const consumer of dispatcher.consumers(queue)) consumer.fail(hubSessionFault('QUEUE_CHANGED'))
      },
      route: (batch) => route(batch, store.unrouted).placements,
    })
    const rollback = new RollbackGuard({
      store,
      log: (_level, message) => world.log(`hub: ${message}`),
      closeAll: (fault) => {
        for (const connection of connections) connection.close(fault)
      },
    })
    const context = this.context({ store, route, dispatcher, connections, rollback, lookForAgents }, contents)
    network.listen(process, (stream: End, agent) => {
      const accepted = { stream, remote: agent, transport: 'tcp', channelBinding: null, requireBinding: false } as const
      connections.add(new Connection(accepted, context))
    })
    setInterval(() => {
      for (const connection of connections) connection.tick(world.nowMs)
    }, TICK_MS)
    this.running = { process, store, dispatcher, admin, connections, contents }
    world.log('hub listens')
  }

  private openContents(store: HubStore): Contents {
    const { dataDir, world } = this.options
    const onFault = ({ code }: { code: string }) => world.log(`hub: contents ${code}`)
    return new Contents({
      store: ContentStore.open({ folder: join(dataDir, 'contents'), bytesMax: 64 * MIB, onFault }),
      holds: (id) => store.contentHolds.count(id),
      keepMs: CONTENT_KEEP_MS,
      nowMs: () => Math.floor(START_MS + world.nowMs),
      onFault,
    })
  }

  private context(
    parts: {
      store: HubStore
      route: (...args: Parameters<Router['route']>) => ReturnType<Router['route']>
      dispatcher: Dispatcher
      connections: Set<Connection>
      rollback: RollbackGuard
      lookForAgents: () => void
    },
    contents: Contents | null,
  ): ConstructorParameters<typeof Connection>[1] {
    const { authority, world } = this.options
    const { connections, ...session } = parts
    const meters = new HubMeters()
    const log = (_level: string, message: string, details: Readonly<Record<string, unknown>>) => {
      const { agent, fault } = details as { agent?: string; fault?: { code: string } }
      world.log(`hub: ${message} ${agent ?? ''} ${fault?.code ?? ''}`.trimEnd())
    }
    const identity = {
      name: authority.hubName,
      key: signingKey(authority.hubKey),
      certificate: authority.hubCertificate,
    }
    return {
      authority,
      session: {
        ...session,
        identity,
        credit: new CreditPool(),
        tally: (agent) => meters.agent(agent),
        log,
        get contents(): Contents {
          if (contents === null) throw new Error('this hub takes no large content')
          return contents
        },
        contentKnown: (id) => contents?.isKnown(id) ?? false,
      },
      limits: {
        frameBytesMax: BATCH_FRAME_BYTES_MAX,
        batchBytesMax: BATCH_FRAME_BYTES_MAX,
        bodyBytesMax: BODY_BYTES_MAX,
        batchMessagesMax: BATCH_MESSAGES_MAX,
        headersBytesMax: HEADERS_BYTES_MAX,
        creditBytesMax: CREDIT_BYTES_FIRST,
        streamsMax: 256,
        subscriptionsMax: 256,
      },
      keepaliveMs: KEEPALIVE_MS,
      handshakeMsMax: HANDSHAKE_MS_MAX,
      software: 'simulation/1',
      nowMs: () => world.nowMs,
      wallMs: () => Math.floor(START_MS + world.nowMs),
      // As the listener does: of two with one identity the newer one stays.
      onSession: (newer) => {
        for (const older of connections) {
          if (older !== newer && older.agent === newer.agent) older.close(hubSessionFault('IDENTITY_TAKEN_OVER'))
        }
      },
      onClosed: (connection, fault) => {
        connections.delete(connection)
        const code = String(fault.details.peerCode ?? fault.code)
        this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1)
        log('info', 'session ended', { agent: connection.agent ?? undefined, fault: { code } })
      },
      log,
    }
  }
}

const NO_RULE = { topics: [], where: {} }

function makeInboxes(store: HubStore, authority: Authority, policy: QueuePolicy): void {
  for (const { name, groups } of authority.agents.list()) {
    const topics = [`to/${name}/#`, 'all/#', ...groups.map((group) => `group/${group}/#`)]
    store.queues.own(inboxOf(name), name, { topics, where: {} }, policy)
  }
}
