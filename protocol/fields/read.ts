// Raw values and a spec → typed values, with every fault on the way. One function per kind of setting; a value that has a
// fault is `FAILED`, and the others are still read.

import { unreachable } from '#protocol/base/mod.ts'
import { fault } from './faults.ts'
import type { Field, Json, ListShape, ObjectShape, RecordShape, Shape, VariantShape } from './field.ts'
import { ANY_DEPTH_MAX, ANY_NODES_MAX } from './limits.ts'
import { type At, below, type Findings, type Origin, type Raw, type RawEntry, type RawMap } from './raw.ts'
import { readScalar } from './scalar.ts'
import { expected, holdsSecret, quoted, shown } from './show.ts'
import { listNames, nearest } from './spelling.ts'
import { fullWidthHint } from './width.ts'

/** Stands for a value that could not be read and was reported. */
export const FAILED: unique symbol = Symbol('failed')

/** Stands for an optional setting that is not there. */
export const ABSENT: unique symbol = Symbol('absent')

type Code = Parameters<typeof fault>[0]

export class Reader {
  readonly #origin: Origin
  readonly #findings: Findings

  constructor(origin: Origin, findings: Findings) {
    this.#origin = origin
    this.#findings = findings
  }

  /** `raw` is `null` when nothing was written; `at` is then the place where it would belong. */
  read(field: Field, raw: Raw | null, at: At, path: string): unknown {
    const { shape } = field
    if (raw === null || isNothing(raw, shape)) return this.#nothing(shape, raw?.at ?? at, path)
    if (raw.kind === 'refused') return FAILED
    const value = this.#value(shape, raw, path)
    if (value === FAILED || shape.check === null) return value
    const reason = shape.check(value as never)
    if (reason === null) return value
    const unsaid = ['object', 'variant', 'either', 'record'].includes(shape.kind)
    const todo = unsaid ? undefined : `Write ${expected(shape)}`
    const named = raw.kind === 'scalar' && !holdsSecret(shape) ? `${shown(raw)}: ${reason}` : reason
    return this.#fail('FIELD_CHECK', raw.at, path, named, todo)
  }

