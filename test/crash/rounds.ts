// A hub, a producer with a spool and a consumer with a database, as processes of their own under load; one or two of
// them are killed with SIGKILL again and again. At the end a ledger: every message the spool accepted has had its
// effect exactly once, in the order of its stream, and the hub holds nothing any more.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { contentsOf } from '#hub/store/testing.ts'
import { Random } from '#protocol/bytes/testing.ts'
import { endWithUs, startTestHub, type TestHub } from '../fixtures/hub.ts'

export type ProducerSettings = {
  readonly identity: string
  readonly spool: string
  readonly streams: readonly string[]
  readonly seed: number
}
export type ConsumerSettings = { readonly identity: string; readonly database: string; readonly queue: string }

export type Ledger = {
  readonly rounds: number
  readonly accepted: number
  readonly lost: number
  readonly duplicated: number
  readonly reordered: number
  /** Anything else that should not be; empty when all is well. */
  readonly problems: readonly string[]
}

const QUEUE = 'ledger'
const STREAMS = ['one', 'two']
/** Effects seen before the next kill: the system has come back and works. */
const EFFECTS_PER_ROUND = 800
/** Longest time to come back; a restarted hub and a reconnect take about two seconds on a busy machine. */
const STUCK_MS = 30_000

/** One of our child programs; starting it again continues its work. */
class Worker {
  readonly lines: string[] = []
  onLine: (line: string) => void = () => {}
  private readonly program: string
  private child: ChildProcess | null = null
  private ended: Promise<unknown> = Promise.resolve()

  constructor(program: string) {
    this.program = join(import.meta.dirname, program)
    endWithUs(() => void this.child?.kill('SIGKILL'))
  }

  start(settings: ProducerSettings | ConsumerSettings): void {
    const args = ['--disable-warning=ExperimentalWarning', this.program, JSON.stringify(settings)]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const closed = once(child, 'close')
    const read = once(
      createInterface({ input: child.stdout }).on('line', (line) => this.onLine(line)),
      'close',
    )
    this.child = child
    this.ended = Promise.all([closed, read])
  }

  /** Resolves when it is gone and everything it said was read. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.child?.kill(signal)
    await this.ended
  }
}

export async function runRounds(options: {
  readonly rounds: number
  readonly seed: number
  readonly say: (text: string) => void
}): Promise<Ledger> {
  const hub = await startTestHub({ queues: [{ name: QUEUE, topics: ['crash/#'] }] })
  const scene = new Scene(hub, new Random(options.seed))
  try {
    await scene.begin()
    for (let round = 1; round <= options.rounds; round++) options.say(`round ${round}: ${await scene.round()}`)
    return { rounds: options.rounds, ...(await scene.judge()) }
  } finally {
    await scene.end()
  }
}

class Scene {
  private readonly hub: TestHub
  private readonly random: Random
  private readonly producer = new Worker('producer.ts')
  private readonly consumer = new Worker('consumer.ts')
  private readonly accepted = new Map<string, number>()
  private readonly faults: string[] = []
  private identities = { producer: '', consumer: '' }
  private effects = 0
  /** The producer that runs now has sent something. */
  private producing = false
  /** It has sent everything. */
  private done = false
  private wake: () => void = () => {}

  constructor(hub: TestHub, random: Random) {
    this.hub = hub
    this.random = random
    this.producer.onLine = (line) => this.note(line)
    this.consumer.onLine = (line) => this.note(line)
  }

  async begin(): Promise<void> {
    this.identities = {
      producer: await this.hub.enroll('producer', { publish: ['crash/#'], consume: [] }),
      consumer: await this.hub.enroll('consumer', { publish: [], consume: [QUEUE] }),
    }
    mkdirSync(join(this.hub.dir, 'spool'))
    this.startProducer()
    this.startConsumer()
  }

  /** Waits until work is done again, then kills; gives what was killed. */
  async round(): Promise<string> {
    const goal = this.effects + EFFECTS_PER_ROUND
    await this.until(() => this.effects >= goal, `${EFFECTS_PER_ROUND} more effects`)
    await new Promise((resolve) => setTimeout(resolve, this.random.below(120)))
    const victims = VICTIMS.filter(() => this.random.oneIn(3))
    if (victims.length === 0) victims.push(this.random.pick(VICTIMS))
    await Promise.all(victims.map((victim) => this.kill(victim)))
    return victims.join(' and ')
  }

