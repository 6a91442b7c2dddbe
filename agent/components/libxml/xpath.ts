// XPath 1.0 by libxml2. Evaluated at the root element, as libxml2-wasm does: whoever means another node writes an absolute path.

import type { XmlDocument, XmlNode, XmlXPath } from 'libxml2-wasm'
import { libxml2 } from './load.ts'

/** Nodes as their texts: elements as XML, others as their content. */
export type XPathValue = string | number | boolean | readonly string[]

export class LibxmlXPath {
  readonly #expression: string
  readonly #namespaces: Record<string, string>
  #compiled: XmlXPath | null = null

  constructor(expression: string, namespaces: Readonly<Record<string, string>>) {
    this.#expression = expression
    this.#namespaces = { ...namespaces }
  }

  /** `boolean()` of it. */
  test(document: XmlDocument): boolean {
    this.#compiled ??= libxml2().XmlXPath.compile(`boolean(${this.#expression})`, this.#namespaces)
    return document.eval(this.#compiled) === true
  }

  value(document: XmlDocument): XPathValue {
    const value = document.eval(this.#expression, this.#namespaces)
    return Array.isArray(value) ? value.map(nodeText) : value
  }

  dispose(): void {
    this.#compiled?.dispose()
    this.#compiled = null
  }
}

const nodeText = (node: XmlNode): string => (node instanceof libxml2().XmlElement ? node.toString() : node.content)
