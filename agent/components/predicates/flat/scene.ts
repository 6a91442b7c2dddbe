// What compiled conditions share: the tree they look at, and whether one met what it cannot judge.

import type { Names, XmlTree } from '../../xml/mod.ts'

export class Scene {
  readonly names: Names
  tree: XmlTree
  /** Counts documents: what was found in an earlier one is not valid any more. */
  version = 0
  /** The general way must be taken for this condition and document. */
  unsure = false

  constructor(names: Names, tree: XmlTree) {
    this.names = names
    this.tree = tree
  }
}

/** Nodes of a path are numbers: of the tree's nodes, or, of paths that end at attributes, of its attributes. Both in document order. */
export type Found = (node: number) => boolean

/** Thrown while compiling: the condition is beyond the subset. */
export class Beyond extends Error {}

export function beyond(what: string): never {
  throw new Beyond(what)
}
