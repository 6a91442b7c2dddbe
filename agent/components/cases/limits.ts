// Bounds of cases, with their arithmetic.

const MIB = 2 ** 20

/** Cases of one file; each takes some milliseconds. */
export const CASES_MAX = 1_000
/** Rows or documents of one case: small samples, not data. */
export const CASE_ITEMS_MAX = 1_000
/** The text of a document in the file itself, which ends at 2 MiB. */
export const CASE_TEXT_CHARS_MAX = MIB
/** A document in a file of its own. */
export const CASE_FILE_BYTES_MAX = 16 * MIB
/** How often what comes due is asked for in one case: a merge with thousands of groups goes out at once. */
export const DUE_CALLS_MAX = 1_000
