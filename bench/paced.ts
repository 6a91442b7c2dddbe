// One measurement of latency at a fixed rate, the same for product and peers: from the time a message should have been
// sent to the time the consumer has it. What never arrived is counted with the time it has been waiting, so a server that
// does not keep up cannot hide it.

import type { ChildProcess } from 'node:child_process'
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
  /** With `keep`: of every measured message, in the order of arrival. */
  readonly latencies: readonly Latency[]
  /** When the measured time began, as `monotonicMs` tells it. */
  readonly fromMs: number
}

export type Latency = { readonly intendedMs: number; readonly latencyMs: number }

export type PacedOptions = {
  readonly producer: Side
  readonly consumer: Side
  readonly server: ChildProcess
  readonly bodyBytes: number
  readonly perSecond: number
  readonly times: Times
  /** Gives back every latency with its time as well: for low rates. */
  readonly keep?: boolean
}

/** What is under way at the end of the schedule has so long to arrive: more, and the backlog has been growing. */
const KEPT_UP_MS = 250
/** Then it is waited for no longer. */
const GRACE_MS = 2000
const START_MS_MAX = 90_000

type Report = { readonly counts: number[]; readonly kept: Latency[] }
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
  const { bodyBytes, perSecond, times, server, keep = false } = options
  const consumer = startRole('paced-consumer', { side: options.consumer, keep })
  children.push(consumer)
  let latest = await firstMessage<Sample>(consumer, 'consumer')
  const settings = { side: options.producer, bodyBytes, perSecond, ...times }
  const producer = startRole('paced-producer', settings)
  children.push(producer)
  consumer.on('message', (message: Sample | Report) => {
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
  const { counts, kept } = await answer
  const latencies = new Histogram(counts)
  const nowMs = monotonicMs()
  const measured = Math.floor((perSecond * times.measuredMs) / 1000)
  // In order: the last ones of the schedule are the ones that are missing.
  for (let i = total - Math.max(0, measured - latencies.total); i < total; i++) {
    const intendedMs = startMs + (i * 1000) / perSecond
    latencies.add(nowMs - intendedMs)
    if (keep) kept.push({ intendedMs, latencyMs: nowMs - intendedMs })
  }
  return {
    p50Ms: latencies.percentile(0.5),
    p99Ms: latencies.percentile(0.99),
    p999Ms: latencies.percentile(0.999),
    keptUp,
    behind,
    outOfOrder: latest.outOfOrder,
    latencies: kept,
    fromMs: startMs + times.warmUpMs,
  }
}

/** Samples go on coming meanwhile. */
async function reportOf(consumer: ChildProcess): Promise<Report> {
  const { promise, resolve, reject } = Promise.withResolvers<Report>()
  // Not `once` again and again: of two that come together the second would be missed.
  const listener = (message: Sample | Report) => {
    if ('counts' in message) resolve(message)
  }
  consumer.on('message', listener)
  const timer = setTimeout(() => reject(new Error('the consumer gives no report')), START_MS_MAX)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    consumer.off('message', listener)
  }
}