  #value(shape: Shape, raw: Exclude<Raw, { kind: 'refused' }>, path: string): unknown {
    switch (shape.kind) {
      case 'object':
        return raw.kind === 'map' ? this.#object(shape, raw, path) : this.#mismatch(shape, raw, path)
      case 'variant':
        return raw.kind === 'map' ? this.#variant(shape, raw, path) : this.#mismatch(shape, raw, path)
      case 'record':
        return raw.kind === 'map' ? this.#record(shape, raw, path) : this.#mismatch(shape, raw, path)
      case 'list':
        return this.#list(shape, raw, path)
      case 'any':
        return this.#any(raw, path)
      case 'either':
        return this.read(raw.kind === 'map' ? shape.map : shape.plain, raw, raw.at, path)
      case 'text':
      case 'integer':
      case 'bytes':
      case 'duration':
      case 'boolean':
      case 'choice': {
        if (raw.kind !== 'scalar') return this.#mismatch(shape, raw, path)
        const read = readScalar(shape, raw)
        if (read.ok) return read.value
        const { code, why, todo } = read.problem
        return this.#fail(code, raw.at, path, why, todo ?? `Write ${expected(shape)}`)
      }
      default:
        return unreachable(shape)
    }
  }

  #nothing(shape: Shape, at: At, path: string): unknown {
    if (shape.presence === 'optional') return ABSENT
    if (shape.presence === 'default') return structuredClone(shape.fallback)
    if (shape.kind === 'object' && mayBeEmpty(shape)) return this.#object(shape, { kind: 'map', at, entries: [] }, path)
    const name = this.#origin.named(path)
    const doc = shape.doc === '' ? '' : `: ${shape.doc}`
    // How a list is written in a file is of no use on a command line.
    const kind = shape.kind === 'list' && this.#origin.missing === 'ARG_MISSING' ? '' : `, ${expected(shape)}`
    const todo = `Add ${name}${kind}${doc}`
    return this.#fail(this.#origin.missing, at, path, `${name} is required`, todo)
  }

  #object(shape: ObjectShape, raw: RawMap, path: string): unknown {
    const written = new Map<string, RawEntry>()
    const meant = new Set<string>()
    let failed = false
    for (const entry of raw.entries) {
      if (this.#findings.full) return FAILED
      if (Object.hasOwn(shape.fields, entry.key)) {
        written.set(entry.key, entry)
        continue
      }
      failed = true
      const unwritten = Object.keys(shape.fields).filter((name) => !raw.entries.some((other) => other.key === name))
      const suggestion = nearest(entry.key, unwritten) ?? nearest(entry.key, Object.keys(shape.fields))
      if (suggestion !== null) meant.add(suggestion)
      this.#unknown(shape, entry, path, suggestion)
    }
    const result: Record<string, unknown> = {}
    for (const [name, field] of Object.entries(shape.fields)) {
      const entry = written.get(name)
      // The misspelt name was reported with this one as the suggestion: a second fault would only be noise.
      if (entry === undefined && meant.has(name)) continue
      const value = this.read(field, entry?.value ?? null, raw.at, below(path, name))
      if (value === FAILED) failed = true
      else if (value !== ABSENT) result[name] = value
    }
    return failed ? FAILED : result
  }

  #unknown(shape: ObjectShape, entry: RawEntry, path: string, suggestion: string | null): void {
    const names = Object.keys(shape.fields)
    const allowed = names.length === 0 ? 'Nothing is allowed here' : `Allowed here: ${listNames(names, 'and')}`
    const deeper = suggestion === null ? deeperPlace(shape, entry.key) : null
    const asked =
      suggestion !== null
        ? `Did you mean ${suggestion}? `
        : deeper !== null
          ? `It belongs to ${below(path, deeper)}: indent it there. `
          : ''
    const name = keyName(shape, entry.key)
    const glued = Object.hasOwn(shape.fields, firstWord(entry.key)) ? 'Write a space after the colon. ' : ''
    const hint = fullWidthHint(name)
    const todo = `${glued}${asked}${allowed}${hint === null ? '' : `. ${hint}`}`
    this.#fail('FIELD_UNKNOWN', entry.keyAt, below(path, name), `there is no setting ${quoted(name)}`, todo)
  }

  #variant(shape: VariantShape, raw: RawMap, path: string): unknown {
    const [entry, ...others] = raw.entries
    if (entry === undefined) return this.#mismatch(shape, raw, path)
    const field = Object.hasOwn(shape.types, entry.key) ? shape.types[entry.key] : undefined
    if (others.length > 0) {
      const names = listNames(
        raw.entries.map((one) => quoted(keyName(shape, one.key))),
        'and',
      )
      const settings = field?.shape.kind === 'object' ? field.shape.fields : {}
      const flat = field !== undefined && others.every((one) => Object.hasOwn(settings, one.key))
      const todo = flat
        ? `Indent ${listNames(
            others.map((one) => one.key),
            'and',
          )} below ${entry.key}: they are its settings`
        : `Write ${expected(shape)}`
      return this.#fail(
        'FIELD_TYPE',
        raw.at,
        path,
        `${names} are ${raw.entries.length} names where one is expected`,
        todo,
      )
    }
    if (field === undefined) {
      const types = Object.keys(shape.types)
      const suggestion = nearest(entry.key, types)
      const asked = suggestion === null ? '' : `Did you mean ${suggestion}? `
      const todo = `${asked}Write one of ${listNames(types, 'or')}`
      const name = keyName(shape, entry.key)
      const why = `there is no type ${quoted(name)} here`
      return this.#fail('FIELD_CHOICE', entry.keyAt, below(path, name), why, todo)
    }
    // A type with nothing behind it has no settings, which may be enough.
    const inside: Raw = isNull(entry.value) ? { kind: 'map', at: entry.keyAt, entries: [] } : entry.value
    const settings = this.read(field, inside, entry.keyAt, below(path, entry.key))
    return settings === FAILED ? FAILED : { type: entry.key, settings }
  }

  #list(shape: ListShape, raw: Exclude<Raw, { kind: 'refused' }>, path: string): unknown {
    if (raw.kind !== 'list') {
      const { shape: item } = shape.item
      const fits = item.kind === 'either' || (raw.kind === 'map') === takesMap(item)
      if (!shape.lone || !fits) return this.#mismatch(shape, raw, path)
      const only = this.read(shape.item, raw, raw.at, path)
      return only === FAILED ? FAILED : [only]
    }
    const count = raw.items.length
    if (count < shape.min || count > shape.max) {
      const todo = `Write ${shape.min} to ${shape.max} of them`
      return this.#fail(
        'FIELD_RANGE',
        raw.at,
        path,
        `${count} entries are too ${count > shape.max ? 'many' : 'few'}`,
        todo,
      )
    }
    const result: unknown[] = []
    let failed = false
    for (const [index, item] of raw.items.entries()) {
      if (this.#findings.full) return FAILED
      const value = this.read(shape.item, item, raw.at, below(path, index))
      if (value === FAILED) failed = true
      else result.push(value)
    }
    return failed ? FAILED : result
  }

  #record(shape: RecordShape, raw: RawMap, path: string): unknown {
    const count = raw.entries.length
    if (count > shape.max) {
      return this.#fail('FIELD_RANGE', raw.at, path, `${count} entries are too many`, `Write at most ${shape.max}`)
    }
    const result: [string, unknown][] = []
    let failed = false
    for (const entry of raw.entries) {
      if (this.#findings.full) return FAILED
      const value = this.#name(shape, entry, path)
        ? this.read(shape.item, entry.value, entry.keyAt, below(path, keyName(shape, entry.key)))
        : FAILED
      if (value === FAILED) failed = true
      else result.push([entry.key, value])
    }
    return failed ? FAILED : Object.fromEntries(result)
  }

  #name(shape: RecordShape, entry: RawEntry, path: string): boolean {
    const allowed = entry.key !== '__proto__' && entry.key !== '' && (shape.keys?.test(entry.key) ?? true)
    if (allowed) return true
    const form = shape.keys === null ? 'Write another name' : `Write a name that matches ${shape.keys.source}`
    const name = keyName(shape, entry.key)
    const hint = fullWidthHint(name)
    const todo = hint === null ? form : `${form}. ${hint}`
    this.#fail('FIELD_PATTERN', entry.keyAt, below(path, name), `the name ${quoted(name)} has the wrong form`, todo)
    return false
  }

  #any(raw: Raw, path: string): unknown {
    let nodes = 0
    const convert = (one: Raw, here: string, depth: number): Json | typeof FAILED => {
      nodes += 1
      if (nodes > ANY_NODES_MAX) return this.#fail('FIELD_TOO_LARGE', one.at, here, `more than ${ANY_NODES_MAX} values`)
      if (depth > ANY_DEPTH_MAX) return this.#fail('FIELD_TOO_DEEP', one.at, here, `more than ${ANY_DEPTH_MAX} levels`)
      switch (one.kind) {
        case 'refused':
          return FAILED
        case 'scalar':
          if (typeof one.value !== 'bigint' && (typeof one.value !== 'number' || Number.isFinite(one.value)))
            return one.value
          return this.#fail('FIELD_TYPE', one.at, here, `${shown(one)} is no JSON number`, 'Write it in quotes')
        case 'list': {
          const items: Json[] = []
          for (const [index, item] of one.items.entries()) {
            const value = convert(item, below(here, index), depth + 1)
            if (value === FAILED) return FAILED
            items.push(value)
          }
          return items
        }
        case 'map': {
          const entries: [string, Json][] = []
          for (const entry of one.entries) {
            const value = convert(entry.value, below(here, entry.key), depth + 1)
            if (value === FAILED) return FAILED
            if (entry.key === '__proto__')
              return this.#fail('FIELD_PATTERN', entry.keyAt, here, '"__proto__" is no name')
            entries.push([entry.key, value])
          }
          return Object.fromEntries(entries)
        }
      }
    }
    return convert(raw, path, 1)
  }

  #mismatch(shape: Shape, raw: Raw, path: string): typeof FAILED {
    const secret = holdsSecret(shape)
    const why = `${secret ? 'the value' : shown(raw)} is of the wrong kind`
    const hint = raw.kind === 'scalar' && !secret ? fullWidthHint(raw.source) : null
    // The name of a type where a map with its settings belongs.
    const type =
      shape.kind === 'variant' && raw.kind === 'scalar' ? nearest(raw.source, Object.keys(shape.types)) : null
    const meant = type === null ? expected(shape) : `{ ${type}: {} }, with the settings of ${type} inside`
    const todo = `Write ${meant}${hint === null ? '' : `. ${hint}`}`
    return this.#fail('FIELD_TYPE', raw.at, path, why, todo)
  }

  #fail(code: Code, at: At, path: string, why: string, todo?: string): typeof FAILED {
    const where = this.#origin.where(at, path)
    this.#findings.add(at, fault(code, { where, why, ...(todo === undefined ? {} : { todo }) }))
    return FAILED
  }
}

