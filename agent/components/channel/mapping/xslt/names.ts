// Prefixes of a generated stylesheet. Its literal result elements copy what is in scope, and a mapping's result declares exactly the
// namespaces of its target, on the root: those that only paths need are excluded. XSLT excludes by namespace, not by prefix, so where both
// sides share a namespace the path takes the target's prefix; where the target has it without prefix, see `long`.

import { XML_URI } from '../../../xml/mod.ts'
import type { ElementNode, Name } from '../ast.ts'
import { targetNamespaces } from '../compile.ts'
import { mappingFault } from '../faults.ts'
import { XSL } from './tree.ts'

export const written = ({ prefix, local }: Name): string => (prefix === '' ? local : `${prefix}:${local}`)

export class StyleNames {
  /** Prefix of XSLT. */
  readonly xsl: string
  readonly #target: readonly (readonly [prefix: string, uri: string])[]
  /** Prefixes that paths need beside those of the target. */
  readonly #source = new Map<string, string>()
  /** The target's default namespace is declared by its root element all the same, when it is excluded. */
  readonly #rootUri: string

  constructor(root: ElementNode) {
    this.#target = targetNamespaces(root)
    this.#rootUri = root.name.prefix === '' ? root.name.uri : ''
    if (this.#target.some(([, uri]) => uri === XSL))
      throw mappingFault('MAPPING_INVALID', {
        why: 'its result is XSLT: as a stylesheet it would run what it is to write',
      })
    const taken = new Set(this.#target.map(([prefix]) => prefix))
    let xsl = 'xsl'
    while (taken.has(xsl)) xsl += 't'
    this.xsl = xsl
  }

  element(name: Name): string {
    const prefix = this.#prefixOf(name)
    if (prefix === null) return `*[${long(name)}]`
    return prefix === '' ? name.local : `${prefix}:${name.local}`
  }

  attribute(name: Name): string {
    const prefix = this.#prefixOf(name)
    if (prefix === null) return `@*[${long(name)}]`
    return `@${prefix === '' ? name.local : `${prefix}:${name.local}`}`
  }

  declarations(): readonly (readonly [prefix: string, uri: string])[] {
    return [[this.xsl, XSL], ...this.#target, ...this.#source]
  }

  excluded(): readonly string[] {
    return [...this.#source.keys()]
  }

  /** `null`: no prefix can be declared for it. */
  #prefixOf({ prefix, uri }: Name): string | null {
    if (uri === '') return ''
    if (uri === XML_URI) return 'xml'
    if (uri === XSL) return this.xsl
    const shared = this.#target.filter(([, each]) => each === uri)
    const withPrefix = shared.find(([each]) => each !== '')
    if (withPrefix !== undefined) return withPrefix[0]
    if (shared.length > 0 && this.#rootUri !== uri) return null
    if (prefix === this.xsl) return null
    this.#source.set(prefix, uri)
    return prefix
  }
}

/** As a literal of XPath 1.0, which has no escapes. */
export function quoted(text: string): string {
  if (!text.includes("'")) return `'${text}'`
  if (!text.includes('"')) return `"${text}"`
  const parts = text.split(/('+)/).filter((part) => part !== '')
  return `concat(${parts.map((part) => (part.startsWith("'") ? `"${part}"` : `'${part}'`)).join(', ')}, '')`
}

const long = ({ local, uri }: Name): string => `local-name() = ${quoted(local)} and namespace-uri() = ${quoted(uri)}`
