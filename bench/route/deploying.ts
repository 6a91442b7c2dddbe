// Ten thousand rules deployed to a running hub while messages flow: is any lost or sent elsewhere, and how long does it all stand still?

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from '#agent/client/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'
import { askHub } from '#hub/management/mod.ts'
import { bringFiles, type RulesVersion } from '#hub/router/mod.ts'
import type { Say } from '../report.ts'
import { Stage } from '../stage.ts'
import { headerRules } from './sample.ts'

const QUEUES = 10
const EVERY_MS = 5
const SETTLE_MS = 10_000

export type Deploying = {
  readonly sent: number
  readonly lost: number
  readonly misrouted: number
  /** From when a message was due to be sent until it arrived, the longest: while rules were deployed, and otherwise. */
  readonly pauseMs: number
  readonly pauseBetweenMs: number
  readonly deploySeconds: number
}

/** Deploys so many times, with so many rules. Each message has a header that one of the rules asks for, all the time. */
export async function measureDeploying(
  say: Say,
  { rules, times }: { rules: number; times: number },
): Promise<Deploying> {
  const stage = new Stage()
  const names = Array.from({ length: QUEUES }, (_, i) => `queue-${i}`)
  try {
    await stage.startHub({ queues: names.map((name) => ({ name, topics: [] })), tls: false })
    const identities = await Promise.all(['producer', 'consumer'].map((name) => stage.enroll(name, false)))
    const [producer, consumer] = await Promise.all(
      identities.map((path) => Client.connect({ identity: loadIdentity(path) })),
    )
    if (producer === undefined || consumer === undefined) throw new Error('two clients')
    // Written beforehand: this process is the one that measures.
    const files = Array.from({ length: times + 1 }, (_, round) => writeRules(stage, rules, round))
    const deploy = (round: number) => deployRules(stage, files[round] as string)
    await deploy(0)
    const flow = new Flow(producer, consumer, rules)
    await flow.start(names)
    let deploySeconds = 0
    for (let round = 1; round <= times; round++) {
      await passed(1_000)
      say(`deploying ${rules} rules, ${round} of ${times} …`)
      flow.deploying = true
      const start = performance.now()
      await deploy(round)
      deploySeconds += (performance.now() - start) / 1000 / times
      flow.deploying = false
    }
    await passed(1_000)
    const result = await flow.end()
    await Promise.all([producer.close(), consumer.close()])
    return { ...result, deploySeconds }
  } finally {
    await stage.end()
  }
}

function writeRules(stage: Stage, count: number, round: number): string {
  const folder = join(stage.dir, `rules-${round}`)
  mkdirSync(folder, { recursive: true })
  const path = join(folder, 'rules.json')
  // Other names each time, so that nothing of the last version can be used again.
  const rules = headerRules(count).map((rule) => ({ ...rule, name: `${rule.name} of ${round}` }))
  writeFileSync(path, JSON.stringify({ rules }))
  return path
}

async function deployRules(stage: Stage, path: string): Promise<void> {
  const brought = await bringFiles(join(stage.hubDir, 'routes'), path)
  const answer = await askHub<RulesVersion | { refused: readonly Error[] }>(stage.hubDir, {
    command: 'deploy',
    ...brought,
    by: 'bench',
    note: '',
  })
  if ('refused' in answer) throw new Error(`the rules were refused: ${answer.refused[0]?.message}`)
}

/** Messages at a steady rate, each with the time it was due, and where it has to arrive. */
class Flow {
  deploying = false
  private readonly producer: Client
  private readonly consumer: Client
  private readonly rules: number
  private readonly arrived = new Set<number>()
  private sent = 0
  private misrouted = 0
  private pauseMs = 0
  private pauseBetweenMs = 0
  private timer: NodeJS.Timeout | null = null
  private readonly publishing: Promise<unknown>[] = []

  constructor(producer: Client, consumer: Client, rules: number) {
    this.producer = producer
    this.consumer = consumer
    this.rules = rules
  }

  async start(queues: readonly string[]): Promise<void> {
    for (const queue of queues) {
      const subscription = await this.consumer.subscribe({ queue })
      void (async () => {
        for await (const delivery of subscription) {
          for (const { body } of delivery) this.take(queue, JSON.parse(body.toString()) as Sent)
          delivery.settle()
        }
      })()
    }
    const publisher = this.producer.publisher({ stream: 'flow' })
    const startMs = performance.now()
    this.timer = setInterval(() => {
      for (; startMs + this.sent * EVERY_MS <= performance.now(); this.sent++) {
        const area = (this.sent * 7919) % this.rules
        const dueMs = startMs + this.sent * EVERY_MS
        const body = Buffer.from(
          JSON.stringify({ number: this.sent, area, dueMs, deploying: this.deploying } satisfies Sent),
        )
        const headers = { area: String(area), kind: 'permit' }
        this.publishing.push(publisher.publish({ topic: 'register/permits', headers, body }))
      }
    }, EVERY_MS)
  }

  async end(): Promise<Omit<Deploying, 'deploySeconds'>> {
    if (this.timer !== null) clearInterval(this.timer)
    await Promise.all(this.publishing)
    for (const untilMs = performance.now() + SETTLE_MS; this.arrived.size < this.sent && performance.now() < untilMs; )
      await passed(10)
    const { sent, misrouted, pauseMs, pauseBetweenMs } = this
    return { sent, lost: sent - this.arrived.size, misrouted, pauseMs, pauseBetweenMs }
  }

  private take(queue: string, { number, area, dueMs, deploying }: Sent): void {
    if (this.arrived.has(number) || queue !== `queue-${area % QUEUES}`) this.misrouted++
    this.arrived.add(number)
    const tookMs = performance.now() - dueMs
    if (deploying || this.deploying) this.pauseMs = Math.max(this.pauseMs, tookMs)
    else this.pauseBetweenMs = Math.max(this.pauseBetweenMs, tookMs)
  }
}

type Sent = { readonly number: number; readonly area: number; readonly dueMs: number; readonly deploying: boolean }

const passed = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
