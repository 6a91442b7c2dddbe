// Expressions and conditions, compiled to closures.

import { unreachable } from '#protocol/base/mod.ts'
import type { Names } from '../../xml/mod.ts'
import type { CodeTable, Condition, Expression, NumberExpression, Path } from './ast.ts'
import { collect, collecting, compilePath, counting, itself } from './paths.ts'
import type { Find, Num, Test, Text } from './run.ts'
import { after, before, format, normalize, numberOf, substring, translator, trim } from './text.ts'

export class Expressions {
  readonly #names: Names
  readonly #tables = new Map<string, ReadonlyMap<string, string>>()

  constructor(names: Names, tables: Readonly<Record<string, CodeTable>>) {
    this.#names = names
    for (const [name, { entries }] of Object.entries(tables)) this.#tables.set(name, new Map(entries))
  }

  path(path: Path, leaf: Find): Find {
    return compilePath(path, this.#names, (where) => this.test(where), leaf)
  }

  text(expression: Expression): Text {
    switch (expression.kind) {
      case 'literal': {
        const { value } = expression
        return () => value
      }
      case 'value':
        return this.#value(expression.path)
      case 'concat':
        return concat(expression.parts.map((part) => this.text(part)))
      case 'substring': {
        const { start, length } = expression
        const of = this.text(expression.of)
        return (run, node) => substring(of(run, node), start, length)
      }
      case 'before':
      case 'after': {
        const { mark } = expression
        const of = this.text(expression.of)
        const cut = expression.kind === 'before' ? before : after
        return (run, node) => cut(of(run, node), mark)
      }
      case 'translate':
        return applied(translator(expression.from, expression.to), this.text(expression.of))
      case 'normalize':
        return applied(normalize, this.text(expression.of))
      case 'trim':
        return applied(trim, this.text(expression.of))
      case 'lookup': {
        const table = this.#tables.get(expression.table) as ReadonlyMap<string, string>
        const key = this.text(expression.key)
        const otherwise = this.text(expression.otherwise)
        return (run, node) => table.get(key(run, node)) ?? otherwise(run, node)
      }
      case 'if':
        return this.#if(expression.when, expression.value, expression.otherwise)
      case 'format': {
        const { decimals, grouping } = expression
        const number = this.number(expression.number)
        return (run, node) => format(number(run, node), decimals, grouping)
      }
      case 'position':
        return (run) => String(run.position)
      default:
        return unreachable(expression)
    }
  }

  #value(path: Path): Text {
    const find = this.path(path, itself)
    if (path.attribute !== null) {
      return (run, node) => {
        const at = find(run, node)
        return at < 0 ? '' : run.tree.attributeText(at)
      }
    }
    return (run, node) => {
      const at = find(run, node)
      return at < 0 ? '' : run.textOf(at)
    }
  }

  /** A text with something in its stead when it is empty is made once. */
  #if(when: Condition, value: Expression, otherwise: Expression): Text {
    if (when.kind === 'equals' && when.left === otherwise && when.right.kind === 'literal' && when.right.value === '') {
      const text = this.text(otherwise)
      const instead = this.text(value)
      return (run, node) => text(run, node) || instead(run, node)
    }
    const test = this.test(when)
    const yes = this.text(value)
    const no = this.text(otherwise)
    return (run, node) => (test(run, node) ? yes(run, node) : no(run, node))
  }

  number(expression: NumberExpression): Num {
    switch (expression.kind) {
      case 'constant': {
        const { value } = expression
        return () => value
      }
      case 'number': {
        const of = this.text(expression.of)
        return (run, node) => numberOf(of(run, node))
      }
      case 'count': {
        const find = this.path(expression.path, counting)
        return (run, node) => {
          const outer = run.total
          run.total = 0
          find(run, node)
          const count = run.total
          run.total = outer
          return count
        }
      }
      case 'sum':
        return this.#sum(expression.path)
      case 'add':
      case 'subtract':
      case 'multiply':
      case 'divide':
        return arithmetic(expression.kind, this.number(expression.left), this.number(expression.right))
      default:
        return unreachable(expression)
    }
  }

  #sum(path: Path): Num {
    const find = this.path(path, collecting)
    const isAttribute = path.attribute !== null
    return (run, node) => {
      let sum = 0
      for (const at of collect(run, find, node)) {
        const number = numberOf(isAttribute ? run.tree.attributeText(at) : run.textOf(at))
        if (!Number.isNaN(number)) sum += number
      }
      return sum
    }
  }

  test(condition: Condition): Test {
    switch (condition.kind) {
      case 'exists': {
        const find = this.path(condition.path, itself)
        return (run, node) => find(run, node) >= 0
      }
      case 'equals': {
        const left = this.text(condition.left)
        const right = this.text(condition.right)
        return (run, node) => left(run, node) === right(run, node)
      }
      case 'contains': {
        const of = this.text(condition.of)
        const text = this.text(condition.text)
        return (run, node) => of(run, node).includes(text(run, node))
      }
      case 'startsWith': {
        const of = this.text(condition.of)
        const text = this.text(condition.text)
        return (run, node) => of(run, node).startsWith(text(run, node))
      }
      case 'compare':
        return comparison(condition.operator, this.number(condition.left), this.number(condition.right))
      case 'not': {
        const of = this.test(condition.of)
        return (run, node) => !of(run, node)
      }
      case 'and': {
        const tests = condition.of.map((one) => this.test(one))
        return (run, node) => tests.every((test) => test(run, node))
      }
      case 'or': {
        const tests = condition.of.map((one) => this.test(one))
        return (run, node) => tests.some((test) => test(run, node))
      }
      default:
        return unreachable(condition)
    }
  }
}

const applied =
  (change: (text: string) => string, of: Text): Text =>
  (run, node) =>
    change(of(run, node))

function concat(parts: readonly Text[]): Text {
  return (run, node) => {
    let text = ''
    for (const part of parts) text += part(run, node)
    return text
  }
}

function arithmetic(kind: 'add' | 'subtract' | 'multiply' | 'divide', left: Num, right: Num): Num {
  switch (kind) {
    case 'add':
      return (run, node) => left(run, node) + right(run, node)
    case 'subtract':
      return (run, node) => left(run, node) - right(run, node)
    case 'multiply':
      return (run, node) => left(run, node) * right(run, node)
    case 'divide':
      return (run, node) => left(run, node) / right(run, node)
    default:
      return unreachable(kind)
  }
}

function comparison(operator: '=' | '<' | '<=' | '>' | '>=', left: Num, right: Num): Test {
  switch (operator) {
    case '=':
      return (run, node) => left(run, node) === right(run, node)
    case '<':
      return (run, node) => left(run, node) < right(run, node)
    case '<=':
      return (run, node) => left(run, node) <= right(run, node)
    case '>':
      return (run, node) => left(run, node) > right(run, node)
    case '>=':
      return (run, node) => left(run, node) >= right(run, node)
    default:
      return unreachable(operator)
  }
}
