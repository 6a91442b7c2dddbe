// Makes of what the rules say of messages, and of what pipelines make of them, one conveyance: where each message goes on, what comes new,
// and what is dead and why. Nothing here changes anything.

import type { ChainReject, StepRecord } from '#agent/components/chain/types.ts'
import type { Item } from '#agent/components/mod.ts'
import type { Lease, Leaving, MadePlacement, Queue, Target } from '#hub/store/mod.ts'
import { type ContentOf, itemOf, type MadeMessage, messageOf, type Passed } from '#hub/transform/mod.ts'
import { asFault, Fault } from '#protocol/base/mod.ts'
import { attributesOf, type Batch, BatchBuilder, type MessageView, PLAIN } from '#protocol/codec/mod.ts'
import { BODY_BYTES_MAX } from '#protocol/frame/mod.ts'
import { Choices, Partitions } from './choices.ts'
import { routerFault } from './faults.ts'
import { MADE_BATCH_BYTES } from './limits.ts'
import type { Decision, RuleWay } from './ways.ts'

/** The queues as a conveyance needs them. */
export type Places = {
  named(name: string): Queue | undefined
  readonly unrouted: Queue
  deadLettersOf(queue: Queue): Queue
  laneOf(partition: number, priority: number): number
}

/** Messages of a lease, opened. */
export type Taken = {
  readonly lease: Lease
  readonly batch: Batch
  /** Their places in the batch. */
  readonly places: readonly number[]
}

/** A message that is made, and where to. */
type MadeOne = { readonly message: MadeMessage; readonly to: readonly Queue[]; readonly note: string | null }

/** What was made and fits into one batch; to be sealed when its number is known. */
export type Draft = {
  readonly messages: readonly MadeOne[]
  readonly of: string
  readonly detail: unknown
  /** Holds the messages until it is sealed. */
  readonly builder: BatchBuilder
}

export type Plan = { readonly leaving: readonly Leaving[]; readonly drafts: readonly Draft[] }

/** What a message goes through: one rule's pipeline, for some messages of a lease. */
export type Passage = {
  /** Its key: see `RuleWay`. */
  readonly pipeline: string
  readonly ways: readonly RuleWay[]
  readonly indexes: readonly number[]
  readonly items: readonly Item[]
}

type Fate = { to: Target[]; readonly notes: string[]; readonly steps: RuleSteps[] }
type RuleSteps = {
  readonly rule: string
  readonly pipeline?: string
  readonly steps?: readonly StepRecord[]
  /** Ids of the large contents that went in, and of those that came out. */
  readonly contents?: { readonly in: readonly string[]; readonly out: readonly string[] }
}

export class ConveyancePlan {
  /** Messages by the pipelines they go through, in the order of the rules. */
  readonly passages: readonly Passage[]
  private readonly taken: Taken
  private readonly queues: Places
  private readonly about: { readonly version: number; readonly by: string }
  private readonly nowMs: number
  private readonly contentOf: ContentOf | undefined
  private readonly fates: Fate[]
  private readonly message: (i: number) => MessageView
  private readonly partitions: Partitions
  /** Takes what is made without its bodies, to find what no batch would take. */
  private scratch = new BatchBuilder()
  private readonly made: { readonly rule: RuleSteps; readonly messages: MadeOne[] }[] = []

  constructor(
    taken: Taken,
    decisions: readonly (Decision | Fault)[],
    options: {
      readonly queues: Places
      readonly defaults: readonly string[]
      /** Of the rules, for the trace. */
      readonly about: { readonly version: number; readonly by: string }
      readonly nowMs: number
      readonly contentOf?: ContentOf | undefined
    },
  ) {
    this.taken = taken
    this.contentOf = options.contentOf
    this.queues = options.queues
    this.about = options.about
    this.nowMs = options.nowMs
    this.fates = taken.places.map(() => ({ to: [], notes: [], steps: [] }))
    const messages = taken.batch.messages()
    this.message = (i) => messages(taken.places[i] as number)
    this.partitions = new Partitions(taken.batch)
    const passages = new Map<string, { ways: RuleWay[]; indexes: number[]; items: Item[] }>()
    for (const [i, decision] of decisions.entries()) {
      if (decision instanceof Fault) this.kill(i, `${decision.code}: ${decision.message}`)
      else this.decided(i, decision, { defaults: options.defaults, passages })
    }
    this.passages = [...passages].map(([pipeline, passage]) => ({ pipeline, ...passage }))
  }

