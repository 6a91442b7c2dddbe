// Agents that are connected over TLS and say nothing: what each costs the hub in memory; then all of them drop their
// connections and come back at once. They are the product's own clients, some thousands in each of a few processes on the
// same machine, so both ends of every handshake share its cores.

import type { ChildProcess } from 'node:child_process'
import { hasEnded, startRole, stop } from '../children.ts'
import { connectionsMax, DIALLING_MAX, enrolCrowd } from '../crowd.ts'
import { firstMessage } from '../flow.ts'
import { freePort } from '../peers/server.ts'
import type { Say, ScenarioResult } from '../report.ts'
import { cpuSeconds, rssBytes, rssBytesMax, Stage } from '../stage.ts'

const TARGET_AGENTS = 10_000
/** When all scenarios run, so that they end in time. Alone, the target's number is measured. */
const DEFAULT_AGENTS = process.env.ONLY === 'idle-agents' ? TARGET_AGENTS : 2000
/** Fewer make a trial. */
const SHORTENED_BELOW = 2000
const PER_PROCESS = 2500
const MEMORY_WANTED_KB = 70
const STORM_WANTED_S = 30
const ARRIVE_MS_MAX = 180_000
const STORM_MS_MAX = 120_000
/** Memory is taken when it has not moved by a hundredth for so long: what the handshakes left behind is collected. */
const SETTLED_MS = 4000
const SETTLE_MS_MAX = 30_000
const POLL_MS = 50

type Storm = { readonly seconds: number; readonly connected: number; readonly failures: number }
type Report = { readonly connected: number; readonly failures: number; readonly stormed?: boolean }

export async function idleAgents(say: Say): Promise<ScenarioResult> {
  const wanted = Number(process.env.AGENTS ?? DEFAULT_AGENTS)
  const agents = Math.min(wanted, connectionsMax())
  const notes: string[] = []
  if (agents < wanted) notes.push(`${agents} agents, not ${wanted}: a process may open no more files here (ulimit -n)`)
  const stage = new Stage()
  const crowd = new Processes()
  try {
    const port = await freePort()
    await stage.startHub({ queues: [], tls: true, port })
    say(`enrolling ${agents} agents …`)
    const files = await enrolCrowd({
      hubDir: stage.hubDir,
      dir: stage.dir,
      address: `tls://127.0.0.1:${port}`,
      count: agents,
      perProcess: PER_PROCESS,
    })
    await settled(stage.hubPid)
    const emptyBytes = rssBytes(stage.hubPid)
    say('connecting them …')
    const arriving = performance.now()
    for (const file of files) await crowd.add(file)
    await crowd.until(agents, ARRIVE_MS_MAX)
    const arriveSeconds = (performance.now() - arriving) / 1000
    say('all are connected; waiting for its memory to settle …')
    await settled(stage.hubPid)
    const idleBytes = rssBytes(stage.hubPid)
    const { sessions } = await stage.status()
    if (sessions.length !== agents) notes.push(`the hub counts ${sessions.length} sessions`)
    const cores = await idleCores(stage.hubPid)
    say('all reconnect at once …')
    const storm = await crowd.storm(stage, agents)
    return resultOf({
      agents,
      processes: files.length,
      bytesPerAgent: (idleBytes - emptyBytes) / agents,
      peakBytes: rssBytesMax(stage.hubPid),
      arriveSeconds,
      cores,
      storm,
      notes,
    })
  } finally {
    await crowd.stop()
    await stage.end()
  }
}

