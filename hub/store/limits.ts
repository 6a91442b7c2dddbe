// Bounds of the store, with the arithmetic behind them.

const KIB = 1024
const MIB = 1024 * KIB

/**
 * One transaction takes appends until this is reached, so that its dirty pages stay near it (+ one batch). At 1 ms a
 * flush it is no limit to throughput: 32 GB a second.
 */
export const GROUP_BYTES_MAX = 32 * MIB

/**
 * What an append takes beside its batch: a page for what the batch leaves unused in its last one, and a key's nodes.
 */
export const APPEND_OVERHEAD_BYTES = 4 * KIB + 256
/** An entry of a queue: key, numbers, node header; a long selection is counted by its own size. */
export const ENTRY_OVERHEAD_BYTES = 256

/**
 * Address space LMDB's map begins with; the package widens it when rows need more. 4 GiB are the rows of 20 M batches.
 */
export const MAP_BYTES = 4096 * MIB

/**
 * Part of the map that appends leave free for settlement, which copies pages before it frees them: a state of 1 MiB,
 * the leaves of 1,000 entries, a free list of some hundred pages. An eighth of a small map.
 */
export const mapReserveBytes = (mapBytesMax: number): number => Math.min(16 * MIB, Math.floor(mapBytesMax / 8))

/** Disk held back for the same purpose, in a file that is given up when the disk is full. */
export const DISK_RESERVE_BYTES = 4 * MIB

/**
 * After a failed write, time until upkeep is tried again: an operator frees space in minutes, a disk recovers in
 * seconds.
 */
export const RETRY_MS = 500

/** Rows of held contents read at a time: most name one; 64 of the largest, which fill an index of 512 KiB, are 16 MiB. */
export const HOLD_ROWS = 64

/** Entries removed in one transaction when a queue is forgotten. */
export const FORGET_ENTRIES = 1000

/** Streams of one agent in use at once: two sessions (an old one that just ends) with 256 each, with room to grow. */
export const STREAMS_PER_AGENT_MAX = 4096
/** A stream's name is part of a key; LMDB's own limit here is 1,978 bytes. */
export const STREAM_NAME_BYTES_MAX = 200

/** Durable subscriptions of one agent: each costs a look-up per distinct envelope and an entry per batch it matches. */
export const SUBSCRIPTIONS_PER_AGENT_MAX = 1024
/** A queue's name with its owner's: it stands in messages, logs and metrics. */
export const QUEUE_NAME_BYTES_MAX = 300

/** Why a message was rejected, in UTF-16 units: it is kept with every entry. */
export const REASON_LENGTH_MAX = 512

/** Entries in a queue's ready window: 1,024 references of about 200 bytes. */
export const WINDOW_ENTRIES = 1024
/** Entries read from disk at a time. */
export const LOAD_ENTRIES = 256

/** Deliveries of one priority in a row while less urgent ones wait: they get at least a ninth of the line. */
export const RUN_OF_ONE_PRIORITY = 8
/** Expired entries taken away before a consumer's turn goes on; the rest when those are off the disk. */
export const EXPIRED_PER_TAKE = 256
/** Entries dropped in one transaction to make room. */
export const DROPS_PER_STEP = 256
/** Timers that fall due in one transaction. */
export const TIMERS_PER_STEP = 512
/** Entries looked at in one step of a sweep. */
export const SWEEP_ENTRIES = 512
/** Places of one batch that its trace lists; a broadcast to more says how many there were. */
export const TRACE_PLACES_MAX = 64

/**
 * A segment file: freed as a whole, so small beside what is stored, and large beside a group, so that files change
 * seldom (at 500 MB/s eight times a second). 64 GiB are 1,024 files. On small stores a 64th of it, so that freeing
 * one frees a noticeable part of little.
 */
export const SEGMENT_BYTES_MAX = 64 * MIB
export const SEGMENT_BYTES_MIN = MIB
export function segmentBytesFor(storeBytesMax: number): number {
  return Math.min(SEGMENT_BYTES_MAX, Math.max(SEGMENT_BYTES_MIN, 2 ** Math.floor(Math.log2(storeBytesMax / 64))))
}

/**
 * Segments of large contents: a chunk has up to 8 MiB, so a 32nd of a file stays empty at most when the next one does not
 * fit. 1 TiB is 4,096 files, which every group looks through in some 20 µs. On small stores as above.
 */
export const CONTENT_SEGMENT_BYTES_MAX = 256 * MIB
export const contentSegmentBytesFor = (storeBytesMax: number): number =>
  Math.min(
    CONTENT_SEGMENT_BYTES_MAX,
    Math.max(CONTENT_SEGMENT_BYTES_MIN, 2 ** Math.floor(Math.log2(storeBytesMax / 64))),
  )
