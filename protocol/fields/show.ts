// How settings and their values are put into words.

import type { Shape } from './field.ts'
import { SHOWN_LENGTH_MAX } from './limits.ts'
import type { Raw } from './raw.ts'
import { listNames } from './spelling.ts'
import { formatBytes, formatDuration } from './units.ts'

/** A text in quotes, escaped and cut. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text)
}

/** A raw value as a fault shows it; never called for what holds a secret. */
export function shown(raw: Raw): string {
  switch (raw.kind) {
    case 'map':
      return raw.entries.length === 0 ? 'an empty map' : `a map with ${listNames(keys(raw.entries), 'and')}`
    case 'list':
      return raw.items.length === 0 ? 'an empty list' : `a list of ${raw.items.length}`
    case 'refused':
      return 'a refused value'
    case 'scalar':
      if (raw.value === null) return 'nothing'
      return typeof raw.value === 'string' || raw.plain ? quoted(raw.source) : String(raw.value)
  }
}

/** What kind of value is expected, as it continues "write …". */
export function expected(shape: Shape): string {
  switch (shape.kind) {
    case 'text':
      return `${textRange(shape.minLength, shape.maxLength)}${shape.example === null ? '' : `, such as ${shape.example}`}`
    case 'integer':
      return `a whole number${span(shape, String)}`
    case 'bytes':
      return `a size${span(shape, formatBytes)}`
    case 'duration':
      return `a duration${span(shape, formatDuration)}`
    case 'boolean':
      return 'true or false'
    case 'choice':
      return shape.values.length === 1 ? shape.values.join('') : `one of ${listNames(shape.values, 'or')}`
    case 'any':
      return 'any value'
    case 'list':
      return `a list of ${shape.item.shape.kind === 'object' ? 'map' : shape.item.shape.kind} values, in [ ] or each on a line after "- "`
    case 'record':
      return `a map of names to ${shape.item.shape.kind} values, such as { name: value }`
    case 'object':
      return `a map with ${listNames(Object.keys(shape.fields), 'and')}`
    case 'either':
      return `${expected(shape.plain.shape)}, or ${expected(shape.map.shape)}`
    case 'variant':
      return `a map with exactly one of ${listNames(Object.keys(shape.types), 'or')}`
  }
}

/** A short name of the kind with its bounds, for tables. */
export function kindName(shape: Shape): string {
  switch (shape.kind) {
    case 'text':
      return shape.secret ? 'text (secret)' : 'text'
    case 'integer':
      return bounds(shape, String) || 'whole number'
    case 'bytes':
      return `size ${bounds(shape, formatBytes)}`.trimEnd()
    case 'duration':
      return `duration ${bounds(shape, formatDuration)}`.trimEnd()
    case 'boolean':
      return 'true, false'
    case 'choice':
      return shape.values.join(', ')
    case 'any':
      return 'any value'
    case 'list':
      return `list of ${kindName(shape.item.shape)}`
    case 'record':
      return `map of ${kindName(shape.item.shape)}`
    case 'object':
      return 'map'
    case 'either':
      return `${kindName(shape.plain.shape)}, or ${kindName(shape.map.shape)}`
    case 'variant':
      return `one of ${Object.keys(shape.types).join(', ')}`
  }
}

/** A value as one would write it in the file. */
export function written(shape: Shape, value: unknown): string {
  if (shape.kind === 'text' && shape.secret) return '(hidden)'
  if (shape.kind === 'bytes') return formatBytes(value as number)
  if (shape.kind === 'duration') return formatDuration(value as number)
  if (typeof value === 'string') return value === '' ? "''" : value
  return JSON.stringify(value)
}

/** Whether a value meant for this setting may hold a secret, at any level. */
export function holdsSecret(shape: Shape): boolean {
  switch (shape.kind) {
    case 'text':
      return shape.secret
    case 'list':
    case 'record':
      return holdsSecret(shape.item.shape)
    case 'either':
      return holdsSecret(shape.plain.shape) || holdsSecret(shape.map.shape)
    case 'object':
      return Object.values(shape.fields).some((field) => holdsSecret(field.shape))
    case 'variant':
      return Object.values(shape.types).some((field) => holdsSecret(field.shape))
    default:
      return false
  }
}

type Range = { readonly min: number; readonly max: number; readonly fallback: unknown }

/** ` from 1 to 10000, such as 1000`; a bound that is only the number type's own is not worth a word. */
function span(range: Range, format: (value: number) => string): string {
  const { min, max, fallback } = range
  const low = min > Number.MIN_SAFE_INTEGER
  const high = max < Number.MAX_SAFE_INTEGER
  const example = typeof fallback === 'number' ? fallback : low ? min : 0
  const words = low && high ? ` from ${format(min)} to ${format(max)}` : low ? ` of at least ${format(min)}` : ''
  return `${words}${!low && high ? ` of at most ${format(max)}` : ''}, such as ${format(example)}`
}

function bounds(range: Range, format: (value: number) => string): string {
  const { min, max } = range
  const low = min > Number.MIN_SAFE_INTEGER
  const high = max < Number.MAX_SAFE_INTEGER
  if (low && high) return `${format(min)}…${format(max)}`
  if (high) return `≤ ${format(max)}`
  return low ? `≥ ${format(min)}` : ''
}

function textRange(min: number, max: number): string {
  return min > 0 ? `a text of ${min} to ${max} characters` : `a text of at most ${max} characters`
}

function keys(entries: readonly { readonly key: string }[]): string[] {
  return entries.map((entry) => quoted(entry.key))
}
