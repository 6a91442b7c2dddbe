// The demo's play: hub and agents start, rows move, the hub and two agents are killed in the middle, everything drains.
// State is read by one regular look (`Watch`); the crashes wait for real progress, never for time.

import { join } from 'node:path'
import { type DepartmentCounts, dropStreets, prepareDepartments, streetsFiles } from './departments.ts'
import { fault } from './faults.ts'
import { AGENTS, type AgentName, DATA_PACKAGE_DIR, DEPARTMENTS, type Layout, PROJECT_DIR, TITLES } from './layout.ts'
import { createLibrary, LibraryReader } from './library.ts'
import { DRAIN_MS_MAX, OUTAGE_MS_MAX, READY_MS_MAX, STALL_MS_MAX, TICK_MS } from './limits.ts'
import type { Bar, Progress } from './progress.ts'
import { AGENT, emptyFolder, enrolAgents, HUB, hubStatus, initHub, type Ports } from './stage.ts'
import { AgentMeter, readAgentStatus } from './status.ts'
import { Supervised } from './supervise.ts'
import { Watch } from './watch.ts'

/** Where in the transfer what is killed, as shares: the hub and the centre by rows landed, the department by its own rows. */
const HUB_KILL_SHARE = 0.3
const VILLAGES_KILL_SHARE = 0.55
const CENTRE_KILL_SHARE = 0.75

/** The share of the street files that is dropped only while the hub is away: the department does not notice. */
const STREETS_FIRST_SHARE = 0.5

export type DemoEvent = { readonly atMs: number; readonly text: string }

type Landing = { readonly reader: LibraryReader; count: number; lastMs: number; ratePerSecond: number | null }

export class Demo {
  readonly layout: Layout
  readonly events: DemoEvent[] = []
  readonly hub: Supervised
  readonly agents: Readonly<Record<AgentName, Supervised>>
  readonly meters: Readonly<Record<AgentName, AgentMeter>>
  /** When each agent's counters moved last, and the whole transfer's ends, in `performance.now()` milliseconds. */
  readonly lastMoveMs = new Map<AgentName, number>()
  /** Of all the hub's lives, but for what moved between the last question and its death. */
  hubWireBytes = 0
  transferStartMs = 0
  transferEndMs = 0
  ports: Ports | null = null
  counts: DepartmentCounts | null = null

  readonly #progress: Progress
  readonly #startMs: number
  readonly #watch: Watch
  #landings: { centre: Landing; jieyang: Landing } | null = null
  #isMoving = false
  #note = ''
  #fingerprint = ''
  #lastChangeMs = 0

  constructor(options: { layout: Layout; progress: Progress; startMs: number }) {
    this.layout = options.layout
    this.#progress = options.progress
    this.#startMs = options.startMs
    this.#watch = new Watch((nowMs) => this.#observe(nowMs), TICK_MS)
    const supervised = (name: AgentName | 'hub', args: readonly string[]) =>
      new Supervised({
        name,
        args,
        cwd: PROJECT_DIR,
        log: this.layout.log(name),
        onUnexpectedExit: (_, how) => this.fail(fault('DEMO_PROCESS_EXITED', { where: name, why: how })),
      })
    this.hub = supervised('hub', [HUB, 'start', '--data', this.layout.hubDir])
    this.agents = forAgents((name) => {
      const dir = this.layout.agentDir(name)
      return supervised(name, [AGENT, 'start', '--data', dir, '--flows', join(dir, 'flows')])
    })
    this.meters = forAgents(() => new AgentMeter())
  }

  get processes(): readonly Supervised[] {
    return [this.hub, ...AGENTS.map((name) => this.agents[name])]
  }

  /** Rows the departments hold together. */
  get total(): number {
    const { counts } = this
    return counts === null ? 0 : counts.civil + counts.streets + counts.villages
  }

  fail(reason: unknown): void {
    this.#watch.fail(reason)
  }

