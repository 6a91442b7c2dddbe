// One seed's story: producers and consumers at work on all kinds of queues while the network, the disk, the hub and the
// agents' programs fail; then everything heals, runs empty, and is judged.

import { checkStore } from '#hub/store/check.ts'
import type { Random } from '#protocol/bytes/testing.ts'
import { signingKey } from '#protocol/crypto/mod.ts'
import { Process } from './clock.ts'
import type { SimQueue } from './hub.ts'
import { leaseProblem } from './leases.ts'
import { Ledger } from './ledger.ts'
import type { Broken } from './network.ts'
import {
  Consumer,
  collectReceipts,
  type Kind,
  type Manners,
  MemoryProducer,
  SpoolProducer,
  Stream,
} from './programs.ts'
import { SimSpool } from './spool.ts'
import { type Cast, type SimAgent, Stage } from './stage.ts'
import { Wire } from './wire.ts'

/** Who takes part in every simulation. */
export const CAST = { p1: {}, p2: {}, c1: {}, c2: {}, c3: {} } as const

export type Result = {
  readonly seed: number
  readonly violations: readonly string[]
  readonly digest: string
  readonly events: number
  readonly simulatedMs: number
  readonly sent: number
  readonly accepted: number
  readonly effects: number
  readonly lostByRestore: number
  /** The last events, up to the first violation. */
  readonly lines: readonly string[]
}

const STEPS = 40
/** Everything has run empty so long after the last fault: silence is noticed after 15 s, pauses end after 5. */
const HEAL_MS_MAX = 180_000
const SPOOL_EPOCH = 7

export async function play(cast: Cast, seed: number): Promise<Result> {
  const scenario = new Scenario(cast, seed)
  return await scenario.play()
}

type Program = { agent: SimAgent; twin: SimAgent | null; backAtMs: number }

class Scenario {
  private readonly stage: Stage
  private readonly ledger: Ledger
  private readonly random: Random
  private readonly kinds: readonly Kind[]
  private readonly programs = new Map<string, Program>()
  private readonly manners: Manners = { sound: false, workMsMax: 4 }
  private readonly spool: SimSpool
  private readonly streams: { readonly a: Stream; readonly b: Stream; readonly twin: Stream; readonly spool: Stream }
  private producers: MemoryProducer[] = []
  private spoolProducer: SpoolProducer | null = null
  /** Whether the hub is put back to older copies, and whether its operator says so. */
  private readonly restores: 'never' | 'told' | 'untold'
  private readonly retainMs: number
  private log: Consumer | null = null
  private hubBackAtMs = 0
  private lostByRestore = 0
  /** The last events before the first violation. */
  private firstLines: readonly string[] | null = null

  constructor(cast: Cast, seed: number) {
    const random = Stage.randomOf(seed, 'shape')
    const queues = queuesOf(random)
    this.restores = random.oneIn(3) ? random.pick(['told', 'untold']) : 'never'
    this.retainMs = random.pick([0, 400, 60_000])
    this.kinds = KINDS
    this.stage = new Stage({ cast, seed, queues, cacheBytes: random.oneIn(2) ? 0 : 2 ** 20 })
    this.random = this.stage.world.random('scenario')
    this.ledger = new Ledger({
      orders: new Map(this.kinds.map(({ queue, order }) => [queue, queue === 'c3:log' ? 'stream' : order])),
      // A message tried again later moves. A hub put back to an older copy gives positions a second time: it has another
      // store id then, but where nobody says so only from when the first agent has proven it.
      memory: (queue) => (queue === 'work' ? 'identity' : MEMORIES[this.restores]),
      onViolation: (what) => {
        this.stage.world.log(`VIOLATION: ${what}`)
        this.firstLines ??= [...this.stage.world.lines]
      },
    })
    const stream = (name: string) => new Stream(name, this.ledger, (topic) => wantedBy(topic))
    this.streams = { a: stream('p1/a'), b: stream('p1/b'), twin: stream('p1/t'), spool: stream('p2/s') }
    const key = signingKey((cast.identities.get('p2') as { key: Parameters<typeof signingKey>[0] }).key)
    this.spool = new SimSpool({ name: 's', origin: 'p2', key, epoch: SPOOL_EPOCH })
    this.stage.onLine = (line) => void new Wire(line, (what) => this.ledger.broken(what))
    this.stage.world.onStep = (owner) => this.inspect(owner)
  }

