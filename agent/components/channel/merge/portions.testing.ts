// What is merged until a kill: number n belongs to a group of five, whose members are spread over sixty numbers.

import type { DatabaseSync } from 'node:sqlite'
import type { Row } from '../../contract.ts'

export const KILLED_SETTINGS = { key: 'k', as: { row: {} }, count: 5 }

/** So large that the log is written anew every thousand of them or so. */
const FILLING = 'x'.repeat(4_000)

export function rowsFrom(next: number, count: number): Row[] {
  return Array.from({ length: count }, (_, i) => {
    const n = next + i
    return { k: Math.floor(n / 60) * 12 + (n % 12), n, x: FILLING }
  })
}

export function positionOf(database: DatabaseSync): { next: number; state: string | null } {
  const position = database.prepare('SELECT next, state FROM position').get()
  return { next: Number(position?.next ?? 0), state: (position?.state ?? null) as string | null }
}
