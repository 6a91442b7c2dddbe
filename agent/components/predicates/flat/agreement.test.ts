// The flat way and libxml2 give the same for random expressions on random documents. (Not on empty CDATA sections: libxml2 makes
// texts of no character of them, which the data model of XPath does not have.)

import { XmlXPath } from 'libxml2-wasm'
import t from 'tap'
import { loadLibxml2, parseLibxml } from '../../libxml/mod.ts'
import { randomFrom } from '../../support/testing.ts'
import { absolute } from '../xpath/absolute.ts'
import { parseXPath } from '../xpath/parse.ts'
import { FlatCompiler } from './mod.ts'

const SEED = Number(process.env.SEED ?? 12_001)
const ROUNDS = 300
const EXPRESSIONS = 40
const NAMESPACES = { p: 'urn:p', q: 'urn:q' }

class Maker {
  readonly #random: () => number

  constructor(seed: number) {
    this.#random = randomFrom(seed)
  }

  #pick<T>(...of: readonly T[]): T {
    return of[Math.floor(this.#random() * of.length)] as T
  }

  #chance(of: number): boolean {
    return this.#random() < of
  }

  #list<T>(max: number, make: () => T): T[] {
    return Array.from({ length: Math.floor(this.#random() * (max + 1)) }, make)
  }

  document(): string {
    const prolog = this.#pick('', '<?xml version="1.0"?>\n', '<!-- c --><?pi x?>')
    return prolog + this.#element(0, ' xmlns:p="urn:p" xmlns:r="urn:q"')
  }

  #text(): string {
    return this.#pick('1', '2', '12', '-3.5', 'x', 'xy', '通衢', '𠮷x', ' x  y ', '\n ', '1e2', '&lt;', '&#x31;')
  }

  #element(depth: number, more = ''): string {
    const name = this.#pick('a', 'b', 'c', 'p:a', 'p:b', 'r:a')
    const scope = this.#chance(0.1) ? ' xmlns="urn:q"' : ''
    const attributes = ['x', 'y', 'p:x'].filter(() => this.#chance(0.3)).map((each) => ` ${each}="${this.#text()}"`)
    const content = this.#list(depth > 3 ? 1 : 4, () => {
      if (depth < 5 && this.#chance(0.6)) return this.#element(depth + 1)
      return this.#pick(
        this.#text(),
        this.#text(),
        this.#text(),
        `<![CDATA[${this.#pick('1', 'x<')}]]>`,
        '<!--1-->',
        '<?pi 1?>',
      )
    })
    return `<${name}${more}${scope}${attributes.join('')}>${content.join('')}</${name}>`
  }

  expression(depth = 0): string {
    const deeper = (): string => this.expression(depth + 1)
    if (depth > 2) return this.#operand(depth)
    switch (Math.floor(this.#random() * 8)) {
      case 0:
        return `${deeper()} ${this.#pick('and', 'or')} ${deeper()}`
      case 1:
        return `not(${deeper()})`
      case 2:
        return `(${deeper()})`
      case 3:
      case 4:
        return `${this.#operand(depth)} ${this.#pick('=', '!=', '<', '<=', '>', '>=')} ${this.#operand(depth)}`
      case 5:
        return `${this.#pick('contains', 'starts-with')}(${this.#string(depth)}, ${this.#string(depth)})`
      default:
        return this.#operand(depth)
    }
  }

  #operand(depth: number): string {
    return this.#lazily(
      () => this.#path(depth),
      () => this.#path(depth),
      () => this.#pick(`boolean(${this.#path(depth)})`, 'true()'),
      () => this.#number(depth),
      () => this.#string(depth),
    )
  }

  #number(depth: number): string {
    const path = this.#path(depth)
    if (depth > 2) return this.#pick('1', '2', `count(${path})`)
    const deeper = (): string => this.#number(depth + 1)
    return this.#lazily(
      () => this.#pick('0', '1', '2', '12', '-3.5', '.5'),
      () => `count(${path})`,
      () => `sum(${path})`,
      () => `number(${path})`,
      () => `string-length(${this.#string(depth + 1)})`,
      () => `${deeper()} ${this.#pick('+', '-', '*', 'div', 'mod')} ${deeper()}`,
      () => `${this.#pick('floor', 'ceiling', 'round')}(${deeper()})`,
      () => `- ${deeper()}`,
    )
  }

  #lazily(...of: readonly (() => string)[]): string {
    return this.#pick(...of)()
  }

  #string(depth: number): string {
    const path = this.#path(depth)
    if (depth > 2) return this.#pick("'1'", "'x'", `string(${path})`)
    const inner = (): string => this.#string(depth + 1)
    const number = (): string => this.#number(depth + 1)
    return this.#lazily(
      () => this.#pick("''", "'1'", "'x'", "'通衢'", path, 'string()'),
      () => `string(${path})`,
      () => `normalize-space(${inner()})`,
      () => `concat(${inner()}, ${inner()})`,
      () => `substring(${inner()}, ${number()})`,
      () => `substring(${inner()}, ${number()}, ${number()})`,
      () => `substring-before(${inner()}, ${inner()})`,
      () => `substring-after(${inner()}, ${inner()})`,
      () => `translate(${inner()}, ${inner()}, ${inner()})`,
      () => `${this.#pick('local-name', 'namespace-uri')}(${path})`,
    )
  }

  #path(depth: number): string {
    const start = this.#pick('', '', '/', '//', './/', './')
    const steps = [this.#step(depth), ...this.#list(3, () => this.#pick('/', '/', '//') + this.#step(depth))].join('')
    const end = this.#pick('', '', '', '/@x', '//@y', '/text()', '/..', '/@*', '/.', '/@p:x')
    return start + steps + end
  }

  #step(depth: number): string {
    const name = this.#pick(
      'a',
      'b',
      'c',
      'p:a',
      'q:a',
      '*',
      'p:*',
      '*',
      'descendant::a',
      'text()',
      '.',
      '..',
      'self::a',
    )
    if (depth > 2 || name.startsWith('.') || this.#chance(0.7)) return name
    return `${name}[${this.#lazily(
      () => this.#pick('1', '2', '@x', `@x = ${this.#string(3)}`),
      () => this.expression(depth + 1),
    )}]`
  }
}

t.test(`seed ${SEED}`, async (t) => {
  await loadLibxml2()
  const maker = new Maker(SEED)
  let compared = 0
  let beyond = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    const document = maker.document()
    const flat = new FlatCompiler()
    const cases = Array.from({ length: EXPRESSIONS }, () => {
      const text = maker.expression()
      const expr = parseXPath(text, new Set(Object.keys(NAMESPACES)))
      return { text, everywhere: absolute(text, expr), quick: flat.compile(expr, NAMESPACES) }
    })
    const tree = flat.parse(document)
    using libxml = parseLibxml(Buffer.from(document))
    for (const { text, everywhere, quick } of cases) {
      const given = quick?.(tree) ?? null
      if (given === null) {
        beyond += 1
        continue
      }
      compared += 1
      using xpath = XmlXPath.compile(`boolean(${everywhere})`, NAMESPACES)
      const wanted = libxml.eval(xpath)
      if (given !== wanted) {
        t.equal(given, wanted, `SEED=${SEED}: ${text}\n${everywhere}\non ${document}`)
        return
      }
    }
  }
  t.ok(compared > (ROUNDS * EXPRESSIONS) / 3, `${compared} compared, ${beyond} left to libxml2`)
})
