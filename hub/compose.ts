// The only file that names every subsystem: builds a running hub from its data folder, and takes it down again.

import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { HttpServer } from '#hub/api/mod.ts'
import { deadLettersPolicy, type HubConfig, inboxPolicy, queuePolicy } from '#hub/config/mod.ts'
import { Listener } from '#hub/listener/mod.ts'
import { ManagementServer, type RoutesOperator } from '#hub/management/mod.ts'
import { Router, Routes, RulesRefused } from '#hub/router/mod.ts'
import { type Authority, browserIdentity, type Links, openAuthority, openLinks } from '#hub/security/mod.ts'
import {
  CREDIT_BYTES_FIRST,
  CreditPool,
  Dispatcher,
  hubSessionFault,
  OwnMessages,
  RollbackGuard,
  type Route,
} from '#hub/session/mod.ts'
import {
  Admin,
  ContentStore,
  HubStore,
  inboxOf,
  messagesReferringTo,
  OWNER_HUB,
  policyOf,
  QUEUE_DEAD,
  QUEUE_ROUTING,
  QUEUE_UNROUTED,
  type Queue,
  receiptsOf,
  type StoreOptions,
} from '#hub/store/mod.ts'
import { HubMeters, type HubStatus, type Log, Metrics } from '#hub/telemetry/mod.ts'
import { Contents, ContentsAdmin } from '#hub/transfer/mod.ts'
import { Documents } from '#hub/transform/mod.ts'
import { type Fault, systemClock } from '#protocol/base/mod.ts'
import { BATCH_MESSAGES_MAX, HEADERS_BYTES_MAX } from '#protocol/codec/mod.ts'
import { signingKey } from '#protocol/crypto/mod.ts'
import { BATCH_FRAME_BYTES_MAX, BODY_BYTES_MAX } from '#protocol/frame/mod.ts'
import { PARTITIONS_MAX } from '#protocol/session/mod.ts'

export const SOFTWARE = 'causeway-hub/0.1.0'

const STREAMS_MAX = 256
/** How often the agents' folder is looked at. */
const FOLLOW_MS = 1000
const NO_RULE = { topics: [], where: {} }
const SUBSCRIPTIONS_MAX = 256

export type Hub = {
  readonly tcpPort: number
  readonly websocketPort: number | null
  readonly httpPort: number | null
  readonly managementPort: number
  status(): HubStatus
  /** Ends sessions, writes what waits, closes the store. */
  stop(): Promise<void>
}

