// Waiting that ends at once when the flow is stopped.

import { setTimeout as delay } from 'node:timers/promises'

/** Thrown inside a flow to leave it in an orderly way; never seen outside. */
export class FlowStopped extends Error {
  constructor() {
    super('the flow was stopped')
    this.name = 'FlowStopped'
  }
}

/** Resolves after `ms`; throws `FlowStopped` when the signal comes first. */
export async function waitOrStop(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal })
  } catch (error) {
    if (signal.aborted) throw new FlowStopped()
    throw error
  }
}

/** Is this what a component throws because its signal was aborted? */
export function isAbort(error: unknown, signal: AbortSignal): boolean {
  return signal.aborted && (error === signal.reason || (error as { name?: string }).name === 'AbortError')
}
