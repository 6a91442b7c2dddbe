// Bounds of control messages.

import { CONTROL_FRAME_BYTES_MAX } from '#protocol/frame/mod.ts'

/**
 * Longest control message, encoded: what fits a control frame. The worst amplification when decoded is an empty
 * sub-message of 2 B becoming an object of about 80 B: 2.5 MiB for a moment. `@max` in the .proto files bounds most
 * lists far below that.
 */
export const MESSAGE_BYTES_MAX = CONTROL_FRAME_BYTES_MAX
