// Makes of what the rules say of messages, and of what pipelines make of them, one conveyance: where each message goes on, what comes new,
// and what is dead and why. Nothing here changes anything.

import type { ChainReject, LargeDocuments, StepRecord } from '#agent/components/chain/types.ts'
import type { Item } from '#agent/components/mod.ts'
import type { Lease, Leaving, Queue, Target } from '#hub/store/mod.ts'
import { type ContentOf, itemOf, type MadeMessage, messageOf, type Passed } from '#hub/transform/mod.ts'
import { asFault, Fault } from '#protocol/base/mod.ts'
import { attributesOf, type Batch, BatchBuilder, type MessageView } from '#protocol/codec/mod.ts'
import { BODY_BYTES_MAX } from '#protocol/frame/mod.ts'
import { Partitions } from './choices.ts'
import { type DeadOne, deadLettersOf, type Graves } from './dead-groups.ts'
import { type Draft, draftsOf, type MadeOne } from './drafts.ts'
import { routerFault } from './faults.ts'
import { backNoteOf, type Noted } from './noted.ts'
import { type Decision, namesOf, type RuleWay } from './ways.ts'

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

/** Of which rules, and who deployed them; `again`: how what was sent back is decided. */
export type About = { readonly version: number; readonly by: string; readonly again?: string }

export type Plan = { readonly leaving: readonly Leaving[]; readonly drafts: readonly Draft[] }

/** What a message goes through: one rule's pipeline, for some messages of a lease. */
export type Passage = {
  /** Its key: see `RuleWay`. */
  readonly pipeline: string
  readonly ways: readonly RuleWay[]
  readonly indexes: readonly number[]
  readonly items: readonly Item[]
}

