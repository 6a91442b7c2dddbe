// Metrics for Prometheus. Counters are plain numbers where they arise; they are gathered here when somebody asks. A
// scrape reads the hub's status once and puts everything it shows into one table of values.

import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  type MetricValueWithName,
  type Histogram as PromHistogram,
  Registry,
} from 'prom-client'
import type { Histogram } from './histogram.ts'
import { isShared, queueLabel } from './labels.ts'
import { type AgentTally, HubMeters } from './meters.ts'
import type { HubStatus, QueueCounters, QueueStatus } from './status.ts'

const SECOND_MS = 1000

type Name = `causeway_${string}`

const HUB_COUNTERS: readonly (readonly [Name, string, (status: HubStatus) => number])[] = [
  ['causeway_messages_accepted_total', 'messages stored', ({ messages }) => messages.accepted],
  ['causeway_messages_duplicate_total', 'messages sent again and recognised', ({ messages }) => messages.duplicate],
  ['causeway_messages_settled_total', 'messages settled by consumers', ({ messages }) => messages.settled],
  ['causeway_wire_received_bytes_total', 'bytes received from agents', ({ wire }) => wire.bytesIn],
  ['causeway_wire_sent_bytes_total', 'bytes sent to agents', ({ wire }) => wire.bytesOut],
  ['causeway_store_groups_total', 'groups of writes flushed to disk', ({ store }) => store.groups],
  [
    'causeway_content_received_bytes_total',
    'bytes of large content received',
    ({ contents }) => contents.receivedBytes,
  ],
  ['causeway_content_sent_bytes_total', 'bytes of large content sent', ({ contents }) => contents.sentBytes],
  ['causeway_http_requests_total', 'requests with a good link', ({ http }) => http?.requests ?? 0],
  ['causeway_http_failed_total', 'of these, those that failed', ({ http }) => http?.failed ?? 0],
  ['causeway_http_received_bytes_total', 'bytes of files by links', ({ http }) => http?.receivedBytes ?? 0],
  ['causeway_http_sent_bytes_total', 'bytes of files taken by links', ({ http }) => http?.sentBytes ?? 0],
]

const HUB_GAUGES: readonly (readonly [Name, string, (status: HubStatus) => number])[] = [
  ['causeway_sessions', 'agents connected', ({ sessions }) => sessions.length],
  ['causeway_store_bytes', "bytes of the store's file in use", ({ store }) => store.bytes],
  ['causeway_store_bytes_max', 'bound of the store', ({ store }) => store.bytesMax],
  ['causeway_queues', 'queues of all kinds', ({ queues }) => queues.length],
  ['causeway_contents', 'large contents', ({ contents }) => contents.contents],
  ['causeway_content_bytes', 'bytes of large content on disk', ({ contents }) => contents.bytes],
  ['causeway_content_bytes_max', 'bound of large content', ({ contents }) => contents.bytesMax],
  [
    'causeway_content_lost_chunks',
    'chunks found damaged that have not come again',
    ({ contents }) => contents.lostChunks,
  ],
  ['causeway_content_uploads', 'contents being received', ({ contents }) => contents.uploads],
  ['causeway_content_downloads', 'contents being sent', ({ contents }) => contents.downloads],
  ['causeway_http_requests_open', 'requests with a good link under way', ({ http }) => http?.open ?? 0],
  ['causeway_links', 'links that are good', ({ links }) => links],
]

const QUEUE_COUNTERS: readonly (readonly [Name, string, keyof QueueCounters])[] = [
  ['causeway_queue_in_total', 'messages put into the queue', 'in'],
  ['causeway_queue_delivered_total', 'messages handed to consumers, every attempt counted', 'delivered'],
  ['causeway_queue_processed_total', 'messages settled as processed', 'processed'],
  ['causeway_queue_rejected_total', 'messages settled as rejected', 'rejected'],
  ['causeway_queue_retried_total', 'messages given back to come again', 'retried'],
  ['causeway_queue_expired_total', 'messages that came too late', 'expired'],
  ['causeway_queue_dropped_total', 'messages given up for newer ones', 'dropped'],
  ['causeway_queue_dead_lettered_total', 'messages moved to the dead letters', 'deadLettered'],
  ['causeway_queue_redriven_total', 'messages moved on by an operator', 'redriven'],
]

type QueueGauge = { readonly name: Name; readonly help: string; readonly of: (queue: QueueStatus) => number }

const QUEUE_GAUGES: readonly QueueGauge[] = [
  { name: 'causeway_queue_depth', help: 'messages not settled', of: ({ depth }) => depth },
  { name: 'causeway_queue_bytes', help: 'bytes of messages not settled', of: ({ bytes }) => bytes },
  { name: 'causeway_queue_in_flight', help: 'messages out at consumers', of: ({ inFlight }) => inFlight },
  { name: 'causeway_queue_delayed', help: 'messages that are not due yet', of: ({ delayed }) => delayed },
  { name: 'causeway_queue_retained', help: 'settled messages kept for replay', of: ({ retained }) => retained },
  { name: 'causeway_queue_consumers', help: 'consumers connected', of: ({ consumers }) => consumers },
]

