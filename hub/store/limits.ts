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
