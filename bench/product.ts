// Our own side of a comparison: producer → hub (flushed before the acknowledgement) → consumer that settles each message.
// Routing, deduplication, settlement and batch signatures are on; TLS and compression are off, as with the peers, unless
// they are asked for.

import { startRole } from './children.ts'
import { type Flow, measureFlow, type Times } from './flow.ts'
import { BATCH_BYTES, DELIVERY_CREDIT_BYTES, WINDOW_BYTES } from './sizes.ts'
import { rssBytesMax, Stage } from './stage.ts'

export const productConditions = {
  processes: 'producer, hub, consumer; loopback TCP',
  fsync: 'before every acknowledgement (group commit)',
  batch: `${BATCH_BYTES} bytes`,
  window: `${WINDOW_BYTES} bytes unacknowledged`,
  signatures: 'Ed25519 per batch, verified by hub and consumer',
} as const

export type ProductFlow = Flow & {
  readonly hubRssBytes: number
  readonly flushesPerSecond: number
  /** Received by the hub, per message: batches, and a little of handshakes and settlements. */
  readonly wireBytes: number
}

export type ProductSettings = {
  readonly tls?: boolean
  readonly compression?: 'none' | 'zstd'
  readonly proof?: 'batch' | 'message'
  /** One repeated byte, or rows with varied values. */
  readonly bodies?: 'filler' | 'records'
  /** Where producer and consumer write a CPU profile; the hub's is PROFILE's business. */
  readonly profileDir?: string
}

export async function measureProduct(
  bodyBytes: number,
  times: Times,
  settings: ProductSettings = {},
): Promise<ProductFlow> {
  const { tls = false, compression = 'none', proof = 'batch', bodies = 'filler', profileDir } = settings
  const flags = profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`]
  const stage = new Stage()
  try {
    const server = await stage.startHub({ queues: [{ name: 'work', topics: ['bench/#'] }], tls })
    const producerIdentity = await stage.enroll('producer', tls)
    const consumerIdentity = await stage.enroll('consumer', tls)
    const consumer = { identity: consumerIdentity, queue: 'work', creditBytes: DELIVERY_CREDIT_BYTES }
    const producer = {
      identity: producerIdentity,
      topic: 'bench/x',
      batchBytes: BATCH_BYTES,
      windowBytes: WINDOW_BYTES,
      bodyBytes,
      compression,
      proof,
      bodies,
    }
    const groups = async () => (await stage.status()).store.groups
    let groupsStart = 0
    let groupsEnd = 0
    let hubRssBytes = 0
    const flow = await measureFlow({
      server,
      startConsumer: () => startRole('consumer', consumer, flags),
      startProducer: () => startRole('producer', producer, flags),
      times,
      gently: profileDir !== undefined,
      atStart: async () => {
        groupsStart = await groups()
      },
      atEnd: async () => {
        groupsEnd = await groups()
        hubRssBytes = rssBytesMax(stage.hubPid)
      },
    })
    // Nothing is under way any more: what was received is what was accepted.
    const { wire, messages } = await stage.status()
    return {
      ...flow,
      hubRssBytes,
      flushesPerSecond: ((groupsEnd - groupsStart) * 1000) / times.measuredMs,
      wireBytes: wire.bytesIn / Math.max(1, messages.accepted),
    }
  } finally {
    await stage.end()
  }
}

/** What is shown of our measurements at one size: the mean of them. */
export function productMeasures(bodyBytes: number, flows: readonly ProductFlow[]): Record<string, number> {
  const mean = (of: (flow: ProductFlow) => number) => flows.reduce((sum, flow) => sum + of(flow), 0) / flows.length
  const perSecond = mean((flow) => flow.perSecond)
  return {
    [rateName(bodyBytes)]: perSecond,
    [`MB/s at ${bodyBytes} B`]: (perSecond * bodyBytes) / 1e6,
    [`cores of producer, ${bodyBytes} B`]: mean((flow) => flow.cores.producer),
    [`cores of hub, ${bodyBytes} B`]: mean((flow) => flow.cores.server),
    [`cores of consumer, ${bodyBytes} B`]: mean((flow) => flow.cores.consumer),
    [`peak memory of hub in MB, ${bodyBytes} B`]: Math.max(...flows.map((flow) => flow.hubRssBytes)) / 1e6,
    [`flushes/s at ${bodyBytes} B`]: mean((flow) => flow.flushesPerSecond),
  }
}

export const rateName = (bodyBytes: number): string => `msg/s at ${bodyBytes} B`