  async play(): Promise<Result> {
    await using stage = this.stage
    const { world, hub } = stage
    const { ledger } = this
    try {
      await world.outcome(hub.start(), 'the hub starts')
      for (const name of Object.keys(CAST)) this.startProgram(name)
      await world.advance(100)
      for (let step = 0; step < STEPS && ledger.violations.length === 0; step++) {
        this.publish()
        await this.fault()
        await this.comeBack()
        // Long enough, now and then, for silence to be noticed.
        await world.advance(this.random.oneIn(12) ? this.random.below(20_000) : this.random.below(150))
      }
      await this.heal()
    } catch (error) {
      ledger.broken(error instanceof Error ? `${error.name}: ${error.message}\n${error.stack}` : String(error))
    }
    const { sent, violations, effects } = ledger
    const accepted = [...sent.values()].filter(({ acceptedAtMs }) => acceptedAtMs !== null).length
    return {
      seed: world.seed,
      violations,
      digest: world.digest,
      events: world.events,
      simulatedMs: world.nowMs,
      sent: sent.size,
      accepted,
      effects,
      lostByRestore: this.lostByRestore,
      lines: this.firstLines ?? [...world.lines],
    }
  }

  private inspect(owner: Process): void {
    const { running } = this.stage.hub
    if (running === null || owner !== running.process) return
    const problem = leaseProblem(running)
    if (problem !== null) this.ledger.broken(problem)
  }

  private startProgram(name: string): void {
    const agent = this.stage.agent(name)
    this.programs.set(name, { agent, twin: null, backAtMs: 0 })
    this.runOn(name, agent, false)
  }

  /** The program of that name, on an agent of its own; a twin is a copy of it with the same identity. */
  private runOn(name: string, agent: SimAgent, twin: boolean): void {
    const { ledger, streams } = this
    const { world } = this.stage
    const parts = { world, agent, ledger, random: world.random(`${name}${twin ? ' twin' : ''}`) }
    if (name === 'p1') {
      const made = twin
        ? [new MemoryProducer(parts, streams.twin, { name: 't', receipts: true })]
        : [
            new MemoryProducer(parts, streams.a, { name: 'a', receipts: true }),
            new MemoryProducer(parts, streams.b, { name: 'b', receipts: false }),
          ]
      this.producers = twin ? [...this.producers, ...made] : made
      // A hub that was put back tells some things again.
      if (this.restores === 'never') collectReceipts(parts)
    } else if (name === 'p2') {
      if (!twin) this.spoolProducer = new SpoolProducer(parts, this.spool)
    } else {
      for (const kind of this.kinds) this.consume(parts, kind)
    }
  }

  private consume(parts: ConstructorParameters<typeof Consumer>[0], kind: Kind): void {
    const { agent, random } = parts
    const isLog = kind.queue === 'c3:log'
    if ((agent.name === 'c3') !== isLog) return
    const credit = { creditMessages: random.pick([1, 3, 20, 1000]), creditBytes: random.pick([400, 4000, 2 ** 20]) }
    const manners = isLog ? { ...this.manners, sound: true } : this.manners
    const policy = { retainMs: this.retainMs }
    const options = isLog ? { name: 'log', topics: ['line/#', 'key/#'], policy } : { queue: kind.queue }
    const consumer = new Consumer(parts, kind, {
      manners,
      subscribe: () => agent.client.subscribe({ ...options, ...credit }),
    })
    if (isLog) this.log = consumer
  }

