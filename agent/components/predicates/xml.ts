// XML bytes → text without a DOCTYPE, and what parsers say about it as faults.

import { Fault } from '#protocol/base/mod.ts'
import { problemsOf } from '../libxml/mod.ts'
import { predicateFault } from './faults.ts'

/** By byte order mark, else `charset` of the content type, else the XML declaration, else UTF-8. */
export function decodeXml(body: Buffer, charset: string | null): string {
  const head = body.toString('latin1', 0, 200)
  const marked = /^\xef\xbb\xbf/.test(head)
    ? 'utf-8'
    : /^(\xff\xfe|<\0)/.test(head)
      ? 'utf-16le'
      : /^(\xfe\xff|\0<)/.test(head)
        ? 'utf-16be'
        : null
  const declared = /^<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z][\w.-]{0,39})["']/.exec(head)?.[1] ?? null
  const encoding = marked ?? charset ?? declared ?? 'utf-8'
  let text: string
  try {
    text = new TextDecoder(encoding, { fatal: true }).decode(body)
  } catch (error) {
    throw predicateFault('DOCUMENT_NOT_XML', { why: `its bytes are not ${encoding}: ${(error as Error).message}` })
  }
  if (hasDoctype(text)) throw predicateFault('DOCUMENT_NOT_XML', { why: 'a DOCTYPE is not taken' })
  return text
}

/** Whether a DOCTYPE stands before the root element, where alone it may. */
function hasDoctype(text: string): boolean {
  for (let at = text.indexOf('<'); at >= 0; ) {
    if (text.startsWith('<!--', at)) at = after(text, '-->', at + 4)
    else if (text.startsWith('<?', at)) at = after(text, '?>', at + 2)
    else return text.startsWith('<!', at)
    if (at >= 0) at = text.indexOf('<', at)
  }
  return false
}

function after(text: string, end: string, from: number): number {
  const at = text.indexOf(end, from)
  return at < 0 ? -1 : at + end.length
}

export function xmlFailure(error: unknown): Fault {
  if (error instanceof Fault) return error
  const problem = problemsOf(error)?.[0]
  if (problem === undefined)
    return predicateFault('DOCUMENT_NOT_XML', { why: (error as Error).message.split('\n', 1)[0] ?? '' })
  const { message, line, column } = problem
  return predicateFault('DOCUMENT_NOT_XML', { why: `${message} (line ${line}, column ${column})`, line, column })
}
