// Takes what needs more than topic and headers to be routed out of the router's queue: asks the rules, has pipelines make of it what they
// make, and conveys. A message is taken off the queue in the transaction that puts it, or what was made of it, where it goes; so a
// hub that is killed has lost nothing, and done nothing twice.
//
// Batches are worked on side by side, and conveyed lane by lane in their order: one stream's messages stay in theirs. Pipelines that
// keep something see them in it, too. Whatever cannot be done for now (a full queue, a full store) is waited for; the router's
// queue grows meanwhile, and its limits hold back the senders. Large content that is not whole is another matter: one sender has it, who may
// never send the rest. Messages that want it go back, with what was taken behind them in their lane, and the lane rests.

import type { HubStore, Lane, Lease, Leaving, MadePlacement, Placed, Queue, Target } from '#hub/store/mod.ts'
import { placesOf } from '#hub/store/mod.ts'
import type { DocumentSession, Documents, Pipeline, Use } from '#hub/transform/mod.ts'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { type Batch, openBatch, PLAIN } from '#protocol/codec/mod.ts'
import type { SigningKey } from '#protocol/crypto/mod.ts'
import {
  type About,
  ConveyancePlan,
  dueDrafts,
  type Passage,
  type Places,
  type Plan,
  type Taken,
} from './conveyances.ts'
import { builderOf, type Draft, placementsOf } from './drafts.ts'
import { routerFault } from './faults.ts'
import { LEASE_MESSAGES_MAX, LEASES_BYTES_MAX, LEASES_MAX, RETRY_MS_MAX, RETRY_MS_MIN, STOP_MS_MAX } from './limits.ts'
import { type Noted, notedIn } from './noted.ts'
import { RestingLanes } from './resting.ts'
import type { Deciding, RuleWay } from './ways.ts'

/** The stream of what the hub makes: a name no agent's stream has to fear, since the origin is the hub. */
const STREAM = 'routed'
const EPOCH = 1

export type ConductorOptions = {
  readonly store: HubStore
  /** The router's queue. */
  readonly queue: Queue
  /** The rules a message came in under, those that count now when these are forgotten or not known. Throws what may pass. */
  readonly deciding: (noted: Noted | null) => Promise<Deciding>
  /** By its key; of the version that decided. */
  readonly pipeline: (version: number, key: string) => Promise<Pipeline>
  /** What is kept of a pipeline's state. */
  readonly stateText: (version: number, state: string, isEmpty: boolean) => string
  readonly identity: { readonly name: string; readonly key: SigningKey }
  /** Large contents; without them they are passed on as they are, or refused. */
  readonly documents?: Documents
  readonly onFault: (fault: Fault) => void
  /** Messages have left the queue. */
  readonly onConveyed?: () => void
}

/** `before`: all before it in its lane is on its way to the disk; false: it went back to the queue. `onConveying`: it is itself. */
type Turn = { readonly before: Promise<boolean>; readonly onConveying: () => void }

const AT_ONCE: Turn = { before: Promise.resolve(true), onConveying: () => undefined }

/** What came before has gone back, and so does this. */
class WentBack extends Error {}

type Ready = {
  readonly plan: Plan
  /** The batch that `leaving` is of; `null` when nothing leaves. */
  readonly batch: Batch | null
  readonly uses: readonly Use[]
  readonly states: readonly { readonly name: string; readonly text: string }[]
}

export class Conductor {
  /** Messages conveyed since the start. */
  conveyed = 0
  private readonly options: ConductorOptions
  private readonly places: Places
  private readonly stopping = new AbortController()
  /** Resolves when the last of each lane is on its way to the disk: the next waits for it. False: it went back. */
  private readonly lanes = new Map<Lane, Promise<boolean>>()
  private readonly resting = new RestingLanes()
  private readonly leases = new Set<Lease>()
  private bytes = 0
  private readonly running = new Set<Promise<void>>()

  constructor(options: ConductorOptions) {
    this.options = options
    const { queues } = options.store
    this.places = {
      named: (name) => queues.get(name),
      unrouted: queues.unrouted,
      deadLettersOf: (queue) => queues.deadLettersOf(queue),
      laneOf: (partition, priority) => queues.laneOf(partition, priority),
    }
  }

  start(): void {
    this.options.queue.onReady = () => this.wake()
    this.wake()
  }

  /** There may be something to do. */
  wake(): void {
    queueMicrotask(() => this.pump())
  }