/** Faults: those of security, store, listener and management. What was started before a fault is taken down again. */
export async function startHub(options: {
  dataDir: string
  config: HubConfig
  log: Log
  /** Told of each step of the store on its way to the disk: for tests that end the process there. */
  onStep?: StoreOptions['onStep']
}): Promise<Hub> {
  const { dataDir, config, log, onStep } = options
  const startedAtMs = systemClock.wallMs()
  const authority = openAuthority(join(dataDir, 'security'))
  const store = await HubStore.open({
    dataDir,
    ...config.store,
    traceKeepMs: config.trace.keepMs,
    traceBytesMax: config.trace.bytesMax,
    receiptsBytesMax: config.receipts.bytesMax,
    onFault: (fault) => log('error', 'store', { fault: fault.toJSON() }),
    onStep,
  })
  await using undo = new AsyncDisposableStack()
  undo.defer(() => store.close())
  const contents = new Contents({
    store: ContentStore.open({
      folder: join(dataDir, 'contents'),
      bytesMax: config.contents.bytesMax,
      freeBytesMin: config.store.freeBytesMin,
      onFault: (fault) => log('error', 'contents', { fault: fault.toJSON() }),
    }),
    holds: (id) => store.contentHolds.count(id),
    keepMs: config.contents.keepMs,
    share: config.contents.share,
    nowMs: () => systemClock.wallMs(),
    onFault: (fault) => log('error', 'contents', { fault: fault.toJSON() }),
  })
  undo.defer(() => contents.close())
  // From now on, and not from when it came, it is kept without being referred to.
  store.contentHolds.onFreed = (id) => contents.store.touch(id, systemClock.wallMs())
  const router = new Router()
  const route: Route = (batch, unrouted) => router.route(batch, unrouted)
  store.queues.onChanged = () => router.stale(() => store.queues.all())
  for (const name of [QUEUE_DEAD, QUEUE_UNROUTED]) {
    store.queues.own(name, OWNER_HUB, NO_RULE, policyOf(deadLettersPolicy(config)))
  }
  for (const queue of config.queues) {
    const { name, topics, where } = queue
    await store.queues.declare({
      name,
      rule: { topics, where },
      owner: null,
      ephemeral: false,
      policy: policyOf(queuePolicy(queue)),
    })
  }
  store.queues.onChanged()
  const own = { name: authority.hubName, key: signingKey(authority.hubKey) }
  const routes = await Routes.open({
    dataDir,
    store,
    router,
    queue: store.queues.own(
      QUEUE_ROUTING,
      OWNER_HUB,
      NO_RULE,
      policyOf({ order: 'stream', partitions: PARTITIONS_MAX }),
    ),
    identity: own,
    documents: new Documents({
      contents,
      identity: own,
      bytesMax: config.routing.documentsBytesMax,
      stallMs: config.routing.stallMs,
      nowMs: () => systemClock.wallMs(),
    }),
    limits: {
      threads: config.routing.threads === 0 ? Math.max(1, availableParallelism() - 1) : config.routing.threads,
      timeMs: config.routing.timeMs,
      memoryBytes: config.routing.memoryBytes,
    },
    clock: systemClock,
    log,
  })
  undo.defer(() => routes.close())
  const meters = new HubMeters()
  store.endings.onSettled = ({ info }, count, afterMs, attempt) => {
    meters.settleMs(info.name, info.ephemeral).observe(afterMs, count)
    meters.attempts.observe(attempt, count)
  }
  store.onGroup = ({ ms, works, bytes }) => {
    meters.commitMs.observe(ms)
    meters.groupWorks.observe(works)
    meters.groupBytes.observe(bytes)
  }
  const dispatcher = new Dispatcher()
  const identity = {
    name: authority.hubName,
    key: signingKey(authority.hubKey),
    certificate: authority.hubCertificate,
  }
  const inboxes = undo.use(keepInboxes({ authority, config, store, log }))
  const rollback = new RollbackGuard({
    store,
    log,
    closeAll: (fault) => {
      for (const connection of listener.connections) connection.close(fault)
    },
  })
  const listener: Listener = new Listener({
    tcp: config.listen.tcp,
    websocket: config.listen.websocket.enabled ? config.listen.websocket : null,
    sessionsMax: config.limits.sessionsMax,
    context: {
      authority,
      session: {
        store,
        route,
        dispatcher,
        identity,
        credit: new CreditPool(),
        contents,
        contentKnown: (id) => contents.isKnown(id),
        rollback,
        tally: (agent) => meters.agent(agent),
        lookForAgents: () => inboxes.look(),
        log,
      },
      limits: {
        frameBytesMax: BATCH_FRAME_BYTES_MAX,
        batchBytesMax: BATCH_FRAME_BYTES_MAX,
        bodyBytesMax: BODY_BYTES_MAX,
        batchMessagesMax: BATCH_MESSAGES_MAX,
        headersBytesMax: HEADERS_BYTES_MAX,
        creditBytesMax: CREDIT_BYTES_FIRST,
        streamsMax: STREAMS_MAX,
        subscriptionsMax: SUBSCRIPTIONS_MAX,
      },
      keepaliveMs: config.limits.keepaliveMs,
      handshakeMsMax: config.limits.handshakeMs,
      software: SOFTWARE,
      log,
    },
  })
  undo.defer(() => listener.stop())
  const ports = await listener.start()
  const links = openLinks(join(dataDir, 'security'))
  const http = config.listen.http.enabled
    ? new HttpServer({
        settings: config.listen.http,
        dataDir,
        tls: authority.tls,
        browser: browserIdentity(join(dataDir, 'security'), { hubName: identity.name, hub: authority.hubCertificate }),
        links,
        contents,
        messages: new OwnMessages({ store, route, identity }),
        identity,
        keepMs: config.contents.keepMs,
        clock: systemClock,
        log,
      })
    : null
  undo.defer(() => http?.stop())
  const httpPort = (await http?.start()) ?? null
  const abandon = (queue: Queue) => {
    for (const consumer of dispatcher.consumers(queue)) {
      consumer.fail(hubSessionFault('QUEUE_CHANGED', { where: `queue ${queue.info.name}` }))
    }
  }
  const admin = new Admin({
    store,
    consumersOf: (queue) => dispatcher.consumersOf(queue),
    abandon,
    route: (batch, backNote) => router.routeAgain(batch, store.unrouted, backNote),
    remark: (backNote) => routes.remark(backNote),
  })
  const contentsAdmin = new ContentsAdmin({
    contents,
    holds: (id) => store.contentHolds.count(id),
    messages: (id, max) => messagesReferringTo(store, id, max),
  })
  const status = statusOf({ config, store, contents, admin, listener, http, links, startedAtMs, ports })
  const management = new ManagementServer({
    dataDir,
    status,
    metrics: new Metrics(status, { meters }),
    operators: { queues: admin, contents: contentsAdmin, routes: routesOperator(routes) },
    log,
  })
  undo.defer(() => management.stop())
  const managementPort = await management.start(config.management.host, config.management.port)
  const resources = undo.move()
  log('info', 'hub started', {
    ...ports,
    httpPort,
    managementPort,
    hub: authority.hubName,
    storeId: store.storeId.toString('hex'),
  })
  return { ...ports, httpPort, managementPort, status, stop: () => resources.disposeAsync() }
}

