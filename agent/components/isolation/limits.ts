// Bounds of isolated work, with their arithmetic.

const MIB = 2 ** 20

/** One thread: agents are lightweight. The hub sets its own number. */
export const THREADS_DEFAULT = 1
/** A document of 16 MiB as a tree takes some ten times as much, and the result beside it. */
export const MEMORY_BYTES_DEFAULT = 512 * MIB
/** Below this a thread does not even load its libraries. */
export const MEMORY_BYTES_MIN = 32 * MIB
/** Transforming 16 MiB at 4 MB/s takes four seconds. */
export const ITEM_TIME_MS_DEFAULT = 10_000

/** A thread without work ends after so long: it holds some 100 MB, and to start another takes most of a second of a processor. */
export const IDLE_MS = 30_000
/** A thread that has not begun, or not read its configuration, within this time never will. */
export const PREPARE_MS_MAX = 60_000
/** How often running work is looked at: a tenth of its time limit, within these. */
export const LOOK_MS_MIN = 5
export const LOOK_MS_MAX = 50

/** What one task holds at most: some milliseconds of work, beside which handing it over (50 µs) does not count. */
export const TASK_ITEMS_MAX = 1_000
/** A larger item is a task alone. Twice this times the threads is the memory of tasks under way. */
export const TASK_BYTES_MAX = 2 * MIB

/** Compiled configurations a thread keeps: that of every flow of a large agent. The one not used for longest goes. */
export const CONFIGURATIONS_MAX = 64

/**
 * How far V8's own bound on a heap lies above ours, which is looked at some times a second: what one call may take at once (a list twice
 * as long, a document parsed) must not reach it.
 */
export const HEAP_BEYOND_FACTOR = 2
export const HEAP_BEYOND_MIB = 2_048
/** What one collection may move into the heap at most: V8 gives a thread that is at its bound 16 MiB more to finish it. */
export const YOUNG_HEAP_MIB = 16
