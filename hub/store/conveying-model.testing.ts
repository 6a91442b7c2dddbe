// A store whose messages are conveyed at random, beside a model in memory of where each of them is. A crash is an image of the files
// at a step on the way to the disk; what was promised before must be in it, and what was under way is in it altogether or not at all.

import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Random } from '#protocol/bytes/testing.ts'
import { type Batch, BatchBuilder, type Headers, openBatch } from '#protocol/codec/mod.ts'
import { signingKey } from '#protocol/crypto/mod.ts'
import type { Made } from './conveying.ts'
import type { Step } from './engine.ts'
import { endOf, placesOf } from './entry.ts'
import type { Lane, Lease } from './lane.ts'
import { layOut } from './power.testing.ts'
import type { Queue } from './queue.ts'
import { Scene } from './scene.testing.ts'
import type { HubStore } from './store.ts'

const KEY = signingKey(generateKeyPairSync('ed25519').privateKey)

/** What a message is known by: `s1/000012`, or, when it was made of that one, `s1/000012>000007.1`. */
export type Id = string
/** A message in a queue. */
export type At = readonly [queue: string, id: Id]

/** Happens altogether or not at all. `forgets`: the queue goes with all in it. */
export type Change = {
  readonly removes: readonly At[]
  readonly adds: readonly At[]
  readonly state?: string
  readonly forgets?: string
  /** Messages that come in, and whose end is to be told. */
  readonly asks?: readonly Id[]
}

export class Model {
  readonly where = new Map<string, Set<Id>>()
  readonly asked = new Set<Id>()
  state: string | null = null
  /** On their way to the disk, in their order. */
  pending: Change[] = []

  lying(queue: string): Set<Id> {
    const known = this.where.get(queue) ?? new Set()
    this.where.set(queue, known)
    return known
  }

  /** Also where it will be, and where it still is. */
  mayBeIn(queue: string, id: Id): boolean {
    return (
      this.lying(queue).has(id) ||
      this.pending.some(({ adds }) => adds.some(([to, what]) => to === queue && what === id))
    )
  }

  isLeaving(queue: string, id: Id): boolean {
    return this.pending.some(({ removes }) => removes.some(([from, what]) => from === queue && what === id))
  }

  apply({ removes, adds, state, forgets, asks = [] }: Change): void {
    for (const [queue, id] of removes) this.lying(queue).delete(id)
    for (const [queue, id] of adds) this.lying(queue).add(id)
    for (const id of asks) this.asked.add(id)
    if (state !== undefined) this.state = state
    if (forgets !== undefined) this.lying(forgets).clear()
  }

  copy(): Model {
    const copy = new Model()
    for (const [queue, ids] of this.where) copy.where.set(queue, new Set(ids))
    for (const id of this.asked) copy.asked.add(id)
    copy.state = this.state
    copy.pending = [...this.pending]
    return copy
  }
}

type Image = { readonly rows: Buffer; readonly segments: ReadonlyMap<number, Buffer>; readonly model: Model }

export class World {
  model = new Model()
  /** Messages that an operator sent back, or that were given another try behind others: they have no order. */
  readonly unordered = new Set<Id>()
  /** The files as a crash left them. */
  image: Image | null = null
  private stepsLeft = 0
  private rows: Buffer | null = null
  private scene_: Scene | null = null

  static async open(t: Test): Promise<World> {
    const world = new World()
    // A folder of its own: another run of this test must not take it away in between.
    const dataDir = mkdtempSync(join(tmpdir(), 'causeway-model-'))
    t.teardown(() => rmSync(dataDir, { recursive: true, force: true }))
    world.scene_ = await Scene.open(t, {
      dataDir,
      cacheBytes: 50_000,
      traceBytesMax: 100_000,
      onStep: (step) => world.step(step),
    })
    return world
  }

  get scene(): Scene {
    return this.scene_ as Scene
  }

  get store(): HubStore {
    return this.scene.store
  }

  /** A crash comes so many steps from now. */
  crashAfter(steps: number): void {
    this.stepsLeft = steps
  }

  /** What is told when `promise` resolves. */
  begin(change: Change, promise: Promise<unknown>): Promise<unknown> {
    const { model } = this
    model.pending.push(change)
    const over = () => {
      model.pending = model.pending.filter((other) => other !== change)
    }
    return promise.then(
      () => {
        over()
        model.apply(change)
      },
      (error: unknown) => {
        over()
        throw error
      },
    )
  }

  /** Where everything is. */
  actual(): Map<string, Map<number, Id[]>> {
    const batches = new Map<number, Batch>()
    const found = new Map<string, Map<number, Id[]>>()
    const { queues, book } = this.store
    for (const queue of queues.all()) {
      if (queue.info.name.startsWith('receipts/')) continue
      const lanes = new Map<number, Id[]>()
      for (const lane of queue.lanes.values()) {
        const ids: Id[] = []
        for (const entry of book.read(queue.info.id, lane.number, 0, Number.MAX_SAFE_INTEGER)) {
          const batch = batches.get(entry.batchSeq) ?? openBatch(this.store.batchBytes(entry.batchSeq))
          batches.set(entry.batchSeq, batch)
          for (const [from, to] of lane.settled.missing(entry.position, endOf(entry)))
            ids.push(...idsIn(batch, placesOf(entry, from - entry.position, to - from)))
        }
        if (ids.length > 0) lanes.set(lane.number, ids)
      }
      found.set(queue.info.name, lanes)
    }
    return found
  }

