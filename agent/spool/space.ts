// Callers waiting for room under the bound.

import type { Fault } from '#protocol/base/mod.ts'
import { spoolFault } from './faults.ts'
import { SPACE_WAITERS_MAX } from './limits.ts'

type Waiter = { readonly charge: number; readonly done: () => void; readonly refuse: (reason: unknown) => void }

export class SpaceWaiters {
  readonly #fits: (charge: number) => boolean
  readonly #waiters = new Set<Waiter>()

  constructor(fits: (charge: number) => boolean) {
    this.#fits = fits
  }

  /** Resolves when `charge` fits; rejects with the signal's reason. The room is not kept: who appends first has it. */
  async wait(charge: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#fits(charge)) return
    if (this.#waiters.size >= SPACE_WAITERS_MAX) {
      throw spoolFault('SPOOL_FULL', { retry: true, why: `${SPACE_WAITERS_MAX} callers wait for space already` })
    }
    const settled = Promise.withResolvers<void>()
    const waiter: Waiter = { charge, done: settled.resolve, refuse: settled.reject }
    const onAbort = () => settled.reject(signal.reason)
    this.#waiters.add(waiter)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await settled.promise
    } finally {
      this.#waiters.delete(waiter)
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Lets everyone go for whom there is room now. */
  wake(): void {
    for (const waiter of this.#waiters) if (this.#fits(waiter.charge)) waiter.done()
  }

  refuse(fault: Fault): void {
    for (const waiter of this.#waiters) waiter.refuse(fault)
  }
}
