// What the store does by itself as time goes on: delayed messages come into their lanes, expired ones leave, held lanes go
// on, what was kept for replay or for the trace long enough goes.

import { asFault, type Fault } from '#protocol/base/mod.ts'
import type { Batches } from './batches.ts'
import { type Endings, placesIn } from './endings.ts'
import type { Engine, Work } from './engine.ts'
import type { NewEntry } from './entry.ts'
import type { LaneBook } from './lane-book.ts'
import { RETRY_MS, SWEEP_MS, TIMERS_PER_STEP } from './limits.ts'
import type { Queue } from './queue.ts'
import type { Queues } from './queues.ts'
import type { StoreClock } from './store.ts'
import type { TimerRow, Timers } from './timers.ts'
import type { Trace } from './trace.ts'
import { together } from './works.ts'

type Parts = {
  readonly engine: Engine
  readonly batches: Batches
  readonly book: LaneBook
  readonly endings: Endings
  readonly queues: Queues
  readonly timers: Timers
  readonly trace: Trace
  readonly clock: StoreClock
  onFault(fault: Fault): void
}

export class Upkeep {
  private readonly parts: Parts
  /** Queues with a held lane, and when it may go on. */
  private readonly held = new Map<Queue, number>()
  private cancel: (() => void) | null = null
  private armedAtMs = Number.POSITIVE_INFINITY
  private nextSweepMs = 0
  private running: Promise<void> | null = null
  /** The last step failed: the next one waits a while. */
  private failed = false
  private stopped = true

  constructor(parts: Parts) {
    this.parts = parts
    parts.timers.onEarlier = () => this.arm()
    parts.endings.onHeld = (queue, atMs) => {
      this.held.set(queue, Math.min(atMs, this.held.get(queue) ?? atMs))
      this.arm()
    }
  }

  start(): void {
    this.stopped = false
    this.arm()
  }

  /** Begins nothing new. What is under way ends with the engine: on a disk that fails it would never end. */
  stop(): void {
    this.stopped = true
    this.cancel?.()
    this.cancel = null
  }

  /** Does what is due now; resolves when it is on disk. Called by itself; by tests with a clock of their own. */
  async step(): Promise<void> {
    if (this.running !== null) return await this.running
    this.failed = false
    this.running = this.work().catch((error: unknown) => {
      this.failed = true
      if (!this.stopped) this.parts.onFault(asFault(error))
    })
    await this.running
    this.running = null
    this.arm()
  }

  /** The disk can be read again. */
  goOn(): void {
    this.armedAtMs = Number.POSITIVE_INFINITY
    this.arm()
  }

  private arm(): void {
    if (this.stopped || this.running !== null) return
    const nowMs = this.parts.clock.wallMs()
    const dueAtMs = Math.min(this.parts.timers.nextAtMs, this.nextSweepMs, ...this.held.values())
    const atMs = this.failed || !this.parts.engine.readable ? Math.max(dueAtMs, nowMs + RETRY_MS) : dueAtMs
    if (this.cancel !== null && atMs >= this.armedAtMs) return
    this.cancel?.()
    this.armedAtMs = atMs
    this.cancel = this.parts.clock.schedule(Math.max(0, atMs - nowMs), () => {
      this.cancel = null
      void this.step()
    })
  }

  private async work(): Promise<void> {
    const { clock, engine, timers } = this.parts
    const nowMs = clock.wallMs()
    for (const [queue, atMs] of this.held) {
      const nextAtMs = queue.heldUntil(nowMs)
      if (nextAtMs === atMs) continue
      // A lane of it may go on; others may still be held.
      if (nextAtMs === Number.POSITIVE_INFINITY || queue.forgotten) this.held.delete(queue)
      else this.held.set(queue, nextAtMs)
      queue.onReady()
    }
    if (engine.readable && timers.nextAtMs <= nowMs) await this.fire(nowMs)
    if (nowMs >= this.nextSweepMs || nowMs < this.nextSweepMs - 2 * SWEEP_MS) {
      this.nextSweepMs = nowMs + SWEEP_MS
      if (engine.readable) await this.sweep(nowMs)
    }
  }

  private async fire(nowMs: number): Promise<void> {
    const { timers } = this.parts
    for (;;) {
      const rows = timers.due(nowMs, TIMERS_PER_STEP)
      if (rows.length === 0) break
      await Promise.all(rows.map((row) => this.fireOne(row, nowMs)))
      if (this.stopped) return
    }
    timers.look()
  }

  private async fireOne(row: TimerRow, nowMs: number): Promise<void> {
    const { book, endings, engine, queues, timers } = this.parts
    const { timer } = row
    const queue = queues.withId(timer.queueId)
    if (timer.kind === 'expire') {
      const lane = queue?.forgotten === true ? undefined : queue?.lanes.get(timer.lane)
      for (const lease of lane?.pull(timer.position) ?? []) void endings.expire(lease)
      if (lane === undefined || !book.isOpen(lane, timer.position)) return await engine.maintain(timers.remove(row))
      timers.park(row)
      return
    }
    const { entry, lane } = timer
    if (queue === undefined || queue.forgotten) {
      return await engine.maintain(together(queues.abandonDelayed(queue, row, entry)))
    }
    // What may throw comes before the timer is noted as seen to.
    const comes = this.comesIn(queue, lane, entry, nowMs)
    await engine.maintain(together([comes, timers.remove(row)]))
    endings.makeRoom(queue)
  }

  /** A delayed message comes into its lane. */
  private comesIn(queue: Queue, lane: number, entry: NewEntry, atMs: number): Work {
    const { book, endings, trace } = this.parts
    const placed = endings.place(book.lane(queue, lane), entry)
    return {
      write: () => {
        placed.write()
        const places = placesIn(entry)
        const to = [{ queueId: queue.info.id, lane, position: placed.placed?.position ?? -1, places }]
        const told = { atMs, what: 'due', queue: queue.info.name, by: '', reason: '' } as const
        trace.add(entry.batchSeq, { ...told, places, to })
      },
      done: () => {
        queue.delayed -= entry.count
        placed.done()
      },
    }
  }

  private async sweep(nowMs: number): Promise<void> {
    const { batches, book, engine, queues, trace } = this.parts
    // Also where nothing is retained any more: what was before has to go.
    for (const queue of queues.all()) {
      if (queue.retainedBytes === 0) continue
      while (await book.sweep(queue, nowMs)) if (this.stopped) return
      if (this.stopped) return
    }
    for (let steps = 0; steps < SWEEP_STEPS_MAX; steps++) {
      const write = trace.sweep(nowMs, (batchSeq) => batches.has(batchSeq))
      if (write === null || this.stopped) return
      await engine.maintain({ write, done: () => undefined })
    }
  }
}

/** Steps of the trace's sweep at a time, so that other work comes in between. */
const SWEEP_STEPS_MAX = 20
