// The crash test's scene: a hub, a producer with a spool and consumers with a database, as processes of their own under load; they are killed with
// SIGKILL at random or at named points, and go on. At the end a ledger: every message accepted has had its effect exactly
// once, in the order promised, its origin was told its end once, groups took effect whole, and the hub holds nothing any
// more.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { askHub } from '#hub/management/mod.ts'
import { checkStore } from '#hub/store/mod.ts'
import type { Random } from '#protocol/bytes/testing.ts'
import type { TestHub } from '../fixtures/hub.ts'
import type { ConsumerSettings } from './consumer.ts'
import { discardUnflushed } from './discard.ts'
import { type Counts, countLedger } from './ledger.ts'
import { FLOWS, type Flow, SPARE } from './load.ts'
import type { Point } from './points.ts'
import type { ProducerSettings } from './producer.ts'
import { Worker } from './worker.ts'

export type Ledger = Counts & {
  /** How often something was to die at each named point, and did. */
  readonly points: ReadonlyMap<string, { readonly tried: number; readonly reached: number }>
  readonly spoiledBytes: number
}

/** Effects seen in each flow, and in all, before the next kill: the system has come back and all of it works. */
const EFFECTS_PER_FLOW = 10
const EFFECTS_PER_ROUND = 500
/** Longest time to come back; a restarted hub and a reconnect take about two seconds on a busy machine. */
const STUCK_MS = 150_000
/** A point that is not reached by then will not be. */
const POINT_MS = 5000
/** Rounds between two mendings of the consumer's defect, which lasts until the consumer is killed. */
const MEND_ROUNDS = 15

const WORKERS = ['worker-1', 'worker-2'] as const
const VICTIMS = ['hub', 'producer', 'consumer', ...WORKERS] as const
type Victim = (typeof VICTIMS)[number]

export class Scene {
  readonly hub: TestHub
  private readonly random: Random
  private readonly producer = new Worker('producer.ts')
  private readonly consumers = {
    consumer: new Worker('consumer.ts'),
    'worker-1': new Worker('consumer.ts'),
    'worker-2': new Worker('consumer.ts'),
  }
  private readonly accepted = { streams: new Map<string, number>(), groups: new Set<number>() }
  private readonly faults: string[] = []
  private readonly identities = new Map<string, string>()
  /** Since the last kill. */
  private readonly effects = new Map<Flow, number>()
  private readonly reached = new Map<string, { tried: number; reached: number }>()
  private spoiledBytes = 0
  private readonly allPoints: readonly Point[]
  private points: Point[] = []
  private run = 0
  private rounds = 0
  private subscribed = false
  /** The producer that runs now has sent something. */
  private producing = false
  /** It has sent everything. */
  private done = false
  /** Batches the hub refused for now. */
  refusals = 0
  /** Bytes a body may be filled up with. */
  fillingMax = 200
  private rejects = true
  private wake: () => void = () => {}

  constructor(hub: TestHub, random: Random, points: readonly Point[]) {
    this.hub = hub
    this.random = random
    this.allPoints = points
    for (const worker of [this.producer, ...Object.values(this.consumers)]) {
      worker.onLine = (line) => this.note(line)
    }
  }

  async begin(): Promise<void> {
    const flows = ['crash/#']
    const rights = {
      producer: { publish: flows, consume: [] },
      consumer: { publish: [], consume: [...flows, 'plain', 'mixed', 'left', 'right'] },
      'worker-1': { publish: [], consume: ['keyed'] },
      'worker-2': { publish: [], consume: ['keyed'] },
    }
    for (const [name, granted] of Object.entries(rights)) {
      this.identities.set(name, await this.hub.enroll(name, granted))
    }
    mkdirSync(join(this.hub.dir, 'spool'))
    // Its subscriptions stand before there is something to subscribe to.
    this.startConsumer('consumer')
    await this.until(() => this.subscribed, 'the subscriptions')
    this.startProducer()
    for (const name of WORKERS) this.startConsumer(name)
  }

  /** Nothing is consumed until `consumeAgain`. */
  async stopConsuming(): Promise<void> {
    await Promise.all(Object.values(this.consumers).map((consumer) => consumer.end('SIGTERM')))
    this.effects.clear()
  }

  consumeAgain(): void {
    this.startConsumer('consumer')
    for (const name of WORKERS) this.startConsumer(name)
  }

