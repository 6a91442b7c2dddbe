// A mapping → a function from tree to document, made once of closures. Names and texts of a mapping are data throughout.

import { unreachable } from '#protocol/base/mod.ts'
import { escapeText, escapeValue, Names, TEXT, XML_DECLARATION, XML_URI, type XmlTree } from '../../xml/mod.ts'
import type {
  AttributeRule,
  ChooseNode,
  ElementNode,
  ForEachNode,
  Mapping,
  Name,
  Node,
  Path,
  Sort,
  TextNode,
} from './ast.ts'
import { checkMapping } from './check.ts'
import { Expressions } from './expressions.ts'
import { mappingFault } from './faults.ts'
import { collect, collecting, itself } from './paths.ts'
import { Run, type Text, type Write } from './run.ts'
import { compareNumbers, compareText, numberOf } from './text.ts'

export type CompiledMapping = {
  /** Documents must be parsed with these names. */
  readonly names: Names
  /** The target document, with XML declaration. Faults: MAPPING_STOPPED, MAPPING_TOO_LONG. */
  map(tree: XmlTree): string
}

/** Throws MAPPING_INVALID. */
export function compileMapping(mapping: Mapping): CompiledMapping {
  checkMapping(mapping)
  const names = new Names()
  const write = new Compiler(mapping, names).root()
  return {
    names,
    map(tree) {
      const run = new Run(tree)
      run.out = XML_DECLARATION
      write(run, 0)
      return run.out
    },
  }
}

class Compiler {
  readonly #mapping: Mapping
  readonly #expressions: Expressions

  constructor(mapping: Mapping, names: Names) {
    this.#mapping = mapping
    this.#expressions = new Expressions(names, mapping.tables)
  }

  root(): Write {
    const { root } = this.#mapping
    return this.#element(root, namespacesOf(root))
  }

  #nodes(nodes: readonly Node[]): Write {
    return sequence(nodes.map((node) => this.#node(node)))
  }

  #node(node: Node): Write {
    switch (node.kind) {
      case 'element':
        return this.#element(node, '')
      case 'text':
        return this.#text(node)
      case 'choose':
        return this.#choose(node)
      case 'forEach':
        return this.#forEach(node)
      case 'stop': {
        const message = this.#expressions.text(node.message)
        return (run, at) => {
          throw mappingFault('MAPPING_STOPPED', { why: message(run, at) })
        }
      }
      default:
        return unreachable(node)
    }
  }

  #element({ name, attributes, children }: ElementNode, declarations: string): Write {
    const qualified = written(name)
    const close = `</${qualified}>`
    const begin = `<${qualified}${declarations}`
    const [only] = children
    if (attributes.length === 0 && children.length === 1 && only?.kind === 'text') {
      return leaf(begin, close, this.#escaped(only))
    }
    const tag = this.#startTag(begin, attributes)
    if (children.length === 0) {
      return (run, node) => {
        tag(run, node)
        run.out += '/>'
      }
    }
    const content = this.#nodes(children)
    return (run, node) => {
      tag(run, node)
      const opened = run.out
      run.out = `${opened}>`
      const { length } = run.out
      content(run, node)
      run.out = run.out.length === length ? `${opened}/>` : run.out + close
    }
  }

