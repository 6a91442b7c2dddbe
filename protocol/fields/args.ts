// Command lines read by the same specs as files: `--batch-rows 10`, `--batch-rows=10`, `--tls`, `--no-tls`, arguments.

import { assert, type Fault } from '#protocol/base/mod.ts'
import { fault } from './faults.ts'
import type { Field, Shape } from './field.ts'
import { ARG_LENGTH_MAX, ARGS_MAX } from './limits.ts'
import { type Option, optionsOf } from './options.ts'
import { finish } from './parse.ts'
import { Findings, type Origin, type Raw, type RawEntry, type RawScalar, rawFromValue } from './raw.ts'
import { quoted } from './show.ts'
import { listNames, nearest } from './spelling.ts'

/** `help` means that `--help` stands anywhere before `--`: nothing else was looked at; show `describeArgs`. */
export type ParsedArgs<T> =
  | { readonly ok: true; readonly help: false; readonly value: T }
  | { readonly ok: true; readonly help: true; readonly value: null }
  | { readonly ok: false; readonly help: false; readonly fault: Fault[] }

/**
 * Reads arguments (without the program's own name). Maps inside the spec become dotted options (`--listen.tcp.port`), lists
 * and records repeated ones (`--column a --column b`, `--rename from=to`), free-form values JSON. `positionals` names the
 * settings given without an option, in order; a list takes all that is left. Codes: `ARG_…` and the `FIELD_…` of values;
 * `where` is the option or argument.
 */
export function parseArgs<T>(
  spec: Field<T>,
  argv: readonly string[],
  options: { readonly positionals?: readonly (keyof T & string)[] } = {},
): ParsedArgs<T> {
  const end = argv.indexOf('--')
  const before = end < 0 ? argv : argv.slice(0, end)
  if (before.includes('--help') || before.includes('-h')) return { ok: true, help: true, value: null }
  if (argv.length > ARGS_MAX || argv.some((arg) => arg.length > ARG_LENGTH_MAX)) {
    const why = `at most ${ARGS_MAX} arguments of ${ARG_LENGTH_MAX} characters each`
    return { ok: false, help: false, fault: [fault('ARG_TOO_LARGE', { where: 'the command line', why })] }
  }
  const line = new CommandLine(optionsOf(spec), options.positionals ?? [])
  line.take(argv)
  const read = finish(spec, line.raw(), line.origin, line.findings)
  if (read.ok) return { ok: true, help: false, value: read.value }
  return { ok: false, help: false, fault: read.fault }
}

/** What was given for one setting so far. */
type Given = { readonly option: Option; readonly values: Raw[]; readonly entries: RawEntry[] }

class CommandLine {
  readonly findings = new Findings()
  readonly origin: Origin
  readonly #options: readonly Option[]
  readonly #byName: ReadonlyMap<string, Option>
  readonly #positionals: readonly Option[]
  readonly #given = new Map<string, Given>()

