// Waiting for real state: one regular look at everything, and promises that resolve when a look shows what they wait for.
// Each has a deadline, and all fail at once when something went wrong elsewhere.

import { fault } from './faults.ts'

type Waiter = {
  readonly what: string
  readonly isMet: () => boolean
  readonly deadlineMs: number
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

export class Watch {
  readonly #observe: (nowMs: number) => void
  readonly #timer: NodeJS.Timeout
  readonly #abort = new AbortController()
  #waiters: Waiter[] = []

  /** `observe` is called at every look, before the conditions are tried. What it throws fails the watch. */
  constructor(observe: (nowMs: number) => void, everyMs: number) {
    this.#observe = observe
    this.#timer = setInterval(() => this.#look(), everyMs)
  }

  /** Aborts when the watch has failed, with the reason. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Resolves at the first look that finds `isMet` true. `msMax: null` leaves the deadline to someone else's `fail`. */
  until(what: string, isMet: () => boolean, msMax: number | null): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.signal.aborted) return reject(this.signal.reason)
      // Without a deadline of its own a wait still ends: whoever passes null watches for a stall and calls `fail`.
      const deadlineMs = msMax === null ? Number.MAX_SAFE_INTEGER : performance.now() + msMax
      this.#waiters.push({ what, isMet, deadlineMs, resolve, reject })
    })
  }

  /** Everything that waits, now or later, fails with this reason. The first one counts. */
  fail(reason: unknown): void {
    if (this.signal.aborted) return
    this.stop()
    this.#abort.abort(reason)
    for (const waiter of this.#waiters.splice(0)) waiter.reject(reason)
  }

  /** No more looks. */
  stop(): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    const nowMs = performance.now()
    try {
      this.#observe(nowMs)
      this.#waiters = this.#waiters.filter((waiter) => {
        if (waiter.isMet()) waiter.resolve()
        else if (nowMs > waiter.deadlineMs) waiter.reject(fault('DEMO_DEADLINE', { where: waiter.what }))
        else return true
        return false
      })
    } catch (error) {
      this.fail(error)
    }
  }
}
