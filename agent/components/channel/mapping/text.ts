// Text and numbers as ast.ts defines them: by code point, with XML's white space, in doubles.

import { FORMATTED_MAX } from './limits.ts'

const isHigh = (unit: number): boolean => (unit & 0xfc00) === 0xd800

/** The index `count` code points behind `from`, or the length. */
function behind(text: string, from: number, count: number): number {
  const { length } = text
  let at = from
  for (let left = count; left > 0 && at < length; left -= 1) at += isHigh(text.charCodeAt(at)) ? 2 : 1
  return Math.min(at, length)
}

/** XPath's substring() for whole numbers, `start` ≥ 1. */
export function substring(text: string, start: number, length: number | null): string {
  const from = behind(text, 0, start - 1)
  return length === null ? text.slice(from) : text.slice(from, behind(text, from, length))
}

export function before(text: string, mark: string): string {
  const at = text.indexOf(mark)
  return at < 0 ? '' : text.slice(0, at)
}

export function after(text: string, mark: string): string {
  const at = text.indexOf(mark)
  return at < 0 ? '' : text.slice(at + mark.length)
}

/** XPath's translate() with fixed lists. */
export function translator(from: string, to: string): (text: string) => string {
  const targets = [...to]
  const table = new Map<number, string>()
  for (const [i, char] of [...from].entries()) {
    const code = char.codePointAt(0) as number
    if (!table.has(code)) table.set(code, targets[i] ?? '')
  }
  return (text) => {
    let done = ''
    let pending = 0
    for (let at = 0; at < text.length; ) {
      const code = text.codePointAt(at) as number
      const width = code > 0xffff ? 2 : 1
      const other = table.get(code)
      if (other !== undefined) {
        done += text.slice(pending, at) + other
        pending = at + width
      }
      at += width
    }
    return pending === 0 ? text : done + text.slice(pending)
  }
}

const isSpace = (unit: number): boolean => unit === 0x20 || unit === 0x0a || unit === 0x09 || unit === 0x0d

export function trim(text: string): string {
  let from = 0
  let to = text.length
  while (from < to && isSpace(text.charCodeAt(from))) from += 1
  while (to > from && isSpace(text.charCodeAt(to - 1))) to -= 1
  return text.slice(from, to)
}

export const normalize = (text: string): string => trim(text).replace(/[ \t\n\r]+/g, ' ')

const NUMBER = /^-?(?:\d+(?:\.\d*)?|\.\d+)$/

export function numberOf(text: string): number {
  const trimmed = trim(text)
  return NUMBER.test(trimmed) ? Number(trimmed) : Number.NaN
}

export function format(number: number, decimals: number, grouping: boolean): string {
  const scaled = Math.floor(number * 10 ** decimals + 0.5)
  // Also when it is NaN.
  if (!(Math.abs(scaled) < FORMATTED_MAX)) return 'NaN'
  const digits = String(Math.abs(scaled)).padStart(decimals + 1, '0')
  const point = digits.length - decimals
  let whole = digits.slice(0, point)
  if (grouping) whole = whole.replace(/\B(?=(?:\d{3})+$)/g, ',')
  const sign = scaled < 0 ? '-' : ''
  return decimals === 0 ? sign + whole : `${sign}${whole}.${digits.slice(point)}`
}

/** By code point: UTF-16 has the surrogates, which stand for what comes last, before U+E000. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i += 1) {
    const one = a.charCodeAt(i)
    const other = b.charCodeAt(i)
    if (one !== other) return rank(one) - rank(other)
  }
  return a.length - b.length
}

const rank = (unit: number): number => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800)

/** NaN before all others. */
export function compareNumbers(a: number, b: number): number {
  if (a < b) return -1
  if (a > b) return 1
  return Number(Number.isNaN(b)) - Number(Number.isNaN(a))
}
