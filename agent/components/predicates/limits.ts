// Bounds of conditions on documents.

const KIB = 1024
const MIB = 1024 * KIB

/** A document is parsed whole: as a tree for XPath it takes some ten times as much. */
export const PREDICATE_DOCUMENT_BYTES_MAX = 16 * MIB
/** Nesting of elements: what libxml2 takes without its option for huge documents. */
export const XML_DEPTH_MAX = 255
export const NAMESPACES_MAX = 100
export const POINTERS_MAX = 100
/** A value shown in an explanation: a line or two. */
export const SHOWN_CHARS_MAX = 200
export const SHOWN_NODES_MAX = 5
