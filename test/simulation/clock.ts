// Time, chance and the order of events of a simulation. Everything that runs belongs to a *process* (the hub, an agent) and runs
// because an event fell due; before the next one, the real work it started (a transaction, a flush) is waited for. So one
// seed gives one history, whatever the machine does meanwhile.
//
// While a world is installed, timers, clocks and randomness of code that runs within one of its processes are the world's;
// code outside (the test runner, the LMDB binding) keeps the system's. Nothing in the product has to know.

import { AsyncLocalStorage } from 'node:async_hooks'
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { Random } from '#protocol/bytes/testing.ts'

/** 2026-01-05T08:00:00Z: within every certificate a test makes. */
export const START_MS = Date.UTC(2026, 0, 5, 8)

const US_PER_MS = 1000
/** Random bytes beyond this are ballast (the store's reserve): they need not replay. */
const RANDOM_BYTES_MAX = 4096
/** Events kept for a failing run to show. */
const LINES_KEPT = Number(process.env.SIM_LINES ?? 400)

/** What runs together and dies together. */
export class Process {
  readonly name: string
  alive = true

  constructor(name: string) {
    this.name = name
  }
}

type Event = { readonly atUs: number; readonly order: number; readonly owner: Process; run: (() => void) | null }

const current = new AsyncLocalStorage<Process>()
const realImmediate = globalThis.setImmediate

/** Runs what is not part of the simulation: with the system's timers and without an owner. */
export const outside = <T>(work: () => T): T => current.exit(work)

export class World {
  readonly seed: number
  /** The last events, in words. */
  readonly lines: string[] = []
  /** Told of every event that has run its course. */
  onStep: (owner: Process) => void = () => {}
  events = 0
  /** A fault nobody handled: a defect. */
  escaped: unknown = null
  private nowUs = 0
  private order = 0
  private readonly heap: Event[] = []
  private readonly driver = new Process('driver')
  private readonly hash = crypto.createHash('sha256')
  private readonly randoms = new Map<string, Random>()
  private underWay = 0
  private idle = Promise.withResolvers<void>()

  constructor(seed: number) {
    this.seed = seed
  }

  /** Milliseconds since the simulation began. */
  get nowMs(): number {
    return this.nowUs / US_PER_MS
  }

  get digest(): string {
    return this.hash.copy().digest('hex')
  }

  /** A generator of its own for each purpose: drawing more for one changes nothing for the others. */
  random(purpose: string): Random {
    let random = this.randoms.get(purpose)
    if (random === undefined) {
      const mixed = crypto.createHash('sha256').update(`${this.seed} ${purpose}`).digest().readUInt32LE(0)
      random = new Random(mixed)
      this.randoms.set(purpose, random)
    }
    return random
  }

  /** One line of the history. */
  log(text: string): void {
    const line = `${this.nowMs.toFixed(3).padStart(10)} ${text}`
    this.hash.update(line).update('\n')
    this.lines.push(line)
    if (this.lines.length > 2 * LINES_KEPT) this.lines.splice(0, LINES_KEPT)
  }

  /** Runs `work` as a part of the process. */
  within<T>(owner: Process, work: () => T): T {
    return current.run(owner, work)
  }

  get owner(): Process {
    return current.getStore() ?? this.driver
  }

  /** It executes nothing any more, whatever it still waited for. */
  kill(process: Process): void {
    process.alive = false
  }

  /** Calls back within `owner`; gives what takes that back. */
  after(ms: number, run: () => void, owner = this.owner): () => void {
    const event: Event = { atUs: this.nowUs + Math.round(ms * US_PER_MS), order: this.order++, owner, run }
    push(this.heap, event)
    return () => {
      event.run = null
    }
  }

  delay(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve))
  }

  /** Real work that ends by itself: no event comes before its end. */
  async real<T>(work: () => Promise<T>): Promise<T> {
    this.underWay++
    try {
      return await outside(work)
    } finally {
      if (--this.underWay === 0) {
        this.idle.resolve()
        this.idle = Promise.withResolvers()
      }
    }
  }

  /** Lets whatever the last event started run its course. */
  async settle(): Promise<void> {
    await turn()
    while (this.underWay > 0) {
      await this.idle.promise
      await turn()
    }
  }

  /** Runs one event; false when none is due before `untilMs`. */
  async step(untilMs: number): Promise<boolean> {
    for (;;) {
      const event = this.heap[0]
      if (event === undefined || event.atUs > untilMs * US_PER_MS) return false
      pop(this.heap)
      if (event.run === null || !event.owner.alive) continue
      this.nowUs = event.atUs
      this.events++
      current.run(event.owner, event.run)
      await this.settle()
      this.onStep(event.owner)
      if (this.escaped !== null) throw this.escaped
      return true
    }
  }

  /** Runs everything of the next `ms`. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms
    await this.settle()
    while (await this.step(untilMs));
    this.nowUs = Math.round(untilMs * US_PER_MS)
  }

  /** Runs until `reached`; false when that does not happen within `maxMs`. */
  async until(reached: () => boolean, maxMs: number): Promise<boolean> {
    const untilMs = this.nowMs + maxMs
    await this.settle()
    while (!reached()) if (!(await this.step(untilMs))) return reached()
    return true
  }

  /** Runs until the promise is settled, and gives what it gives. */
  async outcome<T>(promise: Promise<T>, what: string, maxMs = 60_000): Promise<T> {
    let done = false
    const watched = promise.finally(() => {
      done = true
    })
    // Told below, when it is in time.
    watched.catch(() => undefined)
    if (!(await this.until(() => done, maxMs))) throw new Error(`not within ${maxMs} ms of simulated time: ${what}`)
    return await watched
  }
}

