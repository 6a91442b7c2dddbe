// What is out at consumers, seen from inside the hub: no message at two of them, and none that nobody has.

import type { Queue } from '#hub/store/mod.ts'
import type { Running } from './hub.ts'

type Held = { readonly from: number; readonly count: number }
type ConsumerInside = { leases: ReadonlyMap<{ readonly number: number }, { readonly all: readonly Held[] }> }

/** What is wrong with the leases of a hub, or `null`. */
export function leaseProblem({ store, dispatcher }: Running): string | null {
  for (const queue of store.queues.all()) {
    if (queue.forgotten) continue
    const problem = queueProblem(queue, dispatcher.consumers(queue) as unknown as ConsumerInside[])
    if (problem !== null) return `queue ${queue.info.name}, ${problem}`
  }
  return null
}

function queueProblem(queue: Queue, consumers: readonly ConsumerInside[]): string | null {
  for (const lane of queue.lanes.values()) {
    const held: Held[] = []
    const holders = new Set<ConsumerInside>()
    for (const consumer of consumers) {
      for (const [of, leases] of consumer.leases) {
        if (of !== lane || leases.all.length === 0) continue
        holders.add(consumer)
        held.push(...leases.all)
      }
    }
    if (holders.size > 1 && queue.ordered) return `lane ${lane.number}: ${holders.size} consumers have messages of it`
    let out = 0
    let end = -1
    for (const { from, count } of held.sort((a, b) => a.from - b.from)) {
      if (from < end) return `lane ${lane.number}: position ${from} is out twice`
      end = from + count
      out += count
    }
    if (out !== lane.inFlight) return `lane ${lane.number}: ${out} messages are out and ${lane.inFlight} counted`
  }
  return null
}
