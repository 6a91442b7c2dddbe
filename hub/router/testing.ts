// A conductor on a real store, for tests: rules by what stands in a body, pipelines of a test, and what came to which queue.

import { generateKeyPairSync } from 'node:crypto'
import type { Test } from 'tap'
import type { Chain, ChainReject } from '#agent/components/chain/types.ts'
import type { Item } from '#agent/components/mod.ts'
import { type HubStore, placesOf, policyOf, type Queue, type QueuePolicy } from '#hub/store/mod.ts'
import { openStore, placement } from '#hub/store/testing.ts'
import { Pipeline } from '#hub/transform/mod.ts'
import type { Fault } from '#protocol/base/mod.ts'
import { BatchBuilder, type Headers, openBatch } from '#protocol/codec/mod.ts'
import { signingKey } from '#protocol/crypto/mod.ts'
import { Conductor } from './conductor.ts'
import type { Deciding, Decision, RuleWay } from './ways.ts'

const KEY = signingKey(generateKeyPairSync('ed25519').privateKey)
const VERSION = { version: 3, atMs: 1, by: 'zhang', note: '', file: 'r.yaml', rules: 1, digest: '', files: '' }
export const JSON_HEADERS = { ':content-type': 'application/json' }

type Message = { readonly topic?: string; readonly headers?: Headers; readonly body: string }

export const way = (rule: string, queues: string[], pipeline: string | null = null): RuleWay => ({
  rules: [rule],
  pipeline,
  topic: 'made/x',
  queues,
})

/** Rules by what stands in a body. */
export type Rules = (body: string) => Partial<Decision> | Fault

export class Hub {
  readonly store: HubStore
  readonly queue: Queue
  readonly faults: string[] = []
  conductor: Conductor | null = null
  pipelines = new Map<string, Pipeline>()

  constructor(store: HubStore, queue: Queue) {
    this.store = store
    this.queue = queue
  }

  static async open(t: Test, dataDir: string): Promise<Hub> {
    const store = await openStore(dataDir)
    const queue = store.queues.own(
      '$routing',
      '$hub',
      { topics: [], where: {} },
      policyOf({ order: 'stream', partitions: 64 }),
    )
    const hub = new Hub(store, queue)
    t.teardown(() => hub.close())
    return hub
  }

  declare(name: string, policy: Partial<QueuePolicy> = {}): Promise<Queue> {
    return this.store.queues.declare({
      name,
      rule: { topics: [], where: {} },
      owner: null,
      ephemeral: false,
      policy: policyOf(policy),
    })
  }

  async send(stream: string, messages: readonly Message[]): Promise<void> {
    const builder = new BatchBuilder()
    for (const { topic = 't', headers = {}, body } of messages) builder.add(topic, headers, null, body)
    const to = this.store.stream('agent', stream, 1)
    const sealedAs = {
      origin: 'agent',
      stream,
      epoch: 1,
      firstSeq: to.plannedSeq + 1,
      sealedAtMs: 0,
      key: KEY,
    } as const
    const batch = openBatch(builder.seal({ ...sealedAs, compression: 'none', tree: false }))
    const partition = [...stream].reduce((sum, char) => sum + char.charCodeAt(0), 0) % 64
    await this.store.append(to, batch, [placement(this.queue, batch, { partition })])
    this.store.closeStream(to)
  }

  conduct(
    rules: Rules,
    { defaults = [], onConveyed = () => undefined }: { defaults?: readonly string[]; onConveyed?: () => void } = {},
  ): void {
    const deciding: Deciding = {
      version: VERSION,
      defaults,
      documentBytesMax: 2 ** 24,
      remark: () => '',
      decide: async (batch, places) => {
        const message = batch.messages()
        return places.map((place) => {
          const decided = rules(String(message(place).body))
          const none = { ways: [], placed: false, faults: [], had: [], endedBy: null }
          if ('code' in decided) return { ...none, faults: [{ rule: null, fault: decided }] }
          return { ...none, ...decided }
        })
      },
    }
    this.conductor = new Conductor({
      store: this.store,
      queue: this.queue,
      deciding: async () => deciding,
      pipeline: async (_version, key) => this.pipelines.get(key) as Pipeline,
      stateText: (_version, state) => state,
      identity: { name: 'hub', key: KEY },
      onConveyed,
      onFault: ({ code }) => this.faults.push(code),
    })
    this.conductor.start()
  }

  pipe(
    rule: string,
    process: (items: readonly Item[], reject: (reject: ChainReject) => void) => readonly Item[],
    keeping: Keeping | null = null,
  ) {
    const pipeline = new Pipeline({
      name: rule,
      keeps: keeping !== null,
      make: () => chainOf(process, keeping),
      stored: () => this.store.conveying.state(rule),
    })
    this.pipelines.set(rule, pipeline)
  }

  /** Resolves when nothing waits to be routed. */
  async routed(): Promise<void> {
    while (this.queue.depth > 0 || (this.conductor?.underWay ?? 0) > 0)
      await new Promise((resolve) => setImmediate(resolve))
  }

  /** Takes and settles what is in a queue: bodies, notes. */
  async drain(
    name: string,
  ): Promise<{ body: string; note: string; headers: Headers; topic: string; origin: string }[]> {
    const queue = this.store.queues.get(name) as Queue
    const out: Awaited<ReturnType<Hub['drain']>> = []
    for (let lease = this.store.take(queue, 1000, this); lease !== null; lease = this.store.take(queue, 1000, this)) {
      const batch = openBatch(this.store.batchBytes(lease.entry.batchSeq))
      const message = batch.messages()
      for (const place of placesOf(lease.entry, lease.from - lease.entry.position, lease.count)) {
        const { envelope, body } = message(place)
        out.push({ body: String(body), note: lease.entry.note, origin: batch.head.origin, ...envelope })
      }
      await this.store.settle(lease, [lease.from, lease.from + lease.count], 'processed', { reason: '', by: 'x' })
    }
    return out
  }

  async bodies(name: string): Promise<string[]> {
    return (await this.drain(name)).map(({ body }) => body)
  }

  async close(): Promise<void> {
    await this.conductor?.stop()
    for (const pipeline of this.pipelines.values()) await pipeline.close()
    this.conductor = null
    this.pipelines.clear()
    await this.store.close()
  }
}

/** A chain that sums numbers: gives the sum with each fifth. */
type Keeping = { sum: number; seen: number }

export function chainOf(
  process: (items: readonly Item[], reject: (reject: ChainReject) => void) => readonly Item[],
  keeping: Keeping | null,
): Chain {
  let state: Keeping | null = keeping
  return {
    open: async (text) => {
      if (text !== null) state = JSON.parse(text) as Keeping
    },
    process: async (items) => {
      const rejects: ChainReject[] = []
      if (state === null) return { items: process(items, (reject) => rejects.push(reject)), rejects, steps: [] }
      const out: Item[] = []
      const { ...now } = state
      for (const item of items) {
        now.sum += Number(item.row.n)
        now.seen += 1
        if (now.seen % 5 === 0) out.push({ row: { sum: now.sum }, ref: item.ref })
      }
      state = now
      return { items: out, rejects, steps: [] }
    },
    due: async () => ({ items: [], rejects: [], steps: [] }),
    dueAtMs: () => null,
    membersOf: () => null,
    flush: async () => ({ items: [], rejects: [], steps: [] }),
    waits: () => false,
    save: async () => (state === null ? null : JSON.stringify(state)),
    committed: async () => undefined,
    close: async () => undefined,
  }
}

export const upTo = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => String(from + i))
