// Waiting for an event or a time, whichever is first, and for no longer than the flow runs.

/**
 * Resolves after `ms`, when the function given to `arm` is called, or when `signal` aborts. Leaves no timer and no listener
 * behind; calling the function later does nothing.
 */
export function waitFor(ms: number, signal: AbortSignal, arm?: (wake: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
    arm?.(done)
  })
}
