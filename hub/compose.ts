// The only file that names every subsystem: builds a running hub from its data folder, and takes it down again.

import { join } from 'node:path'
import type { HubConfig } from '#hub/config/mod.ts'
import { Listener } from '#hub/listener/mod.ts'
import { ManagementServer } from '#hub/management/mod.ts'
import { Router } from '#hub/router/mod.ts'
import { openAuthority } from '#hub/security/mod.ts'
import { Dispatcher } from '#hub/session/mod.ts'
import { HubStore } from '#hub/store/mod.ts'
import { type HubStatus, type Log, Metrics } from '#hub/telemetry/mod.ts'
import { systemClock } from '#protocol/base/mod.ts'
import { BATCH_MESSAGES_MAX, HEADERS_BYTES_MAX } from '#protocol/codec/mod.ts'
import { signingKey } from '#protocol/crypto/mod.ts'
import { BATCH_FRAME_BYTES_MAX, BODY_BYTES_MAX } from '#protocol/frame/mod.ts'

export const SOFTWARE = 'causeway-hub/0.1.0'

/** What one connection may have under way before it is on disk: bounds the hub's memory together with sessionsMax. */
const CREDIT_BYTES_MAX = 8 * 1024 * 1024
const STREAMS_MAX = 256
const SUBSCRIPTIONS_MAX = 256

export type Hub = {
  readonly tcpPort: number
  readonly websocketPort: number | null
  readonly managementPort: number
  status(): HubStatus
  /** Ends sessions, writes what waits, closes the store. */
  stop(): Promise<void>
}

/** Faults: those of security, store, listener and management. What was started before a fault is taken down again. */
export async function startHub(options: { dataDir: string; config: HubConfig; log: Log }): Promise<Hub> {
  const { dataDir, config, log } = options
  const startedAtMs = systemClock.wallMs()
  const authority = openAuthority(join(dataDir, 'security'))
  const store = await HubStore.open({
    dataDir,
    ...config.store,
    onFault: (fault) => log('error', 'store', { fault: fault.toJSON() }),
  })
  await using undo = new AsyncDisposableStack()
  undo.defer(() => store.close())
  const router = new Router()
  store.onQueuesChanged = () => router.compile(store.allQueues())
  for (const { name, topics, where } of config.queues) {
    await store.declareQueue({ name, rule: { topics, where }, owner: null, ephemeral: false })
  }
  router.compile(store.allQueues())
  const dispatcher = new Dispatcher()
  const identity = {
    name: authority.hubName,
    key: signingKey(authority.hubKey),
    certificate: authority.hubCertificate,
  }
  const listener = new Listener({
    tcp: config.listen.tcp,
    websocket: config.listen.websocket.enabled ? config.listen.websocket : null,
    sessionsMax: config.limits.sessionsMax,
    context: {
      authority,
      session: { store, route: (batch, unrouted) => router.route(batch, unrouted), dispatcher, identity, log },
      limits: {
        frameBytesMax: BATCH_FRAME_BYTES_MAX,
        batchBytesMax: BATCH_FRAME_BYTES_MAX,
        bodyBytesMax: BODY_BYTES_MAX,
        batchMessagesMax: BATCH_MESSAGES_MAX,
        headersBytesMax: HEADERS_BYTES_MAX,
        creditBytesMax: CREDIT_BYTES_MAX,
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
  const status = statusOf({ config, store, listener, dispatcher, startedAtMs, ports })
  const management = new ManagementServer({ dataDir, status, metrics: new Metrics(status) })
  undo.defer(() => management.stop())
  const managementPort = await management.start(config.management.host, config.management.port)
  const resources = undo.move()
  log('info', 'hub started', {
    ...ports,
    managementPort,
    hub: authority.hubName,
    storeId: store.storeId.toString('hex'),
  })
  return { ...ports, managementPort, status, stop: () => resources.disposeAsync() }
}

function statusOf(parts: {
  config: HubConfig
  store: HubStore
  listener: Listener
  dispatcher: Dispatcher
  startedAtMs: number
  ports: { tcpPort: number; websocketPort: number | null }
}): () => HubStatus {
  const { config, store, listener, dispatcher, startedAtMs, ports } = parts
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
      queues: [...store.allQueues()].map((queue) => ({
        name: queue.info.name,
        topics: queue.info.rule.topics,
        depth: queue.depth,
        inFlight: queue.inFlight,
        consumers: dispatcher.consumersOf(queue),
        tail: queue.tail,
      })),
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
    }
  }
}
