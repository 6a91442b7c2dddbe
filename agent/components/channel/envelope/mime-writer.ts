// Parts → a MIME multipart. The same parts give the same bytes: the boundary comes of what is in them.

import { createHash } from 'node:crypto'
import { encodeBase64, encodeQuoted, inLines } from '../encode/mod.ts'
import { headerLine, parameterized } from './header.ts'
import { BASE64_LINE_CHARS } from './limits.ts'

export type PartToWrite = {
  /** Its Content-Type as it is to stand. */
  readonly mediaType: string
  readonly contentId: string | null
  readonly name: string | null
  readonly disposition: 'attachment' | 'inline'
  /** Further headers, each `[name, value]`. */
  readonly headers?: readonly (readonly [string, string])[]
  readonly bytes: Buffer
}

export type MultipartOptions = {
  readonly subtype: 'mixed' | 'related'
  readonly parameters: readonly (readonly [string, string])[]
  readonly encoding: 'binary' | 'base64' | 'quoted-printable'
}

/** `contentType` has the boundary. */
export function writeMultipart(
  parts: readonly PartToWrite[],
  { subtype, parameters, encoding }: MultipartOptions,
): {
  readonly bytes: Buffer
  readonly contentType: string
  readonly parameters: readonly (readonly [string, string])[]
} {
  const { bytes, boundary } = enclosed(parts.map((part) => encodedPart(part, encoding)))
  const all = [...parameters, ['boundary', boundary] as const]
  return { bytes, contentType: parameterized(`multipart/${subtype}`, all), parameters: all }
}

/** As it stands between delimiters. */
export type EncodedPart = { readonly head: Buffer; readonly body: Buffer }

export function enclosed(parts: readonly EncodedPart[]): { readonly bytes: Buffer; readonly boundary: string } {
  const boundary = boundaryFor(parts)
  const delimiter = Buffer.from(`--${boundary}\r\n`)
  const chunks: Buffer[] = []
  for (const { head, body } of parts) chunks.push(delimiter, head, body, LINE_BREAK)
  chunks.push(Buffer.from(`--${boundary}--\r\n`))
  return { bytes: Buffer.concat(chunks), boundary }
}

/** An id that others of the same message do not have; the same for the same bytes in the same place. */
export const contentIdFor = (bytes: Uint8Array, number: number): string =>
  `part-${number}.${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}@causeway`

const LINE_BREAK = Buffer.from('\r\n')

function encodedPart(part: PartToWrite, wanted: MultipartOptions['encoding']): EncodedPart {
  const { mediaType, contentId, name, disposition, headers = [], bytes } = part
  const isText = /^text\/|[/+](?:xml|json)\b/.test(mediaType)
  const encoding = wanted === 'quoted-printable' && !isText ? 'base64' : wanted
  const lines = [
    headerLine('Content-Type', mediaType),
    headerLine('Content-Transfer-Encoding', encoding),
    ...(contentId === null ? [] : [headerLine('Content-ID', `<${contentId}>`)]),
    ...(name === null ? [] : [headerLine('Content-Disposition', disposition, [['filename', name]])]),
    ...headers.map(([key, value]) => headerLine(key, value)),
    '\r\n',
  ]
  return { head: Buffer.from(lines.join('')), body: encodedBody(bytes, encoding) }
}

function encodedBody(bytes: Buffer, encoding: MultipartOptions['encoding']): Buffer {
  switch (encoding) {
    case 'base64': {
      const text = inLines(encodeBase64(bytes, { urlSafe: false, padding: true }), BASE64_LINE_CHARS)
      return Buffer.from(text, 'latin1')
    }
    case 'quoted-printable':
      return encodeQuoted(bytes)
    default:
      return bytes
  }
}

/** A boundary that occurs in no part, which chance alone makes true; looked for all the same. */
function boundaryFor(parts: readonly EncodedPart[]): string {
  const hash = createHash('sha256')
  for (const { head, body } of parts) hash.update(`${head.length} ${body.length} `).update(head).update(body)
  const digest = hash.digest('hex')
  for (let i = 0; ; i += 1) {
    const boundary = `causeway-${createHash('sha256').update(`${digest} ${i}`).digest('hex').slice(0, 32)}`
    if (parts.every(({ head, body }) => !head.includes(boundary) && !body.includes(boundary))) return boundary
  }
}
