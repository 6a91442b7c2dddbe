// Runs the programs as a person would.

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

const root = join(import.meta.dirname, '../..')

export type Ran = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

/** Runs `causeway-hub` or `causeway-agent` to its end; `input` is its standard input. */
export async function run(program: 'hub' | 'agent', args: readonly string[], input = ''): Promise<Ran> {
  const child = start(program, args)
  child.stdin.on('error', () => undefined).end(input)
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { code, stdout, stderr }
}

/** Starts it and leaves it running. The caller ends it. */
export function start(program: 'hub' | 'agent', args: readonly string[]) {
  const flags = ['--disable-warning=ExperimentalWarning']
  return spawn(process.execPath, [...flags, join(root, program, 'main.ts'), ...args], { stdio: 'pipe' })
}
