// Lanes of the router's queue that rest: their next message waits for large content that is not whole. Nothing is taken of them
// meanwhile; then one lease alone, which may have to go back again. An origin may have few of them rest: other streams lie there, too.

import type { Lane } from '#hub/store/mod.ts'
import { RESTING_LANES_MAX, RETRY_MS_MAX, RETRY_MS_MIN } from './limits.ts'

type Rest = { readonly origin: string; readonly waitMs: number; readonly isOver: boolean }

export class RestingLanes {
  /** In the order in which they began. */
  private readonly rests = new Map<Lane, Rest>()

  /** `underWay`: whether leases of it are. */
  isOpen(lane: Lane, underWay: boolean): boolean {
    const rest = this.rests.get(lane)
    return rest === undefined || (rest.isOver && !underWay)
  }

  /** Whether a lane may rest, or rest again, for what an origin has sent. */
  mayRest(lane: Lane, origin: string): boolean {
    let others = 0
    for (const [each, rest] of this.rests) {
      if (each === lane) break
      if (rest.origin === origin) others++
    }
    return others < RESTING_LANES_MAX
  }

  /** Gives for how long, each time twice as long; `null` when it rests already. */
  begin(lane: Lane, origin: string): number | null {
    const before = this.rests.get(lane)
    if (before?.isOver === false) return null
    const waitMs = before === undefined ? RETRY_MS_MIN : Math.min(2 * before.waitMs, RETRY_MS_MAX)
    this.rests.set(lane, { origin, waitMs, isOver: false })
    return waitMs
  }

  over(lane: Lane): void {
    const rest = this.rests.get(lane)
    if (rest !== undefined) this.rests.set(lane, { ...rest, isOver: true })
  }

  /** Its messages go on. */
  end(lane: Lane): void {
    this.rests.delete(lane)
  }
}
