// A hub of its own in a folder of its own, and enrolled agents, for one measurement.

import { type ChildProcess, execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { HubStatus } from '#hub/telemetry/mod.ts'
import { hasEnded, startProgram, stop } from './children.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')
const work = join(import.meta.dirname, '.work')
const flags = ['--disable-warning=ExperimentalWarning']

/** A folder for one measurement, beside all others: on the same disk. */
export function freshFolder(name: string): { readonly dir: string; readonly remove: () => void } {
  mkdirSync(work, { recursive: true })
  const dir = mkdtempSync(join(work, `${name}-`))
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) }
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

  /** Makes and starts a hub that listens without TLS on a free port of 127.0.0.1. */
  async startHub(options: {
    queues: readonly { name: string; topics: readonly string[] }[]
    tls: boolean
  }): Promise<ChildProcess> {
    await this.command('hub/main.ts', 'init', '--data', this.hubDir, '--name', 'bench-hub')
    const host = '127.0.0.1'
    const config = {
      name: 'bench-hub',
      listen: { tcp: { host, port: 0, tls: options.tls }, websocket: { enabled: false } },
      management: { host, port: 0 },
      queues: options.queues,
      log: { level: 'warn' },
    }
    // JSON is YAML.
    writeFileSync(join(this.hubDir, 'hub.yaml'), JSON.stringify(config))
    // The launcher, as an operator starts it: its V8 settings belong to what is measured.
    this.hub = startProgram(join(root, 'hub/causeway-hub'), ['start', '--data', this.hubDir], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: hubEnvironment(),
    })
    const contact = join(this.hubDir, 'run', 'management.json')
    for (let attempt = 0; ; attempt++) {
      try {
        readFileSync(contact)
        return this.hub
      } catch (error) {
        if (attempt > 200 || hasEnded(this.hub)) throw error
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
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

  async status(): Promise<HubStatus> {
    return JSON.parse(await this.command('hub/main.ts', 'status', '--data', this.hubDir, '--json')) as HubStatus
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

/** PROFILE=<folder> has the hub write a V8 CPU profile there when it stops. */
function hubEnvironment(): NodeJS.ProcessEnv {
  const { PROFILE } = process.env
  return PROFILE === undefined ? process.env : { ...process.env, NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${PROFILE}` }
}

/** The most memory a process has had resident so far. */
export function rssBytesMax(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
}
