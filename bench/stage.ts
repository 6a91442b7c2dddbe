// A hub of its own in a folder of its own, and enrolled agents, for one measurement.

import { type ChildProcess, execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fetchStatus } from '#hub/management/mod.ts'
import type { HubStatus } from '#hub/telemetry/mod.ts'
import { hasEnded, removeIfKilled, startProgram, stop } from './children.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')
const work = join(import.meta.dirname, '.work')
const flags = ['--disable-warning=ExperimentalWarning']
const HOST = '127.0.0.1'
const START_MS_MAX = 20_000

/** A folder for one measurement, beside all others: on the same disk. */
export function freshFolder(name: string): { readonly dir: string; readonly remove: () => void } {
  mkdirSync(work, { recursive: true })
  const dir = mkdtempSync(join(work, `${name}-`))
  const { takeBack } = removeIfKilled(dir)
  const remove = () => {
    rmSync(dir, { recursive: true, force: true })
    takeBack()
  }
  return { dir, remove }
}

export type HubOptions = {
  readonly queues: readonly { readonly name: string; readonly topics: readonly string[] }[]
  readonly tls: boolean
  /** 0: any free one; a hub that is started again under its agents needs one of its own. */
  readonly port?: number
}

export class Stage {
  private readonly folder = freshFolder('stage')
  private hub: ChildProcess | null = null

  get dir(): string {
    return this.folder.dir
  }

  get hubDir(): string {
    return join(this.dir, 'hub')
  }

  get hubPid(): number {
    return this.hub?.pid ?? 0
  }

  /** Makes and starts a hub that listens on 127.0.0.1. */
  async startHub({ queues, tls, port = 0 }: HubOptions): Promise<ChildProcess> {
    await this.command('hub/main.ts', 'init', '--data', this.hubDir, '--name', 'bench-hub')
    const config = {
      name: 'bench-hub',
      listen: { tcp: { host: HOST, port, tls }, websocket: { enabled: false } },
      management: { host: HOST, port: 0 },
      queues,
      log: { level: 'warn' },
    }
    // JSON is YAML.
    writeFileSync(join(this.hubDir, 'hub.yaml'), JSON.stringify(config))
    return await this.launchHub()
  }

  /** Starts the hub that is there; resolves when it says where it can be asked. */
  async launchHub(): Promise<ChildProcess> {
    const contact = join(this.hubDir, 'run', 'management.json')
    // A killed hub leaves it behind.
    rmSync(contact, { force: true })
    // The launcher, as an operator starts it: its V8 settings belong to what is measured.
    const hub = startProgram(join(root, 'hub/causeway-hub'), ['start', '--data', this.hubDir], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: hubEnvironment(),
    })
    this.hub = hub
    for (const deadline = Date.now() + START_MS_MAX; !isWhole(contact); ) {
      if (hasEnded(hub)) throw new Error(`the hub ended by itself (${hub.signalCode ?? `exit ${hub.exitCode}`})`)
      if (Date.now() > deadline) throw new Error(`the hub did not start in ${START_MS_MAX / 1000} s`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    return hub
  }

  async killHub(): Promise<void> {
    if (this.hub !== null) await stop(this.hub, 'SIGKILL')
  }

  async enroll(agent: string, tls: boolean): Promise<string> {
    const { listen } = await this.status()
    const address = `${tls ? 'tls' : 'tcp'}://${listen.tcp}`
    const rights = ['--publish', '#', '--consume', '#', '--address', address, '--json']
    const { token } = JSON.parse(
      await this.command('hub/main.ts', 'invite', agent, '--data', this.hubDir, ...rights),
    ) as {
      token: string
    }
    const dir = join(this.dir, agent)
    await this.command('agent/main.ts', 'enroll', '--data', dir, '--token', token)
    return join(dir, 'identity')
  }

  status(): Promise<HubStatus> {
    return fetchStatus(this.hubDir)
  }

  async end(): Promise<void> {
    if (this.hub !== null) await stop(this.hub)
    this.folder.remove()
  }

  private async command(program: string, ...args: string[]): Promise<string> {
    const { stdout } = await run(process.execPath, [...flags, join(root, program), ...args])
    return stdout
  }
}

/** Whether a JSON file is there and written to its end. */
function isWhole(path: string): boolean {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) !== null
  } catch {
    return false
  }
}

/** PROFILE=<folder> has the hub write a V8 CPU profile there when it stops. */
function hubEnvironment(): NodeJS.ProcessEnv {
  const { PROFILE } = process.env
  return PROFILE === undefined ? process.env : { ...process.env, NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${PROFILE}` }
}

/** The most memory a process has had resident so far. */
export const rssBytesMax = (pid: number): number => memoryOf(pid, 'VmHWM')

/** What it has resident now. */
export const rssBytes = (pid: number): number => memoryOf(pid, 'VmRSS')

/** Of that, what is its own and no file's. */
export const ownRssBytes = (pid: number): number => memoryOf(pid, 'RssAnon')

function memoryOf(pid: number, name: 'VmHWM' | 'VmRSS' | 'RssAnon'): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`${name}:\\s+(\\d+)`).exec(text)?.[1] ?? 0) * 1024
}

/** CPU seconds a process has used so far, user and system, to a hundredth. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}
