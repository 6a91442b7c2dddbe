// SOAP 1.1 and 1.2 envelopes around XML: put on, and taken off so that what was inside is the text it was, with the namespaces that
// were in scope.

import type { Fault } from '#protocol/base/mod.ts'
import type { XmlParser, XmlTree } from '../../xml/mod.ts'
import { envelopeFault } from './faults.ts'
import { PREFIXES_LOOKED_FOR_MAX, REASON_CHARS_MAX, SOAP_HEADERS_MAX } from './limits.ts'
import { childrenOf, elementEnd, rootAt, type Tag, tagAt } from './xml-ranges.ts'

export type SoapVersion = '1.1' | '1.2'

export const SOAP_URIS: Readonly<Record<SoapVersion, string>> = {
  '1.1': 'http://schemas.xmlsoap.org/soap/envelope/',
  '1.2': 'http://www.w3.org/2003/05/soap-envelope',
}
export const SOAP_TYPES: Readonly<Record<SoapVersion, string>> = { '1.1': 'text/xml', '1.2': 'application/soap+xml' }
/** Rare enough that no document means another thing by it in its values. */
const PREFIX = 'soapenv'

export type SoapHeader = {
  readonly name: string
  readonly namespace: string
  readonly mustUnderstand: boolean
  /** Actor (1.1) or role (1.2). */
  readonly role: string | null
  readonly text: string
  readonly xml: string
}

export type SoapMessage = {
  readonly version: SoapVersion
  readonly headers: readonly SoapHeader[]
  /** The element in the body, as a document of its own. */
  readonly body: string
  /** When that element is a fault. */
  readonly fault: { readonly code: string; readonly reason: string } | null
}

/** Which of the namespaces in scope the element takes along: those whose prefix occurs in it, or all. */
export type KeptNamespaces = 'used' | 'all'

/** `body` and `headers` are elements that have been checked. */
export function wrapSoap(body: string, version: SoapVersion, headers: readonly string[]): string {
  const head = headers.length === 0 ? '' : `<${PREFIX}:Header>${headers.join('')}</${PREFIX}:Header>`
  const open = `<${PREFIX}:Envelope xmlns:${PREFIX}="${SOAP_URIS[version]}">`
  return `<?xml version="1.0" encoding="UTF-8"?>\n${open}${head}<${PREFIX}:Body>${body}</${PREFIX}:Body></${PREFIX}:Envelope>`
}

/** The root element of a document, as it is written. Faults: those of the parser. */
export function rootElement(parser: XmlParser, text: string): string {
  parser.parse(text)
  const at = rootAt(text)
  return text.slice(at, elementEnd(text, at))
}

/** An element that can stand in a SOAP header. Faults: `SOAP_HEADER_INVALID`. */
export function headerElement(parser: XmlParser, text: string, where: string): string {
  try {
    const element = rootElement(parser, text)
    const root = parser.parse(element)
    if (root.names.uri[root.name[1] as number] === '') throw headerFault(where, 'it is in no namespace')
    return element
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'SOAP_HEADER_INVALID') throw error
    throw headerFault(where, (error as Error).message, error)
  }
}

/** Faults: `SOAP_INVALID`, those of the parser. */
export function unwrapSoap(parser: XmlParser, text: string, kept: KeptNamespaces): SoapMessage {
  const tree = parser.parse(text)
  const envelope = nameOf(tree, 1)
  const version = (Object.keys(SOAP_URIS) as SoapVersion[]).find((each) => SOAP_URIS[each] === envelope.uri)
  if (version === undefined || envelope.local !== 'Envelope') {
    throw invalid(`its root is {${envelope.uri}}${envelope.local}, not a SOAP envelope`)
  }
  const uri = SOAP_URIS[version]
  const envelopeTag = tagAt(text, rootAt(text))
  const ranges = childrenOf(text, envelopeTag)
  const nodes = elementsIn(tree, 1)
  const names = nodes.map((node) => nameOf(tree, node))
  const form = names.map(({ uri: other, local }) => (other === uri ? local : '?')).join(' ')
  if (form !== 'Body' && form !== 'Header Body')
    throw invalid('in the envelope there must be one Body, and before it one Header at most')
  const at = nodes.length - 1
  const bodyTag = tagAt(text, (ranges[at] as { from: number }).from)
  const bodyNodes = elementsIn(tree, nodes[at] as number)
  const bodyRanges = childrenOf(text, bodyTag)
  if (bodyNodes.length !== 1) throw invalid(`its body has ${bodyNodes.length} elements, and must have one`)
  const [bodyNode, bodyRange] = [bodyNodes[0] as number, bodyRanges[0] as { from: number; to: number }]
  const { uri: bodyUri, local: bodyName } = nameOf(tree, bodyNode)
  return {
    version,
    headers:
      at === 0
        ? []
        : headersOf(tree, nodes[0] as number, {
            text,
            uri,
            kept,
            outer: [envelopeTag, tagAt(text, (ranges[0] as { from: number }).from)],
          }),
    body: standalone(text, bodyRange, [envelopeTag, bodyTag], kept),
    fault: bodyUri === uri && bodyName === 'Fault' ? faultOf(tree, bodyNode) : null,
  }
}

