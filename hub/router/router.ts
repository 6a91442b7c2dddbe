// Which queues a message belongs to: by topic pattern and header rules; and how it lies there: its priority, times and
// partition. Rules are compiled into a tree once per change; the answer for an envelope is remembered, so a batch costs
// one look-up per distinct envelope, whatever the number of rules. Only queues ordered by key look into the messages.

import type { Placement, Queue } from '#hub/store/mod.ts'
import type { Attributes, Batch, Envelope } from '#protocol/codec/mod.ts'
import { attributesOf, NO_CONTENTS, PLAIN, TopicTree } from '#protocol/codec/mod.ts'
import { Choices } from './choices.ts'

/** Envelopes whose queues are remembered: 16 Ki entries of about 200 bytes. */
const REMEMBERED_MAX = 16_384
const NONE: readonly Queue[] = []

/** What is known of all messages with one envelope. */
type Way = { readonly queues: readonly Queue[]; readonly attributes: Attributes }

type Routed = {
  readonly placements: readonly Placement[]
  readonly unroutedCount: number
  readonly contents: readonly string[]
}

/** The deployed rules, as far as accepting a message goes. */
export type HeaderRules = {
  readonly version: { readonly version: number }
  /** Queues of messages that nothing else wants. */
  readonly defaults: readonly string[]
  /** Queues it goes to at once; whether its content or a pipeline is needed for more; whether a rule may fit at all. */
  route(envelope: Envelope): {
    readonly queues: readonly string[]
    readonly deferred: boolean
    readonly matched: boolean
  }
}

/** What rules need of the hub: its queues by name, and its own for what is not decided at once. */
export type RulesAt = {
  readonly rules: HeaderRules
  readonly queue: Queue
  named(name: string): Queue | undefined
}

export class Router {
  /** Counts changes of the rules. */
  version = 0
  private rulesAt: RulesAt | null = null
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

  /** Deployed rules, which count from the next batch on. */
  use(rulesAt: RulesAt): void {
    this.rulesAt = rulesAt
    this.remembered = new Map()
    this.version++
  }

  /** The queues one envelope goes to. */
  queuesOf(envelope: Envelope): readonly Queue[] {
    const found = new Set<Queue>()
    for (const queue of this.tree.match(envelope.topic)) if (headersMatch(queue, envelope)) found.add(queue)
    if (this.rulesAt !== null) this.byRules(this.rulesAt, envelope, found)
    return found.size === 0 ? NONE : [...found]
  }

  private byRules({ rules, queue, named }: RulesAt, envelope: Envelope, found: Set<Queue>): void {
    const { queues, deferred, matched } = rules.route(envelope)
    const bound = found.size > 0
    for (const name of matched || bound ? queues : rules.defaults) {
      const target = named(name)
      if (target !== undefined) found.add(target)
    }
    if (deferred) found.add(queue)
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
    return { placements: this.noted(choices.placements()), unroutedCount, contents: contentsOf(ways) }
  }

  /** What comes into the router's queue says by which rules. */
  private noted(placements: Placement[]): readonly Placement[] {
    if (this.rulesAt === null) return placements
    const { queue, rules } = this.rulesAt
    const note = String(rules.version.version)
    return placements.map((placement) => (placement.queue === queue ? { ...placement, note } : placement))
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

function contentsOf(ways: readonly Way[]): readonly string[] {
  let found: Set<string> | null = null
  for (const { attributes } of ways) {
    if (attributes.contents === NO_CONTENTS) continue
    found ??= new Set()
    for (const id of attributes.contents) found.add(id)
  }
  return found === null ? NO_CONTENTS : [...found]
}

function headersMatch(queue: Queue, { headers }: Envelope): boolean {
  for (const [name, values] of Object.entries(queue.info.rule.where)) {
    const value = Object.hasOwn(headers, name) ? headers[name] : undefined
    if (value === undefined || value === null || !values.includes(String(value))) return false
  }
  return true
}
