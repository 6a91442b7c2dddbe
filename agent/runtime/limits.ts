// Every bound of the runtime, with the arithmetic behind it.

/** Flows of one agent: a front-end machine serves a few business systems; each flow holds two portions of a few MiB. */
export const FLOWS_MAX = 256

/** Waiting longer than a day is not retrying any more. */
export const RETRY_MS_MAX = 24 * 3600 * 1000

/** A source whose `idle` returns at once although `next` has nothing is asked no more often than this. */
export const IDLE_MS_MIN = 10

/** Timers of Node end here, at 24 days, and run at once beyond. */
export const TIMER_MS_MAX = 2 ** 31 - 1
