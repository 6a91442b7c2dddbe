// Starting a broker's program for one measurement.

import { execFile } from 'node:child_process'
import { accessSync, constants, openSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import { freePorts } from '#test/fixtures/ports.ts'
import { hasEnded, startProgram, stop } from '../children.ts'
import type { Server } from './contract.ts'

/** Debian puts servers there; not in every user's PATH. */
const MORE_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin']
const START_MS_MAX = 60_000

/** Where a program is, or null. */
export function locate(program: string): string | null {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), ...MORE_FOLDERS]) {
    const path = join(folder, program)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not in this folder.
    }
  }
  return null
}

/** Not one that the system gives to outgoing connections: who asks whether it is listened on could get an answer of himself. */
export async function freePort(): Promise<number> {
  return (await freePorts(1))[0] as number
}

/** Starts a program that will listen on `port`; resolves when it does. What it says goes into a file in `dir`. */
export async function startServer(options: {
  program: string
  args: readonly string[]
  dir: string
  port: number
  env?: NodeJS.ProcessEnv
}): Promise<Server> {
  const path = locate(options.program) ?? options.program
  const log = join(options.dir, `${options.program.split('/').at(-1)}.log`)
  const output = openSync(log, 'w')
  const { dir: cwd, port, env = {} } = options
  const child = startProgram(path, options.args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', output, output],
  })
  for (const deadline = Date.now() + START_MS_MAX; !(await listens(port)); ) {
    if (!hasEnded(child) && Date.now() < deadline) continue
    await stop(child, 'SIGKILL')
    throw new Error(`${options.program} did not start: ${lastLine(log)}`)
  }
  // Its files are thrown away: no need for it to tidy them up.
  return { port, process: child, stop: () => stop(child, 'SIGKILL') }
}

/** What a program that ends by itself says, on both its outputs. */
export function outputOf(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(locate(program) ?? program, args, (_error, stdout, stderr) => resolve(stdout + stderr))
  })
}

/** False after a moment when nothing listens yet. */
function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => setTimeout(resolve, 50, false))
  })
}

function lastLine(path: string): string {
  return readFileSync(path, 'utf8').trim().split('\n').at(-1) || 'it said nothing'
}
