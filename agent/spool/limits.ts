// Every bound of the spool, with the arithmetic behind it.

const KIB = 1024
const MIB = 1024 * KIB

/** A stream's name in UTF-8. LMDB's own key limit here is 1,978. */
export const STREAM_NAME_BYTES_MAX = 200

/**
 * One stream per flow that writes to a hub; a front-end machine runs tens. 1,024 × (64 KiB cursor + record) = 65 MiB at
 * worst.
 */
export const STREAMS_MAX = 1024

/** A source's cursor (the component contract's `CURSOR_BYTES_MAX`). It is rewritten with every append. */
export const CURSOR_BYTES_MAX = 64 * KIB

/**
 * One sealed batch. Sealed batches are some hundred KiB; one message may be large, but large content travels as a
 * transfer.
 */
export const BATCH_BYTES_MAX = 64 * MIB

/** Counted in 32 bits in the key. */
export const MESSAGES_PER_BATCH_MAX = 2 ** 32 - 1

/** Sequence numbers and epochs are 48 bits on disk: at 1 M messages a second, 8.9 years. */
export const SEQ_MAX = 2 ** 48 - 1

/**
 * One transaction takes appends until one of these is reached, so that its dirty pages stay near 8 MiB (+ one batch).
 */
export const GROUP_BYTES_MAX = 8 * MIB
export const GROUP_APPENDS_MAX = 1024

/** Appends waiting for a transaction. Beyond it the caller is not awaiting anything: `SPOOL_FULL`. */
export const QUEUE_APPENDS_MAX = 65_536

/**
 * One transaction releases at most this much: 16 MiB are 4,096 page numbers, 32 KiB of free list; 256 keys, about 8
 * leaves.
 */
export const RELEASE_BYTES_MAX = 16 * MIB
export const RELEASE_KEYS_MAX = 256

/**
 * Disk space held back for deleting on a full disk (deleting copies pages before it frees them): free list 32 KiB +
 * leaves and branches 64 KiB + stream records at most 64 KiB + room for a fragmented free list.
 */
export const RESERVE_BYTES = MIB

/** Callers waiting in `space`: one per flow, with room for a restart. */
export const SPACE_WAITERS_MAX = 4 * 1024

/**
 * A value larger than this goes to pages of its own; a smaller one shares a leaf. LMDB's limit is a little under half a
 * page.
 */
export const INLINE_BYTES_MAX = 1024

/** Key (18), node header (8), page pointer and alignment (8), and the leaf's share of branch pages and free list. */
export const BATCH_OVERHEAD_BYTES = 64

/** The page header LMDB puts before a value that has pages of its own. */
export const PAGE_HEADER_BYTES = 24

/**
 * How large the file may become for a bound of `bytesMax`: free runs of pages are not always long enough for the next
 * batch, in the worst case every second one is not: twice the bound, and the stream records.
 */
export const mapBytesFor = (bytesMax: number): number => 2 * bytesMax + 64 * MIB
