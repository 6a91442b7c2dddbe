// Bounds of the channel `merge`, with their arithmetic.

const MIB = 1024 * 1024

/** Groups that wait at once, 400 bytes each beside their items: 4 MB and 400 MB. */
export const GROUPS_DEFAULT = 10_000
export const GROUPS_MAX = 1_000_000
/** Items of one group; of rows a list of so many comes out. */
export const ITEMS_DEFAULT = 10_000
export const ITEMS_MAX = 1_000_000
/**
 * What waits, in memory and on the disk: there up to twice in a log, and once more while it is written anew. What comes out of a
 * group takes as much again while it is made.
 */
export const KEPT_BYTES_DEFAULT = 64 * MIB
export const KEPT_BYTES_MAX = 1024 * MIB
/** Counted for each item beside what it holds: the objects around it. */
export const ITEM_BYTES = 200
/** One item: a document of 256 MiB and its row. */
export const MEMBER_BYTES_MAX = 290 * MIB
/** What comes out in one call because its time has come; the rest comes with the next. */
export const DUE_BYTES_MAX = 8 * MIB
/** A key in the `ref` of what comes out, for people. */
export const KEY_SHOWN_CHARS = 80
