// When large content may be sent: a window of the day in local time, with a rate inside it.

const WINDOW = /^(\d{1,2}):([0-5]\d)-(\d{1,2}):([0-5]\d)$/

/** Why a text is no window, or `null`. */
export function windowProblem(text: string): string | null {
  const window = parseWindow(text)
  if (window === null) return 'it is no window of the day like 22:00-06:00'
  return window.from === window.to ? 'it begins when it ends' : null
}

/** Bytes a second for uploads and downloads: 0 for no limit, -1 outside the window. */
export function rateOf(
  { rate, window }: { readonly rate: number; readonly window?: string | undefined },
  now = () => new Date(),
): number | (() => number) {
  const span = window === undefined ? null : parseWindow(window)
  if (span === null) return rate
  const { from, to } = span
  return () => {
    const at = now()
    const minute = 60 * at.getHours() + at.getMinutes()
    const isInside = from < to ? minute >= from && minute < to : minute >= from || minute < to
    return isInside ? rate : -1
  }
}

/** Minutes of the day. */
function parseWindow(text: string): { readonly from: number; readonly to: number } | null {
  const match = WINDOW.exec(text)
  if (match === null) return null
  const [hourFrom, minuteFrom, hourTo, minuteTo] = match.slice(1).map(Number) as [number, number, number, number]
  if (hourFrom > 23 || hourTo > 23) return null
  return { from: 60 * hourFrom + minuteFrom, to: 60 * hourTo + minuteTo }
}
