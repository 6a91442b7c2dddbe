// Bounds of durable channel state, with their arithmetic.

const MIB = 1024 * 1024

/** Read at once when a state is opened. */
export const STATE_READ_BYTES = MIB
/**
 * A file is written anew when it is longer than twice what it would then be, and this: so every byte that is kept is written
 * once more at most for each that was appended, and a folder holds at most two files of 2 × kept + 4 MiB.
 */
export const STATE_SLACK_BYTES = 4 * MIB
/** One change; a merged document is at most 256 MiB (DOCUMENT_BYTES_MAX), and its record little more. */
export const STATE_RECORD_BYTES_MAX = 300 * MIB
/** A snapshot is written in pieces of this size. */
export const STATE_WRITE_BYTES = 4 * MIB
/**
 * Nesting of a value in a row that is kept or compared: XML documents have 256 levels, and two in JSON for each. What reads and
 * writes it recurses, and stays far from the end of the stack (some 5,000 levels).
 */
export const ROW_DEPTH_MAX = 512
