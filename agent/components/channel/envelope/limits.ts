// Bounds of the channel `envelope`, with their arithmetic.

const KIB = 1024

/** Parts of one message: 200 bytes of objects each beside their bytes, which stay where they are. */
export const PARTS_MAX = 10_000
export const PARTS_DEFAULT = 1_000
/** Multiparts inside each other; letters of offices reach three. */
export const NESTING_MAX = 8
/** Headers of one part, and their bytes: long file names in several encodings included. */
export const HEADERS_MAX = 64
export const HEADER_BYTES_MAX = 16 * KIB
/** Parameters of one header, pieces of RFC 2231 counted one by one. */
export const PARAMETERS_MAX = 64
/** Values of a form, which become a field of a row; files have the bound of the document. */
export const FORM_VALUES_BYTES_MAX = 1024 * KIB
/** Each file of a form is an item with all its values: so many bytes of them in all items together. */
export const FORM_COPIED_BYTES_MAX = 64 * 1024 * KIB
export const FORM_NAME_CHARS_MAX = 1_000
/** RFC 2046, section 5.1.1. */
export const BOUNDARY_CHARS_MAX = 70
/** RFC 2045, section 6.8. */
export const BASE64_LINE_CHARS = 76
/** Lines are folded before they are longer; RFC 5322 forbids 998. */
export const HEADER_LINE_CHARS = 78

/** Header blocks of one SOAP message; WS-Addressing and WS-Security together have ten. */
export const SOAP_HEADERS_MAX = 100
/** `xop:Include` of one document. */
export const INCLUDES_MAX = PARTS_MAX
/** Below this, base64 inside the document costs less than a part of its own. */
export const EXTRACT_BYTES_DEFAULT = KIB
/** Text of a fault that is passed on to people. */
export const REASON_CHARS_MAX = 500
/** Each is looked for in the whole body: 64 times through 16 MiB take 0.1 s. With more of them all are kept. */
export const PREFIXES_LOOKED_FOR_MAX = 64
