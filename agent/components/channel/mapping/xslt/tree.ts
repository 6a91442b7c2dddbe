// A stylesheet as a small tree with lines and the namespaces in scope, as those need it that read stylesheets and do not run them.

import { Fault } from '#protocol/base/mod.ts'
import { XmlParser } from '../../../xml/mod.ts'
import { xsltFault } from '../../xslt/faults.ts'

export const XSL = 'http://www.w3.org/1999/XSL/Transform'

export type StyleAttribute = {
  readonly uri: string
  readonly prefix: string
  readonly local: string
  readonly value: string
}

export type StyleElement = {
  readonly uri: string
  readonly prefix: string
  readonly local: string
  readonly line: number
  readonly attributes: readonly StyleAttribute[]
  /** In scope: prefix ('' the default) → uri. */
  readonly namespaces: Readonly<Record<string, string>>
  /** Text in one piece; comments and processing instructions are left out. */
  readonly children: readonly (StyleElement | string)[]
}

export type ReadTree = (text: string) => StyleElement

type Libxml = typeof import('libxml2-wasm')

/** Loads the parser (libxml2), which takes its time, once somebody needs it. */
export async function treeReader(): Promise<ReadTree> {
  const libxml = await import('libxml2-wasm')
  return (text) => readTree(libxml, text)
}

function readTree(libxml: Libxml, text: string): StyleElement {
  // The strict parser says what is wrong, and refuses a DOCTYPE before anything it declares is read; it knows no prefixes and lines.
  try {
    new XmlParser().parse(text)
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    const { line, column } = error.details
    throw xsltFault('XSLT_STYLESHEET_INVALID', { why: error.message, todo: error.remedy, line, column, cause: error })
  }
  // Well-formed it is: what libxml2 has against it beyond (namespaces that are no URI) is no matter here.
  const { XML_PARSE_NONET, XML_PARSE_RECOVER } = libxml.ParseOption
  const document = libxml.XmlDocument.fromString(withoutEncoding(text), { option: XML_PARSE_NONET | XML_PARSE_RECOVER })
  try {
    return elementOf(libxml, document.root)
  } finally {
    document.dispose()
  }
}

/** It is decoded already, and says otherwise. */
const withoutEncoding = (text: string): string =>
  text.replace(/^\uFEFF?(<\?xml[^>]*?)\s+encoding\s*=\s*(?:"[^"]*"|'[^']*')/, '$1')

function elementOf(libxml: Libxml, element: InstanceType<Libxml['XmlElement']>): StyleElement {
  const children: (StyleElement | string)[] = []
  for (let node = element.firstChild; node !== null; node = node.next) {
    if (node instanceof libxml.XmlElement) children.push(elementOf(libxml, node))
    else if (node instanceof libxml.XmlText || node instanceof libxml.XmlCData) {
      if (typeof children.at(-1) === 'string') children.push(`${children.pop()}${node.content}`)
      else children.push(node.content)
    }
  }
  return {
    uri: element.namespaceUri,
    prefix: element.prefix,
    local: element.name,
    line: element.line,
    attributes: element.attrs.map(({ namespaceUri, prefix, name, value }) => {
      return { uri: namespaceUri, prefix, local: name, value }
    }),
    namespaces: element.namespaces,
    children,
  }
}

/** The value of an attribute in no namespace, or `null`. */
export function attributeOf(element: StyleElement, local: string): string | null {
  return element.attributes.find((each) => each.uri === '' && each.local === local)?.value ?? null
}

/** Whether it is that instruction of XSLT. */
export const isXsl = (node: StyleElement, local: string): boolean => node.uri === XSL && node.local === local
