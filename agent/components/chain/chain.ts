// A list of channels as one. Consecutive channels that keep nothing, of which at least one is `isolated`, run together in threads of
// the pool; the others run here, one after the other, each on all items of a call.
//
// State: JSON, a list of [type, state] of the channels that keep something, in their order. A channel finds its own again by its type
// and its place among those of its type, so that others can be put in between. Its folder has the same name.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { asFault } from '#protocol/base/mod.ts'
import { type Channel, type ComponentContext, type Item, isOwnRef, STATE_BYTES_MAX } from '../contract.ts'
import type { IsolatedPool } from '../isolation/mod.ts'
import { builtinComponents, type ComponentEntry, isIsolated } from '../registry.ts'
import { Call } from './call.ts'
import { chainFault } from './faults.ts'
import { dueHere, type HereStep, processHere } from './here.ts'
import { ThreadSegment } from './segment.ts'
import type { Chain, ChainMembers, ChainResult, ChannelSpec, LargeDocuments } from './types.ts'

export type ChainOptions = {
  /** `resolvePath` must resolve against one folder, that of `resolvePath('.')`. */
  readonly context: ComponentContext
  readonly entries: readonly ComponentEntry[]
  /** Where threads find those entries that can run there; left out: the registry of built-in components. */
  readonly threadEntries?: ThreadEntries
  /** `null`: everything runs here. The chain does not close it. */
  readonly pool: IsolatedPool | null
  /** Whether steps are recorded. */
  readonly record: boolean
  /** `timeMs`: of consecutive channels in a thread, on one item; left out: the pool's. */
  readonly limits?: { readonly timeMs?: number }
}

export type ThreadEntries = {
  readonly list: readonly ComponentEntry[]
  /** URL of a module, and the name under which it exports the list. */
  readonly module: string
  readonly name: string
}

/** Whether any of the channels should run in a thread. */
export function wantsThread(specs: readonly ChannelSpec[], entries: readonly ComponentEntry[]): boolean {
  return specs.some(({ type, settings }) => {
    const entry = entryOf(entries, type)
    return entry !== null && isIsolated(entry, settings)
  })
}

/**
 * Makes the channels without opening them. Throws what their settings alone show to be wrong, with `where` naming the step, and
 * `CHAIN_CHANNEL_UNKNOWN`.
 */
export function chainOf(specs: readonly ChannelSpec[], options: ChainOptions): Chain {
  return new ChannelChain(specs, options)
}

type Step = HereStep & {
  readonly spec: ChannelSpec
  readonly entry: ComponentEntry<'channel'>
  /** Its type, and which of that type it is, from 1. */
  readonly name: string
  /** Null when it keeps nothing. */
  readonly dataDir: string | null
}

type Part = { readonly steps: readonly Step[]; readonly segment: ThreadSegment | null }

class ChannelChain implements Chain {
  readonly #parts: readonly Part[]
  /** Those that run here. */
  readonly #here: readonly Step[]
  readonly #record: boolean
  readonly #opened: Step[] = []
  /** Of steps that keep something. */
  readonly #states = new Map<Step, string | null>()
  /** Called since it was saved. */
  readonly #unsaved = new Set<Step>()
  #nextOrdinal = 0

  constructor(specs: readonly ChannelSpec[], options: ChainOptions) {
    const steps = stepsOf(specs, options)
    this.#parts = partsOf(steps, options)
    this.#here = this.#parts.flatMap(({ segment, steps }) => (segment === null ? steps : []))
    this.#record = options.record
  }

