// Steps of a chain as the pool runs them in a thread: one item after the other through all of them.
//
// What comes of an item:
//
//   number of log lines n, n texts (JSON: level, message, details)
//   when recorded, for each step: milliseconds float64
//   when recorded, for what goes into each step and for what comes out of the last: number of items n, n digests of 32 bytes
//   0  number of items n, n items         or
//   1  number of the step n, fault text   it was refused there     or
//   2  number of the step n, fault text   the step threw

import { resolve } from 'node:path'
import { asFault, Fault, systemClock } from '#protocol/base/mod.ts'
import type { Channel, ComponentContext, Content, Item, Reject } from '../contract.ts'
import { componentFault } from '../faults.ts'
import { packFault } from '../isolation/packed-fault.ts'
import type { IsolatedModule } from '../isolation/thread.ts'
import type { ComponentEntry } from '../registry.ts'
import { digestOf, ItemReader, ItemWriter } from './encoding.ts'
import { LOGS_MAX } from './limits.ts'
import type { ChannelSpec } from './types.ts'

export const PASSED = 0
export const REFUSED = 1
export const THREW = 2

/** The configuration, as JSON. */
export type SegmentConfiguration = {
  /** Where the registry entries are: a module and the name of its export. */
  readonly entries: { readonly module: string; readonly name: string }
  readonly specs: readonly ChannelSpec[]
  readonly flow: string
  readonly dataDir: string
  /** Relative paths start here. */
  readonly folder: string
  readonly recorded: boolean
}

const prepare: IsolatedModule = async (text) => {
  const configuration = JSON.parse(text) as SegmentConfiguration
  const { entries, specs, flow, dataDir, folder } = configuration
  const registry = ((await import(entries.module)) as Record<string, readonly ComponentEntry[]>)[entries.name] ?? []
  const logs: string[] = []
  const context: ComponentContext = {
    flow,
    dataDir,
    clock: systemClock,
    resolvePath: (path) => resolve(folder, path),
    log: (level, message, details) => {
      if (logs.length < LOGS_MAX) logs.push(JSON.stringify([level, message, details ?? {}]))
    },
  }
  const channels: Channel[] = []
  const close = async () => {
    for (const channel of channels) await channel.close?.()
  }
  try {
    for (const { type, settings } of specs) {
      const entry = registry.find((each) => each.kind === 'channel' && each.type === type)
      if (entry?.kind !== 'channel') throw new Error(`no channel ${type} in ${entries.module}`)
      const channel = entry.create(settings, context)
      channels.push(channel)
      await channel.open?.(null)
    }
  } catch (error) {
    await close()
    throw error
  }
  const segment = new Segment(channels, configuration.recorded, logs)
  return { run: (input, mark) => segment.run(input, mark), close }
}
export default prepare

class Segment {
  readonly #channels: readonly Channel[]
  readonly #recorded: boolean
  readonly #logs: string[]
  readonly #out = new ItemWriter()

  constructor(channels: readonly Channel[], recorded: boolean, logs: string[]) {
    this.#channels = channels
    this.#recorded = recorded
    this.#logs = logs
  }

  async run(input: Buffer, mark: (place: number) => void): Promise<Uint8Array> {
    let passing: readonly Item[] = [new ItemReader(input).item(0, atHub)]
    const times: number[] = []
    const digests: Buffer[][] = []
    const digest = () => void (this.#recorded && digests.push(passing.map(digestOf)))
    let ended: { readonly how: number; readonly step: number; readonly fault: Fault } | null = null
    digest()
    for (const [step, channel] of this.#channels.entries()) {
      if (passing.length === 0 || ended !== null) break
      mark(step)
      const begunMs = this.#recorded ? performance.now() : 0
      const result = await attempt(channel, passing)
      if (this.#recorded) times.push(performance.now() - begunMs)
      if (Array.isArray(result)) passing = result
      else {
        ended = { step, ...(result as Ended) }
        passing = []
      }
      digest()
    }
    return this.#written({ passing, times, digests, ended })
  }

  #written(made: {
    readonly passing: readonly Item[]
    readonly times: readonly number[]
    readonly digests: readonly (readonly Buffer[])[]
    readonly ended: { readonly how: number; readonly step: number; readonly fault: Fault } | null
  }): Buffer {
    const out = this.#out
    out.reset()
    const logs = this.#logs.splice(0)
    out.varint(logs.length)
    for (const line of logs) out.text(line)
    if (this.#recorded) this.#writeRecord(made)
    const { ended, passing } = made
    if (ended === null) {
      out.u8(PASSED)
      out.varint(passing.length)
      for (const item of passing) out.item(item)
    } else {
      out.u8(ended.how)
      out.varint(ended.step)
      out.text(packFault(ended.fault))
    }
    return out.written()
  }

  #writeRecord({ times, digests }: { times: readonly number[]; digests: readonly (readonly Buffer[])[] }): void {
    for (let step = 0; step < this.#channels.length; step += 1) this.#out.f64(times[step] ?? 0)
    for (let step = 0; step <= this.#channels.length; step += 1) {
      const each = digests[step] ?? []
      this.#out.varint(each.length)
      for (const digest of each) this.#out.raw(digest)
    }
  }
}

type Ended = { readonly how: number; readonly fault: Fault }

/** What passes; or how it ended. What is not a fault is tried again, and is a defect that shows on this item when it repeats. */
async function attempt(channel: Channel, items: readonly Item[]): Promise<readonly Item[] | Ended> {
  for (let repeated = false; ; repeated = true) {
    let refused: Reject | null = null
    const reject = (each: Reject) => {
      refused ??= each
    }
    try {
      const result = channel.process(items, reject)
      const passing = result instanceof Promise ? await result : result
      return refused === null ? passing : { how: REFUSED, fault: (refused as Reject).fault }
    } catch (error) {
      if (error instanceof Fault) return { how: THREW, fault: error }
      if (repeated) return { how: REFUSED, fault: asFault(error) }
    }
  }
}

/** Stands in for large content at the hub; the chain puts it back. A step that wants its bytes and has none is run again with them. */
function atHub(id: string, size: number, lent: Buffer | null): Content {
  const download = () => Promise.reject(componentFault('DOCUMENT_AT_HUB', { where: `content ${id}` }))
  if (lent === null) return { kind: 'hub', id, size, download }
  return { kind: 'hub', id, size, download, read: async () => ({ bytes: lent, release: () => undefined }) }
}
