// Pipelines that the rules in force do not use any more, in which something may wait. Messages that came in under earlier rules still
// go through them, and may complete a group; when the last of those has left the router's queue, nothing can. Then whatever waits goes out,
// by the steps and to the queues it was gathered for.
//
// Which messages those are is not asked: all that lie in the queue when a pipeline comes here, or is used again, are waited for. Not
// those that wait for a time of their own (a delay), which may be far: such a message opens the pipeline again, and it comes here again.

import type { Lane, Queue } from '#hub/store/mod.ts'
import { RETRY_MS_MAX } from './limits.ts'

export type RetiringOptions = {
  /** The router's queue. */
  readonly queue: Queue
  /** Gives out what waits in a pipeline, and ends it. False: not now. Never rejects. */
  readonly empty: (name: string) => Promise<boolean>
}

export class Retiring {
  private readonly options: RetiringOptions
  /** How far each lane has to be. */
  private readonly waiting = new Map<string, ReadonlyMap<Lane, number>>()
  private readonly timers = new Map<string, NodeJS.Timeout>()
  private readonly running = new Set<Promise<void>>()
  private closed = false

  constructor(options: RetiringOptions) {
    this.options = options
  }

  /** Nobody but what waits now needs it; or it was used again. */
  add(name: string): void {
    if (this.closed) return
    this.waiting.set(name, new Map([...this.options.queue.lanes.values()].map((lane) => [lane, lane.tail])))
  }

  /** It is in use again. */
  remove(name: string): void {
    this.waiting.delete(name)
    clearTimeout(this.timers.get(name))
    this.timers.delete(name)
  }

  /** Messages have left the queue. */
  look(): void {
    for (const [name, tails] of this.waiting) {
      let isOver = !this.timers.has(name)
      for (const [lane, tail] of tails) isOver &&= lane.settled.floor >= tail
      if (!isOver) continue
      this.waiting.delete(name)
      const running = this.end(name).finally(() => this.running.delete(running))
      this.running.add(running)
    }
  }

  async close(): Promise<void> {
    this.closed = true
    for (const name of [...this.waiting.keys(), ...this.timers.keys()]) this.remove(name)
    await Promise.all(this.running)
  }

  private async end(name: string): Promise<void> {
    if ((await this.options.empty(name)) || this.closed) return
    this.add(name)
    const timer = setTimeout(() => {
      this.timers.delete(name)
      this.look()
    }, RETRY_MS_MAX)
    timer.unref()
    this.timers.set(name, timer)
  }
}