type Fate = {
  to: Target[]
  readonly notes: string[]
  readonly steps: RuleSteps[]
  /** Names of the rules that it died of; `all`: of none that could be named. */
  readonly failed: Set<string>
  all: boolean
  /** Names of the rules whose pipelines it went through. */
  readonly done: Set<string>
  /** What it has beside `to`. */
  readonly had: Set<Queue>
  endedBy: string | null
}
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
  private readonly about: About
  private readonly noted: Noted | null
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
    decisions: readonly Decision[],
    options: {
      readonly queues: Places
      readonly defaults: readonly string[]
      /** For the trace. */
      readonly about: About
      /** What was known of the messages when they were decided. */
      readonly noted: Noted | null
      readonly nowMs: number
      readonly contentOf?: ContentOf | undefined
    },
  ) {
    this.taken = taken
    this.contentOf = options.contentOf
    this.queues = options.queues
    this.about = options.about
    this.noted = options.noted
    this.nowMs = options.nowMs
    this.fates = decisions.map(({ had, endedBy }) => ({
      to: [],
      notes: [],
      steps: [],
      failed: new Set(),
      all: false,
      done: new Set(options.noted?.left?.done),
      had: new Set(had.flatMap((name) => options.queues.named(name) ?? [])),
      endedBy,
    }))
    const messages = taken.batch.messages()
    this.message = (i) => messages(taken.places[i] as number)
    this.partitions = new Partitions(taken.batch)
    const passages = new Map<string, { ways: RuleWay[]; indexes: number[]; items: Item[] }>()
    for (const [i, decision] of decisions.entries()) {
      this.decided(i, decision, { defaults: options.defaults, passages })
    }
    this.passages = [...passages].map(([pipeline, passage]) => ({ pipeline, ...passage }))
  }

  /** What came of a passage. `documents` takes what no message does. */
  async passed(passage: Passage, passed: Passed, documents: LargeDocuments | null): Promise<void> {
    const { items, rejects, steps } = passed
    const { pipeline, ways, indexes } = passage
    const rules = [...new Set(ways.flatMap(({ rules }) => rules))]
    const record: RuleSteps = { rule: namesOf({ rules }), pipeline, steps, ...contentsOf(passage.items, items) }
    const at = new Map(indexes.map((index, place) => [index, place]))
    const placeOf = ({ ref }: Item): number => (typeof ref === 'number' ? (at.get(ref) ?? -1) : -1)
    const dead = new Set<number>()
    const kill = (place: number, refusal: Parameters<typeof noteOf>[1]): void => {
      const index = indexes[place] as number
      dead.add(index)
      this.killBy(index, (ways[place] as RuleWay).rules, refusal)
    }
    const orphans: ChainReject[] = []
    for (const reject of rejects) {
      const place = placeOf(reject.item)
      if (place < 0) orphans.push(reject)
      else kill(place, reject)
    }
    const outputs: { i: number; one: MadeOne }[] = []
    const [first] = ways as [RuleWay, ...RuleWay[]]
    const group = this.groupsOf(passed, { ...first, rules }, documents)
    for (const item of items) {
      const place = placeOf(item)
      if (place < 0) {
        for (const one of await group.made(item)) outputs.push({ i: -1, one })
        continue
      }
      const index = indexes[place] as number
      try {
        outputs.push({ i: index, one: this.make(item, index, ways[place] as RuleWay) })
      } catch (error) {
        kill(place, { fault: asFault(error) })
      }
    }
    const messages = outputs.filter(({ i }) => !dead.has(i)).map(({ one }) => one)
    for (const reject of orphans) messages.push(...(await group.refused(reject)))
    if (messages.length > 0) this.made.push({ rule: record, messages })
    for (const [place, i] of indexes.entries()) {
      const fate = this.fates[i] as Fate
      fate.steps.push(record)
      if (!dead.has(i)) for (const rule of (ways[place] as RuleWay).rules) fate.done.add(rule)
    }
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
    for (const { rule, fault } of faults) {
      if (rule === null) this.kill(i, `${fault.code}: ${fault.message}`)
      else this.killBy(i, [rule], { fault })
    }
    if (ways.length === 0 && faults.length === 0 && !placed) {
      // What it has of them is decided with all rules, so that the default is one of them again.
      if (defaults.length > 0) this.send(i, null, defaults)
      else this.fates[i]?.to.push({ queue: this.queues.unrouted, lane: 0, note: 'NO_ROUTE' })
      return
    }
    for (const way of ways) {
      if (way.pipeline === null) {
        this.send(i, way.rules, way.queues)
        this.fates[i]?.steps.push({ rule: namesOf(way) })
        continue
      }
      const item = itemOf(this.message(i), i, this.contentOf)
      if (item instanceof Fault) {
        this.killBy(i, way.rules, { fault: item })
        continue
      }
      const passage = passages.get(way.pipeline) ?? { ways: [], indexes: [], items: [] }
      passages.set(way.pipeline, passage)
      passage.ways.push(way)
      passage.indexes.push(i)
      passage.items.push(item)
    }
  }

  /** `rules`: `null` for those that want what no other does. */
  private send(i: number, rules: readonly string[] | null, names: readonly string[]): void {
    const { lease, places } = this.taken
    const missed = (fault: Fault): void => {
      if (rules === null) this.kill(i, noteOf('default', { fault }))
      else this.killBy(i, rules, { fault })
    }
    for (const queue of this.known(names, missed)) {
      const lane = this.queues.laneOf(this.partitions.of(queue, places[i] as number), lease.lane.priority)
      // Several rules may name one queue.
      if (!this.fates[i]?.to.some((other) => other.queue === queue)) this.fates[i]?.to.push({ queue, lane })
    }
  }

  /** What cannot be laid to single rules: when it is sent back all decide. */
  private kill(i: number, note: string): void {
    const fate = this.fates[i] as Fate
    fate.notes.push(note)
    fate.all = true
  }

  private killBy(i: number, rules: readonly string[], refusal: Parameters<typeof noteOf>[1]): void {
    const fate = this.fates[i] as Fate
    fate.notes.push(noteOf(namesOf({ rules }), refusal))
    for (const rule of rules) fate.failed.add(rule)
  }

  /** What is left of a dead one to be decided. */
  private backNote({ failed, all, done, had, to, endedBy }: Fate): string {
    const left = this.noted?.left ?? null
    const ids = new Set(left?.had)
    for (const { info } of had) ids.add(info.id)
    for (const { queue } of to) if (queue !== this.queues.unrouted) ids.add(queue.info.id)
    const behind = endedBy !== null && failed.has(endedBy) ? endedBy : null
    return backNoteOf({
      placed: this.noted?.placed === true || ids.size > 0 || done.size > 0,
      left: {
        only: all || failed.size === 0 ? null : [...failed],
        behind: all ? null : behind,
        done: [...done],
        had: [...ids],
        made: left?.made === true,
      },
    })
  }

  private make(item: Item, i: number, way: RuleWay): MadeOne {
    const original = { message: this.message(i), expiresAtMs: this.taken.lease.entry.expiresAtMs }
    const message = messageOf(item, { topic: way.topic, original, nowMs: this.nowMs })
    this.check(message)
    const to = this.known(way.queues, (missing) => {
      throw missing
    })
    return { message, to, note: null }
  }

  /** Faults: what no batch takes. */
  private check(message: MadeMessage): void {
    this.scratch = checked(message, this.scratch)
  }

  private groupsOf(passed: Passed, way: RuleWay, documents: LargeDocuments | null): GivenGroups {
    const { lane } = this.taken.lease
    const { queues, nowMs } = this
    return new GivenGroups(passed, { way, queues, from: lane.queue, nowMs, documents })
  }

  private known(names: readonly string[], onMissing: (fault: Fault) => void): Queue[] {
    return knownOf(this.queues, names, onMissing)
  }

  private leaving(): Leaving[] {
    const { lease } = this.taken
    const dead = this.queues.deadLettersOf(lease.lane.queue)
    const out: { leaving: Leaving; key: string }[] = []
    for (const [i, fate] of this.fates.entries()) {
      const { to, notes, steps } = fate
      const [note] = notes
      const letter = { queue: dead, lane: 0, note: notes.join(' | ') }
      const targets: readonly Target[] = note === undefined ? to : [...to, { ...letter, backNote: this.backNote(fate) }]
      const detail = steps.length === 0 ? undefined : { ...this.about, rules: steps }
      const key = JSON.stringify([
        targets.map(({ queue, lane, note, backNote }) => [queue.info.id, lane, note, backNote]),
        detail,
      ])
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

/** What a pipeline gives without a message that it could have come of: of several, so of none in particular. */
class GivenGroups {
  private readonly graves: Graves
  private readonly options: GroupOptions
  private scratch = new BatchBuilder()

  constructor({ membersOf }: Passed, options: GroupOptions) {
    this.options = options
    const { way, nowMs, documents } = options
    const check = (message: MadeMessage): void => {
      this.scratch = checked(message, this.scratch)
    }
    this.graves = { membersOf, check, topic: way.topic, nowMs, documents }
  }

  /** What was made, to the queues that are there, and to the dead letters for those that are not. Throws what may pass. */
  async made(item: Item): Promise<MadeOne[]> {
    const { way, queues, nowMs } = this.options
    let message: MadeMessage
    try {
      message = messageOf(item, { topic: way.topic, original: null, nowMs })
      this.graves.check(message)
    } catch (error) {
      return this.refused({ item, fault: asFault(error) })
    }
    let gone: Fault | null = null
    const to = knownOf(queues, way.queues, (fault) => {
      gone = fault
    })
    const out: MadeOne[] = to.length === 0 ? [] : [{ message, to, note: null }]
    // The rules it was made for are forgotten.
    if (way.queues.length === 0)
      return this.refused({ item, fault: routerFault('ROUTE_RULE_GONE', { where: `pipeline ${way.pipeline}` }) })
    if (gone === null) return out
    for (const one of await deadLettersOf({ item, fault: gone }, this.graves, true)) out.push(this.dead(one, to))
    return out
  }

  async refused(reject: Omit<ChainReject, 'step' | 'type'> & Partial<ChainReject>): Promise<MadeOne[]> {
    return (await deadLettersOf(reject, this.graves)).map((one) => this.dead(one, []))
  }

  private dead(one: DeadOne, had: readonly Queue[]): MadeOne {
    const { way, queues, from } = this.options
    const to = [queues.deadLettersOf(from)]
    const { message, isWhole } = one
    const letter = { message, to, note: noteOf(namesOf(way), one) }
    if (!isWhole) return letter
    const left = { only: way.rules, behind: null, done: [], had: had.map(({ info }) => info.id), made: true }
    return { ...letter, home: { queueId: from.info.id, lane: 0 }, backNote: backNoteOf({ placed: true, left }) }
  }
}

type GroupOptions = {
  readonly way: RuleWay
  readonly queues: Pick<Places, 'named' | 'deadLettersOf'>
  /** The router's queue. */
  readonly from: Queue
  readonly nowMs: number
  readonly documents: LargeDocuments | null
}

/** What a pipeline gives by time, or because it ends. Throws what may pass. */
export async function dueDrafts(passed: Passed, options: GroupOptions & { readonly about: About }): Promise<Draft[]> {
  const { way, about } = options
  const { items, rejects, steps } = passed
  const group = new GivenGroups(passed, options)
  const messages: MadeOne[] = []
  for (const item of items) messages.push(...(await group.made(item)))
  for (const reject of rejects) messages.push(...(await group.refused(reject)))
  const rule = namesOf(way)
  const record = { rule, pipeline: way.pipeline ?? '', steps, ...contentsOf([], items) }
  return draftsOf(messages, `rule ${rule}`, { ...about, rules: [record] })
}

function knownOf(queues: Pick<Places, 'named'>, names: readonly string[], onMissing: (fault: Fault) => void): Queue[] {
  const found: Queue[] = []
  for (const name of names) {
    const queue = queues.named(name)
    if (queue === undefined) onMissing(routerFault('ROUTE_QUEUE_GONE', { where: `queue ${name}` }))
    else found.push(queue)
  }
  return found
}

/** Throws what no batch takes. Gives what to ask the next time: it has room. */
function checked({ topic, headers, key, body }: MadeMessage, scratch: BatchBuilder): BatchBuilder {
  attributesOf(headers)
  const size = typeof body === 'string' ? Buffer.byteLength(body) : body.length
  const builder = scratch.fits(0, key?.length ?? 0) ? scratch : new BatchBuilder()
  builder.add(topic, headers, key, size > BODY_BYTES_MAX ? body : '')
  return builder
}

/** For the trace; nothing when there are none. */
function contentsOf(items: readonly Item[], made: readonly Item[]): Pick<RuleSteps, 'contents'> {
  const idsOf = (all: readonly Item[]) => [
    ...new Set(all.flatMap(({ content }) => (content?.kind === 'hub' ? content.id.split(' ') : []))),
  ]
  const contents = { in: idsOf(items), out: idsOf(made) }
  return contents.in.length + contents.out.length === 0 ? {} : { contents }
}

/** Why a message is dead: code, rule, step, what happened and where, what to do. */
function noteOf(
  rule: string,
  { fault, step, type }: { readonly fault: Fault; readonly step?: number; readonly type?: string },
): string {
  const at = step === undefined ? '' : `, step ${step} ${type}`
  const where = fault.where === null ? '' : ` at ${fault.where}`
  const spot = spotOf(fault.details)
  // Some say it themselves.
  const told = spot === '' || fault.where?.includes(spot) === true ? '' : `, ${spot}`
  return `${fault.code}: rule ${rule}${at}${where}${told}: ${fault.message}. ${fault.remedy}`
}

function spotOf({ line, column, position }: Fault['details']): string {
  if (line !== undefined) return `line ${line}${column === undefined ? '' : `, column ${column}`}`
  return position === undefined ? '' : `position ${position}`
}