  /** Lets everything run empty and counts. */
  async judge(): Promise<Omit<Ledger, 'rounds'>> {
    // Before it works it does not know yet what SIGTERM asks for.
    await this.until(() => this.producing, 'the producer')
    const drained = this.producer.end('SIGTERM')
    await this.until(() => this.done, 'the spool to run empty')
    await drained
    const accepted = [...this.accepted.values()].reduce((sum, last) => sum + last, 0)
    await this.until(() => this.effects >= accepted, `${accepted} effects`).catch((error: unknown) => {
      // The ledger says what is missing.
      this.faults.push(String(error))
    })
    const waiting = await this.settled()
    await this.consumer.end('SIGTERM')
    await this.hub.quit()
    const { problems, batches } = await contentsOf(this.hub.dataDir)
    const leaked = batches.size > 0 ? [`the hub still holds ${batches.size} batches`] : []
    return { accepted, ...this.count(), problems: [...this.faults, ...waiting, ...problems, ...leaked] }
  }

  async end(): Promise<void> {
    await Promise.all([this.producer.end('SIGKILL'), this.consumer.end('SIGKILL')])
    await this.hub.stop()
  }

  /** Waits until every queue is empty; gives those that are not. */
  private async settled(): Promise<string[]> {
    const deadlineMs = performance.now() + STUCK_MS
    for (;;) {
      const { queues } = await this.hub.status()
      const waiting = queues.filter(({ depth }) => depth > 0).map(({ name, depth }) => `queue ${name} holds ${depth}`)
      if (waiting.length === 0 || performance.now() > deadlineMs) return waiting
      // The hub tells nobody that a queue is empty.
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  private count(): Pick<Ledger, 'lost' | 'duplicated' | 'reordered'> {
    const database = new DatabaseSync(join(this.hub.dir, 'effects.sqlite'), { readOnly: true })
    try {
      const rows = database.prepare('SELECT number FROM effects WHERE stream = ? ORDER BY id')
      let [lost, duplicated, reordered] = [0, 0, 0]
      for (const stream of STREAMS) {
        const numbers = rows.all(stream).map(({ number }) => Number(number))
        const distinct = new Set(numbers)
        duplicated += numbers.length - distinct.size
        for (let n = 1; n <= (this.accepted.get(stream) ?? 0); n++) if (!distinct.has(n)) lost++
        for (const [i, number] of numbers.entries()) if (i > 0 && number < (numbers[i - 1] as number)) reordered++
      }
      return { lost, duplicated, reordered }
    } finally {
      database.close()
    }
  }

  private async kill(victim: Victim): Promise<void> {
    if (victim === 'hub') {
      await this.hub.kill()
      await this.hub.restart()
    } else if (victim === 'producer') {
      await this.producer.end('SIGKILL')
      this.startProducer()
    } else {
      await this.consumer.end('SIGKILL')
      this.startConsumer()
    }
  }

  private startProducer(): void {
    this.producing = false
    const seed = this.random.u32()
    const { dir } = this.hub
    this.producer.start({ identity: this.identities.producer, spool: join(dir, 'spool'), streams: STREAMS, seed })
  }

  private startConsumer(): void {
    const database = join(this.hub.dir, 'effects.sqlite')
    this.consumer.start({ identity: this.identities.consumer, database, queue: QUEUE })
  }

  private note(line: string): void {
    const [what, first = '', second = ''] = line.split(' ')
    if (what === 'accepted') {
      this.producing = true
      this.accepted.set(first, Math.max(Number(second), this.accepted.get(first) ?? 0))
    } else if (what === 'effects') this.effects = Math.max(this.effects, Number(first))
    else if (what === 'done') this.done = true
    else this.faults.push(line)
    this.wake()
  }

  /** Waits for lines until `reached`. */
  private async until(reached: () => boolean, what: string): Promise<void> {
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      const log = this.hub.log.join('\n')
      late.reject(new Error(`${what} did not come within ${STUCK_MS / 1000} s; the hub says\n${log}`))
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
}

const VICTIMS = ['hub', 'producer', 'consumer'] as const
type Victim = (typeof VICTIMS)[number]
