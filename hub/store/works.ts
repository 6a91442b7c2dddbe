// Works put together.

import type { Work } from './engine.ts'

/** One work of several, in their order. */
export function together(works: readonly Work[]): Work {
  return {
    write: () => {
      for (const work of works) work.write()
    },
    done: () => {
      for (const work of works) work.done()
    },
  }
}

/** Nothing to write, or nothing to do when it is written. */
export function nothing(): void {
  // On purpose.
}
