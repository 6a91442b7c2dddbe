// Bounds of documents in pipelines, with their arithmetic.

const MIB = 1024 * 1024

/** Of a made content on its way to the disk at once: one commit of the store is some of them. */
export const ADDED_AT_ONCE_BYTES = 8 * MIB
/** Contents that are waited for and remembered: more than leases of the router under way. */
export const LATE_MAX = 1_000
