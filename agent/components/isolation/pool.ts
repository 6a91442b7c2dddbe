// Work on items in threads, with bounds on its time and memory: what evaluates expressions, stylesheets and scripts that others
// wrote, on bytes that others sent.
//
// A run is cut into tasks of some items each. While a task runs, a watchdog sees in shared memory which item it is at. One that is at
// the same item for longer than its time limit is stopped, thread and all; that item gets ISOLATED_TIMEOUT, those before and after
// it are run again (work has no effects, so that is harmless). When a thread dies of memory or crashes, the item it was at is tried
// again alone in a thread that has run nothing else: only if it kills that one too it is the item's fault. So no item pays for what its
// neighbours did, nor for what earlier ones left behind in the memory of WebAssembly, which never shrinks.
//
// Back-pressure: as many tasks are made as there are threads. Who runs more waits, and holds no copy of its items meanwhile.

import type { Worker } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { assert, Fault } from '#protocol/base/mod.ts'
import type { Configuration } from './configuration.ts'
import { isolationFault } from './faults.ts'
import {
  HEAP_BEYOND_FACTOR,
  HEAP_BEYOND_MIB,
  IDLE_MS,
  ITEM_TIME_MS_DEFAULT,
  LOOK_MS_MAX,
  LOOK_MS_MIN,
  MEMORY_BYTES_DEFAULT,
  MEMORY_BYTES_MIN,
  PREPARE_MS_MAX,
  TASK_BYTES_MAX,
  TASK_ITEMS_MAX,
  THREADS_DEFAULT,
  YOUNG_HEAP_MIB,
} from './limits.ts'
import { unpackFault } from './packed-fault.ts'
import { buffersOf, Gathered, type Pieces, piecesOf } from './pieces.ts'
import { type Done, NOT_BEGUN, PREPARING, type Task, type Unprepared } from './thread.ts'

export type PoolLimits = {
  readonly threads?: number
  /** Of one item. */
  readonly timeMs?: number
  /** Of one thread: its heap, and outside of that its buffers and the memory of WebAssembly. */
  readonly memoryBytes?: number
}

export type Run = {
  /** URL of a module whose default export is an `IsolatedModule`. */
  readonly module: string
  readonly configuration: Configuration
  /** Number of items. */
  readonly count: number
  /**
   * The bytes of one item, which may change at the next call. It is asked when there is room for the item, and again when that is run
   * again. A fault it throws is the item's.
   */
  readonly inputOf: (index: number) => Uint8Array
  /** There is one item, and the memory of its bytes, new with each call, is handed over whole, not copied. */
  readonly owned?: boolean
  /** Instead of the pool's. */
  readonly timeMs?: number
  readonly signal?: AbortSignal
}

/** What came of an item. Bytes are the receiver's. */
export type Outcome = Buffer | Failure
/** `place` is the last mark of the work. */
export type Failure = { readonly fault: Fault; readonly place: number }

/** A task under way, as the watchdog sees it. */
type Watched = {
  readonly threads: Piscina
  readonly progress: Int32Array
  readonly timeMs: number
  readonly stop: AbortController
  seenAt: number
  seenSinceMs: number
  /** Why it was stopped. */
  over: 'time' | 'memory' | null
}

export class IsolatedPool {
  readonly #limits: Required<PoolLimits>
  #threads: Piscina | null = null
  #closed = false
  /** Tasks under way. */
  readonly #watched = new Set<Watched>()
  /** Threads that are asked how much memory they have. */
  readonly #weighed = new Set<Worker>()
  readonly #waiting: (() => void)[] = []
  #free: number
  #watchdog: NodeJS.Timeout | null = null
  #watchdogMs = 0

