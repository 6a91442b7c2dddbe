// Items ↔ the JSON that goes into the engine and out of it. What comes out is checked as a peer's bytes are.

import type { Fault } from '#protocol/base/mod.ts'
import type { Value } from '../../contract.ts'
import { scriptFault } from './faults.ts'
import { MARK } from './prelude.ts'

/** JSON, and beside it the bytes that it names by number. */
export type Packed = { readonly json: string; readonly buffers: readonly Uint8Array[] }

/** What JSON has no form for is a text with a mark; see `prelude.ts`. */
export function pack(item: { readonly [key: string]: Value }): Packed {
  const buffers: Uint8Array[] = []
  const json = JSON.stringify(item, function (this: Record<string, unknown>, key) {
    // Not the value given: a Buffer has turned itself into an object before.
    const value = this[key]
    switch (typeof value) {
      case 'string':
        return value.startsWith(MARK) ? `${MARK}s${value}` : value
      case 'bigint':
        return `${MARK}n${value}`
      case 'number':
        if (Object.is(value, -0)) return `${MARK}f-0`
        return Number.isFinite(value) ? value : `${MARK}f${value}`
      default:
        return value instanceof Uint8Array ? `${MARK}b${buffers.push(value) - 1}` : value
    }
  })
  return { json, buffers }
}

/** Faults: `SCRIPT_RESULT`. */
export function unpack({ json, buffers }: Packed): Value {
  const value = JSON.parse(json) as Value
  // Texts in JSON show by their escapes whether any of them needs a look.
  return /\\u(?:0000|[dD][89a-fA-F])|__proto__/.test(json) ? checked(value, buffers) : value
}

function checked(value: Value, buffers: readonly Uint8Array[]): Value {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw refused('a text has half a surrogate pair')
    return value.startsWith(MARK) ? marked(value, buffers) : value
  }
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map((each: Value) => checked(each, buffers))
  const object: Record<string, Value> = {}
  for (const [key, each] of Object.entries(value as Record<string, Value>)) {
    if (key === '__proto__') throw refused('a field has the name __proto__')
    if (!key.isWellFormed()) throw refused('the name of a field has half a surrogate pair')
    object[key] = checked(each, buffers)
  }
  return object
}

function marked(value: string, buffers: readonly Uint8Array[]): Value {
  const body = value.slice(2)
  switch (value[1]) {
    case 's':
      return body
    case 'n':
      if (/^-?\d+$/.test(body)) return BigInt(body)
      break
    case 'f':
      if (body === '-0') return -0
      break
    case 'b': {
      const bytes = /^\d+$/.test(body) ? buffers[Number(body)] : undefined
      if (bytes !== undefined) return bytes
      break
    }
    default:
  }
  throw refused('a text has a mark that does not belong there')
}

export const refused = (why: string): Fault => scriptFault('SCRIPT_RESULT', { where: 'script', why })
