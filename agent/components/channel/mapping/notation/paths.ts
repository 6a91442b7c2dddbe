// Paths as they are written: the abbreviated XPath that the AST has, and literals in quotes.
//
//   text      := "'" … "'" | '"' … '"' | path
//   path      := '/' | '/'? step ('/' step)* | '.' | ('..' '/')* …
//   step      := (name | '*') predicate*      the last may be '@' name
//   predicate := '[' number ']' | '[' path ('=' | '!=') quoted ']' | '[' path ']'

import type { Condition, Expression, Name, Path, Step } from '../ast.ts'
import { MAPPING_DEPTH_MAX } from '../limits.ts'

export type NameOf = (prefix: string, local: string) => Name

/** What is wrong with a text, for people; the caller knows the place. */
export class NotationError extends Error {}

const literal = (value: string): Expression => ({ kind: 'literal', value })

/** A path, or a literal in quotes. Throws `NotationError`. */
export function readText(text: string, nameOf: NameOf): Expression {
  const quoted = /^\s*(?:'([^']*)'|"([^"]*)")\s*$/.exec(text)
  if (quoted !== null) return literal(quoted[1] ?? quoted[2] ?? '')
  return { kind: 'value', path: readPath(text, nameOf) }
}

export function readPath(text: string, nameOf: NameOf): Path {
  const scanner = new Scanner(text, nameOf)
  const path = scanner.path(0)
  scanner.end()
  return path
}

const NAME = /[\p{L}_][\p{L}\p{M}\p{N}·._-]*/uy

class Scanner {
  readonly #text: string
  readonly #nameOf: NameOf
  #at = 0

  constructor(text: string, nameOf: NameOf) {
    this.#text = text
    this.#nameOf = nameOf
  }

  path(depth: number): Path {
    if (depth > MAPPING_DEPTH_MAX) this.#fail('predicates lie too deep')
    const absolute = this.#take('/')
    let up = 0
    const steps: Step[] = []
    if (absolute && this.#atEnd()) return { absolute, up, steps, attribute: null }
    for (;;) {
      if (this.#take('..')) {
        if (absolute || steps.length > 0) this.#fail('`..` stands only at the beginning')
        up += 1
      } else if (this.#take('.')) {
        // Nothing to do: the node itself.
      } else if (this.#take('@')) return { absolute, up, steps, attribute: this.#name() }
      else steps.push(this.#step(depth))
      if (!this.#take('/')) return { absolute, up, steps, attribute: null }
    }
  }

  end(): void {
    this.#spaces()
    if (this.#at < this.#text.length) this.#fail(`what does ${JSON.stringify(this.#text.slice(this.#at))} mean`)
  }

  #step(depth: number): Step {
    const name = this.#take('*') ? null : this.#name()
    const conditions: Condition[] = []
    let position: number | null = null
    while (this.#take('[')) {
      if (position !== null) this.#fail('a position comes last')
      const digits = this.#match(/\d+/y)
      if (digits !== null) position = Number(digits)
      else conditions.push(this.#condition(depth))
      if (!this.#take(']')) this.#fail('`]` is missing')
    }
    const [only] = conditions
    const where: Condition | null = conditions.length > 1 ? { kind: 'and', of: conditions } : (only ?? null)
    return { name, where, position }
  }

  #condition(depth: number): Condition {
    const path = this.path(depth + 1)
    const different = this.#take('!=')
    if (!different && !this.#take('=')) return { kind: 'exists', path }
    const quoted = this.#match(/'[^']*'|"[^"]*"/y)
    if (quoted === null) return this.#fail('a text in quotes must follow `=`')
    const equals: Condition = { kind: 'equals', left: { kind: 'value', path }, right: literal(quoted.slice(1, -1)) }
    return different ? { kind: 'not', of: equals } : equals
  }

  #name(): Name {
    const first = this.#match(NAME)
    if (first === null) return this.#fail('a name must stand here')
    if (this.#text[this.#at] !== ':') return this.#nameOf('', first)
    this.#at += 1
    const local = this.#match(NAME)
    return local === null ? this.#fail('a name must follow the prefix') : this.#nameOf(first, local)
  }

  #spaces(): void {
    while (/\s/.test(this.#text[this.#at] ?? '')) this.#at += 1
  }

  #atEnd(): boolean {
    this.#spaces()
    const next = this.#text[this.#at]
    return next === undefined || next === ']' || next === '=' || next === '!'
  }

  #take(mark: string): boolean {
    this.#spaces()
    if (!this.#text.startsWith(mark, this.#at)) return false
    this.#at += mark.length
    return true
  }

  #match(form: RegExp): string | null {
    if (form !== NAME) this.#spaces()
    form.lastIndex = this.#at
    const found = form.exec(this.#text)?.[0] ?? null
    if (found !== null) this.#at += found.length
    return found
  }

  #fail(why: string): never {
    throw new NotationError(`path ${JSON.stringify(this.#text)}: ${why}, at character ${this.#at + 1}`)
  }
}
