// Bounds of the frame layer, with their arithmetic.

/** Frames before authentication: certificates (≤ 8 KiB each, at most two) and names fit well. */
export const HANDSHAKE_FRAME_BYTES_MAX = 32 * 1024

/** Control frames: one protobuf message; the largest is SETTLE with 2,048 ranges of about 30 bytes. */
export const CONTROL_FRAME_BYTES_MAX = 64 * 1024

/** Largest body of one message. Larger content travels as a transfer. */
export const BODY_BYTES_MAX = 1024 * 1024

/** Largest raw (uncompressed) payload of a batch: one message of the maximum with its key, or many small ones. */
export const PAYLOAD_RAW_BYTES_MAX = 2 * 1024 * 1024

/** Largest index of a batch: the distinct topics and headers of its messages. */
export const INDEX_BYTES_MAX = 512 * 1024

/** Head, delivery prefix and proof hashes of an extract (65,536 messages × 32 bytes at the very most). */
const BATCH_EXTRA_BYTES_MAX = 2 * 1024 * 1024

/** A frame that carries a batch: payload + index + extra = 4.5 MiB. */
export const BATCH_FRAME_BYTES_MAX = PAYLOAD_RAW_BYTES_MAX + INDEX_BYTES_MAX + BATCH_EXTRA_BYTES_MAX

/** Content in one CHUNK_DATA: what is urgent waits for one of these at most, 2 ms at 1 Gbit/s. */
export const CHUNK_DATA_BYTES_MAX = 256 * 1024
/** With the sixteen bytes before it. */
export const BULK_FRAME_BYTES_MAX = CHUNK_DATA_BYTES_MAX + 16
