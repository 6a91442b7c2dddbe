// Our own side of a comparison: producer → hub (flushed before the acknowledgement) → consumer that settles each message.
// Routing, deduplication, settlement and batch signatures are on; TLS and compression are off, as with the peers.

import { startRole } from './children.ts'
import { type Flow, measureFlow, type Times } from './flow.ts'
import { rssBytesMax, Stage } from './stage.ts'

export const BATCH_BYTES = 256 * 1024
export const WINDOW_BYTES = 8 * 1024 * 1024

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
}

export async function measureProduct(bodyBytes: number, times: Times): Promise<ProductFlow> {
  const stage = new Stage()
  try {
    const server = await stage.startHub({ queues: [{ name: 'work', topics: ['bench/#'] }], tls: false })
    const producerIdentity = await stage.enroll('producer', false)
    const consumerIdentity = await stage.enroll('consumer', false)
    const groups = async () => (await stage.status()).store.groups
    let groupsStart = 0
    let groupsEnd = 0
    let hubRssBytes = 0
    const flow = await measureFlow({
      server,
      startConsumer: () => startRole('consumer', { identity: consumerIdentity, queue: 'work' }),
      startProducer: () =>
        startRole('producer', {
          identity: producerIdentity,
          topic: 'bench/x',
          bodyBytes,
          batchBytes: BATCH_BYTES,
          windowBytes: WINDOW_BYTES,
          compression: 'none',
          proof: 'batch',
        }),
      times,
      atStart: async () => {
        groupsStart = await groups()
      },
      atEnd: async () => {
        groupsEnd = await groups()
        hubRssBytes = rssBytesMax(stage.hubPid)
      },
    })
    return { ...flow, hubRssBytes, flushesPerSecond: ((groupsEnd - groupsStart) * 1000) / times.measuredMs }
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
