// Which queues a message belongs to: by topic pattern and header rules. Rules are compiled into a tree once per change; the
// answer for an envelope is remembered, so a batch costs one look-up per distinct envelope, whatever the number of rules.

import type { Placement, Queue } from '#hub/store/mod.ts'
import type { Batch, Envelope } from '#protocol/codec/mod.ts'
import { TopicTree } from '#protocol/codec/mod.ts'

/** Envelopes whose queues are remembered: 16 Ki entries of about 200 bytes. */
const REMEMBERED_MAX = 16_384
const NONE: readonly Queue[] = []

export class Router {
  /** Counts changes of the rules. */
  version = 0
  private tree = new TopicTree<Queue>()
  private remembered = new Map<string, readonly Queue[]>()

  /** Compiles the rules of these queues; the ones before are forgotten. */
  compile(queues: Iterable<Queue>): void {
    this.tree = new TopicTree()
    for (const queue of queues) for (const pattern of queue.info.rule.topics) this.tree.add(pattern, queue)
    this.remembered = new Map()
    this.version++
  }

  /** The queues one envelope goes to. */
  queuesOf(envelope: Envelope): readonly Queue[] {
    const found = new Set<Queue>()
    for (const queue of this.tree.match(envelope.topic)) if (headersMatch(queue, envelope)) found.add(queue)
    return found.size === 0 ? NONE : [...found]
  }

  /** Where the messages of a batch go. What no queue wants goes to `unrouted`, whose share is told in `unroutedCount`. */
  route(batch: Batch, unrouted: Queue): { placements: Placement[]; unroutedCount: number } {
    const { envelopes, runs, envelopeEnds } = batch.index()
    const perEnvelope = envelopes.map((envelope, i) => this.recall(batch, envelopeEnds, i, envelope))
    const first = perEnvelope[0] as readonly Queue[]
    if (envelopes.length === 1) {
      const queues = first.length === 0 ? [unrouted] : first
      const placements = queues.map((queue) => ({ queue, selection: null, count: batch.count }))
      return { placements, unroutedCount: first.length === 0 ? batch.count : 0 }
    }
    const chosen = new Map<Queue, { pairs: number[]; count: number }>()
    let unroutedCount = 0
    for (const { envelope, from, count } of runs) {
      const queues = perEnvelope[envelope] as readonly Queue[]
      if (queues.length === 0) unroutedCount += count
      for (const queue of queues.length === 0 ? [unrouted] : queues) choose(chosen, queue, from, count)
    }
    const placements: Placement[] = []
    for (const [queue, { pairs, count }] of chosen) {
      placements.push({ queue, selection: count === batch.count ? null : pairs, count })
    }
    return { placements, unroutedCount }
  }

  private recall(batch: Batch, ends: readonly number[], i: number, envelope: Envelope): readonly Queue[] {
    const name = batch.indexBytes.toString('latin1', i === 0 ? 0 : ends[i - 1], ends[i])
    const known = this.remembered.get(name)
    if (known !== undefined) return known
    const queues = this.queuesOf(envelope)
    if (this.remembered.size >= REMEMBERED_MAX) this.remembered.clear()
    this.remembered.set(name, queues)
    return queues
  }
}

function choose(
  chosen: Map<Queue, { pairs: number[]; count: number }>,
  queue: Queue,
  from: number,
  count: number,
): void {
  let choice = chosen.get(queue)
  if (choice === undefined) {
    choice = { pairs: [], count: 0 }
    chosen.set(queue, choice)
  }
  const { pairs } = choice
  const last = pairs.length - 2
  if (last >= 0 && (pairs[last] as number) + (pairs[last + 1] as number) === from) (pairs[last + 1] as number) += count
  else pairs.push(from, count)
  choice.count += count
}

function headersMatch(queue: Queue, { headers }: Envelope): boolean {
  for (const [name, values] of Object.entries(queue.info.rule.where)) {
    const value = Object.hasOwn(headers, name) ? headers[name] : undefined
    if (value === undefined || value === null || !values.includes(String(value))) return false
  }
  return true
}
