// The demo's processes: each in a process group of its own, with its log in a file, so that everything can be killed by id
// and a failure can be shown with the last lines of the one that failed.

import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { fault } from './faults.ts'
import { COMMAND_MS_MAX, STOP_MS_MAX, TAIL_BYTES_MAX, TAIL_LINES } from './limits.ts'

export type ProcessSettings = {
  readonly name: string
  /** Arguments for the Node this runs on: the script first. */
  readonly args: readonly string[]
  readonly cwd: string
  readonly log: string
  /** Called when the process ends although nobody asked it to. */
  readonly onUnexpectedExit: (process: Supervised, how: string) => void
}

export class Supervised {
  readonly name: string
  readonly #settings: ProcessSettings
  #child: ChildProcess | null = null
  #exited: Promise<void> = Promise.resolve()
  #isEnding = false
  #starts = 0
  #rssPeakBytes: number | null = null

  constructor(settings: ProcessSettings) {
    this.name = settings.name
    this.#settings = settings
  }

  start(): void {
    if (this.#child !== null) throw new Error(`${this.name} is already running`)
    const { args, cwd, log, onUnexpectedExit } = this.#settings
    mkdirSync(dirname(log), { recursive: true })
    const output = openSync(log, 'a')
    const child = spawn(args[0] as string, args.slice(1), { cwd, detached: true, stdio: ['ignore', output, output] })
    closeSync(output)
    this.#child = child
    this.#isEnding = false
    this.#starts += 1
    this.#exited = new Promise((resolve) => {
      const ended = (how: string) => {
        if (this.#child !== child) return
        this.#child = null
        resolve()
        if (!this.#isEnding) onUnexpectedExit(this, how)
      }
      child.once('error', (error) => ended(error.message))
      child.once('exit', (code, signal) => ended(signal === null ? `exit code ${code}` : `signal ${signal}`))
    })
  }

  get pid(): number | null {
    return this.#child?.pid ?? null
  }

  get restarts(): number {
    return Math.max(0, this.#starts - 1)
  }

  /** The highest resident size seen over all lives of the process; `null` where the system does not tell. */
  get rssPeakBytes(): number | null {
    return this.#rssPeakBytes
  }

  /** Notes the peak. The kernel keeps it (VmHWM), so a look now and then misses nothing but the last moments. */
  sampleMemory(): void {
    const pid = this.pid
    if (pid === null) return
    this.noteRss(readPeakRssBytes(pid))
  }

  /** For systems without /proc: what the process says of itself. */
  noteRss(bytes: number | null): void {
    if (bytes !== null) this.#rssPeakBytes = Math.max(this.#rssPeakBytes ?? 0, bytes)
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.sampleMemory()
    this.#child?.ref()
    this.killNow()
    await this.#exited
  }

  /** The same without waiting, for exit handlers. */
  killNow(): void {
    this.#isEnding = true
    this.#signal('SIGKILL')
  }

  /** SIGTERM, and SIGKILL when that does not end it in time. Gives back whether SIGTERM was enough. */
  async stop(): Promise<boolean> {
    if (this.#child === null) return true
    this.sampleMemory()
    this.#isEnding = true
    this.#child.ref()
    this.#signal('SIGTERM')
    let wasKilled = false
    const timer = setTimeout(() => {
      wasKilled = true
      this.#signal('SIGKILL')
    }, STOP_MS_MAX)
    await this.#exited
    clearTimeout(timer)
    return !wasKilled
  }

  /** Lets the process outlive this one. */
  release(): void {
    this.#isEnding = true
    this.#child?.unref()
  }

  tail(): string[] {
    return tailOf(this.#settings.log)
  }

  #signal(signal: NodeJS.Signals): void {
    const pid = this.pid
    if (pid !== null) signalGroup(pid, signal)
  }
}

/** Signals a process group; one that is already gone is what was wanted. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** The peak resident size of a running process, or `null` where there is no /proc or the process is gone. */
export function readPeakRssBytes(pid: number): number | null {
  try {
    const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return peak === null ? null : Number(peak[1]) * 1024
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ESRCH') return null
    throw error
  }
}

/** The command line of a running process; empty when there is none of this id. */
export function commandOf(pid: number): string {
  if (existsSync('/proc/self')) {
    const file = `/proc/${pid}/cmdline`
    return existsSync(file) ? readFileSync(file, 'utf8').replaceAll('\0', ' ') : ''
  }
  return spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout ?? ''
}

/** The last lines of a log. */
export function tailOf(file: string): string[] {
  if (!existsSync(file)) return []
  const bytes = Math.min(statSync(file).size, TAIL_BYTES_MAX)
  const buffer = Buffer.alloc(bytes)
  const fd = openSync(file, 'r')
  try {
    readSync(fd, buffer, 0, bytes, statSync(file).size - bytes)
  } finally {
    closeSync(fd)
  }
  return buffer.toString('utf8').trimEnd().split('\n').slice(-TAIL_LINES)
}

/** Runs a short command (program first) to its end and gives back what it printed. Faults: `DEMO_COMMAND_FAILED`. */
export function runCommand(args: readonly string[], options: { cwd: string; signal: AbortSignal }): Promise<string> {
  const { cwd, signal } = options
  return new Promise((resolve, reject) => {
    const limits = { timeout: COMMAND_MS_MAX, killSignal: 'SIGKILL', maxBuffer: 4 * 1024 * 1024 } as const
    execFile(args[0] as string, args.slice(1), { cwd, signal, ...limits }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout)
      const said = `${stderr}${stdout}`.trim().split('\n').slice(-TAIL_LINES)
      const why = error.killed === true ? `no end within ${COMMAND_MS_MAX / 1000} s` : `exit code ${error.code}`
      // A token is a secret, used up or not.
      const where = args.map((arg, at) => (args[at - 1] === '--token' ? '…' : arg)).join(' ')
      reject(fault('DEMO_COMMAND_FAILED', { where, why, lines: said, cause: error }))
    })
  })
}