  /** What came of a passage. */
  passed(passage: Passage, { items, rejects, steps }: Passed): void {
    const { pipeline, ways, indexes } = passage
    const rules = [...new Set(ways.map(({ rule }) => rule))]
    const rule = rules.join(', ')
    const record: RuleSteps = { rule, pipeline, steps, ...contentsOf(passage.items, items) }
    const at = new Map(indexes.map((index, place) => [index, place]))
    const placeOf = ({ ref }: Item): number => (typeof ref === 'number' ? (at.get(ref) ?? -1) : -1)
    const dead = new Set<number>()
    const orphans: ChainReject[] = []
    for (const reject of rejects) {
      const at = placeOf(reject.item)
      if (at < 0) orphans.push(reject)
      else {
        dead.add(indexes[at] as number)
        this.kill(indexes[at] as number, noteOf(rule, reject))
      }
    }
    const outputs: { i: number; one: MadeOne }[] = []
    for (const item of items) {
      const at = placeOf(item)
      const way = ways[Math.max(0, at)] as RuleWay
      try {
        outputs.push({
          i: at < 0 ? -1 : (indexes[at] as number),
          one: this.make(item, at < 0 ? null : (indexes[at] as number), way),
        })
      } catch (error) {
        if (at < 0) throw error
        dead.add(indexes[at] as number)
        this.kill(indexes[at] as number, noteOf(rule, { fault: asFault(error) }))
      }
    }
    const messages = outputs.filter(({ i }) => !dead.has(i)).map(({ one }) => one)
    for (const reject of orphans) messages.push(this.orphan(reject, ways[0] as RuleWay))
    if (messages.length > 0) this.made.push({ rule: record, messages })
    for (const i of indexes) this.fates[i]?.steps.push(record)
  }

  /** When every passage has passed. */
  plan(): Plan {
    return { leaving: this.leaving(), drafts: this.made.flatMap(({ rule, messages }) => this.drafts(rule, messages)) }
  }

  private decided(
    i: number,
    { ways, placed, faults }: Decision,
    {
      defaults,
      passages,
    }: {
      readonly defaults: readonly string[]
      readonly passages: Map<string, { ways: RuleWay[]; indexes: number[]; items: Item[] }>
    },
  ): void {
    for (const { rule, fault } of faults) this.kill(i, noteOf(rule, { fault }))
    if (ways.length === 0 && faults.length === 0 && !placed) {
      if (defaults.length > 0) this.send(i, 'default', defaults)
      else this.fates[i]?.to.push({ queue: this.queues.unrouted, lane: 0, note: 'NO_ROUTE' })
      return
    }
    for (const way of ways) {
      if (way.pipeline === null) {
        this.send(i, way.rule, way.queues)
        this.fates[i]?.steps.push({ rule: way.rule })
        continue
      }
      const item = itemOf(this.message(i), i, this.contentOf)
      if (item instanceof Fault) {
        this.kill(i, noteOf(way.rule, { fault: item }))
        continue
      }
      const passage = passages.get(way.pipeline) ?? { ways: [], indexes: [], items: [] }
      passages.set(way.pipeline, passage)
      passage.ways.push(way)
      passage.indexes.push(i)
      passage.items.push(item)
    }
  }

  private send(i: number, rule: string, names: readonly string[]): void {
    const { lease, places } = this.taken
    for (const queue of this.known(names, (missing) => this.kill(i, noteOf(rule, { fault: missing })))) {
      const lane = this.queues.laneOf(this.partitions.of(queue, places[i] as number), lease.lane.priority)
      // Several rules may name one queue.
      if (!this.fates[i]?.to.some((other) => other.queue === queue)) this.fates[i]?.to.push({ queue, lane })
    }
  }

