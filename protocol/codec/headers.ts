// What a header map may be, byte by byte: one MessagePack map of names (str) to nil, bool, int, float or str, and nothing
// behind it. The general decoder takes far more (extensions, nesting, repeated names, broken UTF-8), and two decoders would
// not agree on it: headers are checked here before it sees them.

import { isUtf8 } from 'node:buffer'
import { HEADERS_MAX } from './limits.ts'

/** Why `bytes` are not a header map, or `null` when they are. */
export function headerBytesProblem(bytes: Buffer): string | null {
  const start = mapStart(bytes)
  if (start === null) return 'not a map'
  if (start.count > HEADERS_MAX) return `more than ${HEADERS_MAX}`
  const names = new Set<string>()
  let at = start.at
  for (let i = 0; i < start.count; i++) {
    const nameEnd = stringEnd(bytes, at)
    if (nameEnd < 0) return 'a name is not text'
    names.add(bytes.toString('utf8', stringStart(bytes, at), nameEnd))
    at = stringEnd(bytes, nameEnd)
    if (at < 0) at = simpleEnd(bytes, nameEnd)
    if (at < 0) return 'a value is not simple'
  }
  if (names.size !== start.count) return 'a name comes twice'
  return at === bytes.length ? null : 'it ends too late or too early'
}

function mapStart(bytes: Buffer): { count: number; at: number } | null {
  const type = bytes[0] as number
  if (type >= 0x80 && type <= 0x8f) return { count: type & 0x0f, at: 1 }
  if (type === 0xde && bytes.length >= 3) return { count: bytes.readUInt16BE(1), at: 3 }
  if (type === 0xdf && bytes.length >= 5) return { count: bytes.readUInt32BE(1), at: 5 }
  return null
}

/** Where the characters of the str at `at` begin. */
function stringStart(bytes: Buffer, at: number): number {
  const type = bytes[at] as number
  return at + (type < 0xc0 ? 1 : type === 0xd9 ? 2 : type === 0xda ? 3 : 5)
}

/** Where the well-formed str at `at` ends; -1 when there is none. */
function stringEnd(bytes: Buffer, at: number): number {
  const type = bytes[at] ?? 0
  const start = stringStart(bytes, at)
  if (start > bytes.length) return -1
  let length: number
  if (type >= 0xa0 && type <= 0xbf) length = type & 0x1f
  else if (type === 0xd9) length = bytes[at + 1] as number
  else if (type === 0xda) length = bytes.readUInt16BE(at + 1)
  else if (type === 0xdb) length = bytes.readUInt32BE(at + 1)
  else return -1
  const end = start + length
  return end <= bytes.length && isUtf8(bytes.subarray(start, end)) ? end : -1
}

/** Bytes after the type byte of nil, false, true, float 32/64, uint 8…64, int 8…64. */
const SIMPLE_BYTES: ReadonlyMap<number, number> = new Map([
  [0xc0, 0],
  [0xc2, 0],
  [0xc3, 0],
  [0xca, 4],
  [0xcb, 8],
  [0xcc, 1],
  [0xcd, 2],
  [0xce, 4],
  [0xcf, 8],
  [0xd0, 1],
  [0xd1, 2],
  [0xd2, 4],
  [0xd3, 8],
])

/** Where the nil, bool or number at `at` ends; -1 when there is none. */
function simpleEnd(bytes: Buffer, at: number): number {
  const type = bytes[at]
  if (type === undefined) return -1
  if (type <= 0x7f || type >= 0xe0) return at + 1
  const length = SIMPLE_BYTES.get(type)
  if (length === undefined || at + 1 + length > bytes.length) return -1
  // Beyond 53 bits an integer would not be the same number for every receiver.
  if (type === 0xcf && !Number.isSafeInteger(Number(bytes.readBigUInt64BE(at + 1)))) return -1
  if (type === 0xd3 && !Number.isSafeInteger(Number(bytes.readBigInt64BE(at + 1)))) return -1
  return at + 1 + length
}
