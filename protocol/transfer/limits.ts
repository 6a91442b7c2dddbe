// Bounds of transfers, with their arithmetic.

const KIB = 1024
const MIB = 1024 * KIB

/** Content: the list of its chunks' digests then takes 4 MiB of memory (131,072 of 8 MiB). */
export const CONTENT_BYTES_MAX = 1024 * 1024 * MIB

/** Below this a chunk's row, digest and share of a commit weigh more than what a repeated chunk costs. */
export const CHUNK_BYTES_MIN = 64 * KIB
/** Both sides hold a chunk in memory until it is verified and written. */
export const CHUNK_BYTES_MAX = 8 * MIB
/** What chunks of one size are cut for: 1,000–2,000 of them from 64 MiB to 16 GiB of content. */
export const CHUNKS_WANTED = 2000
/** Chunks of one content: 1 TiB in chunks of 8 MiB, or 16 GiB cut by content into chunks of 64 KiB and more. */
export const CHUNKS_MAX = 262_144

/** Content bytes under way that are not durable at the sink: what a kill makes the source send again, below 16 MB. */
export const WINDOW_BYTES = 15 * MIB

/** Digests in one CHUNKS: 32 KiB, half a control frame. */
export const CHUNKS_PER_FRAME_MAX = 1024
/** Ranges in one WANT or STORED. */
export const RANGES_MAX = 1024
/** Chunks that may be partly received at a time. */
export const PARTIAL_CHUNKS_MAX = 8

export const CONTENT_ID_BYTES = 16
export const CONTENT_NAME_BYTES_MAX = 255
export const MEDIA_TYPE_LENGTH_MAX = 127
export const MANIFEST_BYTES_MAX = 2048

/** A chunk that came damaged is asked for again so often; then its source is taken for faulty. */
export const DAMAGED_TRIES_MAX = 3
