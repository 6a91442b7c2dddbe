// Producer → hub (fsync before the acknowledgement) → consumer that settles each message, in three processes over loopback TCP.
// Routing, deduplication, settlement and batch signatures are on; TLS and compression are off, as with the peers.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { ScenarioResult } from '../report.ts'
import { cpuSeconds, rssBytesMax, Stage } from '../stage.ts'

const SIZES = (process.env.SIZES ?? '256,1024,10240').split(',').map(Number)
const WARM_UP_MS = 2000
const MEASURED_MS = Number(process.env.SECONDS ?? 6) * 1000
const BATCH_BYTES = 256 * 1024
const WINDOW_BYTES = 8 * 1024 * 1024
/** The first figure; the ratios over the peers come with their benchmark. */
const WANTED_256 = 300_000

type Sample = { received: number; outOfOrder: number; atMs: number; cpu: NodeJS.CpuUsage }

export async function durableE2e(say: (text: string) => void): Promise<ScenarioResult> {
  const ours: Record<string, number> = {}
  const notes = ['peers (Redis Streams, NATS JetStream, RabbitMQ, Mosquitto) are not measured yet']
  for (const bodyBytes of SIZES) {
    say(`durable-e2e: ${bodyBytes} B …`)
    const measured = await measure(bodyBytes)
    ours[`msg/s at ${bodyBytes} B`] = measured.perSecond
    ours[`MB/s at ${bodyBytes} B`] = (measured.perSecond * bodyBytes) / 1e6
    ours[`cores of producer, ${bodyBytes} B`] = measured.cores.producer
    ours[`cores of hub, ${bodyBytes} B`] = measured.cores.hub
    ours[`cores of consumer, ${bodyBytes} B`] = measured.cores.consumer
    ours[`peak memory of hub in MB, ${bodyBytes} B`] = measured.hubRssBytes / 1e6
    ours[`flushes/s at ${bodyBytes} B`] = measured.flushesPerSecond
    if (measured.lost !== 0 || measured.outOfOrder !== 0) {
      notes.push(`${bodyBytes} B: ${measured.lost} lost, ${measured.outOfOrder} out of order`)
    }
  }
  const got = ours['msg/s at 256 B'] ?? 0
  return {
    scenario: 'durable-e2e',
    unit: 'msg/s',
    params: {
      processes: 'producer, hub, consumer',
      fsync: 'before every acknowledgement (group commit)',
      batch: `${BATCH_BYTES} bytes`,
      window: `${WINDOW_BYTES} bytes unacknowledged`,
      signatures: 'Ed25519 per batch, verified by hub and consumer',
      measured: `${MEASURED_MS / 1000} s after ${WARM_UP_MS / 1000} s`,
    },
    ours,
    peers: {},
    targets: [
      { name: 'first-figure-256', want: `>= ${WANTED_256}`, got, ok: got >= WANTED_256 },
      { name: 'ratio-256', want: '>= 8', got: null, ok: null },
      { name: 'ratio-1024', want: '>= 4', got: null, ok: null },
    ],
    notes,
  }
}

async function measure(bodyBytes: number) {
  const stage = new Stage()
  try {
    await stage.startHub({ queues: [{ name: 'work', topics: ['bench/#'] }], tls: false })
    const producerIdentity = await stage.enroll('producer', false)
    const consumerIdentity = await stage.enroll('consumer', false)
    const consumer = stage.role('consumer', { identity: consumerIdentity, queue: 'work' })
    let latest = await firstSample(consumer)
    consumer.on('message', (sample) => {
      latest = sample as Sample
    })
    const producer = stage.role('producer', {
      identity: producerIdentity,
      topic: 'bench/x',
      bodyBytes,
      batchBytes: BATCH_BYTES,
      windowBytes: WINDOW_BYTES,
      compression: 'none',
      proof: 'batch',
    })
    await elapsed(WARM_UP_MS)
    const start = latest
    const pids = { producer: producer.pid as number, hub: stage.hubPid, consumer: consumer.pid as number }
    const cpuStart = cpuOf(pids)
    const groupsStart = (await stage.status()).store.groups
    await elapsed(MEASURED_MS)
    const end = latest
    const seconds = (end.atMs - start.atMs) / 1000
    const cpuEnd = cpuOf(pids)
    const cores = {
      producer: (cpuEnd.producer - cpuStart.producer) / seconds,
      hub: (cpuEnd.hub - cpuStart.hub) / seconds,
      consumer: (cpuEnd.consumer - cpuStart.consumer) / seconds,
    }
    const groups = (await stage.status()).store.groups - groupsStart
    const hubRssBytes = rssBytesMax(stage.hubPid)
    const stopped = once(producer, 'message') as Promise<[{ sent: number }]>
    producer.send('stop')
    const [{ sent }] = await stopped
    for (let waits = 0; latest.received < sent && waits < 40; waits++) await elapsed(250)
    return {
      perSecond: (end.received - start.received) / seconds,
      cores,
      hubRssBytes,
      flushesPerSecond: groups / seconds,
      lost: sent - latest.received,
      outOfOrder: latest.outOfOrder,
    }
  } finally {
    await stage.end()
  }
}

type Pids = { readonly producer: number; readonly hub: number; readonly consumer: number }

function cpuOf({ producer, hub, consumer }: Pids) {
  return { producer: cpuSeconds(producer), hub: cpuSeconds(hub), consumer: cpuSeconds(consumer) }
}

async function firstSample(child: ChildProcess): Promise<Sample> {
  const [sample] = (await once(child, 'message')) as [Sample]
  return sample
}

/** The time that is measured. */
function elapsed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
