// Bounds of the `xquery` channel. Time and memory are those of the thread it runs in.

/** A long hand-written query has some tens of KiB. */
export const QUERY_CHARS_MAX = 256 * 1024
export const PARAMETERS_MAX = 100
/** Documents that one may become: 100 bytes each beside their own. */
export const RESULTS_MAX = 100_000