  private publish(): void {
    const { random } = this
    for (let batches = random.below(4); batches > 0; batches--) {
      const { topic } = random.pick(this.kinds.filter(({ queue }) => queue !== 'c3:log'))
      const count = 1 + random.below(6)
      const producer = random.pick([...this.producers, null])
      if (producer !== null) producer.publish(topic, count)
      else {
        this.spool.add(Array.from({ length: count }, () => this.streams.spool.next(topic, random, null)))
        this.programs.get('p2')?.agent.within(() => this.spoolProducer?.pump())
      }
    }
  }

  private async fault(): Promise<void> {
    const { random, stage } = this
    const { hub, network, world } = stage
    const name = random.pick(Object.keys(CAST))
    const program = this.programs.get(name) as Program
    switch (random.below(13)) {
      case 0:
      case 1: {
        const lines = [...network.lines].filter(({ over }) => !over)
        if (lines.length > 0) random.pick(lines).break(random.pick(BREAKS))
        return
      }
      case 2:
        network.cutOffAgent(name)
        world.after(random.oneIn(4) ? 16_000 : random.below(800), () => network.join(name))
        return
      case 3:
        network.slowDown(name, random.pick([0, 0, 30, 200]))
        return
      case 4:
      case 5:
        if (hub.running === null) return
        await (random.oneIn(3)
          ? world.outcome(hub.stop(), 'the hub stops')
          : hub.kill(random.oneIn(3) ? 'silent' : 'told'))
        this.hubBackAtMs = world.nowMs + random.below(600)
        if (this.restores !== 'never' && hub.hasCopy && random.oneIn(2)) await this.restore()
        return
      case 6:
        stage.disk.failsOneIn = random.pick([0, 0, 3, 8])
        stage.disk.latencyMsMax = random.pick([0, 3, 3, 40])
        return
      case 7:
        if (!program.agent.alive) return
        program.agent.kill()
        program.backAtMs = world.nowMs + random.below(500)
        return
      case 8:
        if (program.twin !== null) {
          program.twin.kill()
          program.twin = null
        } else if (name !== 'p2') {
          program.twin = stage.agent(name)
          this.runOn(name, program.twin, true)
        }
        return
      case 9:
        this.manners.workMsMax = random.pick([0, 4, 60])
        return
      case 10:
        if (this.restores !== 'never' && hub.running !== null) hub.copy()
        return
      case 11:
        if (random.oneIn(2)) this.log?.replay()
        else this.redrive()
        return
      default:
    }
  }

  /** An operator puts back what went to the dead letters; where there is an order it would come too late. */
  private redrive(): void {
    const { hub, world } = this.stage
    const { running } = hub
    if (running === null) return
    world.log('hub: dead letters of work are put back')
    world.within(running.process, () => {
      const progress = { report: () => undefined, cancelled: false }
      const failed = (error: unknown) => this.ledger.broken(`redrive fails: ${error}`)
      running.admin.redrive('$dead', { filter: { from: 'work' } }, progress).catch(failed)
    })
  }

  private async restore(): Promise<void> {
    const { hub } = this.stage
    hub.restore()
    if (this.restores === 'told') await hub.markRestored()
  }

  /** What was killed comes back at its time. */
  private async comeBack(): Promise<void> {
    const { hub, world } = this.stage
    if (hub.running === null && world.nowMs >= this.hubBackAtMs) await world.outcome(hub.start(), 'the hub starts')
    for (const [name, { agent, backAtMs }] of this.programs) {
      if (agent.alive || world.nowMs < backAtMs) continue
      const { twin } = this.programs.get(name) as Program
      this.startProgram(name)
      ;(this.programs.get(name) as Program).twin = twin
    }
  }

  /** Nothing fails any more: everything must run empty. */
  private async heal(): Promise<void> {
    const { hub, network, world, disk } = this.stage
    world.log('everything heals')
    network.heal()
    disk.failsOneIn = 0
    disk.latencyMsMax = 3
    this.manners.sound = true
    this.manners.workMsMax = 2
    this.hubBackAtMs = 0
    for (const program of this.programs.values()) {
      program.backAtMs = 0
      program.twin?.kill()
      program.twin = null
    }
    this.producers = this.producers.filter((producer) => producer.agentAlive)
    await this.comeBack()
    const empty = await world.until(() => this.waiting() === null, HEAL_MS_MAX)
    if (!empty) return this.ledger.broken(`it stalls: ${this.waiting()}`)
    // Receipts of the last messages are on their way.
    await world.advance(5000)
    this.judge()
    await world.outcome(hub.stop(), 'the hub stops')
    const report = await world.outcome(
      world.within(new Process('check'), () => checkStore(this.stage.dataDir)),
      'check',
    )
    for (const problem of report.problems) this.ledger.broken(`the store: ${problem}`)
    for (const { why } of report.damaged) this.ledger.broken(`the store: ${why}`)
  }