function resultOf(measured: {
  agents: number
  processes: number
  bytesPerAgent: number
  peakBytes: number
  arriveSeconds: number
  cores: number
  storm: Storm
  notes: string[]
}): ScenarioResult {
  const { agents, processes, bytesPerAgent, peakBytes, arriveSeconds, cores, storm, notes } = measured
  const kbPerAgent = bytesPerAgent / 1000
  const stormWanted = (STORM_WANTED_S * agents) / TARGET_AGENTS
  const isOver = storm.connected >= agents
  if (!isOver) notes.push(`after ${STORM_MS_MAX / 1000} s ${storm.connected} of ${agents} were back`)
  return {
    scenario: 'idle-agents',
    unit: 'of the product alone',
    params: {
      agents: agents === TARGET_AGENTS ? agents : `${agents}, scaled from ${TARGET_AGENTS} (AGENTS= sets it)`,
      processes: `hub; ${processes} with up to ${PER_PROCESS} agents each, on the same cores; loopback TLS 1.3`,
      'kb-per-agent': "growth of the hub's VmRSS, once it stands still, in kB (1000 bytes)",
      'storm-s': `every agent closes its connection and dials again in the same moment; ${STORM_WANTED_S} s for ${TARGET_AGENTS}, and in proportion`,
    },
    ours: {
      'kB of hub memory per agent': kbPerAgent,
      'peak memory of hub in MB': peakBytes / 1e6,
      [`agents connected per second, ${DIALLING_MAX} at a time in each process`]: agents / arriveSeconds,
      'agents reconnected per second in the storm': storm.connected / storm.seconds,
      'failed attempts in the storm': storm.failures,
      'cores of hub while all are idle': cores,
    },
    peers: {},
    targets: [
      { name: 'kb-per-agent', want: `<= ${MEMORY_WANTED_KB}`, got: kbPerAgent, ok: kbPerAgent <= MEMORY_WANTED_KB },
      { name: 'storm-s', want: `<= ${stormWanted}`, got: storm.seconds, ok: isOver && storm.seconds <= stormWanted },
    ],
    notes,
    shortened: agents < SHORTENED_BELOW,
  }
}

/** The processes that hold the agents, and what they last said. */
class Processes {
  private readonly children: ChildProcess[] = []
  private readonly latest = new Map<ChildProcess, Report>()

  get connected(): number {
    return this.sum((report) => report.connected)
  }

  async add(file: string): Promise<void> {
    const child = startRole('crowd', { file })
    this.children.push(child)
    this.latest.set(child, await firstMessage<Report>(child, 'crowd'))
    child.on('message', (report) => this.latest.set(child, report as Report))
  }

  async until(agents: number, msMax: number): Promise<void> {
    for (const deadline = performance.now() + msMax; this.connected < agents; ) {
      if (performance.now() > deadline) throw new Error(`only ${this.connected} of ${agents} agents could connect`)
      await this.moment()
    }
  }

  /** Over when the agents say so and the hub has the sessions. */
  async storm(stage: Stage, agents: number): Promise<Storm> {
    const startMs = performance.now()
    // What they said before does not count any more.
    const begun = this.children.map((child) => this.stormed(child))
    await Promise.all(begun)
    while (performance.now() - startMs < STORM_MS_MAX) {
      await this.moment()
      if (this.connected < agents) continue
      const { sessions } = await stage.status()
      if (sessions.length >= agents) break
    }
    const seconds = (performance.now() - startMs) / 1000
    return { seconds, connected: this.connected, failures: this.sum((report) => report.failures) }
  }

  async stop(): Promise<void> {
    await Promise.all(this.children.map((child) => stop(child, 'SIGKILL')))
  }

  private stormed(child: ChildProcess): Promise<void> {
    return new Promise((resolve, reject) => {
      const listen = (report: Report) => {
        if (report.stormed !== true) return
        child.off('message', listen)
        resolve()
      }
      child.on('message', listen)
      child.once('exit', () => reject(new Error('the agents ended by themselves')))
      child.send('storm')
    })
  }

  private sum(of: (report: Report) => number): number {
    let sum = 0
    for (const report of this.latest.values()) sum += of(report)
    return sum
  }

  private async moment(): Promise<void> {
    if (this.children.some(hasEnded)) throw new Error('the agents ended by themselves')
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** Resolves when the process's memory has stood still for a while. */
async function settled(pid: number): Promise<void> {
  let bytes = rssBytes(pid)
  let sinceMs = performance.now()
  for (const deadline = sinceMs + SETTLE_MS_MAX; performance.now() < deadline; ) {
    await new Promise((resolve) => setTimeout(resolve, 250))
    const now = rssBytes(pid)
    const nowMs = performance.now()
    if (Math.abs(now - bytes) > bytes / 100) {
      bytes = now
      sinceMs = nowMs
    }
    if (nowMs - sinceMs >= SETTLED_MS) return
  }
}

/** Cores used over two seconds. */
async function idleCores(pid: number): Promise<number> {
  const [before, startMs] = [cpuSeconds(pid), performance.now()]
  await new Promise((resolve) => setTimeout(resolve, 2000))
  return ((cpuSeconds(pid) - before) * 1000) / (performance.now() - startMs)
}
