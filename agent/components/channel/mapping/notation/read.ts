// A mapping as it is written → AST. Everything that is only a short form ends here: `$default`, `$date`, `$upper`, `$optional`, `in`.
// Texts are XPath 1.0, as much of it as a mapping has.

import type { Json } from '#protocol/fields/mod.ts'
import { XML_URI } from '../../../xml/mod.ts'
import type {
  AttributeRule,
  CodeTable,
  Condition,
  ElementNode,
  Expression,
  Mapping,
  Name,
  Node,
  NumberExpression,
  Path,
  Sort,
} from '../ast.ts'
import { checkMapping } from '../check.ts'
import { mappingFault } from '../faults.ts'
import { NotInSubset } from '../xslt/subset.ts'
import { type Scope, XPathReader } from '../xslt/xpath.ts'
import { datePieces } from './dates.ts'
import type { WrittenMapping } from './fields.ts'
import { NotationError, unknownCondition, unknownKey } from './mistake.ts'

/** Throws MAPPING_INVALID. */
export function readMapping(written: WrittenMapping): Mapping {
  const mapping = new Reader(written).mapping()
  checkMapping(mapping)
  return mapping
}

type Entries = { readonly [key: string]: Json }

const EMPTY: Expression = { kind: 'literal', value: '' }
const LOWER = 'abcdefghijklmnopqrstuvwxyz'
const UPPER = LOWER.toUpperCase()

const isMap = (json: Json | undefined): json is { [key: string]: Json } =>
  typeof json === 'object' && json !== null && !Array.isArray(json)
const isEmpty = (left: Expression): Condition => ({ kind: 'equals', left, right: EMPTY })
const not = (of: Condition): Condition => ({ kind: 'not', of })

class Reader {
  readonly #written: WrittenMapping
  readonly #way: string[] = []
  readonly #scope: Scope

  constructor(written: WrittenMapping) {
    this.#written = written
    const variable = (): never => {
      throw new NotInSubset('a mapping has no variables')
    }
    this.#scope = { namespaces: written.namespaces ?? {}, backwards: true, variable }
  }

