// Escaping, so that what is read again is what was written (as Canonical XML does it, section 2.3).

import { xmlFault } from './faults.ts'
import { placeIn } from './place.ts'

export const XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

const IN_TEXT = /[&<>\r]/
const IN_VALUE = /[&<"\t\n\r]/
const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\t': '&#x9;',
  '\n': '&#xA;',
  '\r': '&#xD;',
}
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const INVALID = /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/

const escaped = (char: string): string => ESCAPES[char] as string

export const escapeText = (text: string): string => (IN_TEXT.test(text) ? text.replace(/[&<>\r]/g, escaped) : text)

/** For a value in double quotes. */
export const escapeValue = (text: string): string =>
  IN_VALUE.test(text) ? text.replace(/[&<"\t\n\r]/g, escaped) : text

/** Throws XML_TEXT_INVALID for what no document can hold: control characters, U+FFFE, U+FFFF, half surrogate pairs. */
export function checkXmlText(text: string, where: string): void {
  if (!text.isWellFormed()) throw xmlFault('XML_TEXT_INVALID', { where, why: 'it has half a surrogate pair' })
  const at = text.search(INVALID)
  if (at < 0) return
  const code = text.charCodeAt(at).toString(16).toUpperCase().padStart(4, '0')
  throw xmlFault('XML_TEXT_INVALID', { where, why: `U+${code}`, position: at, ...placeIn(text, at) })
}
