// Bounds of the HTTP port, with their arithmetic.

const KIB = 1024
const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS

/** Connections; browsers open up to six to a host. */
export const CONNECTIONS_MAX = 512
/** Requests being answered. */
export const REQUESTS_MAX = 256
/** Files being received, of the 64 places that all uploads of the hub share: agents keep half of them. */
export const WRITERS_MAX = 32
/** Each holds two chunks in memory, at most 16 MiB: 384 MiB in the worst case; 3 MiB with files of up to 125 MiB. */
export const DOWNLOADS_MAX = 24
/** Of one link, so that who has one cannot take all places. */
export const DOWNLOADS_PER_LINK_MAX = 8
/** Uploads begun and not finished. Each may have a rest of less than a chunk beside it, at most 8 MiB: 4 GiB of disk. */
export const OPEN_UPLOADS_MAX = 512
export const OPEN_UPLOADS_PER_LINK_MAX = 64

/** A token of 4 KiB, metadata with a name of 255 bytes in base64, and what browsers and proxies say of themselves. */
export const HEADER_BYTES_MAX = 16 * KIB
export const HEADERS_COUNT_MAX = 64
/** Time for TLS and for a request's headers. */
export const HEADERS_MS = 10 * SECOND_MS
/** How long a connection may rest between two requests. */
export const REST_MS = 15 * SECOND_MS
/** Node looks for late requests only every 30 s unless it is told. */
export const CHECK_MS = SECOND_MS

/** A peer that is waited for must send or take so much in this time: about half a KiB a second. */
export const PACE_MS = MINUTE_MS
export const PACE_BYTES_MIN = 32 * KIB
/** An upload whose writer sent something so lately is in use; a quieter one gives way to a new request. */
export const WRITER_ALIVE_MS = 3 * SECOND_MS
/** How long a request waits for the one before it to let go of the upload: it writes at most a window to the disk. */
export const LOCK_MS = 10 * SECOND_MS
/** An upload begun in time may be finished so long after its link has expired. */
export const PART_GRACE_MS = 24 * 60 * MINUTE_MS

/** What is handed to a socket at a time. */
export const PIECE_BYTES = 64 * KIB

/** How often what could not be finished is tried again: a full store may have room by then. */
export const FINISH_RETRY_MS = 5 * SECOND_MS
/** How long the last request of an upload waits for its message to be stored. The hub goes on without it. */
export const FINISH_WAIT_MS = 20 * SECOND_MS
/** Records of uploads whose content is gone are removed when they are this old: the content may be about to be begun. */
export const FORGET_MS = MINUTE_MS

/** What `stop` gives requests to write down what they have received. */
export const STOP_MS = 4 * SECOND_MS
