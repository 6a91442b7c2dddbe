// The last frame of a side that gives up: how a fault becomes CLOSE, and how the peer's CLOSE becomes a fault here.

import { declaredFaults, type Fault } from '#protocol/base/mod.ts'
import { type Close, decodeClose, encodeClose } from '#protocol/schema/mod.ts'
import { handshakeFault } from './faults.ts'
import { CLOSE_CODE_LENGTH_MAX, CLOSE_TEXT_LENGTH_MAX } from './limits.ts'

/** Areas whose codes a stranger may see; anything else is our inner life. */
const PUBLIC_AREAS = new Set(['handshake', 'schema', 'frame', 'crypto', 'security'])

/** Codes whose particulars a stranger needs and may have: the version ranges stand in the HELLOs anyway. */
const PUBLIC_DETAILS = new Set(['VERSION_UNSUPPORTED'])

/**
 * What CLOSE says about a fault. A peer that has not proven who it is gets the code with the manual's general text,
 * never `where`, `why` or a cause.
 */
export function closeOf(fault: Fault, options: { authenticated: boolean }): Close {
  const entry = declaredFaults().get(fault.code)
  const full = options.authenticated || PUBLIC_DETAILS.has(fault.code)
  if (full) return bounded({ code: fault.code, message: fault.message, remedy: fault.remedy })
  if (entry === undefined || !PUBLIC_AREAS.has(entry.area)) {
    return { code: 'INTERNAL', message: 'the connection was refused', remedy: "Look into the log of the hub's machine" }
  }
  return bounded({ code: fault.code, message: entry.meaning, remedy: entry.remedy })
}

/** The body of a CLOSE frame. */
export const closeBody = (fault: Fault, options: { authenticated: boolean }): Buffer =>
  encodeClose(closeOf(fault, options))

/** The peer's CLOSE as a fault: `details.peerCode` is its code. The texts are the peer's: shown, never interpreted. */
export function peerClosed(body: Uint8Array): Fault {
  const { code, message, remedy } = decodeClose(body)
  const peerCode = /^[A-Z][A-Z0-9_]{0,63}$/.test(code) ? code : 'UNKNOWN'
  const todo = printable(remedy)
  return handshakeFault('HANDSHAKE_REFUSED', {
    why: `${peerCode}: ${printable(message)}`,
    peerCode,
    ...(todo === '' ? {} : { todo }),
  })
}

function bounded(close: Close): Close {
  return {
    code: close.code.slice(0, CLOSE_CODE_LENGTH_MAX),
    message: close.message.slice(0, CLOSE_TEXT_LENGTH_MAX).toWellFormed(),
    remedy: close.remedy.slice(0, CLOSE_TEXT_LENGTH_MAX).toWellFormed(),
  }
}

/** A peer must not write lines of its own, colours or right-to-left overrides into our log. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
}