/** Room for one chunk of 8 MiB and more. */
export const CONTENT_SEGMENT_BYTES_MIN = 16 * MIB
/** What describes a content stands in its row, each text's length in one byte. */
export const CONTENT_TEXT_BYTES_MAX = 255
/** A seal: a root, a signature and what they are about, with ample room; rewritten with every touch. */
export const CONTENT_MANIFEST_BYTES_MAX = 16 * KIB
/** Rows of a part and of its chunk, and the pages of three more trees that it changes, at most. */
export const CONTENT_ADD_BYTES = 3 * APPEND_OVERHEAD_BYTES
/** Parts removed in one transaction: as many chunks' rows change, some 2 MiB of pages and 5 ms. */
export const CONTENT_REMOVE_PARTS = 512
/** Parts looked at in one go for a chunk that was lost: 5 ms of the hub's thread. */
export const CONTENT_SCAN_PARTS = 2048
/** Contents listed in one go. */
export const CONTENT_ROWS = 256
/** When a touch that found nothing to go with is written: what is kept for hours need not be known better. */
export const CONTENT_TOUCH_MS = 30_000

/** Freed segment files kept to be overwritten: written blocks are twice as fast as new ones. 256 MiB at most. */
export const SEGMENT_SPARES_MAX = 4
/** Segment files kept open: a few being written, the rest for reading; far below the usual 1,024 a process may open. */
export const SEGMENT_FILES_OPEN_MAX = 64

/** One gathered write: 4 MiB take about 1 ms, and so long a batch behind it waits at most. 512 stays below IOV_MAX. */
export const WRITE_BYTES_MAX = 4 * MIB
export const WRITE_BUFFERS_MAX = 512

/** Read beside the hub's thread at once: about 1 ms, and so long others wait for one of the few threads that do it. */
export const READ_BYTES_MAX = MIB

/** What disks and file systems write at once: a page of the system's cache, and a multiple of every usual sector. */
export const DISK_PAGE_BYTES = 4096

/** A gather of this size ends with its page, so that no page is written twice; padding takes 4 KiB of 64 at most. */
export const PAGE_END_BYTES_MIN = 64 * KIB

/** Flushed while more of the same group is being written: below this one flush at its end is as fast. */
export const FLUSH_AHEAD_BYTES = MIB

/** Appends are refused below this much free disk: what else lives on the disk (logs, the system) must go on. */
export const FREE_BYTES_MIN = 64 * MIB

/**
 * Segments below this live share are copied together, once waste passes `compactionWasteBytes`: one byte is copied for
 * each byte freed at worst, and files stay below twice what is live, plus that waste.
 */
export const COMPACT_SHARE = 0.5
/** The same when the store is nearly full: nine bytes copied for one freed are better than refusing. */
export const COMPACT_SHARE_FULL = 0.9
export const compactionWasteBytes = (segmentBytes: number): number => 2 * segmentBytes
/** Copied in one step: 2 MiB are read, checked and handed over in about 3 ms of the hub's thread. */
export const COMPACT_STEP_BYTES = 2 * MIB

/**
 * Batches up to this lie in their row. One in a segment waits for that file's flush and then for the transaction's, each
 * 0.2–1 ms; in the row only for the second: alone it is there in three quarters of the time, and eight at a time are
 * 1.2–1.5 times as many a second. What it costs: LMDB copies it (16 KiB: some µs) and writes whole pages, at most one
 * of five too many, all of it after the group is closed, whereas segments are written ahead. So with 200 on the way rows
 * win at 4 KiB (1.2), draw at 10 KiB and lose at 16 KiB (0.75); but who sends that much sends larger batches.
 */
export const INLINE_BYTES_MAX = 16 * KIB

/** Batch numbers reserved at a time, so that none is given twice however often the hub starts. */
export const BATCH_NUMBERS_RESERVED = 65_536

/** Moved in one transaction of a migration: a second of work at most on a slow disk, lost when the hub is killed. */
export const MIGRATE_STEP_BYTES = 8 * MIB
export const MIGRATE_STEP_ROWS = 1000
/** Time between looks at what was kept long enough. */
export const SWEEP_MS = 1000
/** Entries an operator's command works on between two turns of other work. */
export const ADMIN_ENTRIES = 256
/** Different remarks of one redrive, each a line for its operator. */
export const REMARKS_MAX = 20

/**
 * Settlements and other upkeep wait so long for an append to go with: nobody's delivery depends on them, and a commit of
 * their own would make the next append wait for it. Less than one flush of a turning disk.
 */
export const UPKEEP_WAIT_MS = 4
