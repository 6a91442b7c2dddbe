// What an operator sees and does in the queues of a running hub: look, take out, put back, begin again, follow a message.
// Long work goes in steps, between which other work has its turn.

import { asFault } from '#protocol/base/mod.ts'
import { type Batch, openBatch, topicMatches } from '#protocol/codec/mod.ts'
import { type Entry, endOf, placesOf } from './entry.ts'
import { storeFault } from './faults.ts'
import type { Lane, Lease } from './lane.ts'
import { ADMIN_ENTRIES, REMARKS_MAX } from './limits.ts'
import { type QueuePolicy, retains } from './policy.ts'
import type { Queue, QueueCounters } from './queue.ts'
import type { ReplayFrom } from './replay.ts'
import type { HubStore, Placement } from './store.ts'
import { messageView } from './views.ts'

export type MessageId = {
  readonly origin: string
  readonly stream: string
  readonly epoch: number
  readonly seq: number
}

/** Which messages: all that fit everything given. `{}` fits every message. */
export type MessageFilter = {
  readonly ids?: readonly MessageId[]
  readonly origin?: string
  /** Topic pattern. */
  readonly topic?: string
  /** A fault code: reasons that begin with it. */
  readonly reason?: string
  /** The queue it was dead-lettered from. */
  readonly from?: string
  /** Accepted at least this long ago. */
  readonly olderThanMs?: number
}

/** How far a long operation is; it stops between two steps when nobody waits for it any more. */
export type Progress = { report(messages: number): void; readonly cancelled: boolean }

export type QueueView = ReturnType<Admin['view']>

type Match = {
  readonly lane: Lane
  readonly entry: Entry
  /** Read from the disk when asked for; `null` for the hub's own messages. Faults: `STORE_DAMAGED`, `STORE_IO`. */
  readonly batch: () => Batch | null
  readonly positions: number[]
}

/** Messages of one lease that go to the same places; or a reason. */
type Way = { part: Lease; readonly targets: readonly { queue: Queue; lane: number; note?: string }[] | string }

const PRIORITY_NAMES = ['normal', 'urgent', 'bulk'] as const
const OPERATOR = 'operator'

export class Admin {
  private readonly store: HubStore
  private readonly consumersOf: (queue: Queue) => number
  private readonly abandon: (queue: Queue) => void
  private readonly route: (batch: Batch, backNote: string) => readonly Placement[]
  private readonly remark: (backNote: string) => string | null

  constructor(options: {
    store: HubStore
    consumersOf: (queue: Queue) => number
    /** Ends the consumers of a queue, so that what they have out comes back. */
    abandon: (queue: Queue) => void
    /** Where a batch would go by the rules of now, without what `backNote` of its entry says that it has. */
    route: (batch: Batch, backNote: string) => readonly Placement[]
    /** What an operator should know of sending back what has this `backNote`. */
    remark?: (backNote: string) => string | null
  }) {
    this.store = options.store
    this.consumersOf = options.consumersOf
    this.abandon = options.abandon
    this.route = options.route
    this.remark = options.remark ?? (() => null)
  }

  queues() {
    return [...this.store.queues.all()].map((queue) => this.view(queue))
  }

  view(queue: Queue) {
    const { name, owner, ephemeral, rule, policy } = queue.info
    const lanes = [...queue.lanes.values()].map((lane) => ({
      lane: lane.number,
      priority: PRIORITY_NAMES[lane.priority] as (typeof PRIORITY_NAMES)[number],
      partition: lane.partition,
      depth: lane.depth,
      inFlight: lane.inFlight,
      floor: lane.settled.floor,
      tail: lane.tail,
    }))
    const counters: Readonly<QueueCounters> = { ...queue.counters }
    return {
      name,
      owner,
      ephemeral,
      topics: rule.topics,
      policy: policy as QueuePolicy,
      depth: queue.depth + queue.delayed,
      bytes: queue.bytes,
      inFlight: queue.inFlight,
      consumers: this.consumersOf(queue),
      oldestAtMs: this.oldestAtMs(queue),
      retained: this.retained(queue),
      delayed: queue.delayed,
      tail: queue.tail,
      lanes,
      counters,
    }
  }

