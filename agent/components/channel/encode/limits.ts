// Bounds of the channel `encode`, with their arithmetic.

/** RFC 5321 ends lines at 998 characters; RFC 2045 at 76 (base64, quoted-printable), PEM at 64. */
export const LINE_CHARS_MAX = 998
/** RFC 2045, section 6.7: lines of quoted-printable, the `=` of a soft line break included. */
export const QUOTED_LINE_CHARS = 76
/** Strings of V8 end at 2^29 - 24 characters; what goes into a field must be one. */
export const TEXT_CHARS_MAX = 2 ** 29 - 24
/** Quoted-printable makes of a byte three, and a soft line break of three every 75: 3.12 times as much. */
export const QUOTED_GROWTH_MAX = 3.2
