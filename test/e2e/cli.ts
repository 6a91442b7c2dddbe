// Runs the programs as a person would.

import { AsyncLocalStorage } from 'node:async_hooks'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { format } from 'node:util'
import { commands as agentCommands } from '#agent/cli/commands.ts'
import { commands as hubCommands } from '#hub/management/mod.ts'
import { runProgram } from '#protocol/fields/mod.ts'

const root = join(import.meta.dirname, '../..')

export type Ran = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

/** Runs `causeway-hub` or `causeway-agent` to its end; `input` is its standard input. */
export async function run(
  program: 'hub' | 'agent',
  args: readonly string[],
  input: string | Buffer = '',
): Promise<Ran> {
  const child = start(program, args)
  child.stdin.on('error', () => undefined).end(input)
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { code, stdout, stderr }
}

// Commands print by `console`: what is printed on behalf of one that runs here goes to its own output.
const printing = new AsyncLocalStorage<{ stdout: string; stderr: string }>()
for (const [method, stream] of [
  ['log', 'stdout'],
  ['error', 'stderr'],
] as const) {
  const print = console[method]
  console[method] = (...args: unknown[]) => {
    const said = printing.getStore()
    if (said === undefined) print(...args)
    else said[stream] += `${format(...args)}\n`
  }
}

/**
 * The same without a process, which takes most of a command's time: for what neither opens a store nor waits for signals.
 * Knows every command but `start`, which is in the programs' main.ts.
 */
export async function ask(program: 'hub' | 'agent', args: readonly string[]): Promise<Ran> {
  const said = { stdout: '', stderr: '' }
  const commands = program === 'hub' ? hubCommands : agentCommands
  const code = await printing.run(said, () =>
    runProgram(`causeway-${program}`, commands, args, {
      out: (text) => console.log(text),
      err: (text) => console.error(text),
    }),
  )
  return { code, ...said }
}

/** Starts it and leaves it running. The caller ends it. */
export function start(program: 'hub' | 'agent', args: readonly string[]) {
  return spawn(process.execPath, commandLine(program, args), { stdio: 'pipe' })
}

/** What Node is started with. */
export function commandLine(program: 'hub' | 'agent', args: readonly string[]): string[] {
  return ['--disable-warning=ExperimentalWarning', join(root, program, 'main.ts'), ...args]
}
