// Bounds of what hub.yaml may ask for.

/** Queues declared in the file: at 120 bytes each 1.2 MB, below the bound of a settings file. */
export const QUEUES_MAX = 10_000
/** A queue's name in UTF-8; it is a key in the store and a label in metrics. */
export const QUEUE_NAME_BYTES_MAX = 200
/** Patterns of one queue; all of them become branches of one tree. */
export const TOPICS_PER_QUEUE_MAX = 1000
/** Values a header rule may list: compared one after the other. */
export const WHERE_VALUES_MAX = 1000
export const WHERE_VALUE_LENGTH_MAX = 1024

/** Messages a queue may hold: counts stay far below 2^53 when all queues are added. */
export const QUEUE_MESSAGES_MAX = 1_000_000_000_000
/** Bytes of one queue, or of one kind of record: no more than the store. */
export const KEPT_BYTES_MAX = 16 * 2 ** 40
/** Ten years: nothing in an appliance is kept longer by a rule. */
export const KEPT_MS_MAX = 3650 * 86_400_000
/** Deliveries of one message; their number travels in 8 bits. */
export const DELIVER_MAX = 255

/** Each session holds some 40 KiB of buffers and state: 100,000 are 4 GB. */
export const SESSIONS_MAX = 100_000

/** LMDB reserves address space, not disk: 16 TiB fit into the 47 bits of a process many times. */
export const MAP_BYTES_MAX = 16 * 2 ** 40
/** Below this the store could not hold the receipts of a busy minute. */
export const MAP_BYTES_MIN = 16 * 2 ** 20
export const CACHE_BYTES_MAX = 64 * 2 ** 30

/** DNS: RFC 1035, section 2.3.4. */
export const HOST_LENGTH_MAX = 253
/** A path of a file, as Linux bounds it. */
export const FILE_LENGTH_MAX = 4096

/** No more than a content may have (protocol/transfer). */
export const UPLOAD_BYTES_MAX = 2 ** 40

/** Threads of pipelines: each has a heap of its own. */
export const ROUTING_THREADS_MAX = 64
