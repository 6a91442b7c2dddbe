// Namespaces in scope. Every element that declares some opens a scope with a number of its own; what a prefix means is remembered per scope
// number by the users, so that it is looked up once per name and scope.

import { XML_DEPTH_MAX } from './limits.ts'

export const XML_URI = 'http://www.w3.org/XML/1998/namespace'
export const XMLNS_URI = 'http://www.w3.org/2000/xmlns/'

export class Scopes {
  /** The scope's number. */
  current = 0
  #last = 0
  readonly #prefixes: string[] = []
  readonly #uris: string[] = []
  /** At each depth that opened a scope: the scope before, and how many bindings there were; -1 at other depths. */
  readonly #before = new Int32Array(XML_DEPTH_MAX + 2).fill(-1)
  readonly #bindings = new Int32Array(XML_DEPTH_MAX + 2)
  #settled = 0

  start(): void {
    this.current = 0
    this.#last = 0
    this.#prefixes.length = 0
    this.#uris.length = 0
    this.#before.fill(-1)
    this.#settled = 0
  }

  /** A binding of the element at hand; `enter` follows. Gives what is wrong with it. */
  declare(prefix: string, uri: string): string | null {
    if (prefix === 'xmlns') return 'prefix xmlns must not be declared'
    if ((prefix === 'xml') !== (uri === XML_URI)) return 'prefix xml and its namespace belong to each other alone'
    if (uri === XMLNS_URI) return `no prefix can be bound to ${XMLNS_URI}`
    if (uri === '' && prefix !== '') return `prefix ${prefix} must be bound to a namespace that is not empty`
    this.#prefixes.push(prefix)
    this.#uris.push(uri)
    return null
  }

  enter(depth: number): void {
    this.#before[depth] = this.current
    this.#bindings[depth] = this.#settled
    this.#settled = this.#prefixes.length
    this.#last += 1
    this.current = this.#last
  }

  /** The element at this depth ends. */
  leave(depth: number): void {
    const before = this.#before[depth] as number
    if (before < 0) return
    this.current = before
    this.#before[depth] = -1
    this.#settled = this.#bindings[depth] as number
    this.#prefixes.length = this.#settled
    this.#uris.length = this.#settled
  }

  uriOf(prefix: string): string | null {
    for (let i = this.#prefixes.length - 1; i >= 0; i -= 1)
      if (this.#prefixes[i] === prefix) return this.#uris[i] as string
    if (prefix === '') return ''
    return prefix === 'xml' ? XML_URI : null
  }
}