  /** Waits until work is done again, then kills; gives what was killed. */
  async round(): Promise<string> {
    await this.working()
    // A dead letter keeps its whole batch at the hub: from time to time they go.
    if (++this.rounds % MEND_ROUNDS === 0) {
      await this.mend()
      this.rejects = true
    }
    if (this.random.oneIn(2) && this.allPoints.length > 0) return await this.atPoint(this.nextPoint())
    await new Promise((resolve) => setTimeout(resolve, this.random.below(120)))
    const victims = VICTIMS.filter(() => this.random.oneIn(4))
    if (victims.length === 0) victims.push(this.random.pick(VICTIMS))
    await Promise.all(victims.map((victim) => this.kill(victim)))
    this.effects.clear()
    return victims.join(' and ')
  }

  /** The defect is mended: what was rejected is tried again. */
  async mend(): Promise<void> {
    await this.consumers.consumer.end('SIGTERM')
    this.rejects = false
    this.startConsumer('consumer')
    const request = { command: 'redrive', queue: '$dead', all: true } as const
    const { left } = await askHub<{ left: number }>(this.hub.dataDir, request)
    if (left > 0) this.faults.push(`${left} dead letters could not be redriven`)
  }

  /** Lets everything run empty and counts. */
  async judge(): Promise<Ledger> {
    const { hub, faults } = this
    const noted = (error: unknown) => void faults.push(String(error))
    // Before it works it does not know yet what SIGTERM asks for.
    await this.until(() => this.producing, 'the producer')
    this.producer.signal('SIGTERM')
    await this.until(() => this.done, 'the spool to run empty').catch(noted)
    faults.push(...(await this.empty(['$dead', `consumer:${SPARE.name}`])))
    await this.mend()
    faults.push(...(await this.empty([`consumer:${SPARE.name}`])))
    await askHub(hub.dataDir, { command: 'forget', queue: `consumer:${SPARE.name}` }).catch(noted)
    await Promise.all(Object.values(this.consumers).map((consumer) => consumer.end('SIGTERM')))
    await this.producer.end('SIGTERM')
    await hub.quit()
    const { problems, damaged, batches } = await checkStore(hub.dataDir)
    faults.push(...problems, ...damaged.map(({ why }) => why))
    if (batches > 0) faults.push(`the hub still holds ${batches} batches`)
    const counts = countLedger(
      { effects: join(hub.dir, 'effects.sqlite'), receipts: join(hub.dir, 'receipts.sqlite') },
      this.accepted,
    )
    return {
      ...counts,
      problems: [...faults, ...counts.problems],
      points: this.reached,
      spoiledBytes: this.spoiledBytes,
    }
  }

  async end({ keepFolder = false } = {}): Promise<void> {
    const workers = [this.producer, ...Object.values(this.consumers)]
    await Promise.all(workers.map((worker) => worker.end('SIGKILL')))
    await (keepFolder ? this.hub.quit() : this.hub.stop())
  }

  /** Since the last kill that was a round's. */
  get effectsSeen(): number {
    return [...this.effects.values()].reduce((sum, count) => sum + count, 0)
  }

  async working(): Promise<void> {
    const some = (flow: Flow) => (this.effects.get(flow) ?? 0) >= EFFECTS_PER_FLOW
    await this.until(() => this.effectsSeen >= EFFECTS_PER_ROUND && FLOWS.every(some), 'work in every flow')
  }

  private nextPoint(): Point {
    if (this.points.length === 0) {
      this.points = [...this.allPoints].sort((a, b) => a.name.localeCompare(b.name))
      for (let i = this.points.length - 1; i > 0; i--) {
        const j = this.random.below(i + 1)
        ;[this.points[i], this.points[j]] = [this.points[j] as Point, this.points[i] as Point]
      }
    }
    return this.points.pop() as Point
  }

  private async atPoint({ name, victim, when, lasts, among, ask }: Point): Promise<string> {
    const who = victim === 'worker' ? this.random.pick(WORKERS) : victim
    const fuse = { when, lasts, nth: 1 + this.random.below(among) }
    const program = who === 'producer' ? this.producer : who === 'hub' ? this.hub : this.consumers[who]
    if (who === 'hub') this.hub.send(fuse)
    else (program as Worker).arm(fuse)
    const request = ask === 'forget' ? { queue: `consumer:${SPARE.name}` } : { queue: '$dead', all: true }
    // It dies while it answers.
    if (ask !== null) void askHub(this.hub.dataDir, { command: ask, ...request }).catch(() => undefined)
    const late = Promise.withResolvers<boolean>()
    const timer = setTimeout(() => late.resolve(false), POINT_MS)
    const reached = await Promise.race([program.exited.then(() => true), late.promise])
    clearTimeout(timer)
    const known = this.reached.get(name) ?? { tried: 0, reached: 0 }
    this.reached.set(name, { tried: known.tried + 1, reached: known.reached + (reached ? 1 : 0) })
    await this.kill(who)
    if (ask === 'forget') await this.kill('consumer')
    this.effects.clear()
    return reached ? name : `${who} (not reached: ${name})`
  }

