// Encodings of bytes as text. Encoding is exact; decoding takes only what an encoder may have written, so that two different texts
// are never taken for one (RFC 4648, sections 3.3 and 3.5), and says where it is not.

import type { Fault } from '#protocol/base/mod.ts'
import { encodeFault } from './faults.ts'
import { QUOTED_GROWTH_MAX, QUOTED_LINE_CHARS } from './limits.ts'

export type Base64Options = { readonly urlSafe: boolean; readonly padding: boolean }

const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const TAB = 0x09
const EQUALS = 0x3d
const PERCENT = 0x25
const HEX = Buffer.from('0123456789ABCDEF')

export function encodeBase64(bytes: Buffer, { urlSafe, padding }: Base64Options): string {
  const text = bytes.toString(urlSafe ? 'base64url' : 'base64')
  if (urlSafe && padding) return text + '='.repeat((4 - (text.length % 4)) % 4)
  return urlSafe || padding ? text : text.replace(/=+$/, '')
}

/** Faults: `ENCODED_INVALID` with `position`, counted from 0 in `text`. */
export function decodeBase64(text: string, options: Base64Options): Buffer {
  // Node takes nearly anything; what it made of the text tells whether the text was exactly that.
  const bytes = Buffer.from(text, options.urlSafe ? 'base64url' : 'base64')
  const again = encodeBase64(bytes, options)
  if (again === text) return bytes
  const alphabet = options.urlSafe ? /[^A-Za-z0-9_-]/ : /[^A-Za-z0-9+/]/
  const body = text.replace(/={1,2}$/, '')
  const strange = body.search(alphabet)
  if (strange !== -1) throw invalid('a character outside the alphabet', strange)
  const padded = text.length - body.length
  if (!options.padding && padded > 0) throw invalid('padding that `padding: false` excludes', body.length)
  if (body.length % 4 === 1) throw invalid('a single character at the end', body.length - 1)
  if (options.padding && text.length % 4 !== 0) throw invalid('it is cut, or its padding is missing', text.length)
  throw invalid('its last character has bits that no encoder writes', body.length - 1)
}

/** Faults: as `decodeBase64`. */
export function decodeHex(text: string): Buffer {
  const strange = text.search(/[^0-9A-Fa-f]/)
  if (strange !== -1) throw invalid('a character outside the alphabet', strange)
  if (text.length % 2 !== 0) throw invalid('half a byte at the end', text.length - 1)
  return Buffer.from(text, 'hex')
}

/** Lines of `length` characters, ended by CRLF, the last one too. */
export function inLines(text: string, length: number): string {
  if (length === 0 || text === '') return text
  const lines: string[] = []
  for (let at = 0; at < text.length; at += length) lines.push(text.slice(at, at + length), '\r\n')
  return lines.join('')
}

/** Without its line breaks, CRLF or LF. */
export const withoutLines = (text: string): string => text.replace(/\r?\n/g, '')

/**
 * RFC 2045, section 6.7. CRLF stays a line break; any other CR or LF is a byte like others and is encoded, so that decoding gives
 * exactly the bytes.
 */
export function encodeQuoted(bytes: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(Math.ceil(bytes.length * QUOTED_GROWTH_MAX) + 3)
  let length = 0
  let column = 0
  for (let i = 0; i < bytes.length; i += 1) {
    const byte = bytes[i] as number
    if (byte === CR && bytes[i + 1] === LF) {
      out[length++] = CR
      out[length++] = LF
      column = 0
      i += 1
      continue
    }
    const atEnd = i + 1 === bytes.length || (bytes[i + 1] === CR && bytes[i + 2] === LF)
    const plain = (byte > SPACE && byte < 0x7f && byte !== EQUALS) || ((byte === SPACE || byte === TAB) && !atEnd)
    const size = plain ? 1 : 3
    if (column + size > QUOTED_LINE_CHARS - (atEnd ? 0 : 1)) {
      out[length++] = EQUALS
      out[length++] = CR
      out[length++] = LF
      column = 0
    }
    if (plain) out[length++] = byte
    else {
      out[length++] = EQUALS
      out[length++] = HEX[byte >>> 4] as number
      out[length++] = HEX[byte & 15] as number
    }
    column += size
  }
  return out.subarray(0, length)
}

/**
 * Lines may end in LF alone and be longer than 76. White space at the end of a line is what a transport added, and goes.
 * Faults: `ENCODED_INVALID` with `position`.
 */
export function decodeQuoted(bytes: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(bytes.length)
  let length = 0
  // Where the white space at the end of what was written begins, if it was not encoded.
  let blankFrom = 0
  for (let i = 0; i < bytes.length; i += 1) {
    const byte = bytes[i] as number
    if (byte === EQUALS) {
      const next = softBreak(bytes, i + 1)
      if (next !== -1) i = next - 1
      else {
        out[length++] = hexByte(bytes, i)
        i += 2
      }
      blankFrom = length
    } else if (byte === SPACE || byte === TAB) {
      out[length++] = byte
    } else if (byte === LF || (byte === CR && bytes[i + 1] === LF)) {
      length = blankFrom
      if (byte === CR) {
        out[length++] = CR
        i += 1
      }
      out[length++] = LF
      blankFrom = length
    } else if (byte < SPACE || byte > 0x7e) {
      throw invalid('a byte that must be encoded', i)
    } else {
      out[length++] = byte
      blankFrom = length
    }
  }
  return out.subarray(0, blankFrom)
}

/** Behind the line break at `at`, white space before it included, or -1. At the very end a line break may be missing. */
function softBreak(bytes: Uint8Array, at: number): number {
  let i = at
  while (bytes[i] === SPACE || bytes[i] === TAB) i += 1
  if (i === bytes.length) return i
  if (bytes[i] === CR && bytes[i + 1] === LF) return i + 2
  return bytes[i] === LF ? i + 1 : -1
}

/** RFC 3986: everything but letters, digits and -._~ is encoded. */
export function encodePercent(bytes: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(bytes.length * 3)
  let length = 0
  for (const byte of bytes) {
    if (UNRESERVED[byte] === 1) out[length++] = byte
    else {
      out[length++] = PERCENT
      out[length++] = HEX[byte >>> 4] as number
      out[length++] = HEX[byte & 15] as number
    }
  }
  return out.subarray(0, length)
}

/** Reserved characters may stand for themselves; blanks and what is not ASCII may not. Faults: `ENCODED_INVALID` with `position`. */
export function decodePercent(bytes: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(bytes.length)
  let length = 0
  for (let i = 0; i < bytes.length; i += 1) {
    const byte = bytes[i] as number
    if (byte <= SPACE || byte > 0x7e) throw invalid('a byte that must be encoded', i)
    if (byte === PERCENT) {
      out[length++] = hexByte(bytes, i)
      i += 2
    } else out[length++] = byte
  }
  return out.subarray(0, length)
}

const UNRESERVED = new Uint8Array(256)
for (const char of Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~'))
  UNRESERVED[char] = 1

/** The byte whose two digits follow the sign at `at`. */
function hexByte(bytes: Uint8Array, at: number): number {
  const high = digit(bytes[at + 1])
  const low = digit(bytes[at + 2])
  if (high === -1 || low === -1) throw invalid('no two hexadecimal digits follow', at)
  return (high << 4) | low
}

function digit(char: number | undefined): number {
  if (char === undefined) return -1
  if (char >= 0x30 && char <= 0x39) return char - 0x30
  const letter = char | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

const invalid = (why: string, position: number): Fault =>
  encodeFault('ENCODED_INVALID', { why: `${why}, at ${position}`, position })
