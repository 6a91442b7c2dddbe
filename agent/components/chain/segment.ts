// Consecutive steps that run together in a thread of the pool.

import { createHash } from 'node:crypto'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import type { ComponentContext, Content, HubContent, Item } from '../contract.ts'
import {
  type Configuration,
  configurationOf,
  type IsolatedPool,
  type Outcome,
  retire,
  unpackFault,
} from '../isolation/mod.ts'
import type { Call, StepPlace } from './call.ts'
import { DIGEST_BYTES, digestOf, ItemReader, ItemWriter } from './encoding.ts'
import { PASSED, REFUSED, type SegmentConfiguration } from './segment-work.ts'

const WORK = new URL('./segment-work.ts', import.meta.url).href

/** What came of one item. */
type Came = {
  readonly items: readonly Item[]
  /** From 0; of the step that refused it. */
  readonly refused: { readonly at: number; readonly fault: Fault } | null
  readonly times: readonly number[]
  /** What went into each step, and came out of the last. */
  readonly digests: readonly Buffer[]
}

export class ThreadSegment {
  readonly steps: readonly StepPlace[]
  readonly #pool: IsolatedPool
  readonly #configuration: Configuration
  readonly #timeMs: number | undefined
  readonly #recorded: boolean
  readonly #log: ComponentContext['log']
  readonly #writer = new ItemWriter()

  constructor(options: {
    readonly steps: readonly StepPlace[]
    readonly pool: IsolatedPool
    readonly configuration: SegmentConfiguration
    readonly timeMs: number | undefined
    readonly log: ComponentContext['log']
  }) {
    this.steps = options.steps
    this.#pool = options.pool
    this.#configuration = configurationOf(JSON.stringify(options.configuration))
    this.#timeMs = options.timeMs
    this.#recorded = options.configuration.recorded
    this.#log = options.log
  }

  /** Throws what the channels throw when they are made or opened. */
  async open(): Promise<void> {
    await this.#run([], undefined)
  }

  async process(items: readonly Item[], call: Call): Promise<readonly Item[]> {
    const outcomes = await this.#run(items, call.signal)
    const came: Came[] = []
    for (const [i, outcome] of outcomes.entries()) {
      const item = items[i] as Item
      const each = this.#read(outcome, item)
      came.push(isAsking(each) || call.large.isOver(each.items) ? await this.#completed(each, item, call) : each)
    }
    // By steps, as if these had run one after the other.
    for (const [at, step] of this.steps.entries()) {
      for (const [i, { refused }] of came.entries()) {
        if (refused?.at === at) call.refuse(items[i] as Item, refused.fault, step)
      }
    }
    const last = this.steps.at(-1) as StepPlace
    const passing = call.passed(
      came.flatMap((each) => each.items),
      last,
    )
    if (this.#recorded) this.#record(items, came, call)
    return passing
  }

  close(): void {
    retire(this.#configuration)
  }

  /** Gives a step the document it asked for; puts away what is too large. */
  async #completed(first: Came, item: Item, call: Call): Promise<Came> {
    try {
      const { content } = item
      const isLent = isAsking(first) && content?.kind === 'hub'
      const came = isLent ? await this.#lent(first, { item, content, call }) : first
      return { ...came, items: await call.large.put(came.items) }
    } finally {
      call.large.release()
    }
  }

  async #lent(
    came: Came,
    { item, content, call }: { readonly item: Item; readonly content: HubContent; readonly call: Call },
  ): Promise<Came> {
    if (content.read === undefined) return came
    let bytes: Buffer
    try {
      bytes = (await content.read()).bytes
    } catch (error) {
      call.large.check()
      return { ...came, refused: { at: came.refused?.at ?? 0, fault: asFault(error) } }
    }
    const lent = () => {
      // Memory of its own, which goes to the thread.
      const writer = new ItemWriter()
      writer.lent(item, content, bytes)
      return writer.written()
    }
    const [outcome] = await this.#run([item], call.signal, lent)
    return this.#read(outcome as Outcome, item)
  }

  /** `lent` gives the one item's bytes. */
  #run(items: readonly Item[], signal: AbortSignal | undefined, lent: (() => Buffer) | null = null) {
    const writer = this.#writer
    const inputOf = (index: number) => {
      if (lent !== null) return lent()
      writer.reset()
      writer.item(items[index] as Item)
      return writer.written()
    }
    return this.#pool.run({
      module: WORK,
      configuration: this.#configuration,
      count: items.length,
      inputOf,
      owned: lent !== null,
      ...(this.#timeMs === undefined ? {} : { timeMs: this.#timeMs }),
      ...(signal === undefined ? {} : { signal }),
    })
  }

  #read(outcome: Outcome, item: Item): Came {
    const { ref, content } = item
    if ('fault' in outcome) {
      const digests = this.#recorded ? [digestOf(item)] : []
      return { items: [], refused: { at: outcome.place, fault: outcome.fault }, times: [], digests }
    }
    const reader = new ItemReader(outcome)
    for (let left = reader.varint(); left > 0; left -= 1) this.#replay(reader.text())
    const times = this.#recorded ? this.steps.map(() => reader.f64()) : []
    const digests = this.#recorded ? [null, ...this.steps].map(() => reader.raw(DIGEST_BYTES * reader.varint())) : []
    const how = reader.u8()
    if (how === PASSED) {
      const items: Item[] = []
      for (let left = reader.varint(); left > 0; left -= 1) items.push(reader.item(ref, (id) => putBack(content, id)))
      return { items, refused: null, times, digests }
    }
    const at = reader.varint()
    const fault = unpackFault(reader.text())
    if (how !== REFUSED) throw fault
    return { items: [], refused: { at, fault }, times, digests }
  }

  #replay(line: string): void {
    const [level, message, details] = JSON.parse(line) as Parameters<ComponentContext['log']>
    this.#log(level, message, details)
  }

  /** As if the steps had run one after the other: nothing comes of an item after one of the same `ref` was refused. */
  #record(items: readonly Item[], came: readonly Came[], call: Call): void {
    const refusedAt = new Map<Item['ref'], number>()
    for (const [i, { refused }] of came.entries()) {
      if (refused === null) continue
      const { ref } = items[i] as Item
      refusedAt.set(ref, Math.min(refused.at, refusedAt.get(ref) ?? refused.at))
    }
    const boundary = (at: number) => {
      const digest = createHash('sha256')
      let count = 0
      for (const [i, { digests }] of came.entries()) {
        if (at > (refusedAt.get((items[i] as Item).ref) ?? this.steps.length)) continue
        const bytes = digests[at]
        if (bytes === undefined) continue
        digest.update(bytes)
        count += bytes.length / DIGEST_BYTES
      }
      return { count, digest: digest.digest('hex') }
    }
    const boundaries = [null, ...this.steps].map((_, at) => boundary(at))
    for (const [at, { step, type }] of this.steps.entries()) {
      const before = boundaries[at] as ReturnType<typeof boundary>
      const after = boundaries[at + 1] as ReturnType<typeof boundary>
      if (before.count === 0) return
      const ms = came.reduce((sum, { times }) => sum + (times[at] ?? 0), 0)
      const digests = { digestIn: before.digest, digestOut: after.digest }
      call.record({ step, type, itemsIn: before.count, itemsOut: after.count, ms, ...digests })
    }
  }
}

const isAsking = ({ refused }: Came): boolean => refused?.fault.code === 'DOCUMENT_AT_HUB'

function putBack(content: Content | undefined, id: string): Content {
  if (content?.kind === 'hub' && content.id === id) return content
  throw new Error(`a channel gave a content of the hub that its item does not have: ${id}`)
}