  mapping(): Mapping {
    const tables: Record<string, CodeTable> = {}
    for (const [name, codes] of Object.entries(this.#written.tables ?? {}))
      tables[name] = { entries: Object.entries(codes) }
    const { root } = this.#written
    if (!isMap(root) || Object.keys(root).length !== 1) return this.#fail('`root` has one key, the root element')
    const [name, content] = Object.entries(root)[0] as [string, Json]
    const nodes = this.#in(name, () => this.#named(name, content))
    const [element] = nodes
    if (nodes.length !== 1 || element?.kind !== 'element') {
      return this.#fail('the root element is there once, always: neither $forEach nor $when nor $optional')
    }
    return { tables, root: element }
  }

  // Content.

  /** What one key with an element's name stands for: the element, perhaps repeated or on a condition. */
  #named(name: string, content: Json): readonly Node[] {
    const settings = isMap(content) ? content : {}
    const element = this.#element(name, content)
    const { $when, $forEach, $sort, $optional } = settings
    let nodes: readonly Node[] = [element]
    if ($optional === true) {
      const [only] = element.children
      if (element.children.length !== 1 || only?.kind !== 'text') this.#fail('$optional is for elements with text only')
      else nodes = [chosen(not(isEmpty(only.value)), nodes)]
    } else if ($optional !== undefined && $optional !== false) this.#fail('$optional is true or false')
    if ($when !== undefined)
      nodes = [
        chosen(
          this.#in('$when', () => this.#condition($when)),
          nodes,
        ),
      ]
    if ($forEach !== undefined) nodes = [this.#forEach($forEach, $sort, nodes)]
    else if ($sort !== undefined) this.#fail('$sort needs $forEach')
    return nodes
  }

  #element(name: string, content: Json): ElementNode {
    const attributes: AttributeRule[] = []
    let children: readonly Node[] = []
    if (isMap(content)) {
      for (const [key, value] of Object.entries(content)) {
        if (key.startsWith('@')) attributes.push(this.#in(key, () => this.#attribute(key.slice(1), value)))
      }
      children = this.#content(content, ['$when', '$forEach', '$sort', '$optional'])
    } else children = this.#content(content, [])
    return { kind: 'element', name: this.#targetName(name, true), attributes, children }
  }

  #attribute(name: string, written: Json): AttributeRule {
    const settings = isMap(written) ? written : {}
    const { $when, $optional, ...rest } = settings
    const value = this.#expression(isMap(written) ? rest : written)
    const conditions: Condition[] = []
    if ($when !== undefined) conditions.push(this.#in('$when', () => this.#condition($when)))
    if ($optional === true) conditions.push(not(isEmpty(value)))
    else if ($optional !== undefined && $optional !== false) this.#fail('$optional is true or false')
    const [first] = conditions
    const when: Condition | null = conditions.length > 1 ? { kind: 'and', of: conditions } : (first ?? null)
    return { name: this.#targetName(name, false), value, when }
  }

  /** Children: elements, text, choices. `known` are keys that the caller sees to. */
  #content(content: Json, known: readonly string[]): readonly Node[] {
    if (content === null) return []
    if (Array.isArray(content)) return content.flatMap((one, i) => this.#in(String(i), () => this.#content(one, [])))
    if (!isMap(content)) return [{ kind: 'text', value: this.#expression(content) }]
    const nodes: Node[] = []
    const doing: Record<string, Json> = {}
    for (const [key, value] of Object.entries(content)) {
      if (key.startsWith('@') || known.includes(key)) {
        if (key.startsWith('@') && known.length === 0) this.#fail(`${key} stands in an element`)
      } else if (key === '$content') nodes.push(...this.#in(key, () => this.#content(value, [])))
      else if (key === '$choose') nodes.push(this.#in(key, () => this.#choose(value)))
      else if (key === '$stop') nodes.push({ kind: 'stop', message: this.#in(key, () => this.#expression(value)) })
      else if (key === '$each') nodes.push(this.#in(key, () => this.#each(value)))
      else if (isElementKey(key, content)) nodes.push(...this.#in(key, () => this.#named(key, value)))
      else doing[key] = value
    }
    if (Object.keys(doing).length > 0) nodes.push({ kind: 'text', value: this.#expression(doing) })
    return nodes
  }

  #choose(written: Json): Node {
    if (!Array.isArray(written))
      return this.#fail('$choose is a list of { when, then } and at the end perhaps { else }')
    const branches: { when: Condition; children: readonly Node[] }[] = []
    let otherwise: readonly Node[] = []
    for (const [i, branch] of written.entries()) {
      this.#in(String(i), () => {
        if (isMap(branch) && 'else' in branch && i === written.length - 1) {
          this.#only(branch, ['else'])
          otherwise = this.#content(branch.else as Json, [])
        } else if (isMap(branch) && 'when' in branch) {
          this.#only(branch, ['when', 'then'])
          const when = this.#in('when', () => this.#condition(branch.when as Json))
          branches.push({ when, children: this.#in('then', () => this.#content(branch.then ?? null, [])) })
        } else this.#fail('a branch has `when` and `then`; the last may have `else` alone')
      })
    }
    return { kind: 'choose', branches, otherwise }
  }

  #each(written: Json): Node {
    if (!isMap(written)) return this.#fail('$each has `of`, `sort` and `do`')
    this.#only(written, ['of', 'sort', 'do'])
    return this.#forEach(
      written.of ?? null,
      written.sort,
      this.#in('do', () => this.#content(written.do ?? null, [])),
    )
  }

  #forEach(path: Json, sort: Json | undefined, children: readonly Node[]): Node {
    const keys = sort === undefined ? [] : Array.isArray(sort) ? sort : [sort]
    const read = keys.map((key) => this.#in('$sort', () => this.#sort(key)))
    return { kind: 'forEach', path: this.#in('$forEach', () => this.#path(path)), sort: read, children }
  }

  #sort(written: Json): Sort {
    if (!isMap(written) || !('by' in written)) return { by: this.#expression(written), as: 'text', descending: false }
    this.#only(written, ['by', 'as', 'descending'])
    const { as = 'text', descending = false } = written
    if (as !== 'text' && as !== 'number') return this.#fail('`as` is text or number')
    if (typeof descending !== 'boolean') return this.#fail('`descending` is true or false')
    return { by: this.#expression(written.by as Json), as, descending }
  }

  // Expressions.

  #expression(written: Json): Expression {
    if (typeof written === 'string') return this.#xpath(written, (xpath) => xpath.text())
    if (!isMap(written))
      return this.#fail(`an XPath expression or a map with a $key must stand here, not ${JSON.stringify(written)}`)
    const operators = Object.keys(written).filter((key) => key.startsWith('$'))
    const [operator] = operators
    if (operator === undefined || operators.length > 1) return this.#fail('exactly one $key says what is done')
    return this.#in(operator, () => this.#operation(operator, written[operator] as Json, written))
  }

  #operation(operator: string, value: Json, all: Entries): Expression {
    const { start = 1, length = null, mark = null, from = null, to = null, decimals = 0, grouping = false } = all
    const takes = (...keys: string[]): void => this.#only(all, [operator, ...keys])
    switch (operator) {
      case '$text':
        takes()
        return { kind: 'literal', value: this.#literal(value) }
      case '$value':
        takes()
        return { kind: 'value', path: this.#path(value) }
      case '$concat':
        takes()
        if (!Array.isArray(value)) return this.#fail('a list must stand here')
        return { kind: 'concat', parts: value.map((part, i) => this.#in(String(i), () => this.#expression(part))) }
      case '$substring':
        takes('start', 'length')
        return {
          kind: 'substring',
          of: this.#expression(value),
          start: this.#whole(start, 'start'),
          length: length === null ? null : this.#whole(length, 'length'),
        }
      case '$before':
      case '$after':
        takes('mark')
        return {
          kind: operator === '$before' ? 'before' : 'after',
          of: this.#expression(value),
          mark: this.#literal(mark),
        }
      case '$translate':
        takes('from', 'to')
        return {
          kind: 'translate',
          of: this.#expression(value),
          from: this.#literal(from),
          to: this.#literal(to ?? ''),
        }
      case '$upper':
        takes()
        return { kind: 'translate', of: this.#expression(value), from: LOWER, to: UPPER }
      case '$lower':
        takes()
        return { kind: 'translate', of: this.#expression(value), from: UPPER, to: LOWER }
      case '$normalize':
        takes()
        return { kind: 'normalize', of: this.#expression(value) }
      case '$trim':
        takes()
        return { kind: 'trim', of: this.#expression(value) }
      case '$lookup':
        takes('key', 'otherwise')
        return {
          kind: 'lookup',
          table: this.#literal(value),
          key: this.#expression(all.key ?? null),
          otherwise: this.#otherwise(all),
        }
      case '$default': {
        takes('otherwise')
        const text = this.#expression(value)
        return { kind: 'if', when: isEmpty(text), value: this.#otherwise(all), otherwise: text }
      }
      case '$if':
        takes('then', 'else')
        return {
          kind: 'if',
          when: this.#condition(value),
          value: this.#in('then', () => this.#expression(all.then ?? null)),
          otherwise: all.else === undefined ? EMPTY : this.#in('else', () => this.#expression(all.else as Json)),
        }
      case '$format':
        takes('decimals', 'grouping')
        if (typeof grouping !== 'boolean') return this.#fail('`grouping` is true or false')
        return { kind: 'format', number: this.#number(value), decimals: this.#whole(decimals, 'decimals'), grouping }
      case '$count':
        takes()
        return { kind: 'format', number: this.#number(all as Json), decimals: 0, grouping: false }
      case '$sum':
        takes('decimals')
        return {
          kind: 'format',
          number: { kind: 'sum', path: this.#path(value) },
          decimals: this.#whole(decimals, 'decimals'),
          grouping: false,
        }
      case '$date':
        takes('from', 'to', 'otherwise')
        return this.#date(this.#expression(value), this.#literal(from), this.#literal(to), this.#otherwise(all))
      case '$position':
        takes()
        return { kind: 'position' }
      default:
        return this.#fail(unknownKey(operator))
    }
  }

  /** A text that is digits where the pattern has letters, and has its other characters: taken apart and put together. */
  #date(of: Expression, from: string, to: string, otherwise: Expression): Expression {
    const { mask, pieces } = this.#notation(() => datePieces(from, to))
    const digits: Expression = { kind: 'translate', of, from: '123456789', to: '000000000' }
    const parts = pieces.map((piece): Expression => {
      if (typeof piece === 'string') return { kind: 'literal', value: piece }
      return { kind: 'substring', of, start: piece.start, length: piece.length }
    })
    return {
      kind: 'if',
      when: { kind: 'equals', left: digits, right: { kind: 'literal', value: mask } },
      value: { kind: 'concat', parts },
      otherwise,
    }
  }

  #otherwise(all: Entries): Expression {
    const { otherwise } = all
    return otherwise === undefined ? EMPTY : this.#in('otherwise', () => this.#expression(otherwise))
  }

  #number(written: Json): NumberExpression {
    if (typeof written === 'number') return { kind: 'constant', value: written }
    if (typeof written === 'string') return this.#xpath(written, (xpath) => xpath.number())
    if (isMap(written)) {
      const keys = Object.keys(written)
      const operator = keys[0] as string
      const value = written[operator] as Json
      if (keys.length === 1) {
        switch (operator) {
          case '$count':
            return { kind: 'count', path: this.#path(value) }
          case '$sum':
            return { kind: 'sum', path: this.#path(value) }
          case '$add':
          case '$subtract':
          case '$multiply':
          case '$divide':
            return this.#in(operator, () => this.#arithmetic(operator.slice(1) as 'add', value))
        }
      }
    }
    return { kind: 'number', of: this.#expression(written) }
  }

  #arithmetic(kind: 'add' | 'subtract' | 'multiply' | 'divide', written: Json): NumberExpression {
    if (!Array.isArray(written) || written.length < 2)
      return this.#fail('a list of two or more numbers must stand here')
    const [first, ...others] = written.map((one) => this.#number(one))
    return others.reduce(
      (left, right): NumberExpression => ({ kind, left: left as NumberExpression, right }),
      first,
    ) as NumberExpression
  }

  // Conditions.

  #condition(written: Json): Condition {
    if (typeof written === 'string') return this.#xpath(written, (xpath) => xpath.condition())
    if (Array.isArray(written)) return { kind: 'and', of: written.map((one) => this.#condition(one)) }
    if (!isMap(written)) return this.#fail('an XPath condition or a map with one key must stand here')
    const entries = Object.entries(written)
    const [operator, value] = entries[0] ?? ['', null]
    if (entries.length !== 1) return this.#fail('a condition has one key; several conditions stand in `all` or `any`')
    return this.#in(operator, () => this.#judgement(operator, value))
  }

  #judgement(operator: string, value: Json): Condition {
    switch (operator) {
      case 'exists':
        return { kind: 'exists', path: this.#path(value) }
      case 'empty':
        return isEmpty(this.#expression(value))
      case 'equals':
      case 'differs': {
        const [left, right] = this.#two(value, (one) => this.#expression(one))
        const equals: Condition = { kind: 'equals', left, right }
        return operator === 'equals' ? equals : not(equals)
      }
      case 'in': {
        const [left, list] = Array.isArray(value) && value.length === 2 ? (value as [Json, Json]) : [null, null]
        if (!Array.isArray(list)) return this.#fail('an expression and a list of texts must stand here')
        const of = this.#expression(left)
        return {
          kind: 'or',
          of: list.map((one) => ({ kind: 'equals', left: of, right: { kind: 'literal', value: this.#literal(one) } })),
        }
      }
      case 'contains':
      case 'startsWith': {
        const [of, text] = this.#two(value, (one) => this.#expression(one))
        return { kind: operator, of, text }
      }
      case '=':
      case '<':
      case '<=':
      case '>':
      case '>=': {
        const [left, right] = this.#two(value, (one) => this.#number(one))
        return { kind: 'compare', operator, left, right }
      }
      case 'not':
        return not(this.#condition(value))
      case 'all':
      case 'any':
        if (!Array.isArray(value)) return this.#fail('a list of conditions must stand here')
        return { kind: operator === 'all' ? 'and' : 'or', of: value.map((one) => this.#condition(one)) }
      default:
        return this.#fail(unknownCondition(operator))
    }
  }

  #two<T>(written: Json, read: (one: Json) => T): [T, T] {
    if (!Array.isArray(written) || written.length !== 2) return this.#fail('a list of two must stand here')
    return [read(written[0] as Json), read(written[1] as Json)]
  }

  // Names and scalars.

  #path(written: Json): Path {
    if (typeof written !== 'string') return this.#fail('a path must stand here')
    return this.#xpath(written, (xpath) => xpath.path())
  }

  #literal(written: Json): string {
    if (typeof written === 'string') return written
    if (typeof written === 'number' || typeof written === 'boolean') return String(written)
    return this.#fail('a text must stand here')
  }

  #whole(written: Json, what: string): number {
    return typeof written === 'number' ? written : this.#fail(`\`${what}\` is a whole number`)
  }

  #targetName(written: string, isElement: boolean): Name {
    const colon = written.indexOf(':')
    const prefix = colon < 0 ? '' : written.slice(0, colon)
    const local = written.slice(colon + 1)
    if (prefix !== '') return { prefix, local, uri: this.#uriOf(prefix) }
    return { prefix, local, uri: isElement ? (this.#written.targetNamespace ?? '') : '' }
  }

  #uriOf(prefix: string): string {
    const { namespaces = {} } = this.#written
    if (Object.hasOwn(namespaces, prefix)) return namespaces[prefix] as string
    return prefix === 'xml' ? XML_URI : this.#fail(`prefix ${prefix} is not among the namespaces`)
  }

  // Places.

  #only(written: Entries, keys: readonly string[]): void {
    const other = Object.keys(written).find((key) => !keys.includes(key))
    if (other !== undefined) this.#fail(`there is no ${other} here; known are ${keys.join(', ')}`)
  }

  #xpath<T>(text: string, read: (xpath: XPathReader) => T): T {
    return this.#notation(() => read(new XPathReader(text, this.#scope)))
  }

  #notation<T>(read: () => T): T {
    try {
      return read()
    } catch (error) {
      if (error instanceof NotationError || error instanceof NotInSubset) return this.#fail(error.message)
      throw error
    }
  }

  #in<T>(step: string, action: () => T): T {
    this.#way.push(step)
    const done = action()
    this.#way.pop()
    return done
  }

  #fail(why: string): never {
    throw mappingFault('MAPPING_INVALID', { why, where: `mapping: root/${this.#way.join('/')}` })
  }
}

/** Keys without `$` beside a `$key` that is an expression are that expression's. */
function isElementKey(key: string, content: Entries): boolean {
  if (key.startsWith('$')) return false
  return !Object.keys(content).some((other) => other.startsWith('$') && !CONTENT_KEYS.has(other))
}

const CONTENT_KEYS: ReadonlySet<string> = new Set([
  '$when',
  '$forEach',
  '$sort',
  '$optional',
  '$content',
  '$choose',
  '$stop',
  '$each',
])

const chosen = (when: Condition, children: readonly Node[]): Node => ({
  kind: 'choose',
  branches: [{ when, children }],
  otherwise: [],
})
