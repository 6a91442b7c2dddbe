// The position of an SQLite source, as values and as cursor text.
//
// A place is the watermark (if any) and key of a row, in the order of the query. JSON cannot tell 64-bit integers, bytes and
// infinities, so these are written as {"i":"…"}, {"b":"base64"} and {"r":"Infinity"}.

import { createHash } from 'node:crypto'
import { componentFault } from '../../faults.ts'
import { KEY_VALUE_CHARS_MAX } from '../../limits.ts'

export type SqlValue = string | number | bigint | null | Uint8Array
export type Place = readonly SqlValue[]

/**
 * `high`: the last row taken in order. `low`: the row before the first of those in `seen`, the last rows taken: they are
 * looked at again. `nulls`: the last key taken among rows without a watermark. `null` is "from the beginning".
 */
export type Position = {
  readonly low: Place | null
  readonly high: Place | null
  readonly nulls: Place | null
  readonly seen: readonly string[]
}

export const BEGINNING: Position = { low: null, high: null, nulls: null, seen: [] }

/** `settings` is what a position depends on; a cursor made under other settings is refused. */
export function encodePosition(position: Position, settings: string): string {
  const { low, high, nulls, seen } = position
  const places = { l: encodePlace(low), h: encodePlace(high), n: encodePlace(nulls) }
  return JSON.stringify({ v: 1, of: settings, ...places, s: seen.join('') })
}

export function decodePosition(cursor: string, settings: string, width: number): Position {
  const refuse = (why: string): Error => componentFault('SOURCE_POSITION_INVALID', { where: 'source sqlite', why })
  let parsed: Record<string, unknown>
  try {
    parsed = JSON.parse(cursor) as Record<string, unknown>
  } catch (error) {
    throw refuse((error as Error).message)
  }
  if (parsed === null || typeof parsed !== 'object' || parsed.v !== 1) throw refuse('it has another form')
  if (parsed.of !== settings) throw refuse('`table`, `key` or `watermark` were different')
  const seen = typeof parsed.s === 'string' ? (parsed.s.match(/.{11}/g) ?? []) : []
  const place = (value: unknown, length: number): Place | null => {
    const decoded = decodePlace(value)
    if (decoded === undefined || (decoded !== null && decoded.length !== length)) throw refuse('it has another form')
    return decoded
  }
  return { low: place(parsed.l, width), high: place(parsed.h, width), nulls: place(parsed.n, width - 1), seen }
}

/** Eleven characters that stand for a place among the last few thousand. */
export function hashPlace(place: Place): string {
  return createHash('sha256')
    .update(JSON.stringify(encodePlace(place)))
    .digest('base64url')
    .slice(0, 11)
}

export function samePlace(a: Place, b: Place): boolean {
  return a.every((value, i) => {
    const other = b[i]
    if (value instanceof Uint8Array) return other instanceof Uint8Array && Buffer.compare(value, other) === 0
    return value === other
  })
}

function encodePlace(place: Place | null): unknown {
  return place === null ? null : place.map(encodeValue)
}

function encodeValue(value: SqlValue): unknown {
  if (typeof value === 'bigint') return { i: value.toString() }
  if (typeof value === 'number') return Number.isFinite(value) ? value : { r: String(value) }
  const encoded = value instanceof Uint8Array ? { b: Buffer.from(value).toString('base64') } : value
  if (JSON.stringify(encoded).length > KEY_VALUE_CHARS_MAX) {
    const why = `a key or watermark of more than ${KEY_VALUE_CHARS_MAX} characters`
    throw componentFault('COMPONENT_SETTINGS', { where: 'source sqlite', why, todo: 'Choose a shorter `key`' })
  }
  return encoded
}

function decodePlace(value: unknown): Place | null | undefined {
  if (value === null) return null
  return Array.isArray(value) ? value.map(decodeValue) : undefined
}

function decodeValue(value: unknown): SqlValue {
  if (typeof value === 'string' || typeof value === 'number' || value === null) return value
  const tagged = value as { i?: unknown; b?: unknown; r?: unknown }
  if (typeof tagged.i === 'string') return BigInt(tagged.i)
  if (typeof tagged.b === 'string') return Buffer.from(tagged.b, 'base64')
  return Number(tagged.r)
}
