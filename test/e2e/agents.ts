// Agents as a person runs them: `causeway-agent start` on a folder with flow files, at a hub of the test.

import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import type { AgentStatus } from '#agent/telemetry/mod.ts'
import { start } from './cli.ts'
import { inTime, type LocalHub } from './support.ts'

export type AgentProcess = { end(signal?: NodeJS.Signals): Promise<void> }

export class Agents {
  readonly #t: Test
  readonly #hub: LocalHub

  constructor(t: Test, hub: LocalHub) {
    this.#t = t
    this.#hub = hub
  }

  dataOf(agent: string): string {
    return join(this.#hub.dir, agent)
  }

  /** An agent's folder gets a flow file. */
  writeFlow(agent: string, flow: { flow: string }): string {
    const path = join(this.dataOf(agent), 'flows', `${flow.flow}.yaml`)
    mkdirSync(dirname(path), { recursive: true })
    // JSON is YAML.
    writeFileSync(path, JSON.stringify(flow))
    return path
  }

  statusOf(agent: string): AgentStatus | undefined {
    const path = join(this.dataOf(agent), 'status.json')
    return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as AgentStatus) : undefined
  }

  /** Killed at the end of the test. */
  start(agent: string, ...more: string[]): AgentProcess {
    const t = this.#t
    const data = this.dataOf(agent)
    const child = start('agent', ['start', '--data', data, '--flows', join(data, 'flows'), ...more])
    let ending = false
    t.teardown(() => {
      ending = true
      child.kill('SIGKILL')
    })
    let said = ''
    const started = Promise.withResolvers<void>()
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        said = `${said}${chunk}`.slice(-4000)
        if (said.includes('agent started')) started.resolve()
      })
    }
    const exited = once(child, 'exit')
    child.once('exit', (code) => {
      if (!ending) t.fail(`agent ${agent} ended by itself (${code}): ${said}`)
    })
    return {
      async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
        // Before that it does not know yet what SIGTERM asks for.
        if (signal === 'SIGTERM') await inTime(Promise.race([started.promise, exited]), 'the agent starts')
        ending = true
        child.kill(signal)
        await inTime(exited, 'the agent ends')
        if (signal === 'SIGTERM' && child.exitCode !== 0) throw new Error(`exit ${child.exitCode}: ${said}`)
      },
    }
  }
}
