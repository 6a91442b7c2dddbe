// Which queues a message belongs to: by topic pattern and header rules; and how it lies there: its priority, times and
// partition. Rules are compiled into a tree once per change; the answer for an envelope is remembered, so a batch costs
// one look-up per distinct envelope, whatever the number of rules. Only queues ordered by key look into the messages.

import type { Placement, Queue } from '#hub/store/mod.ts'
import type { Attributes, Batch, Envelope, MessageView } from '#protocol/codec/mod.ts'
import { attributesOf, NO_CONTENTS, PLAIN, TopicTree } from '#protocol/codec/mod.ts'

/** Envelopes whose queues are remembered: 16 Ki entries of about 200 bytes. */
const REMEMBERED_MAX = 16_384
const NONE: readonly Queue[] = []

/** What is known of all messages with one envelope. */
type Way = { readonly queues: readonly Queue[]; readonly attributes: Attributes }

type Routed = {
  readonly placements: Placement[]
  readonly unroutedCount: number
  readonly contents: readonly string[]
}

/** Messages of a batch that go the same way into one queue. */
type Choice = {
  readonly queue: Queue
  readonly partition: number
  readonly attributes: Attributes
  pairs: number[]
  count: number
}

export class Router {
  /** Counts changes of the rules. */
  version = 0
  private tree = new TopicTree<Queue>()
  private remembered = new Map<string, Way>()
  private pending: (() => Iterable<Queue>) | null = null

  /** The rules have changed: those of `queues` count from the next batch on. Compiled then, once for many changes. */
  stale(queues: () => Iterable<Queue>): void {
    this.pending = queues
  }

  /** Compiles the rules of these queues; the ones before are forgotten. */
  compile(queues: Iterable<Queue>): void {
    this.tree = new TopicTree()
    for (const queue of queues) for (const pattern of queue.info.rule.topics) this.tree.add(pattern, queue)
    this.remembered = new Map()
    this.pending = null
    this.version++
  }

  /** The queues one envelope goes to. */
  queuesOf(envelope: Envelope): readonly Queue[] {
    const found = new Set<Queue>()
    for (const queue of this.tree.match(envelope.topic)) if (headersMatch(queue, envelope)) found.add(queue)
    return found.size === 0 ? NONE : [...found]
  }

  /**
   * Where the messages of a batch go, and the large contents they refer to, each once. What no queue wants goes to
   * `unrouted`, whose share is told in `unroutedCount`.
   * Faults: `ATTRIBUTE_INVALID`; and those of opening a batch, when a queue is ordered by key.
   */
  route(batch: Batch, unrouted: Queue): Routed {
    if (this.pending !== null) this.compile(this.pending())
    const { envelopes, runs, envelopeEnds } = batch.index()
    const ways = envelopes.map((envelope, i) => this.recall(batch, envelopeEnds, i, envelope))
    const choices = new Choices(batch)
    let unroutedCount = 0
    for (const { envelope, from, count } of runs) {
      const { queues, attributes } = ways[envelope] as Way
      if (queues.length === 0) {
        unroutedCount += count
        choices.add(unrouted, PLAIN, from, count)
      }
      for (const queue of queues) choices.add(queue, attributes, from, count)
    }
    return { placements: choices.placements(), unroutedCount, contents: contentsOf(ways) }
  }

  private recall(batch: Batch, ends: readonly number[], i: number, envelope: Envelope): Way {
    const name = batch.indexBytes.toString('latin1', i === 0 ? 0 : ends[i - 1], ends[i])
    const known = this.remembered.get(name)
    if (known !== undefined) return known
    const way: Way = { queues: this.queuesOf(envelope), attributes: attributesOf(envelope.headers) }
    // Such an envelope hardly comes again, and would drive out others.
    if (way.attributes.contents !== NO_CONTENTS) return way
    if (this.remembered.size >= REMEMBERED_MAX) this.remembered.clear()
    this.remembered.set(name, way)
    return way
  }
}

/** Gathers the messages of one batch by queue, partition and attributes. */
class Choices {
  private readonly batch: Batch
  private readonly chosen = new Map<Queue, Choice[]>()
  private messages: ((i: number) => MessageView) | null = null
  private ofStream = -1

  constructor(batch: Batch) {
    this.batch = batch
  }

  add(queue: Queue, attributes: Attributes, from: number, count: number): void {
    const { order, partitions } = queue.info.policy
    if (order === 'key' && partitions > 1) {
      for (let i = from; i < from + count; i++) this.put(queue, attributes, this.partitionOfKey(i, partitions), i, 1)
      return
    }
    this.put(queue, attributes, order === 'none' ? 0 : this.streamHash() % partitions, from, count)
  }

  placements(): Placement[] {
    const out: Placement[] = []
    for (const choices of this.chosen.values()) {
      for (const { queue, partition, attributes, pairs, count } of choices) {
        out.push({ queue, partition, attributes, count, selection: count === this.batch.count ? null : pairs })
      }
    }
    return out
  }

  private put(queue: Queue, attributes: Attributes, partition: number, from: number, count: number): void {
    let choices = this.chosen.get(queue)
    if (choices === undefined) {
      choices = []
      this.chosen.set(queue, choices)
    }
    let choice = choices.find((other) => other.partition === partition && sameAttributes(other.attributes, attributes))
    if (choice === undefined) {
      choice = { queue, partition, attributes, pairs: [], count: 0 }
      choices.push(choice)
    }
    const { pairs } = choice
    const last = pairs.length - 2
    if (last >= 0 && (pairs[last] as number) + (pairs[last + 1] as number) === from)
      (pairs[last + 1] as number) += count
    else pairs.push(from, count)
    choice.count += count
  }

  /** Messages without a key keep the order of their stream. */
  private partitionOfKey(i: number, partitions: number): number {
    this.messages ??= this.batch.messages()
    const { key } = this.messages(i)
    return (key.length === 0 ? this.streamHash() : hashOf(key)) % partitions
  }

  private streamHash(): number {
    const { origin, stream } = this.batch.head
    if (this.ofStream < 0) this.ofStream = hashOf(Buffer.from(`${origin}\0${stream}`))
    return this.ofStream
  }
}

/** FNV-1a, 32 bits: spreads keys over partitions; nothing rests on its strength. */
function hashOf(bytes: Uint8Array): number {
  let value = 0x811c9dc5
  for (let i = 0; i < bytes.length; i++) value = Math.imul(value ^ (bytes[i] as number), 0x01000193) >>> 0
  // Its low bits alone are poor for short keys.
  return (value ^ (value >>> 15)) >>> 0
}

function contentsOf(ways: readonly Way[]): readonly string[] {
  let found: Set<string> | null = null
  for (const { attributes } of ways) {
    if (attributes.contents === NO_CONTENTS) continue
    found ??= new Set()
    for (const id of attributes.contents) found.add(id)
  }
  return found === null ? NO_CONTENTS : [...found]
}

/** Whether messages lie in a queue the same way; contents are the batch's. */
function sameAttributes(a: Attributes, b: Attributes): boolean {
  return (
    a === b ||
    (a.priority === b.priority && a.ttlMs === b.ttlMs && a.delayMs === b.delayMs && a.deliverAtMs === b.deliverAtMs)
  )
}

function headersMatch(queue: Queue, { headers }: Envelope): boolean {
  for (const [name, values] of Object.entries(queue.info.rule.where)) {
    const value = Object.hasOwn(headers, name) ? headers[name] : undefined
    if (value === undefined || value === null || !values.includes(String(value))) return false
  }
  return true
}
