// Expressions of XPath 1.0 → those of a mapping, as far as a mapping has them. Throws NotInSubset for all else.
//
// A value is of one of XPath's four types. What XPath converts without being asked is converted here: nodes to the text of the first,
// texts to numbers, numbers and nodes to conditions. A comparison with nodes holds when it holds for one of them: a condition on
// the last step of their path. In a stylesheet of version 2.0 or 3.0 several nodes are several values, and texts become numbers by other
// rules: only what is sure to be one node, and no such number, passes.

import { unreachable } from '#protocol/base/mod.ts'
import {
  type Call,
  type Comparison,
  type Expr,
  parseXPath,
  XPathMistake,
  type Step as XPathStep,
} from '../../../predicates/xpath/mod.ts'
import { XML_URI } from '../../../xml/mod.ts'
import type { Condition, Expression, Name, NumberExpression, Path, Step } from '../ast.ts'
import { NotInSubset } from './subset.ts'
import {
  both,
  exists,
  firstOf,
  fixedText,
  formattedCall,
  guardedPath,
  here,
  isNumeric,
  isSingle,
  isTrim,
  literal,
  longName,
  negated,
  noNumber,
  not,
  number,
  pictureOf,
  positionOf,
  SELF,
  shiftedSelf,
  shiftedValue,
  turned,
  unguarded,
  type Value,
} from './values.ts'

type NameTest = { readonly prefix: string | null; readonly local: string }

export type Scope = {
  readonly namespaces: Readonly<Record<string, string>>
  /** XSLT 1.0, or what behaves like it. */
  readonly backwards: boolean
  /** Throws NotInSubset when there is none. The value is for the context at hand. */
  variable(name: string): Value
}

const FUNCTIONS = { 'format-number': [2, 2], replace: [3, 3], current: [0, 0] } as const

export class XPathReader {
  readonly #scope: Scope
  readonly #text: string

  constructor(text: string, scope: Scope) {
    this.#text = text
    this.#scope = scope
  }

