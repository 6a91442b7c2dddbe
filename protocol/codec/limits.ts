// Bounds of a batch beside those of its frame.

/** Messages in one batch: their end offsets take 256 KiB, their leaf hashes 2 MiB while the tree is built. */
export const BATCH_MESSAGES_MAX = 65_536

/** Distinct (topic, headers) pairs in one batch. */
export const ENVELOPES_MAX = 4_096

/** A topic's bytes in UTF-8. */
export const TOPIC_BYTES_MAX = 255

/** Encoded headers of one envelope. */
export const HEADERS_BYTES_MAX = 16 * 1024
export const HEADERS_MAX = 64

/** Large contents one message refers to: their ids take 527 bytes of its headers. */
export const CONTENTS_PER_MESSAGE_MAX = 16

/** A message key: what orders and identifies records of one kind. */
export const KEY_BYTES_MAX = 1024

/** Agent and stream names in a batch's head. */
export const NAME_BYTES_MAX = 200

/** zstd window: 2^21 covers the largest payload. */
export const ZSTD_WINDOW_LOG_MAX = 21
