// An operator without a hub, for tests of the port and its commands: two queues, and operations that wait to be told.

import { DEFAULT_POLICY } from '#hub/store/mod.ts'
import { NOTHING_COUNTED } from '#hub/telemetry/mod.ts'
import type {
  ContentsOperator,
  MessageFilter,
  MessageView,
  Operator,
  Progress,
  QueueView,
  RoutesOperator,
  TraceView,
} from './operator.ts'

export const queueView = (name: string, given: Partial<QueueView> = {}): QueueView => ({
  name,
  owner: null,
  ephemeral: false,
  topics: [`${name}/#`],
  policy: DEFAULT_POLICY,
  depth: 0,
  bytes: 0,
  inFlight: 0,
  consumers: 0,
  oldestAtMs: null,
  retained: 0,
  delayed: 0,
  tail: 0,
  lanes: [],
  counters: NOTHING_COUNTED,
  ...given,
})

export const messageView = (given: Partial<MessageView> = {}): MessageView => ({
  id: { origin: 'office', stream: 'permits/out', epoch: 3, seq: 17 },
  lane: 0,
  position: 4,
  topic: 'permits/north',
  headers: { district: 'north' },
  key: 'k1',
  bodyBytes: 12,
  preview: '{"id":1}',
  acceptedAtMs: 0,
  attempts: 2,
  reason: 'LATE: too old',
  from: 'permits',
  inFlight: false,
  expiresAtMs: null,
  ...given,
})

/** A hub without large content. */
const nothing = () => Promise.reject(new Error('there are no routes'))

export const NO_ROUTES: RoutesOperator = {
  view: () => ({
    current: null,
    versions: [],
    unreadable: [],
    pipelines: [],
    waiting: 0,
    underWay: 0,
    conveyed: 0,
    documentBytes: 0,
  }),
  deploy: nothing,
  rollback: nothing,
  forget: nothing,
  explain: nothing,
}

export const NO_CONTENTS: ContentsOperator = {
  list: () => ({ contents: [], total: 0, bytes: 0 }),
  details: () => null,
  discard: () => Promise.reject(new Error('there is none')),
}

/** Notes what it is asked, and does a purge as the test says. */
export class FakeOperator implements Operator {
  readonly asked: unknown[] = []
  views: QueueView[] = [queueView('permits', { depth: 3 }), queueView('$dead'), queueView('inbox/office')]
  purging: (progress: Progress) => Promise<number> = () => Promise.resolve(1)
  tracing: TraceView | null = null

  queues(): readonly QueueView[] {
    return this.views
  }

  peek(queue: string, options: { limit: number; filter: MessageFilter }): readonly MessageView[] {
    this.asked.push(['peek', queue, options])
    return [messageView()]
  }

  async purge(queue: string, filter: MessageFilter, progress: Progress) {
    this.asked.push(['purge', queue, filter])
    return { messages: await this.purging(progress) }
  }

  async redrive(queue: string, options: { filter: MessageFilter; to?: string }) {
    this.asked.push(['redrive', queue, options])
    return { moved: 1, left: 2, reasons: { NO_ROUTE: 2 } }
  }

  async replay(queue: string, from: { fromMs: number } | { fromPosition: number }) {
    this.asked.push(['replay', queue, from])
    return { messages: 5 }
  }

  async forget(queue: string) {
    this.asked.push(['forget', queue])
    return { messages: 0 }
  }

  trace(): TraceView | null {
    return this.tracing
  }
}
