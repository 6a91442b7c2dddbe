// The common part of XPath 1.0 as functions over the flat tree: child, descendant and attribute paths with conditions, comparisons,
// `and`, `or`, `not`, counting, strings and numbers. What is beyond it is left to libxml2; where the two could differ, so is the
// document (`Scene.unsure`). A property test shows that they agree.

import type { Call, Comparison, Expr, Path } from '../xpath/ast.ts'
import { calculated, cut, holds, kindOfCall, kindOfExpr, mirrored, overlap } from './operations.ts'
import { compilePath, kindOf, type PathContext } from './path.ts'
import { Beyond, beyond, type Scene } from './scene.ts'
import { lengthOf, normalizeSpace, numberOf, substring, translate } from './text.ts'

/** Functions of the context node. */
type Truth = (node: number) => boolean
type Text = (node: number) => string
type Numeric = (node: number) => number

export type Flat = () => boolean

/** `null` when the expression is beyond the subset. It is evaluated at the document node of `scene.tree`. */
export function compileFlat(
  expr: Expr,
  scene: Scene,
  shared: SharedTexts,
  uriOf: (prefix: string) => string,
): Flat | null {
  try {
    const truth = new Compiler(scene, shared, uriOf).truth(expr, true)
    return () => truth(0)
  } catch (error) {
    if (error instanceof Beyond) return null
    throw error
  }
}

/** Texts that paths give from the document node, found once per document for all conditions that compare with them. */
export class SharedTexts {
  readonly #known = new Map<string, () => ReadonlySet<string> | string>()

  of(key: string, make: () => () => ReadonlySet<string> | string): () => ReadonlySet<string> | string {
    let texts = this.#known.get(key)
    if (texts === undefined) {
      texts = make()
      this.#known.set(key, texts)
    }
    return texts
  }
}

class Compiler {
  readonly #scene: Scene
  readonly #shared: SharedTexts
  readonly #uriOf: (prefix: string) => string
  readonly #context: PathContext

  constructor(scene: Scene, shared: SharedTexts, uriOf: (prefix: string) => string) {
    this.#scene = scene
    this.#shared = shared
    this.#uriOf = uriOf
    this.#context = { scene, uriOf, predicate: (expr) => this.#predicate(expr) }
  }

  /** `top`: the context node is the document node. */
  truth(expr: Expr, top: boolean): Truth {
    switch (expr.kind) {
      case 'or': {
        const [left, right] = [this.truth(expr.left, top), this.truth(expr.right, top)]
        return (node) => left(node) || right(node)
      }
      case 'and': {
        const [left, right] = [this.truth(expr.left, top), this.truth(expr.right, top)]
        return (node) => left(node) && right(node)
      }
      case 'compare':
        return this.#comparison(expr.op, expr.left, expr.right, top)
      case 'path':
        return compilePath(expr, this.#context, () => true)
      case 'call':
        if (kindOfCall(expr) === 'boolean') return this.#booleanCall(expr, top)
        break
      default:
    }
    if (kindOfExpr(expr) === 'string') {
      const text = this.#text(expr)
      return (node) => text(node) !== ''
    }
    const number = this.#number(expr)
    return (node) => {
      const value = number(node)
      return value !== 0 && !Number.isNaN(value)
    }
  }

  #predicate(expr: Expr): Truth {
    // A number would be a position.
    if (kindOfExpr(expr) === 'number') beyond('positions')
    return this.truth(expr, false)
  }

