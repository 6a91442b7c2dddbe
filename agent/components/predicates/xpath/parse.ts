// Parses XPath 1.0 (W3C Recommendation of 16 November 1999), and says what can be said without a document: functions that do not
// exist, prefixes without a namespace, variables (there are none).

import { EXPRESSION_DEPTH_MAX } from '../../limits.ts'
import type { Axis, Comparison, Expr, NodeTest, Step } from './ast.ts'
import { type Token, tokens, XPathMistake } from './lex.ts'

/** The core library: name → least and most arguments. */
const FUNCTIONS: Readonly<Record<string, readonly [number, number]>> = {
  last: [0, 0],
  position: [0, 0],
  count: [1, 1],
  id: [1, 1],
  'local-name': [0, 1],
  'namespace-uri': [0, 1],
  name: [0, 1],
  string: [0, 1],
  concat: [2, 1_000],
  'starts-with': [2, 2],
  contains: [2, 2],
  'substring-before': [2, 2],
  'substring-after': [2, 2],
  substring: [2, 3],
  'string-length': [0, 1],
  'normalize-space': [0, 1],
  translate: [3, 3],
  boolean: [1, 1],
  not: [1, 1],
  true: [0, 0],
  false: [0, 0],
  lang: [1, 1],
  number: [0, 1],
  sum: [1, 1],
  floor: [1, 1],
  ceiling: [1, 1],
  round: [1, 1],
}
const AXES: ReadonlySet<string> = new Set<Axis>([
  'ancestor',
  'ancestor-or-self',
  'attribute',
  'child',
  'descendant',
  'descendant-or-self',
  'following',
  'following-sibling',
  'namespace',
  'parent',
  'preceding',
  'preceding-sibling',
  'self',
])
const ANY_NODE: Step = { axis: 'descendant-or-self', test: { kind: 'node' }, predicates: [] }

/** What there is beside XPath 1.0's own, for expressions of stylesheets. */
export type Host = {
  /** A variable is then a call of `$name` without arguments. */
  readonly variables: boolean
  /** Name → least and most arguments. */
  readonly functions: Readonly<Record<string, readonly [number, number]>>
}
const NO_HOST: Host = { variables: false, functions: {} }

/** Throws `XPathMistake`. `prefixes` are those that have a namespace. */
export function parseXPath(text: string, prefixes: ReadonlySet<string>, host: Host = NO_HOST): Expr {
  const parser = new Parser(text, prefixes, host)
  return parser.whole()
}

class Parser {
  readonly #tokens: readonly Token[]
  readonly #prefixes: ReadonlySet<string>
  readonly #host: Host
  #next = 0
  #depth = 0

  constructor(text: string, prefixes: ReadonlySet<string>, host: Host) {
    this.#tokens = tokens(text)
    this.#prefixes = prefixes
    this.#host = host
  }

  whole(): Expr {
    const expr = this.#expr()
    if (this.#token.kind !== 'end') throw this.#unexpected()
    return expr
  }

  get #token(): Token {
    return this.#tokens[this.#next] as Token
  }

