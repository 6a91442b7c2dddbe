// A spec as documentation: rows for manuals and forms, a text table for terminals.

import type { Field, Shape } from './field.ts'
import { table } from './layout.ts'
import { kindName, written } from './show.ts'

/** One setting: `path` has `[]` for every entry of a list and `NAME` for every name of a record. */
export type FieldRow = {
  readonly path: string
  readonly kind: string
  /** `required`, `optional`, or the default as one would write it. */
  readonly presence: string
  readonly doc: string
}

/** All settings of a spec, outer before inner. */
export function fieldRows(spec: Field, path = ''): FieldRow[] {
  const { shape } = spec
  const heading = path === '' || (shape.kind === 'object' && shape.doc === '') ? [] : [row(shape, path)]
  return [...heading, ...inner(shape, path)]
}

/** The same as a table of at most `width` columns (100 unless told): setting, value, default, meaning. */
export function describeFields(spec: Field, options: { readonly width?: number } = {}): string {
  const rows = fieldRows(spec).map((one) => [one.path, one.kind, one.presence, one.doc])
  return table([['setting', 'value', 'default', 'meaning'], ...rows], { width: options.width ?? 100, cellMax: 30 })
}

/** What stands in the column of defaults. */
export function presenceOf(shape: Shape): string {
  if (shape.presence === 'default') return written(shape, shape.fallback)
  if (shape.presence === 'optional') return 'optional'
  return shape.kind === 'object' ? '' : 'required'
}

function row(shape: Shape, path: string): FieldRow {
  return { path, kind: kindName(shape), presence: presenceOf(shape), doc: shape.doc }
}

function inner(shape: Shape, path: string): FieldRow[] {
  switch (shape.kind) {
    case 'object':
      return Object.entries(shape.fields).flatMap(([name, field]) => fieldRows(field, joined(path, name)))
    case 'variant':
      return Object.entries(shape.types).flatMap(([type, field]) => fieldRows(field, joined(path, type)))
    case 'list':
      return inner(shape.item.shape, `${path}[]`)
    case 'record':
      return inner(shape.item.shape, joined(path, 'NAME'))
    case 'either':
      return [...inner(shape.plain.shape, path), ...inner(shape.map.shape, path)]
    default:
      return []
  }
}

function joined(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}
