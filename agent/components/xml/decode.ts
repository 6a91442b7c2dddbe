// The text of an XML document's bytes: by byte order mark, by the look of the first bytes, by the XML declaration (appendix F of XML 1.0).
// Strict: what does not fit is a fault, nothing becomes U+FFFD.

import { isAscii, isUtf8 } from 'node:buffer'
import { TextDecoder } from 'node:util'
import { isReallyUtf8 } from '../formats/mod.ts'
import { xmlFault } from './faults.ts'
import { DECLARATION_BYTES_MAX } from './limits.ts'
import { placeIn } from './place.ts'

/** Declared names, in lower case, that the platform knows under another name or would understand too widely. */
const ALIASES: Readonly<Record<string, string>> = {
  utf8: 'utf-8',
  gb2312: 'gbk',
  'gb_2312-80': 'gbk',
  cp936: 'gbk',
  'iso-10646-ucs-2': 'utf-16',
  'ucs-2': 'utf-16',
  latin1: 'iso-8859-1',
  ascii: 'us-ascii',
}
const KNOWN =
  /^(utf-8|utf-16|utf-16le|utf-16be|us-ascii|gbk|gb18030|big5|euc-jp|shift_jis|iso-2022-jp|euc-kr|koi8-r|iso-8859-(?:[1-9]|1[013456])|windows-(?:125\d|874))$/
const decoders = new Map<string, TextDecoder>()

/**
 * Decodes a document. The text has no byte order mark, and is well-formed UTF-16. Faults: XML_ENCODING (with line and column of the first
 * bytes that do not fit, where that is known), XML_ENCODING_UNKNOWN.
 */
export function decodeXml(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found = look(buffer)
  const declared = declaredIn(buffer, found)
  const name = declared === null ? null : (ALIASES[declared] ?? declared)
  if (name !== null && !KNOWN.test(name)) throw xmlFault('XML_ENCODING_UNKNOWN', { why: declared as string })
  const { family, skip } = found
  if (name !== null && !fits(name, found)) {
    throw xmlFault('XML_ENCODING', {
      why: `it declares ${declared}, and its first bytes are those of ${family.toUpperCase()}`,
    })
  }
  const body = skip === 0 ? buffer : buffer.subarray(skip)
  if (family !== 'ascii') return decode(body, family)
  if (name === null || name === 'utf-8') return decode(body, 'utf-8')
  if (name === 'us-ascii') {
    if (isAscii(body)) return body.toString('latin1')
    throw xmlFault('XML_ENCODING', { why: 'it declares US-ASCII and has other characters' })
  }
  const text = decode(body, name)
  if (isReallyUtf8(body, name))
    throw xmlFault('XML_ENCODING', { why: `it declares ${declared}, and its bytes are UTF-8` })
  return text
}

/** `ascii`: the declaration can be read as ASCII, and says more. */
type Look = { readonly family: 'ascii' | 'utf-8' | 'utf-16le' | 'utf-16be' | 'gb18030'; readonly skip: number }

function look(bytes: Buffer): Look {
  const [a, b, c, d] = bytes
  if (a === 0xef && b === 0xbb && c === 0xbf) return { family: 'utf-8', skip: 3 }
  if ((a === 0xff && b === 0xfe && c === 0 && d === 0) || (a === 0 && b === 0)) {
    throw xmlFault('XML_ENCODING_UNKNOWN', { why: 'its first bytes are those of UTF-32' })
  }
  if (a === 0xff && b === 0xfe) return { family: 'utf-16le', skip: 2 }
  if (a === 0xfe && b === 0xff) return { family: 'utf-16be', skip: 2 }
  if (a === 0x84 && b === 0x31 && c === 0x95 && d === 0x33) return { family: 'gb18030', skip: 4 }
  if (a === 0x3c && b === 0) return { family: 'utf-16le', skip: 0 }
  if (a === 0 && b === 0x3c) return { family: 'utf-16be', skip: 0 }
  return { family: 'ascii', skip: 0 }
}

function fits(name: string, { family }: Look): boolean {
  switch (family) {
    case 'ascii':
      return !name.startsWith('utf-16')
    case 'utf-8':
      return name === 'utf-8'
    case 'gb18030':
      return name === 'gb18030' || name === 'gbk'
    default:
      return name === 'utf-16' || name === family
  }
}

function declaredIn(bytes: Buffer, { family, skip }: Look): string | null {
  const start = bytes.subarray(skip, skip + DECLARATION_BYTES_MAX)
  const text =
    family === 'utf-16be' || family === 'utf-16le'
      ? start.toString('latin1').replaceAll('\0', '')
      : start.toString('latin1')
  if (!text.startsWith('<?xml')) return null
  const declaration = text.slice(0, text.indexOf('?>'))
  return /\sencoding\s*=\s*["']([A-Za-z][\w.:-]*)["']/.exec(declaration)?.[1]?.toLowerCase() ?? null
}

function decode(bytes: Buffer, encoding: string): string {
  if (encoding === 'utf-8') return isUtf8(bytes) ? bytes.toString('utf8') : unfitting(bytes, encoding)
  // The platform takes ISO-8859-1 for Windows-1252.
  if (encoding === 'iso-8859-1') return bytes.toString('latin1')
  try {
    return decoderOf(encoding).decode(bytes)
  } catch {
    return unfitting(bytes, encoding)
  }
}

function decoderOf(encoding: string): TextDecoder {
  let decoder = decoders.get(encoding)
  if (decoder === undefined) {
    decoder = new TextDecoder(encoding, { fatal: true, ignoreBOM: true })
    decoders.set(encoding, decoder)
  }
  return decoder
}

function unfitting(bytes: Buffer, encoding: string): never {
  const text = new TextDecoder(encoding, { ignoreBOM: true }).decode(bytes)
  const { line, column } = placeIn(text, Math.max(0, text.indexOf('\ufffd')))
  const why = `these are no characters of ${encoding.toUpperCase()}`
  throw xmlFault('XML_ENCODING', { why, where: `line ${line}, column ${column}`, line, column })
}