  /** What is under way goes back to the queue. A disk that takes nothing any more is not waited for: what waits for it is undone. */
  async stop(): Promise<void> {
    this.stopping.abort()
    this.options.queue.onReady = () => undefined
    const late = Promise.withResolvers<void>()
    const timer = setTimeout(() => late.resolve(), STOP_MS_MAX)
    await Promise.race([Promise.all(this.running), late.promise])
    clearTimeout(timer)
  }

  /** What a pipeline gives by time alone, for rules; with `flush` some of what waits in it. `null`: not now. Never rejects. */
  async due(
    pipeline: Pipeline,
    { way, about, flush }: { readonly way: RuleWay; readonly about: About; readonly flush: boolean },
  ): Promise<{ readonly waits: boolean } | null> {
    let given: { readonly waits: boolean } | null = null
    await this.run(async () => {
      const use = await pipeline.use()
      using documents = this.session(0, null)
      try {
        const passed = await (flush ? use.flush : use.due)(documents ?? undefined)
        const drafts = await dueDrafts(passed, {
          way,
          about,
          queues: this.places,
          from: this.options.queue,
          nowMs: this.nowMs,
          documents,
        })
        const states =
          passed.state === null
            ? []
            : [this.kept(pipeline, about.version, { state: passed.state, isEmpty: flush && !passed.waits })]
        await this.commit({ plan: { leaving: [], drafts }, batch: null, uses: [use], states }, AT_ONCE)
        given = { waits: passed.waits }
      } finally {
        await use.end()
      }
    })
    return given
  }

  /** Leases under way, until what comes of them is on the disk. */
  get underWay(): number {
    return this.leases.size
  }

  private readonly onPipelineFault = (error: unknown): void => this.options.onFault(asFault(error, 'pipeline'))

  private get signal(): AbortSignal {
    return this.stopping.signal
  }

  private pump(): void {
    const { store, queue } = this.options
    while (!this.signal.aborted && store.readable && this.leases.size < LEASES_MAX && this.bytes < LEASES_BYTES_MAX) {
      const isOpen = (lane: Lane) => this.resting.isOpen(lane, this.lanes.has(lane))
      const lease = store.take(queue, LEASE_MESSAGES_MAX, this, isOpen)
      if (lease === null) return
      this.launch(lease)
    }
  }

  private launch(lease: Lease): void {
    const { lane } = lease
    const before = this.lanes.get(lane) ?? Promise.resolve(true)
    const { bytes } = lease.entry
    this.leases.add(lease)
    this.bytes += bytes
    const turn = Promise.withResolvers<boolean>()
    this.lanes.set(lane, turn.promise)
    void this.run(() => this.work(lease, { before, onConveying: () => turn.resolve(true) })).finally(() => {
      turn.resolve(false)
      this.leases.delete(lease)
      this.bytes -= bytes
      if (this.lanes.get(lane) === turn.promise) this.lanes.delete(lane)
      this.wake()
    })
  }

  /** Never rejects. */
  private run(work: () => Promise<void>): Promise<void> {
    const running = work()
      .catch((error: unknown) => {
        if (!this.signal.aborted) this.options.onFault(asFault(error, 'router'))
      })
      .finally(() => this.running.delete(running))
    this.running.add(running)
    return running
  }

  /** One lease, until it is conveyed or the hub stops. */
  private async work(lease: Lease, turn: Turn): Promise<void> {
    const { before } = turn
    for (let waitMs = RETRY_MS_MIN; !this.signal.aborted; waitMs = Math.min(2 * waitMs, RETRY_MS_MAX)) {
      const uses: Use[] = []
      using held = new DisposableStack()
      let fault: Fault | null = null
      try {
        const ready = await this.prepare(lease, { before, uses, held })
        await this.commit(ready, turn)
      } catch (error) {
        if (this.signal.aborted || error instanceof WentBack) break
        fault = asFault(error, `queue ${lease.lane.queue.info.name}`)
        this.options.onFault(fault)
      } finally {
        // Its messages go on, or back, whatever becomes of the pipeline.
        for (const use of uses) await use.end().catch(this.onPipelineFault)
      }
      if (fault === null) {
        // It is on the disk: whatever fails from here on, it is not done again.
        this.conveyed += lease.count
        this.resting.end(lease.lane)
        this.options.onConveyed?.()
        return
      }
      const { content, origin } = fault.details
      if (typeof content === 'string') {
        void this.run(() => this.rest(lease.lane, { content, origin: String(origin) }))
        break
      }
      await this.pause(waitMs)
    }
    await before
    this.options.store.giveBack([{ ...lease, attempt: lease.attempt - 1 }], '')
  }

