// The elements of an array in a JSON text as they are written there, so that numbers keep their digits.

import { jsonEndsAt, whyNotJson } from '../../formats/mod.ts'
import { placeIn } from '../../xml/mod.ts'
import { splitFault } from './faults.ts'

export type Span = { readonly from: number; readonly to: number }

const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const OPEN_MAP = 0x7b
const CLOSE_MAP = 0x7d

/** Faults: `SPLIT_JSON_INVALID` with line and column, `SPLIT_NO_LIST`. */
export function elementsOf(text: string, pointer: string): Span[] {
  try {
    // What follows relies on it being well-formed. Nothing is kept of the values.
    JSON.parse(text)
  } catch {
    throw invalid(text)
  }
  let at = spaces(text, 0)
  let path = ''
  for (const token of tokensOf(pointer)) {
    path += `/${token}`
    const found = text.charCodeAt(at) === OPEN_MAP ? member(text, at, token) : element(text, at, token)
    if (found === null)
      throw splitFault('SPLIT_NO_LIST', { where: 'split: by.json.pointer', why: `nothing is at ${path}` })
    at = found
  }
  if (text.charCodeAt(at) !== OPEN_LIST) {
    throw splitFault('SPLIT_NO_LIST', { where: 'split: by.json.pointer', why: `${path || 'the document'} is no array` })
  }
  return children(text, at)
}

const tokensOf = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))

/** Of two members with one name nobody can say which is meant. */
function member(text: string, from: number, name: string): number | null {
  let found: number | null = null
  let at = spaces(text, from + 1)
  while (text.charCodeAt(at) === QUOTE) {
    const end = value(text, at)
    const here = spaces(text, spaces(text, end) + 1)
    if (JSON.parse(text.slice(at, end)) === name) {
      if (found !== null) throw repeated(text, at)
      found = here
    }
    at = spaces(text, value(text, here))
    if (text.charCodeAt(at) === COMMA) at = spaces(text, at + 1)
  }
  return found
}

function element(text: string, from: number, token: string): number | null {
  if (text.charCodeAt(from) !== OPEN_LIST || !/^(0|[1-9]\d{0,9})$/.test(token)) return null
  return children(text, from)[Number(token)]?.from ?? null
}

function children(text: string, from: number): Span[] {
  const spans: Span[] = []
  let at = spaces(text, from + 1)
  while (text.charCodeAt(at) !== CLOSE_LIST) {
    const to = value(text, at)
    spans.push({ from: at, to })
    at = spaces(text, to)
    if (text.charCodeAt(at) === COMMA) at = spaces(text, at + 1)
  }
  return spans
}

/** Behind the value that begins here; however deep it is, without recursion. */
function value(text: string, from: number): number {
  let depth = 0
  let at = from
  for (;;) {
    const unit = text.charCodeAt(at)
    if (unit === QUOTE) at = quoted(text, at)
    else if (unit === OPEN_LIST || unit === OPEN_MAP) {
      depth += 1
      at += 1
    } else if (unit === CLOSE_LIST || unit === CLOSE_MAP) {
      depth -= 1
      at += 1
    } else if (unit === COMMA || unit === COLON || isSpace(unit)) {
      at += 1
      continue
    } else at = scalar(text, at)
    if (depth === 0) return at
  }
}

function quoted(text: string, from: number): number {
  for (let at = text.indexOf('"', from + 1); ; at = text.indexOf('"', at + 1)) {
    let slashes = 0
    while (text[at - 1 - slashes] === '\\') slashes += 1
    if (slashes % 2 === 0) return at + 1
  }
}

/** A number, true, false or null. */
function scalar(text: string, from: number): number {
  let at = from + 1
  for (; at < text.length; at += 1) {
    const unit = text.charCodeAt(at)
    if (unit === COMMA || unit === CLOSE_LIST || unit === CLOSE_MAP || isSpace(unit)) break
  }
  return at
}

const isSpace = (unit: number): boolean => unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09

function spaces(text: string, from: number): number {
  let at = from
  while (isSpace(text.charCodeAt(at))) at += 1
  return at
}

function repeated(text: string, position: number): Error {
  const { line, column } = placeIn(text, position)
  const why = 'this name stands twice in one object'
  return splitFault('SPLIT_JSON_INVALID', { where: `line ${line}, column ${column}`, why, position, line, column })
}

function invalid(text: string): Error {
  const position = jsonEndsAt(text)
  const { line, column } = placeIn(text, position)
  const where = `line ${line}, column ${column}`
  return splitFault('SPLIT_JSON_INVALID', { where, why: whyNotJson(text, position), position, line, column })
}
