// JSON Lines: one object per line. Integers beyond 2^53 keep every digit (as bigint), both ways; other numbers that a double cannot
// tell from their neighbours become texts when they are read.

import { isUtf8 } from 'node:buffer'
import type { Row, Value } from '../contract.ts'
import { JSON_DEPTH_MAX } from '../limits.ts'
import { jsonEndsAt, repeatedName, whyNotJson } from './json-text.ts'

export type JsonRecord =
  | { readonly ok: true; readonly row: Row }
  /** `at`: the character, from 0, where it goes wrong, when there is one. */
  | {
      readonly ok: false
      readonly code: 'JSON_INVALID' | 'JSON_NOT_OBJECT'
      readonly why: string
      readonly at?: number
    }

export function parseJsonRecord(line: string): JsonRecord {
  let value: unknown
  try {
    // Only what has many digits, or a large exponent, can lose something: only then is the slower, exact way taken.
    value = /\d[\d.]{15}|\d[eE][+-]?\d{3}/.test(line) ? JSON.parse(line, exactNumbers as never) : JSON.parse(line)
  } catch {
    const at = jsonEndsAt(line)
    return { ok: false, code: 'JSON_INVALID', why: whyNotJson(line, at), at }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return {
      ok: false,
      code: 'JSON_NOT_OBJECT',
      why: `it is ${Array.isArray(value) ? 'a list' : value === null ? 'null' : `a ${typeof value}`}`,
    }
  }
  // A field of this name would be lost, or worse, wherever rows are copied field by field.
  if (line.includes('__proto__') && Object.hasOwn(value, '__proto__')) {
    return { ok: false, code: 'JSON_INVALID', why: 'a field is named __proto__' }
  }
  if (isDeep(value, JSON_DEPTH_MAX)) {
    return { ok: false, code: 'JSON_INVALID', why: `it has more than ${JSON_DEPTH_MAX} levels` }
  }
  const repeated = repeatedName(line, value)
  if (repeated !== null) {
    return { ok: false, code: 'JSON_INVALID', why: `the name ${JSON.stringify(repeated)} stands twice in one object` }
  }
  return { ok: true, row: value as Row }
}

/** Of bytes, which must be UTF-8: no character is replaced in silence. */
export function parseJsonBody(body: Buffer): JsonRecord {
  if (!isUtf8(body)) return { ok: false, code: 'JSON_INVALID', why: 'it has bytes that are no UTF-8' }
  return parseJsonRecord(body.toString('utf8'))
}

/** As `JSON.parse`, but integers beyond 2^53 are bigint. */
export function parseJson(text: string): unknown {
  // Sixteen digits in a row may exceed 2^53; only then is the slower, exact way taken.
  return /[0-9]{16}/.test(text) ? JSON.parse(text, exactIntegers as never) : JSON.parse(text)
}

/** Whoever walks a row by functions that call themselves would run out of stack; the platform's own writer does. */
function isDeep(value: object, levels: number): boolean {
  if (levels === 0) return true
  for (const field in value) {
    const inner = (value as Record<string, unknown>)[field]
    if (typeof inner === 'object' && inner !== null && isDeep(inner, levels - 1)) return true
  }
  return false
}

function exactIntegers(_key: string, value: unknown, context: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value) || context.source === undefined) return value
  return /^-?[0-9]+$/.test(context.source) ? BigInt(context.source) : value
}

function exactNumbers(key: string, value: unknown, context: { readonly source?: string }): unknown {
  const exact = exactIntegers(key, value, context)
  const { source } = context
  if (typeof exact !== 'number' || source === undefined) return exact
  return isExact(exact, source) ? exact : source
}

/** Whether a double is what its text says, digit for digit, but for zeros at the ends. */
export function isExact(value: number, source: string): boolean {
  // Fifteen digits always fit.
  if (source.length <= 15 && !/[eE]/.test(source)) return true
  return Number.isFinite(value) && digitsOf(source) === digitsOf(String(value))
}

/** Significant digits and the power of ten of the last: `0.10` and `1e-1` are the same. */
function digitsOf(source: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(source) ?? []
  const digits = (whole + fraction).replace(/^0+/, '')
  const short = digits.replace(/0+$/, '')
  if (short === '') return '0'
  return `${sign === '-' ? '-' : ''}${short}e${Number(exponent) - fraction.length + digits.length - short.length}`
}

/** One row as a line, without its end, or over several with an indent. Bytes become base64 text. */
export function formatJsonRecord(row: Row | readonly Value[], indent = 0): string {
  return isPlain(row) ? JSON.stringify(row, null, indent) : JSON.stringify(row, exactValues, indent)
}

/** Most rows hold nothing but texts and numbers, which the platform writes several times faster on its own. */
function isPlain(row: Row | readonly Value[]): boolean {
  for (const field in row) {
    const value = (row as Row)[field]
    const type = typeof value
    if (type === 'bigint' || (type === 'object' && value !== null)) return false
  }
  return true
}

/** `JSON.rawJSON` is in the platform but not yet in TypeScript's library. */
const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON

function exactValues(this: unknown, key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return rawJson(value.toString())
  if (typeof value !== 'object' || value === null) return value
  // A Buffer has turned itself into an object before the replacer sees it, so the holder is asked.
  const held = (this as Record<string, unknown>)[key]
  if (held instanceof Uint8Array) return Buffer.from(held.buffer, held.byteOffset, held.byteLength).toString('base64')
  return value
}
