// The pipelines in use, by name. A name says what it does, not of which version of the rules it is: a deployment that leaves a pipeline
// alone leaves what waits in it alone, too. One that keeps something stays when no rules use it any more, until it is dropped.

import { hash } from 'node:crypto'
import { join, resolve } from 'node:path'
import { chainOf } from '#agent/components/chain/mod.ts'
import type { ChannelSpec } from '#agent/components/chain/types.ts'
import type { IsolatedPool } from '#agent/components/isolation/mod.ts'
import { builtinComponents, type Channel, type ComponentContext } from '#agent/components/mod.ts'
import { asFault, type Clock, type Fault } from '#protocol/base/mod.ts'
import { Pipeline } from './pipelines.ts'

export type PipelineWanted = {
  /** As a person knows it. */
  readonly label: string
  readonly steps: readonly ChannelSpec[]
  /** Where its files are, and what tells them from others. */
  readonly folder: string
  readonly files: string
}

export type PipelineBookOptions = {
  /** Where channels keep what they keep. */
  readonly dataDir: string
  readonly pool: IsolatedPool
  readonly stored: (name: string) => string | null
  readonly clock: Clock
  readonly log: ComponentContext['log']
  readonly onFault: (fault: Fault) => void
  /** Something is due in it by time alone. False: it cannot go out now. */
  readonly onDue: (pipeline: Pipeline) => Promise<boolean>
}

type Kept = { readonly pipeline: Pipeline; readonly files: string; timer: NodeJS.Timeout | null }

/** Timers of Node end at 2^31 ms. */
const TIMER_MS_MAX = 86_400_000
const DUE_AGAIN_MS = 1_000

export class PipelineBook {
  private readonly options: PipelineBookOptions
  private readonly kept = new Map<string, Kept>()
  /** Of those that were dropped: one with the same name has the same files. */
  private readonly ending = new Map<string, Promise<void>>()
  private closed = false

  constructor(options: PipelineBookOptions) {
    this.options = options
  }

  /** The same for all pipelines that do the same. */
  static nameOf({ label, steps }: Pick<PipelineWanted, 'label' | 'steps'>): string {
    return `${label}#${hash('sha256', JSON.stringify(steps), 'hex').slice(0, 16)}`
  }

  get(name: string): Pipeline | null {
    return this.kept.get(name)?.pipeline ?? null
  }

  /** Makes a pipeline, or gives the one there is when its files are the same. Throws what its channels' settings show to be wrong. */
  async take(wanted: PipelineWanted): Promise<Pipeline> {
    const name = PipelineBook.nameOf(wanted)
    const known = this.kept.get(name)
    if (known?.files === wanted.files) return known.pipeline
    if (known !== undefined && known.timer !== null) clearTimeout(known.timer)
    // It ends when whoever uses it is done.
    const pipeline = this.make(name, wanted, known?.pipeline.close() ?? this.ending.get(name) ?? Promise.resolve())
    this.kept.set(name, { pipeline, files: wanted.files, timer: null })
    if (pipeline.keeps) await pipeline.prepare()
    return pipeline
  }

  /** Names of pipelines that are there. */
  get names(): readonly string[] {
    return [...this.kept.keys()]
  }

  /** Those that keep something and are not of these names. */
  keepingBeside(names: ReadonlySet<string>): readonly string[] {
    return this.names.filter((name) => this.kept.get(name)?.pipeline.keeps === true && !names.has(name))
  }

  /** Ends those that keep nothing and are not of these names. */
  async dropOthers(names: ReadonlySet<string>): Promise<void> {
    for (const [name, { pipeline }] of this.kept) if (!pipeline.keeps && !names.has(name)) await this.drop(name)
  }

  async close(): Promise<void> {
    this.closed = true
    await Promise.all(this.names.map((name) => this.drop(name)))
  }

  /** It is made again by whoever takes it. */
  async drop(name: string): Promise<void> {
    const known = this.kept.get(name)
    if (known === undefined) return
    this.kept.delete(name)
    if (known.timer !== null) clearTimeout(known.timer)
    const ending = known.pipeline.close().finally(() => this.ending.delete(name))
    this.ending.set(name, ending)
    await ending
  }

  private make(name: string, { label, steps, folder }: PipelineWanted, after: Promise<void>): Pipeline {
    const { dataDir, pool, stored, clock, log } = this.options
    const context: ComponentContext = {
      flow: label,
      dataDir: join(dataDir, hash('sha256', name, 'hex').slice(0, 16)),
      clock,
      resolvePath: (path) => resolve(folder, path),
      log: (level, message, details) => log(level, message, { pipeline: label, ...details }),
    }
    const options = { context, entries: builtinComponents, pool, record: true }
    return new Pipeline({
      name,
      keeps: keepsAnything(steps, context),
      make: () => chainOf(steps, options),
      after,
      stored: () => stored(name),
      onFree: (pipeline) => this.arm(pipeline),
    })
  }

  private arm(pipeline: Pipeline, waitMs = 0): void {
    const known = this.kept.get(pipeline.name)
    if (known?.pipeline !== pipeline || this.closed) return
    if (known.timer !== null) clearTimeout(known.timer)
    known.timer = null
    const { dueAtMs } = pipeline
    if (dueAtMs === null) return
    const inMs = Math.max(waitMs, Math.min(TIMER_MS_MAX, dueAtMs - this.options.clock.nowMs()))
    known.timer = setTimeout(() => {
      known.timer = null
      const again = () => this.arm(pipeline, DUE_AGAIN_MS)
      this.options.onDue(pipeline).then(
        (given) => {
          if (!given) again()
        },
        (error: unknown) => {
          this.options.onFault(asFault(error, `pipeline ${pipeline.name}`))
          again()
        },
      )
    }, inMs)
    known.timer.unref()
  }
}

/** Whether one instance must see all messages. */
function keepsAnything(steps: readonly ChannelSpec[], context: ComponentContext): boolean {
  return steps.some(({ type, settings }) => {
    const entry = builtinComponents.find((each) => each.kind === 'channel' && each.type === type)
    const channel = entry?.create(settings, context) as Channel | undefined
    return channel !== undefined && (channel.alone === true || channel.save !== undefined || channel.due !== undefined)
  })
}
