// Bounds of transfers, with their arithmetic.

const KIB = 1024
const MIB = 1024 * KIB

/** Content: the list of its chunks' digests then takes 4 MiB of memory (131,072 of 8 MiB). */
export const CONTENT_BYTES_MAX = 1024 * 1024 * MIB

/** Below this a chunk's row, digest and share of a commit weigh more than what a repeated chunk costs. */
export const CHUNK_BYTES_MIN = 64 * KIB
/** Of chunks cut by their content, whose shortest have a quarter of the average. The last chunk of a content may be shorter. */
export const CUT_CHUNK_BYTES_MIN = 16 * KIB
/** Both sides hold a chunk in memory until it is verified and written. */
export const CHUNK_BYTES_MAX = 8 * MIB
/** What chunks of one size are cut for: 1,000–2,000 of them from 64 MiB to 15.6 GiB of content; 16 GiB are 2,048 of 8 MiB. */
export const CHUNKS_WANTED = 2000
/** Content that has grown is cut as its earlier version was until it has so many times the chunks it would have else. */
export const EARLIER_PLAN_FACTOR = 4
/** Chunks of one content: 1 TiB in chunks of 4 MiB and more, 16 GiB in chunks of 64 KiB. */
export const CHUNKS_MAX = 262_144

/**
 * Content bytes under way that are not durable at the sink: what a kill makes the source send again, below 16 MB. Never less than
 * the largest chunk, or a chunk could not become whole.
 */
export const WINDOW_BYTES = 15 * MIB

/** Digests in one CHUNKS: 32 KiB, half a control frame. */
export const CHUNKS_PER_FRAME_MAX = 1024
/** Ranges in one WANT or STORED. */
export const RANGES_MAX = 1024
/**
 * How often chunks may be asked for, and acknowledged, in one session, for each chunk that was named: once, and again when it came
 * damaged. Who says more has its peer work for nothing.
 */
export const MENTIONS_PER_CHUNK_MAX = 4

export const CONTENT_ID_BYTES = 16
export const CONTENT_NAME_BYTES_MAX = 255
export const MEDIA_TYPE_LENGTH_MAX = 127
export const MANIFEST_BYTES_MAX = 2048

/** Where transfers share a line, a less urgent one gets a byte for so many of more urgent ones: 3 % of the line. */
export const URGENT_BYTES_PER_BYTE = 32

/** A chunk that came damaged is asked for again so often; then its source is taken for faulty. */
export const DAMAGED_TRIES_MAX = 3
