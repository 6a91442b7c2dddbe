// JSON text (RFC 8259) → raw values with their places: what programs write, much larger than what people do. `JSON.parse` would
// tell no places and let the last of two equal names win in silence.

import type { Fault } from '#protocol/base/mod.ts'
import { fault } from './faults.ts'
import { DEPTH_MAX } from './limits.ts'
import { below, type Findings, type Origin, type Raw, type RawEntry } from './raw.ts'
import { quoted } from './show.ts'
import type { YamlText } from './yaml.ts'

/** Text and values taken; a value takes some 200 bytes while it is read. */
export type JsonBounds = { readonly textBytesMax: number; readonly valuesMax: number }

/** In `YamlText`'s terms: `root` is `null` when nothing can be read, and the findings say why. */
export function rawFromJson(text: string, file: string, findings: Findings, bounds: JsonBounds): YamlText {
  const origin: Origin = {
    missing: 'FIELD_MISSING',
    named: (path) => path,
    where: (at, path) => {
      const upTo = text.slice(0, Math.max(0, at))
      const line = upTo.split('\n').length
      return `${file}:${line}:${upTo.length - upTo.lastIndexOf('\n')}${path === '' ? '' : ` ${path}`}`
    },
    line: (at) => text.slice(text.lastIndexOf('\n', at - 1) + 1).split('\n', 1)[0] ?? '',
  }
  if (text.length > bounds.textBytesMax || Buffer.byteLength(text) > bounds.textBytesMax) {
    findings.add(0, fault('FIELD_TOO_LARGE', { where: file, why: `more than ${bounds.textBytesMax} bytes of text` }))
    return { root: null, origin }
  }
  const reader = new JsonReader(text, origin, findings, bounds.valuesMax)
  try {
    return { root: reader.whole(), origin }
  } catch (error) {
    if (!(error instanceof Stop)) throw error
    findings.add(error.at, error.fault)
    return { root: null, origin }
  }
}

/** Ends the reading at the first place that is not JSON. */
class Stop extends Error {
  readonly at: number
  readonly fault: Fault

  constructor(at: number, found: Fault) {
    super(found.message)
    this.at = at
    this.fault = found
  }
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const WORDS = [
  ['true', true],
  ['false', false],
  ['null', null],
] as const

class JsonReader {
  readonly #text: string
  readonly #origin: Origin
  readonly #findings: Findings
  readonly #valuesMax: number
  #at = 0
  #values = 0

  constructor(text: string, origin: Origin, findings: Findings, valuesMax: number) {
    this.#text = text
    this.#origin = origin
    this.#findings = findings
    this.#valuesMax = valuesMax
  }

  whole(): Raw {
    this.#space()
    const root = this.#value('', 1)
    this.#space()
    if (this.#at < this.#text.length) this.#wrong('something stands behind the end')
    return root
  }

  #value(path: string, depth: number): Raw {
    this.#values += 1
    if (this.#values > this.#valuesMax) this.#refuse('FIELD_TOO_LARGE', `more than ${this.#valuesMax} values`)
    if (depth > DEPTH_MAX) this.#refuse('FIELD_TOO_DEEP', `more than ${DEPTH_MAX} levels`)
    const at = this.#at
    switch (this.#text.charCodeAt(at)) {
      case 0x7b:
        return this.#map(path, depth)
      case 0x5b:
        return this.#list(path, depth)
      case 0x22: {
        const value = this.#string()
        return { kind: 'scalar', at, value, source: value, plain: false }
      }
      default:
        return this.#bare(at)
    }
  }

  /** As it stands in the text, so that a setting of kind text may take `4452` and `1.50` as they are. */
  #bare(at: number): Raw {
    for (const [word, value] of WORDS) {
      if (!this.#text.startsWith(word, at)) continue
      this.#at += word.length
      return { kind: 'scalar', at, value, source: value === null ? '' : word, plain: true }
    }
    NUMBER.lastIndex = at
    const [source] = NUMBER.exec(this.#text) ?? this.#wrong('a value is expected')
    this.#at += source.length
    return { kind: 'scalar', at, value: Number(source), source, plain: true }
  }

  #list(path: string, depth: number): Raw {
    const at = this.#at
    const items: Raw[] = []
    this.#at += 1
    this.#space()
    if (this.#took(0x5d)) return { kind: 'list', at, items }
    for (;;) {
      items.push(this.#value(below(path, items.length), depth + 1))
      this.#space()
      if (this.#took(0x5d)) return { kind: 'list', at, items }
      if (!this.#took(0x2c)) this.#wrong('"," or "]" is expected')
      this.#space()
    }
  }

  #map(path: string, depth: number): Raw {
    const at = this.#at
    const entries: RawEntry[] = []
    const seen = new Map<string, number>()
    this.#at += 1
    this.#space()
    if (this.#took(0x7d)) return { kind: 'map', at, entries }
    for (;;) {
      const keyAt = this.#at
      if (this.#text.charCodeAt(keyAt) !== 0x22) this.#wrong('a name in double quotes is expected')
      const key = this.#string()
      this.#space()
      if (!this.#took(0x3a)) this.#wrong('":" is expected')
      this.#space()
      const value = this.#value(below(path, key), depth + 1)
      const before = seen.get(key)
      if (before === undefined) entries.push({ key, keyAt, value })
      else if (!this.#findings.full) {
        const why = `${quoted(key)} already stands at ${this.#origin.where(before, '')}`
        const where = this.#origin.where(keyAt, below(path, key))
        this.#findings.add(keyAt, fault('FIELD_DUPLICATE', { where, why }))
      }
      seen.set(key, keyAt)
      this.#space()
      if (this.#took(0x7d)) return { kind: 'map', at, entries }
      if (!this.#took(0x2c)) this.#wrong('"," or "}" is expected')
      this.#space()
    }
  }

  #string(): string {
    const text = this.#text
    const start = this.#at
    let end = start + 1
    let escaped = false
    for (;;) {
      const code = text.charCodeAt(end)
      if (code === 0x22) break
      if (code === 0x5c) {
        escaped = true
        end += 1
      } else if (!(code >= 0x20)) {
        this.#at = Math.min(end, text.length)
        this.#wrong(Number.isNaN(code) ? 'the text ends inside a string' : 'a string has a control character')
      }
      end += 1
    }
    this.#at = end + 1
    if (!escaped) return text.slice(start + 1, end)
    try {
      return JSON.parse(text.slice(start, end + 1)) as string
    } catch {
      this.#at = start
      return this.#wrong('a string has a broken escape')
    }
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
      this.#at += 1
    }
  }

  #took(code: number): boolean {
    if (this.#text.charCodeAt(this.#at) !== code) return false
    this.#at += 1
    return true
  }

  #wrong(why: string): never {
    throw new Stop(this.#at, fault('JSON_SYNTAX', { where: this.#origin.where(this.#at, ''), why }))
  }

  #refuse(code: 'FIELD_TOO_LARGE' | 'FIELD_TOO_DEEP', why: string): never {
    throw new Stop(this.#at, fault(code, { where: this.#origin.where(this.#at, ''), why }))
  }
}
