// What a compiled mapping keeps while it works on one document, and the functions it is made of.

import type { XmlTree } from '../../xml/mod.ts'
import { mappingFault } from './faults.ts'
import { OUTPUT_CHARS_MAX, VISITS_MAX, VISITS_PER_NODE_MAX } from './limits.ts'

export class Run {
  readonly tree: XmlTree
  out = ''
  /** Place in the nearest `forEach`. */
  position = 1
  /** Collected by the leaves of paths. */
  found: number[] = []
  total = 0
  #visitsLeft: number

  constructor(tree: XmlTree) {
    this.tree = tree
    this.#visitsLeft = VISITS_MAX + VISITS_PER_NODE_MAX * tree.count
  }

  visited(nodes: number): void {
    this.#visitsLeft -= nodes
    if (this.#visitsLeft < 0) throw mappingFault('MAPPING_TOO_LONG', { why: 'too many nodes were looked at' })
  }

  /** The string value of an element or the document node. */
  textOf(node: number): string {
    const { tree } = this
    const nodes = (tree.end[node] as number) - node
    if (nodes > 2) this.visited(nodes)
    return tree.stringValue(node)
  }

  checkSize(): void {
    if (this.out.length > OUTPUT_CHARS_MAX) {
      throw mappingFault('MAPPING_TOO_LONG', { why: 'the result is too large', limitBytes: OUTPUT_CHARS_MAX })
    }
  }
}

/** Writes into `run.out`. */
export type Write = (run: Run, node: number) => void
export type Text = (run: Run, node: number) => string
export type Num = (run: Run, node: number) => number
export type Test = (run: Run, node: number) => boolean
/** A node, or an index of an attribute; -1 for none. */
export type Find = (run: Run, node: number) => number
