// The hub.yaml that `causeway-hub init` writes: every setting with its meaning, made from the spec so that it never lies.

import { assert } from '#protocol/base/mod.ts'
import { type FieldRow, fieldRows } from '#protocol/fields/mod.ts'
import { hubSpec } from './spec.ts'

type Value = string | number | boolean | readonly unknown[]

/** What stands, commented out, behind settings whose default is nothing or an empty list. */
const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  advertise: ['- hub.example.org:7400'],
  queues: [
    '- name: library/divisions',
    '  topics: [divisions/#]',
    '  where: { region: [north, south] }',
    ...inner('queues[].').map((line) => `  ${line}`),
  ],
}

/** What a queue may be told beside where its messages come from. */
function inner(prefix: string): string[] {
  const rows = fieldRows(hubSpec).filter(({ path }) => path.startsWith(prefix))
  return rows.flatMap(({ path, kind, presence, doc }) => {
    const [name = '', below] = path.slice(prefix.length).split('.')
    if (['name', 'topics', 'where'].includes(name.replace(/\[.*/, ''))) return []
    const indent = below === undefined ? '' : '  '
    if (kind === 'map') return [`# ${sentence(doc)}`, `${name}:`]
    const value = presence === 'optional' ? '' : ` ${presence}`
    // What is left out means something of its own: it is only told of.
    const line = value === '' ? [] : [`${indent}${below ?? name}:${value}`]
    return [`${indent}# ${value === '' ? `${name}: ` : ''}${sentence(doc)} (${kind})`, ...line]
  })
}

/**
 * The commented configuration of a new hub. Settings in `set` (dotted names, such as `listen.tcp.port`) are written with
 * these values; all others stand there with their defaults, commented out.
 */
export function defaultHubConfigText(options: {
  readonly name: string
  readonly set?: Readonly<Record<string, Value>>
}): string {
  const set: Readonly<Record<string, Value>> = { ...options.set, name: options.name }
  const rows = fieldRows(hubSpec).filter((row) => !/[[\]]/.test(row.path))
  for (const path of Object.keys(set)) {
    assert(
      rows.some((row) => row.path === path && row.kind !== 'map'),
      `${path} is a setting of hub.yaml`,
    )
  }
  const head = [
    '# Configuration of a Causeway hub, read at start. Lines beginning with # are defaults and examples: remove the # and',
    '# the space behind it to change one. Sizes are written like 64 MiB, durations like 500ms, 10s, 5m.',
  ]
  return `${[...head, ...rows.flatMap((row) => setting(row, set[row.path]))].join('\n')}\n`
}

function setting(row: FieldRow, value: Value | undefined): string[] {
  const depth = row.path.split('.').length - 1
  const indent = '  '.repeat(depth)
  const name = row.path.split('.').at(-1) ?? ''
  const space = depth === 0 || row.kind === 'map' ? [''] : []
  if (row.kind === 'map') return [...space, `${indent}# ${sentence(row.doc)}`, `${indent}${name}:`]
  const doc = `${indent}# ${sentence(row.doc)} (${row.kind})`
  if (value !== undefined) return [...space, doc, `${indent}${name}: ${JSON.stringify(value)}`]
  const example = EXAMPLES[row.path]
  if (example !== undefined) {
    return [...space, doc, `${indent}# ${name}:`, ...example.map((line) => `${indent}#   ${line}`)]
  }
  return [...space, doc, `${indent}# ${name}: ${row.presence}`]
}

function sentence(doc: string): string {
  return doc.charAt(0).toUpperCase() + doc.slice(1)
}
