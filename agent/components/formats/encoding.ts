// Text encodings of files and documents, strict both ways: what cannot be told for certain is refused.
//
// Decoding is the platform's (WHATWG names and ICU's tables: GB18030-2022; Big5 as Windows code page 950). Encoding is the exact
// inverse of that decoder, made from it once: what one component writes the other reads back unchanged, which a second
// library's older table would not promise. Where WHATWG takes an ISO name for a Windows code page, the standard is kept.

import { TextDecoder } from 'node:util'
import { decodeIsoByWindows, encodeBig5, encodeSingleByte, isIsoByWindows } from './code-pages.ts'
import { encodeGb } from './gb.ts'
import { isReallyUtf8 } from './really-utf8.ts'

/** Encodings in which a line feed is the byte 0x0A and that byte is nothing else: files in them can be cut at lines. */
export const LINE_ENCODINGS = [
  'utf-8',
  'gbk',
  'gb18030',
  'big5',
  ...([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16] as const).map((part) => `iso-8859-${part}` as const),
  'windows-874',
  ...([1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258] as const).map((page) => `windows-${page}` as const),
] as const
/** `utf-16` has a byte order mark; the others have none, or one that agrees. */
export const WIDE_ENCODINGS = ['utf-16', 'utf-16le', 'utf-16be'] as const
export const ENCODINGS = [...LINE_ENCODINGS, ...WIDE_ENCODINGS] as const
export type LineEncoding = (typeof LINE_ENCODINGS)[number]
export type Encoding = (typeof ENCODINGS)[number]

/** In one line, for documentation. */
export const ENCODINGS_SHOWN = 'utf-8, gbk, gb18030, big5, iso-8859-1 to -16, windows-1250 to -1258, windows-874'

export const isWide = (encoding: Encoding): boolean => (WIDE_ENCODINGS as readonly string[]).includes(encoding)

/** Decodes whole lines; throws a `TypeError` on bytes that are not valid. A byte order mark is left in the text. */
export function textDecoder(encoding: Encoding): { decode(bytes: Uint8Array): string } {
  if (encoding === 'iso-8859-1') return { decode: latin1 }
  if (isIsoByWindows(encoding)) return { decode: (bytes) => decodeIsoByWindows(bytes, encoding) }
  return new TextDecoder(encoding === 'utf-16' ? 'utf-16le' : encoding, { fatal: true, ignoreBOM: true })
}

const latin1 = ({ buffer, byteOffset, byteLength }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString('latin1')

/** The bytes of a text, or the first code point the encoding cannot express. `utf-16` is little-endian, without its mark. */
export type Encoded = { readonly ok: true; readonly bytes: Buffer } | { readonly ok: false; readonly codePoint: number }

export function encodeText(text: string, encoding: Encoding): Encoded {
  switch (encoding) {
    case 'gbk':
    case 'gb18030':
      return encodeGb(text, encoding === 'gb18030')
    case 'big5':
      return encodeBig5(text)
    case 'utf-8':
    case 'utf-16':
    case 'utf-16le':
    case 'utf-16be':
      return encodeUnicode(text, encoding)
    default:
      return encodeSingleByte(text, encoding)
  }
}

function encodeUnicode(text: string, encoding: 'utf-8' | (typeof WIDE_ENCODINGS)[number]): Encoded {
  if (!text.isWellFormed()) {
    // A lone surrogate would silently become U+FFFD, or break the text for its readers.
    const lone = [...text].find((char) => !char.isWellFormed()) ?? ''
    return { ok: false, codePoint: lone.codePointAt(0) ?? 0 }
  }
  if (encoding === 'utf-8') return { ok: true, bytes: Buffer.from(text, 'utf8') }
  const bytes = Buffer.from(text, 'utf16le')
  return { ok: true, bytes: encoding === 'utf-16be' ? bytes.swap16() : bytes }
}

/** A whole document as text without its byte order mark; or what is wrong with its bytes, and where: lines from 1, bytes from 0. */
export type Decoded =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly why: string; readonly line: number; readonly position: number }

export function decodeDocument(bytes: Uint8Array, encoding: Encoding): Decoded {
  const opening = inspectOpening(bytes, encoding)
  if (opening.problem !== null) return { ok: false, why: opening.problem, line: 1, position: 0 }
  const body = bytes.subarray(opening.skipBytes)
  const decoder = textDecoder(encoding === 'utf-16' && bytes[0] === 0xfe ? 'utf-16be' : encoding)
  if (isReallyUtf8(body, encoding)) return { ok: false, why: 'its bytes are UTF-8', line: 1, position: 0 }
  try {
    return { ok: true, text: decoder.decode(body) }
  } catch {
    const { line, offset } = isWide(encoding)
      ? wideFlaw(body, encoding === 'utf-16be' || bytes[0] === 0xfe)
      : flawOf(body, decoder)
    return { ok: false, why: `bytes outside ${encoding}`, line, position: opening.skipBytes + offset }
  }
}

