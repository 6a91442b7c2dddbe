// Bounds on what a document may make the parser do. Memory is about 24 bytes per node beside the text itself; the densest document
// (`<a/>`) has a node every 4 bytes, so a tree takes at most some 8 times its text.

/** Elements inside each other. Documents of offices stay below 20; XSLT engines recurse, and libxml2 stops at 256 as well. */
export const XML_DEPTH_MAX = 256

/** Attributes of one element, namespace declarations with them. */
export const XML_ATTRIBUTES_MAX = 1_024

/** Different names in one document: each is kept and compared. Schemas have some hundreds. */
export const XML_NAMES_MAX = 20_000

/** Length of a name in UTF-16 units. */
export const XML_NAME_CHARS_MAX = 1_024

/** Names kept from document to document, beside those that were asked for; then they are learnt anew. */
export const NAMES_KEPT_MAX = 5_000

/** Nodes whose arrays are kept for the next document: 1.5 MiB. */
export const NODES_KEPT_MAX = 65_536

/** An XML declaration is looked for in this many bytes: `<?xml version="1.0" encoding="…" standalone="yes"?>` is about 60. */
export const DECLARATION_BYTES_MAX = 512
