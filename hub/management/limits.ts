// Bounds of the management port and its commands.

/** A request: 1,000 ids of at most 200 bytes and the rest. */
export const REQUEST_BYTES_MAX = 256 * 1024
/** Messages one request may name. */
export const IDS_MAX = 1000
/** Messages of one peek: with previews and headers of 16 KiB at most 17 MB. */
export const PEEK_MAX = 1000
/** Contents of one list: at some 700 B each 7 MB. */
export const CONTENTS_MAX = 10_000
/** Operations on queues at a time; each takes its turns with the hub's own work. */
export const OPERATIONS_MAX = 4
/** One line of an answer, as a command takes it: the queues of 16,384 agents at 1 KiB each, and room. */
export const LINE_LENGTH_MAX = 64 * 1024 * 1024
/** How often a long operation says how far it is. */
export const PROGRESS_MS = 1000
/** Silence after which a command gives up: a busy hub may be late with its progress, not that late. */
export const SILENCE_MS_MAX = 30_000

/** Why something was deployed. */
export const NOTE_LENGTH_MAX = 1_000
