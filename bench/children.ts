// The processes a measurement starts, so that none outlives it: each is ended by its process id, also when the benchmark
// itself is interrupted.

import { type ChildProcess, fork, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const running = new Set<ChildProcess>()
const STOP_MS_MAX = 15_000

/** Starts one of bench/roles as a process of its own; it talks through `process.send`. */
export function startRole(name: string, settings: unknown): ChildProcess {
  const child = fork(join(import.meta.dirname, `./roles/${name}.ts`), [JSON.stringify(settings)], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  return watched(child)
}

export function startProgram(program: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  return watched(spawn(program, args, options))
}

/** Asks a process to end, and makes it when it does not within 15 s. */
export async function stop(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
  if (hasEnded(child)) return
  const gone = once(child, 'exit')
  child.kill(signal)
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
  await gone
  clearTimeout(timer)
}

export function hasEnded({ exitCode, signalCode, pid }: ChildProcess): boolean {
  return pid === undefined || exitCode !== null || signalCode !== null
}

function watched(child: ChildProcess): ChildProcess {
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const child of running) child.kill('SIGKILL')
    process.kill(process.pid, signal)
  })
}