  /** Nothing is taken of the lane until more may be there of a content. */
  private async rest(lane: Lane, { content, origin }: { content: string; origin: string }): Promise<void> {
    const waitMs = this.resting.begin(lane, origin)
    if (waitMs === null) return
    await this.pause(waitMs, content)
    this.resting.over(lane)
    this.wake()
  }

  /** What is to be conveyed; pipelines that are in use until it is are in `uses`. */
  private async prepare(
    lease: Lease,
    { before, uses, held }: { readonly before: Promise<boolean>; readonly uses: Use[]; readonly held: DisposableStack },
  ): Promise<Ready> {
    const taken = this.open(lease)
    if (taken === null) return this.damaged(lease)
    const noted = notedIn(lease.entry.note)
    const rules = await this.options.deciding(noted)
    const { version } = rules
    // What other rules decided when it came in says nothing about these.
    const known = noted?.version === version.version || noted?.version === null ? noted : null
    const { origin } = taken.batch.head
    const documents = this.session(rules.documentBytesMax, this.resting.mayRest(lease.lane, origin) ? origin : null)
    held.use(documents)
    const had = (known?.left?.had ?? []).flatMap((id) => this.options.store.queues.withId(id)?.info.name ?? [])
    const { signal } = this
    const decisions = await rules.decide(taken.batch, taken.places, { noted: known, had, signal, documents })
    const again = known?.left == null ? null : rules.remark(known.left)
    const plan = new ConveyancePlan(taken, decisions, {
      queues: this.places,
      defaults: rules.defaults,
      about: { version: version.version, by: version.by, ...(again === null ? {} : { again }) },
      noted: known,
      nowMs: this.nowMs,
      contentOf: documents === null ? undefined : (id) => documents.content(id),
    })
    const passages: { passage: Passage; pipeline: Pipeline }[] = []
    for (const passage of plan.passages) {
      passages.push({ passage, pipeline: await this.options.pipeline(version.version, passage.pipeline) })
    }
    const states: { name: string; text: string }[] = []
    // One that keeps something sees the messages of a lane in their order, and all who use several of them take them in one order.
    if (passages.some(({ pipeline }) => pipeline.keeps)) await goneOn(before)
    for (const { passage, pipeline } of passages.toSorted((a, b) => (a.pipeline.name < b.pipeline.name ? -1 : 1))) {
      const use = await pipeline.use()
      if (pipeline.keeps) uses.push(use)
      try {
        const passed = await use.process(passage.items, documents ?? undefined)
        await plan.passed(passage, passed, documents)
        if (passed.state !== null)
          states.push(this.kept(pipeline, version.version, { state: passed.state, isEmpty: false }))
      } finally {
        if (!pipeline.keeps) await use.end()
      }
    }
    return { plan: plan.plan(), batch: taken.batch, uses, states }
  }

  private kept(
    { name }: Pipeline,
    version: number,
    { state, isEmpty }: { readonly state: string; readonly isEmpty: boolean },
  ): { name: string; text: string } {
    return { name, text: this.options.stateText(version, state, isEmpty) }
  }

  private open(lease: Lease): Taken | null {
    try {
      const batch = openBatch(this.options.store.batchBytes(lease.entry.batchSeq))
      const places = placesOf(lease.entry, lease.from - lease.entry.position, lease.count)
      // Its payload is read now: what is broken in there is so for all of them.
      batch.messages()(places[0] as number)
      return { lease, batch, places }
    } catch (error) {
      const fault = asFault(error)
      if (fault.details.retry === true) throw fault
      this.options.onFault(fault)
      return null
    }
  }

  private damaged(lease: Lease): Ready {
    const { code, message } = routerFault('ROUTE_MESSAGE_DAMAGED')
    const queue = this.places.deadLettersOf(lease.lane.queue)
    const note = `${code}: ${message}`
    const { from, count } = lease
    const to = [{ queue, lane: 0, note, backNote: lease.entry.note }]
    const leaving = [{ lease, from, count, to, by: '', reason: note }]
    return { plan: { leaving, drafts: [] }, batch: null, uses: [], states: [] }
  }

  private async commit({ plan, batch, uses, states }: Ready, { before, onConveying }: Turn): Promise<void> {
    const { store } = this.options
    const placed: Placed[] = []
    try {
      for (const draft of plan.drafts) placed.push(await this.keep(draft))
      await goneOn(before)
      this.signal.throwIfAborted()
      // They come to the disk in the order they are taken: the next need not wait for it.
      await this.whenAdmitted(() =>
        store.conveying.convey(() => ({ ...this.admitted(plan.leaving, batch, placed), states }), onConveying),
      )
    } catch (error) {
      await store.conveying.drop(placed.map(({ made }) => made))
      throw error
    }
    // It has taken effect: what fails now must not have it done again. A pipeline that does not take it in is opened anew.
    for (const use of uses) await use.committed().catch(this.onPipelineFault)
  }

