// A mapping → a standard stylesheet: XSLT 1.0, which xsltproc and SaxonJS run alike, to what the compiled mapping gives.
//
// One exception: `trim` calls replace(), which XPath 2.0 brought. Where ast.ts and a processor would differ, the stylesheet is written
// round the difference: numbers are read by number(translate(…, 'eE+I', 'xxxx')), written by format-number() of a whole number.
// What XPath 1.0 cannot say in an expression (a choice, a table) is a variable before the instruction; in a predicate or a sort key,
// where none can be, it is said by arithmetic: substring(A, 1 div (condition)) is A or nothing.

import { unreachable } from '#protocol/base/mod.ts'
import { escapeText, escapeValue, isLocalName } from '../../../xml/mod.ts'
import type {
  AttributeRule,
  Condition,
  ElementNode,
  Expression,
  Mapping,
  Node,
  NumberExpression,
  Path,
  Step,
} from '../ast.ts'
import { checkMapping } from '../check.ts'
import { FORMATTED_MAX } from '../limits.ts'
import { quoted, StyleNames, written } from './names.ts'

/** What number() takes from XPath 2.0 on and does not in 1.0: exponents, `+`, INF. */
const NUMBER_GUARD = "'eE+I', 'xxxx'"
const FORMATTED = String(FORMATTED_MAX)
/** Not `\s`, which for SaxonJS is more than the white space of XML. */
export const WHITE_SPACE_ENDS = '^[ \t\n\r]+|[ \t\n\r]+$'
/** The collation of XPath 2.0 by code point. */
export const CODEPOINTS = 'http://www.w3.org/2005/xpath-functions/collation/codepoint'

/** Throws MAPPING_INVALID. */
export function generateXslt(mapping: Mapping): string {
  checkMapping(mapping)
  return new Generator(mapping).stylesheet()
}

/** Whether variables can be put before the instruction the expression is for. */
type Place = 'instruction' | 'predicate'

class Generator {
  readonly #mapping: Mapping
  readonly #names: StyleNames
  readonly #lines: string[] = []
  #indent = 0
  #variables = 0
  #formats = false
  /** Name of a table → name of its template. */
  readonly #tables = new Map<string, string>()
  readonly #x: string

  constructor(mapping: Mapping) {
    this.#mapping = mapping
    this.#names = new StyleNames(mapping.root)
    this.#x = this.#names.xsl
  }

  stylesheet(): string {
    const { root } = this.#mapping
    this.#open('template', { match: '/' }, () => this.#element(root))
    for (const [table, template] of this.#tables) this.#table(table, template)
    if (this.#formats) this.#formatTemplate()
    const x = this.#x
    // Which prefixes paths need is known only now.
    const head = [
      `<${x}:stylesheet version="1.0"`,
      ...this.#names
        .declarations()
        .map(([prefix, uri]) => `    xmlns${prefix === '' ? '' : `:${prefix}`}="${escapeValue(uri)}"`),
    ]
    const excluded = this.#names.excluded()
    if (excluded.length > 0) head.push(`    exclude-result-prefixes="${excluded.join(' ')}"`)
    const lines = [`  <${x}:output method="xml" encoding="UTF-8"/>`, ...this.#lines.map((line) => `  ${line}`)]
    return `<?xml version="1.0" encoding="UTF-8"?>\n${head.join('\n')}>\n${lines.join('\n')}\n</${x}:stylesheet>\n`
  }

  #line(text: string): void {
    this.#lines.push('  '.repeat(this.#indent) + text)
  }

  #tag(instruction: string, attributes: Readonly<Record<string, string>>): string {
    const texts = Object.entries(attributes).map(([name, value]) => ` ${name}="${escapeValue(value)}"`)
    return `<${this.#x}:${instruction}${texts.join('')}`
  }

  #open(instruction: string, attributes: Readonly<Record<string, string>>, content: () => void): void {
    this.#line(`${this.#tag(instruction, attributes)}>`)
    this.#indent += 1
    content()
    this.#indent -= 1
    this.#line(`</${this.#x}:${instruction}>`)
  }