const AGENT_COUNTERS: readonly (readonly [Name, string, keyof AgentTally])[] = [
  ['causeway_agent_accepted_total', 'messages stored for the agent', 'accepted'],
  ['causeway_agent_accepted_bytes_total', 'bytes of batches stored for the agent', 'acceptedBytes'],
  ['causeway_agent_duplicate_total', 'messages the agent sent again', 'duplicate'],
  ['causeway_agent_delivered_total', 'messages handed to the agent, every attempt counted', 'delivered'],
  ['causeway_agent_delivered_bytes_total', 'bytes of batches handed to the agent', 'deliveredBytes'],
  ['causeway_agent_processed_total', 'messages the agent settled as processed', 'processed'],
  ['causeway_agent_rejected_total', 'messages the agent settled as rejected', 'rejected'],
  ['causeway_agent_retried_total', 'messages the agent gave back to come again', 'retried'],
  ['causeway_agent_sessions_total', 'sessions the agent began', 'sessions'],
]

export class Metrics {
  private readonly registry = new Registry()
  private readonly read: () => HubStatus
  private readonly meters: HubMeters
  private readonly wallMs: () => number
  private readonly hub: ((status: HubStatus) => void)[] = []
  private readonly queueCounters: { readonly key: keyof QueueCounters; readonly totals: Totals }[]
  private readonly queueGauges: { readonly of: QueueGauge['of']; readonly gauge: Gauge<'queue'> }[]
  private readonly oldest: Gauge<'queue'>
  private readonly agentCounters: { readonly key: keyof AgentTally; readonly totals: Totals }[]
  private readonly connected: Gauge<'agent'>

  constructor(read: () => HubStatus, options: { meters?: HubMeters; wallMs?: () => number } = {}) {
    const { registry } = this
    const registers = [registry]
    this.read = read
    this.meters = options.meters ?? new HubMeters()
    this.wallMs = options.wallMs ?? Date.now
    collectDefaultMetrics({ register: registry })
    for (const [name, help, value] of HUB_COUNTERS) {
      const counter = new Counter({ name, help, registers })
      this.hub.push((status) => {
        counter.reset()
        counter.inc(value(status))
      })
    }
    for (const [name, help, value] of HUB_GAUGES) {
      const gauge = new Gauge({ name, help, registers })
      this.hub.push((status) => gauge.set(value(status)))
    }
    const queueGauge = (name: Name, help: string) => {
      return new Gauge({ name, help: `${help}, by queue`, labelNames: ['queue'] as const, registers })
    }
    this.queueGauges = QUEUE_GAUGES.map(({ name, help, of }) => ({ of, gauge: queueGauge(name, help) }))
    this.oldest = queueGauge('causeway_queue_oldest_age_seconds', 'age of the oldest message not settled')
    this.queueCounters = QUEUE_COUNTERS.map(([name, help, key]) => {
      return { key, totals: new Totals(registry, { name, help: `${help}, by queue`, label: 'queue' }) }
    })
    this.agentCounters = AGENT_COUNTERS.map(([name, help, key]) => {
      return { key, totals: new Totals(registry, { name, help, label: 'agent' }) }
    })
    this.connected = new Gauge({
      name: 'causeway_agent_connected',
      help: 'sessions of the agent',
      labelNames: ['agent'],
      registers,
    })
    this.addHistograms()
  }

  get contentType(): string {
    return this.registry.contentType
  }

  text(): Promise<string> {
    const status = this.read()
    for (const set of this.hub) set(status)
    this.setQueues(status.queues)
    this.setAgents(status.sessions)
    return this.registry.metrics()
  }

  private setQueues(queues: readonly QueueStatus[]): void {
    const { meters } = this
    meters.keepQueues(new Set(queues.map(({ name }) => name)))
    const nowMs = this.wallMs()
    const labels = queues.map(({ name, ephemeral }) => queueLabel(meters.queueLabels, name, ephemeral))
    for (const { of, gauge } of this.queueGauges) {
      const sums = sumBy(labels, (i) => of(queues[i] as QueueStatus))
      gauge.reset()
      for (const [queue, sum] of sums) gauge.set({ queue }, sum)
    }
    const ages = new Map<string, number>()
    for (const [i, { oldestAtMs }] of queues.entries()) {
      const label = labels[i] as string
      const ageMs = oldestAtMs === null ? 0 : Math.max(0, nowMs - oldestAtMs)
      ages.set(label, Math.max(ages.get(label) ?? 0, ageMs))
    }
    this.oldest.reset()
    for (const [queue, ageMs] of ages) this.oldest.set({ queue }, ageMs / SECOND_MS)
    for (const { key, totals } of this.queueCounters) {
      totals.set(sumBy(labels, (i) => (queues[i] as QueueStatus).counters[key]))
    }
  }

