// Programs with commands: `causeway-hub init --data …`. Chooses the command, reads its arguments, words the help. Pure: the
// program prints what comes back and sets the exit code.

import { asFault, type Fault, unreachable } from '#protocol/base/mod.ts'
import { parseArgs } from './args.ts'
import { fault } from './faults.ts'
import type { Field } from './field.ts'
import { describeArgs } from './options.ts'
import { nearest } from './spelling.ts'

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

/** Finds the command in `argv` (without the program's own name); command names may have two words (`flow lint`). */
export function chooseCommand(
  program: string,
  commands: Readonly<Record<string, AnyCommand>>,
  argv: readonly string[],
): Choice {
  const two = argv.slice(0, 2).join(' ')
  const name = two in commands ? two : (argv[0] ?? '')
  const chosen = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (chosen !== undefined) return chosen.choose(`${program} ${name}`, argv.slice(name.split(' ').length))
  if (name === '' || name === '--help' || name === '-h' || name === 'help') {
    return { kind: 'help', text: overview(program, commands) }
  }
  const near = nearest(name, Object.keys(commands))
  const why = `"${name}" is none of them${near === null ? '' : `; did you mean "${near}"?`}`
  return { kind: 'faults', faults: [fault('ARG_COMMAND', { where: program, why })] }
}

/** Where a program writes: results to `out`, faults to `err`. */
export type Output = { out(text: string): void; err(text: string): void }

/**
 * Does what `argv` says and gives the exit code. Faults are told as text, or as JSON when `--json` is among the arguments.
 * A program's `main.ts` is one call of this.
 */
export async function runProgram(
  program: string,
  commands: Readonly<Record<string, AnyCommand>>,
  argv: readonly string[],
  output: Output,
): Promise<number> {
  const json = argv.includes('--json')
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
        output.err(faultsText([asFault(error)], { json }))
        return EXIT_FAILED
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

function overview(program: string, commands: Readonly<Record<string, AnyCommand>>): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length))
  const rows = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`)
  return [`Usage: ${program} <command> [options]`, '', ...rows, '', `${program} <command> --help tells more.`].join(
    '\n',
  )
}

/** Faults as a program tells them: a paragraph each for people, one JSON object for machines. */
export function faultsText(faults: readonly Fault[], options: { readonly json: boolean }): string {
  if (options.json) return JSON.stringify({ faults })
  return faults.map((one) => one.describe()).join('\n')
}
