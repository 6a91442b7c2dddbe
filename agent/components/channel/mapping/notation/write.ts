// AST → a mapping as it is written: what read.ts makes the same of again, in what it gives. Readable where the mapping is plain.

import { unreachable } from '#protocol/base/mod.ts'
import type { Json } from '#protocol/fields/mod.ts'
import { XML_URI } from '../../../xml/mod.ts'
import type { Condition, ElementNode, Expression, Mapping, Name, Node, NumberExpression, Path, Sort } from '../ast.ts'
import type { WrittenMapping } from './fields.ts'
import { noWords, XPathWriter } from './xpath.ts'

/** Throws MAPPING_INVALID for what predicates cannot say in XPath 1.0: code tables and formats. */
export function writeMapping({ tables, root }: Mapping): WrittenMapping {
  const writer = new Writer(tables)
  const [name, content] = writer.element(root, {})
  const written: { -readonly [K in keyof WrittenMapping]: WrittenMapping[K] } = { root: { [name]: content } }
  if (writer.namespaces.size > 0) written.namespaces = Object.fromEntries(writer.namespaces)
  if (writer.targetNamespace !== '') written.targetNamespace = writer.targetNamespace
  if (Object.keys(tables).length > 0) {
    written.tables = Object.fromEntries(
      Object.entries(tables).map(([name, { entries }]) => {
        if (entries.some(([key]) => key === '__proto__')) noWords('the code __proto__')
        return [name, Object.fromEntries(entries.filter(([key]) => key !== ''))]
      }),
    )
  }
  return written
}

type Entries = { [key: string]: Json }

class Writer {
  readonly namespaces = new Map<string, string>()
  targetNamespace = ''
  readonly #tables: Mapping['tables']
  readonly #xpath = new XPathWriter((name) => this.#name(name))

  constructor(tables: Mapping['tables']) {
    this.#tables = tables
  }

