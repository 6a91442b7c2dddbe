// XML-binary Optimized Packaging (XOP, 2005): base64 in a document ↔ parts beside it.

import { Fault } from '#protocol/base/mod.ts'
import type { XmlParser, XmlTree } from '../../xml/mod.ts'
import type { Attached } from '../attached.ts'
import { decodeBase64, encodeBase64 } from '../encode/mod.ts'
import { envelopeFault } from './faults.ts'
import { INCLUDES_MAX } from './limits.ts'
import { contentIdFor } from './mime-writer.ts'
import { attributeOf, nameOf } from './soap.ts'
import { elementEnd, startTags, tagAt } from './xml-ranges.ts'

export const XOP_URI = 'http://www.w3.org/2004/08/xop/include'
export const XOP_TYPE = 'application/xop+xml'
const MIME_URI = 'http://www.w3.org/2005/05/xmlmime'
const OCTETS = 'application/octet-stream'
const STANDARD = { urlSafe: false, padding: true }

/**
 * Puts the content of parts where the document includes them. A part included twice is refused: what comes out is then no more than
 * came in. Gives the ids of those it used. Faults: `XOP_INVALID`, those of the parser.
 */
export function inlineIncludes(
  parser: XmlParser,
  text: string,
  contentOf: (contentId: string) => Buffer | null,
): { readonly text: string; readonly used: ReadonlySet<string> } {
  const tree = parser.parse(text)
  const used = new Set<string>()
  const pieces: string[] = []
  let done = 0
  for (const { node, at } of elementsOf(tree, text)) {
    const { uri, local } = nameOf(tree, node)
    if (uri !== XOP_URI || local !== 'Include') continue
    const id = idOf(tree, node)
    const bytes = contentOf(id)
    if (bytes === null) throw invalid(`it includes cid:${id}, and no part has this Content-ID`)
    if (used.has(id)) throw invalid(`it includes cid:${id} twice`)
    if (used.size >= INCLUDES_MAX) throw invalid(`it includes more than ${INCLUDES_MAX} parts`)
    const parent = tree.parent[node] as number
    if (parent < 1 || node !== parent + 1 || tree.end[node] !== tree.end[parent]) {
      throw invalid(`xop:Include of cid:${id} is not all that its element has`)
    }
    used.add(id)
    pieces.push(text.slice(done, at), encodeBase64(bytes, STANDARD))
    done = elementEnd(text, at)
  }
  pieces.push(text.slice(done))
  return { text: pieces.join(''), used }
}

export type ExtractOptions = {
  /** Elements by `{namespace}name`, or by name in any namespace. */
  readonly elements: ReadonlySet<string>
  readonly bytesMin: number
  /** Number of the first part made. */
  readonly first: number
}

/** Makes parts of the elements' content, where it is base64 that comes back exactly. */
export function extractIncludes(
  parser: XmlParser,
  text: string,
  { elements, bytesMin, first }: ExtractOptions,
): { readonly text: string; readonly parts: readonly Attached[] } {
  if (elements.size === 0) return { text, parts: [] }
  const tree = parser.parse(text)
  const parts: Attached[] = []
  const pieces: string[] = []
  let done = 0
  for (const { node, at } of elementsOf(tree, text)) {
    const { uri, local } = nameOf(tree, node)
    if (!elements.has(local) && !elements.has(`{${uri}}${local}`)) continue
    const { end, empty } = tagAt(text, at)
    const close = text.indexOf('<', end)
    if (empty || text[close + 1] !== '/' || parts.length >= INCLUDES_MAX) continue
    const bytes = exactBase64(text.slice(end, close))
    if (bytes === null || bytes.length < bytesMin) continue
    const contentId = contentIdFor(bytes, first + parts.length)
    parts.push({ name: null, mediaType: attributeOf(tree, node, MIME_URI, 'contentType') ?? OCTETS, contentId, bytes })
    pieces.push(text.slice(done, end), `<xop:Include xmlns:xop="${XOP_URI}" href="cid:${cidOf(contentId)}"/>`)
    done = close
  }
  pieces.push(text.slice(done))
  return { text: pieces.join(''), parts }
}

/** RFC 2392: the id as part of a URL. */
const cidOf = (contentId: string): string => encodeURIComponent(contentId).replaceAll('%40', '@')

/** The elements of the tree with the places of their tags, in the order of the document. */
function* elementsOf(tree: XmlTree, text: string): Generator<{ readonly node: number; readonly at: number }> {
  let node = 0
  for (const at of startTags(text)) {
    do node += 1
    while ((tree.name[node] as number) < 0)
    yield { node, at }
  }
}

function idOf(tree: XmlTree, node: number): string {
  const href = attributeOf(tree, node, '', 'href') ?? ''
  if (!/^cid:./i.test(href)) throw invalid(`xop:Include has ${JSON.stringify(href.slice(0, 80))} where a cid: must be`)
  if (tree.end[node] !== node + 1) throw invalid('xop:Include is not empty')
  try {
    return decodeURIComponent(href.slice('cid:'.length))
  } catch (cause) {
    throw envelopeFault('XOP_INVALID', { why: `${JSON.stringify(href.slice(0, 80))} is no URL`, cause })
  }
}

function exactBase64(text: string): Buffer | null {
  if (text.length % 4 !== 0) return null
  try {
    return decodeBase64(text, STANDARD)
  } catch (error) {
    if (error instanceof Fault) return null
    throw error
  }
}

const invalid = (why: string): Fault => envelopeFault('XOP_INVALID', { why })
