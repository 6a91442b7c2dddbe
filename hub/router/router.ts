// Which queues a message belongs to: by topic pattern and header rules; and how it lies there: its priority, times and
// partition. Rules are compiled into a tree once per change; the answer for an envelope is remembered, so a batch costs
// one look-up per distinct envelope, whatever the number of rules. Only queues ordered by key look into the messages.

import type { Placement, Queue } from '#hub/store/mod.ts'
import type { Attributes, Batch, Envelope } from '#protocol/codec/mod.ts'
import { attributesOf, NO_CONTENTS, PLAIN, TopicTree } from '#protocol/codec/mod.ts'
import { Choices } from './choices.ts'
import { noteOf } from './ways.ts'

/** Envelopes whose queues are remembered: 16 Ki entries of about 200 bytes. */
const REMEMBERED_MAX = 16_384

/** What is known of all messages with one envelope. */
type Way = {
  readonly queues: readonly Queue[]
  /** The router's queue has to decide the rest: with a note, which it is remembered by. */
  readonly deferred: string | null
  /** A rule names a queue that is not there (any more). */
  readonly isMissing: boolean
  readonly attributes: Attributes
}

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

  /** The queues one envelope goes to at once. */
  queuesOf(envelope: Envelope): readonly Queue[] {
    return this.wayOf(envelope).queues
  }

  private wayOf(envelope: Envelope): Way {
    const found = new Set<Queue>()
    for (const queue of this.tree.match(envelope.topic)) if (headersMatch(queue, envelope)) found.add(queue)
    const attributes = attributesOf(envelope.headers)
    if (this.rulesAt === null) return { queues: [...found], deferred: null, isMissing: false, attributes }
    const { rules, named } = this.rulesAt
    const { queues, deferred, matched } = rules.route(envelope)
    let isMissing = false
    for (const name of matched || found.size > 0 ? queues : rules.defaults) {
      const queue = named(name)
      if (queue === undefined) isMissing = true
      else found.add(queue)
    }
    const note = noteOf({ version: rules.version.version, placed: found.size > 0 || isMissing })
    return { queues: [...found], deferred: deferred ? note : null, isMissing, attributes }
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
    /** By their notes: what its decider must know of a message. */
    const deferrals = new Map<string, Choices>()
    let unroutedCount = 0
    for (const { envelope, from, count } of runs) {
      const { queues, deferred, isMissing, attributes } = ways[envelope] as Way
      if (isMissing || (queues.length === 0 && deferred === null)) {
        unroutedCount += count
        choices.add(unrouted, PLAIN, from, count)
      }
      for (const queue of queues) choices.add(queue, attributes, from, count)
      if (deferred !== null) this.defer(batch, deferrals, deferred).add(this.routing, attributes, from, count)
    }
    const placements: Placement[] = choices.placements()
    for (const [note, deferral] of deferrals) {
      for (const placement of deferral.placements()) placements.push({ ...placement, note })
    }
    return { placements, unroutedCount, contents: contentsOf(ways) }
  }

  private get routing(): Queue {
    return (this.rulesAt as RulesAt).queue
  }

  private defer(batch: Batch, deferrals: Map<string, Choices>, note: string): Choices {
    let choices = deferrals.get(note)
    if (choices === undefined) {
      choices = new Choices(batch)
      deferrals.set(note, choices)
    }
    return choices
  }

  private recall(batch: Batch, ends: readonly number[], i: number, envelope: Envelope): Way {
    const name = batch.indexBytes.toString('latin1', i === 0 ? 0 : ends[i - 1], ends[i])
    const known = this.remembered.get(name)
    if (known !== undefined) return known
    const way = this.wayOf(envelope)
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
