// How commands put things before a person: 80 columns, numbers that can be read at a glance, and nothing that a peer wrote
// reaches the terminal as more than text.

import { columns } from '#protocol/fields/mod.ts'

export const WIDTH = 80
const GAP = 2
const SECOND_MS = 1000
const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** `1234567` → `1,234,567`. */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** `1 message`, `1,234 messages`. */
export const messages = (number: number): string => `${count(number)} ${number === 1 ? 'message' : 'messages'}`

/** Three digits at most: `1.2 GiB`, `340 KiB`. */
export function size(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1024
    unit++
  }
  const digits = unit > 0 && value < 9.95 ? value.toFixed(1) : String(Math.round(value))
  return `${digits} ${BYTE_UNITS[unit]}`
}

const AGES = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', SECOND_MS],
] as const

/** The two largest units: `2d 4h`, `3m 20s`, `12s`. */
export function age(ms: number): string {
  const at = AGES.findIndex(([, unitMs]) => ms >= unitMs)
  const [unit, unitMs] = AGES[at] ?? ['s', SECOND_MS]
  const next = AGES[at + 1]
  const whole = `${Math.max(0, Math.floor(ms / unitMs))}${unit}`
  if (at < 0 || next === undefined) return whole
  const rest = Math.floor((ms % unitMs) / next[1])
  return rest === 0 ? whole : `${whole} ${rest}${next[0]}`
}

/** UTC, to the second: `2026-11-23 13:41:43Z`. */
export function time(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? String(ms) : `${date.toISOString().slice(0, 19).replace('T', ' ')}Z`
}

/** A setting where 0 is no limit. */
export function limit(value: number, words: (value: number) => string): string {
  return value === 0 ? 'no limit' : words(value)
}

/** Control and format characters, which a terminal would act on, as one visible character each. */
export function printable(text: string): string {
  return text.toWellFormed().replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '·')
}

export type Head = { readonly title: string; readonly right?: boolean }

/**
 * Rows under their heads. The first column takes what the others leave of the width; a name that is longer stands on a
 * line of its own, whole: names are there to be copied.
 */
export function grid(heads: readonly Head[], rows: readonly (readonly string[])[]): string[] {
  const widths = heads.map(({ title }, i) => Math.max(...[title, ...rows.map((row) => row[i] ?? '')].map(columns)))
  const others = widths.slice(1).reduce((sum, width) => sum + width + GAP, 0)
  const first = Math.max(columns(heads[0]?.title ?? ''), Math.min(widths[0] ?? 0, WIDTH - others))
  const last = heads.length - 1
  const rest = (cells: readonly string[]) =>
    cells.map((cell, i) => {
      const right = heads[i + 1]?.right === true
      // The last column has nothing to its right that it must stand clear of.
      if (!right && i + 1 === last) return cell
      return padded(cell, widths[i + 1] ?? 0, right)
    })
  const gap = ' '.repeat(GAP)
  const line = ([name = '', ...cells]: readonly string[]): string[] => {
    const tail = rest(cells).join(gap)
    if (columns(name) <= first) return [`${padded(name, first)}${gap}${tail}`.trimEnd()]
    return [name, `${' '.repeat(first)}${gap}${tail}`.trimEnd()]
  }
  return [...line(heads.map(({ title }) => title)), ...rows.flatMap(line)]
}

/** `label  text`, the text broken into lines under each other. */
export function labelled(label: string, text: string, options: { indent?: number; label?: number } = {}): string[] {
  const { indent = 2, label: labelWidth = 12 } = options
  const from = indent + labelWidth + GAP
  const [head = '', ...more] = wrapped(text, WIDTH - from)
  return [
    `${' '.repeat(indent)}${padded(label, labelWidth)}${' '.repeat(GAP)}${head}`.trimEnd(),
    ...more.map((line) => `${' '.repeat(from)}${line}`),
  ]
}

/** Breaks at spaces where there are some; text without them, as Chinese is written, anywhere. */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  let lineWidth = 0
  for (const char of text) {
    const charWidth = columns(char)
    if (lineWidth + charWidth > width && line !== '') {
      const space = line.lastIndexOf(' ')
      const kept = space > 0 && char !== ' ' ? line.slice(0, space) : line
      lines.push(kept.trimEnd())
      line = line.slice(kept.length).trimStart()
      lineWidth = columns(line)
      if (char === ' ' && line === '') continue
    }
    line += char
    lineWidth += charWidth
  }
  lines.push(line)
  return lines
}

function padded(text: string, width: number, right = false): string {
  const space = ' '.repeat(Math.max(0, width - columns(text)))
  return right ? space + text : text + space
}