  private kill(i: number, note: string): void {
    this.fates[i]?.notes.push(note)
  }

  private make(item: Item, i: number | null, way: RuleWay): MadeOne {
    const original = i === null ? null : { message: this.message(i), expiresAtMs: this.taken.lease.entry.expiresAtMs }
    const message = messageOf(item, { topic: way.topic, original, nowMs: this.nowMs })
    this.check(message)
    const to = this.known(way.queues, (missing) => {
      throw missing
    })
    return { message, to, note: null }
  }

  /** Faults: what no batch takes. */
  private check({ topic, headers, key, body }: MadeMessage): void {
    attributesOf(headers)
    const size = typeof body === 'string' ? Buffer.byteLength(body) : body.length
    if (!this.scratch.fits(0, key?.length ?? 0)) this.scratch = new BatchBuilder()
    this.scratch.add(topic, headers, key, size > BODY_BYTES_MAX ? body : '')
  }

  /** Something that was made of several messages and then refused. */
  private orphan(reject: ChainReject, way: RuleWay): MadeOne {
    const message = messageOf(reject.item, { topic: way.topic, original: null, nowMs: this.nowMs })
    const { lane } = this.taken.lease
    return { message, to: [this.queues.deadLettersOf(lane.queue)], note: noteOf(way.rule, reject) }
  }

  private known(names: readonly string[], onMissing: (fault: Fault) => void): Queue[] {
    const found: Queue[] = []
    for (const name of names) {
      const queue = this.queues.named(name)
      if (queue === undefined) onMissing(routerFault('ROUTE_QUEUE_GONE', { where: `queue ${name}` }))
      else found.push(queue)
    }
    return found
  }

  private leaving(): Leaving[] {
    const { lease } = this.taken
    const dead = this.queues.deadLettersOf(lease.lane.queue)
    const out: { leaving: Leaving; key: string }[] = []
    for (const [i, { to, notes, steps }] of this.fates.entries()) {
      const [note] = notes
      const targets = note === undefined ? to : [...to, { queue: dead, lane: 0, note: notes.join(' | ') }]
      const detail = steps.length === 0 ? undefined : { ...this.about, rules: steps }
      const key = JSON.stringify([targets.map(({ queue, lane, note }) => [queue.info.id, lane, note]), detail])
      const last = out.at(-1)
      if (last?.key === key) {
        last.leaving = { ...last.leaving, count: last.leaving.count + 1 }
        continue
      }
      const leaving = { lease, from: lease.from + i, count: 1, to: targets, by: '', reason: note ?? '', detail }
      out.push({ leaving, key })
    }
    return out.map(({ leaving }) => leaving)
  }

  private drafts(rule: RuleSteps, messages: readonly MadeOne[]): Draft[] {
    const { head } = this.taken.batch
    const [first, last] = [this.taken.places[0] as number, this.taken.places.at(-1) as number]
    const seqs = first === last ? `${head.firstSeq + first}` : `${head.firstSeq + first}-${head.firstSeq + last}`
    const of = `${head.origin}/${head.stream}/${head.epoch}/${seqs}`
    return draftsOf(messages, of, { ...this.about, rules: [rule] })
  }
}