  async open(state: string | null): Promise<void> {
    const keeping = this.#here.filter(({ channel }) => channel.save !== undefined)
    const states = statesOf(state, keeping)
    for (const step of keeping) this.#states.set(step, states.get(step) ?? null)
    try {
      for (const step of this.#here) {
        if (step.dataDir !== null) await mkdir(step.dataDir, { recursive: true, mode: 0o700 })
        this.#opened.push(step)
        await step.channel.open?.(states.get(step) ?? null)
      }
      for (const { segment } of this.#parts) await segment?.open()
    } catch (error) {
      await this.close()
      throw error
    }
  }

  async process(items: readonly Item[], signal?: AbortSignal, large?: LargeDocuments): Promise<ChainResult> {
    const call = this.#call(signal, large)
    return this.#ended(call, await this.#through(call.enter(items), { from: 0, call }))
  }

  due(signal?: AbortSignal, large?: LargeDocuments): Promise<ChainResult> {
    return this.#given(this.#soonest(), { flush: false }, this.#call(signal, large))
  }

  flush(signal?: AbortSignal, large?: LargeDocuments): Promise<ChainResult> {
    const first = this.#here.find(({ channel }) => channel.waits?.() === true) ?? null
    return this.#given(first, { flush: true }, this.#call(signal, large))
  }

  waits(): boolean {
    return this.#here.some(({ channel }) => channel.waits?.() === true)
  }

  dueAtMs(): number | null {
    return this.#soonest()?.channel.dueAtMs?.() ?? null
  }

  membersOf(ref: Item['ref']): ChainMembers | null {
    if (!isOwnRef(ref)) return null
    for (const { channel, step, type } of this.#here) {
      const items = channel.membersOf?.(ref) ?? null
      if (items !== null) return { items, step, type }
    }
    return null
  }

  async save(): Promise<string | null> {
    if (this.#states.size === 0) return null
    for (const step of this.#states.keys()) {
      if (!this.#unsaved.has(step)) continue
      const state = (await step.channel.save?.()) ?? ''
      const bytes = Buffer.byteLength(state)
      if (bytes > STATE_BYTES_MAX)
        throw chainFault('CHAIN_STATE_TOO_LARGE', { where: whereOf(step), bytes, limitBytes: STATE_BYTES_MAX })
      this.#states.set(step, state)
      this.#unsaved.delete(step)
    }
    return JSON.stringify([...this.#states].map(([{ type }, state]) => [type, state]))
  }

  async committed(state: string): Promise<void> {
    for (const [step, each] of statesOf(state, [...this.#states.keys()])) await step.channel.committed?.(each)
  }

  /** Closes all; throws the first fault of closing. */
  async close(): Promise<void> {
    const failures: unknown[] = []
    for (const { channel } of this.#opened.splice(0).reverse()) {
      try {
        await channel.close?.()
      } catch (error) {
        failures.push(error)
      }
    }
    for (const { segment } of this.#parts) segment?.close()
    if (failures.length > 0) throw failures[0]
  }

  #call(signal: AbortSignal | undefined, large: LargeDocuments | undefined): Call {
    return new Call({ first: this.#nextOrdinal, recorded: this.#record, signal, large })
  }

  #ended(call: Call, items: readonly Item[]): ChainResult {
    this.#nextOrdinal = call.next
    return call.result(items)
  }

  async #through(items: readonly Item[], { from, call }: { from: number; call: Call }): Promise<readonly Item[]> {
    let passing = items
    for (const { steps, segment } of this.#parts.slice(from)) {
      if (passing.length === 0) break
      if (segment !== null) passing = await segment.process(passing, call)
      else {
        const [step] = steps as [Step]
        this.#unsaved.add(step)
        passing = await processHere(step, passing, call)
      }
    }
    return passing
  }

  /** What a step gives of what it kept. */
  async #given(step: Step | null, { flush }: { flush: boolean }, call: Call): Promise<ChainResult> {
    if (step === null) return call.result([])
    this.#unsaved.add(step)
    const items = await dueHere(step, call, { flush })
    const from = this.#parts.findIndex(({ steps }) => steps.includes(step)) + 1
    return this.#ended(call, await this.#through(items, { from, call }))
  }

  /** The step that has something first. */
  #soonest(): Step | null {
    let soonest: Step | null = null
    let soonestMs = 0
    for (const step of this.#here) {
      const dueMs = step.channel.dueAtMs?.() ?? null
      if (dueMs === null || (soonest !== null && dueMs >= soonestMs)) continue
      soonest = step
      soonestMs = dueMs
    }
    return soonest
  }
}

const whereOf = ({ step, type }: { step: number; type: string }): string => `channel ${step} (${type})`

function entryOf(entries: readonly ComponentEntry[], type: string): ComponentEntry<'channel'> | null {
  const entry = entries.find((each) => each.kind === 'channel' && each.type === type)
  return entry?.kind === 'channel' ? entry : null
}

function stepsOf(specs: readonly ChannelSpec[], { context, entries }: ChainOptions): Step[] {
  const met = new Map<string, number>()
  return specs.map((spec, i) => {
    const { type, settings } = spec
    const place = { step: i + 1, type }
    const entry = entryOf(entries, type)
    if (entry === null) throw chainFault('CHAIN_CHANNEL_UNKNOWN', { where: whereOf(place) })
    const nth = (met.get(type) ?? 0) + 1
    met.set(type, nth)
    const name = `${type}-${nth}`
    const own = join(context.dataDir, 'channels', name)
    const channel = made(entry, settings, { context: contextIn(context, own), where: whereOf(place) })
    const stateful = channel.alone === true || channel.save !== undefined || channel.due !== undefined
    return { ...place, spec, entry, name, channel, stateful, dataDir: stateful ? own : null }
  })
}

function made(
  entry: ComponentEntry<'channel'>,
  settings: unknown,
  { context, where }: { context: ComponentContext; where: string },
): Channel {
  try {
    return entry.create(settings, context)
  } catch (error) {
    throw asFault(error, where)
  }
}

function contextIn(context: ComponentContext, dataDir: string): ComponentContext {
  return {
    flow: context.flow,
    dataDir,
    clock: context.clock,
    resolvePath: (path) => context.resolvePath(path),
    log: (level, message, details) => context.log(level, message, details),
  }
}

/** Cuts the steps: those for a thread together, the others each alone. */
function partsOf(steps: readonly Step[], options: ChainOptions): Part[] {
  const { pool, threadEntries = BUILTIN } = options
  if (pool === null) return steps.map((step) => ({ steps: [step], segment: null }))
  const parts: Part[] = []
  let run: Step[] = []
  const end = () => {
    if (run.some(({ entry, spec }) => isIsolated(entry, spec.settings))) parts.push(segmentOf(run, pool, options))
    else for (const step of run) parts.push({ steps: [step], segment: null })
    run = []
  }
  for (const step of steps) {
    if (!step.stateful && threadEntries.list.includes(step.entry)) run.push(step)
    else {
      end()
      parts.push({ steps: [step], segment: null })
    }
  }
  end()
  return parts
}

function segmentOf(steps: readonly Step[], pool: IsolatedPool, options: ChainOptions): Part {
  const { context, record, threadEntries = BUILTIN, limits } = options
  const { module, name } = threadEntries
  const configuration = {
    entries: { module, name },
    specs: steps.map(({ spec: { type, settings } }) => ({ type, settings })),
    flow: context.flow,
    dataDir: context.dataDir,
    folder: context.resolvePath('.'),
    recorded: record,
  }
  const log: ComponentContext['log'] = (level, message, details) => context.log(level, message, details)
  return { steps, segment: new ThreadSegment({ steps, pool, configuration, timeMs: limits?.timeMs, log }) }
}

const BUILTIN: ThreadEntries = {
  list: builtinComponents,
  module: new URL('../registry.ts', import.meta.url).href,
  name: 'builtinComponents',
}

/** The state of each step, by type and place among those of the type. */
function statesOf(state: string | null, keeping: readonly Step[]): Map<Step, string> {
  const states = new Map<Step, string>()
  if (state === null) return states
  let kept: readonly (readonly [string, string | null])[]
  try {
    kept = JSON.parse(state) as typeof kept
  } catch (cause) {
    throw chainFault('CHAIN_STATE_FOREIGN', { why: 'it is not JSON', cause })
  }
  const waiting = [...keeping]
  for (const [type, each] of kept) {
    const at = waiting.findIndex((step) => step.type === type)
    if (at < 0) throw chainFault('CHAIN_STATE_FOREIGN', { where: `channel ${type}`, why: 'it is not there any more' })
    const [step] = waiting.splice(at, 1) as [Step]
    if (each !== null) states.set(step, each)
  }
  return states
}
