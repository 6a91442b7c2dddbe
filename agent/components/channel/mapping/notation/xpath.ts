// Paths as XPath 1.0, with what their predicates say. Values are put into string(), so that comparisons are of single texts.

import { unreachable } from '#protocol/base/mod.ts'
import type { Condition, Expression, Name, NumberExpression, Path, Step } from '../ast.ts'
import { mappingFault } from '../faults.ts'

export class XPathWriter {
  readonly #name: (name: Name) => string

  constructor(name: (name: Name) => string) {
    this.#name = name
  }

  path({ absolute, up, steps, attribute }: Path): string {
    const parts = [...Array<string>(up).fill('..'), ...steps.map((step) => this.#step(step))]
    if (attribute !== null) parts.push(`@${this.#name(attribute)}`)
    if (absolute) return `/${parts.join('/')}`
    return parts.length === 0 ? '.' : parts.join('/')
  }

  #step({ name, where, position }: Step): string {
    const test = name === null ? '*' : this.#name(name)
    const filter = where === null ? '' : `[${this.#condition(where)}]`
    return `${test}${filter}${position === null ? '' : `[${position}]`}`
  }

  #condition(condition: Condition): string {
    switch (condition.kind) {
      case 'exists': {
        const path = this.path(condition.path)
        // A name behind `/`, be it `and`, would be a step.
        return path === '/' ? '/.' : path
      }
      case 'equals':
        return `${this.#compared(condition.left, condition.right)} = ${this.#text(condition.right)}`
      case 'contains':
        return `contains(${this.#text(condition.of)}, ${this.#text(condition.text)})`
      case 'startsWith':
        return `starts-with(${this.#text(condition.of)}, ${this.#text(condition.text)})`
      case 'compare':
        return `${this.#number(condition.left)} ${condition.operator} ${this.#number(condition.right)}`
      case 'not':
        return `not(${this.#condition(condition.of)})`
      case 'and':
      case 'or':
        if (condition.of.length === 0) return condition.kind === 'and' ? 'true()' : 'false()'
        return `(${condition.of.map((one) => this.#condition(one)).join(` ${condition.kind} `)})`
      default:
        return unreachable(condition)
    }
  }

  /** One attribute or node at a position, compared with a text that is not empty, needs no string(). */
  #compared(left: Expression, right: Expression): string {
    const isPlain = left.kind === 'value' && left.path.steps.every(({ position }) => position !== null)
    return isPlain && right.kind === 'literal' && right.value !== '' ? this.path(left.path) : this.#text(left)
  }

  #text(expression: Expression): string {
    switch (expression.kind) {
      case 'literal':
        return quoted(expression.value)
      case 'value':
        return `string(${this.path(expression.path)})`
      case 'concat': {
        const parts = expression.parts.map((part) => this.#text(part))
        return parts.length < 2 ? (parts[0] ?? "''") : `concat(${parts.join(', ')})`
      }
      case 'substring': {
        const { start, length } = expression
        return `substring(${this.#text(expression.of)}, ${start}${length === null ? '' : `, ${length}`})`
      }
      case 'before':
      case 'after':
        return `substring-${expression.kind}(${this.#text(expression.of)}, ${quoted(expression.mark)})`
      case 'translate':
        return `translate(${this.#text(expression.of)}, ${quoted(expression.from)}, ${quoted(expression.to)})`
      case 'normalize':
        return `normalize-space(${this.#text(expression.of)})`
      case 'trim':
        return `replace(${this.#text(expression.of)}, '^\\s+|\\s+$', '')`
      case 'if': {
        const when = this.#condition(expression.when)
        const [yes, no] = [this.#text(expression.value), this.#text(expression.otherwise)]
        return `concat(substring(${yes}, 1 div boolean(${when})), substring(${no}, 1 div not(${when})))`
      }
      case 'lookup':
        return noWords('a code table inside a predicate')
      case 'format':
        if (expression.number.kind === 'count' && expression.decimals === 0 && !expression.grouping)
          return `string(count(${this.path(expression.number.path)}))`
        return noWords('a formatted number inside a predicate')
      case 'position':
        return 'string(position())'
      default:
        return unreachable(expression)
    }
  }

  #number(expression: NumberExpression): string {
    switch (expression.kind) {
      case 'constant':
        return decimal(expression.value)
      case 'number':
        return `number(${this.#text(expression.of)})`
      case 'count':
        return `count(${this.path(expression.path)})`
      case 'sum':
        return noWords('a sum inside a predicate')
      case 'add':
      case 'subtract':
      case 'multiply':
      case 'divide':
        return `(${this.#number(expression.left)} ${OPERATORS[expression.kind]} ${this.#number(expression.right)})`
      default:
        return unreachable(expression)
    }
  }
}

const OPERATORS = { add: '+', subtract: '-', multiply: '*', divide: 'div' } as const

function decimal(value: number): string {
  const text = String(value)
  return text.includes('e') ? noWords(`the number ${text} inside a predicate`) : text
}

function quoted(text: string): string {
  if (!text.includes("'")) return `'${text}'`
  if (!text.includes('"')) return `"${text}"`
  return `concat(${text
    .split(/('+)/)
    .filter((part) => part !== '')
    .map((part) => (part.startsWith("'") ? `"${part}"` : `'${part}'`))
    .join(', ')})`
}

export function noWords(what: string): never {
  throw mappingFault('MAPPING_INVALID', { why: `the notation has no words for ${what}` })
}
