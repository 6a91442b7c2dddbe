// Text → Big5 and the single-byte code pages: inverses of the platform's decoders, made from them once each.

import { TextDecoder } from 'node:util'
import type { Encoded, LineEncoding } from './encoding.ts'

export type CodePage = Exclude<LineEncoding, 'utf-8' | 'gbk' | 'gb18030' | 'big5'>

/** WHATWG takes these names for Windows code pages, which differ from the standard in 0x80–0x9F: there ISO 8859 has the C1 controls. */
const WINDOWS_OF = { 'iso-8859-9': 'windows-1254', 'iso-8859-11': 'windows-874' } as const

export const isIsoByWindows = (encoding: string): encoding is keyof typeof WINDOWS_OF =>
  Object.hasOwn(WINDOWS_OF, encoding)

/** Throws a `TypeError` on a byte that stands for nothing. */
export function decodeIsoByWindows(bytes: Uint8Array, encoding: keyof typeof WINDOWS_OF): string {
  const units = pageOf(encoding)
  const text = new Uint16Array(bytes.length)
  for (let i = 0; i < bytes.length; i += 1) {
    const unit = units[bytes[i] as number] as number
    if (unit === NOTHING) throw new TypeError(`0x${bytes[i]?.toString(16)} is no character in ${encoding}`)
    text[i] = unit
  }
  return Buffer.from(text.buffer).toString('utf16le')
}

/** Stands for a byte that is no character: no code page has this noncharacter. */
const NOTHING = 0xffff

/** What each byte stands for. */
function pageOf(encoding: CodePage): Uint16Array {
  const units = new Uint16Array(256)
  const iso = encoding === 'iso-8859-1' || isIsoByWindows(encoding)
  const decoder = new TextDecoder(isIsoByWindows(encoding) ? WINDOWS_OF[encoding] : encoding, { fatal: true })
  for (let byte = 0; byte < 256; byte += 1) {
    if (byte < 0x80 || encoding === 'iso-8859-1' || (iso && byte < 0xa0)) units[byte] = byte
    else units[byte] = unitOf(decoder, Uint8Array.of(byte)) ?? NOTHING
  }
  return units
}

function unitOf(decoder: TextDecoder, bytes: Uint8Array): number | null {
  try {
    const text = decoder.decode(bytes)
    return text.length === 1 ? text.charCodeAt(0) : null
  } catch {
    return null
  }
}

/** Code unit → byte, 0 where there is none; 64 KiB for each code page in use. */
const inverses = new Map<CodePage, Uint8Array>()

function inverseOf(encoding: CodePage): Uint8Array {
  const known = inverses.get(encoding)
  if (known !== undefined) return known
  const table = new Uint8Array(0x10000)
  for (const [byte, unit] of pageOf(encoding).entries()) if (unit !== NOTHING) table[unit] = byte
  inverses.set(encoding, table)
  return table
}

export function encodeSingleByte(text: string, encoding: CodePage): Encoded {
  const table = inverseOf(encoding)
  const bytes = Buffer.allocUnsafe(text.length)
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i)
    const byte = table[unit] as number
    if (byte === 0 && unit !== 0) return { ok: false, codePoint: text.codePointAt(i) ?? unit }
    bytes[i] = byte
  }
  return { ok: true, bytes }
}

/** Code unit → one or two bytes, big-endian; 0 where there is none. 128 KiB. */
let big5Table: Uint16Array | null = null

/** Characters with two codes of which WHATWG's encoder writes the second; of all others it writes the first. */
const BIG5_SECOND = new Set([0x2550, 0x255e, 0x2561, 0x256a, 0x5341, 0x5345])

function buildBig5Table(): Uint16Array {
  const table = new Uint16Array(0x10000)
  const decoder = new TextDecoder('big5', { fatal: true })
  const enter = (code: number, bytes: Uint8Array): void => {
    const unit = unitOf(decoder, bytes)
    if (unit !== null && (table[unit] === 0 || BIG5_SECOND.has(unit))) table[unit] = code
  }
  for (let lead = 0x81; lead <= 0xfe; lead += 1) {
    for (let trail = 0x40; trail <= 0xfe; trail += 1) {
      if (trail < 0x7f || trail > 0xa0) enter((lead << 8) | trail, Uint8Array.of(lead, trail))
    }
  }
  for (const byte of [0x80, 0xff]) enter(byte, Uint8Array.of(byte))
  return table
}

export function encodeBig5(text: string): Encoded {
  big5Table ??= buildBig5Table()
  const table = big5Table
  const bytes = Buffer.allocUnsafe(text.length * 2)
  let length = 0
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i)
    const code = unit < 0x80 ? unit : (table[unit] as number)
    if (code === 0 && unit !== 0) return { ok: false, codePoint: text.codePointAt(i) ?? unit }
    if (code > 0xff) bytes[length++] = code >> 8
    bytes[length++] = code & 0xff
  }
  return { ok: true, bytes: bytes.subarray(0, length) }
}
