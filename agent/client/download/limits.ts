// Bounds of downloads, with their arithmetic.

import { CHUNKS_MAX } from '#protocol/transfer/mod.ts'

const KIB = 1024
const MIB = 1024 * KIB

/** What disks and their drivers want addresses and lengths to be multiples of, when the page cache is passed by. */
export const DISK_PAGE_BYTES = 4096

/** Chunks that are received, hashed, written or copied: 15 MiB on their way, one of 8 MiB begun, 8 MiB being copied, and gaps. */
export const ARENA_BYTES_MAX = 40 * MIB
/** Blocks of small contents that are kept for the next ones, each and together. */
export const SPARE_BLOCK_BYTES_MAX = 4 * MIB
export const ARENA_SPARE_BYTES_MAX = 16 * MIB
/** Chunks copied from files here at a time; one more than fits is let in when there is none. */
export const COPY_BYTES_MAX = 8 * MIB

/** Digests of zeros that are remembered: one a length, and the last chunk's; content can be made to have more. */
export const ZERO_DIGESTS_MAX = 64

/** Neighbours are written together up to this. */
export const WRITE_BYTES = 4 * MIB
/** Writes at a time: one is prepared while the disk does the other. */
export const WRITES_MAX = 2

export const JOURNAL_HEADER_BYTES = 48
export const JOURNAL_RECORD_BYTES = 52
/** Every chunk once, and some again; a longer one is not ours. */
export const JOURNAL_BYTES_MAX = JOURNAL_HEADER_BYTES + 2 * CHUNKS_MAX * JOURNAL_RECORD_BYTES

/** Names of files: 255 bytes on every usual system, of which `.`, eight digits and `.journal` take 18. */
export const FILE_NAME_BYTES_MAX = 255
export const HIDDEN_NAME_BYTES_MAX = 230
/** `name (2).ext` to `name (9999).ext`. */
export const NUMBERS_MAX = 9999

/** Files that are looked in for chunks, and chunks that their indexes name: 25 MB of memory at 80 bytes each. */
export const REUSE_FILES_MAX = 32
export const REUSE_RECORDS_MAX = CHUNKS_MAX + CHUNKS_MAX / 4
/** A file that has so many chunks in a row at no right place is not read further. */
export const REUSE_MISSES_MAX = 256
/**
 * Entries of the folder, and indexes in it, that are looked at: some milliseconds of names, twenty of what the system knows of
 * files. So much for content from 64 MiB on, less for smaller one, a sixteenth at least, and nothing below 1 MiB.
 */
export const FOLDER_ENTRIES_MAX = 4096
export const INDEXES_MAX = 1024
export const LOOKING_SIZE_FULL = 64 * MIB
export const LOOKING_SHARE_MIN = 1 / 16
export const LOOKING_SIZE_MIN = MIB

/** After a full disk, a refusal for the moment. */
export const RETRY_MS_FIRST = 1000
export const RETRY_MS_MAX = 30_000

export const PROGRESS_MS = 100
