// Keeps who sends a content close to who follows it. What is followed closely is handed on from memory; once it has left that it is
// read from the disk again, which takes more of the processor than its digest does. So the sender is told a little later that
// there is room for more, as long as a follower is nearly too far behind: never for longer than a moment, since one on a slow line
// is not to be waited for, and is soon so far behind that it makes no difference.

import { AHEAD_MS_MAX, NEAR_BYTES_MAX, NEAR_BYTES_MIN } from './limits.ts'

/** How many bytes there are for a follower that it has not been sent. */
export type Behind = () => number

export class Nearness {
  private readonly followers = new Set<Behind>()
  private held: { readonly go: () => void; readonly timer: NodeJS.Timeout } | null = null

  add(behind: Behind): Disposable {
    this.followers.add(behind)
    return {
      [Symbol.dispose]: () => {
        this.followers.delete(behind)
        this.progressed()
      },
    }
  }

  /** Calls `go` at once or in a moment. One at a time. */
  pace(go: () => void): void {
    this.release()
    if (!this.isStraining) go()
    else this.held = { go, timer: setTimeout(() => this.release(), AHEAD_MS_MAX) }
  }

  /** A follower was sent something, or has gone. */
  progressed(): void {
    if (this.held !== null && !this.isStraining) this.release()
  }

  /** Nobody waits any more. */
  release(): void {
    const { held } = this
    if (held === null) return
    this.held = null
    clearTimeout(held.timer)
    held.go()
  }

  private get isStraining(): boolean {
    for (const behind of this.followers) {
      const bytes = behind()
      if (bytes > NEAR_BYTES_MIN && bytes <= NEAR_BYTES_MAX) return true
    }
    return false
  }
}
