// What a portion changes, for tests that kill: the same for the same seed.

import { randomFrom } from '../support/testing.ts'

/** So large that files are written anew every few portions. */
export const FILL_BYTES = 60_000

export function changesOf(seed: number, portion: number): [string, number | null][] {
  const random = randomFrom(seed + portion * 7919)
  return Array.from({ length: Math.floor(random() * 12) }, () => {
    const name = `n${Math.floor(random() * 20)}`
    return [name, random() < 0.4 ? null : portion]
  })
}
