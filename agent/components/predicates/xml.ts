// XML bytes → text, and a tree that proves it well-formed before any other parser sees it.

import { TextDecoder } from 'node:util'
import type { Fault } from '#protocol/base/mod.ts'
import { problemsOf } from '../libxml/mod.ts'
import { decodeXml, xmlFault } from '../xml/mod.ts'

/**
 * `charset` is the content type's. It counts where the bytes say nothing themselves.
 * Faults: XML_ENCODING, XML_ENCODING_UNKNOWN.
 */
export function xmlText(body: Buffer, charset: string | null): string {
  const starts = body.toString('latin1', 0, 5)
  if (charset === null || starts === '<?xml' || !starts.startsWith('<') || starts[1] === '\0') return decodeXml(body)
  let decoder: TextDecoder
  try {
    decoder = new TextDecoder(charset, { fatal: true })
  } catch {
    throw xmlFault('XML_ENCODING_UNKNOWN', { why: charset })
  }
  try {
    return decoder.decode(body)
  } catch {
    throw xmlFault('XML_ENCODING', { why: `these are no characters of ${charset}, which its content type names` })
  }
}

/** What another parser says about a document that is well-formed: it has bounds of its own. */
export function beyondBounds(error: unknown): Fault {
  const problem = problemsOf(error)?.[0]
  if (problem === undefined)
    return xmlFault('XML_TOO_COMPLEX', { why: (error as Error).message.split('\n', 1)[0] ?? '' })
  const { message, line, column } = problem
  return xmlFault('XML_TOO_COMPLEX', { why: message, line, column })
}