  constructor(limits: PoolLimits = {}) {
    this.#limits = {
      threads: limits.threads ?? THREADS_DEFAULT,
      timeMs: limits.timeMs ?? ITEM_TIME_MS_DEFAULT,
      memoryBytes: Math.max(MEMORY_BYTES_MIN, limits.memoryBytes ?? MEMORY_BYTES_DEFAULT),
    }
    this.#free = this.#limits.threads
  }

  /**
   * What came of each item, in their order. Throws what keeps all of them from being run: the fault of the preparation,
   * `ISOLATED_PREPARATION`, `ISOLATED_CLOSED`, the reason of `signal`. With no items it only gets ready.
   */
  async run(run: Run): Promise<Outcome[]> {
    const job: Job = { run, outcomes: new Array<Outcome>(run.count), next: 0, again: [], failure: null }
    if (run.count === 0)
      do await this.#inTurn(job, 0)
      while (job.failure === null && hasMore(job))
    const lanes = Math.min(this.#limits.threads, run.count)
    const itemsMax = Math.min(TASK_ITEMS_MAX, Math.ceil(run.count / (2 * lanes)))
    const lane = async () => {
      while (job.failure === null && hasMore(job)) await this.#inTurn(job, itemsMax)
    }
    await Promise.all(Array.from({ length: lanes }, lane))
    if (job.failure !== null) throw job.failure.error
    return job.outcomes
  }

  /** Threads that are there, for tests and telemetry. */
  get threads(): number {
    return this.#threads?.threads.length ?? 0
  }

  /** Ends the threads. What runs fails with `ISOLATED_CLOSED`. */
  async close(): Promise<void> {
    this.#closed = true
    for (const watched of this.#watched) watched.stop.abort()
    for (const go of this.#waiting.splice(0)) go()
    const threads = this.#threads
    this.#threads = null
    await threads?.destroy()
  }

  /** Makes and runs one task when a thread is free. */
  async #inTurn(job: Job, itemsMax: number): Promise<void> {
    await this.#room()
    try {
      if (this.#closed) throw isolationFault('ISOLATED_CLOSED')
      job.run.signal?.throwIfAborted()
      const slice = cut(job, itemsMax)
      if (slice !== null) await this.#task(job, slice)
    } catch (error) {
      job.failure ??= { error }
    } finally {
      this.#leave()
    }
  }

  async #task(job: Job, slice: Slice): Promise<void> {
    const { run } = job
    const progress = new Int32Array(new SharedArrayBuffer(16)).fill(NOT_BEGUN)
    const own = slice.apart ? this.#makeThreads(1) : null
    const threads = own ?? this.#pool()
    const watched = this.#watch(threads, progress, run.timeMs ?? this.#limits.timeMs)
    const abort = () => watched.stop.abort()
    run.signal?.addEventListener('abort', abort, { once: true })
    const { inputs } = slice
    const { memoryBytes } = this.#limits
    const task: Task = { module: run.module, configuration: run.configuration, inputs, progress, memoryBytes }
    const transferList = buffersOf(inputs)
    const count = slice.indexes.length
    let result: Done | Unprepared
    try {
      result = (await threads.run(task, { signal: watched.stop.signal, transferList })) as Done | Unprepared
    } catch (error) {
      run.signal?.throwIfAborted()
      if (this.#closed) throw isolationFault('ISOLATED_CLOSED')
      this.#died(job, slice, { progress, count, over: watched.over, error })
      return
    } finally {
      run.signal?.removeEventListener('abort', abort)
      this.#unwatch(watched)
      await own?.destroy()
    }
    if ('unprepared' in result) throw unpackFault(result.unprepared)
    collect(job, slice.indexes, result)
  }

  /** Convicts an item, or has the rest run again. */
  #died(job: Job, { indexes }: Slice, death: Death): void {
    const { progress, count, over, error } = death
    const at = Atomics.load(progress, 0)
    const timedOut = over === 'time'
    const memory = over === 'memory' || codeOf(error) === 'ERR_WORKER_OUT_OF_MEMORY'
    const { memoryBytes } = this.#limits
    if (at < 0 && !(memory && Atomics.load(progress, 3) > 0)) {
      const why = timedOut ? `nothing within ${PREPARE_MS_MAX} ms` : memory ? 'out of memory' : messageOf(error)
      throw isolationFault('ISOLATED_PREPARATION', { why, limitBytes: memoryBytes, cause: error })
    }
    if (at < 0) {
      // A thread that had run others had no memory left to get ready; another has.
      job.again.push({ indexes, apart: true })
      return
    }
    // All were done: what they gave together was too much.
    const culprit = Math.min(at, count - 1)
    const wasAlone = count === 1 && Atomics.load(progress, 3) === 0
    if (timedOut || wasAlone) {
      const limitMs = job.run.timeMs ?? this.#limits.timeMs
      const fault = timedOut
        ? isolationFault('ISOLATED_TIMEOUT', { why: `more than ${limitMs} ms`, limitMs })
        : memory
          ? isolationFault('ISOLATED_MEMORY', { why: `more than ${memoryBytes} bytes`, limitBytes: memoryBytes })
          : isolationFault('ISOLATED_CRASHED', { why: messageOf(error), cause: error })
      job.outcomes[indexes[culprit] as number] = { fault, place: Atomics.load(progress, 1) }
    } else if (at === count && count > 1) {
      const half = count >> 1
      for (const part of [indexes.slice(0, half), indexes.slice(half)]) job.again.push({ indexes: part, apart: false })
      return
    } else job.again.push({ indexes: [indexes[culprit] as number], apart: true })
    for (const rest of [indexes.slice(0, culprit), indexes.slice(culprit + 1)])
      if (rest.length > 0) job.again.push({ indexes: rest, apart: false })
  }

  // ---- room ----

  async #room(): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1
      return
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** The one that waits longest takes the place. */
  #leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free += 1
    else next()
  }

  // ---- threads ----

  #pool(): Piscina {
    this.#threads ??= this.#makeThreads(this.#limits.threads)
    return this.#threads
  }

  #makeThreads(maxThreads: number): Piscina {
    const mebibytes = Math.ceil(this.#limits.memoryBytes / 2 ** 20)
    const threads = new Piscina({
      filename: new URL('./thread.ts', import.meta.url).href,
      minThreads: 0,
      maxThreads,
      idleTimeout: IDLE_MS,
      concurrentTasksPerWorker: 1,
      recordTiming: false,
      resourceLimits: {
        maxOldGenerationSizeMb: HEAP_BEYOND_FACTOR * mebibytes + HEAP_BEYOND_MIB,
        maxYoungGenerationSizeMb: YOUNG_HEAP_MIB,
      },
    })
    // A thread that died without a task: the next task starts another. One that died before its first would never be heard of again.
    threads.on('error', () => {
      for (const each of this.#watched)
        if (each.threads === threads && Atomics.load(each.progress, 0) === NOT_BEGUN) each.stop.abort()
    })
    return threads
  }

  #watch(threads: Piscina, progress: Int32Array, timeMs: number): Watched {
    const stop = new AbortController()
    const seen = { seenAt: NOT_BEGUN, seenSinceMs: performance.now(), over: null }
    const watched: Watched = { threads, progress, timeMs, stop, ...seen }
    this.#watched.add(watched)
    const lookMs = Math.max(LOOK_MS_MIN, Math.min(LOOK_MS_MAX, timeMs / 10))
    if (this.#watchdog === null || lookMs < this.#watchdogMs) {
      if (this.#watchdog !== null) clearInterval(this.#watchdog)
      this.#watchdogMs = lookMs
      this.#watchdog = setInterval(() => this.#look(), lookMs)
      this.#watchdog.unref()
    }
    return watched
  }

  #unwatch(watched: Watched): void {
    this.#watched.delete(watched)
    if (this.#watched.size > 0 || this.#watchdog === null) return
    clearInterval(this.#watchdog)
    this.#watchdog = null
  }

  #look(): void {
    const nowMs = performance.now()
    for (const watched of this.#watched) {
      void this.#weigh(watched)
      const at = Atomics.load(watched.progress, 0)
      if (at !== watched.seenAt) {
        watched.seenAt = at
        watched.seenSinceMs = nowMs
        continue
      }
      const limitMs = at === NOT_BEGUN || at === PREPARING ? PREPARE_MS_MAX : watched.timeMs
      if (nowMs - watched.seenSinceMs < limitMs) continue
      this.#end(watched, 'time')
    }
  }

  /**
   * Stops a thread whose memory has grown too far. V8's own bound is far above ours: when a heap comes to that in one step, V8 ends the
   * whole process, with all threads and whoever waits for them. What is outside of the heap has no bound but this.
   */
  async #weigh(watched: Watched): Promise<void> {
    const id = Atomics.load(watched.progress, 2)
    const thread = id < 0 ? undefined : watched.threads.threads.find((each) => each.threadId === id)
    if (thread === undefined || this.#weighed.has(thread)) return
    this.#weighed.add(thread)
    try {
      const { used_heap_size: heapBytes, external_memory: outsideBytes } = await thread.getHeapStatistics()
      if (heapBytes + outsideBytes > this.#limits.memoryBytes && this.#watched.has(watched))
        this.#end(watched, 'memory')
    } catch {
      // It has ended meanwhile.
    } finally {
      this.#weighed.delete(thread)
    }
  }

  #end(watched: Watched, over: 'time' | 'memory'): void {
    if (watched.over !== null) return
    watched.over = over
    watched.stop.abort()
  }
}

