// Dates of spreadsheets: numbers of days that only a cell's format makes dates.
//
// Day 1 is 1900-01-01, and 1900 has a 29 February there (day 60), as Lotus had it: up to day 59 the count is one short of the later.
// Workbooks of old Macintoshes count from 1904-01-01, day 0.

export type DateKind = { readonly date: boolean; readonly time: boolean }

const DATE: DateKind = { date: true, time: false }
const TIME: DateKind = { date: false, time: true }
const BOTH: DateKind = { date: true, time: true }

const DAY_MS = 86_400_000
const LEAP_DAY_1900 = 60
/** 1899-12-30, from which days after that day count right; 1904-01-01. */
const ZERO_1900_MS = Date.UTC(1899, 11, 30)
const ZERO_1904_MS = Date.UTC(1904, 0, 1)
/** 9999-12-31, the last day a spreadsheet has. */
const DAYS_MAX = 2_958_466

/** Whether a number format shows dates: by its number when the format is one of those built in, else by its code. */
export function dateKind(id: number, code: string | undefined): DateKind | null {
  if (code === undefined) return builtIn(id)
  // Texts, escaped and padding characters, colours, locales and elapsed times (hours beyond 24 are no time of day) say nothing.
  const letters = code.replace(/"[^"]*"|\\.|[_*].|\[[^\]]*\]/g, '').toLowerCase()
  if (/\[(h+|m+|s+)\]/i.test(code) || letters.includes('general')) return null
  const time = /[hs]/.test(letters)
  const date = /[yd]/.test(letters) || (!time && letters.includes('m'))
  return date ? (time ? BOTH : DATE) : time ? TIME : null
}

function builtIn(id: number): DateKind | null {
  if (id === 22) return BOTH
  if ((id >= 14 && id <= 17) || (id >= 27 && id <= 31) || id === 36 || (id >= 50 && id <= 54) || id === 57 || id === 58)
    return DATE
  if ((id >= 18 && id <= 21) || (id >= 32 && id <= 35) || id === 45 || id === 47 || id === 55 || id === 56) return TIME
  return null
}

/** ISO 8601 without zone: spreadsheets have none. `null` for a number that is no date. */
export function isoOf(serial: number, kind: DateKind, from1904: boolean): string | null {
  if (!Number.isFinite(serial) || serial < 0 || serial >= DAYS_MAX) return null
  let days = Math.floor(serial)
  let ms = Math.round((serial - days) * DAY_MS)
  if (ms === DAY_MS) {
    days += 1
    ms = 0
  }
  const clock = new Date(ms).toISOString().slice(11, ms % 1_000 === 0 ? 19 : 23)
  if (!kind.date && days === 0) return clock
  if (!from1904 && (days === 0 || days === LEAP_DAY_1900)) return null
  const shift = !from1904 && days < LEAP_DAY_1900 ? 1 : 0
  const day = new Date((from1904 ? ZERO_1904_MS : ZERO_1900_MS) + (days + shift) * DAY_MS).toISOString().slice(0, 10)
  return kind.time || ms > 0 ? `${day}T${clock}` : day
}

/** A date of ISO 8601 as a number of days from 1900, and whether it has a time; `null` when it is none a spreadsheet can hold. */
export function serialOf(text: string): { readonly serial: number; readonly time: boolean } | null {
  const [, day, clock] = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?))?$/.exec(text) ?? []
  if (day === undefined) return null
  const time = clock === undefined ? '00:00:00' : clock.length === 5 ? `${clock}:00` : clock
  const at = new Date(`${day}T${time}Z`)
  if (Number.isNaN(at.getTime()) || at.toISOString().slice(0, 10) !== day) return null
  const serial = (at.getTime() - ZERO_1900_MS) / DAY_MS
  return serial > LEAP_DAY_1900 ? { serial, time: clock !== undefined } : null
}