  #booleanCall({ name, args }: Call, top: boolean): Truth {
    const [first, second] = args as [Expr, Expr]
    switch (name) {
      case 'true':
        return () => true
      case 'false':
        return () => false
      case 'not': {
        const truth = this.truth(first, top)
        return (node) => !truth(node)
      }
      case 'boolean':
        return this.truth(first, top)
      case 'contains': {
        const [text, part] = [this.#text(first), this.#text(second)]
        return (node) => text(node).includes(part(node))
      }
      case 'starts-with': {
        const [text, part] = [this.#text(first), this.#text(second)]
        return (node) => text(node).startsWith(part(node))
      }
      default:
        return beyond(name)
    }
  }

  #comparison(op: Comparison, left: Expr, right: Expr, top: boolean): Truth {
    const [a, b] = [kindOfExpr(left), kindOfExpr(right)]
    if (a === 'nodes' && b === 'nodes') return this.#compareNodes(op, asPath(left), asPath(right))
    // Beside a boolean nodes are one, and so is everything else when it is to be equal.
    const equality = op === '=' || op === '!='
    if ((a === 'boolean' || b === 'boolean') && (equality || a === 'nodes' || b === 'nodes')) {
      const [x, y] = [this.truth(left, top), this.truth(right, top)]
      return (node) => holds(op, Number(x(node)), Number(y(node)))
    }
    if (a === 'nodes') return this.#compareEach(op, asPath(left), right, top)
    if (b === 'nodes') return this.#compareEach(mirrored(op), asPath(right), left, top)
    if (equality && a === 'string' && b === 'string') {
      const [x, y] = [this.#text(left), this.#text(right)]
      return (node) => (x(node) === y(node)) === (op === '=')
    }
    const [x, y] = [this.#number(left), this.#number(right)]
    return (node) => holds(op, x(node), y(node))
  }

  /** Whether one of the nodes compares so with a text or a number. */
  #compareEach(op: Comparison, path: Path, other: Expr, top: boolean): Truth {
    const textual = kindOfExpr(other) === 'string' && (op === '=' || op === '!=')
    if (textual && op === '=' && other.kind === 'string' && (top || path.absolute)) {
      return this.#oneOfShared(path, other.value)
    }
    const value = this.#valueOf(path)
    if (textual) {
      const text = this.#text(other)
      let wanted = ''
      const run = compilePath(path, this.#context, (i) => (value(i) === wanted) === (op === '='))
      return (node) => {
        wanted = text(node)
        return run(node)
      }
    }
    const number = this.#number(other)
    let wanted = 0
    const run = compilePath(path, this.#context, (i) => holds(op, this.#toNumber(value(i)), wanted))
    return (node) => {
      wanted = number(node)
      return run(node)
    }
  }

  #oneOfShared(path: Path, wanted: string): Truth {
    const key = JSON.stringify(path.steps, (name, value: unknown) =>
      name === 'prefix' && typeof value === 'string'
        ? this.#uriOf(value)
        : name === 'at' || name === 'end'
          ? undefined
          : value,
    )
    const texts = this.#shared.of(key, () => this.#textsOnce(path))
    return () => {
      const found = texts()
      return typeof found === 'string' ? found === wanted : found.has(wanted)
    }
  }

  /** Most paths give one text: then no set is made. */
  #textsOnce(path: Path): () => ReadonlySet<string> | string {
    const scene = this.#scene
    const value = this.#valueOf(path)
    const none: ReadonlySet<string> = new Set()
    let version = -1
    let unsure = false
    let count = 0
    let first = ''
    let several: Set<string> | null = null
    const run = compilePath(path, this.#context, (i) => {
      count += 1
      if (count === 1) first = value(i)
      else {
        several ??= new Set([first])
        several.add(value(i))
      }
      return false
    })
    return () => {
      if (version !== scene.version) {
        version = scene.version
        count = 0
        first = ''
        several = null
        const before = scene.unsure
        scene.unsure = false
        run(0)
        unsure = scene.unsure
        scene.unsure = before
      }
      if (unsure) scene.unsure = true
      return count === 0 ? none : (several ?? first)
    }
  }

  #compareNodes(op: Comparison, left: Path, right: Path): Truth {
    const [a, b] = [this.#textsOf(left), this.#textsOf(right)]
    if (op === '=') return (node) => overlap(a(node), b(node))
    if (op === '!=') {
      return (node) => {
        const [x, y] = [a(node), b(node)]
        return x.size > 0 && y.size > 0 && (x.size > 1 || y.size > 1 || !overlap(x, y))
      }
    }
    // Whether any compares so says the least and the greatest.
    const less = op === '<' || op === '<='
    return (node) => {
      const x = this.#extremes(a(node))
      const y = this.#extremes(b(node))
      return less ? holds(op, x.least, y.greatest) : holds(op, x.greatest, y.least)
    }
  }

