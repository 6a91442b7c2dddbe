// MIME messages and multiparts (RFC 2045, 2046, 2387) → parts. Bodies stay where they are unless their transfer encoding changes them.

import { isAscii } from 'node:buffer'
import { Fault } from '#protocol/base/mod.ts'
import { nameProblem } from '#protocol/transfer/mod.ts'
import { decodeBase64, decodeQuoted } from '../encode/mod.ts'
import { envelopeFault } from './faults.ts'
import { decodeWords, type Headers, type Parameterized, parseHeaders, parseParameterized } from './header.ts'
import { BOUNDARY_CHARS_MAX, HEADER_BYTES_MAX, NESTING_MAX } from './limits.ts'

export type Part = {
  readonly headers: Headers
  readonly type: Parameterized
  /** Its Content-Type as it stands, or null. */
  readonly mediaType: string | null
  readonly contentId: string | null
  readonly name: string | null
  readonly bytes: Buffer
  /** Of a file in a form. */
  readonly formName?: string
}

/** What stands between two delimiters, in its transfer encoding. */
export type Entity = { readonly headers: Headers; readonly body: Buffer; readonly where: string }

export type MimeOptions = {
  readonly partsMax: number
  /** Lines may end in LF alone. */
  readonly lf: boolean
  /** Multiparts inside are opened, and their parts stand in their place. */
  readonly nested: boolean
}

const CR = 0x0d
const LF = 0x0a
const DASH = 0x2d
const DEFAULT_TYPE: Parameterized = { value: 'text/plain', parameters: new Map() }
const BOUNDARY = /^[0-9A-Za-z'()+_,\-./:=? ]*[0-9A-Za-z'()+_,\-./:=?]$/

/** A message with its headers at its beginning: the headers, and where the body begins. */
export function splitMessage(bytes: Buffer, { lf }: { readonly lf: boolean }): { headers: Headers; body: Buffer } {
  return splitEntity(bytes, { where: 'the message', lf })
}

/**
 * The parts of a multipart, in order. `type` is its Content-Type; preamble and epilogue are left out.
 * Faults: `CONTENT_TYPE_INVALID`, `MIME_INVALID`, `MIME_LIMIT`, `MIME_ENCODING`.
 */
export function parseMultipart(bytes: Buffer, type: Parameterized, options: MimeOptions): Part[] {
  const parts: Part[] = []
  collect(bytes, type, { ...options, depth: 1, where: '', parts })
  const seen = new Set<string>()
  for (const [i, { contentId }] of parts.entries()) {
    if (contentId === null) continue
    if (seen.has(contentId)) throw invalid(`part ${i + 1}`, 'another part has the same Content-ID')
    seen.add(contentId)
  }
  return parts
}

/** The same one level deep, and not decoded. `charset` is that of the headers. */
export function parseEntities(
  bytes: Buffer,
  type: Parameterized,
  { partsMax, lf, charset }: { readonly partsMax: number; readonly lf: boolean; readonly charset: string },
): Entity[] {
  return entitiesOf(bytes, boundaryOf(type), { where: 'the message', lf, partsMax }).map((entity, i) => {
    const where = `part ${i + 1}`
    return { ...splitEntity(entity, { where, lf, charset }), where }
  })
}

type Collecting = MimeOptions & { readonly depth: number; readonly where: string; readonly parts: Part[] }

function collect(bytes: Buffer, type: Parameterized, context: Collecting): void {
  const { depth, parts, partsMax, lf, nested } = context
  if (depth > NESTING_MAX) {
    throw envelopeFault('MIME_LIMIT', {
      where: context.where,
      why: `more than ${NESTING_MAX} multiparts inside each other`,
    })
  }
  const boundary = boundaryOf(type)
  let number = 0
  for (const entity of entitiesOf(bytes, boundary, { where: context.where || 'the message', lf, partsMax })) {
    number += 1
    const where = context.where === '' ? `part ${number}` : `${context.where}.${number}`
    const part = partOf(entity, { where, lf })
    if (nested && part.type.value.startsWith('multipart/'))
      collect(part.bytes, part.type, { ...context, depth: depth + 1, where })
    else parts.push(part)
    if (parts.length > partsMax) throw envelopeFault('MIME_LIMIT', { where, why: `more than ${partsMax} parts` })
  }
}

function boundaryOf({ value, parameters }: Parameterized): string {
  const boundary = parameters.get('boundary')
  if (boundary === undefined) throw envelopeFault('CONTENT_TYPE_INVALID', { why: `${value} has no boundary` })
  if (boundary.length > BOUNDARY_CHARS_MAX || !BOUNDARY.test(boundary)) {
    throw envelopeFault('CONTENT_TYPE_INVALID', {
      why: `${JSON.stringify(boundary.slice(0, 80))} cannot be a boundary`,
    })
  }
  return boundary
}

/** What stands between the delimiter lines. */
function entitiesOf(
  bytes: Buffer,
  boundary: string,
  { where, lf, partsMax }: { readonly where: string; readonly lf: boolean; readonly partsMax: number },
): Buffer[] {
  const dashes = Buffer.from(`--${boundary}`)
  const entities: Buffer[] = []
  let from = -1
  for (let at = bytes.indexOf(dashes); at !== -1; at = bytes.indexOf(dashes, at + 1)) {
    if (at > 0 && bytes[at - 1] !== LF) continue
    const line = delimiterEnd(bytes, at + dashes.length, lf)
    if (line === null) continue
    const hasCr = at > 1 && bytes[at - 2] === CR
    if (at > 0 && !hasCr && !lf) throw invalid(where, 'a line before a delimiter ends in LF alone', at)
    if (from !== -1) {
      // The line break before a delimiter belongs to it; of an empty part it is the one behind the delimiter before.
      entities.push(bytes.subarray(from, Math.max(from, at - (hasCr ? 2 : 1))))
      if (entities.length > partsMax) throw envelopeFault('MIME_LIMIT', { where, why: `more than ${partsMax} parts` })
    }
    if (line.closes) {
      if (from === -1) throw invalid(where, 'it has no part', at)
      return entities
    }
    from = line.end
    at = line.end - 1
  }
  throw invalid(where, from === -1 ? 'its boundary does not occur' : 'its last delimiter is missing: it is cut')
}

