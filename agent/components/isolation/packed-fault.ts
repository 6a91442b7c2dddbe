// A fault as text, to come out of a thread: the same code, words and details on the other side.

import { asFault, Fault } from '#protocol/base/mod.ts'

type Packed = {
  readonly code: string
  readonly message: string
  readonly where: string | null
  readonly remedy: string
  readonly details: Readonly<Record<string, unknown>>
  readonly cause: string | null
}

/** Details that JSON cannot say become their text; a cause is reduced to its message. */
export function packFault(error: unknown): string {
  const { code, message, where, remedy, details, cause } = asFault(error)
  const packed: Packed = {
    code,
    message,
    where,
    remedy,
    details,
    cause: cause instanceof Error ? cause.message : null,
  }
  try {
    return JSON.stringify(packed, (_name, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
  } catch {
    return JSON.stringify({ ...packed, details: {} })
  }
}

export function unpackFault(text: string): Fault {
  const { code, message, where, remedy, details, cause } = JSON.parse(text) as Packed
  const place = where === null ? {} : { where }
  const why = cause === null ? {} : { cause: new Error(cause) }
  return new Fault(code, { meaning: message, remedy }, { ...details, ...place, ...why })
}
