// Whether a mapping is one: names, prefixes, tables, numbers, bounds. What passes compiles, and can be written as XSLT.

import { unreachable } from '#protocol/base/mod.ts'
import { checkXmlText, isLocalName, XML_URI, XMLNS_URI } from '../../xml/mod.ts'
import type { Condition, Expression, Mapping, Name, Node, NumberExpression, Path } from './ast.ts'
import { mappingFault } from './faults.ts'
import { DECIMALS_MAX, MAPPING_DEPTH_MAX, MAPPING_PARTS_MAX, TABLE_ENTRIES_MAX } from './limits.ts'

/** Throws MAPPING_INVALID with the way from the root in `where`. */
export function checkMapping(mapping: Mapping): void {
  new Checker(mapping).mapping()
}

class Checker {
  readonly #mapping: Mapping
  readonly #way: (string | number)[] = []
  readonly #uris = new Map<string, string>()
  #defaultUri: string | null = null
  #parts = 0

  constructor(mapping: Mapping) {
    this.#mapping = mapping
  }

  mapping(): void {
    let entries = 0
    for (const [name, table] of Object.entries(this.#mapping.tables)) {
      this.#in(`tables.${name}`, () => {
        const keys = new Set<string>()
        entries += table.entries.length
        if (entries > TABLE_ENTRIES_MAX) this.#fail(`more than ${TABLE_ENTRIES_MAX} entries in code tables`)
        for (const [key, value] of table.entries) {
          if (keys.has(key)) this.#fail(`key ${JSON.stringify(key)} is there twice`)
          keys.add(key)
          this.#text(key)
          this.#text(value)
        }
      })
    }
    this.#in('root', () => this.#node(this.#mapping.root))
  }

  #node(node: Node): void {
    this.#part()
    switch (node.kind) {
      case 'element':
        this.#element(node)
        break
      case 'text':
        this.#in('value', () => this.#expression(node.value, true))
        break
      case 'choose':
        if (node.branches.length === 0) this.#fail('a choice without branches')
        for (const [i, { when, children }] of node.branches.entries()) {
          this.#in(i, () => {
            this.#in('when', () => this.#condition(when, true))
            this.#nodes(children)
          })
        }
        this.#in('otherwise', () => this.#nodes(node.otherwise))
        break
      case 'forEach':
        this.#in('path', () => this.#path(node.path))
        if (node.path.attribute !== null) this.#fail('`forEach` over attributes: its path must end at an element')
        for (const { by } of node.sort) this.#in('sort', () => this.#expression(by, false))
        this.#nodes(node.children)
        break
      case 'stop':
        this.#in('message', () => this.#expression(node.message, true))
        break
      default:
        unreachable(node)
    }
  }

  #nodes(nodes: readonly Node[]): void {
    for (const [i, node] of nodes.entries()) this.#in(i, () => this.#node(node))
  }

  #element({ name, attributes, children }: Node & { readonly kind: 'element' }): void {
    this.#in(name.local, () => {
      this.#name(name)
      if (name.prefix === '') {
        if (this.#defaultUri !== null && this.#defaultUri !== name.uri) {
          this.#fail('elements without prefix are in more than one namespace')
        }
        this.#defaultUri = name.uri
      }
      const seen = new Set<string>()
      for (const attribute of attributes) {
        this.#in(`@${attribute.name.local}`, () => {
          this.#part()
          this.#attributeName(attribute.name)
          const key = `${attribute.name.local} ${attribute.name.uri}`
          if (seen.has(key)) this.#fail('this attribute is there twice')
          seen.add(key)
          this.#expression(attribute.value, true)
          const { when } = attribute
          if (when !== null) this.#in('when', () => this.#condition(when, true))
        })
      }
      this.#nodes(children)
    })
  }

  #path({ absolute, up, steps, attribute }: Path): void {
    this.#part()
    if (!Number.isInteger(up) || up < 0 || up > MAPPING_DEPTH_MAX) this.#fail(`\`..\` ${up} times`)
    if (absolute && up > 0) this.#fail('an absolute path cannot begin with `..`')
    for (const { name, where, position } of steps) {
      this.#part()
      if (name !== null) this.#sourceName(name)
      if (position !== null && !(Number.isInteger(position) && position >= 1))
        this.#fail('a position is a whole number from 1')
      if (where !== null) this.#in('where', () => this.#condition(where, false))
    }
    if (attribute !== null) this.#sourceName(attribute)
  }

  #expression(expression: Expression, positioned: boolean): void {
    this.#part()
    switch (expression.kind) {
      case 'literal':
        this.#text(expression.value)
        break
      case 'value':
        this.#path(expression.path)
        break
      case 'concat':
        for (const part of expression.parts) this.#in('concat', () => this.#expression(part, positioned))
        return
      case 'substring': {
        const { start, length } = expression
        if (!(Number.isSafeInteger(start) && start >= 1)) this.#fail('`start` is a whole number from 1')
        if (length !== null && !(Number.isSafeInteger(length) && length >= 0)) this.#fail('`length` is a whole number')
        this.#in('substring', () => this.#expression(expression.of, positioned))
        break
      }
      case 'before':
      case 'after':
        if (expression.mark === '') this.#fail(`\`${expression.kind}\` needs a mark that is not empty`)
        this.#text(expression.mark)
        this.#in(expression.kind, () => this.#expression(expression.of, positioned))
        break
      case 'translate':
        this.#text(expression.from)
        this.#text(expression.to)
        this.#in('translate', () => this.#expression(expression.of, positioned))
        break
      case 'normalize':
      case 'trim':
        this.#in(expression.kind, () => this.#expression(expression.of, positioned))
        break
      case 'lookup':
        if (!Object.hasOwn(this.#mapping.tables, expression.table)) this.#fail(`there is no table ${expression.table}`)
        this.#in('lookup', () => this.#expression(expression.key, positioned))
        this.#in('otherwise', () => this.#expression(expression.otherwise, positioned))
        break
      case 'if':
        this.#in('when', () => this.#condition(expression.when, positioned))
        this.#in('value', () => this.#expression(expression.value, positioned))
        this.#in('otherwise', () => this.#expression(expression.otherwise, positioned))
        break
      case 'format': {
        const { decimals } = expression
        if (!Number.isInteger(decimals) || decimals < 0 || decimals > DECIMALS_MAX) {
          this.#fail(`\`decimals\` is a whole number from 0 to ${DECIMALS_MAX}`)
        }
        this.#in('format', () => this.#number(expression.number, positioned))
        break
      }
      case 'position':
        if (!positioned) this.#fail('`position` stands neither in a `where` nor in a `sort`')
        return
      default:
        unreachable(expression)
    }
  }

  #number(expression: NumberExpression, positioned: boolean): void {
    this.#part()
    switch (expression.kind) {
      case 'constant':
        if (!Number.isFinite(expression.value)) this.#fail('a constant is a finite number')
        return
      case 'number':
        this.#in('number', () => this.#expression(expression.of, positioned))
        break
      case 'count':
      case 'sum':
        this.#in(expression.kind, () => this.#path(expression.path))
        break
      case 'add':
      case 'subtract':
      case 'multiply':
      case 'divide':
        this.#in(expression.kind, () => this.#number(expression.left, positioned))
        this.#in(expression.kind, () => this.#number(expression.right, positioned))
        break
      default:
        unreachable(expression)
    }
  }

  #condition(condition: Condition, positioned: boolean): void {
    this.#part()
    switch (condition.kind) {
      case 'exists':
        this.#in('exists', () => this.#path(condition.path))
        break
      case 'equals':
        this.#in('equals', () => this.#expression(condition.left, positioned))
        this.#in('equals', () => this.#expression(condition.right, positioned))
        break
      case 'contains':
      case 'startsWith':
        this.#in(condition.kind, () => this.#expression(condition.of, positioned))
        this.#in(condition.kind, () => this.#expression(condition.text, positioned))
        break
      case 'compare':
        this.#in('compare', () => this.#number(condition.left, positioned))
        this.#in('compare', () => this.#number(condition.right, positioned))
        break
      case 'not':
        this.#in('not', () => this.#condition(condition.of, positioned))
        break
      case 'and':
      case 'or':
        for (const one of condition.of) this.#in(condition.kind, () => this.#condition(one, positioned))
        return
      default:
        unreachable(condition)
    }
  }

  // Names and texts.

  #name({ prefix, local, uri }: Name): void {
    if (!isLocalName(local)) this.#fail(`${JSON.stringify(local)} is no name`)
    if (uri === XMLNS_URI || prefix === 'xmlns') this.#fail('no name can be in the namespace of xmlns')
    if ((prefix === 'xml') !== (uri === XML_URI)) this.#fail('prefix xml and its namespace belong to each other alone')
    if (prefix === '') return
    if (!isLocalName(prefix)) this.#fail(`${JSON.stringify(prefix)} is no prefix`)
    if (uri === '') this.#fail(`prefix ${prefix} stands for no namespace`)
    this.#text(uri)
    const known = this.#uris.get(prefix)
    if (known !== undefined && known !== uri) this.#fail(`prefix ${prefix} stands for two namespaces`)
    this.#uris.set(prefix, uri)
  }

  #attributeName(name: Name): void {
    this.#name(name)
    if (name.prefix === '' && name.uri !== '') this.#fail('an attribute in a namespace needs a prefix')
    if (name.prefix === '' && name.local === 'xmlns') this.#fail('xmlns is no attribute')
  }

  #sourceName(name: Name): void {
    this.#name(name)
    if (name.prefix === '' && name.uri !== '') this.#fail('a name without prefix in a path is in no namespace')
  }

  #text(text: string): void {
    try {
      checkXmlText(text, 'mapping')
    } catch (cause) {
      this.#fail((cause as Error).message)
    }
  }

  // Bounds and places.

  #part(): void {
    this.#parts += 1
    if (this.#parts > MAPPING_PARTS_MAX) this.#fail(`more than ${MAPPING_PARTS_MAX} parts`)
  }

  #in(step: string | number, action: () => void): void {
    // Elements take two steps each.
    if (this.#way.length >= 3 * MAPPING_DEPTH_MAX) this.#fail(`more than ${MAPPING_DEPTH_MAX} levels`)
    this.#way.push(step)
    action()
    this.#way.pop()
  }

  #fail(why: string): never {
    throw mappingFault('MAPPING_INVALID', { why, where: `mapping: ${this.#way.join('/')}` })
  }
}