type Job = {
  readonly run: Run
  readonly outcomes: Outcome[]
  /** The first item not yet in a task. */
  next: number
  /** What runs again, in tasks of its own. */
  readonly again: Again[]
  failure: { readonly error: unknown } | null
}

/** `apart`: in a thread of their own. */
type Again = { readonly indexes: readonly number[]; readonly apart: boolean }
type Slice = Again & { readonly inputs: Pieces }
type Death = {
  readonly progress: Int32Array
  readonly count: number
  readonly over: Watched['over']
  readonly error: unknown
}

const hasMore = ({ run, next, again }: Job): boolean => next < run.count || again.length > 0

/** The next items as a task; `null` when there are none, or none whose bytes can be had. */
function cut(job: Job, itemsMax: number): Slice | null {
  const { run, again, outcomes } = job
  const indexes: number[] = []
  const inputs = new Gathered()
  const take = (index: number): boolean => {
    try {
      inputs.add(run.inputOf(index), run.owned === true)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      outcomes[index] = { fault: error, place: 0 }
      return true
    }
    indexes.push(index)
    return inputs.size < TASK_BYTES_MAX && indexes.length < itemsMax
  }
  const repeated = again.pop()
  if (repeated !== undefined) {
    const stopped = repeated.indexes.findIndex((index) => !take(index))
    const left = stopped < 0 ? [] : repeated.indexes.slice(stopped + 1)
    if (left.length > 0) again.push({ indexes: left, apart: false })
  } else {
    let more = true
    while (more && job.next < run.count) more = take(job.next++)
  }
  if (indexes.length === 0 && run.count > 0) return null
  return { indexes, inputs: inputs.take(), apart: repeated?.apart === true }
}

function collect({ outcomes }: Job, indexes: readonly number[], { outputs, faults }: Done): void {
  const pieces = piecesOf(outputs)
  assert(pieces.length === indexes.length, 'a thread answers for each item')
  for (const [i, index] of indexes.entries()) outcomes[index] = pieces[i] as Buffer
  for (const [i, packed, place] of faults) outcomes[indexes[i] as number] = { fault: unpackFault(packed), place }
}

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '')
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