  #name({ prefix, local, uri }: Name): string {
    if (prefix === '') return local
    if (uri !== XML_URI) {
      const known = this.namespaces.get(prefix)
      if (known !== undefined && known !== uri) noWords(`prefix ${prefix}, which stands for two namespaces`)
      this.namespaces.set(prefix, uri)
    }
    return `${prefix}:${local}`
  }

  /** Key and content; `settings` ($when, $forEach) come first in it. */
  element({ name, attributes, children }: ElementNode, settings: Entries): [string, Json] {
    if (name.prefix === '') this.targetNamespace = name.uri
    const entries: Entries = { ...settings }
    for (const attribute of attributes) {
      const value = this.#expression(attribute.value)
      entries[`@${this.#name(attribute.name)}`] =
        attribute.when === null
          ? value
          : {
              $when: this.#condition(attribute.when),
              ...(typeof value === 'string' ? inMap(value) : (value as Entries)),
            }
    }
    const key = this.#name(name)
    const content = this.#content(children)
    if (Object.keys(entries).length === 0) return [key, content]
    if (content === null) return [key, entries]
    // Keys of elements and of what is done do not mix.
    const plain = isMap(content) && Object.keys(content).every((each) => !each.startsWith('$'))
    return [key, plain ? { ...entries, ...content } : { ...entries, $content: content }]
  }

  /** A map where names are different, else a list. */
  #content(nodes: readonly Node[]): Json {
    const [only] = nodes
    if (only === undefined) return null
    const written = nodes.map((node) => this.#node(node))
    if (nodes.length === 1) return written[0] as Json
    const keys = written.flatMap((one) => (isMap(one) ? Object.keys(one) : ['']))
    const isPlain = keys.every((key) => key !== '' && !key.startsWith('$')) && new Set(keys).size === keys.length
    return isPlain ? Object.assign({}, ...written) : written
  }

  #node(node: Node): Json {
    switch (node.kind) {
      case 'element':
        return Object.fromEntries([this.element(node, {})])
      case 'text':
        return this.#expression(node.value)
      case 'choose':
        return this.#choose(node)
      case 'forEach': {
        const sort = node.sort.map((key) => this.#sort(key))
        const [only] = node.children
        if (node.children.length === 1 && only?.kind === 'element') {
          const settings = { $forEach: this.#path(node.path), ...(sort.length === 0 ? {} : { $sort: sort }) }
          return Object.fromEntries([this.element(only, settings)])
        }
        const inner = { do: this.#content(node.children) }
        return { $each: { of: this.#path(node.path), ...(sort.length === 0 ? {} : { sort }), ...inner } }
      }
      case 'stop':
        return { $stop: this.#expression(node.message) }
      default:
        return unreachable(node)
    }
  }

  #choose({ branches, otherwise }: Node & { readonly kind: 'choose' }): Json {
    const [first] = branches
    const [only] = first?.children ?? []
    if (branches.length === 1 && otherwise.length === 0 && first?.children.length === 1 && only?.kind === 'element') {
      return Object.fromEntries([this.element(only, { $when: this.#condition(first.when) })])
    }
    const written: Json[] = branches.map(({ when, children }) => ({
      when: this.#condition(when),
      // biome-ignore lint/suspicious/noThenProperty: the notation has this key.
      then: this.#content(children),
    }))
    if (otherwise.length > 0) written.push({ else: this.#content(otherwise) })
    return { $choose: written }
  }

  #sort({ by, as, descending }: Sort): Json {
    const key = this.#expression(by)
    return { by: key, ...(as === 'text' ? {} : { as }), ...(descending ? { descending } : {}) }
  }

  #path(path: Path): string {
    return this.#xpath.path(path)
  }

  #expression(expression: Expression): Json {
    switch (expression.kind) {
      case 'literal':
        return { $text: expression.value }
      case 'value':
        return this.#path(expression.path)
      case 'concat':
        return { $concat: expression.parts.map((part) => this.#expression(part)) }
      case 'substring': {
        const { start, length } = expression
        return { $substring: this.#expression(expression.of), start, ...(length === null ? {} : { length }) }
      }
      case 'before':
        return { $before: this.#expression(expression.of), mark: expression.mark }
      case 'after':
        return { $after: this.#expression(expression.of), mark: expression.mark }
      case 'translate':
        return { $translate: this.#expression(expression.of), from: expression.from, to: expression.to }
      case 'normalize':
        return { $normalize: this.#expression(expression.of) }
      case 'trim':
        return { $trim: this.#expression(expression.of) }
      case 'lookup':
        return this.#lookup(expression)
      case 'if': {
        const rest = isEmpty(expression.otherwise) ? {} : { else: this.#expression(expression.otherwise) }
        // biome-ignore lint/suspicious/noThenProperty: the notation has this key.
        return { $if: this.#condition(expression.when), then: this.#expression(expression.value), ...rest }
      }
      case 'format': {
        const { decimals, grouping } = expression
        const rest = { ...(decimals === 0 ? {} : { decimals }), ...(grouping ? { grouping } : {}) }
        return { $format: this.#number(expression.number), ...rest }
      }
      case 'position':
        return 'position()'
      default:
        return unreachable(expression)
    }
  }

  /** Tables are written as maps, which have no empty keys: what one becomes is said beside it. */
  #lookup({ table, key, otherwise }: Expression & { readonly kind: 'lookup' }): Json {
    const rest = isEmpty(otherwise) ? {} : { otherwise: this.#expression(otherwise) }
    const lookup: Json = { $lookup: table, key: this.#expression(key), ...rest }
    const empty = this.#tables[table]?.entries.find(([code]) => code === '')
    if (empty === undefined) return lookup
    // biome-ignore lint/suspicious/noThenProperty: the notation has this key.
    return { $if: { empty: this.#expression(key) }, then: { $text: empty[1] }, else: lookup }
  }

  #number(expression: NumberExpression): Json {
    switch (expression.kind) {
      case 'constant':
        return expression.value
      case 'number':
        return this.#expression(expression.of)
      case 'count':
        return { $count: this.#path(expression.path) }
      case 'sum':
        return { $sum: this.#path(expression.path) }
      case 'add':
      case 'subtract':
      case 'multiply':
      case 'divide':
        return { [`$${expression.kind}`]: [this.#number(expression.left), this.#number(expression.right)] }
      default:
        return unreachable(expression)
    }
  }

  #condition(condition: Condition): Json {
    switch (condition.kind) {
      case 'exists':
        return this.#path(condition.path)
      case 'equals':
        return { equals: [this.#expression(condition.left), this.#expression(condition.right)] }
      case 'contains':
      case 'startsWith':
        return { [condition.kind]: [this.#expression(condition.of), this.#expression(condition.text)] }
      case 'compare':
        return { [condition.operator]: [this.#number(condition.left), this.#number(condition.right)] }
      case 'not':
        return { not: this.#condition(condition.of) }
      case 'and':
        return { all: condition.of.map((one) => this.#condition(one)) }
      case 'or':
        return { any: condition.of.map((one) => this.#condition(one)) }
      default:
        return unreachable(condition)
    }
  }
}

const isMap = (json: Json): json is Entries => typeof json === 'object' && json !== null && !Array.isArray(json)
const isEmpty = (expression: Expression): boolean => expression.kind === 'literal' && expression.value === ''
/** A path or XPath text beside other keys. */
const inMap = (text: string): Entries => (text === 'position()' ? { $position: true } : { $value: text })
