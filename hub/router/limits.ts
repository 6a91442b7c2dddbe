// Bounds of routing, with their arithmetic.

const MIB = 1024 * 1024

/** Versions of the rules that are kept to go back to: of the largest files, 64 MiB, 6 GiB; of usual ones some MB. */
export const VERSIONS_KEPT_MAX = 100

/** Batches of the router's queue under way: enough that every thread has one and the next. */
export const LEASES_MAX = 64
/** Their bytes. Opened, judged and made anew a batch is in memory some four times. */
export const LEASES_BYTES_MAX = 16 * MIB
/** Messages taken at once: their settlement is one piece of work. */
export const LEASE_MESSAGES_MAX = 1_000
/** What a full queue, a full store or an absent thread is asked again after: each time twice as long. */
export const RETRY_MS_MIN = 50
export const RETRY_MS_MAX = 5_000
/**
 * Lanes of the router's queue that rest for what one origin has sent: of 64 (192 with the other priorities). What would have more of them
 * rest is late at once.
 */
export const RESTING_LANES_MAX = 4
/** Writing what is conveyed takes some ms; on a disk that fails it is repeated for as long as the hub runs. */
export const STOP_MS_MAX = 10_000
/** A made batch is sealed when it has so many bytes. */
export const MADE_BATCH_BYTES = 256 * 1024

/** What is left to be decided of a message, in its note: the names of 40 rules at their longest. It is kept with the entry. */
export const NOTE_BYTES_MAX = 16 * 1024

/** A rule file with what lies beside it: the file itself may have 64 MiB. */
export const DEPLOYED_FILES_MAX = 1_000
export const DEPLOYED_BYTES_MAX = 128 * MIB
/** Reading 100,000 rules takes some 10 s and 1 GB, in a thread of its own that ends then. */
export const PREPARE_MS = 300_000
export const PREPARE_MEMORY_BYTES = 3_072 * MIB
/** Versions kept compiled: 10,000 rules take 10 MB. Of older ones messages may still wait, and open them again. */
export const VERSIONS_OPEN_MAX = 4
