// The agents' programs of a simulation: producers from memory and from a spool, consumers that keep books, and one that
// collects receipts. Each runs within its agent's process and dies with it.

import type { Delivery, Publisher, StreamSender, Subscription } from '#agent/client/mod.ts'
import { parseReceipt } from '#agent/client/receipts.ts'
import type { Random } from '#protocol/bytes/testing.ts'
import { NO_HEADERS } from '#protocol/codec/mod.ts'
import type { World } from './clock.ts'
import type { Ledger, Sent } from './ledger.ts'
import type { SimSpool } from './spool.ts'
import type { SimAgent } from './stage.ts'

/** What a queue is for, as the workload knows it. */
export type Kind = {
  readonly queue: string
  readonly topic: string
  readonly order: 'none' | 'stream' | 'key'
  /** Consumers may ask for a message later: then it moves to another position. */
  readonly moves: boolean
}

/** How consumers behave at present. */
export type Manners = {
  /** No decision but the right one, at once. */
  sound: boolean
  /** Time a message takes, at most. */
  workMsMax: number
}

const KEYS = 3

/** Makes the next message of a stream and notes it down. */
export class Stream {
  readonly name: string
  private readonly ledger: Ledger
  private readonly queuesOf: (topic: string) => readonly string[]
  private number = 0

  constructor(name: string, ledger: Ledger, queuesOf: (topic: string) => readonly string[]) {
    this.name = name
    this.ledger = ledger
    this.queuesOf = queuesOf
  }

  next(topic: string, random: Random, receipt: string | null): { id: string; topic: string; key: string } {
    const number = ++this.number
    const id = `${this.name}/${number}`
    const key = `${this.name}-${random.below(KEYS)}`
    const message: Sent = {
      id,
      queues: this.queuesOf(topic),
      stream: this.name,
      key,
      number,
      receipt,
      acceptedAtMs: null,
    }
    this.ledger.sent.set(id, message)
    return { id, topic, key }
  }
}

type Parts = { readonly world: World; readonly agent: SimAgent; readonly ledger: Ledger; readonly random: Random }

/** Publishes from memory: what is not acknowledged when it dies may be lost. */
export class MemoryProducer {
  /** Messages whose fate it does not know yet. */
  open = 0
  private readonly parts: Parts
  private readonly publisher: Publisher
  private readonly stream: Stream
  private readonly receipts: boolean

  constructor(parts: Parts, stream: Stream, options: { name: string; receipts: boolean }) {
    this.parts = parts
    this.stream = stream
    this.receipts = options.receipts
    const { agent, random } = parts
    const receipts = options.receipts ? (random.oneIn(2) ? 'final' : 'all') : 'none'
    const proof = random.oneIn(2) ? 'message' : 'batch'
    this.publisher = agent.within(() => agent.client.publisher({ stream: options.name, receipts, proof }))
  }

  get agentAlive(): boolean {
    return this.parts.agent.alive
  }

  publish(topic: string, count: number): void {
    if (!this.agentAlive) return
    const { agent, ledger, random, world } = this.parts
    const { publisher, stream } = this
    agent.within(() => {
      for (let i = 0; i < count; i++) {
        const name = `${agent.name}/${publisher.name}/${publisher.epoch}/${publisher.nextSeq}`
        const message = stream.next(topic, random, this.receipts ? name : null)
        this.open++
        const body = Buffer.from(message.id)
        const wishes = topic.startsWith('work/') ? wishesOf(random) : {}
        publisher.publish({ topic, body, key: Buffer.from(message.key), headers: NO_HEADERS, ...wishes }).then(
          () => {
            this.open--
            ledger.accepted(message.id, world.nowMs)
          },
          () => {
            this.open--
          },
        )
      }
    })
  }
}

function wishesOf(random: Random): { priority?: 'urgent' | 'bulk'; delayMs?: number; ttlMs?: number } {
  if (random.oneIn(6)) return { priority: random.oneIn(2) ? 'urgent' : 'bulk' }
  if (random.oneIn(12)) return { delayMs: 1 + random.below(2000) }
  if (random.oneIn(20)) return { ttlMs: 1 + random.below(3000) }
  return {}
}

/** Publishes from a spool: nothing is lost when it dies. */
export class SpoolProducer {
  private readonly sender: StreamSender

  constructor({ agent, ledger, world }: Parts, spool: SimSpool) {
    spool.onReleased = (id) => ledger.accepted(id, world.nowMs)
    const events = {
      onAccepted: () => undefined,
      onUnrouted: () => undefined,
      onRefused: () => undefined,
      onError: (fault: Error) => ledger.broken(`the spool's sender fails: ${fault.message}`),
      onLost: (fault: Error) => world.log(`p2: ${fault.message}`),
    }
    this.sender = agent.within(() => agent.client.sendFrom(spool, events))
  }

