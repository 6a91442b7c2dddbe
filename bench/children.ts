// The processes a measurement starts, so that none outlives it: each is ended by its process id, also when the benchmark
// itself is interrupted, and by a watchdog when the benchmark is killed and can do nothing any more.

import { type ChildProcess, fork, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { basename, join } from 'node:path'

const running = new Set<ChildProcess>()
const STOP_MS_MAX = 15_000
const SAID_CHARS_MAX = 4096
const QUIET = '--disable-warning=ExperimentalWarning'
let watchdog: ChildProcess | null = null

/** Starts one of bench/roles as a process of its own; it talks through `process.send`. `flags` are for its Node. */
export function startRole(name: string, settings: unknown, flags: readonly string[] = []): ChildProcess {
  const child = fork(join(import.meta.dirname, `./roles/${name}.ts`), [JSON.stringify(settings)], {
    execArgv: [QUIET, ...flags],
  })
  return watched(child)
}

export function startProgram(program: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  return watched(spawn(program, args, options))
}

/** Runs a program to its end; fails with the last line it said, unless that is a success. */
export async function complete(program: string, args: readonly string[]): Promise<string> {
  const child = startProgram(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let [out, said] = ['', '']
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    out = `${out}${text}`.slice(-SAID_CHARS_MAX)
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = `${said}${text}`.slice(-SAID_CHARS_MAX)
  })
  // Rejects when it cannot be started.
  await once(child, 'close')
  if (child.exitCode === 0) return out
  const how = child.signalCode ?? `exit ${child.exitCode}`
  throw new Error(`${basename(program)} failed (${how}): ${said.trim().split('\n').at(-1)}`)
}

/** Says something to a role that may be about to end: then nobody needs to hear it. */
export function tellRole(child: ChildProcess, message: Record<string, number>): void {
  if (child.connected) child.send(message, () => undefined)
}

/** Asks a process to end, and makes it when it does not within 15 s. */
export async function stop(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
  await ended(child, () => child.kill(signal))
}

/** Lets a role end by itself, as one that writes a profile must, and makes it when it does not within 15 s. */
export async function release(child: ChildProcess): Promise<void> {
  await ended(child, () => child.connected && child.disconnect())
}

export function hasEnded({ exitCode, signalCode, pid }: ChildProcess): boolean {
  return pid === undefined || exitCode !== null || signalCode !== null
}

/** Removes the folder when this process is killed before it takes the promise back. */
export function removeIfKilled(folder: string): { readonly takeBack: () => void } {
  tell({ folder })
  return { takeBack: () => tell({ keptFolder: folder }) }
}

async function ended(child: ChildProcess, ask: () => unknown): Promise<void> {
  if (hasEnded(child)) return
  const gone = once(child, 'exit')
  ask()
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
  await gone
  clearTimeout(timer)
}

function watched(child: ChildProcess): ChildProcess {
  const { pid } = child
  running.add(child)
  if (pid !== undefined) tell({ pid })
  child.once('exit', () => {
    running.delete(child)
    if (pid !== undefined) tell({ endedPid: pid })
  })
  return child
}

/** It notices our end because its channel to us closes; it must not keep us from ending. */
function tell(message: Record<string, string | number>): void {
  if (watchdog === null) {
    watchdog = fork(join(import.meta.dirname, './roles/watchdog.ts'), [], { execArgv: [QUIET] })
    watchdog.unref()
    watchdog.channel?.unref()
  }
  if (watchdog.connected) watchdog.send(message, () => undefined)
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    for (const child of running) child.kill('SIGKILL')
    process.kill(process.pid, signal)
  })
}