  /** Everything up to five connected agents of which the three departments are not started yet. */
  async prepare(): Promise<void> {
    const { layout } = this
    emptyFolder(layout)
    this.counts = prepareDepartments(layout, DATA_PACKAGE_DIR)
    this.#say(`three departments prepared: ${this.total.toLocaleString('en')} rows`)
    this.ports = await initHub(layout, this.#watch.signal)
    this.hub.start()
    await this.#hubReady()
    await enrolAgents(layout, this.#watch.signal)
    this.#say('hub started, five agents enrolled by one-time tokens')
    createLibrary(layout.libraryDb)
    createLibrary(layout.jieyangDb)
    this.#landings = { centre: landing(layout.libraryDb), jieyang: landing(layout.jieyangDb) }
    const names = streetsFiles(layout)
    dropStreets(layout, names.slice(0, Math.ceil(names.length * STREETS_FIRST_SHARE)))
    // Receivers first: the prefecture's subscription must stand before the first record passes.
    for (const name of ['centre', 'jieyang'] as const) this.agents[name].start()
    for (const name of ['centre', 'jieyang'] as const) await this.#connected(name)
    await this.#consuming(['library', 'jieyang:p4452'])
  }

  /** Moves everything, with the crashes in the middle; resolves when all has landed and every spool is empty. */
  async transfer(): Promise<void> {
    this.transferStartMs = performance.now()
    this.#lastChangeMs = this.transferStartMs
    this.#isMoving = true
    for (const name of DEPARTMENTS) this.agents[name].start()
    await Promise.all([this.#crashHub(), this.#crashVillages(), this.#crashCentre(), this.#allLanded()])
    this.#isMoving = false
    const isDrained = () => DEPARTMENTS.every((name) => this.meters[name].latest?.spoolMessages === 0)
    await this.#watch.until('every spool is empty', isDrained, DRAIN_MS_MAX)
    this.#progress.end()
    await this.#countHubBytes()
  }

  /** Writes noted in both libraries so far, repeats included. */
  arrivals(): number {
    if (this.#landings === null) return 0
    return this.#landings.centre.reader.arrivals() + this.#landings.jieyang.reader.arrivals()
  }

  /** Ends everything as an operator would: receivers last. Gives back who had to be killed. */
  async stop(): Promise<string[]> {
    this.#watch.stop()
    const killed: string[] = []
    const stop = async (process: Supervised) => {
      if (!(await process.stop())) killed.push(process.name)
    }
    await Promise.all(DEPARTMENTS.map((name) => stop(this.agents[name])))
    await Promise.all([stop(this.agents.centre), stop(this.agents.jieyang)])
    await stop(this.hub)
    return killed
  }

  /** The last call: no more looks, and no processes unless they are kept. */
  end(options: { isKept: boolean }): void {
    this.#watch.stop()
    if (!options.isKept) this.killNow()
    this.#landings?.centre.reader.close()
    this.#landings?.jieyang.reader.close()
    this.#landings = null
  }

  /** SIGKILL for all, at once. */
  killNow(): void {
    this.#watch.stop()
    for (const process of this.processes) process.killNow()
  }

  async #allLanded(): Promise<void> {
    const { counts, total } = this
    const isLanded = () => this.#landed('centre') >= total && this.#landed('jieyang') >= (counts?.prefecture ?? 0)
    await this.#watch.until('all rows have landed', isLanded, null)
    this.transferEndMs = performance.now()
  }

  async #crashHub(): Promise<void> {
    await this.#watch.until('the hub falls', () => this.#landed('centre') >= HUB_KILL_SHARE * this.total, null)
    const share = this.#share()
    await this.#countHubBytes()
    const downMs = performance.now()
    await this.hub.kill()
    this.#note = 'hub away'
    const late = streetsFiles(this.layout)
    dropStreets(this.layout, late.slice(Math.ceil(late.length * STREETS_FIRST_SHARE)))
    const noticed = () => DEPARTMENTS.every((name) => this.meters[name].latest?.connected === false)
    await Promise.race([
      this.#watch.until('the agents notice', noticed, null),
      this.#watch.until('the outage ends', () => performance.now() - downMs > OUTAGE_MS_MAX, null),
    ])
    this.hub.start()
    await this.#hubReady()
    this.#note = ''
    const awayMs = performance.now() - downMs
    this.#say(`hub killed (SIGKILL) at ${share} landed, ready again after ${(awayMs / 1000).toFixed(1)} s`)
  }

  #crashVillages(): Promise<void> {
    const villages = () => this.meters.villages.rowsOut >= VILLAGES_KILL_SHARE * (this.counts?.villages ?? 0)
    return this.#crashAgent('villages', villages)
  }

  #crashCentre(): Promise<void> {
    return this.#crashAgent('centre', () => this.#landed('centre') >= CENTRE_KILL_SHARE * this.total)
  }

  async #crashAgent(name: AgentName, isTime: () => boolean): Promise<void> {
    await this.#watch.until(`agent ${name} falls`, isTime, null)
    const share = this.#share()
    await this.agents[name].kill()
    this.#watch.signal.throwIfAborted()
    this.agents[name].start()
    this.#say(`agent ${name} killed (SIGKILL) at ${share} landed and started again`)
  }