  /** The first `limit` messages that fit, in the order of their lanes. Faults: `QUEUE_UNKNOWN`. */
  peek(name: string, { limit, filter }: { limit: number; filter: MessageFilter }) {
    const queue = this.queue(name)
    const out: ReturnType<typeof messageView>[] = []
    for (const match of this.matches(queue, filter)) {
      if (match === null) continue
      const home = match.entry.home === null ? null : this.nameOf(match.entry.home.queueId)
      const batch = readable(match)
      for (const position of match.positions) {
        if (out.length === limit) return out
        out.push(messageView({ ...match, batch }, position, home))
      }
    }
    return out
  }

  /** Takes messages out for good; those in flight stay. */
  async purge(name: string, filter: MessageFilter, progress: Progress): Promise<{ messages: number }> {
    let messages = 0
    await this.eachStep(this.queue(name), filter, progress, (lease) => {
      messages += lease.count
      return [this.store.endings.drop(lease, 'purged', { reason: '', by: OPERATOR })]
    })
    return { messages }
  }

  /** Moves messages to where they came from, to where the rules of now want them, or `to` a queue. */
  async redrive(name: string, options: { filter: MessageFilter; to?: string }, progress: Progress) {
    const to = options.to === undefined ? null : this.queue(options.to)
    const reasons: Record<string, number> = {}
    const remarks: Record<string, number> = {}
    let moved = 0
    await this.eachStep(this.queue(name), options.filter, progress, (lease, batch) =>
      this.wayOf(lease, batch, to).flatMap(({ part, targets }) => {
        if (typeof targets === 'string') {
          reasons[targets] = (reasons[targets] ?? 0) + part.count
          part.lane.giveBack([part])
          return []
        }
        moved += part.count
        const remark = to === null ? this.remark(part.entry.backNote) : null
        if (remark !== null && (Object.hasOwn(remarks, remark) || Object.keys(remarks).length < REMARKS_MAX))
          remarks[remark] = (remarks[remark] ?? 0) + part.count
        return [this.store.endings.redrive(part, targets, OPERATOR)]
      }),
    )
    const told = Object.keys(remarks).length === 0 ? {} : { remarks }
    return { moved, left: Object.values(reasons).reduce((sum, count) => sum + count, 0), reasons, ...told }
  }

  /** Opens what is retained from there again; consumers connect anew. Faults: `QUEUE_UNKNOWN`, `QUEUE_NOT_RETAINED`. */
  async replay(name: string, from: ReplayFrom): Promise<{ messages: number }> {
    const queue = this.queue(name)
    if (retains(queue.info.policy)) this.abandon(queue)
    return { messages: await this.store.replay(queue, from) }
  }

  /** Removes a queue that an agent owns, with what is in it. Faults: `QUEUE_UNKNOWN`, `QUEUE_NOT_OWNED`. */
  async forget(name: string): Promise<{ messages: number }> {
    const queue = this.queue(name)
    if (queue.info.owner === null || queue.info.owner.startsWith('$')) {
      throw storeFault('QUEUE_NOT_OWNED', { where: `queue ${name}` })
    }
    const messages = queue.depth
    this.abandon(queue)
    await this.store.queues.forget(queue)
    return { messages }
  }

  trace(id: { origin: string; stream: string; epoch?: number; seq: number }) {
    const { trace, batches } = this.store
    const found = trace.find({ ...id, epoch: id.epoch ?? null })
    if (found === null) return null
    const place = id.seq - found.firstSeq
    const has = (places: readonly (readonly [number, number])[]) =>
      places.length === 0 || places.some(([from, count]) => place >= from && place < from + count)
    const events = trace.eventsOf(found.batchSeq).filter(({ places }) => has(places))
    const copies = events.flatMap(({ to }, i) =>
      to.filter(({ places }) => has(places)).map((at) => this.copyView(at, place, events.slice(i + 1))),
    )
    return {
      id: { origin: found.origin, stream: found.stream, epoch: found.epoch, seq: id.seq },
      batch: { count: found.count, acceptedAtMs: found.acceptedAtMs, stored: batches.has(found.batchSeq) },
      copies,
      events: events.map(({ atMs, what, queue, by, reason, detail }) => ({ atMs, what, queue, by, reason, detail })),
    }
  }

