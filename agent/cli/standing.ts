// How a transfer stands, in words.

import type { TransferReport } from '#agent/client/mod.ts'
import { type Fault, unreachable } from '#protocol/base/mod.ts'
import { faultsText } from '#protocol/fields/mod.ts'
import { type Bar, roughBytes, roughTime } from './bar.ts'

/** What keeps a transfer from moving; `null`: nothing. `why`: the code of the fault it waits for, `null` where there is none. */
export function holdOf(state: TransferReport['state'], why: string | null): string | null {
  switch (state) {
    case 'waiting':
    case 'connecting':
      return why === null ? 'waiting for the hub' : `waiting: ${why}`
    case 'paused':
      return 'paused'
    case 'window':
      return 'waiting for its time of day'
    case 'finishing':
      return 'finishing'
    case 'sending':
    case 'receiving':
    case 'sealed':
    case 'done':
    case 'failed':
      return null
    default:
      return unreachable(state)
  }
}

const WAIT_LOOK_MS = 1000

/**
 * Says once, of each reason, why nothing moves and what to do, where that lasts. `faults`: what each transfer waits for, `null` of one
 * that moves. The result ends it.
 */
export function tellWaits(bar: Bar, faults: () => readonly (Fault | null)[]): () => void {
  const said = new Set<string>()
  let before: string | null = null
  const timer = setInterval(() => {
    const all = faults()
    const fault = all.includes(null) ? null : (all[0] ?? null)
    const code = codeOf(fault)
    if (fault !== null && code !== null && code === before && !said.has(code)) {
      said.add(code)
      bar.clear()
      console.error(`Waiting: ${faultsText([fault], { json: false })}`)
    }
    before = code
  }, WAIT_LOOK_MS)
  return () => clearInterval(timer)
}

/** What the hub says, where it is the hub that says it. */
export const codeOf = (fault: Fault | null): string | null =>
  fault === null ? null : String(fault.details.hubCode || fault.code)

/** What travelled of so much content, where that is worth saying. */
export const compressed = (contentBytes: number, wireBytes: number): string =>
  wireBytes < contentBytes ? `; compressed to ${roughBytes(wireBytes)}` : ''

/** `17 B in 3s (6 B/s)`. */
export const pace = (size: number, seconds: number): string =>
  `${roughBytes(size)} in ${roughTime(seconds)} (${roughBytes(size / Math.max(seconds, 0.001))}/s)`

export const rounded = (seconds: number): number => Math.round(seconds * 1000) / 1000
