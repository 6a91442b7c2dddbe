// How fast a transfer is: over the last seconds, so that what one sees is what is going on.

/** A sample every quarter of a second, for five seconds: 20 of them. */
const SAMPLE_MS = 250
const RATE_MS = 5000

export class RateMeter {
  private readonly samples: { readonly atMs: number; readonly bytes: number }[]
  private bytes = 0

  constructor(nowMs: number) {
    this.samples = [{ atMs: nowMs, bytes: 0 }]
  }

  /** So many bytes in all by now. */
  note(bytes: number, nowMs: number): void {
    this.drop(nowMs)
    const last = this.samples.at(-1)
    // After a pause the time before these bytes counts from the pause's end.
    if (last === undefined || nowMs - last.atMs >= SAMPLE_MS) this.samples.push({ atMs: nowMs, bytes: this.bytes })
    this.bytes = bytes
  }

  /** Bytes a second. */
  rate(nowMs: number): number {
    this.drop(nowMs)
    const [first] = this.samples
    if (first === undefined || nowMs <= first.atMs) return 0
    return (1000 * (this.bytes - first.bytes)) / (nowMs - first.atMs)
  }

  private drop(nowMs: number): void {
    const { samples } = this
    while (samples.length > 0 && (samples[0] as { atMs: number }).atMs < nowMs - RATE_MS) samples.shift()
  }
}

/** `null`: nobody knows. */
export function secondsLeft(leftBytes: number, bytesPerSecond: number): number | null {
  if (leftBytes <= 0) return 0
  return bytesPerSecond > 0 ? leftBytes / bytesPerSecond : null
}
