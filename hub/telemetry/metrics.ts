// Counters are plain numbers where they arise; they are gathered here when somebody asks.

import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { HubStatus } from './status.ts'

/** Queues with a time series of their own; the others are summed under "(other)". */
const LABELLED_QUEUES_MAX = 200

export class Metrics {
  private readonly registry = new Registry()
  private readonly read: () => HubStatus

  constructor(read: () => HubStatus) {
    this.read = read
    const registers = [this.registry]
    collectDefaultMetrics({ register: this.registry })
    const total = (name: string, help: string, value: (status: HubStatus) => number) => {
      const counter = new Counter({
        name,
        help,
        registers,
        collect: () => {
          counter.reset()
          counter.inc(value(this.read()))
        },
      })
    }
    total('causeway_messages_accepted_total', 'messages stored', ({ messages }) => messages.accepted)
    total(
      'causeway_messages_duplicate_total',
      'messages sent again and recognised',
      ({ messages }) => messages.duplicate,
    )
    total('causeway_messages_settled_total', 'messages settled by consumers', ({ messages }) => messages.settled)
    total('causeway_wire_received_bytes_total', 'bytes received from agents', ({ wire }) => wire.bytesIn)
    total('causeway_wire_sent_bytes_total', 'bytes sent to agents', ({ wire }) => wire.bytesOut)
    total('causeway_store_groups_total', 'groups of writes flushed to disk', ({ store }) => store.groups)
    const gauge = (name: string, help: string, value: (status: HubStatus) => number) => {
      const made: Gauge = new Gauge({ name, help, registers, collect: (): void => made.set(value(this.read())) })
    }
    gauge('causeway_sessions', 'agents connected', ({ sessions }) => sessions.length)
    gauge('causeway_store_bytes', "bytes of the store's file in use", ({ store }) => store.bytes)
    const depth = new Gauge({
      name: 'causeway_queue_depth',
      help: 'messages not settled, by queue',
      labelNames: ['queue'],
      registers,
      collect: () => {
        depth.reset()
        const { queues } = this.read()
        for (const queue of queues.slice(0, LABELLED_QUEUES_MAX)) depth.set({ queue: queue.name }, queue.depth)
        const others = queues.slice(LABELLED_QUEUES_MAX).reduce((sum, queue) => sum + queue.depth, 0)
        if (queues.length > LABELLED_QUEUES_MAX) depth.set({ queue: '(other)' }, others)
      },
    })
  }

  get contentType(): string {
    return this.registry.contentType
  }

  text(): Promise<string> {
    return this.registry.metrics()
  }
}
