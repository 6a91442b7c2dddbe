// How far a transfer is, for people: one line on a terminal, drawn again and again; and the words for sizes, rates and times.

/** A terminal of 80 columns wraps what fills the last one. */
const COLUMNS_MAX = 79
const CELLS = 20
const CELLS_MIN = 5

export type BarState = {
  /** Before it, such as `2/12 `; ASCII. */
  readonly label?: string
  readonly size: number
  readonly doneBytes: number
  readonly bytesPerSecond: number
  /** `null`: nobody knows. */
  readonly secondsLeft: number | null
  /** Instead of rate and time left; `null`: none. */
  readonly note: string | null
}

/** `[##########----------]  50% 512.0 MiB of 1.0 GiB, 98.1 MiB/s, 5s left`, at most 79 columns. */
export function barLine({ label = '', size, doneBytes, bytesPerSecond, secondsLeft, note }: BarState): string {
  const part = size === 0 ? 0 : Math.min(1, doneBytes / size)
  const cells = Math.max(CELLS_MIN, CELLS - label.length)
  const full = Math.floor(part * cells)
  const bar = `${label}[${'#'.repeat(full)}${'-'.repeat(cells - full)}]`
  const percent = `${Math.floor(part * 100)}%`.padStart(4)
  const left = secondsLeft === null ? '' : `, ${roughTime(secondsLeft)} left`
  const going = note ?? `${roughBytes(bytesPerSecond)}/s${left}`
  return `${bar} ${percent} ${roughBytes(doneBytes)} of ${roughBytes(size)}, ${going}`.slice(0, COLUMNS_MAX)
}

/** Draws on a terminal; where there is none it does nothing. */
export class Bar {
  private readonly out: NodeJS.WriteStream
  private drawn = 0

  constructor(out: NodeJS.WriteStream) {
    this.out = out
  }

  draw(state: BarState): void {
    if (!this.out.isTTY) return
    const line = barLine(state)
    this.out.write(`\r${line.padEnd(this.drawn)}`)
    this.drawn = line.length
  }

  /** Makes room for other lines. */
  clear(): void {
    if (this.drawn > 0) this.out.write(`\r${' '.repeat(this.drawn)}\r`)
    this.drawn = 0
  }
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** `17 B`, `1.5 MiB`. */
export function roughBytes(bytes: number): string {
  let left = bytes
  let unit = 0
  while (left >= 1024 && unit < UNITS.length - 1) {
    left /= 1024
    unit++
  }
  return `${unit === 0 ? Math.round(left) : left.toFixed(1)} ${UNITS[unit]}`
}

/** `42s`, `3m 20s`, `2h 5m`. */
export function roughTime(seconds: number): string {
  const whole = Math.ceil(seconds)
  if (whole < 60) return `${whole}s`
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${whole % 60}s`
  return `${Math.floor(whole / 3600)}h ${Math.floor((whole % 3600) / 60)}m`
}
