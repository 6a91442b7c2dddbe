// Bounds of the `validate` channel. Time and memory are those of the thread it runs in.

const MIB = 1024 * 1024

/** One file of a schema: the largest ones of standards bodies have about one. */
export const SCHEMA_BYTES_MAX = 4 * MIB
/** Files of one schema, 800 MiB at the most; real ones have some tens. */
export const SCHEMA_FILES_MAX = 200
/** Violations told of one document. */
export const VIOLATIONS_MAX = 10
export const VIOLATION_CHARS_MAX = 400
