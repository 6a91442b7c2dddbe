// Values and files → what a web form sends (multipart/form-data, RFC 7578). The same input gives the same bytes.

import { Buffer } from 'node:buffer'
import { type EncodedPart, enclosed } from './mime-writer.ts'

export type FormPart = {
  readonly name: string
  /** `null`: a value, not a file. */
  readonly file: { readonly name: string; readonly mediaType: string } | null
  readonly bytes: Uint8Array
}

/** The boundary is among the parameters of the Content-Type. */
export function writeForm(parts: readonly FormPart[]): { readonly bytes: Buffer; readonly boundary: string } {
  return enclosed(parts.map(encodedPart))
}

function encodedPart({ name, file, bytes }: FormPart): EncodedPart {
  const fileName = file === null ? '' : `; filename="${escaped(file.name)}"`
  const type = file === null ? '' : `Content-Type: ${file.mediaType}\r\n`
  const head = `Content-Disposition: form-data; name="${escaped(name)}"${fileName}\r\n${type}\r\n`
  return { head: Buffer.from(head), body: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) }
}

/** As browsers do (HTML, multipart/form-data encoding algorithm): UTF-8 as it is, and these three. */
const escaped = (text: string): string => text.replaceAll('\r', '%0D').replaceAll('\n', '%0A').replaceAll('"', '%22')
