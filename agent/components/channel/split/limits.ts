// Bounds of the channel `split`, with their arithmetic.

/** Parts of one item, at 300 bytes of objects each beside what they hold: 30 MB and 300 MB. */
export const SPLIT_PARTS_DEFAULT = 100_000
export const SPLIT_PARTS_MAX = 1_000_000
/** What is repeated in each part (headers, ancestors) may make all of them this many times `bytesMax`. */
export const SPLIT_GROWTH_MAX = 2
/** Steps of a path: XML documents are not deeper. */
export const PATH_STEPS_MAX = 256
