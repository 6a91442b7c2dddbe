// Runs the programs as a person would.

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
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

/**
 * The same without a process, for what only reads its arguments and answers: help and mistakes. Knows every command but
 * `start`, which is in the programs' main.ts.
 */
export async function ask(program: 'hub' | 'agent', args: readonly string[]): Promise<Ran> {
  const said = { stdout: '', stderr: '' }
  const commands = program === 'hub' ? hubCommands : agentCommands
  const code = await runProgram(`causeway-${program}`, commands, args, {
    out: (line) => {
      said.stdout += `${line}\n`
    },
    err: (line) => {
      said.stderr += `${line}\n`
    },
  })
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
