// What store and sessions count as they work, and metrics read when they are asked. Owned by compose.ts, handed down.

import {
  ATTEMPT_BOUNDS,
  COMMIT_MS_BOUNDS,
  GROUP_BYTES_BOUNDS,
  GROUP_WORKS_BOUNDS,
  Histogram,
  SETTLE_MS_BOUNDS,
} from './histogram.ts'
import { LABEL_OTHER, Labels, queueLabel } from './labels.ts'

/** Agents counted apart; as many as a hub can know (16,384) at about 120 bytes each. */
const AGENTS_MAX = 16_384

/** What one agent did since the hub started, over all its sessions. Whoever does it adds to it. */
export type AgentTally = {
  /** Messages stored for it, repeats not counted, and bytes of their batches. */
  accepted: number
  acceptedBytes: number
  /** Messages it sent again. */
  duplicate: number
  /** Messages handed to it, every attempt counted, and bytes of the frames. */
  delivered: number
  deliveredBytes: number
  /** How it settled them. */
  processed: number
  rejected: number
  retried: number
  sessions: number
}

const newTally = (): AgentTally => ({
  accepted: 0,
  acceptedBytes: 0,
  duplicate: 0,
  delivered: 0,
  deliveredBytes: 0,
  processed: 0,
  rejected: 0,
  retried: 0,
  sessions: 0,
})

export class HubMeters {
  /** Time from the first write of a transaction to the end of its flush. */
  readonly commitMs = new Histogram(COMMIT_MS_BOUNDS)
  /** Pieces of work, and bytes of appends, in one transaction. */
  readonly groupWorks = new Histogram(GROUP_WORKS_BOUNDS)
  readonly groupBytes = new Histogram(GROUP_BYTES_BOUNDS)
  /** Deliveries a message took until it was settled for good. */
  readonly attempts = new Histogram(ATTEMPT_BOUNDS)
  readonly queueLabels = new Labels()
  readonly agentLabels = new Labels()
  private readonly settled = new Map<string, Histogram>()
  private readonly tallies = new Map<string, AgentTally>()
  private readonly otherAgents = newTally()

  /**
   * Where to observe how long messages of a queue took from acceptance to their final settlement, in ms. Ask once per
   * queue and keep it: several queues may share one.
   */
  settleMs(queue: string, ephemeral: boolean): Histogram {
    const label = queueLabel(this.queueLabels, queue, ephemeral)
    let found = this.settled.get(label)
    if (found === undefined) {
      found = new Histogram(SETTLE_MS_BOUNDS)
      this.settled.set(label, found)
    }
    return found
  }

  /** By label. */
  settleTimes(): ReadonlyMap<string, Histogram> {
    return this.settled
  }

  /** Frees the labels of queues that are gone, with their times. */
  keepQueues(alive: ReadonlySet<string>): void {
    for (const name of this.queueLabels.keep(alive)) this.settled.delete(name)
  }

  /** The agent's tally, the same object every time. */
  agent(name: string): AgentTally {
    let found = this.tallies.get(name)
    if (found === undefined) {
      if (this.tallies.size >= AGENTS_MAX) return this.otherAgents
      found = newTally()
      this.tallies.set(name, found)
    }
    return found
  }

  /** All of them by name; those beyond the bound together under one that no agent can have. */
  agents(): (readonly [name: string, tally: AgentTally])[] {
    const all: (readonly [string, AgentTally])[] = [...this.tallies]
    if (all.length >= AGENTS_MAX) all.push([LABEL_OTHER, this.otherAgents])
    return all
  }
}