  #empty(instruction: string, attributes: Readonly<Record<string, string>>): void {
    this.#line(`${this.#tag(instruction, attributes)}/>`)
  }

  #literal(text: string): void {
    // In an instruction of its own: white space alone would be stripped.
    if (text !== '') this.#line(`<${this.#x}:text>${escapeText(text)}</${this.#x}:text>`)
  }

  #nodes(nodes: readonly Node[]): void {
    for (const node of nodes) this.#node(node)
  }

  #node(node: Node): void {
    switch (node.kind) {
      case 'element':
        this.#element(node)
        break
      case 'text':
        this.#content(node.value)
        break
      case 'choose': {
        const tests = node.branches.map(({ when }) => this.#condition(when, 'instruction'))
        this.#choose(
          tests,
          (i) => this.#nodes(node.branches[i]?.children ?? []),
          node.otherwise.length === 0 ? null : () => this.#nodes(node.otherwise),
        )
        break
      }
      case 'forEach':
        this.#open('for-each', { select: this.#path(node.path) }, () => {
          for (const { by, as, descending } of node.sort) {
            // A text, never nodes: for XSLT 3.0 none is less than an empty text.
            const key = as === 'text' ? this.#text(by, 'predicate') : this.#string(by, 'predicate')
            this.#empty('sort', {
              select: as === 'number' ? `translate(${key}, ${NUMBER_GUARD})` : key,
              // Without collation SaxonJS sorts by language; libxslt does not know it, and goes by code point.
              ...(as === 'number' ? { 'data-type': 'number' } : { collation: CODEPOINTS }),
              ...(descending ? { order: 'descending' } : {}),
            })
          }
          this.#nodes(node.children)
        })
        break
      case 'stop':
        this.#open('message', { terminate: 'yes' }, () => this.#content(node.message))
        break
      default:
        unreachable(node)
    }
  }

  #choose(tests: readonly string[], then: (i: number) => void, otherwise: (() => void) | null): void {
    if (tests.length === 1 && otherwise === null) {
      this.#open('if', { test: tests[0] as string }, () => then(0))
      return
    }
    this.#open('choose', {}, () => {
      for (const [i, test] of tests.entries()) this.#open('when', { test }, () => then(i))
      if (otherwise !== null) this.#open('otherwise', {}, otherwise)
    })
  }

  #element({ name, attributes, children }: ElementNode): void {
    const fixed: string[] = []
    const later: AttributeRule[] = []
    for (const rule of attributes) {
      const value = rule.when === null ? this.#valueTemplate(rule.value) : null
      if (value === null) later.push(rule)
      else fixed.push(` ${written(rule.name)}="${escapeValue(value)}"`)
    }
    const tag = `<${written(name)}${fixed.join('')}`
    if (children.length === 0 && later.length === 0) {
      this.#line(`${tag}/>`)
      return
    }
    this.#line(`${tag}>`)
    this.#indent += 1
    for (const { name: attribute, value, when } of later) {
      const write = () => this.#open('attribute', { name: written(attribute) }, () => this.#content(value))
      if (when === null) write()
      else this.#choose([this.#condition(when, 'instruction')], write, null)
    }
    this.#nodes(children)
    this.#indent -= 1
    this.#line(`</${written(name)}>`)
  }

  /** As an attribute value template; `null`: it takes instructions. */
  #valueTemplate(expression: Expression): string | null {
    switch (expression.kind) {
      case 'literal':
        return expression.value.replaceAll(/[{}]/g, '$&$&')
      case 'concat': {
        const parts = expression.parts.map((part) => this.#valueTemplate(part))
        return parts.includes(null) ? null : parts.join('')
      }
      default:
        return needsInstructions(expression) ? null : `{${this.#string(expression, 'instruction')}}`
    }
  }

  /** The text as content. */
  #content(expression: Expression): void {
    switch (expression.kind) {
      case 'literal':
        this.#literal(expression.value)
        break
      case 'concat':
        for (const part of expression.parts) this.#content(part)
        break
      case 'if': {
        const { when, value, otherwise } = expression
        const rest = isEmpty(otherwise) ? null : () => this.#content(otherwise)
        this.#choose([this.#condition(when, 'instruction')], () => this.#content(value), rest)
        break
      }
      case 'lookup': {
        const { table, key, otherwise } = expression
        const select = this.#text(key, 'instruction')
        this.#open('call-template', { name: this.#tableTemplate(table) }, () => {
          this.#empty('with-param', { name: 'key', select })
          this.#open('with-param', { name: 'otherwise' }, () => this.#content(otherwise))
        })
        break
      }
      case 'format':
        if (isPlainCount(expression)) this.#empty('value-of', { select: this.#string(expression, 'instruction') })
        else {
          const { decimals, grouping } = expression
          this.#formats = true
          const select = this.#scaled(expression, 'instruction')
          this.#open('call-template', { name: 'format' }, () => {
            this.#empty('with-param', { name: 'scaled', select })
            this.#empty('with-param', { name: 'scale', select: String(10 ** decimals) })
            this.#empty('with-param', { name: 'picture', select: quoted(picture(decimals, grouping)) })
          })
        }
        break
      default:
        this.#empty('value-of', { select: this.#string(expression, 'instruction') })
    }
  }

  #tableTemplate(table: string): string {
    const known = this.#tables.get(table)
    if (known !== undefined) return known
    const name = isLocalName(table) ? `table-${table}` : `table-${this.#tables.size + 1}`
    const free = [...this.#tables.values()].includes(name) ? `${name}.${this.#tables.size + 1}` : name
    this.#tables.set(table, free)
    return free
  }

  #table(table: string, template: string): void {
    const { entries } = this.#mapping.tables[table] ?? { entries: [] }
    this.#line('')
    this.#open('template', { name: template }, () => {
      this.#empty('param', { name: 'key' })
      this.#empty('param', { name: 'otherwise' })
      const rest = () => this.#empty('value-of', { select: '$otherwise' })
      if (entries.length === 0) rest()
      else
        this.#choose(
          entries.map(([key]) => `$key = ${quoted(key)}`),
          (i) => this.#literal(entries[i]?.[1] ?? ''),
          rest,
        )
    })
  }

  /** What ast.ts calls `format`, of m. */
  #formatTemplate(): void {
    this.#line('')
    this.#open('template', { name: 'format' }, () => {
      for (const name of ['scaled', 'scale', 'picture']) this.#empty('param', { name })
      this.#choose(
        [`$scaled > -${FORMATTED} and $scaled < ${FORMATTED}`],
        () => this.#empty('value-of', { select: 'format-number($scaled div $scale, $picture)' }),
        () => this.#literal('NaN'),
      )
    })
  }

  // Expressions.

  /** For where XPath takes a string: of a path, the nodes, of which it takes the first. */
  #string(expression: Expression, place: Place): string {
    switch (expression.kind) {
      case 'literal':
        return quoted(expression.value)
      case 'value':
        return this.#path(expression.path)
      case 'concat': {
        const parts = expression.parts.map((part) => this.#string(part, place))
        if (parts.length === 0) return "''"
        return parts.length === 1 ? `string(${parts[0]})` : `concat(${parts.join(', ')})`
      }
      case 'substring': {
        const { start, length } = expression
        return `substring(${this.#string(expression.of, place)}, ${start}${length === null ? '' : `, ${length}`})`
      }
      case 'before':
      case 'after':
        return `substring-${expression.kind}(${this.#string(expression.of, place)}, ${quoted(expression.mark)})`
      case 'translate':
        return `translate(${this.#string(expression.of, place)}, ${quoted(expression.from)}, ${quoted(expression.to)})`
      case 'normalize':
        return `normalize-space(${this.#string(expression.of, place)})`
      case 'trim':
        return `replace(${this.#text(expression.of, place)}, '${WHITE_SPACE_ENDS}', '')`
      case 'position':
        return 'position()'
      case 'format':
        return isPlainCount(expression) ? this.#number(expression.number, place) : this.#formatted(expression, place)
      case 'if':
      case 'lookup':
        if (place === 'instruction') return this.#variable(expression)
        return expression.kind === 'if'
          ? this.#either(expression.when, expression.value, expression.otherwise)
          : this.#inTable(expression)
      default:
        return unreachable(expression)
    }
  }

  /** For comparisons: a text, never nodes. */
  #text(expression: Expression, place: Place): string {
    const string = this.#string(expression, place)
    return expression.kind === 'value' ||
      (expression.kind === 'format' && isPlainCount(expression)) ||
      expression.kind === 'position'
      ? `string(${string})`
      : string
  }

  #variable(expression: Expression): string {
    this.#variables += 1
    const name = `v${this.#variables}`
    this.#open('variable', { name }, () => this.#content(expression))
    return `$${name}`
  }

  #either(when: Condition, value: Expression, otherwise: Expression): string {
    const test = this.#condition(when, 'predicate')
    const [yes, no] = [value, otherwise].map((each) => this.#string(each, 'predicate'))
    return `concat(substring(${yes}, 1 div boolean(${test})), substring(${no}, 1 div not(${test})))`
  }

  #inTable({ table, key, otherwise }: Expression & { readonly kind: 'lookup' }): string {
    const { entries } = this.#mapping.tables[table] ?? { entries: [] }
    const text = this.#text(key, 'predicate')
    const rest = this.#string(otherwise, 'predicate')
    if (entries.length === 0) return `string(${rest})`
    const tests = entries.map(([each]) => `${text} = ${quoted(each)}`)
    const found = entries.map(([, value], i) => `substring(${quoted(value)}, 1 div boolean(${tests[i]}))`)
    return `concat(${found.join(', ')}, substring(${rest}, 1 div not(${tests.join(' or ')})))`
  }

  /** m of `format`. */
  #scaled({ number, decimals }: Expression & { readonly kind: 'format' }, place: Place): string {
    const value = this.#operand(number, place)
    return `floor(${decimals === 0 ? value : `${value} * ${10 ** decimals}`} + 0.5)`
  }

  #formatted(expression: Expression & { readonly kind: 'format' }, place: Place): string {
    if (place === 'instruction') return this.#variable(expression)
    const { decimals, grouping } = expression
    const m = this.#scaled(expression, place)
    const inRange = `${m} > -${FORMATTED} and ${m} < ${FORMATTED}`
    const digits = `format-number(${m} div ${10 ** decimals}, ${quoted(picture(decimals, grouping))})`
    return `concat(substring(${digits}, 1 div boolean(${inRange})), substring('NaN', 1 div not(${inRange})))`
  }

  #number(number: NumberExpression, place: Place): string {
    switch (number.kind) {
      case 'constant':
        return Object.is(number.value, -0) ? "number('-0')" : plainDecimal(number.value)
      case 'number':
        return `number(translate(${this.#string(number.of, place)}, ${NUMBER_GUARD}))`
      case 'count':
        return `count(${this.#path(number.path)})`
      case 'sum':
        return `sum(${this.#numbersOf(number.path)})`
      case 'add':
        return `${this.#operand(number.left, place)} + ${this.#operand(number.right, place)}`
      case 'subtract':
        return `${this.#operand(number.left, place)} - ${this.#operand(number.right, place)}`
      case 'multiply':
        return `${this.#operand(number.left, place)} * ${this.#operand(number.right, place)}`
      case 'divide':
        return `${this.#operand(number.left, place)} div ${this.#operand(number.right, place)}`
      default:
        return unreachable(number)
    }
  }

  #operand(number: NumberExpression, place: Place): string {
    const text = this.#number(number, place)
    return ['add', 'subtract', 'multiply', 'divide'].includes(number.kind) ? `(${text})` : text
  }

  /** In a place for a condition; nodes stand for their being there. */
  #condition(condition: Condition, place: Place): string {
    switch (condition.kind) {
      case 'exists': {
        const path = this.#path(condition.path)
        return path === '/' ? 'boolean(/)' : path
      }
      case 'equals':
        return `${this.#text(condition.left, place)} = ${this.#text(condition.right, place)}`
      case 'contains':
      case 'startsWith': {
        const name = condition.kind === 'contains' ? 'contains' : 'starts-with'
        return `${name}(${this.#string(condition.of, place)}, ${this.#string(condition.text, place)})`
      }
      case 'compare':
        return `${this.#operand(condition.left, place)} ${condition.operator} ${this.#operand(condition.right, place)}`
      case 'not':
        return `not(${this.#condition(condition.of, place)})`
      case 'and':
      case 'or': {
        const { kind, of } = condition
        if (of.length === 0) return kind === 'and' ? 'true()' : 'false()'
        if (of.length === 1) return this.#condition(of[0] as Condition, place)
        const parts = of.map((one) => {
          const text = this.#condition(one, place)
          return (one.kind === 'and' || one.kind === 'or') && one.of.length > 1 ? `(${text})` : text
        })
        return parts.join(` ${kind} `)
      }
      default:
        return unreachable(condition)
    }
  }

  // Paths.

  #path(path: Path): string {
    const { absolute, up, steps, attribute } = path
    const parts = [...Array<string>(up).fill('..'), ...steps.map((step) => this.#step(step))]
    if (attribute !== null) parts.push(this.#names.attribute(attribute))
    // libxml2 does not see that a path goes on where its first name begins beyond ASCII.
    if (absolute) return `/${/^[^\0-\x7f]/.test(parts[0] ?? '') ? 'child::' : ''}${parts.join('/')}`
    return parts.length === 0 ? '.' : parts.join('/')
  }

  #step({ name, where, position }: Step): string {
    const test = name === null ? '*' : this.#names.element(name)
    const filter = where === null ? '' : `[${this.#condition(where, 'predicate')}]`
    return `${test}${filter}${position === null ? '' : `[${position}]`}`
  }

  /** The nodes of the path that are numbers: sum() of any other is NaN. */
  #numbersOf(path: Path): string {
    const number = `number(translate(., ${NUMBER_GUARD}))`
    const text = this.#path(path)
    const nodes =
      text === '/' ? '/self::node()' : text === '.' ? 'self::node()' : text.replace(/(^|\/)\.\.$/, '$1parent::node()')
    return `${nodes}[${number} = ${number}]`
  }
}