  #unexpected(): XPathMistake {
    const { kind, text, at } = this.#token
    return new XPathMistake(
      kind === 'end' ? 'the expression is not finished' : `unexpected ${JSON.stringify(text)}`,
      at,
    )
  }

  #take(kind: string): Token | null {
    const token = this.#token
    if (token.kind !== kind) return null
    this.#next += 1
    return token
  }

  #expect(kind: string): Token {
    const token = this.#take(kind)
    if (token === null) throw this.#unexpected()
    return token
  }

  #expr(): Expr {
    this.#depth += 1
    if (this.#depth > EXPRESSION_DEPTH_MAX)
      throw new XPathMistake(`it is nested deeper than ${EXPRESSION_DEPTH_MAX}`, this.#token.at)
    const expr = this.#or()
    this.#depth -= 1
    return expr
  }

  #or(): Expr {
    let left = this.#and()
    while (this.#take('or') !== null) left = { kind: 'or', left, right: this.#and() }
    return left
  }

  #and(): Expr {
    let left = this.#equality()
    while (this.#take('and') !== null) left = { kind: 'and', left, right: this.#equality() }
    return left
  }

  /** Equality binds less than order; both are left-associative. */
  #equality(): Expr {
    return this.#compare(['=', '!='], () => this.#compare(['<', '<=', '>', '>='], () => this.#sum()))
  }

  #compare(ops: readonly Comparison[], operand: () => Expr): Expr {
    let left = operand()
    for (;;) {
      const op = ops.find((each) => this.#take(each) !== null)
      if (op === undefined) return left
      left = { kind: 'compare', op, left, right: operand() }
    }
  }

  #sum(): Expr {
    let left = this.#product()
    for (;;) {
      const op = this.#take('+') ?? this.#take('-')
      if (op === null) return left
      left = { kind: 'arithmetic', op: op.text as '+' | '-', left, right: this.#product() }
    }
  }

  #product(): Expr {
    let left = this.#negated()
    for (;;) {
      const op = this.#take('multiply') ?? this.#take('div') ?? this.#take('mod')
      if (op === null) return left
      left = { kind: 'arithmetic', op: op.text as '*' | 'div' | 'mod', left, right: this.#negated() }
    }
  }

  #negated(): Expr {
    let minus = 0
    while (this.#take('-') !== null) minus += 1
    let expr = this.#union()
    // Twice makes a number of it; more make no difference.
    for (let i = 0; i < Math.min(minus, 2 - (minus % 2)); i += 1) expr = { kind: 'negate', operand: expr }
    return expr
  }

  #union(): Expr {
    let left = this.#path()
    while (this.#take('|') !== null) {
      const right = this.#path()
      for (const side of [left, right]) this.#checkNodes(side)
      left = { kind: 'union', left, right }
    }
    return left
  }

  #checkNodes(expr: Expr): void {
    const nodes =
      expr.kind === 'path' ||
      expr.kind === 'filter' ||
      expr.kind === 'union' ||
      (expr.kind === 'call' && (expr.name === 'id' || expr.name.startsWith('$')))
    if (!nodes) throw new XPathMistake('only paths give nodes', this.#token.at)
  }

  #path(): Expr {
    const { kind, at } = this.#token
    switch (kind) {
      case '(':
      case 'string':
      case 'number':
      case 'function':
        return this.#filter()
      case 'variable':
        if (!this.#host.variables) throw new XPathMistake('there are no variables here', at)
        return this.#filter()
      case '/':
        this.#next += 1
        return { kind: 'path', absolute: true, steps: this.#startsStep() ? this.#steps([]) : [], at }
      case '//':
        this.#next += 1
        return { kind: 'path', absolute: true, steps: this.#steps([ANY_NODE]), at }
      default:
        return { kind: 'path', absolute: false, steps: this.#steps([]), at }
    }
  }

  #filter(): Expr {
    const primary = this.#primary()
    const predicates = this.#predicates()
    const slashes = this.#take('/') ?? this.#take('//')
    if (predicates.length === 0 && slashes === null) return primary
    this.#checkNodes(primary)
    const steps = slashes === null ? [] : this.#steps(slashes.kind === '//' ? [ANY_NODE] : [])
    return { kind: 'filter', primary, predicates, steps }
  }

  #primary(): Expr {
    const token = this.#token
    this.#next += 1
    if (token.kind === 'string') return { kind: 'string', value: token.text }
    if (token.kind === 'number') return { kind: 'number', value: Number(token.text) }
    if (token.kind === '(') {
      const expr = this.#expr()
      this.#expect(')')
      return expr
    }
    if (token.kind === 'variable') return { kind: 'call', name: token.text, args: [], at: token.at, end: token.end }
    return this.#call(token)
  }

  #call({ text: name, at }: Token): Expr {
    const args: Expr[] = []
    this.#expect('(')
    while (this.#token.kind !== ')') {
      if (args.length > 0) this.#expect(',')
      args.push(this.#expr())
    }
    const { end } = this.#expect(')')
    const known = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS : this.#host.functions
    const arity = Object.hasOwn(known, name) ? known[name] : undefined
    if (arity === undefined) throw new XPathMistake(`XPath 1.0 has no function ${name}()`, at)
    if (args.length < arity[0] || args.length > arity[1]) {
      throw new XPathMistake(
        `${name}() takes ${arity[0] === arity[1] ? arity[0] : `${arity[0]} to ${arity[1]}`} arguments`,
        at,
      )
    }
    if (name === 'count' || name === 'sum') this.#checkNodes(args[0] as Expr)
    if (args.length === 1 && ['name', 'local-name', 'namespace-uri'].includes(name)) this.#checkNodes(args[0] as Expr)
    return { kind: 'call', name, args, at, end }
  }

  #startsStep(): boolean {
    return ['name', 'axis', 'node-type', '@', '.', '..'].includes(this.#token.kind)
  }

  #steps(before: readonly Step[]): readonly Step[] {
    const steps = [...before, this.#step()]
    for (;;) {
      const slashes = this.#take('/') ?? this.#take('//')
      if (slashes === null) return steps
      if (slashes.kind === '//') steps.push(ANY_NODE)
      steps.push(this.#step())
    }
  }

  #step(): Step {
    if (this.#take('.') !== null) return { axis: 'self', test: { kind: 'node' }, predicates: [] }
    if (this.#take('..') !== null) return { axis: 'parent', test: { kind: 'node' }, predicates: [] }
    const axis = this.#axis()
    const test = this.#nodeTest()
    return { axis, test, predicates: this.#predicates() }
  }

  #axis(): Axis {
    if (this.#take('@') !== null) return 'attribute'
    const token = this.#take('axis')
    if (token === null) return 'child'
    if (!AXES.has(token.text)) throw new XPathMistake(`there is no axis ${token.text}`, token.at)
    this.#expect('::')
    return token.text as Axis
  }

  #nodeTest(): NodeTest {
    const type = this.#take('node-type')
    if (type !== null) {
      this.#expect('(')
      const target = type.text === 'processing-instruction' ? this.#take('string') : null
      this.#expect(')')
      if (type.text === 'processing-instruction') return { kind: type.text, target: target?.text ?? null }
      return { kind: type.text as 'node' | 'text' | 'comment' }
    }
    const { text, at } = this.#expect('name')
    const colon = text.indexOf(':')
    if (colon < 0) return { kind: 'name', prefix: null, local: text }
    const prefix = text.slice(0, colon)
    if (prefix !== 'xml' && !this.#prefixes.has(prefix)) {
      throw new XPathMistake(`the prefix ${prefix} has no namespace in \`namespaces\``, at)
    }
    return { kind: 'name', prefix, local: text.slice(colon + 1) }
  }

  #predicates(): readonly Expr[] {
    const predicates: Expr[] = []
    while (this.#take('[') !== null) {
      predicates.push(this.#expr())
      this.#expect(']')
    }
    return predicates
  }
}