  private copyView(
    at: { queueId: number; lane: number; position: number; places: readonly (readonly [number, number])[] },
    place: number,
    later: readonly { what: string }[],
  ) {
    const queue = this.store.queues.withId(at.queueId)
    const lane = queue?.lanes.get(at.lane)
    const name = queue?.info.name ?? `(forgotten queue ${at.queueId})`
    if (at.position < 0) {
      const state = later.some(({ what }) => what === 'due') ? ('settled' as const) : ('delayed' as const)
      return { queue: name, lane: at.lane, position: -1, state, attempts: 0 }
    }
    let skip = 0
    for (const [from, count] of at.places.length === 0 ? ([[0, place + 1]] as const) : at.places) {
      if (place < from + count) {
        skip += place - from
        break
      }
      skip += count
    }
    const position = at.position + skip
    const entry = this.store.book.entryAt(at.queueId, at.lane, at.position)
    const isOpen = lane !== undefined && entry !== null && !lane.settled.has(position)
    const state = !isOpen ? 'settled' : lane.waits(position) ? 'waiting' : 'in flight'
    return { queue: name, lane: at.lane, position, state, attempts: entry?.attempts ?? 0 } as const
  }

  /** Goes through all waiting messages that fit; `work` settles each lease or gives it back, all in its turn. */
  private async eachStep(
    queue: Queue,
    filter: MessageFilter,
    progress: Progress,
    work: (lease: Lease, batch: () => Batch | null) => Promise<void>[],
  ): Promise<void> {
    let messages = 0
    let pending: Promise<void>[] = []
    // Redriven messages may come to this very queue, at its end: they are not looked at again.
    const tails = new Map([...queue.lanes.values()].map((lane) => [lane, lane.tail]))
    for (const match of this.matches(queue, filter)) {
      if (match === null || pending.length >= ADMIN_ENTRIES) {
        await Promise.all(pending)
        pending = []
        progress.report(messages)
        if (progress.cancelled) break
        await new Promise((resolve) => setImmediate(resolve))
      }
      if (match === null || match.entry.position >= (tails.get(match.lane) ?? 0)) continue
      for (const lease of pulled(match)) {
        const openBefore = lease.lane.depth
        pending.push(...work(lease, match.batch))
        messages += openBefore - lease.lane.depth
      }
    }
    await Promise.all(pending)
    progress.report(messages)
    queue.onReady()
  }

  /** Where dead letters belong, in parts that go the same way; or why they cannot go there. */
  private wayOf(lease: Lease, batchOf: () => Batch | null, to: Queue | null): Way[] {
    // It may be forgotten in between.
    if (to !== null) return [{ part: lease, targets: to.forgotten ? 'QUEUE_GONE' : [{ queue: to, lane: 0 }] }]
    const { home, backNote } = lease.entry
    if (home !== null) {
      const queue = this.store.queues.withId(home.queueId)
      const isGone = queue === undefined || queue.forgotten
      return [{ part: lease, targets: isGone ? 'QUEUE_GONE' : [{ queue, lane: home.lane, note: backNote }] }]
    }
    let placements: readonly Placement[]
    try {
      const batch = batchOf()
      placements = batch === null ? [] : this.route(batch, backNote)
    } catch (error) {
      return [{ part: lease, targets: asFault(error).code }]
    }
    const sorts = placements
      .filter(({ queue }) => queue !== this.store.unrouted)
      .map(({ queue, partition, attributes, selection, count, note }) => ({
        target: { queue, lane: partition * PRIORITY_NAMES.length + attributes.priority, note: note ?? '' },
        places: new Set(placesOf({ selection, count }, 0, count)),
      }))
    const ways: (Way & { key: string })[] = []
    const places = placesOf(lease.entry, lease.from - lease.entry.position, lease.count)
    for (const [i, place] of places.entries()) {
      const wanted = sorts.map(({ places }) => places.has(place))
      const key = wanted.join()
      const last = ways.at(-1)
      if (last?.key === key) {
        last.part = { ...last.part, count: last.part.count + 1 }
        continue
      }
      const targets = sorts.flatMap(({ target }, sort) => (wanted[sort] ? [target] : []))
      const part = { ...lease, from: lease.from + i, count: 1 }
      ways.push({ key, part, targets: targets.length === 0 ? 'NO_ROUTE' : targets })
    }
    return ways
  }

