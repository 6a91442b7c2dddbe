// Writes messages.gen.ts from the .proto files of this folder: TypeScript types, checks, `encodeX`/`decodeX`, and the
// descriptor, so that a running program carries no .proto parser. Run: node protocol/schema/generate.ts [--check]
//
// Supported: proto3 messages, enums, scalars, `repeated`, `optional`, `oneof`; a bound in a comment (`// @max 64`:
// items
// of a list, bytes of `bytes`, UTF-16 units of `string`; for repeated bytes/string `@each 64` bounds an element).

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import protobuf from 'protobufjs'

const folder = dirname(fileURLToPath(import.meta.url))
const target = join(folder, 'messages.gen.ts')

const NUMBERS: Readonly<Record<string, string | null>> = {
  uint64: 'checkUint64',
  fixed64: 'checkUint64',
  int64: 'checkInt64',
  sint64: 'checkInt64',
  sfixed64: 'checkInt64',
  uint32: 'checkUint32',
  fixed32: 'checkUint32',
  int32: 'checkInt32',
  sint32: 'checkInt32',
  sfixed32: 'checkInt32',
  float: null,
  double: null,
}

/** The text messages.gen.ts must have, from `.proto` texts by file name. */
export function generate(sources: ReadonlyMap<string, string>): string {
  const root = new protobuf.Root()
  let packageName = ''
  for (const [name, source] of sources) {
    const parsed = protobuf.parse(source, root, { keepCase: false, alternateCommentMode: true })
    if (parsed.imports !== undefined) throw new Error(`${name}: imports are not supported, all files share one package`)
    if (packageName !== '' && parsed.package !== packageName) throw new Error(`${name}: package must be ${packageName}`)
    packageName = parsed.package ?? ''
    if (!/^\s*syntax\s*=\s*"proto3"/m.test(source)) throw new Error(`${name}: only proto3 is supported`)
  }
  root.resolveAll()
  const space = root.lookup(packageName)
  if (!(space instanceof protobuf.Namespace)) throw new Error(`no package ${packageName}`)

  const parts: string[] = []
  const makers: string[] = []
  for (const item of space.nestedArray) {
    if (item instanceof protobuf.Enum) parts.push(enumText(item))
    else if (item instanceof protobuf.Type) {
      parts.push(messageText(item))
      makers.push(item.name)
    } else throw new Error(`${item.fullName}: only messages and enums are supported`)
  }
  const body = parts.join('\n')
  const used = [...RUNTIME].filter((name) => new RegExp(`\\b${name}\\b`).test(body) || ALWAYS.has(name)).sort(byName)
  return `${[
    `// Generated from ${[...sources.keys()].join(', ')} by generate.ts. Do not edit: node protocol/schema/generate.ts`,
    '',
    `import { ${used.filter((name) => !TYPES.has(name)).join(', ')} } from './runtime.ts'`,
    `import type { ${used.filter((name) => TYPES.has(name)).join(', ')} } from './runtime.ts'`,
    '',
    descriptorText(root),
    '',
    `const codec = codecs(descriptor, '${packageName}')`,
    '',
    body.trimEnd(),
  ].join('\n')}\n`
}

const ALWAYS = new Set(['codecs', 'raisers', 'Raise', 'Raw'])
const TYPES = new Set(['Raise', 'Raw'])
const RUNTIME = [
  ...ALWAYS,
  ...['checkInt32', 'checkInt64', 'checkLength', 'checkUint32', 'checkUint64', 'copied', 'own'],
]

const byName = (a: string, b: string): number => (a.toLowerCase() < b.toLowerCase() ? -1 : 1)

/** `ROLE_AGENT` of `Role` becomes `Role.AGENT`: the prefix only serves languages without scoped enums. */
function enumText(item: protobuf.Enum): string {
  const prefix = `${item.name.replace(/(?<!^)([A-Z])/g, '_$1').toUpperCase()}_`
  const lines = [...docText(item.comment, ''), `export const ${item.name} = {`]
  for (const [key, id] of Object.entries(item.values)) {
    if (!key.startsWith(prefix)) throw new Error(`${item.name}: ${key} must start with ${prefix}`)
    lines.push(...docText(item.comments[key] ?? null, '  '), `  ${key.slice(prefix.length)}: ${id},`)
  }
  lines.push('} as const', `export type ${item.name} = (typeof ${item.name})[keyof typeof ${item.name}]`, '')
  return lines.join('\n')
}

function messageText(type: protobuf.Type): string {
  if (type.nestedArray.length > 0) throw new Error(`${type.name}: put nested types on the top level`)
  const { name } = type
  const fields = type.fieldsArray.map((field) => field.resolve())
  const lines = [...docText(type.comment, ''), `export type ${name} = {`]
  for (const field of fields) {
    if (field.map) throw new Error(`${name}.${field.name}: maps are not supported`)
    lines.push(...docText(field.comment, '  '), `  readonly ${field.name}: ${typeText(field)}`)
  }
  lines.push('}', '', `const codec${name} = codec('${name}')`, `const raise${name} = raisers('${name}')`, '')
  lines.push(`function shape${name}(raw: Raw): ${name} {`, '  return {')
  for (const field of fields) lines.push(`    ${field.name}: ${shapeText(field)},`)
  lines.push('  }', '}', '')
  const checks = [...fields.flatMap(checkText), ...type.oneofsArray.flatMap(oneofText)]
  const unused = checks.length === 0 ? '_' : ''
  lines.push(`function check${name}(${unused}value: ${name}, ${unused}raise: Raise): void {`, ...checks, '}', '')
  lines.push(
    `export function encode${name}(value: ${name}): Buffer {`,
    `  check${name}(value, raise${name}.unencodable)`,
    `  return codec${name}.encode(value)`,
    '}',
    '',
    `/** Fault: SCHEMA_INVALID. Nothing in the result points into \`bytes\`. */`,
    `export function decode${name}(bytes: Uint8Array): ${name} {`,
    `  const value = shape${name}(codec${name}.decode(bytes))`,
    `  check${name}(value, raise${name}.invalid)`,
    '  return value',
    '}',
    '',
  )
  return lines.join('\n')
}

const isMessage = (field: protobuf.Field): boolean => field.resolvedType instanceof protobuf.Type

/** Absent is `null` for what has presence: `optional`, members of a `oneof`, sub-messages. */
const mayBeAbsent = (field: protobuf.Field): boolean => !field.repeated && (field.partOf !== null || isMessage(field))

function typeText(field: protobuf.Field): string {
  const one = scalarText(field)
  if (field.repeated) return `readonly ${one}[]`
  return mayBeAbsent(field) ? `${one} | null` : one
}

function scalarText(field: protobuf.Field): string {
  if (field.resolvedType !== null) return field.resolvedType.name
  if (field.type in NUMBERS) return 'number'
  if (field.type === 'bytes') return 'Uint8Array'
  if (field.type === 'string') return 'string'
  if (field.type === 'bool') return 'boolean'
  throw new Error(`${field.fullName}: type ${field.type} is not supported`)
}

function shapeText(field: protobuf.Field): string {
  const each = isMessage(field) ? `shape${field.resolvedType?.name}` : field.type === 'bytes' ? 'copied' : null
  if (field.repeated) return each === null ? `raw.${field.name}` : `raw.${field.name}.map(${each})`
  if (!mayBeAbsent(field)) return each === null ? `raw.${field.name}` : `${each}(raw.${field.name})`
  if (each === null) return `own(raw, '${field.name}')`
  return `own(raw, '${field.name}') === null ? null : ${each}(raw.${field.name})`
}

function checkText(field: protobuf.Field): string[] {
  const { name } = field
  const max = bound(field, 'max')
  if (!field.repeated) {
    const lines = valueCheck(field, `value.${name}`, max)
    if (lines.length === 0) return []
    if (!mayBeAbsent(field)) return lines.map((line) => `  ${line}`)
    return [`  if (value.${name} !== null) {`, ...lines.map((line) => `    ${line}`), '  }']
  }
  const count = max === null ? [] : [`  checkLength(value.${name}.length, ${max}, '${name}', raise)`]
  const each = valueCheck(field, 'item', bound(field, 'each'))
  if (each.length === 0) return count
  return [...count, `  for (const item of value.${name}) {`, ...each.map((line) => `    ${line}`), '  }']
}

function valueCheck(field: protobuf.Field, value: string, max: number | null): string[] {
  const { name } = field
  if (field.resolvedType instanceof protobuf.Type) {
    if (max !== null) throw new Error(`${field.fullName}: @max bounds lists, text and bytes`)
    return [`check${field.resolvedType.name}(${value}, raise)`]
  }
  if (field.resolvedType instanceof protobuf.Enum) {
    const unknown = Object.values(field.resolvedType.values).map((id) => `${value} !== ${id}`)
    return [`if (${unknown.join(' && ')}) {`, `  throw raise('${name}', \`unknown value \${${value}}\`)`, '}']
  }
  const number = NUMBERS[field.type]
  if (typeof number === 'string') return [`${number}(${value}, '${name}', raise)`]
  if (max === null) return []
  if (field.type !== 'bytes' && field.type !== 'string') throw new Error(`${field.fullName}: nothing to bound`)
  return [`checkLength(${value}.length, ${max}, '${name}', raise)`]
}

/** protobufjs keeps every member of a oneof it meets; two at once are refused. */
function oneofText(oneof: protobuf.OneOf): string[] {
  if (oneof.isProto3Optional) return []
  const present = oneof.fieldsArray.map((field) => `(value.${field.name} === null ? 0 : 1)`)
  return [`  if (${present.join(' + ')} > 1) throw raise('${oneof.name}', 'more than one alternative')`]
}

function bound(field: protobuf.Field, tag: 'max' | 'each'): number | null {
  const found = new RegExp(`@${tag} (\\d+)`).exec(field.comment ?? '')
  return found === null ? null : Number(found[1])
}

function docText(comment: string | null, indent: string): string[] {
  if (comment === null || comment === undefined || comment.trim() === '') return []
  const lines = comment
    .trim()
    .split('\n')
    .map((line) => line.trim())
  if (lines.length === 1) return [`${indent}/** ${lines[0]} */`]
  return [`${indent}/**`, ...lines.map((line) => `${indent} * ${line}`), `${indent} */`]
}

/** One line per field: short enough to read in a diff. */
function descriptorText(root: protobuf.Root): string {
  const json = JSON.stringify(root.toJSON({ keepComments: false }), null, 2)
  const compact = json.replace(/\{[^{}]*\}/g, (leaf) => leaf.replace(/\s+/g, ' '))
  return `// biome-ignore format: as generated\nconst descriptor = ${compact}`
}

function readSources(): Map<string, string> {
  const names = readdirSync(folder)
    .filter((name) => name.endsWith('.proto'))
    .sort()
  return new Map(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]))
}

/** True when messages.gen.ts is what the .proto files say. */
export function isCurrent(): boolean {
  return readFileSync(target, 'utf8') === generate(readSources())
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes('--check')) {
    if (!isCurrent()) {
      console.error('protocol/schema/messages.gen.ts is stale: run node protocol/schema/generate.ts')
      process.exitCode = 1
    }
  } else {
    writeFileSync(target, generate(readSources()))
  }
}
