// A hub of its own in a folder of its own, and enrolled agents, for one measurement.

import { type ChildProcess, execFile, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { HubStatus } from '#hub/telemetry/mod.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')
const work = join(import.meta.dirname, '.work')
const flags = ['--disable-warning=ExperimentalWarning']

export class Stage {
  readonly dir: string
  private hub: ChildProcess | null = null
  private readonly roles: ChildProcess[] = []

  constructor() {
    mkdirSync(work, { recursive: true })
    this.dir = mkdtempSync(join(work, 'stage-'))
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
  }): Promise<void> {
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
    this.hub = spawn(join(root, 'hub/causeway-hub'), ['start', '--data', this.hubDir], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: hubEnvironment(),
    })
    const contact = join(this.hubDir, 'run', 'management.json')
    for (let attempt = 0; ; attempt++) {
      try {
        readFileSync(contact)
        return
      } catch (error) {
        if (attempt > 200 || this.hub.exitCode !== null) throw error
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

  /** Starts a process of this benchmark; it talks through `process.send`. */
  role(name: string, settings: unknown): ChildProcess {
    const child = fork(join(import.meta.dirname, 'roles', `${name}.ts`), [JSON.stringify(settings)], {
      execArgv: flags,
    })
    this.roles.push(child)
    return child
  }

  async end(): Promise<void> {
    for (const child of this.roles) child.kill('SIGKILL')
    if (this.hub !== null && this.hub.exitCode === null) {
      this.hub.kill('SIGTERM')
      await once(this.hub, 'exit')
    }
    rmSync(this.dir, { recursive: true, force: true })
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

/** CPU seconds a process has used so far, user and system. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}
