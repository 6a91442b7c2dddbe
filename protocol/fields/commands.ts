// Programs with commands: `causeway-hub init --data …`. Chooses the command, reads its arguments, words the help. Pure: the
// program prints what comes back and sets the exit code.

import { asFault, declaredFaults, type Fault, unreachable } from '#protocol/base/mod.ts'
import { parseArgs } from './args.ts'
import { fault } from './faults.ts'
import type { Field } from './field.ts'
import { table } from './layout.ts'
import { describeArgs } from './options.ts'
import { quoted } from './show.ts'
import { listNames, nearest } from './spelling.ts'

/** A command: its settings as a spec, and what it does. `run` gives the exit code. */
export type Command<T> = {
  readonly summary: string
  readonly spec: Field<T>
  readonly positionals?: readonly (keyof T & string)[]
  run(settings: T): Promise<number>
}

// The settings' type is known to the command alone; a table of commands keeps them apart by name.
type AnyCommand = { readonly summary: string; choose(program: string, argv: readonly string[]): Choice }

export type Choice =
  | { readonly kind: 'run'; run(): Promise<number> }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'faults'; readonly faults: readonly Fault[] }

/** Exit codes of all programs: 0 done, 1 failed, 2 wrongly used or wrongly configured. */
export const EXIT_OK = 0
export const EXIT_FAILED = 1
export const EXIT_USAGE = 2

export function command<T>(definition: Command<T>): AnyCommand {
  const { spec, summary, positionals = [] } = definition
  return {
    summary,
    choose(program, argv) {
      const read = parseArgs(spec, argv, { positionals })
      if (!read.ok) return { kind: 'faults', faults: read.fault }
      if (read.help) return { kind: 'help', text: describeArgs(spec, { program, summary, positionals, width: 80 }) }
      return { kind: 'run', run: () => definition.run(read.value) }
    },
  }
}

type Commands = Readonly<Record<string, AnyCommand>>

/**
 * Finds the command in `argv` (without the program's own name). Names may have two words (`flow lint`): the first one
 * alone, and `help` before any, tells of those that begin so.
 */
export function chooseCommand(program: string, commands: Commands, argv: readonly string[]): Choice {
  const [first = '', second = ''] = argv
  if (first === 'help' && second !== '') return chooseCommand(program, commands, [...argv.slice(1), '--help'])
  if (first === '' || first === 'help' || HELP.has(first)) return { kind: 'help', text: overview(program, commands) }
  const two = `${first} ${second}`
  const name = Object.hasOwn(commands, two) ? two : first
  const chosen = Object.hasOwn(commands, name) ? commands[name] : undefined
  const choice = chosen?.choose(`${program} ${name}`, argv.slice(name.split(' ').length))
  if (choice !== undefined && (choice.kind !== 'faults' || second.startsWith('-'))) return choice
  const group = Object.fromEntries(Object.entries(commands).filter(([other]) => other.startsWith(`${first} `)))
  if (HELP.has(second) && Object.keys(group).length > 0) return { kind: 'help', text: overview(program, group) }
  const near = second === '' ? null : nearest(two, Object.keys(choice === undefined ? commands : group))
  if (choice !== undefined && (near === null || name === two)) return choice
  return { kind: 'faults', faults: [fault('ARG_COMMAND', { where: program, ...unknown(argv, near, commands) })] }
}

const HELP: ReadonlySet<string> = new Set(['--help', '-h'])

/** Why there is no such command, and which one may be meant. */
function unknown([first = '', second = '']: readonly string[], near: string | null, commands: Commands) {
  const names = Object.keys(commands)
  const group = names.filter((name) => name.startsWith(`${first} `))
  const typed = quoted(group.length > 0 && second !== '' ? `${first} ${second}` : first)
  const firsts = names.map((name) => name.split(' ', 1)[0] ?? '')
  const meant = near?.includes(' ') || group.length > 0 ? near : nearest(first, [...names, ...firsts])
  if (meant !== null) return { why: `${typed} is none of them; did you mean "${meant}"?` }
  if (group.length === 0) return { why: `${typed} is none of them` }
  return { why: `${typed} is none of them`, todo: `Give one of ${listNames(group, 'and')}` }
}

/** Where a program writes: results to `out`, faults to `err`; and which version it is. */
export type Output = { out(text: string): void; err(text: string): void; readonly version?: () => string }

/**
 * Does what `argv` says and gives the exit code. Faults are told as text, or as JSON when `--json` is among the arguments.
 * A program's `main.ts` is one call of this.
 */
export async function runProgram(
  program: string,
  commands: Commands,
  argv: readonly string[],
  output: Output,
): Promise<number> {
  const json = argv.includes('--json')
  if (output.version !== undefined && (argv[0] === '--version' || argv[0] === 'version')) {
    output.out(json ? JSON.stringify({ version: output.version() }) : `${program} ${output.version()}`)
    return EXIT_OK
  }
  const choice = chooseCommand(program, commands, argv)
  switch (choice.kind) {
    case 'help':
      output.out(choice.text)
      return EXIT_OK
    case 'faults':
      output.err(faultsText(choice.faults, { json }))
      return EXIT_USAGE
    case 'run':
      try {
        return await choice.run()
      } catch (error) {
        const fault = asFault(error)
        output.err(faultsText([fault], { json }))
        // Of settings that are read on the way, such as agent.yaml.
        return declaredFaults().get(fault.code)?.area === 'fields' ? EXIT_USAGE : EXIT_FAILED
      }
    default:
      return unreachable(choice)
  }
}

/** A stream that results go to, such as `process.stdout`. */
export type Sink = { on(event: 'error', listener: (error: Error & { readonly code?: string }) => void): unknown }

/**
 * Minds what becomes of what is printed, for the life of the process. A reader that goes away (`| head -1`) is no failure:
 * the rest is not printed. For anything else, such as a full disk, `failed` is called, once.
 */
export function mindOutput(sink: Sink, failed: (fault: Fault) => void): void {
  let told = false
  sink.on('error', (cause) => {
    if (told || cause.code === 'EPIPE' || cause.code === 'ERR_STREAM_DESTROYED') return
    told = true
    failed(fault('OUTPUT_FAILED', { why: cause.message, cause }))
  })
}

function overview(program: string, commands: Commands): string {
  const rows = Object.entries(commands).map(([name, { summary }]) => [`  ${name}`, summary])
  const known = table(rows, { width: 80, cellMax: 30 })
  return `Usage: ${program} <command> [options]\n\n${known}\n\n${program} <command> --help tells more.`
}

/** Faults as a program tells them: a paragraph each for people, one JSON object for machines. */
export function faultsText(faults: readonly Fault[], options: { readonly json: boolean }): string {
  if (options.json) return JSON.stringify({ faults })
  return faults.map((one) => one.describe()).join('\n')
}
