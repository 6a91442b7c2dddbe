// A parsed document: flat arrays, nodes in document order, node 0 the document node. Valid until its parser parses the next one.
//
// The subtree of node n is n…end[n]-1; its first child is n+1 (when end[n] > n+1), the next sibling of a child c is end[c]. Text is cut
// into nodes at markup (comments, CDATA, processing instructions), which have no nodes themselves. Namespace declarations are no attributes.

import { NODES_KEPT_MAX } from './limits.ts'
import type { Names } from './names.ts'

/** In `name`: what is no element. */
export const TEXT = -1
/** Text that has a `>` in it, so that it must be escaped when it is written. */
export const TEXT_ESCAPED = -2
export const DOCUMENT = -3

const CAPACITY_MIN = 1_024

export class XmlTree {
  readonly names: Names
  /** The document's text, line ends normalised. */
  source = ''
  /** Nodes. */
  count = 0
  /** The element's expanded name (`names.uri`, `names.localPart`), or one of the constants above. */
  name = new Int32Array(CAPACITY_MIN)
  parent = new Int32Array(CAPACITY_MIN)
  end = new Int32Array(CAPACITY_MIN)
  /** Text: where it is in `source`, or, when `from` is negative, `-1 - from` in `decoded`. Elements: `from` is the place of their tag. */
  from = new Int32Array(CAPACITY_MIN)
  to = new Int32Array(CAPACITY_MIN)
  /** The attributes of node n are attributes[n]…attributes[n+1]-1 in the arrays below. */
  attributes = new Int32Array(CAPACITY_MIN)
  attributeName = new Int32Array(CAPACITY_MIN)
  attributeFrom = new Int32Array(CAPACITY_MIN)
  attributeTo = new Int32Array(CAPACITY_MIN)
  attributeCount = 0
  /** Texts that are not in `source` as they are, because of references. */
  readonly decoded: string[] = []

  constructor(names: Names) {
    this.names = names
  }

  start(source: string): void {
    this.source = source
    this.count = 0
    this.attributeCount = 0
    this.decoded.length = 0
    if (this.name.length > NODES_KEPT_MAX) this.#resizeNodes(CAPACITY_MIN)
    if (this.attributeName.length > NODES_KEPT_MAX) this.#resizeAttributes(CAPACITY_MIN)
  }

  /** One more node, without `end`. One place behind the last is always there, for `attributes`. */
  push(name: number, parent: number, from: number, to: number): number {
    const node = this.count
    if (node + 2 > this.name.length) this.#resizeNodes(this.name.length * 2)
    this.name[node] = name
    this.parent[node] = parent
    this.end[node] = node + 1
    this.from[node] = from
    this.to[node] = to
    this.attributes[node] = this.attributeCount
    this.attributes[node + 1] = this.attributeCount
    this.count = node + 1
    return node
  }

  /** One more attribute of the last node. */
  pushAttribute(name: number, from: number, to: number): void {
    const i = this.attributeCount
    if (i + 1 > this.attributeName.length) this.#resizeAttributes(this.attributeName.length * 2)
    this.attributeName[i] = name
    this.attributeFrom[i] = from
    this.attributeTo[i] = to
    this.attributeCount = i + 1
    this.attributes[this.count] = i + 1
  }

  /** A text kept beside the source; gives the `from` that stands for it. */
  keep(text: string): number {
    this.decoded.push(text)
    return -this.decoded.length
  }

  textOf(node: number): string {
    const from = this.from[node] as number
    return from < 0 ? (this.decoded[-1 - from] as string) : this.source.slice(from, this.to[node] as number)
  }

  attributeText(i: number): string {
    const from = this.attributeFrom[i] as number
    return from < 0 ? (this.decoded[-1 - from] as string) : this.source.slice(from, this.attributeTo[i] as number)
  }

  /** The string value of XPath: all text in the subtree. */
  stringValue(node: number): string {
    const end = this.end[node] as number
    const first = node + 1
    if (end === first) return (this.name[node] as number) >= 0 || node === 0 ? '' : this.textOf(node)
    if (end === node + 2) return (this.name[first] as number) < 0 ? this.textOf(first) : ''
    let text = ''
    for (let i = first; i < end; i += 1) if ((this.name[i] as number) < 0) text += this.textOf(i)
    return text
  }

  /** Index of the attribute in the attribute arrays, or -1. */
  attribute(node: number, name: number): number {
    const end = this.attributes[node + 1] as number
    for (let i = this.attributes[node] as number; i < end; i += 1) if (this.attributeName[i] === name) return i
    return -1
  }

  #resizeNodes(capacity: number): void {
    this.name = resized(this.name, capacity)
    this.parent = resized(this.parent, capacity)
    this.end = resized(this.end, capacity)
    this.from = resized(this.from, capacity)
    this.to = resized(this.to, capacity)
    this.attributes = resized(this.attributes, capacity)
  }

  #resizeAttributes(capacity: number): void {
    this.attributeName = resized(this.attributeName, capacity)
    this.attributeFrom = resized(this.attributeFrom, capacity)
    this.attributeTo = resized(this.attributeTo, capacity)
  }
}

function resized(array: Int32Array<ArrayBuffer>, capacity: number): Int32Array<ArrayBuffer> {
  const other = new Int32Array(capacity)
  other.set(array.subarray(0, Math.min(array.length, capacity)))
  return other
}
