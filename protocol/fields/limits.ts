// Bounds on what may come in from a file, a command line or another program.

/**
 * A settings file. 10,000 queues of about 120 bytes are 1.2 MB; the YAML parser needs about 200 bytes of memory per byte
 * of text, so 2 MiB stay below half a gigabyte even for a file made to hurt.
 */
export const TEXT_BYTES_MAX = 2 * 2 ** 20

/** Nesting of a whole file. A flow needs about 8 levels; recursion stays far from the stack's end (about 1,000 levels). */
export const DEPTH_MAX = 64

/** Values (scalars, lists, maps) in one file: the densest legal YAML spends about 3 bytes on each, sensible files 10. */
export const NODES_MAX = 200_000

/** Nesting and number of values inside one free-form setting (`f.any`), such as a filter condition. */
export const ANY_DEPTH_MAX = 32
export const ANY_NODES_MAX = 10_000

/** Faults reported at once: more than a person reads, less than what a file in the wrong format would produce. */
export const FAULTS_MAX = 50

/** Length of a text setting when its spec says nothing (UTF-16 units); a path on Linux has at most 4096 bytes. */
export const TEXT_LENGTH_MAX = 4096

/** Entries of a list or record when its spec says nothing. */
export const ENTRIES_MAX = 1000

/** Characters of a wrong value, or of a name, shown in a fault. */
export const SHOWN_LENGTH_MAX = 60

/** Names listed in a fault; a registry of components has dozens, a record's keys are never listed. */
export const NAMES_SHOWN_MAX = 40

/** Names longer than this are not compared for a suggestion: 64² steps per candidate. */
export const SPELLING_LENGTH_MAX = 64

/** Command line: a shell expanding `*` may well pass thousands of names. */
export const ARGS_MAX = 10_000
export const ARG_LENGTH_MAX = 65_536
