// How the product's ends are set wherever it is measured.

/** Sealed at this size. */
export const BATCH_BYTES = 1024 * 1024
/** Published and not yet acknowledged. */
export const WINDOW_BYTES = 16 * 1024 * 1024
/** Delivered and not yet settled. */
export const DELIVERY_CREDIT_BYTES = 16 * 1024 * 1024