/** What follows the boundary of a delimiter line; `null`: it is none. */
function delimiterEnd(bytes: Buffer, from: number, lf: boolean): { closes: boolean; end: number } | null {
  const closes = bytes[from] === DASH && bytes[from + 1] === DASH
  let at = closes ? from + 2 : from
  while (bytes[at] === 0x20 || bytes[at] === 0x09) at += 1
  if (at === bytes.length) return closes ? { closes, end: at } : null
  if (bytes[at] === CR && bytes[at + 1] === LF) return { closes, end: at + 2 }
  if (bytes[at] !== LF) return null
  if (!lf) throw invalid('a delimiter', 'its line ends in LF alone', at)
  return { closes, end: at + 1 }
}

function partOf(entity: Buffer, { where, lf }: { readonly where: string; readonly lf: boolean }): Part {
  const { headers, body } = splitEntity(entity, { where, lf })
  const mediaType = headers.get('content-type') ?? null
  const type = mediaType === null ? DEFAULT_TYPE : parseParameterized(mediaType, where)
  const encoding = (headers.get('content-transfer-encoding') ?? '').toLowerCase()
  if (type.value.startsWith('multipart/') && !/^(?:|7bit|8bit|binary)$/.test(encoding)) {
    throw invalid(where, `a multipart in ${encoding} is forbidden (RFC 2045, section 6.4)`)
  }
  return {
    headers,
    type,
    mediaType,
    contentId: contentIdOf(headers, where),
    name: nameOf(headers, type, where),
    bytes: bodyOf(body, encoding, where),
  }
}

/** Headers, an empty line, the body. Headers may be missing; without an empty line there is no body (RFC 2046, section 5.1.1). */
function splitEntity(
  bytes: Buffer,
  { where, lf, charset = 'utf-8' }: { readonly where: string; readonly lf: boolean; readonly charset?: string },
): { headers: Headers; body: Buffer } {
  let at = 0
  for (let end = bytes.indexOf(LF); end !== -1; end = bytes.indexOf(LF, at)) {
    const lineEnd = end > 0 && bytes[end - 1] === CR ? end - 1 : end
    if (lineEnd === end && !lf) throw invalid(where, 'a header ends in LF alone', end)
    if (lineEnd <= at)
      return { headers: parseHeaders(bytes.subarray(0, at), { where, lf, charset }), body: bytes.subarray(end + 1) }
    at = end + 1
    if (at > HEADER_BYTES_MAX) break
  }
  if (bytes.length > HEADER_BYTES_MAX) {
    throw envelopeFault('MIME_LIMIT', { where, why: `headers longer than ${HEADER_BYTES_MAX} bytes` })
  }
  return { headers: parseHeaders(bytes, { where, lf, charset }), body: Buffer.alloc(0) }
}

/** Without a Content-Transfer-Encoding bytes are as they are: HTTP has none. */
function bodyOf(body: Buffer, encoding: string, where: string): Buffer {
  switch (encoding) {
    case '':
    case '8bit':
    case 'binary':
      return body
    case '7bit':
      if (isAscii(body)) return body
      throw wrongEncoding(where, 'it names 7bit and has other bytes')
    case 'base64':
    case 'quoted-printable':
      try {
        if (encoding === 'quoted-printable') return decodeQuoted(body)
        return decodeBase64(body.toString('latin1').replace(/[\r\n\t ]+/g, ''), { urlSafe: false, padding: true })
      } catch (error) {
        throw error instanceof Fault ? wrongEncoding(where, `${encoding}: ${error.message}`) : error
      }
    default:
      throw wrongEncoding(where, `${JSON.stringify(encoding.slice(0, 40))} is not known`)
  }
}

function contentIdOf(headers: Headers, where: string): string | null {
  const text = headers.get('content-id')
  if (text === undefined) return null
  const [, id] = /^<?([!-;=?-~]+)>?$/.exec(text) ?? []
  if (id === undefined) throw invalid(where, `${JSON.stringify(text.slice(0, 80))} is no Content-ID`)
  return id
}

/** Of Content-Disposition, else of Content-Type. It becomes a file's. */
function nameOf(headers: Headers, type: Parameterized, where: string): string | null {
  const disposition = headers.get('content-disposition')
  const given =
    disposition === undefined ? undefined : parseParameterized(disposition, where).parameters.get('filename')
  const text = given ?? type.parameters.get('name')
  if (text === undefined || text === '') return null
  const name = decodeWords(text, where)
  const why = nameProblem(name)
  if (why !== null) throw invalid(where, `no file can have the name ${JSON.stringify(name.slice(0, 80))}: ${why}`)
  return name
}

const wrongEncoding = (where: string, why: string): Fault => envelopeFault('MIME_ENCODING', { where, why })

const invalid = (where: string, why: string, position?: number): Fault =>
  envelopeFault('MIME_INVALID', { where, why, ...(position === undefined ? {} : { position }) })
