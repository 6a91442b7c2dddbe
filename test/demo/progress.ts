// What the demo shows while it runs: bars that redraw themselves on a terminal, plain lines every few seconds elsewhere.

import { formatCount } from './table.ts'

export type Bar = { readonly title: string; readonly done: number; readonly total: number; readonly note: string }

export const BAR_COLUMNS = 24

/** One bar as a line of at most 80 columns. `done` beyond `total` is shown as full. */
export function renderBar(bar: Bar, titleColumns = 16): string {
  const share = bar.total === 0 ? 1 : Math.min(1, bar.done / bar.total)
  const full = Math.floor(share * BAR_COLUMNS)
  const drawn = '█'.repeat(full) + '░'.repeat(BAR_COLUMNS - full)
  const percent = `${Math.floor(share * 100)}`.padStart(3)
  const counts = `${formatCount(bar.done)} of ${formatCount(bar.total)}`
  const line = `${bar.title.padEnd(titleColumns)} ${drawn} ${percent} % ${counts} ${bar.note}`
  return line.slice(0, 80).trimEnd()
}

/** All bars in one line, for logs: `12.3 s  villages 41 %  centre 38 %`. */
export function renderPlain(elapsedMs: number, bars: readonly Bar[]): string {
  const parts = bars.map(({ title, done, total, note }) => {
    const share = total === 0 ? 1 : Math.min(1, done / total)
    return `${title} ${Math.floor(share * 100)} %${note === '' ? '' : ` (${note})`}`
  })
  return `${seconds(elapsedMs)}  ${parts.join(', ')}`
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1).padStart(5)} s`
}

type Output = { write(text: string): unknown; readonly isTTY?: boolean }

const PLAIN_EVERY_MS = 3_000

/** Writes lines above the bars and redraws the bars in place. */
export class Progress {
  readonly #out: Output
  readonly #startMs: number
  #drawn = 0
  #bars: readonly Bar[] = []
  #plainAtMs = 0

  constructor(out: Output, startMs: number) {
    this.#out = out
    this.#startMs = startMs
  }

  /** A line that stays. */
  say(text: string, nowMs: number): void {
    this.#erase()
    this.#out.write(`${seconds(nowMs - this.#startMs)}  ${text}\n`)
    this.#draw()
  }

  /** Text as it is, without the time. */
  print(text: string): void {
    this.#erase()
    this.#out.write(`${text}\n`)
    this.#draw()
  }

  show(bars: readonly Bar[], nowMs: number): void {
    if (this.#out.isTTY === true) {
      this.#erase()
      this.#bars = bars
      this.#draw()
    } else if (nowMs - this.#plainAtMs >= PLAIN_EVERY_MS) {
      this.#plainAtMs = nowMs
      this.#out.write(`${renderPlain(nowMs - this.#startMs, bars)}\n`)
    }
  }

  /** Leaves the bars as they are: what comes next is written below them. */
  end(): void {
    this.#bars = []
    this.#drawn = 0
  }

  #erase(): void {
    if (this.#drawn > 0) this.#out.write(`\x1b[${this.#drawn}A\x1b[J`)
    this.#drawn = 0
  }

  #draw(): void {
    if (this.#bars.length === 0) return
    this.#out.write(`${this.#bars.map((bar) => renderBar(bar)).join('\n')}\n`)
    this.#drawn = this.#bars.length
  }
}