  constructor(options: readonly Option[], positionals: readonly string[]) {
    this.#positionals = positionals.map((path) => {
      const found = options.find((option) => option.path === path)
      assert(found !== undefined, `the positional ${path} is a setting of the spec`)
      return found
    })
    this.#options = options
    this.#byName = new Map(options.map((option) => [option.name, option]))
    const named = (path: string): string => this.#named(path)
    this.origin = { missing: 'ARG_MISSING', named, where: (_at, path) => named(path), line: () => '' }
  }

  take(argv: readonly string[]): void {
    const waiting = [...this.#positionals]
    let onlyArguments = false
    for (let index = 0; index < argv.length && !this.findings.full; index += 1) {
      const arg = argv[index] as string
      if (!onlyArguments && arg === '--') onlyArguments = true
      else if (!onlyArguments && (arg.startsWith('--') || /^-\D/.test(arg))) index += this.#option(arg, argv[index + 1])
      else this.#argument(arg, waiting)
    }
  }

  /** The settings given, as a map of maps. */
  raw(): Raw {
    type Tree = Map<string, Tree | Raw>
    const root: Tree = new Map()
    for (const given of this.#given.values()) {
      const steps = given.option.path.split('.')
      let tree = root
      for (const step of steps.slice(0, -1)) {
        const inner = tree.get(step)
        if (inner instanceof Map) tree = inner
        else {
          const made: Tree = new Map()
          tree.set(step, made)
          tree = made
        }
      }
      const value = rawOf(given)
      if (value !== undefined) tree.set(steps.at(-1) as string, value)
    }
    const build = (tree: Tree): Raw => {
      const entries = [...tree].map(([key, value]): RawEntry => {
        return { key, keyAt: -1, value: value instanceof Map ? build(value) : value }
      })
      return { kind: 'map', at: -1, entries }
    }
    return build(root)
  }

  /** Takes an option; gives how many arguments behind it were its value. */
  #option(arg: string, next: string | undefined): 0 | 1 {
    const equals = arg.indexOf('=')
    const typed = equals < 0 ? arg : arg.slice(0, equals)
    const inline = equals < 0 ? undefined : arg.slice(equals + 1)
    const option = arg.startsWith('--') ? this.#byName.get(typed.slice(2)) : undefined
    if (option === undefined) {
      return this.#negatedOrUnknown(typed, inline, next)
    }
    if (option.field.shape.kind === 'boolean') {
      this.#give(option, inline ?? 'true')
      return 0
    }
    if (inline !== undefined) {
      this.#give(option, inline)
      return 0
    }
    if (next === undefined || next.startsWith('--')) {
      const todo = `Write ${typed} VALUE or ${typed}=VALUE: ${option.field.shape.doc}`
      this.#fail('ARG_VALUE', typed, `${typed} needs a value`, todo)
      this.#give(option, null)
      return 0
    }
    this.#give(option, next)
    return 1
  }

  /** Gives how many arguments behind it were its value. */
  #negatedOrUnknown(typed: string, inline: string | undefined, next: string | undefined): 0 | 1 {
    const negated = typed.startsWith('--no-') ? this.#byName.get(typed.slice(5)) : undefined
    if (negated?.field.shape.kind === 'boolean') {
      if (inline === undefined) this.#give(negated, 'false')
      else this.#fail('ARG_VALUE', typed, `${typed} takes no value`, `Write ${typed}, or --${negated.name}=true`)
      return 0
    }
    // `--token:secret` is meant to be `--token=secret`: what stands behind the colon is not shown.
    const name = typed.split(':', 1)[0] ?? ''
    const names = this.#options.flatMap((option) => {
      return option.field.shape.kind === 'boolean' ? [option.name, `no-${option.name}`] : [option.name]
    })
    const suggestion = nearest(name.replace(/^-+/, ''), [...names, 'help'])
    const asked = suggestion === null ? '' : `Did you mean --${suggestion}? `
    const known = listNames([...this.#options.map((option) => `--${option.name}`), '--help'], 'and')
    this.#fail(
      'ARG_UNKNOWN',
      name,
      `there is no option ${quoted(typed === name ? name : `${name}:…`)}`,
      `${asked}Known here: ${known}`,
    )
    // What stands behind the option that was meant is its value, not one argument too many.
    const meant = suggestion === null ? undefined : this.#byName.get(suggestion)
    const takesValue = meant !== undefined && meant.field.shape.kind !== 'boolean' && inline === undefined
    return takesValue && name === typed && next !== undefined && !next.startsWith('-') ? 1 : 0
  }

  #argument(arg: string, waiting: Option[]): void {
    const [option] = waiting
    if (option === undefined) {
      const truth = arg === 'true' || arg === 'false'
      const most = this.#positionals.map((one) => `<${one.name}>`)
      const allowed =
        most.length === 0 ? 'No arguments without an option are taken' : `Taken are ${listNames(most, 'and')}`
      const todo = truth ? `Write --name=${arg} for an option that is true or false` : `${allowed}; see --help`
      this.#fail('ARG_EXTRA', quoted(arg), `${quoted(arg)} is one argument too many`, todo)
      return
    }
    this.#give(option, arg)
    if (option.field.shape.kind !== 'list') waiting.shift()
  }

  /** `null` is a value already reported as missing. */
  #give(option: Option, text: string | null): void {
    const { shape } = option.field
    const given = this.#given.get(option.path) ?? { option, values: [], entries: [] }
    const label = this.#named(option.path)
    const repeatable = shape.kind === 'list' || shape.kind === 'record'
    if (!repeatable && given.values.length > 0) {
      this.#fail('ARG_DUPLICATE', label, `${label} is given more than once`)
      return
    }
    this.#given.set(option.path, given)
    if (text === null) given.values.push({ kind: 'refused', at: -1 })
    else if (shape.kind === 'record') this.#giveEntry(given, text, label)
    else given.values.push(this.#rawValue(shape.kind === 'list' ? shape.item.shape : shape, text, label))
  }

  #giveEntry(given: Given, text: string, label: string): void {
    const equals = text.indexOf('=')
    const key = text.slice(0, Math.max(0, equals))
    if (key === '') {
      given.values.push({ kind: 'refused', at: -1 })
      this.#fail('ARG_VALUE', label, 'a name and a value are needed', `Write ${label} NAME=VALUE`)
      return
    }
    if (given.entries.some((entry) => entry.key === key)) {
      this.#fail('ARG_DUPLICATE', label, `${quoted(key)} is given more than once`)
      return
    }
    given.entries.push({ key, keyAt: -1, value: scalar(text.slice(equals + 1)) })
  }

  #rawValue(shape: Shape, text: string, label: string): Raw {
    if (shape.kind !== 'any' && shape.kind !== 'object' && shape.kind !== 'variant') return scalar(text)
    try {
      return rawFromValue(JSON.parse(text), this.findings, () => label)
    } catch (cause) {
      const why = 'the value is not valid JSON'
      const todo = `Write JSON, such as ${label} '{"name": 1}'; a text needs its quotes: '"text"'`
      this.findings.add(-1, fault('ARG_VALUE', { where: label, why, todo, cause }))
      return { kind: 'refused', at: -1 }
    }
  }

  #named(path: string): string {
    const option = this.#options.find((one) => {
      return path === one.path || path.startsWith(`${one.path}[`) || path.startsWith(`${one.path}.`)
    })
    if (option === undefined) return 'the command line'
    return this.#positionals.includes(option) ? `<${option.name}>` : `--${option.name}`
  }

  #fail(code: Parameters<typeof fault>[0], where: string, why: string, todo?: string): void {
    this.findings.add(-1, fault(code, { where, why, ...(todo === undefined ? {} : { todo }) }))
  }
}

/** Nothing typed says what a value is: the setting's own kind decides. */
function scalar(text: string): RawScalar {
  return { kind: 'scalar', at: -1, value: text, source: text, plain: true }
}

function rawOf(given: Given): Raw | undefined {
  if (given.values.some((value) => value.kind === 'refused')) return { kind: 'refused', at: -1 }
  switch (given.option.field.shape.kind) {
    case 'list':
      return { kind: 'list', at: -1, items: given.values }
    case 'record':
      return { kind: 'map', at: -1, entries: given.entries }
    default:
      return given.values[0]
  }
}
