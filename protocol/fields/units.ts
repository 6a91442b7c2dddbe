// Sizes and durations as people write them. Binary units only: "MB" means two things, so it is refused with the answer.

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

const DURATION_UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** A number, or what to write instead. */
export type Quantity =
  | { readonly ok: true; readonly value: number }
  | { readonly ok: false; readonly hint: string | null }

/** `65536`, `64 KiB`, `1.5 GiB` → bytes; a fraction must come out at whole bytes. */
export function parseBytes(text: string): Quantity {
  const match = /^(\d{1,15}(?:\.\d{1,6})?)[ \t]*([a-z]*)$/i.exec(text.trim())
  if (match === null) return { ok: false, hint: null }
  const [, digits = '', unit = ''] = match
  if (unit === '') return whole(Number(digits))
  const power = BYTE_UNITS.findIndex((known) => known.toLowerCase() === unit.toLowerCase())
  if (power >= 0) return whole(Number(digits) * 1024 ** power)
  const meant = BYTE_UNITS.find((known) => known[0] === unit[0]?.toUpperCase())
  return { ok: false, hint: meant === undefined ? null : `Write ${digits} ${meant} (1 KiB is 1024 bytes)` }
}

/** `250` (milliseconds), `500ms`, `5s`, `2m`, `1h`, `1d` → milliseconds. */
export function parseDuration(text: string): Quantity {
  const match = /^(\d{1,15}(?:\.\d{1,6})?)[ \t]*([a-z]*)$/i.exec(text.trim())
  if (match === null) return { ok: false, hint: null }
  const [, digits = '', unit = ''] = match
  if (unit === '') return whole(Number(digits))
  if (Object.hasOwn(DURATION_UNITS, unit)) {
    return whole(Number(digits) * DURATION_UNITS[unit as keyof typeof DURATION_UNITS])
  }
  const lower = unit.toLowerCase()
  const meant = lower.startsWith('ms') || lower.startsWith('mil') ? 'ms' : lower[0]
  const known = meant !== undefined && Object.hasOwn(DURATION_UNITS, meant)
  return { ok: false, hint: known ? `Write ${digits}${meant} (units are ms, s, m, h and d)` : null }
}

/** The largest unit that needs no fraction: 65536 → `64 KiB`. */
export function formatBytes(bytes: number): string {
  let power = 0
  let left = bytes
  while (left >= 1024 && left % 1024 === 0 && power < BYTE_UNITS.length - 1) {
    left /= 1024
    power += 1
  }
  return power === 0 ? `${bytes} B` : `${left} ${BYTE_UNITS[power]}`
}

/** The largest unit that needs no fraction: 90000 → `90s`. */
export function formatDuration(ms: number): string {
  let shown = `${ms}ms`
  for (const [unit, size] of Object.entries(DURATION_UNITS)) {
    if (ms >= size && ms % size === 0) shown = `${ms / size}${unit}`
  }
  return shown
}

function whole(value: number): Quantity {
  return Number.isSafeInteger(value) ? { ok: true, value } : { ok: false, hint: 'Write a number that comes out whole' }
}