  /** Waits until queues are empty; gives those that are not. */
  private async empty(but: readonly string[]): Promise<string[]> {
    const deadlineMs = performance.now() + STUCK_MS
    for (;;) {
      const { queues } = await this.hub.status()
      const waiting = queues
        .filter(({ name, depth }) => depth > 0 && !but.includes(name))
        .map(({ name, depth, inFlight }) => `queue ${name} holds ${depth}, of which ${inFlight} are out`)
      if (waiting.length === 0 || performance.now() > deadlineMs) return waiting
      // The hub tells nobody that a queue is empty.
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  async kill(victim: Victim): Promise<void> {
    if (victim === 'hub') {
      await this.hub.kill()
      if (this.random.oneIn(2)) this.spoiledBytes += await discardUnflushed(this.hub.dataDir, this.random)
      await this.hub.restart()
    } else if (victim === 'producer') {
      await this.producer.end('SIGKILL')
      this.startProducer()
    } else {
      await this.consumers[victim].end('SIGKILL')
      this.startConsumer(victim)
    }
  }

  private startProducer(): void {
    this.producing = false
    const { dir } = this.hub
    const settings: ProducerSettings = {
      identity: this.identities.get('producer') as string,
      spool: join(dir, 'spool'),
      database: join(dir, 'receipts.sqlite'),
      seed: this.random.u32(),
      run: ++this.run,
      fillingMax: this.fillingMax,
    }
    this.producer.start(settings)
  }

  private startConsumer(name: keyof typeof this.consumers): void {
    const settings: ConsumerSettings = {
      identity: this.identities.get(name) as string,
      database: join(this.hub.dir, 'effects.sqlite'),
      flows: name === 'consumer' ? FLOWS.filter((flow) => flow !== 'keyed') : ['keyed'],
      rejects: this.rejects,
    }
    this.consumers[name].start(settings)
  }

  private note(line: string): void {
    const [what, first = '', second = ''] = line.split(' ')
    if (what === 'accepted') {
      this.producing = true
      this.accepted.streams.set(first, Math.max(Number(second), this.accepted.streams.get(first) ?? 0))
    } else if (what === 'group') this.accepted.groups.add(Number(first))
    else if (what === 'effects')
      this.effects.set(first as Flow, (this.effects.get(first as Flow) ?? 0) + Number(second))
    else if (what === 'subscribed') this.subscribed = true
    else if (what === 'done') this.done = true
    else if (what === 'refused') this.refusals++
    else this.faults.push(line)
    this.wake()
  }

  /** Waits for lines until `reached`. */
  async until(reached: () => boolean, what: string): Promise<void> {
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      void this.story().then((story) =>
        late.reject(new Error(`${what} did not come within ${STUCK_MS / 1000} s; ${story}`)),
      )
    }, STUCK_MS)
    try {
      while (!reached()) {
        const line = new Promise<void>((resolve) => {
          this.wake = resolve
        })
        await Promise.race([line, late.promise])
      }
    } finally {
      clearTimeout(timer)
    }
  }

  /** What may explain that nothing goes on. */
  private async story(): Promise<string> {
    const { hub } = this
    const queues = await askHub<{ queues: readonly { name: string; depth: number }[] }>(hub.dataDir, {
      command: 'queues',
      all: true,
    }).then(
      (answer) => answer.queues.filter(({ depth }) => depth > 0).map((queue) => JSON.stringify(queue)),
      (error: unknown) => [`it does not answer: ${String(error)}`],
    )
    // A full store says so for every batch.
    const log = hub.log.filter(
      (line, i, all) => !line.includes('batch refused') || !all[i - 1]?.includes('batch refused'),
    )
    const seen = JSON.stringify([...this.effects])
    return `effects ${seen}; refusals ${this.refusals}; faults ${this.faults.join('; ')}\nqueues\n${queues.join('\n')}\nthe hub says\n${log.join('\n')}`
  }
}