function isNull(raw: Raw): boolean {
  return raw.kind === 'scalar' && raw.value === null
}

/**
 * A name as a fault may show it. Where a secret is expected, `{password:secret}` without the space after the colon is one
 * long name: only its beginning is shown.
 */
function keyName(shape: Shape, key: string): string {
  return holdsSecret(shape) ? firstWord(key) : key
}

function firstWord(key: string): string {
  return key.split(/[:：=\s]/, 1)[0] ?? ''
}

/** A name with nothing behind it counts as not written; for free-form values null is a value like any other. */
function isNothing(raw: Raw, shape: Shape): boolean {
  return isNull(raw) && (shape.kind !== 'any' || shape.presence !== 'required')
}

function mayBeEmpty(shape: ObjectShape): boolean {
  return Object.values(shape.fields).every(({ shape: inner }) => {
    return inner.presence !== 'required' || (inner.kind === 'object' && mayBeEmpty(inner))
  })
}

function takesMap(shape: Shape): boolean {
  return shape.kind === 'object' || shape.kind === 'variant' || shape.kind === 'record'
}

/** The map, one level down, that has a setting of this name: what was written is indented too little. */
function deeperPlace(shape: ObjectShape, name: string): string | null {
  for (const [outer, { shape: inner }] of Object.entries(shape.fields)) {
    if (inner.kind === 'object' && Object.hasOwn(inner.fields, name)) return outer
  }
  return null
}
