// One direction of a client's line: what all its transfers together may send, or let come, and whose turn it is. Messages do not
// count: they wait for nothing here, and what is slowed down here leaves them room.

import type { Priority } from '#protocol/codec/mod.ts'
import { Turns } from '#protocol/transfer/mod.ts'
import { type BytesPerSecond, Pacer } from './pace.ts'

/** What has a turn on the line. */
export type Mover = {
  readonly priority: Priority
  /** Sends, or lets come, at most `bytesMax`. Gives how many; 0: nothing at present, or `IN_A_MOMENT`. */
  step(bytesMax: number): number
  /** A window of the day has begun or ended. */
  windowChanged(): void
}

export class Line {
  private readonly pacer: Pacer
  private readonly ready: () => boolean
  private readonly turns = new Turns<Mover>()
  private readonly movers = new Set<Mover>()
  private isPumping = false
  /** What was learnt of the connection that stands, by whoever sends on it; 0: nothing yet. */
  readonly known = { bytesPerSecond: 0 }

  /** `ready`: the connection can take more. */
  constructor(limit: BytesPerSecond, ready: () => boolean) {
    this.pacer = new Pacer(limit, () => this.pump())
    this.ready = ready
  }

  /** Bytes a second at present; 0: as fast as may be. */
  get rate(): number {
    return this.pacer.rate
  }

  /** Outside its windows. */
  get isClosed(): boolean {
    return this.pacer.isClosed
  }

  add(mover: Mover): void {
    if (this.movers.has(mover)) return
    this.movers.add(mover)
    this.turns.add(mover, mover.priority)
  }

  /** Its priority has changed: that holds from the next turn on. */
  reorder(mover: Mover): void {
    if (this.movers.has(mover)) this.turns.move(mover, mover.priority)
  }

  delete(mover: Mover): void {
    this.movers.delete(mover)
    this.turns.delete(mover)
    if (this.movers.size === 0) this.pacer.stop()
  }

  /** There may be more to move. */
  pump(): void {
    // What a turn brings about is seen by the turns after it.
    if (this.isPumping) return
    this.isPumping = true
    const wasClosed = this.isClosed
    try {
      while (this.movers.size > 0 && this.ready()) {
        const allowed = this.pacer.allowed()
        if (allowed === 0) break
        const moved = this.turns.turn((mover) => mover.step(allowed))
        if (moved === 0) break
        this.pacer.spend(moved)
      }
    } finally {
      this.isPumping = false
    }
    if (this.isClosed !== wasClosed) for (const mover of [...this.movers]) mover.windowChanged()
  }

  /** What was allowed and has not travelled. */
  giveBack(bytes: number): void {
    this.pacer.giveBack(bytes)
  }

  /** There is no connection. The next one may be another. */
  stop(): void {
    this.known.bytesPerSecond = 0
    this.pacer.stop()
  }
}