  pump(): void {
    this.sender.pump()
  }
}

/** Consumes one queue until its agent dies. */
export class Consumer {
  private readonly parts: Parts
  private readonly kind: Kind
  private readonly manners: Manners
  /** Positions that were given back, by lane: everything behind them has to go back until they come again. */
  private readonly givenBack = new Map<number, Set<number>>()
  private subscription: Subscription | null = null

  constructor(parts: Parts, kind: Kind, options: { manners: Manners; subscribe: () => Promise<Subscription> }) {
    this.parts = parts
    this.kind = kind
    this.manners = options.manners
    parts.agent.within(() => {
      this.run(options.subscribe()).catch((error: unknown) => parts.ledger.broken(`a consumer fails: ${error}`))
    })
  }

  /** Asks for all that is retained once more; what comes of it is recognised. */
  replay(): void {
    const { agent, world } = this.parts
    const { subscription } = this
    if (subscription === null || !agent.alive) return
    world.log(`${agent.name} ${this.kind.queue}: replay`)
    const told = (fault: Error) => world.log(`${agent.name} ${this.kind.queue}: ${fault.message}`)
    agent.within(() => {
      subscription.replay({ fromPosition: 0 }).catch(told)
    })
  }

  private async run(subscribed: Promise<Subscription>): Promise<void> {
    this.subscription = await subscribed
    for await (const delivery of this.subscription) {
      const { lane, position, count, attempt, floor } = delivery
      const { agent, world } = this.parts
      world.log(
        `${agent.name} ${this.kind.queue}: lane ${lane}, ${count} from ${position}, attempt ${attempt}, floor ${floor}`,
      )
      await this.take(delivery)
    }
  }

  private async take(delivery: Delivery): Promise<void> {
    for (let i = 0; i < delivery.count; i++) await this.takeOne(delivery, i)
  }

  private async takeOne(delivery: Delivery, place: number): Promise<void> {
    const { ledger, random, world } = this.parts
    const { queue, order, moves } = this.kind
    const { sound, workMsMax } = this.manners
    if (order !== 'none' && this.mustWait(delivery, place)) {
      this.giveBack(delivery, place, 0)
      return
    }
    let decision = ledger.decided(queue, delivery, place)
    if (decision === null && !sound && random.oneIn(12)) {
      const delayMs = random.oneIn(2) || (order === 'none' && !moves) ? 0 : random.below(400)
      world.log(`${this.parts.agent.name} ${queue}: ${String(delivery.message(place).body)} again, after ${delayMs} ms`)
      this.giveBack(delivery, place, delayMs)
      return
    }
    if (decision === null) {
      const wanted = !sound && random.oneIn(25) ? 'rejected' : 'effect'
      if (workMsMax > 0) await world.delay(random.below(1000 * workMsMax) / 1000)
      // Someone else may have been quicker.
      ledger.decide(queue, delivery, place, wanted)
      decision = ledger.decided(queue, delivery, place)
      world.log(`${this.parts.agent.name} ${queue}: ${String(delivery.message(place).body)} ${decision}`)
    }
    if (decision === 'rejected') delivery.reject('no', place, 1)
    else delivery.settle(place, 1)
  }

  /** With an order: behind a message that was given back nothing is done before it. */
  private mustWait({ lane, position, floor }: Delivery, place: number): boolean {
    const at = position + place
    const back = this.givenBack.get(lane)
    if (back === undefined) return false
    back.delete(at)
    for (const one of back) if (one < floor) back.delete(one)
    for (const one of back) if (one < at) return true
    return false
  }

  private giveBack(delivery: Delivery, place: number, delayMs: number): void {
    const { lane, position } = delivery
    if (this.kind.order !== 'none') {
      const back = this.givenBack.get(lane)
      if (back === undefined) this.givenBack.set(lane, new Set([position + place]))
      else back.add(position + place)
    }
    delivery.retry({ from: place, count: 1, delayMs })
  }
}

/** Collects an agent's receipts. */
export function collectReceipts({ agent, ledger }: Parts): void {
  const run = async () => {
    const subscription = await agent.client.subscribe({ queue: `receipts/${agent.name}` })
    for await (const delivery of subscription) {
      for (let i = 0; i < delivery.count; i++) {
        ledger.receipt(delivery.position + i, agent.name, parseReceipt(delivery.message(i).body))
      }
      delivery.settle()
    }
  }
  agent.within(() => {
    run().catch((error: unknown) => ledger.broken(`receipts fail: ${error}`))
  })
}
