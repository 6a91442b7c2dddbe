// A value as it was written, with the place it stands: what YAML text, plain JavaScript values and command lines all become
// before a spec reads them.

import type { Fault } from '#protocol/base/mod.ts'
import { fault } from './faults.ts'
import { DEPTH_MAX, FAULTS_MAX, NODES_MAX } from './limits.ts'

/** Offset into the source text, or -1 where there is none. Values without text keep the order they were met in. */
export type At = number

export type RawScalar = {
  readonly kind: 'scalar'
  readonly at: At
  readonly value: string | number | bigint | boolean | null
  /** What stands in the text, without quotes. */
  readonly source: string
  /** Written without quotes: the author gave no type, so the setting's own kind decides what it means. */
  readonly plain: boolean
}
export type RawEntry = { readonly key: string; readonly keyAt: At; readonly value: Raw }
export type RawMap = { readonly kind: 'map'; readonly at: At; readonly entries: readonly RawEntry[] }
export type RawList = { readonly kind: 'list'; readonly at: At; readonly items: readonly Raw[] }
/** Something already reported: it is skipped without a second fault. */
export type RawRefused = { readonly kind: 'refused'; readonly at: At }
export type Raw = RawScalar | RawMap | RawList | RawRefused

/** How a place is named in faults, and which code a missing setting gets. */
export type Origin = {
  /** `path` is dotted; empty at the top. */
  where(at: At, path: string): string
  /** What the author calls the setting: its path, or its option. */
  named(path: string): string
  readonly missing: 'FIELD_MISSING' | 'ARG_MISSING'
  /** The text of the line the offset is on, or '' when there is none. */
  line(at: At): string
}

/** Faults in the order of the text, bounded. */
export class Findings {
  readonly #found: { readonly at: At; readonly fault: Fault }[] = []

  add(at: At, found: Fault): void {
    if (!this.full) this.#found.push({ at, fault: found })
  }

  get full(): boolean {
    return this.#found.length >= FAULTS_MAX
  }

  get empty(): boolean {
    return this.#found.length === 0
  }

  inOrder(): Fault[] {
    return this.#found.toSorted((a, b) => a.at - b.at).map((entry) => entry.fault)
  }
}

/** A path with one more name or index; names that would blur it are quoted. */
export function below(path: string, step: string | number): string {
  if (typeof step === 'number') return `${path}[${step}]`
  const name = /^[\p{L}\p{N}_$-]{1,64}$/u.test(step) ? step : `[${JSON.stringify(step.slice(0, 64))}]`
  return path === '' || name.startsWith('[') ? `${path}${name}` : `${path}.${name}`
}

/** A plain JavaScript value (JSON, MessagePack) as raw. What JSON cannot say is refused. */
export function rawFromValue(value: unknown, findings: Findings, where: (path: string) => string): Raw {
  let nodes = 0
  const refuse = (code: 'FIELD_TYPE' | 'FIELD_TOO_DEEP' | 'FIELD_TOO_LARGE', path: string, why: string): Raw => {
    findings.add(-1, fault(code, { where: where(path), why }))
    return { kind: 'refused', at: -1 }
  }
  const scalar = (plainValue: RawScalar['value']): Raw => {
    return { kind: 'scalar', at: -1, value: plainValue, source: String(plainValue ?? ''), plain: false }
  }
  const convert = (one: unknown, path: string, depth: number): Raw => {
    nodes += 1
    if (nodes > NODES_MAX) return refuse('FIELD_TOO_LARGE', path, `more than ${NODES_MAX} values`)
    if (one === undefined || one === null) return scalar(null)
    switch (typeof one) {
      case 'string':
      case 'number':
      case 'boolean':
      case 'bigint':
        return scalar(one)
      case 'object':
        if (depth > DEPTH_MAX) return refuse('FIELD_TOO_DEEP', path, `more than ${DEPTH_MAX} levels`)
        if (Array.isArray(one)) {
          const items = []
          for (const item of one) {
            if (nodes > NODES_MAX) break
            items.push(convert(item, below(path, items.length), depth + 1))
          }
          return { kind: 'list', at: -1, items }
        }
        return convertMap(one, path, depth)
      default:
        return refuse('FIELD_TYPE', path, `a ${typeof one} is not a setting`)
    }
  }
  const convertMap = (one: object, path: string, depth: number): Raw => {
    const prototype: unknown = Object.getPrototypeOf(one)
    if (prototype !== null && prototype !== Object.prototype) {
      return refuse('FIELD_TYPE', path, 'an object of a class is not a setting')
    }
    const entries: RawEntry[] = []
    for (const [key, item] of Object.entries(one)) {
      if (nodes > NODES_MAX) break
      entries.push({ key, keyAt: -1, value: convert(item, below(path, key), depth + 1) })
    }
    return { kind: 'map', at: -1, entries }
  }
  return convert(value, '', 1)
}