/** What a pipeline gives by time alone: of several messages, so of none in particular. */
export function dueDrafts(
  { items, rejects, steps }: Passed,
  options: {
    readonly way: RuleWay
    readonly about: { readonly version: number; readonly by: string }
    readonly queues: Pick<Places, 'named' | 'deadLettersOf'>
    /** The router's queue. */
    readonly from: Queue
    readonly nowMs: number
  },
): Draft[] {
  const { way, about, queues, from, nowMs } = options
  const dead = queues.deadLettersOf(from)
  const known = way.queues.flatMap((name) => queues.named(name) ?? [])
  const gone =
    known.length < way.queues.length ? routerFault('ROUTE_QUEUE_GONE', { where: way.queues.join(', ') }) : null
  const messages = items.flatMap((item): MadeOne[] => {
    const message = messageOf(item, { topic: way.topic, original: null, nowMs })
    const lost = gone === null ? [] : [{ message, to: [dead], note: noteOf(way.rule, { fault: gone }) }]
    return known.length === 0 ? lost : [{ message, to: known, note: null }, ...lost]
  })
  for (const reject of rejects) {
    const message = messageOf(reject.item, { topic: way.topic, original: null, nowMs })
    messages.push({ message, to: [dead], note: noteOf(way.rule, reject) })
  }
  const record = { rule: way.rule, pipeline: way.pipeline ?? '', steps, ...contentsOf([], items) }
  return draftsOf(messages, `rule ${way.rule}`, { ...about, rules: [record] })
}

/** For the trace; nothing when there are none. */
function contentsOf(items: readonly Item[], made: readonly Item[]): Pick<RuleSteps, 'contents'> {
  const idsOf = (all: readonly Item[]) => [
    ...new Set(all.flatMap(({ content }) => (content?.kind === 'hub' ? content.id.split(' ') : []))),
  ]
  const contents = { in: idsOf(items), out: idsOf(made) }
  return contents.in.length + contents.out.length === 0 ? {} : { contents }
}

function draftsOf(messages: readonly MadeOne[], of: string, detail: unknown): Draft[] {
  const drafts: (Draft & { readonly messages: MadeOne[] })[] = []
  for (const one of messages) {
    const { body, key } = one.message
    const size = typeof body === 'string' ? Buffer.byteLength(body) : body.length
    let draft = drafts.at(-1)
    const isFull = draft === undefined || draft.builder.rawBytes + size > MADE_BATCH_BYTES
    if (draft === undefined || isFull || !draft.builder.fits(size, key?.length ?? 0)) {
      draft = { messages: [], of, detail, builder: new BatchBuilder() }
      drafts.push(draft)
    }
    add(draft.builder, one)
    draft.messages.push(one)
  }
  return drafts
}

function add(builder: BatchBuilder, { message }: MadeOne): void {
  builder.add(message.topic, message.headers, message.key, message.body)
}

/** Its messages, to be sealed; also when they were before. */
export function builderOf({ messages, builder }: Draft): BatchBuilder {
  if (builder.count === 0) for (const one of messages) add(builder, one)
  return builder
}

/** Where the messages of a draft go, once it is a batch. */
export function placementsOf({ messages }: Draft, batch: Batch): MadePlacement[] {
  const choices = new Choices(batch)
  const noted: MadePlacement[] = []
  for (const [i, { message, to, note }] of messages.entries()) {
    for (const queue of to) {
      if (note === null) choices.add(queue, attributesOf(message.headers), i, 1)
      else noted.push({ queue, partition: 0, attributes: PLAIN, count: 1, selection: [i, 1], note })
    }
  }
  const placements: MadePlacement[] = choices.placements().map((placement) => {
    const { ttlMs } = placement.attributes
    return ttlMs === 0 ? placement : { ...placement, expiresAtMs: batch.head.sealedAtMs + ttlMs }
  })
  return [...placements, ...noted]
}

/** Why a message is dead: code, rule, step, what happened and where, what to do. */
function noteOf(
  rule: string,
  { fault, step, type }: { readonly fault: Fault; readonly step?: number; readonly type?: string },
): string {
  const at = step === undefined ? '' : `, step ${step} ${type}`
  const where = fault.where === null ? '' : ` at ${fault.where}`
  const { line, column, position } = fault.details
  const spot =
    line !== undefined
      ? `, line ${line}${column === undefined ? '' : `, column ${column}`}`
      : position === undefined
        ? ''
        : `, position ${position}`
  return `${fault.code}: rule ${rule}${at}${where}${spot}: ${fault.message}. ${fault.remedy}`
}