/** The template `format`, as import.ts knows it again. */
export const FORMAT_SHAPE = `template(name=format)[param(name=scaled)[]param(name=scale)[]param(name=picture)[]choose()[when(test=$scaled > -${FORMATTED} and $scaled < ${FORMATTED})[value-of(select=format-number($scaled div $scale, $picture))[]]otherwise()[text()[NaN]]]]`

const isEmpty = (expression: Expression): boolean => expression.kind === 'literal' && expression.value === ''
/** count() is whole, and written as it is. */
const isPlainCount = ({ number, decimals, grouping }: Expression & { readonly kind: 'format' }): boolean =>
  number.kind === 'count' && decimals === 0 && !grouping

const picture = (decimals: number, grouping: boolean): string =>
  `${grouping ? '#,##0' : '0'}${decimals === 0 ? '' : `.${'0'.repeat(decimals)}`}`

/** Whether the text takes variables before the instruction. */
function needsInstructions(expression: Expression): boolean {
  switch (expression.kind) {
    case 'if':
    case 'lookup':
      return true
    case 'format':
      return !isPlainCount(expression)
    case 'concat':
      return expression.parts.some(needsInstructions)
    case 'literal':
    case 'value':
    case 'position':
      return false
    default:
      return needsInstructions(expression.of)
  }
}

/** Without an exponent, and still the same double. */
function plainDecimal(value: number): string {
  const [digits = '', exponent] = String(value).split('e')
  if (exponent === undefined) return digits
  const sign = digits.startsWith('-') ? '-' : ''
  const [whole = '', fraction = ''] = digits.replace('-', '').split('.')
  const point = whole.length + Number(exponent)
  const all = whole + fraction
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${all}`
  return point >= all.length ? sign + all.padEnd(point, '0') : `${sign}${all.slice(0, point)}.${all.slice(point)}`
}