  /** Entries with messages that fit and are not settled, lane by lane; `null` where other work should have its turn. */
  private *matches(queue: Queue, filter: MessageFilter): Generator<Match | null> {
    for (const lane of [...queue.lanes.values()]) {
      let at = this.store.book.entryFrom(lane, lane.settled.floor)
      for (;;) {
        const entries = this.store.book.read(queue.info.id, lane.number, at, ADMIN_ENTRIES)
        for (const entry of entries) {
          at = endOf(entry)
          const match = this.matchIn(lane, entry, filter)
          if (match !== null && match.positions.length > 0) yield match
        }
        if (entries.length < ADMIN_ENTRIES) break
        yield null
      }
    }
  }

  private matchIn(lane: Lane, entry: Entry, filter: MessageFilter): Match | null {
    const { reason, from, olderThanMs, origin, topic, ids } = filter
    const nowMs = this.store.clock.wallMs()
    if (reason !== undefined && !entry.note.startsWith(reason)) return null
    if (from !== undefined && (entry.home === null || this.nameOf(entry.home.queueId) !== from)) return null
    if (olderThanMs !== undefined && nowMs - entry.storedAtMs < olderThanMs) return null
    const positions = lane.settled
      .missing(entry.position, endOf(entry))
      .flatMap(([first, to]) => Array.from({ length: to - first }, (_, i) => first + i))
    const isOwn = entry.batchSeq === 0
    let opened: Batch | null = null
    const batchOf = () => {
      if (!isOwn) opened ??= openBatch(this.store.batchBytes(entry.batchSeq))
      return opened
    }
    const match = { lane, entry, batch: batchOf, positions }
    if (origin === undefined && topic === undefined && ids === undefined) return match
    const batch = readable(match)
    if (batch === null || (origin !== undefined && batch.head.origin !== origin)) return null
    const places = placesOf(entry, 0, entry.count)
    const fits = (position: number): boolean => {
      const place = places[position - entry.position] as number
      const seq = batch.head.firstSeq + place
      return (
        (topic === undefined || topicMatches(topic, topicAt(batch, place))) &&
        (ids === undefined || ids.some((id) => isOf(id, batch) && id.seq === seq))
      )
    }
    return { ...match, positions: positions.filter(fits) }
  }

  private oldestAtMs(queue: Queue): number | null {
    let oldest: number | null = null
    for (const lane of queue.lanes.values()) {
      if (lane.depth === 0) continue
      const at = this.store.book.entryFrom(lane, lane.settled.floor)
      const [entry] = this.store.book.read(queue.info.id, lane.number, at, 1)
      if (entry !== undefined) oldest = Math.min(oldest ?? entry.storedAtMs, entry.storedAtMs)
    }
    return oldest
  }

  private retained(queue: Queue): number {
    if (!retains(queue.info.policy)) return 0
    let sum = 0
    for (const lane of queue.lanes.values()) {
      sum += Math.max(0, lane.settled.floor - this.store.book.entryFrom(lane, 0))
    }
    return sum
  }

  private queue(name: string): Queue {
    const queue = this.store.queues.get(name)
    if (queue === undefined) throw storeFault('QUEUE_UNKNOWN', { where: `queue ${name}` })
    return queue
  }

  private nameOf(queueId: number): string {
    return this.store.queues.withId(queueId)?.info.name ?? `(forgotten queue ${queueId})`
  }
}

const isOf = (id: MessageId, { head }: Batch): boolean =>
  id.origin === head.origin && id.stream === head.stream && id.epoch === head.epoch

/** The batch; `null` also when it is damaged, which whoever needs it is told. */
function readable(match: Pick<Match, 'batch'>): Batch | null {
  try {
    return match.batch()
  } catch {
    return null
  }
}

function topicAt(batch: Batch, place: number): string {
  const { envelopes, runs } = batch.index()
  const run = runs.find(({ from, count }) => place >= from && place < from + count)
  return run === undefined ? '' : (envelopes[run.envelope]?.topic ?? '')
}

/** The matching messages that wait, as leases; what else of the entry was taken with them is put back. */
function pulled({ lane, entry, positions }: Match): Lease[] {
  const wanted = new Set(positions)
  const out: Lease[] = []
  const rest: Lease[] = []
  for (const lease of lane.pull(entry.position)) {
    let from = lease.from
    for (let at = lease.from; at < lease.from + lease.count; at++) {
      const isLast = at + 1 === lease.from + lease.count
      if (!isLast && wanted.has(at) === wanted.has(at + 1)) continue
      ;(wanted.has(at) ? out : rest).push({ ...lease, from, count: at + 1 - from })
      from = at + 1
    }
  }
  lane.giveBack(rest)
  return out
}
