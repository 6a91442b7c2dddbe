// Bounds of `compress` and `decompress`, with their arithmetic.

const KIB = 1024
const MIB = 1024 * KIB

/** zlib's best. */
export const ZLIB_LEVEL_MAX = 9
/** Beyond, zstd takes windows of more than 8 MiB, which `decompress` and other careful readers refuse. */
export const ZSTD_LEVEL_MAX = 19
/** Bytes that a reader must keep of what it has written: 2^23 = 8 MiB, the least that RFC 8878 asks readers to support. */
export const ZSTD_WINDOW_LOG_MAX = 23
/** zstd frames, gzip members: at 10 bytes each a thousand times more would fit, and each costs a call. */
export const FRAMES_MAX = 1_000

/** What comes out of one item: 16 times the default size of a document, at most what a document may be at all. */
export const OUTPUT_BYTES_DEFAULT = 256 * MIB
export const OUTPUT_BYTES_MAX = 1024 * MIB
/** Real text reaches 20 to 50, logs 100; deflate ends at 1032, a bomb is near it; zstd goes far beyond. */
export const RATIO_DEFAULT = 200
export const RATIO_MAX = 100_000
/** So little is no bomb, whatever the ratio. */
export const RATIO_FREE_BYTES = MIB
export const MEMBERS_DEFAULT = 1_000
/** One output piece of zlib: small documents take one, large ones few. */
export const PIECE_BYTES_MIN = 4 * KIB
export const PIECE_BYTES_MAX = 256 * KIB
