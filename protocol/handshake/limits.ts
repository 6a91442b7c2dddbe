// Bounds of the handshake, with their arithmetic. All of it is read from peers that have proven nothing yet.

import { CONTROL_FRAME_BYTES_MAX } from '#protocol/frame/mod.ts'

/**
 * One X.509 certificate in DER. An Ed25519 certificate with ten host names is about 700 B; RSA-4096 chains stay below
 * 4 KiB.
 */
export const CERTIFICATE_BYTES_MAX = 8192

export const NONCE_BYTES = 32
export const FINGERPRINT_BYTES = 32
export const SECRET_BYTES = 32
/** Session and store identifiers. */
export const ID_BYTES = 16
/** Output of the TLS exporter, RFC 9266 section 4.2. */
export const BINDING_BYTES = 32

/** SubjectPublicKeyInfo of an enrolling key: Ed25519 has 44 B, P-521 158 B. */
export const SPKI_BYTES_MAX = 512

/** A name is a file name, a certificate's common name and a word in a log line. */
export const NAME_LENGTH_MAX = 63
export const NAME_PATTERN = /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/

/** Clocks on front-end machines are often wrong by hours or a time zone; a day covers both. */
export const CLOCK_SKEW_MS = 24 * 60 * 60 * 1000

/** Keepalive a hub may ask for: an idle link is noticed dead after three of them, half an hour at most. */
export const KEEPALIVE_MS_MAX = 10 * 60 * 1000

/** A frame limit below that of control frames could not even carry the session's own messages. */
export const FRAME_BYTES_FLOOR = CONTROL_FRAME_BYTES_MAX

/** A token's payload: 8 addresses of 256 B, two names, two hashes and tags: 2.3 KiB; in base64url 4/3 of it. */
export const TOKEN_PAYLOAD_BYTES_MAX = 3072
export const TOKEN_TEXT_LENGTH_MAX = 4608
export const TOKEN_ADDRESSES_MAX = 8
/** How an address is written is the connector's business; here it is bounded printable ASCII. */
export const ADDRESS_FORM = /^[\x21-\x7e]{1,256}$/

/** What a CLOSE frame may carry (also in handshake.proto). */
export const CLOSE_CODE_LENGTH_MAX = 64
export const CLOSE_TEXT_LENGTH_MAX = 1024