type Flaw = { readonly line: number; readonly offset: number }

/** The line with the first invalid byte, and the end of the longest valid beginning. */
function flawOf(bytes: Uint8Array, decoder: { decode(bytes: Uint8Array): string }): Flaw {
  const valid = (from: number, to: number): boolean => {
    try {
      decoder.decode(bytes.subarray(from, to))
      return true
    } catch {
      return false
    }
  }
  let line = 1
  let start = 0
  let end = 0
  for (;;) {
    const feed = bytes.indexOf(0x0a, start)
    end = feed < 0 ? bytes.length : feed + 1
    if (feed < 0 || !valid(start, end)) break
    start = end
    line += 1
  }
  // A beginning that ends inside a character is no valid one: of the next four bytes one must end where a character does.
  let [good, bad] = [start, end]
  while (bad - good > 1) {
    const middle = (good + bad) >> 1
    const at = [0, 1, 2, 3].map((more) => middle + more).find((place) => place < bad && valid(start, place))
    if (at === undefined) bad = middle
    else good = at
  }
  return { line, offset: good }
}

function wideFlaw(bytes: Uint8Array, bigEndian: boolean): Flaw {
  let line = 1
  for (let at = 0; at + 1 < bytes.length; at += 2) {
    const unitAt = (place: number): number => {
      const [first = 0, second = 0] = [bytes[place], bytes[place + 1]]
      return bigEndian ? (first << 8) | second : (second << 8) | first
    }
    const unit = unitAt(at)
    if (unit === 0x0a) line += 1
    if (unit < 0xd800 || unit > 0xdfff) continue
    if (unit > 0xdbff || at + 3 >= bytes.length || (unitAt(at + 2) & 0xfc00) !== 0xdc00) return { line, offset: at }
    at += 2
  }
  return { line, offset: bytes.length - 1 }
}

/** What a file's first bytes say about it: its byte order mark, or why it is no text at all. */
export type Opening = { readonly skipBytes: number; readonly problem: string | null }

export function inspectOpening(bytes: Uint8Array, encoding: Encoding): Opening {
  const starts = (...wanted: number[]): boolean => wanted.every((byte, i) => bytes[i] === byte)
  const wrong = (problem: string): Opening => ({ skipBytes: 0, problem })
  if (isWide(encoding)) return inspectWide(bytes, encoding)
  if (starts(0x84, 0x31, 0x95, 0x33)) {
    if (encoding === 'gb18030' || encoding === 'gbk') return { skipBytes: 4, problem: null }
    return wrong('it starts with the byte order mark of GB18030')
  }
  if (starts(0xef, 0xbb, 0xbf)) {
    if (encoding === 'utf-8') return { skipBytes: 3, problem: null }
    return wrong('it starts with the byte order mark of UTF-8')
  }
  if (starts(0xff, 0xfe) || starts(0xfe, 0xff)) return wrong('it starts with the byte order mark of UTF-16')
  if (starts(0x50, 0x4b, 0x03, 0x04)) return wrong('it is a ZIP archive or an Excel workbook (.xlsx)')
  if (starts(0xd0, 0xcf, 0x11, 0xe0)) return wrong('it is an old Office document (.xls)')
  if (starts(0x1f, 0x8b)) return wrong('it is compressed with gzip')
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) return wrong('it is compressed with zstd')
  if (starts(0x25, 0x50, 0x44, 0x46)) return wrong('it is a PDF')
  return { skipBytes: 0, problem: null }
}

function inspectWide([first, second]: Uint8Array, encoding: Encoding): Opening {
  const mark = first === 0xff && second === 0xfe ? 'utf-16le' : first === 0xfe && second === 0xff ? 'utf-16be' : null
  if (mark === null) {
    const problem = encoding === 'utf-16' && first !== undefined ? 'it has no byte order mark of UTF-16' : null
    return { skipBytes: 0, problem }
  }
  if (encoding === 'utf-16' || encoding === mark) return { skipBytes: 2, problem: null }
  return { skipBytes: 0, problem: `it starts with the byte order mark of ${mark}` }
}
