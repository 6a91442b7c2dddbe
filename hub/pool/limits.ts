// Bounds of the worker threads.

/** Hashing 64 KiB takes 35 µs, about what handing it to a thread and back takes. */
export const HASHED_AT_ONCE_BYTES = 64 * 1024
/** Decoding and hashing 16 KiB takes as long. */
export const DECODED_AT_ONCE_BYTES = 16 * 1024

/** A thread without work ends after so long: most hubs carry large content now and then. */
export const IDLE_MS = 10_000

/** Buffers are of multiples of this: the step in which chunks of one size grow with their content. */
export const SHARED_STEP_BYTES = 64 * 1024
/** Free buffers kept for the next chunk: two of the largest. Others go back to the system. */
export const SHARED_KEPT_BYTES_MAX = 16 * 1024 * 1024