/** What is wrong with rules is an answer, not a failure. */
function routesOperator(routes: Routes): RoutesOperator {
  const refusing = async <T>(work: Promise<T>): Promise<T | { refused: readonly Fault[] }> => {
    try {
      return await work
    } catch (error) {
      if (error instanceof RulesRefused) return { refused: error.faults }
      throw error
    }
  }
  return {
    view: () => routes.view,
    deploy: (deployment) => refusing(routes.deploy(deployment)),
    rollback: (version, about) => refusing(routes.rollback(version, about)),
    forget: (version) => routes.forget(version),
    explain: (sample, only) => routes.explain(sample, only),
  }
}

/**
 * Every agent has an inbox, for what is addressed to it, to a group of its or to all, from the moment it is enrolled:
 * looked at now and every second, since other processes enrol, regroup and revoke.
 */
function keepInboxes(parts: {
  authority: Authority
  config: HubConfig
  store: HubStore
  log: Log
}): Disposable & { look(): void } {
  const { authority, config, store, log } = parts
  const policy = policyOf(inboxPolicy(config))
  const poll = authority.agents.follow(
    ({ name, groups, revokedAtMs }) => {
      if (revokedAtMs === null) {
        const topics = [`to/${name}/#`, 'all/#', ...groups.map((group) => `group/${group}/#`)]
        store.queues.own(inboxOf(name), name, { topics, where: {} }, policy)
      } else {
        for (const own of [inboxOf(name), receiptsOf(name)].map((queue) => store.queues.get(queue))) {
          if (own !== undefined) void store.queues.forget(own)
        }
      }
    },
    (fault) => log('warn', 'agents not read', { fault: fault.toJSON() }),
  )
  const timer = setInterval(poll, FOLLOW_MS)
  timer.unref()
  return { look: poll, [Symbol.dispose]: () => clearInterval(timer) }
}

function statusOf(parts: {
  config: HubConfig
  store: HubStore
  contents: Contents
  admin: Admin
  listener: Listener
  http: HttpServer | null
  links: Links
  startedAtMs: number
  ports: { tcpPort: number; websocketPort: number | null }
}): () => HubStatus {
  const { config, store, contents, admin, listener, http, links, startedAtMs, ports } = parts
  const { tcp, websocket } = config.listen
  return () => {
    const connections = [...listener.connections]
    return {
      name: config.name,
      storeId: store.storeId.toString('hex'),
      processId: process.pid,
      startedAtMs,
      rssBytes: process.memoryUsage.rss(),
      listen: {
        tcp: `${tcp.host}:${ports.tcpPort}`,
        websocket: ports.websocketPort === null ? null : `${websocket.host}:${ports.websocketPort}`,
      },
      sessions: connections.flatMap(({ session, remote, transport, sinceMs, bytesIn, bytesOut }) =>
        session === null
          ? []
          : [
              {
                agent: session.agent.name,
                remote,
                transport,
                sinceMs,
                bytesIn,
                bytesOut,
                consumers: session.consumerCount,
              },
            ],
      ),
      queues: admin.queues(),
      messages: {
        accepted: store.appendedMessages,
        duplicate: store.duplicateMessages,
        settled: store.settledMessages,
      },
      wire: {
        bytesIn: connections.reduce((sum, { bytesIn }) => sum + bytesIn, listener.closedBytesIn),
        bytesOut: connections.reduce((sum, { bytesOut }) => sum + bytesOut, listener.closedBytesOut),
      },
      store: store.usage(),
      contents: contentsIn(contents),
      http: http?.status ?? null,
      links: links.goodCount(systemClock.wallMs()),
    }
  }
}

function contentsIn({ store, moving, receivedBytes, sentBytes }: Contents): HubStatus['contents'] {
  const { contents, bytes, bytesMax, lostChunks } = store.usage()
  return { contents, bytes, bytesMax, lostChunks, uploads: moving.in, downloads: moving.out, receivedBytes, sentBytes }
}
