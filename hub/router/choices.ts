// The messages of one batch, gathered by where they go.

import type { Placement, Queue } from '#hub/store/mod.ts'
import type { Attributes, Batch, MessageView } from '#protocol/codec/mod.ts'

/** Messages of a batch that go the same way into one queue. */
type Choice = {
  readonly queue: Queue
  readonly partition: number
  readonly attributes: Attributes
  pairs: number[]
  count: number
}

/** Gathers the messages of one batch by queue, partition and attributes. */
export class Choices {
  private readonly batch: Batch
  private readonly parts: Partitions
  private readonly chosen = new Map<Queue, Choice[]>()

  constructor(batch: Batch) {
    this.batch = batch
    this.parts = new Partitions(batch)
  }

  add(queue: Queue, attributes: Attributes, from: number, count: number): void {
    const { order, partitions } = queue.info.policy
    if (order === 'key' && partitions > 1) {
      for (let i = from; i < from + count; i++) this.put(queue, attributes, this.parts.of(queue, i), i, 1)
      return
    }
    this.put(queue, attributes, this.parts.of(queue, from), from, count)
  }

  placements(): Placement[] {
    const out: Placement[] = []
    for (const choices of this.chosen.values()) {
      for (const { queue, partition, attributes, pairs, count } of choices) {
        out.push({ queue, partition, attributes, count, selection: count === this.batch.count ? null : pairs })
      }
    }
    return out
  }

  private put(queue: Queue, attributes: Attributes, partition: number, from: number, count: number): void {
    let choices = this.chosen.get(queue)
    if (choices === undefined) {
      choices = []
      this.chosen.set(queue, choices)
    }
    let choice = choices.find((other) => other.partition === partition && sameAttributes(other.attributes, attributes))
    if (choice === undefined) {
      choice = { queue, partition, attributes, pairs: [], count: 0 }
      choices.push(choice)
    }
    const { pairs } = choice
    const last = pairs.length - 2
    if (last >= 0 && (pairs[last] as number) + (pairs[last + 1] as number) === from)
      (pairs[last + 1] as number) += count
    else pairs.push(from, count)
    choice.count += count
  }
}

/** In which part of an ordered queue the messages of one batch belong. */
export class Partitions {
  private readonly batch: Batch
  private messages: ((i: number) => MessageView) | null = null
  private ofStream = -1

  constructor(batch: Batch) {
    this.batch = batch
  }

  /** Of message `i`. Faults: those of opening the batch, when the queue is ordered by key. */
  of({ info }: Queue, i: number): number {
    const { order, partitions } = info.policy
    if (order === 'none') return 0
    if (order === 'stream' || partitions === 1) return this.streamHash() % partitions
    this.messages ??= this.batch.messages()
    const { key } = this.messages(i)
    // Messages without a key keep the order of their stream.
    return (key.length === 0 ? this.streamHash() : hashOf(key)) % partitions
  }

  private streamHash(): number {
    const { origin, stream } = this.batch.head
    if (this.ofStream < 0) this.ofStream = hashOf(Buffer.from(`${origin}\0${stream}`))
    return this.ofStream
  }
}

/** FNV-1a, 32 bits: spreads keys over partitions; nothing rests on its strength. */
function hashOf(bytes: Uint8Array): number {
  let value = 0x811c9dc5
  for (let i = 0; i < bytes.length; i++) value = Math.imul(value ^ (bytes[i] as number), 0x01000193) >>> 0
  // Its low bits alone are poor for short keys.
  return (value ^ (value >>> 15)) >>> 0
}

/** Whether messages lie in a queue the same way; contents are the batch's. */
function sameAttributes(a: Attributes, b: Attributes): boolean {
  return (
    a === b ||
    (a.priority === b.priority && a.ttlMs === b.ttlMs && a.delayMs === b.delayMs && a.deliverAtMs === b.deliverAtMs)
  )
}
