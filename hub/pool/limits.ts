// Bounds of the worker threads.

/** Hashing 64 KiB takes 35 µs, about what handing it to a thread and back takes. */
export const HASHED_AT_ONCE_BYTES = 64 * 1024

/** A thread without work ends after so long: most hubs carry large content now and then. */
export const IDLE_MS = 10_000