  #parsed(): Expr {
    const prefixes = new Set(Object.keys(this.#scope.namespaces).filter((prefix) => prefix !== ''))
    try {
      return parseXPath(this.#text, prefixes, { variables: true, functions: FUNCTIONS })
    } catch (error) {
      if (error instanceof XPathMistake) throw new NotInSubset(`${this.#text}: ${error.message}`)
      throw error
    }
  }

  value(): Value {
    return this.#value(this.#parsed())
  }

  text(): Expression {
    return this.#asText(this.value())
  }

  condition(): Condition {
    return this.#asCondition(this.value())
  }

  number(): NumberExpression {
    return this.#number(this.#parsed())
  }

  path(): Path {
    const value = this.value()
    return value.type === 'nodes' ? value.path : this.#no('is no path')
  }

  /** A sort key for numbers: what number() and the guard of generated stylesheets are round. */
  numericKey(): Expression {
    const expr = this.#parsed()
    const inner =
      expr.kind === 'call' && expr.name === 'number' && expr.args.length === 1 ? (expr.args[0] as Expr) : expr
    return this.#asText(this.#value(unguarded(inner)))
  }

  /** floor(N * 10^decimals + 0.5), as generated stylesheets have it. */
  scaled(decimals: number): NumberExpression {
    return this.#scaled(this.#parsed(), decimals)
  }

  #no(why: string): never {
    throw new NotInSubset(`${this.#text} ${why}`)
  }

  // Values.

  #value(expr: Expr): Value {
    switch (expr.kind) {
      case 'string':
        return { type: 'text', text: literal(expr.value) }
      case 'number':
        return { type: 'number', number: { kind: 'constant', value: expr.value } }
      case 'negate':
        return { type: 'number', number: negated(this.#number(expr.operand)) }
      case 'arithmetic':
        return { type: 'number', number: this.#arithmetic(expr) }
      case 'or':
      case 'and':
        return {
          type: 'condition',
          condition: { kind: expr.kind, of: [this.#condition(expr.left), this.#condition(expr.right)] },
        }
      case 'compare':
        return { type: 'condition', condition: this.#compare(expr.op, expr.left, expr.right) }
      case 'path':
        return { type: 'nodes', path: this.#path(expr.absolute ? { ...SELF, absolute: true } : SELF, expr.steps) }
      case 'filter':
        return this.#filter(expr)
      case 'call':
        return this.#call(expr)
      default:
        return this.#no('joins nodes of several paths')
    }
  }

  #arithmetic({ op, left, right }: Expr & { readonly kind: 'arithmetic' }): NumberExpression {
    const kinds = { '+': 'add', '-': 'subtract', '*': 'multiply', div: 'divide' } as const
    if (op === 'mod') return this.#no('uses mod')
    return { kind: kinds[op], left: this.#number(left), right: this.#number(right) }
  }

  #filter({ primary, predicates, steps }: Expr & { readonly kind: 'filter' }): Value {
    const value = this.#value(primary)
    if (value.type !== 'nodes') return this.#no('has a step after what is no path')
    const [only] = predicates
    if (predicates.length === 1 && steps.length === 0 && only?.kind === 'number' && only.value === 1)
      return { type: 'text', text: { kind: 'value', path: value.path } }
    if (predicates.length > 0) return this.#no('chooses among the nodes of a path as a whole')
    return { type: 'nodes', path: this.#path(value.path, steps) }
  }

  #call(call: Call): Value {
    const { name, args } = call
    const text = (i = 0): Expression => (args[i] === undefined ? here : this.#textOf(args[i] as Expr))
    const asText = (made: Expression): Value => ({ type: 'text', text: made })
    const asNumber = (made: NumberExpression): Value => ({ type: 'number', number: made })
    const asCondition = (made: Condition): Value => ({ type: 'condition', condition: made })
    if (name.startsWith('$')) return this.#scope.variable(name.slice(1))
    switch (name) {
      case 'string':
        return asText(noNumber(text()))
      case 'concat':
        return asText(this.#formatted(call) ?? { kind: 'concat', parts: args.map((_arg, i) => text(i)) })
      case 'substring':
        return asText(this.#substring(args))
      case 'substring-before':
      case 'substring-after': {
        const mark = this.#fixed(args[1] as Expr)
        if (mark === '') return this.#no('has an empty mark')
        return asText({ kind: name === 'substring-before' ? 'before' : 'after', of: text(), mark })
      }
      case 'translate':
        return asText({
          kind: 'translate',
          of: text(),
          from: this.#fixed(args[1] as Expr),
          to: this.#fixed(args[2] as Expr),
        })
      case 'normalize-space':
        return asText({ kind: 'normalize', of: text() })
      case 'replace':
        if (!isTrim(args.slice(1).map((arg) => this.#fixed(arg))))
          return this.#no('uses replace() for more than white space at both ends')
        return asText({ kind: 'trim', of: text() })
      case 'format-number':
        return asText(this.#formatNumber(args))
      case 'position':
        return asText({ kind: 'position' })
      case 'number':
        return asNumber(args[0] === undefined ? this.#fromText(here) : this.#number(args[0]))
      case 'count':
        return asNumber({ kind: 'count', path: this.#nodes(args[0] as Expr) })
      case 'sum':
        return asNumber(this.#sum(args[0] as Expr))
      case 'true':
        return asCondition({ kind: 'and', of: [] })
      case 'false':
        return asCondition({ kind: 'or', of: [] })
      case 'not':
        return asCondition(not(this.#condition(args[0] as Expr)))
      case 'boolean':
        return asCondition(this.#condition(args[0] as Expr))
      case 'contains':
        return asCondition({ kind: 'contains', of: text(0), text: text(1) })
      case 'starts-with':
        return asCondition({ kind: 'startsWith', of: text(0), text: text(1) })
      default:
        return this.#no(`uses ${name}()`)
    }
  }

  #substring([of, start, length]: readonly Expr[]): Expression {
    // substring(A, 1 div (condition)): A, or nothing when the condition does not hold.
    if (start?.kind === 'arithmetic' && start.op === 'div' && length === undefined) {
      const { left, right } = start
      const chosen = left.kind === 'number' && left.value === 1 ? this.#value(right) : null
      if (chosen?.type === 'condition')
        return { kind: 'if', when: chosen.condition, value: this.#textOf(of as Expr), otherwise: literal('') }
    }
    const whole = (expr: Expr | undefined): number =>
      expr?.kind === 'number' ? expr.value : this.#no('has a part whose place is computed')
    const from = whole(start)
    if (!Number.isInteger(from) || from < 1) return this.#no('begins before the first character')
    return {
      kind: 'substring',
      of: this.#textOf(of as Expr),
      start: from,
      length: length === undefined ? null : whole(length),
    }
  }

  #sum(arg: Expr): NumberExpression {
    // With the guard of generated stylesheets only numbers are summed up.
    const guarded = guardedPath(arg)
    if (guarded !== null) return { kind: 'sum', path: this.#nodes(guarded) }
    const path = this.#nodes(arg)
    if (!this.#scope.backwards) return this.#no('sums up texts, which fails in XSLT 3.0 when one is no number')
    const isNumber: Condition = { kind: 'compare', operator: '=', left: number(here), right: number(here) }
    const other = this.#someOf(path, not(isNumber))
    const zero: Expression = { kind: 'if', when: other, value: literal('NaN'), otherwise: literal('0') }
    return { kind: 'add', left: { kind: 'sum', path }, right: number(zero) }
  }

  // Numbers as text.

  #formatted(call: Call): Expression | null {
    const found = formattedCall(call, this.#text)
    if (found === null) return null
    const { scaled, decimals, grouping } = found
    return { kind: 'format', number: this.#scaled(scaled, decimals), decimals, grouping }
  }

  #formatNumber([of, picture]: readonly Expr[]): Expression {
    const shape = picture?.kind === 'string' ? pictureOf(picture.value) : null
    if (shape === null || of === undefined) return this.#no('formats by a picture that is not like 0.00 or #,##0.00')
    const value = this.#value(of)
    // Other numbers are rounded half up in a mapping, half to even by format-number().
    if (value.type === 'number' && value.number.kind === 'count')
      return { kind: 'format', number: value.number, ...shape }
    return this.#no('rounds half to even; a mapping rounds by floor(x * 100 + 0.5) div 100')
  }

  #scaled(expr: Expr, decimals: number): NumberExpression {
    const [sum] = expr.kind === 'call' && expr.name === 'floor' ? expr.args : []
    if (sum?.kind === 'arithmetic' && sum.op === '+' && sum.right.kind === 'number' && sum.right.value === 0.5) {
      const { left } = sum
      if (decimals === 0) return this.#number(left)
      if (
        left.kind === 'arithmetic' &&
        left.op === '*' &&
        left.right.kind === 'number' &&
        left.right.value === 10 ** decimals
      )
        return this.#number(left.left)
    }
    return this.#no('is not rounded as a mapping rounds: floor(x * 100 + 0.5)')
  }

  // Conversions.

  #textOf(expr: Expr): Expression {
    return this.#asText(this.#value(expr))
  }

  #asText(value: Value): Expression {
    switch (value.type) {
      case 'text':
        return value.text
      case 'nodes':
        return this.#first(value.path)
      case 'condition':
        return { kind: 'if', when: value.condition, value: literal('true'), otherwise: literal('false') }
      default: {
        const { number: made } = value
        if (made.kind === 'count') return { kind: 'format', number: made, decimals: 0, grouping: false }
        if (made.kind === 'constant' && /^-?\d+(\.\d+)?$/.test(String(made.value))) return literal(String(made.value))
        return this.#no('is a number without a format')
      }
    }
  }

  #first(path: Path): Expression {
    if (!this.#scope.backwards && !isSingle(path))
      return this.#no('may be several nodes, which XSLT 3.0 takes all: choose one by [1]')
    return { kind: 'value', path }
  }

  #number(expr: Expr): NumberExpression {
    const value = this.#value(unguarded(expr))
    if (value.type === 'number') return value.number
    if (value.type === 'condition') {
      const { condition } = value
      return number({ kind: 'if', when: condition, value: literal('1'), otherwise: literal('0') })
    }
    const text = this.#asText(value)
    return unguarded(expr) === expr && text.kind !== 'position' ? this.#fromText(text) : number(text)
  }

  #fromText(text: Expression): NumberExpression {
    if (!this.#scope.backwards)
      return this.#no("makes a number of a text, which XSLT 3.0 does by other rules: translate(x, 'eE+I', 'xxxx')")
    return number(text)
  }

  #condition(expr: Expr): Condition {
    return this.#asCondition(this.#value(expr))
  }

  #asCondition(value: Value): Condition {
    switch (value.type) {
      case 'condition':
        return value.condition
      case 'nodes':
        return { kind: 'exists', path: value.path }
      case 'text':
        return not({ kind: 'equals', left: value.text, right: literal('') })
      case 'number': {
        const compared = (operator: '<' | '>'): Condition => {
          return { kind: 'compare', operator, left: value.number, right: { kind: 'constant', value: 0 } }
        }
        return { kind: 'or', of: [compared('<'), compared('>')] }
      }
      default:
        return unreachable(value)
    }
  }

  #fixed(expr: Expr): string {
    const value = this.#value(expr)
    const fixed = value.type === 'text' ? fixedText(value.text) : null
    return fixed ?? this.#no('has an argument that is not fixed')
  }

  #nodes(expr: Expr): Path {
    const value = this.#value(expr)
    return value.type === 'nodes' ? value.path : this.#no('is no path')
  }

  // Comparisons.

  #compare(op: Comparison, one: Expr, other: Expr): Condition {
    const left = this.#value(one)
    const right = this.#value(other)
    if (left.type === 'condition' || right.type === 'condition') return this.#no('compares conditions')
    if (left.type !== 'nodes' && right.type !== 'nodes') return this.#compareSingle(op, left, right)
    if (left.type === 'nodes' && right.type === 'nodes') {
      if (isSingle(right.path)) return both(exists(right.path), this.#compareNodes(op, left.path, firstOf(right.path)))
      if (isSingle(left.path))
        return both(exists(left.path), this.#compareNodes(turned(op), right.path, firstOf(left.path)))
      return this.#no('compares several nodes with several')
    }
    return left.type === 'nodes'
      ? this.#compareNodes(op, left.path, right)
      : this.#compareNodes(turned(op), (right as Value & { type: 'nodes' }).path, left)
  }

  #compareSingle(op: Comparison, left: Value, right: Value): Condition {
    if (op === '!=') return not(this.#compareSingle('=', left, right))
    if (op === '=' && left.type === 'text' && right.type === 'text' && !isNumeric(left) && !isNumeric(right))
      return { kind: 'equals', left: left.text, right: right.text }
    return { kind: 'compare', operator: op, left: this.#asNumber(left), right: this.#asNumber(right) }
  }

  #asNumber(value: Value): NumberExpression {
    if (value.type === 'number') return value.number
    const text = this.#asText(value)
    return isNumeric(value) ? number(text) : this.#fromText(text)
  }

  /** Some node of the path compares so with what is not nodes. */
  #compareNodes(op: Comparison, path: Path, value: Value): Condition {
    const node: Value = { type: 'text', text: here }
    if (isSingle(path)) {
      const test = this.#compareSingle(op, firstOf(path), value)
      const fixed = value.type === 'text' ? fixedText(value.text) : null
      return op === '=' && fixed !== null && fixed !== '' ? test : both(exists(path), test)
    }
    const { absolute, up, steps, attribute } = path
    const inner = { steps: absolute || up > 0 ? null : steps.length, fromDocument: false }
    if (attribute !== null) {
      const last = { ...SELF, attribute }
      const test = this.#compareSingle(
        op,
        { type: 'text', text: { kind: 'value', path: last } },
        shiftedValue(value, inner),
      )
      return this.#someOf({ ...path, attribute: null }, both(exists(last), test))
    }
    return this.#someOf(path, this.#compareSingle(op, node, shiftedValue(value, inner)))
  }

  /** Some node of the path is such. */
  #someOf(path: Path, test: Condition): Condition {
    const { steps, attribute } = path
    const last = steps.at(-1)
    if (attribute !== null) {
      const inner: Path = { ...SELF, attribute }
      if (steps.length === 0) return both(exists(path), shiftedSelf(test, path))
      return this.#someOf({ ...path, attribute: null }, both(exists(inner), shiftedSelf(test, inner)))
    }
    if (last === undefined) return both(exists(path), shiftedSelf(test, path))
    if (last.position !== null) return this.#no('compares the nodes at a position')
    const where = last.where === null ? test : both(last.where, test)
    return exists({ ...path, steps: [...steps.slice(0, -1), { ...last, where }] })
  }

  // Paths.

  #path(start: Path, steps: readonly XPathStep[]): Path {
    let path = start
    for (const step of steps) path = this.#step(path, step)
    return path
  }

  #step(path: Path, { axis, test, predicates }: XPathStep): Path {
    if (path.attribute !== null) return this.#no('goes on behind an attribute')
    switch (axis) {
      case 'self':
        if (test.kind === 'node' && predicates.length === 0) return path
        return this.#no('tests the node itself')
      case 'parent':
        if (test.kind !== 'node' || predicates.length > 0 || path.steps.length > 0 || path.absolute)
          return this.#no('goes up after it went down')
        return { ...path, up: path.up + 1 }
      case 'child':
        if (test.kind !== 'name') return this.#no(`takes ${test.kind}() nodes`)
        return { ...path, steps: [...path.steps, this.#childStep(this.#nameTest(test, false), predicates)] }
      case 'attribute': {
        const [long] = predicates
        if (test.kind === 'name' && test.local === '*' && predicates.length === 1) {
          const name = longName(long as Expr, this.#scope.namespaces)
          if (name !== null) return { ...path, attribute: name }
        }
        const name = test.kind === 'name' ? this.#nameTest(test, true) : null
        if (name === null || predicates.length > 0) return this.#no('takes attributes by more than a name')
        return { ...path, attribute: name }
      }
      default:
        return this.#no(`goes along the axis ${axis === 'descendant-or-self' ? '//' : axis}`)
    }
  }

  #childStep(name: Name | null, predicates: readonly Expr[]): Step {
    let step: Step = { name, where: null, position: null }
    for (const [i, predicate] of predicates.entries()) {
      const long = i === 0 && name === null ? longName(predicate, this.#scope.namespaces) : null
      if (long !== null) step = { ...step, name: long }
      else if (step.position !== null) return this.#no('has a condition after a position')
      else {
        const position = positionOf(predicate)
        if (position !== null) step = { ...step, position }
        else {
          const value = this.#value(predicate)
          if (value.type === 'number' || isNumeric(value)) return this.#no('has a position that is computed')
          const where = this.#asCondition(value)
          step = { ...step, where: step.where === null ? where : both(step.where, where) }
        }
      }
    }
    return step
  }

  #nameTest({ prefix, local }: NameTest, attribute: boolean): Name | null {
    if (local === '*') return prefix === null && !attribute ? null : this.#no('takes all names of a namespace')
    if (prefix === null) return { prefix: '', local, uri: '' }
    const uri = prefix === 'xml' ? XML_URI : this.#scope.namespaces[prefix]
    return uri === undefined ? this.#no(`has a prefix ${prefix} without a namespace`) : { prefix, local, uri }
  }
}
