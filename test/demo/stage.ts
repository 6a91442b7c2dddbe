// Sets the scene: an empty folder, the departments' data, a hub with its own authority, five agents enrolled by tokens.

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { stringify } from 'yaml'
import { freePorts } from '#test/fixtures/ports.ts'
import { fault } from './faults.ts'
import { AGENTS, type AgentName, FLOWS_DIR, type Layout, PROJECT_DIR } from './layout.ts'
import { commandOf, runCommand } from './supervise.ts'

export const HUB = join(PROJECT_DIR, 'hub/causeway-hub')
export const AGENT = join(PROJECT_DIR, 'agent/causeway-agent')

export type Ports = { readonly tcp: number; readonly websocket: number; readonly management: number }

/**
 * Makes the demo's folder anew; its marker holds the id of the demo that works in it. Faults: `DEMO_FOLDER_FOREIGN` when
 * something else lies there, `DEMO_ALREADY_RUNNING`.
 */
export function emptyFolder(layout: Layout): void {
  if (existsSync(layout.root)) {
    const isOurs = existsSync(layout.marker) || readdirSync(layout.root).length === 0
    if (!isOurs) throw fault('DEMO_FOLDER_FOREIGN', { where: layout.root })
    const owner = existsSync(layout.marker) ? Number(readFileSync(layout.marker, 'utf8')) : 0
    if (owner !== process.pid && commandOf(owner).includes('demo/main.ts')) {
      throw fault('DEMO_ALREADY_RUNNING', { where: layout.root, why: `process ${owner}` })
    }
    rmSync(layout.root, { recursive: true, force: true })
  }
  mkdirSync(layout.logsDir, { recursive: true })
  writeFileSync(layout.marker, `${process.pid}\n`)
}

/** `causeway-hub init`, then the demo's own ports and queue in its configuration. */
export async function initHub(layout: Layout, signal: AbortSignal): Promise<Ports> {
  const init = ['init', '--data', layout.hubDir, '--name', 'demo-hub', '--json']
  await runCommand([HUB, ...init], { cwd: PROJECT_DIR, signal })
  const [tcp, websocket, management] = (await freePorts(3)) as [number, number, number]
  const file = join(layout.hubDir, 'hub.yaml')
  const host = '127.0.0.1'
  const config = {
    name: 'demo-hub',
    listen: { tcp: { host, port: tcp }, websocket: { host, port: websocket } },
    management: { host, port: management },
    advertise: [`${host}:${tcp}`],
    queues: [{ name: 'library', topics: ['division/#'] }],
  }
  writeFileSync(file, stringify(config))
  return { tcp, websocket, management }
}

/** Invites and enrols every agent, each with only the rights it needs, and lays its flows into its folder. */
export async function enrolAgents(layout: Layout, signal: AbortSignal): Promise<void> {
  // Invitations one after another: each changes the hub's list. Enrolments at the same time: each makes a key of its own.
  const tokens = new Map<AgentName, string>()
  for (const name of AGENTS) tokens.set(name, await invite(layout, name, signal))
  await Promise.all(
    AGENTS.map(async (name) => {
      const dir = layout.agentDir(name)
      mkdirSync(dirname(dir), { recursive: true })
      const enrol = ['enroll', '--data', dir, '--token', tokens.get(name) as string]
      await runCommand([AGENT, ...enrol], { cwd: PROJECT_DIR, signal })
      cpSync(join(FLOWS_DIR, name), join(dir, 'flows'), { recursive: true })
    }),
  )
}

/** What `causeway-hub status --json` says, as far as the demo asks. */
export type HubReport = {
  readonly queues: readonly { readonly name: string; readonly consumers: number }[]
  readonly wire: { readonly bytesIn: number; readonly bytesOut: number }
}

export async function hubStatus(layout: Layout, signal: AbortSignal): Promise<HubReport> {
  const output = await runCommand([HUB, 'status', '--data', layout.hubDir, '--json'], { cwd: PROJECT_DIR, signal })
  return JSON.parse(output) as HubReport
}

const RIGHTS: Readonly<Record<AgentName, readonly string[]>> = {
  civil: ['--publish', 'division/#'],
  streets: ['--publish', 'division/street'],
  villages: ['--publish', 'division/village'],
  centre: ['--consume', 'library'],
  jieyang: ['--consume', 'division/#'],
}

async function invite(layout: Layout, name: AgentName, signal: AbortSignal): Promise<string> {
  const args = ['invite', name, '--data', layout.hubDir, ...RIGHTS[name], '--json']
  const output = await runCommand([HUB, ...args], { cwd: PROJECT_DIR, signal })
  const { token } = JSON.parse(output) as { token?: unknown }
  if (typeof token === 'string') return token
  throw fault('DEMO_COMMAND_FAILED', { where: `invite ${name}`, why: 'it printed no token', lines: [output.trim()] })
}

/** A path as a person in the project's folder would type it. */
export const shown = (path: string) => relative(PROJECT_DIR, path)