  /** Nothing is under way: every message is where it should be, once, and in its order. */
  compare(t: Test, when: string): void {
    const problems: string[] = []
    const actual = this.actual()
    for (const name of new Set([...actual.keys(), ...this.model.where.keys()])) {
      const lanes = actual.get(name) ?? new Map<number, Id[]>()
      const ids = [...lanes.values()].flat()
      const once = new Set(ids)
      if (once.size < ids.length) problems.push(`queue ${name}: ${ids.length - once.size} are there twice`)
      for (const id of this.model.lying(name)) if (!once.has(id)) problems.push(`queue ${name}: ${id} is lost`)
      for (const id of once) if (!this.model.lying(name).has(id)) problems.push(`queue ${name}: ${id} came back`)
      // Dead letters come from several queues.
      for (const [lane, ids] of name === '$dead' ? [] : lanes)
        problems.push(...this.disorder(ids).map((what) => `queue ${name}, lane ${lane}: ${what}`))
    }
    const state = this.store.conveying.state('state')
    if (state !== this.model.state) problems.push(`the state is ${state} instead of ${this.model.state}`)
    t.strictSame(problems.slice(0, 5), [], when)
  }

  /** Goes on with the files as the crash left them; gives how many changes were under way. */
  async recover(t: Test, image: Image): Promise<number> {
    await this.store.close()
    layOut(join(this.scene.dataDir, 'store'), image.rows, image.segments)
    this.image = null
    this.rows = null
    this.scene.failing = 0
    this.model = image.model
    await this.scene.restart()
    const actual = new Map([...this.actual()].map(([name, lanes]) => [name, new Set([...lanes.values()].flat())]))
    const { pending } = this.model
    this.model.pending = []
    for (const change of pending) if (this.tookEffect(t, change, actual)) this.model.apply(change)
    return pending.length
  }

  private tookEffect(
    t: Test,
    { removes, adds, forgets }: Change,
    actual: ReadonlyMap<string, ReadonlySet<Id>>,
  ): boolean {
    if (forgets !== undefined) return !actual.has(forgets)
    const [sign, expected] = removes.length > 0 ? [removes, false] : [adds, true]
    const said = sign.map(([queue, id]) => (actual.get(queue)?.has(id) ?? false) === expected)
    if (new Set(said).size > 1) t.fail(`half of a change took effect: ${JSON.stringify(sign)}`)
    return said[0] === true
  }

  private disorder(ids: readonly Id[]): string[] {
    const last = new Map<string, Id>()
    const out: string[] = []
    for (const id of ids) {
      if (this.unordered.has(baseOf(id))) continue
      const kind = `${id.slice(0, id.indexOf('/'))}${id.includes('>')}`
      const before = last.get(kind)
      if (before !== undefined && before > id) out.push(`${id} comes behind ${before}`)
      last.set(kind, id)
    }
    return out
  }

  private step(step: Step): void {
    if (this.image !== null || this.scene_ === null) return
    const folder = join(this.scene.dataDir, 'store')
    if (step === 'committed') this.rows = readFileSync(join(folder, 'store.mdb'))
    if (this.rows === null || this.stepsLeft === 0 || --this.stepsLeft > 0) return
    const segments = new Map<number, Buffer>()
    for (const name of readdirSync(join(folder, 'segments'))) {
      if (/^\d+\.seg$/.test(name)) segments.set(Number.parseInt(name, 10), readFileSync(join(folder, 'segments', name)))
    }
    this.image = { rows: this.rows, segments, model: this.model.copy() }
  }
}

/** The message it was made of, or itself. */
export const baseOf = (id: Id): Id => id.split('>')[0] as Id

export function idsIn(batch: Batch, places: readonly number[]): Id[] {
  const message = batch.messages()
  return places.map((place) => String(message(place).body).trimEnd())
}

export function leased(store: HubStore, lease: Lease): Id[] {
  const batch = openBatch(store.batchBytes(lease.entry.batchSeq))
  return idsIn(batch, placesOf(lease.entry, lease.from - lease.entry.position, lease.count))
}

/** A batch whose bodies are ids. */
export function batchOf(
  random: Random,
  ids: readonly Id[],
  {
    headers,
    final = false,
    ...as
  }: { origin: string; stream: string; firstSeq: number; headers: Headers; final?: boolean },
): Batch {
  const builder = new BatchBuilder()
  for (const id of ids) {
    const bodyBytes = random.oneIn(6) ? 20_000 : 20 + random.below(200)
    builder.add('t', headers, null, Buffer.from(id.padEnd(bodyBytes)))
  }
  const how = { epoch: 1, sealedAtMs: 0, key: KEY, compression: 'none', tree: false } as const
  return openBatch(builder.seal({ ...as, ...how, receipts: final ? 'final' : 'none' }))
}

/** Messages that were taken to be conveyed, and what becomes of each. */
export type Out = {
  readonly lane: Lane
  readonly lease: Lease
  readonly ids: readonly Id[]
  /** The queues of each, as they were then. */
  readonly to: readonly (readonly Queue[])[]
  readonly makes: readonly Id[]
  /** The queues of what is made. */
  readonly madeTo: readonly Queue[]
  made: Made | null
  keeping: boolean
}
