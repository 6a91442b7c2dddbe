// Bounds of the hub's part in transfers, with their arithmetic.

import { WINDOW_BYTES } from '#protocol/transfer/mod.ts'

const MIB = 1024 * 1024

/**
 * What a kill of the hub may make travel again on the lines of sender and receivers together: what was under way from the sender,
 * and what is lost on the way to those who receive. They go on within a chunk; an agent of an earlier version begins it again, so
 * that one is allowed for where a window holds two chunks all the same.
 */
export const AGAIN_BYTES_MAX = 16_000_000
/**
 * Under way from a sender whose chunks are larger: one of 8 MiB is stored while half of the next one comes; 3.4 MB are left for what
 * is lost on other lines.
 */
export const LARGE_CHUNKS_WINDOW_BYTES = 12 * MIB

/** Bytes of all uploads together that may be under way in memory: six at full speed, more of them with less each. */
export const UNDER_WAY_BYTES_MAX = 6 * WINDOW_BYTES
/** Uploads of all agents at once; others are told to come again. At least a chunk each: 64 × 8 MiB in the worst case. */
export const UPLOADS_MAX = 64
/** Transfers of one session, of both directions. */
export const TRANSFERS_PER_SESSION_MAX = 64

/** Read ahead of what is sent: twice what is queued on a socket, so that one whose turn it is does not wait for the disk. */
export const READ_AHEAD_BYTES = MIB
export const READ_AHEAD_CHUNKS_MAX = 16

/** Chunks just written are kept so that who follows an upload reads no disk: three of the largest. */
export const RECENT_BYTES_MAX = 24 * MIB
/** A follower with so much of it left to be sent is near enough. */
export const NEAR_BYTES_MIN = 8 * MIB
/** With more, what it is sent next is not among the recent any more, or soon will not be. */
export const NEAR_BYTES_MAX = RECENT_BYTES_MAX
/** Who sends is held back for a follower at most so long at a time. */
export const AHEAD_MS_MAX = 50

/** Contents of one agent, so that one cannot fill the hub's lists; each costs about 1 KiB of memory. */
export const CONTENTS_PER_AGENT_MAX = 100_000

/** How often contents that nothing refers to are looked for. */
export const SWEEP_MS = 60_000
/** Contents removed in one sweep. */
export const SWEEP_CONTENTS_MAX = 256

/** Content queued on a socket: what is urgent waits behind this and what the system buffers. */
export const BULK_QUEUED_BYTES_MAX = 512 * 1024