const turn = (): Promise<void> => new Promise((resolve) => void outside(() => realImmediate(resolve)))

const earlier = (a: Event, b: Event): boolean => a.atUs < b.atUs || (a.atUs === b.atUs && a.order < b.order)

function push(heap: Event[], event: Event): void {
  let at = heap.push(event) - 1
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (!earlier(event, heap[parent] as Event)) break
    heap[at] = heap[parent] as Event
    at = parent
  }
  heap[at] = event
}

function pop(heap: Event[]): void {
  const last = heap.pop() as Event
  if (heap.length === 0) return
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && earlier(heap[child + 1] as Event, heap[child] as Event)) child++
    if (!earlier(heap[child] as Event, last)) break
    heap[at] = heap[child] as Event
    at = child
  }
  heap[at] = last
}

/** A timer as `setTimeout` gives it. */
class Timer {
  private readonly cancel: () => void

  constructor(cancel: () => void) {
    this.cancel = cancel
  }

  clear(): void {
    this.cancel()
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }
}

/** Puts the world's time and chance in place of the system's, for code that runs within its processes. */
export function install(world: World): Disposable {
  const real = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    setInterval: globalThis.setInterval,
    clearInterval: globalThis.clearInterval,
    setImmediate: globalThis.setImmediate,
    clearImmediate: globalThis.clearImmediate,
    dateNow: Date.now,
    performanceNow: performance.now,
    mathRandom: Math.random,
    randomBytes: crypto.randomBytes,
  }
  const inside = () => current.getStore() !== undefined
  const clear = (fallback: (timer: never) => void) => (timer: unknown) => {
    if (timer instanceof Timer) timer.clear()
    else fallback(timer as never)
  }
  const fakes = timersOf(world)
  const choose = <F extends (...args: never[]) => unknown>(fake: F, fallback: unknown): F =>
    ((...args: Parameters<F>) => (inside() ? fake(...args) : (fallback as F)(...args))) as F
  Object.assign(globalThis, {
    setTimeout: choose(fakes.setTimeout, real.setTimeout),
    setInterval: choose(fakes.setInterval, real.setInterval),
    setImmediate: choose(fakes.setImmediate, real.setImmediate),
    clearTimeout: clear(real.clearTimeout),
    clearInterval: clear(real.clearInterval),
    clearImmediate: clear(real.clearImmediate),
  })
  const library = world.random('library')
  Date.now = choose(() => Math.floor(START_MS + world.nowMs), real.dateNow)
  performance.now = choose(() => world.nowMs, real.performanceNow.bind(performance))
  Math.random = choose(() => library.u32() / 2 ** 32, real.mathRandom)
  const randomBytes = (size: number) => (size <= RANDOM_BYTES_MAX ? library.bytes(size) : real.randomBytes(size))
  Object.assign(crypto, { randomBytes: choose(randomBytes, real.randomBytes) })
  syncBuiltinESMExports()
  const onEscaped = (error: unknown) => {
    world.escaped ??= error
  }
  process.on('unhandledRejection', onEscaped)
  return {
    [Symbol.dispose]: () => {
      const { dateNow, performanceNow, mathRandom, randomBytes, ...timers } = real
      Object.assign(globalThis, timers)
      Date.now = dateNow
      performance.now = performanceNow
      Math.random = mathRandom
      Object.assign(crypto, { randomBytes })
      syncBuiltinESMExports()
      process.off('unhandledRejection', onEscaped)
    },
  }
}

type Callback = (...args: unknown[]) => void

function timersOf(world: World) {
  const setTimeout = (callback: Callback, ms = 0, ...args: unknown[]) =>
    new Timer(world.after(Math.max(1, ms), () => callback(...args)))
  const setImmediate = (callback: Callback, ...args: unknown[]) => new Timer(world.after(0, () => callback(...args)))
  const setInterval = (callback: Callback, ms = 0, ...args: unknown[]) => {
    let cancel: () => void
    const again = () => {
      cancel = world.after(Math.max(1, ms), () => {
        again()
        callback(...args)
      })
    }
    again()
    return new Timer(() => cancel())
  }
  return { setTimeout, setInterval, setImmediate }
}
