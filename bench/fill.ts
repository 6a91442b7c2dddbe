// Filling queues and emptying them again, by a role each, so that a scenario can look at what lies in between.

import type { ChildProcess } from 'node:child_process'
import type { SubscribeOptions } from '#agent/client/mod.ts'
import { hasEnded, startRole } from './children.ts'
import { firstMessage, type Sample } from './flow.ts'

/** On the filler's clock. */
type Progress = { readonly first: number; readonly acknowledged: number; readonly atMs: number }

/** Nothing acknowledged or received for so long: given up. */
const STALL_MS_MAX = 15_000
const POLL_MS = 20
/** Messages that come twice have this long to show. */
const AFTER_MS = 300

export class Filler {
  readonly process: ChildProcess
  private samples: Progress[] = []

  private constructor(process: ChildProcess) {
    this.process = process
    process.on('message', (sample: Progress) => this.samples.push(sample))
  }

  /** `identity` is an agent's folder. */
  static async start(settings: { identity: string; topic: string; bodyBytes: number }): Promise<Filler> {
    const process = startRole('filler', settings)
    await firstMessage(process, 'filler')
    return new Filler(process)
  }

  /** Publishes messages numbered from `first` on; resolves when all are acknowledged. Gives how it went. */
  async fill(first: number, messages: number, say: (acknowledged: number) => void = () => undefined): Promise<Filled> {
    this.samples = []
    this.process.send({ first, messages })
    const done = () => this.samples.findLast((sample) => sample.first === first)?.acknowledged ?? 0
    await until(this.process, done, messages, say)
    return new Filled(this.samples.filter((sample) => sample.first === first))
  }
}

export class Filled {
  private readonly samples: readonly Progress[]

  constructor(samples: readonly Progress[]) {
    this.samples = samples
  }

  /** Messages acknowledged per second while the numbers between two shares of all were. */
  perSecond(fromShare = 0, toShare = 1): number {
    const total = this.samples.at(-1)?.acknowledged ?? 0
    const [from, to] = [fromShare, toShare].map((share) =>
      this.samples.find(({ acknowledged }) => acknowledged >= total * share),
    )
    if (from === undefined || to === undefined || to.atMs === from.atMs) return 0
    return ((to.acknowledged - from.acknowledged) * 1000) / (to.atMs - from.atMs)
  }
}

export type Drained = {
  readonly perSecond: number
  readonly lost: number
  readonly twice: number
  readonly outOfOrder: number
}

/** Consumes as `identity` until `messages` have come, or none come any more. The process is left to the caller to end. */
export async function drain(options: {
  identity: string
  subscriptions: readonly SubscribeOptions[]
  messages: number
  started: (process: ChildProcess) => void
  say?: (received: number) => void
}): Promise<Drained> {
  const { identity, subscriptions, messages, started, say = () => undefined } = options
  const process = startRole('drainer', { identity, subscriptions })
  started(process)
  const startMs = performance.now()
  let latest = await firstMessage<Sample>(process, 'drainer')
  process.on('message', (sample) => {
    latest = sample as Sample
  })
  await until(process, () => latest.received, messages, say)
  const seconds = (performance.now() - startMs) / 1000
  await new Promise((resolve) => setTimeout(resolve, AFTER_MS))
  const { received, outOfOrder } = latest
  return {
    perSecond: Math.min(received, messages) / seconds,
    lost: Math.max(0, messages - received),
    twice: Math.max(0, received - messages),
    outOfOrder,
  }
}

/** Resolves when `count` reaches `wanted`, or stands still for long. */
async function until(
  process: ChildProcess,
  count: () => number,
  wanted: number,
  say: (count: number) => void,
): Promise<void> {
  let seen = -1
  let movedAtMs = performance.now()
  let saidAtMs = movedAtMs
  for (let now = count(); now < wanted; now = count()) {
    if (hasEnded(process)) throw new Error('the process that fills or drains ended by itself')
    const nowMs = performance.now()
    if (now !== seen) movedAtMs = nowMs
    seen = now
    if (nowMs - movedAtMs > STALL_MS_MAX) return
    if (nowMs - saidAtMs > 5000) {
      saidAtMs = nowMs
      say(now)
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}
