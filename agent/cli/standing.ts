// How a transfer stands, in words.

import type { TransferReport } from '#agent/client/mod.ts'
import { type Fault, unreachable } from '#protocol/base/mod.ts'

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

/** What the hub says, where it is the hub that says it. */
export const codeOf = (fault: Fault | null): string | null =>
  fault === null ? null : String(fault.details.hubCode || fault.code)
