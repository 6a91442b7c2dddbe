// Bounds of chains, with their arithmetic.

/** Nesting of a value that is encoded; JSON of channels ends sooner, and recursion so deep takes a fifth of the stack. */
export const VALUE_DEPTH_MAX = 1_000
/** Log lines that the steps of one item may hand out of a thread. */
export const LOGS_MAX = 20
