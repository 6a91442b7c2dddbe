// Bounds of the built-in components, with their arithmetic.

const KIB = 1024
const MIB = 1024 * KIB

/** A row in a text file. A portion is "a few MiB", so one row must stay below one. */
export const LINE_BYTES_MAX = MIB
/** Columns of a CSV file or a table: SQLite's own default limit is 2,000. */
export const FIELDS_MAX = 2_000
/** Text taken into one portion. With UTF-16 strings and objects about three times that in memory. */
export const PORTION_BYTES_MAX = 2 * MIB
/** Read at once from a file. Buffer = one line left over + this = 2 MiB a source. */
export const READ_BYTES = MIB

/** Rows a portion may be asked to carry: at 20 bytes a row, PORTION_BYTES_MAX is reached first. */
export const BATCH_ROWS_MAX = 100_000
export const BATCH_ROWS_DEFAULT = 5_000

/** Rows looked at again at the end of a table: 12 bytes each in the cursor, 24 KB of its 64 KiB. */
export const OVERLAP_ROWS_MAX = 2_000
export const OVERLAP_ROWS_DEFAULT = 64
/** A position of 16 columns; each value must fit a cursor of 64 KiB three times over (low, high, nulls). */
export const KEY_COLUMNS_MAX = 16
export const KEY_VALUE_CHARS_MAX = 1_000

/**
 * Files seen in a drop folder and not taken yet, 500 bytes each: 8 MB. As they rest for `stableMs` before they are taken, so many
 * pass in that time at most: with 2 s 8,000 a second.
 */
export const OBSERVED_FILES_MAX = 16_384
/** Files of rows claimed and flushed together, as long as they are small. */
export const CLAIMS_AT_ONCE = 64
/** Names read from a folder at a time. */
export const SCAN_READ_NAMES = 1_024
/** Sub-folders below one another; a path of so many with names of 255 bytes is longer than systems take. */
export const FOLDER_DEPTH_MAX = 32
/** Folders of a destination known to be there: 100 bytes each. */
export const FOLDERS_KNOWN_MAX = 10_000
/** Calls to the file system under way; Node has four threads for them. */
export const FILES_AT_ONCE = 32
/** Files of one portion end with the one that reaches this: small ones share a commit, a large one has its own. */
export const PORTION_FILES_BYTES_MAX = 8 * MIB
/** Copied in one piece. */
export const SMALL_FILE_BYTES_MAX = 64 * KIB
/** Copies and downloads of larger ones: a download takes 40 MiB at most. */
export const LARGE_FILES_AT_ONCE = 8
/** Uploads share their memory; most of the time they wait for the hub's disk. */
export const UPLOADS_AT_ONCE = 32
/** Of a smaller one the hashes are made again sooner than they are read. */
export const JOURNAL_FILE_BYTES_MIN = 4 * MIB
/** Read at once from a large file. */
export const COPY_BYTES = MIB
/** Versions of a file looked at for what the next one has of them. */
export const VERSIONS_MAX = 1_000
/** Parts of contents that nobody asked for again for so long are not kept any more. */
export const PARTS_KEPT_MS = 7 * 86_400_000

/** Changes in a drop folder come in bursts (create, write, write, close): one scan for all within this time. */
export const WATCH_SETTLE_MS = 25
/** Tries to find a free name in done/ or bad/ before giving up: `name.2` … */
export const NAME_TRIES_MAX = 10_000_000
/** File names end at 255 bytes on every common file system; room for `.10000000.rows.jsonl`. */
export const NAME_BYTES_MAX = 225

/** Original text kept with a rejected row; longer rows are cut, the file in done/ has them whole. */
export const REJECT_TEXT_CHARS_MAX = 64 * KIB
/** Rejects remembered to recognise a repeat after a crash: the tail of the file that holds them. */
export const REJECT_TAIL_BYTES = 8 * MIB
/** Examples in a reason file: enough to see the pattern, short enough to read. */
export const REASON_EXAMPLES_MAX = 20

/** Prepared upserts kept, one per set of fields seen; beyond that the oldest is prepared again. */
export const STATEMENTS_MAX = 64
/** How long a statement may wait for a lock: it blocks the process, so the flow's backoff does the waiting. */
export const BUSY_WAIT_MS = 50

/** An expression per row: nested calls, items of one sequence, time (the default; settable). */
export const EXPRESSION_DEPTH_MAX = 200
export const EXPRESSION_SEQUENCE_MAX = 100_000
export const EXPRESSION_CHARS_MAX = 16 * KIB
export const EXPRESSION_TIMEOUT_MS = 1_000
/** Nesting of a value an expression may give. */
export const VALUE_DEPTH_MAX = 32

/** Levels of a record in JSON. XML has the same bound; records of offices stay below 20. */
export const JSON_DEPTH_MAX = 256

/** A document that channels hold whole: as a tree it takes some ten times as much. */
export const DOCUMENT_BYTES_DEFAULT = 16 * MIB
export const DOCUMENT_BYTES_MAX = 256 * MIB
