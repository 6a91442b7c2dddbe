// Headers of MIME (RFC 2045, 2047, 2183, 2231, 5322, 6532): strict where readers disagree, as two readers of one message are what an
// attacker needs.

import type { Fault } from '#protocol/base/mod.ts'
import { decodeBase64, decodeQuoted } from '../encode/mod.ts'
import { envelopeFault } from './faults.ts'
import { HEADER_LINE_CHARS, HEADERS_MAX, PARAMETERS_MAX } from './limits.ts'

/** By name in lower case. */
export type Headers = ReadonlyMap<string, string>

export type Parameterized = { readonly value: string; readonly parameters: ReadonlyMap<string, string> }

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** What a header says once; the others are joined. */
const SINGLE: ReadonlySet<string> = new Set([
  'content-type',
  'content-transfer-encoding',
  'content-disposition',
  'content-id',
  'mime-version',
  'soapaction',
])

/** `block` is without the empty line at its end. Faults: `MIME_INVALID`, `MIME_LIMIT`, `MIME_ENCODING`. */
export function parseHeaders(
  block: Buffer,
  { where, lf, charset = 'utf-8' }: { readonly where: string; readonly lf: boolean; readonly charset?: string },
): Headers {
  const headers = new Map<string, string>()
  if (block.length === 0) return headers
  const lines = decoded(block, charset, where).split(lf ? /\r?\n/ : '\r\n')
  if (lines.at(-1) === '') lines.pop()
  let name = ''
  for (const line of lines) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
    if (/[\0-\x08\x0a-\x1f\x7f]/.test(line)) throw invalid(where, 'a header has a control character')
    if (line.startsWith(' ') || line.startsWith('\t')) {
      if (name === '') throw invalid(where, 'the headers begin with a continued line')
      headers.set(name, `${headers.get(name)} ${line.trim()}`)
      continue
    }
    const colon = line.indexOf(':')
    const raw = line.slice(0, Math.max(colon, 0))
    if (!TOKEN.test(raw)) throw invalid(where, `${JSON.stringify(line.slice(0, 60))} is no header`)
    name = raw.toLowerCase()
    const value = line.slice(colon + 1).trim()
    const before = headers.get(name)
    if (before !== undefined && SINGLE.has(name)) throw invalid(where, `two headers ${raw}`)
    headers.set(name, before === undefined ? value : `${before}, ${value}`)
    if (headers.size > HEADERS_MAX)
      throw envelopeFault('MIME_LIMIT', { where, why: `more than ${HEADERS_MAX} headers` })
  }
  return headers
}

/**
 * `type/subtype; name=value; …` with RFC 2231: parameters in pieces (`name*0=`), in another character set (`name*=UTF-8''…`), or both.
 * The value comes in lower case. In a form (`asForm`) names have no pieces and character sets, and a backslash stands for itself unless it
 * comes before another one or a quote: browsers write it as it is. Faults: `MIME_INVALID`, `MIME_LIMIT`, `MIME_ENCODING`.
 */