  /** What is not done yet; `null` when nothing is. */
  private waiting(): string | null {
    const { running } = this.stage.hub
    if (running === null) return 'the hub does not run'
    const open = this.producers.reduce((sum, producer) => sum + producer.open, 0)
    if (open > 0) return `${open} messages are not acknowledged`
    if (this.spool.waiting > 0) return `${this.spool.waiting} batches are in the spool`
    for (const queue of running.store.queues.all()) {
      const { name } = queue.info
      if (this.restores !== 'never' && name.startsWith('receipts/')) continue
      const left = queue.depth + queue.delayed
      if (left > 0 && !name.startsWith('$') && !name.startsWith('inbox/')) return `queue ${name} holds ${left}`
    }
    return null
  }

  private judge(): void {
    const { ledger } = this
    const { running } = this.stage.hub
    if (running === null) return
    const dead = new Set(
      running.admin.peek('$dead', { limit: 100_000, filter: {} }).map(({ preview, from }) => `${preview} ${from}`),
    )
    for (const message of ledger.sent.values()) {
      if (message.acceptedAtMs === null) continue
      for (const queue of message.queues) {
        if (ledger.hasEffect(queue, message.id) || dead.has(`${message.id} ${queue}`)) continue
        if (this.mayBeLost(message.acceptedAtMs)) this.lostByRestore++
        else ledger.broken(`${message.id} was accepted at ${message.acceptedAtMs} ms and is lost in ${queue}`)
      }
      if (message.receipt === null || this.restores !== 'never') continue
      const finals = ledger.finals.get(message.receipt) ?? []
      if (finals.length !== 1) ledger.broken(`${message.id} has ${finals.length} final receipts: ${finals.join(', ')}`)
    }
  }

  /** Only a hub that was put back to before it. */
  private mayBeLost(acceptedAtMs: number): boolean {
    return this.stage.hub.restores.some(({ copiedAtMs, atMs }) => acceptedAtMs >= copiedAtMs && acceptedAtMs <= atMs)
  }
}

const KINDS: readonly Kind[] = [
  { queue: 'work', topic: 'work/item', order: 'none', moves: true },
  { queue: 'lines', topic: 'line/item', order: 'stream', moves: false },
  { queue: 'keys', topic: 'key/item', order: 'key', moves: false },
  { queue: 'tight', topic: 'tight/item', order: 'none', moves: false },
  { queue: 'c3:log', topic: '', order: 'none', moves: false },
]

const MEMORIES = { never: 'position', told: 'store', untold: 'identity' } as const

const BREAKS: readonly Broken[] = [
  { agent: 'told', hub: 'told' },
  { agent: 'told', hub: 'silent' },
  { agent: 'silent', hub: 'told' },
]

function queuesOf(random: Random): SimQueue[] {
  return [
    { name: 'work', topics: ['work/#'], policy: { maxDeliver: random.pick([0, 0, 6]) } },
    { name: 'lines', topics: ['line/#'], policy: { order: 'stream', partitions: random.pick([1, 3, 16]) } },
    { name: 'keys', topics: ['key/#'], policy: { order: 'key', partitions: random.pick([2, 8]) } },
    { name: 'tight', topics: ['tight/#'], policy: { messagesMax: 12 } },
  ]
}

function wantedBy(topic: string): readonly string[] {
  const [first] = topic.split('/')
  if (first === 'work') return ['work']
  if (first === 'tight') return ['tight']
  return [first === 'line' ? 'lines' : 'keys', 'c3:log']
}
