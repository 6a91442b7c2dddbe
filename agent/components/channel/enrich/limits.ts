// Bounds of the channel `enrich`, with their arithmetic.

const MIB = 1024 * 1024

/** A table's file is read whole: with its rows as objects some eight times as much, and twice that while a new one is read. */
export const TABLE_BYTES_MAX = 32 * MIB
/** 300 bytes each with a few fields: 300 MB at most, 3 MB for 10,000. */
export const TABLE_ROWS_MAX = 1_000_000
/** How often it is looked whether a file has changed: one call of the system. */
export const LOOK_MS = 1_000
/** Results of a query kept: at most 4 KiB each, 40 MB by default and 400 MB at most. */
export const CACHE_ROWS_DEFAULT = 10_000
export const CACHE_ROWS_MAX = 100_000
export const CACHE_ROW_BYTES_MAX = 4_096
export const CACHE_MS_DEFAULT = 60_000
/** A look-up by an index takes some microseconds. */
export const QUERY_MS_DEFAULT = 5_000
export const QUERY_MS_MAX = 600_000
/** Rows of a call that are looked up at once: the process that runs the query always has something to do. */
export const ASKED_MAX = 64
export const QUERY_CHARS_MAX = 16_384
