// Bounds of the channel `deduplicate`, with their arithmetic.

/**
 * Keys kept: 16 bytes of a SHA-256 each, which as text in a map take about 120 bytes: a million 120 MB of memory. On the disk 16
 * bytes, twice in a log and once more while it is written anew: 48 MB.
 */
export const DEDUPLICATE_KEYS_MAX = 1_000_000
export const DEDUPLICATE_KEYS_DEFAULT = 100_000
/** Two keys of 128 bits are the same by chance once in 10^26 for a million of them. */
export const DIGEST_CHARS = 16
/** Keys in one record of a snapshot: 1 MiB. */
export const RECORD_KEYS_MAX = 65_536
