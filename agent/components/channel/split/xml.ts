// Elements of a document as documents of their own, in the words of their source.
//
// The parser has found the document well-formed, so the ends of elements can be looked for in the text.

import { XML_DECLARATION, type XmlTree } from '../../xml/mod.ts'
import { elementEnd, tagOf } from '../xml-text.ts'

/** `uri` null: any namespace. `local` `*`: any name. */
export type Step = { readonly uri: string | null; readonly local: string }

export function stepsOf(path: string, namespaces: Readonly<Record<string, string>>): Step[] {
  return path
    .split('/')
    .slice(1)
    .map((step) => {
      const [prefix = '', local] = step.split(':')
      return local === undefined ? { uri: null, local: prefix } : { uri: namespaces[prefix] ?? '', local }
    })
}

/** The elements that the path leads to, in the order of the document. */
export function elementsAt(tree: XmlTree, steps: readonly Step[]): number[] {
  let here = [0]
  for (const step of steps) {
    const below: number[] = []
    for (const node of here) {
      const end = tree.end[node] as number
      for (let child = node + 1; child < end; child = tree.end[child] as number) {
        if (fits(tree, child, step)) below.push(child)
      }
    }
    here = below
  }
  return here
}

function fits({ name, names }: XmlTree, node: number, { uri, local }: Step): boolean {
  const id = name[node] as number
  if (id < 0) return false
  return (local === '*' || names.localPart[id] === local) && (uri === null || names.uri[id] === uri)
}

/** What stands around the elements of one parent: what goes before, between the name and the attributes, and behind. */
type Around = { readonly before: string; readonly declarations: ReadonlyMap<string, string>; readonly behind: string }

/** Gives the document of each element in turn. */
export class Extraction {
  readonly #tree: XmlTree
  readonly #ancestors: boolean
  readonly #around = new Map<number, Around>()

  constructor(tree: XmlTree, { ancestors }: { readonly ancestors: boolean }) {
    this.#tree = tree
    this.#ancestors = ancestors
  }

  documentOf(node: number): string {
    const { source } = this.#tree
    const from = this.#tree.from[node] as number
    const to = elementEnd(source, from)
    const { before, declarations, behind } = this.#aroundOf(this.#tree.parent[node] as number)
    if (declarations.size === 0) return `${XML_DECLARATION}${before}${source.slice(from, to)}${behind}`
    const tag = tagOf(source, from)
    let missing = ''
    for (const [name, value] of declarations) if (!tag.attributes.has(name)) missing += ` ${name}=${value}`
    return `${XML_DECLARATION}${before}${source.slice(from, tag.nameEnd)}${missing}${source.slice(tag.nameEnd, to)}${behind}`
  }

  #aroundOf(parent: number): Around {
    const known = this.#around.get(parent)
    if (known !== undefined) return known
    const made = this.#ancestors ? this.#kept(parent) : this.#declared(parent)
    this.#around.set(parent, made)
    return made
  }

  #kept(parent: number): Around {
    if (parent <= 0) return { before: '', declarations: new Map(), behind: '' }
    const { source } = this.#tree
    const outer = this.#aroundOf(this.#tree.parent[parent] as number)
    const from = this.#tree.from[parent] as number
    const tag = tagOf(source, from)
    const behind = `</${source.slice(from + 1, tag.nameEnd)}>${outer.behind}`
    return { before: outer.before + source.slice(from, tag.end), declarations: outer.declarations, behind }
  }

  #declared(parent: number): Around {
    if (parent <= 0) return { before: '', declarations: new Map(), behind: '' }
    const declarations = new Map(this.#aroundOf(this.#tree.parent[parent] as number).declarations)
    for (const [name, value] of tagOf(this.#tree.source, this.#tree.from[parent] as number).attributes) {
      if (name === 'xmlns' || name.startsWith('xmlns:')) declarations.set(name, value)
    }
    return { before: '', declarations, behind: '' }
  }
}
