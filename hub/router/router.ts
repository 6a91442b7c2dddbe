// Which queues a message belongs to: by topic pattern and header rules; and how it lies there: its priority, times and
// partition. Rules are compiled into a tree once per change, and what was found is remembered: for a topic, and for what a rule
// says of it, as long as that is all that counts; for a whole envelope otherwise. So a batch costs one look-up per distinct
// envelope, whatever the number of rules. Only queues ordered by key look into the messages.

import type { Placement, Queue } from '#hub/store/mod.ts'
import type { Attributes, Batch, Envelope } from '#protocol/codec/mod.ts'
import { attributesOf, NO_CONTENTS, PLAIN, TopicTree } from '#protocol/codec/mod.ts'
import { Choices } from './choices.ts'
import { backNoteOf, notedIn, noteOf } from './noted.ts'
import { type AtOnce, NO_RULE_FITS } from './rules/mod.ts'

/** Envelopes, and topics, whose queues are remembered: 16 Ki entries of about 200 bytes each. */
const REMEMBERED_MAX = 16_384
/** What topics' rules say, of all topics. */
const REMEMBERED_WAYS_MAX = 131_072

/** What is known of all messages with one envelope. */
type Way = {
  readonly queues: readonly Queue[]
  /** The router's queue has to decide the rest: with a note, which it is remembered by. */
  readonly deferred: string | null
  /** A rule names a queue that is not there (any more): what it has is noted for whoever sends it back. */
  readonly missing: string | null
  readonly attributes: Attributes
}

