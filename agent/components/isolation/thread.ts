// Runs in a worker thread: one task at a time, its items one after the other. Where it is stands in shared memory, so that who
// waits for it can see which item takes too long, or was the last one before the thread died.

import { Session } from 'node:inspector/promises'
import { getHeapStatistics } from 'node:v8'
import { threadId } from 'node:worker_threads'
import { move, transferableSymbol, valueSymbol } from 'piscina'
import { type Configuration, isRetired, textOf } from './configuration.ts'
import { CONFIGURATIONS_MAX } from './limits.ts'
import { packFault } from './packed-fault.ts'
import { buffersOf, Gathered, type Pieces, piecesOf } from './pieces.ts'

/**
 * What the default export of a module for the pool does with a configuration's text; called once for each version in each thread.
 * A fault it throws fails the whole run.
 */
export type IsolatedModule = (configuration: string) => IsolatedWork | Promise<IsolatedWork>

export type IsolatedWork = {
  /**
   * The work on one item; without effects elsewhere, as it may be done again. `input` lives until it returns, the result until the
   * next call. What it throws is the item's fault. It may say by `mark` how far it is, which is told with a fault.
   */
  run(input: Buffer, mark: (place: number) => void): Uint8Array | Promise<Uint8Array>
  close?(): void | Promise<void>
}

/** Places in `progress` besides the number of the item. */
export const NOT_BEGUN = -2
export const PREPARING = -1

export type Task = {
  /** URL. */
  readonly module: string
  readonly configuration: Configuration
  readonly inputs: Pieces
  /**
   * The item being worked on, or one of the above, or the number of items when all are done; its mark; the thread's number; how many
   * tasks the thread had before.
   */
  readonly progress: Int32Array
  /** What the thread may have. */
  readonly memoryBytes: number
}

export type Done = {
  readonly outputs: Pieces
  /** Instead of an output: number of the item, packed fault, mark. */
  readonly faults: readonly (readonly [number, string, number])[]
}
/** The packed fault of the preparation. */
export type Unprepared = { readonly unprepared: string }

type Kept = { readonly configuration: Configuration; readonly work: IsolatedWork }

let tasksBefore = 0

/** The one used last stands last. */
const kept = new Map<number, Kept>()

export default async function runTask(task: Task): Promise<unknown> {
  const { inputs, progress } = task
  Atomics.store(progress, 3, tasksBefore)
  tasksBefore += 1
  Atomics.store(progress, 2, threadId)
  Atomics.store(progress, 0, PREPARING)
  let work: IsolatedWork
  try {
    work = await workOf(task)
  } catch (error) {
    return { unprepared: packFault(error) } satisfies Unprepared
  }
  const outputs = new Gathered()
  const faults: [number, string, number][] = []
  const mark = (place: number) => void Atomics.store(progress, 1, place)
  const pieces = piecesOf(inputs)
  for (const [i, input] of pieces.entries()) {
    mark(0)
    Atomics.store(progress, 0, i)
    try {
      const result = work.run(input, mark)
      outputs.add(result instanceof Promise ? await result : result)
    } catch (error) {
      faults.push([i, packFault(error), Atomics.load(progress, 1)])
      outputs.add(NOTHING)
    }
  }
  Atomics.store(progress, 0, pieces.length)
  return handOver({ outputs: outputs.take(), faults })
}

const NOTHING = new Uint8Array(0)

/** The memory of the outputs goes to the other side. */
function handOver(done: Done): unknown {
  const transferable = { [transferableSymbol]: buffersOf(done.outputs), [valueSymbol]: done }
  return move(transferable as unknown as Parameters<typeof move>[0])
}

async function workOf({ module, configuration, memoryBytes }: Task): Promise<IsolatedWork> {
  for (const { configuration: each } of [...kept.values()]) if (isRetired(each)) await forget(each.version)
  const { version } = configuration
  const known = kept.get(version)
  if (known !== undefined) {
    kept.delete(version)
    kept.set(version, known)
    return known.work
  }
  // Engines keep their memory: with half of it gone, one goes for each that comes.
  const [unused] = kept.keys()
  if (unused !== undefined && takenBytes() > memoryBytes / 2) {
    await forget(unused)
    await collectGarbage()
  }
  const { default: prepare } = (await import(module)) as { default: IsolatedModule }
  const work = await prepare(textOf(configuration))
  kept.set(version, { configuration, work })
  const [oldest] = kept.keys()
  if (kept.size > CONFIGURATIONS_MAX && oldest !== undefined) await forget(oldest)
  return work
}

function takenBytes(): number {
  const { used_heap_size: heapBytes, external_memory: outsideBytes } = getHeapStatistics()
  return heapBytes + outsideBytes
}

/** By itself V8 may let hundreds of megabytes outside of its heap wait. */
async function collectGarbage(): Promise<void> {
  const session = new Session()
  session.connect()
  await session.post('HeapProfiler.collectGarbage')
  session.disconnect()
}

async function forget(version: number): Promise<void> {
  const known = kept.get(version)
  kept.delete(version)
  await known?.work.close?.()
}
