// Conditions in XPath 1.0 on the flat tree, as far as they are in its common subset.

import { Names, XML_URI, XmlParser, XmlTree } from '../../xml/mod.ts'
import type { Expr } from '../xpath/ast.ts'
import { compileFlat, SharedTexts } from './compile.ts'
import { Scene } from './scene.ts'

/** Compiles conditions that are to share one tree and what they find in it. Make it, compile all, then parse. */
export class FlatCompiler {
  readonly #names = new Names()
  readonly #parser = new XmlParser(this.#names)
  readonly #scene = new Scene(this.#names, new XmlTree(this.#names))
  readonly #shared = new SharedTexts()

  /** The tree is valid until the next call. */
  readonly parse = (text: string): XmlTree => {
    const tree = this.#parser.parse(text)
    this.#scene.tree = tree
    this.#scene.version += 1
    return tree
  }

  /** `null` when it is beyond the subset; the function gives `null` when it cannot judge the document. */
  compile(expr: Expr, namespaces: Readonly<Record<string, string>>): ((tree: XmlTree) => boolean | null) | null {
    const uriOf = (prefix: string): string => (prefix === 'xml' ? XML_URI : (namespaces[prefix] ?? ''))
    const scene = this.#scene
    const flat = compileFlat(expr, scene, this.#shared, uriOf)
    if (flat === null) return null
    return (tree) => {
      scene.tree = tree
      scene.unsure = false
      const truth = flat()
      return scene.unsure ? null : truth
    }
  }
}
