// Bounds of stylesheets, with their arithmetic.

/** Text of one module, as the settings of a whole flow; a compiled one (.sef.json) is some ten times its source. */
export const STYLESHEET_BYTES_MAX = 4 * 1024 * 1024
export const COMPILED_BYTES_MAX = 10 * STYLESHEET_BYTES_MAX

/** Modules of one stylesheet: what it includes and imports. The largest known (DocBook) has about 100. */
export const MODULES_MAX = 256

/** Text of `xsl:message` kept for a fault. */
export const MESSAGE_CHARS_MAX = 2_000

/** Parameters given to a stylesheet. */
export const PARAMETERS_MAX = 100
