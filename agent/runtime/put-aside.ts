// Takes the rows a destination refuses during one write and has the source put them aside: those of one turn together,
// one call after the other.

import { asFault, type Fault } from '#protocol/base/mod.ts'
import type { Reject } from '../components/contract.ts'

export class PutAside {
  /** All rows refused so far. */
  readonly rejects: Reject[] = []
  /** The latest failure to put rows aside. */
  failure: Fault | null = null
  readonly #put: (rejects: readonly Reject[]) => Promise<void>
  /** Refused and not yet durable; those of a failed call come back here. */
  #waiting: Reject[] = []
  #scheduled: Promise<void> | null = null
  #last: Promise<void> = Promise.resolve()

  constructor(put: (rejects: readonly Reject[]) => Promise<void>) {
    this.#put = put
  }

  /** The `reject` of the component contract. The promise is fulfilled when the row is durable. */
  readonly reject = (reject: Reject): Promise<void> => {
    this.rejects.push(reject)
    this.#waiting.push(reject)
    if (this.#scheduled === null) {
      this.#scheduled = this.#last.then(() => this.#flush())
      // Kept for `done`; a destination that does not await the promise must not make it an unhandled rejection.
      this.#last = this.#scheduled.catch((error: unknown) => {
        this.failure = asFault(error)
      })
    }
    return this.#scheduled
  }

  /** Resolves when no call to the source is under way any more. */
  async done(): Promise<void> {
    await this.#last
  }

  /** Puts aside what failed before; throws when it fails again. */
  async complete(): Promise<void> {
    await this.#last
    await this.#flush()
  }

  async #flush(): Promise<void> {
    this.#scheduled = null
    const rejects = this.#waiting
    if (rejects.length === 0) return
    this.#waiting = []
    try {
      await this.#put(rejects)
    } catch (error) {
      this.#waiting = [...rejects, ...this.#waiting]
      throw error
    }
  }
}