/** What is known of all messages with one topic. */
type AtTopic = {
  /** Queues that ask for it, whatever the headers. */
  readonly queues: readonly Queue[]
  /** Queues that ask for it and for headers. */
  readonly asking: readonly Queue[]
  /** By what the rules say: where messages without headers of their own go. */
  readonly ways: Map<AtOnce, Way>
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
  /** It takes no longer to ask the rules than to find an answer again. */
  readonly isQuick: boolean
  route(envelope: Envelope): AtOnce
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
  private topics = new Map<string, AtTopic>()
  private rememberedWays = 0
  private pending: (() => Iterable<Queue>) | null = null

  /** The rules have changed: those of `queues` count from the next batch on. Compiled then, once for many changes. */
  stale(queues: () => Iterable<Queue>): void {
    this.pending = queues
  }

  /** Compiles the rules of these queues; the ones before are forgotten. */
  compile(queues: Iterable<Queue>): void {
    this.tree = new TopicTree()
    for (const queue of queues) for (const pattern of queue.info.rule.topics) this.tree.add(pattern, queue)
    this.forget()
    this.pending = null
    this.version++
  }

  /** Deployed rules, which count from the next batch on. */
  use(rulesAt: RulesAt): void {
    this.rulesAt = rulesAt
    this.forget()
    this.version++
  }

  /** The queues one envelope goes to at once. */
  queuesOf(envelope: Envelope): readonly Queue[] {
    return this.wayOf(envelope, this.say(envelope)).queues
  }

  private say(envelope: Envelope): AtOnce {
    return this.rulesAt === null ? NO_RULE_FITS : this.rulesAt.rules.route(envelope)
  }

  private wayOf(envelope: Envelope, atOnce: AtOnce): Way {
    const { queues, asking } = this.atTopic(envelope.topic)
    const found = new Set(queues)
    for (const queue of asking) if (headersMatch(queue, envelope)) found.add(queue)
    return this.make(found, { atOnce, attributes: attributesOf(envelope.headers) })
  }

  private make(found: Set<Queue>, { atOnce, attributes }: { atOnce: AtOnce; attributes: Attributes }): Way {
    if (this.rulesAt === null) return { queues: [...found], deferred: null, missing: null, attributes }
    const { rules, named } = this.rulesAt
    const { queues, deferred, matched } = atOnce
    let isMissing = false
    for (const name of matched || found.size > 0 ? queues : rules.defaults) {
      const queue = named(name)
      if (queue === undefined) isMissing = true
      else found.add(queue)
    }
    const note = noteOf({ version: rules.version.version, placed: found.size > 0 || isMissing })
    const missing = isMissing ? backNoteWith(deferred ? [...found, this.routing] : [...found]) : null
    return { queues: [...found], deferred: deferred ? note : null, missing, attributes }
  }

  private atTopic(topic: string): AtTopic {
    const known = this.topics.get(topic)
    if (known !== undefined) return known
    const all = new Set(this.tree.match(topic))
    const queues: Queue[] = []
    const asking: Queue[] = []
    for (const queue of all) (Object.keys(queue.info.rule.where).length === 0 ? queues : asking).push(queue)
    const atTopic = { queues, asking, ways: new Map() }
    if (this.topics.size >= REMEMBERED_MAX) this.forget()
    this.topics.set(topic, atTopic)
    return atTopic
  }

  private forget(): void {
    this.remembered = new Map()
    this.topics = new Map()
    this.rememberedWays = 0
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
    const misses = new Map<string, Choices>()
    let unroutedCount = 0
    for (const { envelope, from, count } of runs) {
      const { queues, deferred, missing, attributes } = ways[envelope] as Way
      const isUnwanted = queues.length === 0 && deferred === null
      if (isUnwanted || missing !== null) {
        unroutedCount += count
        if (isUnwanted || missing === null) choices.add(unrouted, PLAIN, from, count)
        else noted(batch, misses, missing).add(unrouted, PLAIN, from, count)
      }
      for (const queue of queues) choices.add(queue, attributes, from, count)
      if (deferred !== null) noted(batch, deferrals, deferred).add(this.routing, attributes, from, count)
    }
    const placements: Placement[] = choices.placements()
    for (const [backNote, miss] of misses) {
      for (const placement of miss.placements()) placements.push({ ...placement, backNote })
    }
    for (const [note, deferral] of deferrals) {
      for (const placement of deferral.placements()) placements.push({ ...placement, note })
    }
    return { placements, unroutedCount, contents: contentsOf(ways) }
  }

  /** Where messages go that are sent back from the unrouted ones, `backNote` saying what has them. Faults: as `route`. */
  routeAgain(batch: Batch, unrouted: Queue, backNote: string): readonly Placement[] {
    const had = new Set(notedIn(backNote)?.left?.had)
    return this.route(batch, unrouted).placements.filter(({ queue }) => !had.has(queue.info.id))
  }

  private get routing(): Queue {
    return (this.rulesAt as RulesAt).queue
  }

  private recall(batch: Batch, ends: readonly number[], i: number, envelope: Envelope): Way {
    if (this.rulesAt === null || this.rulesAt.rules.isQuick) {
      const way = this.recallAtTopic(envelope)
      if (way !== null) return way
    }
    const name = batch.indexBytes.toString('latin1', i === 0 ? 0 : ends[i - 1], ends[i])
    const known = this.remembered.get(name)
    if (known !== undefined) return known
    const way = this.wayOf(envelope, this.say(envelope))
    // Such an envelope hardly comes again, and would drive out others.
    if (way.attributes.contents !== NO_CONTENTS) return way
    if (this.remembered.size >= REMEMBERED_MAX) this.remembered.clear()
    this.remembered.set(name, way)
    return way
  }

  /** `null` when its other headers count as well. */
  private recallAtTopic(envelope: Envelope): Way | null {
    const { queues, asking, ways } = this.atTopic(envelope.topic)
    if (asking.length > 0 || attributesOf(envelope.headers) !== PLAIN) return null
    const atOnce = this.say(envelope)
    if (!atOnce.lasting) return null
    const known = ways.get(atOnce)
    if (known !== undefined) return known
    const way = this.make(new Set(queues), { atOnce, attributes: PLAIN })
    if (++this.rememberedWays > REMEMBERED_WAYS_MAX) this.forget()
    else ways.set(atOnce, way)
    return way
  }
}

function noted(batch: Batch, all: Map<string, Choices>, note: string): Choices {
  let choices = all.get(note)
  if (choices === undefined) {
    choices = new Choices(batch)
    all.set(note, choices)
  }
  return choices
}

function backNoteWith(queues: readonly Queue[]): string {
  const had = queues.map(({ info }) => info.id)
  return backNoteOf({ placed: had.length > 0, left: { only: null, behind: null, done: [], had, made: false } })
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
