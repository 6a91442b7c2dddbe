// The position of a flow, as its destination keeps it: the source's cursor, with the state of the channels when they keep any.

import type { Cursor } from '../components/contract.ts'

export type FlowPosition = { readonly source: Cursor | null; readonly channels: string | null }

const NAMES = '["flow","source","channels"]'

/** Only a flow whose channels keep something wraps the cursor: others keep what they always kept. */
export function wrapPosition({ source, channels }: FlowPosition): Cursor {
  return channels === null && source !== null ? source : JSON.stringify({ flow: 1, source, channels })
}

export function unwrapPosition(position: Cursor | null): FlowPosition {
  if (position === null) return { source: null, channels: null }
  const wrapped = parsed(position)
  return wrapped ?? { source: position, channels: null }
}

/** `null` when it is a source's own. */
function parsed(position: Cursor): FlowPosition | null {
  if (!position.startsWith('{"flow":1,')) return null
  try {
    const value = JSON.parse(position) as Record<string, unknown>
    const { flow, source, channels } = value
    if (flow !== 1 || JSON.stringify(Object.keys(value)) !== NAMES) return null
    if (!(source === null || typeof source === 'string') || !(channels === null || typeof channels === 'string'))
      return null
    return { source, channels }
  } catch {
    return null
  }
}
