// Runs in a worker thread: one task at a time, its items one after the other. Where it is stands in shared memory, so that who
// waits for it can see which item takes too long, or was the last one before the thread died.

import { move, transferableSymbol, valueSymbol } from 'piscina'
import { type Configuration, isRetired, textOf } from './configuration.ts'
import { CONFIGURATIONS_MAX } from './limits.ts'
import { packFault } from './packed-fault.ts'

/**
 * What the default export of a module for the pool does with a configuration's text; called once for each version in each thread.
 * A fault it throws fails the whole run.
 */
export type IsolatedModule = (configuration: string) => IsolatedWork | Promise<IsolatedWork>

export type IsolatedWork = {
  /**
   * The work on one item; without effects elsewhere, as it may be done again. `input` lives until it returns, the result until the
   * next call. What it throws is the item's fault.
   */
  run(input: Buffer): Uint8Array | Promise<Uint8Array>
  close?(): void | Promise<void>
}

/** Places in `progress` besides the number of the item. */
export const NOT_BEGUN = -2
export const PREPARING = -1

/** Pieces of bytes after one another. */
export type Pieces = { readonly bytes: Uint8Array; readonly ends: Uint32Array }

export type Task = {
  /** URL. */
  readonly module: string
  readonly configuration: Configuration
  readonly inputs: Pieces
  /** One integer: the item being worked on, or one of the above; the number of items when all are done. */
  readonly progress: Int32Array
}

export type Done = {
  readonly outputs: Pieces
  /** Instead of an output: number of the item, packed fault. */
  readonly faults: readonly (readonly [number, string])[]
}
/** The packed fault of the preparation. */
export type Unprepared = { readonly unprepared: string }

type Kept = { readonly configuration: Configuration; readonly work: IsolatedWork }

/** The one used last stands last. */
const kept = new Map<number, Kept>()

export default async function runTask({ module, configuration, inputs, progress }: Task): Promise<unknown> {
  Atomics.store(progress, 0, PREPARING)
  let work: IsolatedWork
  try {
    work = await workOf(module, configuration)
  } catch (error) {
    return { unprepared: packFault(error) } satisfies Unprepared
  }
  const { ends } = inputs
  const bytes = Buffer.from(inputs.bytes.buffer, inputs.bytes.byteOffset, inputs.bytes.byteLength)
  const outputs = new Gathered(ends.length)
  const faults: [number, string][] = []
  for (let i = 0; i < ends.length; i += 1) {
    Atomics.store(progress, 0, i)
    try {
      const result = work.run(bytes.subarray(i === 0 ? 0 : ends[i - 1], ends[i]))
      outputs.add(result instanceof Promise ? await result : result)
    } catch (error) {
      faults.push([i, packFault(error)])
      outputs.add(null)
    }
  }
  Atomics.store(progress, 0, ends.length)
  return outputs.handOver(faults)
}

async function workOf(module: string, configuration: Configuration): Promise<IsolatedWork> {
  for (const { configuration: each } of [...kept.values()]) if (isRetired(each)) await forget(each.version)
  const { version } = configuration
  const known = kept.get(version)
  if (known !== undefined) {
    kept.delete(version)
    kept.set(version, known)
    return known.work
  }
  const { default: prepare } = (await import(module)) as { default: IsolatedModule }
  const work = await prepare(textOf(configuration))
  kept.set(version, { configuration, work })
  const [oldest] = kept.keys()
  if (kept.size > CONFIGURATIONS_MAX && oldest !== undefined) await forget(oldest)
  return work
}

async function forget(version: number): Promise<void> {
  const known = kept.get(version)
  kept.delete(version)
  await known?.work.close?.()
}

/** Outputs copied after one another into memory that goes to the other side without being copied again. */
class Gathered {
  #bytes = Buffer.from(new ArrayBuffer(64 * 1024))
  #filled = 0
  #count = 0
  readonly #ends: Uint32Array

  constructor(count: number) {
    this.#ends = new Uint32Array(count)
  }

  add(output: Uint8Array | null): void {
    if (output !== null) {
      const end = this.#filled + output.byteLength
      if (end > this.#bytes.length) {
        const larger = Buffer.from(new ArrayBuffer(Math.max(end, 2 * this.#bytes.length)))
        this.#bytes.copy(larger, 0, 0, this.#filled)
        this.#bytes = larger
      }
      this.#bytes.set(output, this.#filled)
      this.#filled = end
    }
    this.#ends[this.#count++] = this.#filled
  }

  handOver(faults: Done['faults']): unknown {
    const bytes = new Uint8Array(this.#bytes.buffer, 0, this.#filled)
    const done: Done = { outputs: { bytes, ends: this.#ends }, faults }
    return move({
      [transferableSymbol]: [bytes.buffer, this.#ends.buffer],
      [valueSymbol]: done,
    } as unknown as Parameters<typeof move>[0])
  }
}
