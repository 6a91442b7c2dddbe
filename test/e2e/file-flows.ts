// What the tests of flows with files share: flow files, trees of files dropped whole, and what others see of a folder.

import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Agents } from './agents.ts'
import { eventually, type LocalHub } from './support.ts'

export const KIB = 1024
export const MIB = 1024 * KIB
export const retry = { firstMs: 20, maxMs: 100 }

/** Flows of agents at one hub. */
export class FileFlows {
  readonly #hub: LocalHub
  readonly #agents: Agents

  constructor(hub: LocalHub, agents: Agents) {
    this.#hub = hub
    this.#agents = agents
  }

  /** Out of the agent's folder `drop`, which it gives. `own`: to the topic of the agent that no queue of the hub has. */
  toHub(agent: string, { own = false, ...more }: Record<string, unknown> = {}): string {
    const path = join(this.#agents.dataOf(agent), 'drop')
    mkdirSync(path, { recursive: true })
    this.#agents.writeFlow(agent, {
      flow: 'out',
      source: { directory: { path, format: 'file', subfolders: true, stableMs: 50, pollMs: 50, ...more } },
      destination: { hub: { topic: `${own ? 'own' : 'files'}/${agent}` } },
      retry,
    } as { flow: string })
    return path
  }

  /** Into the agent's folder `in`, which it gives. */
  fromHub(agent: string, source: Record<string, unknown> = { queue: 'files' }): string {
    const path = join(this.#agents.dataOf(agent), 'in')
    this.#agents.writeFlow(agent, {
      flow: 'in',
      source: { hub: { format: 'file', ...source } },
      destination: { directory: { path, format: 'file' } },
      retry,
    } as { flow: string })
    return path
  }

  subscribed(queue: string): boolean {
    return this.#hub.status().queues.some(({ name, consumers }) => name === queue && consumers > 0)
  }

  /** Every file dropped is there once and as it was, and its sender knows. */
  async landed(of: { files: ReadonlyMap<string, Buffer>; from: string; to: string; queue?: string }) {
    const { files, from, to, queue = 'files' } = of
    await eventually('all are at the hub and settled', () => {
      const { tail, depth } = this.#hub.queue(queue)
      return tail >= files.size && depth === 0
    })
    await eventually('all are done', () => pathsIn(join(from, 'done')).length >= files.size)
    return { there: seen(to), done: seen(join(from, 'done')), sent: digests(files) }
  }
}

/** Writes a tree aside and drops it, so that no file is seen half. */
export function drop(folder: string, files: ReadonlyMap<string, Buffer>): void {
  for (const [name, bytes] of files) {
    const path = join(folder, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(join(dirname(path), '.part'), bytes)
    renameSync(join(dirname(path), '.part'), path)
  }
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Paths of the files others see. */
export function pathsIn(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .filter((path) => !path.split('/').some((name) => name.startsWith('.')))
}

/** Their digests. */
export const seen = (folder: string): Record<string, string> =>
  Object.fromEntries(pathsIn(folder).map((path) => [path, sha256(readFileSync(join(folder, path)))]))

export const digests = (files: ReadonlyMap<string, Buffer>): Record<string, string> =>
  Object.fromEntries([...files].map(([name, bytes]) => [name, sha256(bytes)]))

/** Many small ones, some in between, one large. */
export function tree(largeBytes: number): Map<string, Buffer> {
  const files = new Map<string, Buffer>()
  for (let i = 0; i < 300; i++) files.set(`small/${i % 7}/记录 ${i}.txt`, Buffer.from(`record ${i} `.repeat(i)))
  for (let i = 0; i < 12; i++) files.set(`scans/${i}.tif`, randomBytes(100 * KIB + i))
  files.set('empty', Buffer.alloc(0))
  files.set('one.bin', Buffer.from([7]))
  files.set('at the limit.bin', randomBytes(64 * KIB))
  files.set('above it.bin', randomBytes(64 * KIB + 1))
  files.set('plans/site.dwg', randomBytes(largeBytes))
  return files
}
