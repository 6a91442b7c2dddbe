// A spec as command line options: `batchRows` is `--batch-rows`, `listen.tcp.port` is `--listen.tcp.port`.

import { assert } from '#protocol/base/mod.ts'
import { presenceOf } from './describe.ts'
import type { Field, Shape } from './field.ts'
import { table } from './layout.ts'
import { kindName } from './show.ts'

/** One setting that an option or an argument gives. */
export type Option = { readonly name: string; readonly path: string; readonly field: Field }

/** Every setting of the spec, and of the maps in it, as an option. */
export function optionsOf(spec: Field, path = '', name = ''): Option[] {
  assert(spec.shape.kind === 'object', 'a command line is read by an object spec')
  return Object.entries(spec.shape.fields).flatMap(([key, field]) => {
    const here = path === '' ? key : `${path}.${key}`
    const option = name === '' ? kebab(key) : `${name}.${kebab(key)}`
    assert(option !== 'help', 'the option --help is taken')
    assert(field.shape.kind !== 'variant', `${here}: variants are for files, not for command lines`)
    return field.shape.kind === 'object' ? optionsOf(field, here, option) : [{ name: option, path: here, field }]
  })
}

/** `batchRows` → `batch-rows`. */
export function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** The text of `--help`. `program` is the command as typed, such as `causeway-hub init`. */
export function describeArgs<T>(
  spec: Field<T>,
  options: {
    readonly program: string
    readonly summary?: string
    readonly positionals?: readonly (keyof T & string)[]
    readonly width?: number
  },
): string {
  const positionals: readonly string[] = options.positionals ?? []
  const all = optionsOf(spec)
  const named = all.filter((option) => !positionals.includes(option.path))
  const args = positionals.flatMap((path) => all.filter((option) => option.path === path))
  const usage = ['Usage:', options.program, '[options]', ...args.map(argumentName)].join(' ')
  const size = { width: (options.width ?? 100) - 2, cellMax: 34 }
  const block = (rows: string[][]): string => table(rows, size).replace(/^/gm, '  ')
  const parts = [usage]
  if (options.summary !== undefined) parts.push(options.summary)
  if (args.length > 0)
    parts.push(`Arguments:\n${block(args.map((one) => [argumentName(one), meaning(one.field.shape)]))}`)
  const rows = named.map((one) => [optionName(one), meaning(one.field.shape)])
  parts.push(`Options:\n${block([...rows, ['--help', 'show this and do nothing else']])}`)
  return parts.join('\n\n')
}

function argumentName(option: Option): string {
  const { shape } = option.field
  const name = shape.kind === 'list' ? `<${option.name}>…` : `<${option.name}>`
  return shape.presence === 'required' ? name : `[${name}]`
}

function optionName(option: Option): string {
  const { shape } = option.field
  switch (shape.kind) {
    case 'boolean':
      return shape.fallback === true ? `--no-${option.name}` : `--${option.name}`
    case 'record':
      return `--${option.name} NAME=VALUE`
    case 'integer':
      return `--${option.name} N`
    case 'bytes':
      return `--${option.name} SIZE`
    case 'duration':
      return `--${option.name} TIME`
    case 'any':
      return `--${option.name} JSON`
    default:
      return `--${option.name} VALUE`
  }
}

function meaning(shape: Shape): string {
  if (shape.kind === 'boolean' && shape.fallback === true) return `do without: ${shape.doc}`
  if (shape.kind === 'boolean') return shape.doc
  const repeated = shape.kind === 'list' || shape.kind === 'record' ? ', may be repeated' : ''
  const kind = shape.kind === 'text' ? '' : `${kindName(shape)}${repeated}`
  const presence = presenceOf(shape)
  const fallback = shape.presence === 'default' ? `default ${presence}` : presence === 'required' ? 'required' : ''
  const notes = [kind, fallback].filter((part) => part !== '')
  return notes.length === 0 ? shape.doc : `${shape.doc} (${notes.join('; ')})`
}
