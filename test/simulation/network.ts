// A network in memory: connections between agents and the hub whose bytes take their time and can be held up, cut on one
// side or both, or lost. Within one direction of a connection the order is kept, as TCP keeps it; between connections not.

import { Duplex } from 'node:stream'
import type { Process, World } from './clock.ts'

/** Bytes on their way in one direction before the writer has to wait. */
const WINDOW_BYTES = 64 * 1024
/** Time until a side learns of a break, at most. */
const BREAK_MS_MAX = 40

type Item = { readonly what: 'bytes' | 'end' | 'reset'; readonly bytes: Buffer; readonly taken: () => void }

const NOTHING = Buffer.alloc(0)

/** One end of a connection, as the programs see it: they use it as they use a socket. */
export class End extends Duplex {
  readonly owner: Process
  /** Where what is written here goes. */
  out: Direction | null = null
  onBytes: (way: 'in' | 'out', bytes: Buffer) => void = () => {}

  constructor(owner: Process) {
    super({ allowHalfOpen: false })
    this.owner = owner
  }

  override _read(): void {
    // Bytes are pushed when they arrive.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.onBytes('out', chunk)
    this.out?.put({ what: 'bytes', bytes: chunk, taken: done })
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'buffer' as BufferEncoding, done)
  }

  override _final(done: () => void): void {
    this.out?.put({ what: 'end', bytes: NOTHING, taken: nothing })
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.out?.put({ what: 'reset', bytes: NOTHING, taken: nothing })
    done(error)
  }

  override destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', () => this.destroy())
  }

  /** Something arrives. */
  arrive({ what, bytes }: Item): void {
    if (this.destroyed) return
    if (what === 'bytes') {
      this.onBytes('in', bytes)
      this.push(bytes)
    } else if (what === 'end') this.push(null)
    else this.destroy(new Error('read ECONNRESET'))
  }
}

/** One direction of a connection. */
export class Direction {
  /** Nothing that is put here arrives any more. */
  dead = false
  private readonly line: Line
  private readonly to: End
  private readonly name: string
  private queue: { item: Item; atMs: number }[] = []
  private busyUntilMs = 0
  private bytes = 0
  private waiting: (() => void)[] = []
  private scheduled = false

  constructor(line: Line, to: End, name: string) {
    this.line = line
    this.to = to
    this.name = name
  }

  put(item: Item): void {
    if (this.dead) {
      item.taken()
      return
    }
    const { world } = this.line
    this.busyUntilMs = Math.max(this.busyUntilMs, world.nowMs + this.line.latencyMs())
    this.queue.push({ item, atMs: this.busyUntilMs })
    this.bytes += item.bytes.length
    if (this.bytes < WINDOW_BYTES) item.taken()
    else this.waiting.push(item.taken)
    this.arm()
  }

  /** Nothing on its way arrives. */
  lose(): void {
    this.dead = true
    this.queue = []
    this.bytes = 0
    this.wake()
  }

  /** The line is free again. */
  arm(): void {
    const next = this.queue[0]
    if (next === undefined || this.scheduled || this.line.held) return
    this.scheduled = true
    const { world } = this.line
    world.after(Math.max(0, next.atMs - world.nowMs), () => this.deliver(), this.to.owner)
  }

  private deliver(): void {
    this.scheduled = false
    const next = this.queue[0]
    if (next === undefined || this.line.held) return
    this.queue.shift()
    const { item } = next
    const { world } = this.line
    const part = item.what === 'bytes' ? this.line.cutAt(item.bytes.length) : 0
    if (part > 0) {
      // A segment of the network ends where it likes.
      const rest = { ...item, bytes: item.bytes.subarray(part) }
      this.queue.unshift({ item: rest, atMs: world.nowMs + this.line.latencyMs() / 8 })
      this.busyUntilMs = Math.max(this.busyUntilMs, this.queue[0]?.atMs ?? 0)
    }
    const arrives = part > 0 ? { ...item, bytes: item.bytes.subarray(0, part) } : item
    this.bytes -= arrives.bytes.length
    world.log(`${this.name} ${arrives.what}${arrives.what === 'bytes' ? ` ${arrives.bytes.length}` : ''}`)
    this.to.arrive(arrives)
    if (this.bytes < WINDOW_BYTES) this.wake()
    this.arm()
  }

  private wake(): void {
    const { waiting } = this
    this.waiting = []
    for (const taken of waiting) taken()
  }
}

/** What becomes of the two sides of a broken connection: told, or left in the belief that it stands. */
export type Broken = { readonly agent: 'told' | 'silent'; readonly hub: 'told' | 'silent' }

/** A connection. */
export class Line {
  readonly world: World
  readonly agent: string
  readonly name: string
  readonly agentEnd: End
  readonly hubEnd: End
  readonly toHub: Direction
  readonly toAgent: Direction
  private readonly network: Network

