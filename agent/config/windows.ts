// When large content may travel, and how fast: windows of the day in local time, with a rate inside and one outside of them.

const WINDOW = /^(\d{1,2}):([0-5]\d)-(\d{1,2}):([0-5]\d)$/

/** Why a text is no window, or `null`. */
export function windowProblem(text: string): string | null {
  const window = parseWindow(text)
  if (window === null) return 'it is no window of the day like 22:00-06:00'
  return window.from === window.to ? 'it begins when it ends' : null
}

export type Schedule = {
  /** Bytes a second, 0 for no limit: always, or inside the windows. */
  readonly rate: number
  /** None: always. */
  readonly windows?: readonly string[]
  /** Bytes a second outside of them; 0: nothing. */
  readonly rateOutside?: number
}

/** Bytes a second as uploads and downloads take them: 0 for no limit, -1 for nothing at this time. */
export function rateOf(schedule: Schedule, now = () => new Date()): number | (() => number) {
  const { rate, windows = [], rateOutside = 0 } = schedule
  const spans = windows.map(parseWindow).filter((span) => span !== null)
  if (spans.length === 0) return rate
  return () => {
    const at = now()
    const minute = 60 * at.getHours() + at.getMinutes()
    if (spans.some((span) => isInside(minute, span))) return rate
    return rateOutside > 0 ? rateOutside : -1
  }
}

type Rate = ReturnType<typeof rateOf>

/** What keeps to both. */
export function lowerRate(one: Rate, other: Rate): Rate {
  const both = (): number => {
    const [a, b] = [now(one), now(other)]
    if (a < 0 || b < 0) return -1
    return a === 0 || b === 0 ? a + b : Math.min(a, b)
  }
  return typeof one === 'number' && typeof other === 'number' ? both() : both
}

const now = (rate: Rate): number => (typeof rate === 'number' ? rate : rate())

/** Minutes of the day. */
type Span = { readonly from: number; readonly to: number }

/** Over midnight when it ends before it begins. */
const isInside = (minute: number, { from, to }: Span): boolean =>
  from < to ? minute >= from && minute < to : minute >= from || minute < to

function parseWindow(text: string): Span | null {
  const match = WINDOW.exec(text)
  if (match === null) return null
  const [hourFrom, minuteFrom, hourTo, minuteTo] = match.slice(1).map(Number) as [number, number, number, number]
  if (hourFrom > 23 || hourTo > 23) return null
  return { from: 60 * hourFrom + minuteFrom, to: 60 * hourTo + minuteTo }
}