  /** A draft as a batch on the disk. */
  private async keep(draft: Draft): Promise<Placed> {
    const { store, identity } = this.options
    const stream = store.stream(identity.name, STREAM, EPOCH)
    try {
      const batch = openBatch(
        builderOf(draft).seal({
          origin: identity.name,
          stream: STREAM,
          epoch: EPOCH,
          firstSeq: stream.plannedSeq + 1,
          sealedAtMs: this.nowMs,
          key: identity.key,
          compression: 'none',
          tree: true,
        }),
      )
      const made = await store.conveying.keep(stream, batch)
      return { made, of: draft.of, detail: draft.detail, placements: placementsOf(draft, batch) }
    } finally {
      store.closeStream(stream)
    }
  }

  /** Repeats what a full queue refuses. */
  private async whenAdmitted(convey: () => Promise<void>): Promise<void> {
    for (let waitMs = RETRY_MS_MIN; ; waitMs = Math.min(2 * waitMs, RETRY_MS_MAX)) {
      try {
        await convey()
        return
      } catch (error) {
        const fault = asFault(error)
        // Any other has the lease prepared anew.
        if (fault.code !== 'QUEUE_FULL' || fault.details.retry !== true) throw fault
        if (this.signal.aborted) throw fault
        await this.pause(waitMs)
        this.signal.throwIfAborted()
      }
    }
  }

  /** What a lease brings to one queue, as it is and made of it, comes into it together. */
  private admitted(
    leaving: readonly Leaving[],
    batch: Batch | null,
    made: readonly Placed[],
  ): { readonly leaving: readonly Leaving[]; readonly made: readonly Placed[] } {
    const { queues } = this.options.store
    const parts: Parameters<typeof queues.fullFor>[0][number][] = made.map((one) => ({
      placements: one.placements.filter(asks),
      batch: one.made.batch,
    }))
    if (batch !== null) {
      const placements = leaving.flatMap(({ to, count }) => to.filter(asks).map(({ queue }) => ({ queue, count })))
      parts.push({ placements, batch })
    }
    const full = queues.fullFor(parts)
    if (full.size === 0) return { leaving, made }
    const note = 'QUEUE_FULL'
    const aside = (target: Target): Target => {
      const { queue, lane } = target
      if (!asks(target) || !full.has(queue)) return target
      return { queue: queues.deadLettersOf(queue), lane: 0, note, home: { queueId: queue.info.id, lane } }
    }
    const madeAside = (placement: MadePlacement): MadePlacement => {
      const { queue, partition, attributes } = placement
      if (!asks(placement) || !full.has(queue)) return placement
      const home = { queueId: queue.info.id, lane: queues.laneOf(partition, attributes.priority) }
      return { ...placement, home, queue: queues.deadLettersOf(queue), partition: 0, attributes: PLAIN, note }
    }
    return {
      leaving: leaving.map((one) => ({ ...one, to: one.to.map(aside) })),
      made: made.map((one) => ({ ...one, placements: one.placements.map(madeAside) })),
    }
  }

  private get nowMs(): number {
    return this.options.store.clock.wallMs()
  }

  /** `null` when nobody lends large contents. */
  private session(bytesMax: number, waitsFor: string | null): DocumentSession | null {
    return this.options.documents?.session({ bytesMax, waitsFor, signal: this.signal }) ?? null
  }

  /** Ends early when the hub stops, or more comes of a content that is waited for. */
  private async pause(ms: number, content?: string): Promise<void> {
    if (this.signal.aborted) return
    using following = new DisposableStack()
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      this.signal.addEventListener('abort', done)
      if (content !== undefined && this.options.documents !== undefined)
        following.use(this.options.documents.whenWhole(content, done))
    })
  }
}

async function goneOn(before: Promise<boolean>): Promise<void> {
  if (!(await before)) throw new WentBack()
}

/** One that is forgotten takes nothing, however long it is waited for: conveying says so. */
const isLimited = ({ info, forgotten }: Queue): boolean =>
  !forgotten && (info.policy.messagesMax > 0 || info.policy.bytesMax > 0)
const asks = ({ queue, note }: Pick<Target, 'queue' | 'note'>): boolean => note === undefined && isLimited(queue)