  #extremes(texts: ReadonlySet<string>): { readonly least: number; readonly greatest: number } {
    let [least, greatest] = [Number.NaN, Number.NaN]
    for (const text of texts) {
      const number = this.#toNumber(text)
      if (Number.isNaN(number)) continue
      least = least <= number ? least : number
      greatest = greatest >= number ? greatest : number
    }
    return { least, greatest }
  }

  #textsOf(path: Path): (node: number) => ReadonlySet<string> {
    const value = this.#valueOf(path)
    let texts = new Set<string>()
    const run = compilePath(path, this.#context, (i) => {
      texts.add(value(i))
      return false
    })
    return (node) => {
      texts = new Set()
      run(node)
      return texts
    }
  }

  /** String value of a node that the path finds. */
  #valueOf(path: Path): (node: number) => string {
    const scene = this.#scene
    return kindOf(path).attributes ? (i) => scene.tree.attributeText(i) : (i) => scene.tree.stringValue(i)
  }

  /** The first node in document order, or -1. */
  #first(path: Path): Numeric {
    let first = -1
    const run = compilePath(path, this.#context, (i) => {
      if (first < 0 || i < first) first = i
      return false
    })
    return (node) => {
      first = -1
      run(node)
      return first
    }
  }

  #text(expr: Expr): Text {
    if (expr.kind === 'string') return () => expr.value
    if (expr.kind === 'path') {
      const first = this.#first(expr)
      const value = this.#valueOf(expr)
      return (node) => {
        const i = first(node)
        return i < 0 ? '' : value(i)
      }
    }
    if (expr.kind === 'call') return this.#stringCall(expr)
    // Numbers and booleans as texts.
    return beyond(expr.kind)
  }

  #stringCall({ name, args, at }: Call): Text {
    const here: Path = { kind: 'path', absolute: false, steps: [], at }
    const texts = (): readonly Text[] => args.map((each) => this.#text(each))
    const one = (): Text => this.#text(args[0] ?? here)
    switch (name) {
      case 'string':
        return one()
      case 'normalize-space': {
        const text = one()
        return (node) => normalizeSpace(text(node))
      }
      case 'concat': {
        const all = texts()
        return (node) => all.map((each) => each(node)).join('')
      }
      case 'translate': {
        const [text, from, to] = texts() as [Text, Text, Text]
        return (node) => translate(text(node), from(node), to(node))
      }
      case 'substring-before':
      case 'substring-after': {
        const [text, part] = texts() as [Text, Text]
        const before = name === 'substring-before'
        return (node) => cut(text(node), part(node), before)
      }
      case 'substring': {
        const text = one()
        const start = this.#number(args[1] as Expr)
        const count = args[2] === undefined ? null : this.#number(args[2])
        return (node) => substring(text(node), start(node), count === null ? null : count(node))
      }
      case 'local-name':
      case 'namespace-uri':
        return this.#nameCall(name, args[0] ?? here)
      default:
        return beyond(name)
    }
  }

  #nameCall(name: 'local-name' | 'namespace-uri', of: Expr): Text {
    const path = asPath(of)
    const { attributes } = kindOf(path)
    const first = this.#first(path)
    const scene = this.#scene
    const parts = name === 'local-name' ? scene.names.localPart : scene.names.uri
    return (node) => {
      const i = first(node)
      if (i < 0) return ''
      const id = (attributes ? scene.tree.attributeName[i] : scene.tree.name[i]) as number
      return id < 0 ? '' : (parts[id] as string)
    }
  }

  #number(expr: Expr): Numeric {
    switch (expr.kind) {
      case 'number':
        return () => expr.value
      case 'negate': {
        const operand = this.#number(expr.operand)
        return (node) => -operand(node)
      }
      case 'arithmetic': {
        const [left, right] = [this.#number(expr.left), this.#number(expr.right)]
        const { op } = expr
        return (node) => calculated(op, left(node), right(node))
      }
      case 'call':
        if (kindOfCall(expr) === 'number') return this.#numberCall(expr)
        break
      default:
    }
    if (kindOfExpr(expr) === 'boolean') {
      const truth = this.truth(expr, false)
      return (node) => Number(truth(node))
    }
    const text = this.#text(expr)
    return (node) => this.#toNumber(text(node))
  }

  #numberCall({ name, args, at }: Call): Numeric {
    const first = (args[0] ?? { kind: 'path', absolute: false, steps: [], at }) as Expr
    switch (name) {
      case 'number':
        return this.#number(first)
      case 'count':
        return this.#count(asPath(first))
      case 'sum': {
        const path = asPath(first)
        const nodes = this.#nodesOf(path)
        const value = this.#valueOf(path)
        return (node) => nodes(node).reduce((sum, each) => sum + this.#toNumber(value(each)), 0)
      }
      case 'string-length': {
        const text = this.#text(first)
        return (node) => lengthOf(text(node))
      }
      case 'floor':
      case 'ceiling':
      case 'round': {
        const number = this.#number(first)
        const change = { floor: Math.floor, ceiling: Math.ceil, round: Math.round }[name]
        return (node) => change(number(node))
      }
      default:
        return beyond(name)
    }
  }

  #count(path: Path): Numeric {
    if (!kindOf(path).distinct) {
      const nodes = this.#nodesOf(path)
      return (node) => nodes(node).length
    }
    let count = 0
    const run = compilePath(path, this.#context, () => {
      count += 1
      return false
    })
    return (node) => {
      count = 0
      run(node)
      return count
    }
  }

  /** Each once, in document order. */
  #nodesOf(path: Path): (node: number) => readonly number[] {
    let nodes = new Set<number>()
    const run = compilePath(path, this.#context, (i) => {
      nodes.add(i)
      return false
    })
    return (node) => {
      nodes = new Set()
      run(node)
      return [...nodes].sort((a, b) => a - b)
    }
  }

  #toNumber(text: string): number {
    const number = numberOf(text)
    if (number === undefined) this.#scene.unsure = true
    return number ?? Number.NaN
  }
}

function asPath(expr: Expr): Path {
  return expr.kind === 'path' ? expr : beyond(expr.kind)
}
