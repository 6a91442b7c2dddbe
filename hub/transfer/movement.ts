// Bytes of one transfer on a line, for people who look: how many, and how fast.

/** The rate is that of the last one to two of these. */
const WINDOW_MS = 4000

export type MovementOf = {
  readonly direction: 'in' | 'out'
  /** Whose line it is: `agent NAME`, `link ID`. */
  readonly by: string
}

export class Movement implements Disposable {
  readonly direction: 'in' | 'out'
  readonly by: string
  /** Since it began, as they travel. */
  bytes = 0
  private readonly nowMs: () => number
  private readonly told: (bytes: number) => void
  private readonly ended: (movement: Movement) => void
  /** The window that fills, and the one before. */
  private fromMs: number
  private windowBytes = 0
  private before = { bytes: 0, ms: 0 }

  constructor(
    { direction, by }: MovementOf,
    options: { nowMs: () => number; told: (bytes: number) => void; ended: (movement: Movement) => void },
  ) {
    this.direction = direction
    this.by = by
    this.nowMs = options.nowMs
    this.told = options.told
    this.ended = options.ended
    this.fromMs = this.nowMs()
  }

  moved(bytes: number): void {
    this.turn()
    this.bytes += bytes
    this.windowBytes += bytes
    this.told(bytes)
  }

  bytesPerSecond(): number {
    this.turn()
    const ms = this.nowMs() - this.fromMs + this.before.ms
    return ms <= 0 ? 0 : Math.round(((this.windowBytes + this.before.bytes) * 1000) / ms)
  }

  [Symbol.dispose](): void {
    this.ended(this)
  }

  private turn(): void {
    const nowMs = this.nowMs()
    const ms = nowMs - this.fromMs
    // A clock that was set back begins anew.
    if (ms >= 0 && ms < WINDOW_MS) return
    this.before = ms >= 0 && ms < 2 * WINDOW_MS ? { bytes: this.windowBytes, ms } : { bytes: 0, ms: 0 }
    this.fromMs = nowMs
    this.windowBytes = 0
  }
}