  constructor(network: Network, agent: string, number: number, ends: { agent: Process; hub: Process }) {
    this.network = network
    this.world = network.world
    this.agent = agent
    this.name = `${agent}#${number}`
    this.agentEnd = new End(ends.agent)
    this.hubEnd = new End(ends.hub)
    this.toHub = new Direction(this, this.hubEnd, `${this.name} →`)
    this.toAgent = new Direction(this, this.agentEnd, `${this.name} ←`)
    // It may break before anybody listens; that must not end the process.
    for (const end of [this.agentEnd, this.hubEnd]) end.on('error', nothing)
    this.agentEnd.out = this.toHub
    this.hubEnd.out = this.toAgent
  }

  get held(): boolean {
    return this.network.isCutOff(this.agent)
  }

  get over(): boolean {
    return this.toHub.dead && this.toAgent.dead
  }

  latencyMs(): number {
    return this.network.latencyMs(this.agent)
  }

  /** Where a piece of so many bytes is torn in two; 0 when it stays whole. */
  cutAt(bytes: number): number {
    const { random } = this.network
    return this.network.tears && bytes > 1 && random.oneIn(12) ? 1 + random.below(bytes - 1) : 0
  }

  /** What is on its way is lost; each side learns of it at its own time, or not at all. */
  break({ agent, hub }: Broken): void {
    this.world.log(`${this.name} breaks: agent ${agent}, hub ${hub}`)
    this.toHub.lose()
    this.toAgent.lose()
    for (const [end, side] of [
      [this.agentEnd, agent],
      [this.hubEnd, hub],
    ] as const) {
      const told = () => end.arrive({ what: 'reset', bytes: NOTHING, taken: nothing })
      if (side === 'told') this.world.after(this.network.random.below(BREAK_MS_MAX), told, end.owner)
    }
  }
}

export class Network {
  readonly world: World
  readonly random: ReturnType<World['random']>
  readonly lines = new Set<Line>()
  /** Pieces may be torn apart on their way. */
  tears = true
  baseMs = 1
  jitterMs = 4
  /** Told of every new connection, before its first byte. */
  onLine: (line: Line) => void = () => {}
  private readonly cutOff = new Set<string>()
  private readonly slow = new Map<string, number>()
  private hub: { readonly process: Process; accept(end: End, agent: string): void } | null = null
  private count = 0

  constructor(world: World) {
    this.world = world
    this.random = world.random('network')
  }

  listen(process: Process, accept: (end: End, agent: string) => void): void {
    this.hub = { process, accept }
  }

  /** The hub's machine does not answer any more: its connections break, or hang. */
  hubGone(agent: 'told' | 'silent'): void {
    this.hub = null
    for (const line of this.lines) line.break({ agent, hub: 'silent' })
    this.lines.clear()
  }

  agentGone(owner: Process): void {
    for (const line of this.lines) {
      if (line.agentEnd.owner !== owner) continue
      line.break({ agent: 'silent', hub: this.random.oneIn(3) ? 'silent' : 'told' })
      this.lines.delete(line)
    }
  }

  /** The agent's end of a new connection; `null` when nobody answers. */
  async dial(agent: string, timeoutMs: number): Promise<End | null> {
    const { world } = this
    const owner = world.owner
    await world.delay(this.latencyMs(agent))
    if (this.isCutOff(agent)) {
      await world.delay(timeoutMs)
      return null
    }
    const { hub } = this
    if (hub === null) return null
    const line = new Line(this, agent, ++this.count, { agent: owner, hub: hub.process })
    this.lines.add(line)
    world.log(`${line.name} connects`)
    this.onLine(line)
    const accept = () => {
      if (!line.hubEnd.destroyed) hub.accept(line.hubEnd, agent)
    }
    world.after(this.latencyMs(agent), accept, hub.process)
    await world.delay(2 * this.latencyMs(agent))
    return line.agentEnd.destroyed ? null : line.agentEnd
  }

  /** Nothing gets through to or from the agent until it is joined again; nobody is told. */
  cutOffAgent(agent: string): void {
    this.world.log(`network: ${agent} is cut off`)
    this.cutOff.add(agent)
  }

  join(agent: string): void {
    if (!this.cutOff.delete(agent)) return
    this.world.log(`network: ${agent} is joined`)
    for (const line of this.lines) {
      line.toHub.arm()
      line.toAgent.arm()
    }
  }

  isCutOff(agent: string): boolean {
    return this.cutOff.has(agent)
  }

  /** Everything from and to the agent takes so much longer. */
  slowDown(agent: string, ms: number): void {
    this.world.log(`network: ${agent} is slower by ${ms} ms`)
    this.slow.set(agent, ms)
  }

  heal(): void {
    for (const agent of [...this.cutOff]) this.join(agent)
    this.slow.clear()
  }

  latencyMs(agent: string): number {
    const jitterMs = this.jitterMs === 0 ? 0 : this.random.below(1000 * this.jitterMs) / 1000
    return this.baseMs + jitterMs + (this.slow.get(agent) ?? 0)
  }
}

function nothing(): void {
  // Nobody waits for it.
}
