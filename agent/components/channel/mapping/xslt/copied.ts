// The namespaces that literal result elements copy from their scope: a mapping declares those of its names on the root, and no others.

import { XML_URI } from '../../../xml/mod.ts'
import type { ElementNode } from '../ast.ts'
import { targetNamespaces } from '../compile.ts'
import { at } from './located.ts'
import { NotInSubset } from './subset.ts'
import { type StyleElement, XSL } from './tree.ts'

export class CopiedNamespaces {
  readonly #stylesheet: StyleElement
  /** As JSON: the same for all elements. */
  #copied: string | null = null

  constructor(stylesheet: StyleElement) {
    this.#stylesheet = stylesheet
  }

  /** Throws NotInSubset when the element copies others than those before. */
  add(element: StyleElement): void {
    const excluded = new Set([XSL, XML_URI])
    for (const scope of [this.#stylesheet, element]) {
      const uri = scope.uri === XSL ? '' : XSL
      for (const attribute of scope.attributes) {
        if (attribute.uri !== uri || attribute.local !== 'exclude-result-prefixes') continue
        for (const prefix of attribute.value.split(/\s+/)) {
          if (prefix === '#all') for (const each of Object.values(scope.namespaces)) excluded.add(each)
          else excluded.add(scope.namespaces[prefix === '#default' ? '' : prefix] ?? '')
        }
      }
    }
    const copied = Object.entries(element.namespaces).filter(([, uri]) => uri !== '' && !excluded.has(uri))
    const text = JSON.stringify(copied.sort(([a], [b]) => (a < b ? -1 : 1)))
    if (this.#copied !== null && this.#copied !== text) no(element, 'its elements declare different namespaces')
    this.#copied = text
  }

  /** Throws NotInSubset when the result would declare others, or elsewhere. */
  check(root: ElementNode, main: StyleElement): void {
    const copied = new Map<string, string>(JSON.parse(this.#copied ?? '[]'))
    const wanted = new Map(targetNamespaces(root))
    for (const [prefix, uri] of copied) {
      if (wanted.get(prefix) === uri) continue
      const which = prefix === '' ? uri : prefix
      no(main, `the result declares the namespace ${which} that none of its names is in: see exclude-result-prefixes`)
    }
    for (const [prefix, uri] of wanted) {
      if (copied.get(prefix) === uri || (root.name.prefix === prefix && root.name.uri === uri)) continue
      no(main, `the result declares the namespace of ${prefix === '' ? uri : prefix} elsewhere than at its root`)
    }
  }
}

function no(element: StyleElement, why: string): never {
  throw at(new NotInSubset(why), element)
}