  #startTag(begin: string, attributes: readonly AttributeRule[]): Write {
    const rules = attributes.map(({ name, value, when }) => {
      const text = this.#expressions.text(value)
      const test = when === null ? null : this.#expressions.test(when)
      return { before: ` ${written(name)}="`, text, test }
    })
    return (run, node) => {
      let tag = begin
      for (const { before, text, test } of rules) {
        if (test === null || test(run, node)) tag += `${before}${escapeValue(text(run, node))}"`
      }
      run.out += tag
    }
  }

  #text(node: TextNode): Write {
    const text = this.#escaped(node)
    return (run, at) => {
      run.out += text(run, at)
    }
  }

  /** The text, ready to be written. What stands in the source as one piece without `>` goes there as it is. */
  #escaped({ value }: TextNode): Text {
    if (value.kind === 'literal') {
      const text = escapeText(value.value)
      return () => text
    }
    if (value.kind === 'value' && value.path.attribute === null) return this.#plainValue(value.path)
    const text = this.#expressions.text(value)
    return (run, node) => escapeText(text(run, node))
  }

  #plainValue(path: Path): Text {
    const find = this.#expressions.path(path, itself)
    return (run, node) => {
      const at = find(run, node)
      if (at < 0) return ''
      const { tree } = run
      const first = at + 1
      if (tree.end[at] === first + 1 && tree.name[first] === TEXT) {
        return tree.source.slice(tree.from[first], tree.to[first])
      }
      return escapeText(run.textOf(at))
    }
  }

  #choose({ branches, otherwise }: ChooseNode): Write {
    const compiled = branches.map(({ when, children }) => ({
      test: this.#expressions.test(when),
      write: this.#nodes(children),
    }))
    const rest = this.#nodes(otherwise)
    return (run, node) => {
      for (const { test, write } of compiled) if (test(run, node)) return write(run, node)
      return rest(run, node)
    }
  }

  #forEach({ path, sort, children }: ForEachNode): Write {
    const find = this.#expressions.path(path, collecting)
    const content = this.#nodes(children)
    const order = sort.length === 0 ? null : this.#order(sort)
    return (run, node) => {
      const nodes = collect(run, find, node)
      const ordered = order === null ? nodes : order(run, nodes)
      const outer = run.position
      for (let i = 0; i < ordered.length; i += 1) {
        run.position = i + 1
        content(run, ordered[i] as number)
        run.checkSize()
      }
      run.position = outer
    }
  }

  #order(sort: readonly Sort[]): (run: Run, nodes: readonly number[]) => readonly number[] {
    const keys = sort.map(({ by, as, descending }) => {
      const text = this.#expressions.text(by)
      const sign = descending ? -1 : 1
      return { text, sign, numeric: as === 'number' }
    })
    return (run, nodes) => {
      const columns = keys.map(({ text, sign, numeric }) => {
        const texts = nodes.map((node) => text(run, node))
        if (!numeric) return (a: number, b: number) => sign * compareText(texts[a] as string, texts[b] as string)
        const numbers = texts.map(numberOf)
        return (a: number, b: number) => sign * compareNumbers(numbers[a] as number, numbers[b] as number)
      })
      const places = nodes.map((_node, i) => i)
      // Array.sort is stable.
      places.sort((a, b) => {
        for (const column of columns) {
          const difference = column(a, b)
          if (difference !== 0) return difference
        }
        return 0
      })
      return places.map((place) => nodes[place] as number)
    }
  }
}

function leaf(begin: string, close: string, text: Text): Write {
  const open = `${begin}>`
  const empty = `${begin}/>`
  return (run, node) => {
    const value = text(run, node)
    run.out += value === '' ? empty : open + value + close
  }
}

function sequence(writes: readonly Write[]): Write {
  if (writes.length === 1) return writes[0] as Write
  return (run, node) => {
    for (let i = 0; i < writes.length; i += 1) (writes[i] as Write)(run, node)
  }
}

const written = ({ prefix, local }: Name): string => (prefix === '' ? local : `${prefix}:${local}`)

/** Declarations of what target names are in, by prefix. */
export function targetNamespaces(root: ElementNode): readonly (readonly [prefix: string, uri: string])[] {
  const found = new Map<string, string>()
  const add = ({ prefix, uri }: Name): void => {
    if (uri !== '' && uri !== XML_URI) found.set(prefix, uri)
  }
  const visit = (node: Node): void => {
    switch (node.kind) {
      case 'element':
        add(node.name)
        for (const { name } of node.attributes) add(name)
        node.children.forEach(visit)
        break
      case 'choose':
        for (const { children } of node.branches) children.forEach(visit)
        node.otherwise.forEach(visit)
        break
      case 'forEach':
        node.children.forEach(visit)
        break
    }
  }
  visit(root)
  return [...found].sort(([a], [b]) => compareText(a, b))
}

function namespacesOf(root: ElementNode): string {
  return targetNamespaces(root)
    .map(([prefix, uri]) => ` xmlns${prefix === '' ? '' : `:${prefix}`}="${escapeValue(uri)}"`)
    .join('')
}
