// Dates of a locale in explicit patterns: nothing is guessed, and 31.02. is no date.

import { convertFault } from './faults.ts'

type Unit = 'year' | 'month' | 'day' | 'hour' | 'minute' | 'second' | 'milli'
type Token = { readonly unit: Unit; readonly digits: number; readonly exact: boolean }

const TOKENS: Readonly<Record<string, Token>> = {
  yyyy: { unit: 'year', digits: 4, exact: true },
  MM: { unit: 'month', digits: 2, exact: true },
  M: { unit: 'month', digits: 2, exact: false },
  dd: { unit: 'day', digits: 2, exact: true },
  d: { unit: 'day', digits: 2, exact: false },
  HH: { unit: 'hour', digits: 2, exact: true },
  H: { unit: 'hour', digits: 2, exact: false },
  mm: { unit: 'minute', digits: 2, exact: true },
  ss: { unit: 'second', digits: 2, exact: true },
  SSS: { unit: 'milli', digits: 3, exact: true },
}

/** A token or a text that stands for itself. */
type Part = Token | string

function partsOf(pattern: string): Part[] | string {
  const parts: Part[] = []
  for (const [piece, quoted] of pattern.matchAll(/'([^']*)'|([A-Za-z])\2*|[^A-Za-z']+|'/g)) {
    if (quoted !== undefined) parts.push(quoted === '' ? "'" : quoted)
    else if (Object.hasOwn(TOKENS, piece)) parts.push(TOKENS[piece] as Token)
    else if (/^[A-Za-z']/.test(piece))
      return `${piece} means nothing in a pattern; letters that stand for themselves go in quotes`
    else parts.push(piece)
  }
  return parts
}

/** Why a pattern cannot be used, or `null`. */
export function patternProblem(pattern: string): string | null {
  const parts = partsOf(pattern)
  if (typeof parts === 'string') return parts
  const units = parts.flatMap((part) => (typeof part === 'string' ? [] : [part.unit]))
  if (units.length === 0) return 'it has no part of a date'
  const twice = units.find((unit, i) => units.indexOf(unit) !== i)
  if (twice !== undefined) return `it has the ${twice} twice`
  const run = parts.findIndex((part, i) => typeof part !== 'string' && !part.exact && typeof parts[i + 1] === 'object')
  return run < 0 ? null : 'a part of one or two digits must not touch the next'
}

/** A text in one pattern → the same date in another. Throws CONVERT_DATE. */
export function dateChanger(from: string, to: string): (text: string, where: string) => string {
  const given = partsOf(from) as Part[]
  const wanted = partsOf(to) as Part[]
  const units = given.flatMap((part) => (typeof part === 'string' ? [] : [part.unit]))
  const form = new RegExp(
    `^${given.map((part) => (typeof part === 'string' ? part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&') : digitsOf(part))).join('')}$`,
  )
  return (text, where) => {
    const found = form.exec(text)
    if (found === null)
      throw convertFault('CONVERT_DATE', { where, why: `${JSON.stringify(text.slice(0, 40))} is not ${from}` })
    const date: Record<Unit, number> = { year: 2000, month: 1, day: 1, hour: 0, minute: 0, second: 0, milli: 0 }
    for (const [i, unit] of units.entries()) date[unit] = Number(found[i + 1])
    if (!exists(date)) throw convertFault('CONVERT_DATE', { where, why: `there is no ${text}` })
    return wanted.map((part) => (typeof part === 'string' ? part : written(date[part.unit], part))).join('')
  }
}

const digitsOf = ({ digits, exact }: Token): string => (exact ? `(\\d{${digits}})` : `(\\d{1,${digits}})`)

const written = (value: number, { digits, exact }: Token): string =>
  exact ? String(value).padStart(digits, '0') : String(value)

function exists({ year, month, day, hour, minute, second }: Record<Unit, number>): boolean {
  if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) return false
  return day <= daysIn(year, month)
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return [4, 6, 9, 11].includes(month) ? 30 : 31
}

/** What a pattern goes out with must be in the one it comes in: a time cannot be made up. */
export function missingUnit(from: string, to: string): string | null {
  const unitsIn = (pattern: string): Unit[] =>
    (partsOf(pattern) as Part[]).flatMap((part) => (typeof part === 'string' ? [] : [part.unit]))
  const given = unitsIn(from)
  return unitsIn(to).find((unit) => !given.includes(unit)) ?? null
}
