// One measurement of latency at a fixed rate, the same for product and peers: from the time a message should have been
// sent to the time the consumer has it. What never arrived is counted with the time it has been waiting, so a server that
// does not keep up cannot hide it.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { hasEnded, startRole, stop, tellRole } from './children.ts'
import { firstMessage, type Sample, type Times } from './flow.ts'
import { Histogram, monotonicMs } from './histogram.ts'
import type { Side } from './sides.ts'

export type Paced = {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  /** False: the latencies are what the measured time allowed them to become. */
  readonly keptUp: boolean
  /** When the schedule ended: messages not sent or not delivered yet. */
  readonly behind: number
  readonly outOfOrder: number
}

export type PacedOptions = {
  readonly producer: Side
  readonly consumer: Side
  readonly server: ChildProcess
  readonly bodyBytes: number
  readonly perSecond: number
  readonly times: Times
}

/** What is under way at the end of the schedule has so long to arrive: more, and the backlog has been growing. */
const KEPT_UP_MS = 250
/** Then it is waited for no longer. */
const GRACE_MS = 2000
const START_MS_MAX = 30_000

type Schedule = { readonly sent: number; readonly total: number; readonly startMs: number; readonly endMs: number }

export async function measurePaced(options: PacedOptions): Promise<Paced> {
  const children: ChildProcess[] = []
  try {
    return await measure(options, children)
  } finally {
    for (const child of children) await stop(child, 'SIGKILL')
  }
}

async function measure(options: PacedOptions, children: ChildProcess[]): Promise<Paced> {
  const { bodyBytes, perSecond, times, server } = options
  const consumer = startRole('paced-consumer', { side: options.consumer })
  children.push(consumer)
  let latest = await firstMessage<Sample>(consumer, 'consumer')
  const settings = { side: options.producer, bodyBytes, perSecond, ...times }
  const producer = startRole('paced-producer', settings)
  children.push(producer)
  consumer.on('message', (message: Sample | { counts: number[] }) => {
    if (!('received' in message)) return
    latest = message
    tellRole(producer, { received: message.received })
  })
  const timeoutMs = times.warmUpMs + times.measuredMs + START_MS_MAX
  const { sent, total, startMs, endMs } = await firstMessage<Schedule>(producer, 'producer', timeoutMs)
  const behind = total - latest.received
  while (latest.received < sent && monotonicMs() < endMs + GRACE_MS) {
    if (hasEnded(server) || hasEnded(consumer)) throw new Error('the server or the consumer ended by itself')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const keptUp = latest.received === total && monotonicMs() < endMs + KEPT_UP_MS
  const answer = reportOf(consumer)
  consumer.send('report')
  const latencies = new Histogram(await answer)
  const nowMs = monotonicMs()
  const measured = Math.floor((perSecond * times.measuredMs) / 1000)
  // In order: the last ones of the schedule are the ones that are missing.
  for (let i = total - Math.max(0, measured - latencies.total); i < total; i++) {
    latencies.add(nowMs - (startMs + (i * 1000) / perSecond))
  }
  return {
    p50Ms: latencies.percentile(0.5),
    p99Ms: latencies.percentile(0.99),
    p999Ms: latencies.percentile(0.999),
    keptUp,
    behind,
    outOfOrder: latest.outOfOrder,
  }
}

/** Samples go on coming meanwhile. */
async function reportOf(consumer: ChildProcess): Promise<number[]> {
  const abort = new AbortController()
  const timer = setTimeout(() => abort.abort(), START_MS_MAX)
  try {
    for (;;) {
      const [message] = (await once(consumer, 'message', { signal: abort.signal })) as [{ counts?: number[] }]
      if (message.counts !== undefined) return message.counts
    }
  } finally {
    clearTimeout(timer)
  }
}
