// Names of elements and attributes as small numbers. Two tables: raw names as written (`p:a`), found by hash without making a string;
// expanded names (namespace and local part), which is what a name means.

import { CLASS, NAME_START } from './characters.ts'
import { NAMES_KEPT_MAX } from './limits.ts'

/** Another one in every process, so that nobody can make names that collide. */
const MULTIPLIER = (Math.floor(Math.random() * 0x3fff_ffff) << 1) | 1
const SLOTS_MIN = 1_024

export const hashStep = (hash: number, unit: number): number => Math.imul(hash ^ unit, MULTIPLIER) + (hash >>> 15)

/** What a raw name is, beside its text. */
export const ORDINARY = 0
/** `xmlns` or `xmlns:…`. */
export const DECLARES = 1
/** `:a`, `a:`, `a:b:c`, `a:1`: no name where there are namespaces. */
export const MISSHAPEN = 2

export class Names {
  // Raw names, by id.
  readonly text: string[] = []
  readonly prefix: string[] = []
  readonly local: string[] = []
  readonly kind: number[] = []
  /** The expanded name it stands for in the namespaces `inScope`. As an element's name and as an attribute's. */
  readonly element: number[] = []
  readonly attribute: number[] = []
  readonly inScope: number[] = []
  readonly attributeScope: number[] = []
  /** The last element that had an attribute of this raw name. */
  readonly lastSeen: number[] = []
  readonly #hash: number[] = []
  #slots = new Int32Array(SLOTS_MIN).fill(-1)

  // Expanded names, by id.
  readonly uri: string[] = []
  readonly localPart: string[] = []
  readonly expandedSeen: number[] = []
  readonly #expanded = new Map<string, number>()
  #asked = 0

  /** The number of an expanded name that stays the same for ever; to be called before documents are parsed. */
  ask(uri: string, local: string): number {
    const id = this.expand(uri, local)
    this.#asked = Math.max(this.#asked, id + 1)
    return id
  }

  expand(uri: string, local: string): number {
    const key = `${local} ${uri}`
    const known = this.#expanded.get(key)
    if (known !== undefined) return known
    const id = this.uri.length
    this.uri.push(uri)
    this.localPart.push(local)
    this.expandedSeen.push(0)
    this.#expanded.set(key, id)
    return id
  }

  /** The raw name at `from`…`to` of `source`, whose hash is known. */
  raw(source: string, from: number, to: number, hash: number): number {
    const mask = this.#slots.length - 1
    for (let slot = (hash ^ (hash >>> 16)) & mask; ; slot = (slot + 1) & mask) {
      const id = this.#slots[slot] as number
      if (id < 0) return this.#add(source.slice(from, to), hash)
      if (this.#hash[id] === hash && same(this.text[id] as string, source, from, to)) return id
    }
  }

  /** Before each document: what earlier ones brought goes when it has become too much. */
  startDocument(): void {
    if (this.text.length > NAMES_KEPT_MAX || this.uri.length > this.#asked + NAMES_KEPT_MAX) this.#forget()
    // Scopes and elements are numbered anew in each document.
    for (let i = 0; i < this.text.length; i += 1) {
      this.inScope[i] = -1
      this.attributeScope[i] = -1
      this.lastSeen[i] = 0
    }
    this.expandedSeen.fill(0)
  }

  #forget(): void {
    for (const list of [this.text, this.prefix, this.local, this.kind, this.element, this.attribute]) list.length = 0
    for (const list of [this.inScope, this.attributeScope, this.lastSeen, this.#hash]) list.length = 0
    this.#slots = new Int32Array(SLOTS_MIN).fill(-1)
    for (let id = this.#asked; id < this.uri.length; id += 1) {
      this.#expanded.delete(`${this.localPart[id]} ${this.uri[id]}`)
    }
    for (const list of [this.uri, this.localPart, this.expandedSeen]) list.length = this.#asked
  }

  #add(text: string, hash: number): number {
    const id = this.text.length
    // A slice would keep the whole document alive.
    const kept = Buffer.from(text, 'utf16le').toString('utf16le')
    const colon = kept.indexOf(':')
    const prefix = colon < 0 ? '' : kept.slice(0, colon)
    const local = kept.slice(colon + 1)
    this.text.push(kept)
    this.prefix.push(prefix)
    this.local.push(local)
    this.kind.push(kindOf(kept, prefix, local, colon))
    this.element.push(-1)
    this.attribute.push(-1)
    this.inScope.push(-1)
    this.attributeScope.push(-1)
    this.lastSeen.push(0)
    this.#hash.push(hash)
    if (this.text.length * 2 > this.#slots.length) this.#grow()
    else this.#enter(id)
    return id
  }

  #enter(id: number): void {
    const mask = this.#slots.length - 1
    const hash = this.#hash[id] as number
    let slot = (hash ^ (hash >>> 16)) & mask
    while ((this.#slots[slot] as number) >= 0) slot = (slot + 1) & mask
    this.#slots[slot] = id
  }

  #grow(): void {
    this.#slots = new Int32Array(this.#slots.length * 2).fill(-1)
    for (let id = 0; id < this.text.length; id += 1) this.#enter(id)
  }
}

function same(name: string, source: string, from: number, to: number): boolean {
  const { length } = name
  if (length !== to - from) return false
  for (let i = 0; i < length; i += 1) if (name.charCodeAt(i) !== source.charCodeAt(from + i)) return false
  return true
}

function kindOf(text: string, prefix: string, local: string, colon: number): number {
  if (text === 'xmlns') return DECLARES
  if (colon < 0) return ORDINARY
  const start = ((CLASS[local.charCodeAt(0)] as number) & NAME_START) !== 0
  if (prefix === '' || local.includes(':') || !start) return MISSHAPEN
  return prefix === 'xmlns' ? DECLARES : ORDINARY
}