  async #hubReady(): Promise<void> {
    const url = `http://127.0.0.1:${this.ports?.management}/healthz`
    let isHealthy = false
    let isAsking = false
    const ask = async () => {
      try {
        const answer = await fetch(url, { signal: AbortSignal.timeout(1_000) })
        isHealthy = answer.status === 200
      } catch {
        // Nobody listens yet; the deadline below ends the asking.
      }
      isAsking = false
    }
    const look = () => {
      if (!isAsking && !isHealthy) {
        isAsking = true
        void ask()
      }
      return isHealthy
    }
    await this.#watch.until('the hub is ready', look, READY_MS_MAX)
  }

  async #connected(name: AgentName): Promise<void> {
    const isUp = () => {
      const status = this.meters[name].latest
      return status !== null && status.pid === this.agents[name].pid && status.connected
    }
    await this.#watch.until(`agent ${name} is connected`, isUp, READY_MS_MAX)
  }

  /** Adds what the hub has moved since it was started. */
  async #countHubBytes(): Promise<void> {
    const { wire } = await hubStatus(this.layout, this.#watch.signal)
    this.hubWireBytes += wire.bytesIn + wire.bytesOut
  }

  /** Until the hub says that somebody consumes each of these queues. */
  async #consuming(queues: readonly string[]): Promise<void> {
    const deadlineMs = performance.now() + READY_MS_MAX
    for (;;) {
      const status = await hubStatus(this.layout, this.#watch.signal)
      if (queues.every((name) => status.queues.some((queue) => queue.name === name && queue.consumers > 0))) return
      if (performance.now() > deadlineMs)
        throw fault('DEMO_DEADLINE', { where: 'hub', why: `nobody consumes ${queues.join(', ')}` })
    }
  }

  #observe(nowMs: number): void {
    this.hub.sampleMemory()
    for (const name of AGENTS) this.#observeAgent(name, nowMs)
    if (this.#landings === null) return
    for (const landing of Object.values(this.#landings)) observeLanding(landing, nowMs)
    if (!this.#isMoving) return
    this.#progress.show(this.#bars(), nowMs)
    const fingerprint = [this.arrivals(), ...DEPARTMENTS.map((name) => this.meters[name].rowsOut)].join()
    if (fingerprint !== this.#fingerprint) this.#lastChangeMs = nowMs
    this.#fingerprint = fingerprint
    if (nowMs - this.#lastChangeMs > STALL_MS_MAX) {
      const landed = `${this.#landed('centre')} of ${this.total} rows landed`
      this.fail(fault('DEMO_STALLED', { why: `${landed}, then nothing for ${STALL_MS_MAX / 1000} s` }))
    }
  }

  #observeAgent(name: AgentName, nowMs: number): void {
    const process = this.agents[name]
    if (process.pid === null) return
    process.sampleMemory()
    const meter = this.meters[name]
    const before = meter.rowsOut
    meter.take(readAgentStatus(join(this.layout.agentDir(name), 'status.json')))
    if (meter.rowsOut > before) this.lastMoveMs.set(name, nowMs)
    if (process.rssPeakBytes === null) process.noteRss(meter.latest?.rssBytesMax ?? null)
  }

  #bars(): Bar[] {
    const { counts } = this
    if (counts === null) return []
    const isDone = this.#landed('centre') >= this.total
    const sending = DEPARTMENTS.map((name) => {
      const spooled = this.meters[name].latest?.spoolMessages ?? 0
      // A killed agent's last report may be older than its last rows; once all has landed all was sent.
      const done = isDone ? counts[name] : Math.min(counts[name], this.meters[name].rowsOut)
      return { title: TITLES[name], done, total: counts[name], note: spooled > 0 ? `${spooled} spooled` : '' }
    })
    const rate = this.#landings?.centre.ratePerSecond ?? null
    const note = this.#note || (rate === null ? '' : `${Math.round(rate).toLocaleString('en')}/s`)
    return [
      ...sending,
      { title: 'landed: centre', done: this.#landed('centre'), total: this.total, note },
      { title: 'landed: 4452', done: this.#landed('jieyang'), total: counts.prefecture, note: '' },
    ]
  }

  #landed(where: 'centre' | 'jieyang'): number {
    return this.#landings?.[where].count ?? 0
  }

  #share(): string {
    return `${Math.floor((100 * this.#landed('centre')) / this.total)} %`
  }

  #say(text: string): void {
    const nowMs = performance.now()
    this.events.push({ atMs: Math.round(nowMs - this.#startMs), text })
    this.#progress.say(text, nowMs)
  }
}

function landing(file: string): Landing {
  return { reader: new LibraryReader(file), count: 0, lastMs: 0, ratePerSecond: null }
}

/** The rate is smoothed over about two seconds; for display only. */
function observeLanding(landing: Landing, nowMs: number): void {
  const count = landing.reader.arrivals()
  const elapsedMs = nowMs - landing.lastMs
  if (landing.lastMs > 0 && elapsedMs > 0) {
    const rate = ((count - landing.count) * 1000) / elapsedMs
    const weight = Math.min(1, elapsedMs / 2_000)
    landing.ratePerSecond = (landing.ratePerSecond ?? rate) * (1 - weight) + rate * weight
  }
  landing.count = count
  landing.lastMs = nowMs
}

function forAgents<T>(make: (name: AgentName) => T): Record<AgentName, T> {
  return Object.fromEntries(AGENTS.map((name) => [name, make(name)])) as Record<AgentName, T>
}