  private setAgents(sessions: HubStatus['sessions']): void {
    const { agentLabels } = this.meters
    const tallies = this.meters.agents()
    const labels = tallies.map(([name]) => agentLabels.of(name))
    for (const { key, totals } of this.agentCounters) {
      totals.set(sumBy(labels, (i) => (tallies[i] as (typeof tallies)[number])[1][key]))
    }
    const present = sumBy(
      sessions.map(({ agent }) => agentLabels.of(agent)),
      () => 1,
    )
    this.connected.reset()
    for (const label of labels) this.connected.set({ agent: label }, 0)
    for (const [agent, count] of present) this.connected.set({ agent }, count)
  }

  private addHistograms(): void {
    const { meters, registry } = this
    const one = (histogram: Histogram) => () => new Map([['', histogram]])
    const add = (given: Given) => registry.registerMetric(givenHistogram(given))
    add({
      name: 'causeway_queue_settle_seconds',
      help: 'time from acceptance of a message to its final settlement, by queue',
      label: 'queue',
      scale: 1 / SECOND_MS,
      read: () => meters.settleTimes(),
    })
    add({
      name: 'causeway_delivery_attempts',
      help: 'deliveries a message took until it was settled',
      label: '',
      scale: 1,
      read: one(meters.attempts),
    })
    add({
      name: 'causeway_store_commit_seconds',
      help: 'time of one transaction with its flush',
      label: '',
      scale: 1 / SECOND_MS,
      read: one(meters.commitMs),
    })
    add({
      name: 'causeway_store_group_works',
      help: 'pieces of work in one transaction',
      label: '',
      scale: 1,
      read: one(meters.groupWorks),
    })
    add({
      name: 'causeway_store_group_bytes',
      help: 'bytes appended in one transaction',
      label: '',
      scale: 1,
      read: one(meters.groupBytes),
    })
  }
}

/** Sums of what the i-th label has. */
function sumBy(labels: readonly string[], value: (i: number) => number): Map<string, number> {
  const sums = new Map<string, number>()
  for (const [i, label] of labels.entries()) sums.set(label, (sums.get(label) ?? 0) + value(i))
  return sums
}

/** One counter with a label, set as a whole. */
class Totals {
  private readonly counter: Counter<string>
  private readonly label: string
  /** Of labels that stand for several: what was lost with names that are gone, and the sum shown last. */
  private readonly shared = new Map<string, { lost: number; last: number }>()

  constructor(registry: Registry, options: { name: string; help: string; label: string }) {
    this.label = options.label
    this.counter = new Counter({
      name: options.name,
      help: options.help,
      labelNames: [options.label],
      registers: [registry],
    })
  }

  set(sums: ReadonlyMap<string, number>): void {
    this.counter.reset()
    for (const [label, sum] of sums) if (!isShared(label)) this.counter.inc({ [this.label]: label }, sum)
    const seen = new Set([...this.shared.keys(), ...[...sums.keys()].filter(isShared)])
    for (const label of seen) this.counter.inc({ [this.label]: label }, this.grown(label, sums.get(label) ?? 0))
  }

  /** A sum that falls would look like a restart, and what is left like new work: it only ever grows. */
  private grown(label: string, sum: number): number {
    const known = this.shared.get(label) ?? { lost: 0, last: 0 }
    if (sum < known.last) known.lost += known.last - sum
    known.last = sum
    this.shared.set(label, known)
    return known.lost + sum
  }
}

type Given = {
  readonly name: Name
  readonly help: string
  /** Name of the label; '' for none. */
  readonly label: string
  /** Unit of the values → unit of the name. */
  readonly scale: number
  readonly read: () => ReadonlyMap<string, Histogram>
}

/**
 * A histogram counted elsewhere, as the registry asks for it: it wants a name, and `get()` at a scrape. The declared
 * types are those of the package's own classes, which can only count themselves.
 */
function givenHistogram({ name, help, label, scale, read }: Given): PromHistogram {
  const get = async () => {
    const values: MetricValueWithName<string>[] = []
    for (const [key, histogram] of read()) {
      const labels: Record<string, string> = label === '' ? {} : { [label]: key }
      let total = 0
      for (const [i, count] of histogram.counts.entries()) {
        total += count
        const bound = histogram.bounds[i]
        const le = bound === undefined ? '+Inf' : String(Number((bound * scale).toPrecision(12)))
        values.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: total })
      }
      values.push({ metricName: `${name}_sum`, labels, value: histogram.sum * scale })
      values.push({ metricName: `${name}_count`, labels, value: total })
    }
    return { name, help, type: 'histogram', values, aggregator: 'sum' }
  }
  return { name, get } as unknown as PromHistogram
}