/** What a header says by `{namespace}name`. */
export const expandedName = ({ namespace, name }: SoapHeader): string => `{${namespace}}${name}`

function headersOf(
  tree: XmlTree,
  header: number,
  { text, uri, kept, outer }: { text: string; uri: string; kept: KeptNamespaces; outer: readonly Tag[] },
): SoapHeader[] {
  const nodes = elementsIn(tree, header)
  if (nodes.length > SOAP_HEADERS_MAX) throw invalid(`it has more than ${SOAP_HEADERS_MAX} header blocks`)
  const ranges = childrenOf(text, outer.at(-1) as Tag)
  return nodes.map((node, i) => {
    const { uri: namespace, local } = nameOf(tree, node)
    if (namespace === '') throw invalid(`header block ${local} is in no namespace`)
    const must = attributeOf(tree, node, uri, 'mustUnderstand')
    return {
      name: local,
      namespace,
      mustUnderstand: must === '1' || must === 'true',
      role: attributeOf(tree, node, uri, 'actor') ?? attributeOf(tree, node, uri, 'role'),
      text: tree.stringValue(node).trim(),
      xml: standalone(text, ranges[i] as { from: number; to: number }, outer, kept),
    }
  })
}

/** An element as a document: with what the elements around it declare, unless it does so itself. */
function standalone(
  text: string,
  { from, to }: { readonly from: number; readonly to: number },
  outer: readonly Tag[],
  kept: KeptNamespaces,
): string {
  const inherited = new Map<string, string>()
  for (const { attributes } of outer) {
    for (const { name, quoted } of attributes) if (/^xml(?:ns)?(?::|$)/.test(name)) inherited.set(name, quoted)
  }
  const tag = tagAt(text, from)
  const element = text.slice(from, to)
  for (const { name } of tag.attributes) inherited.delete(name)
  const looked = kept === 'used' && inherited.size <= PREFIXES_LOOKED_FOR_MAX
  for (const [name, quoted] of inherited) {
    const prefix = name.startsWith('xmlns:') ? name.slice('xmlns:'.length) : null
    const isUnused = prefix !== null && looked && !element.includes(`${prefix}:`)
    if (isUnused || (name === 'xmlns' && quoted.length === 2)) inherited.delete(name)
  }
  if (inherited.size === 0) return element
  const added = [...inherited].map(([name, quoted]) => ` ${name}=${quoted}`).join('')
  const at = 1 + tag.name.length
  return `${element.slice(0, at)}${added}${element.slice(at)}`
}

/** SOAP 1.1, section 4.4; SOAP 1.2 part 1, section 5.4. */
function faultOf(tree: XmlTree, fault: number): { code: string; reason: string } {
  const code = find(tree, fault, 'faultcode') ?? find(tree, find(tree, fault, 'Code'), 'Value')
  const reason = find(tree, fault, 'faultstring') ?? find(tree, find(tree, fault, 'Reason'), 'Text')
  const textOf = (node: number | null): string =>
    node === null ? '' : tree.stringValue(node).trim().slice(0, REASON_CHARS_MAX).toWellFormed()
  return { code: textOf(code), reason: textOf(reason) }
}

const find = (tree: XmlTree, node: number | null, local: string): number | null =>
  node === null ? null : (elementsIn(tree, node).find((child) => nameOf(tree, child).local === local) ?? null)

export function elementsIn(tree: XmlTree, node: number): number[] {
  const nodes: number[] = []
  const end = tree.end[node] as number
  for (let child = node + 1; child < end; child = tree.end[child] as number) {
    if ((tree.name[child] as number) >= 0) nodes.push(child)
  }
  return nodes
}

export function nameOf(tree: XmlTree, node: number): { readonly uri: string; readonly local: string } {
  const id = tree.name[node] as number
  return { uri: tree.names.uri[id] ?? '', local: tree.names.localPart[id] ?? '' }
}

export function attributeOf(tree: XmlTree, node: number, uri: string, local: string): string | null {
  const end = tree.attributes[node + 1] as number
  for (let i = tree.attributes[node] as number; i < end; i += 1) {
    const id = tree.attributeName[i] as number
    if (tree.names.localPart[id] === local && tree.names.uri[id] === uri) return tree.attributeText(i)
  }
  return null
}

const invalid = (why: string): Fault => envelopeFault('SOAP_INVALID', { why })

const headerFault = (where: string, why: string, cause?: unknown): Fault =>
  envelopeFault('SOAP_HEADER_INVALID', { where, why, ...(cause === undefined ? {} : { cause }) })
