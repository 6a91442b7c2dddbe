// Bounds of the channel `script`, with their arithmetic.

const KIB = 1024
const MIB = 1024 * KIB

/** A script in a flow file: about 2,000 lines. What needs more is a program. */
export const SCRIPT_CHARS_MAX = 64 * KIB
/** One item. The engine looks at the clock every STEPS_PER_LOOK steps, some 0.3 ms. */
export const TIMEOUT_MS_DEFAULT = 1_000
export const TIMEOUT_MS_MAX = 60_000
/** Calls and turns of loops between two looks of the engine at its bounds. */
export const STEPS_PER_LOOK = 10_000
/** About three seconds: with the default time, the steps decide on fast machines and on slow ones alike only beyond it. */
export const STEPS_DEFAULT = 100_000_000
export const STEPS_MAX = 10_000_000_000
/** Of the engine for one item; a document of 16 MiB is there as JSON, as a text and as what the script makes of it. */
export const MEMORY_BYTES_DEFAULT = 128 * MIB
/** An engine begins with 32 MiB, most of it never touched. */
export const MEMORY_BYTES_MIN = 32 * MIB
export const MEMORY_BYTES_MAX = 1024 * MIB
/** Its frames are frames of the thread too, four to ten times as large: 64 KiB stay below the 1 MB that a thread has. */
export const STACK_BYTES = 64 * KIB
/** Items that may come of one. */
export const RESULTS_MAX = 10_000
/** The rows of the results as JSON; documents beside them have `bytesMax`. */
export const RESULT_CHARS_MAX = 32 * MIB
export const LOG_LINES_MAX = 20
export const LOG_CHARS_MAX = 1_000
/** What a script throws, as it is told to people. */
export const MESSAGE_CHARS_MAX = 500
