// Bounds on mappings, and on what one may do with one document.

/** Nesting of a mapping: compiling and checking recurse. Schemas of offices have some 15 levels. */
export const MAPPING_DEPTH_MAX = 100
/** Nodes, expressions, conditions and steps in one mapping: compiled about 200 bytes each. */
export const MAPPING_PARTS_MAX = 100_000
/** Entries of all code tables of a mapping: the divisions of China down to villages are 680,000, down to townships 45,000. */
export const TABLE_ENTRIES_MAX = 100_000

/**
 * Nodes looked at for one document. A linear mapping with 100 fields of 100 looks at each node 100 times; beyond that it is quadratic in the
 * size of the document. 10⁸ take about half a second; small documents may be gone through more often.
 */
export const VISITS_MAX = 20_000_000
export const VISITS_PER_NODE_MAX = 200

/** Length of what comes out, in UTF-16 units: V8 holds 2²⁹ in one string. */
export const OUTPUT_CHARS_MAX = 128 * 2 ** 20

/** Maps and lists inside each other in a row. */
export const ROW_DEPTH_MAX = 64

/** Digits behind the point, and the size of a number with them, that a double holds exactly. */
export const DECIMALS_MAX = 6
export const FORMATTED_MAX = 1e15