export function parseParameterized(
  text: string,
  where: string,
  { asForm = false }: { readonly asForm?: boolean } = {},
): Parameterized {
  const [, value = '', rest = ''] = /^([^;]*)(.*)$/s.exec(text) ?? []
  const given = new Map<string, string>()
  let at = 0
  while (at < rest.length) {
    // Blanks and an empty parameter at the end are common, and mean nothing.
    const [blank = ''] = /^[;\s]*/.exec(rest.slice(at)) ?? []
    if (blank === '' && at < rest.length)
      throw invalid(where, `a \`;\` is missing in ${JSON.stringify(text.slice(0, 80))}`)
    at += blank.length
    if (at >= rest.length) break
    const found = /^([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))\s*(?=;|$)/s.exec(rest.slice(at))
    if (found === null || !TOKEN.test(found[1] as string)) {
      throw invalid(where, `the parameters of ${JSON.stringify(text.slice(0, 80))} are malformed`)
    }
    const name = (found[1] as string).toLowerCase()
    if (given.has(name)) throw invalid(where, `parameter ${name} is there twice`)
    const quoted = asForm ? /\\(["\\])/g : /\\(.)/gs
    given.set(name, found[2] === undefined ? (found[3] as string) : found[2].replace(quoted, '$1'))
    if (given.size > PARAMETERS_MAX)
      throw envelopeFault('MIME_LIMIT', { where, why: `more than ${PARAMETERS_MAX} parameters` })
    at += found[0].length
  }
  return { value: value.trim().toLowerCase(), parameters: asForm ? given : joined(given, where) }
}

/** RFC 2231, sections 3 and 4. What says its character set goes before what does not. */
function joined(given: ReadonlyMap<string, string>, where: string): Map<string, string> {
  const parameters = new Map<string, string>()
  for (const [name, value] of given) if (!name.includes('*')) parameters.set(name, value)
  for (const [name, value] of given) {
    const [, base = '', first] = /^([^*]+)\*(0\*?)?$/.exec(name) ?? []
    if (base === '') {
      if (name.includes('*') && !/^[^*]+\*[1-9]\d*\*?$/.test(name)) throw invalid(where, `${name} is no parameter`)
      continue
    }
    parameters.set(base, first === undefined ? extended(value, where) : pieces(given, base, where))
  }
  return parameters
}

function pieces(given: ReadonlyMap<string, string>, base: string, where: string): string {
  const parts: Buffer[] = []
  let charset = ''
  for (let i = 0; ; i += 1) {
    const plain = given.get(`${base}*${i}`)
    const encoded = given.get(`${base}*${i}*`)
    if (plain !== undefined && encoded !== undefined) throw invalid(where, `piece ${i} of ${base} is there twice`)
    if (encoded !== undefined) {
      let text = encoded
      if (i === 0) [charset, text] = charsetOf(encoded, where)
      parts.push(percentDecoded(text, where))
    } else if (plain !== undefined) parts.push(Buffer.from(plain))
    else break
  }
  return decoded(Buffer.concat(parts), charset === '' ? 'utf-8' : charset, where)
}

function extended(value: string, where: string): string {
  const [charset, text] = charsetOf(value, where)
  return decoded(percentDecoded(text, where), charset === '' ? 'us-ascii' : charset, where)
}

function charsetOf(value: string, where: string): [charset: string, text: string] {
  const [, charset, text] = /^([^']*)'[^']*'(.*)$/s.exec(value) ?? []
  if (charset === undefined || text === undefined) throw invalid(where, 'a parameter does not say its character set')
  return [charset, text]
}

function percentDecoded(text: string, where: string): Buffer {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) throw invalid(where, 'a parameter has a % without two digits')
  return Buffer.from(
    text.replace(/%(..)/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16))),
    'latin1',
  )
}

/** Encoded words (RFC 2047), which RFC 2231 does not allow in parameters and many programs write there. */
export function decodeWords(text: string, where: string): string {
  // Blanks between two encoded words belong to none of them.
  return text
    .replace(/(=\?[^?\s]+\?[bq]\?[^?\s]*\?=)\s+(?==\?)/gi, '$1')
    .replace(
      /=\?([^?*\s]+)(?:\*[^?\s]*)?\?([bq])\?([^?\s]*)\?=/gi,
      (_, charset: string, kind: string, body: string) => {
        const bytes =
          kind.toLowerCase() === 'b'
            ? decodeBase64(body, { urlSafe: false, padding: true })
            : decodeQuoted(Buffer.from(body.replaceAll('_', '=20'), 'latin1'))
        return decoded(bytes, charset, where)
      },
    )
}

/** Strictly. Faults: `MIME_ENCODING`. */
export function decoded(bytes: Uint8Array, charset: string, where: string): string {
  try {
    return new TextDecoder(charset, { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    const why =
      cause instanceof RangeError
        ? `the character set ${JSON.stringify(charset.slice(0, 40))} is not known`
        : `it is not in ${charset.trim().slice(0, 40)}`
    throw envelopeFault('MIME_ENCODING', { where, why })
  }
}

/** A header line with its parameters, folded; values that are not plain are quoted, and not ASCII as RFC 2231 has it. */
export function headerLine(
  name: string,
  value: string,
  parameters: readonly (readonly [string, string])[] = [],
): string {
  return `${name}: ${foldedParameters(value, parameters, name.length + 2)}\r\n`
}

/** The same without name and line breaks, as it goes into a field. */
export const parameterized = (value: string, parameters: readonly (readonly [string, string])[]): string =>
  [value, ...parameters.map(parameter)].join('; ')

function foldedParameters(value: string, parameters: readonly (readonly [string, string])[], start: number): string {
  let line = value
  let length = start + value.length
  for (const text of parameters.map(parameter)) {
    const folds = length + text.length + 2 > HEADER_LINE_CHARS
    line += folds ? `;\r\n ${text}` : `; ${text}`
    length = folds ? text.length + 1 : length + text.length + 2
  }
  return line
}

function parameter([name, value]: readonly [string, string]): string {
  if (/^[ -~]*$/.test(value))
    return TOKEN.test(value) ? `${name}=${value}` : `${name}="${value.replace(/["\\]/g, '\\$&')}"`
  const encoded = encodeURIComponent(value).replace(
    /['()*!~]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `${name}*=UTF-8''${encoded}`
}

const invalid = (where: string, why: string): Fault => envelopeFault('MIME_INVALID', { where, why })
