// Dates and times by pattern: fixed places, so that XSLT 1.0 can do the same with substring().

import { NotationError } from './mistake.ts'

export type DatePieces = {
  /** A text fits when it is this after every digit became 0. */
  readonly mask: string
  /** Literal texts, and places (from 1) in the text that fits. */
  readonly pieces: readonly (string | { readonly start: number; readonly length: number })[]
}

const FIELDS = /YYYY|MM|DD|hh|mm|ss/g

/** Patterns have YYYY, MM, DD, hh, mm, ss and other characters; `from` each field at most once, `to` only fields that `from` has. */
export function datePieces(from: string, to: string): DatePieces {
  const places = new Map<string, number>()
  let mask = ''
  let end = 0
  for (const { 0: field, index } of from.matchAll(FIELDS)) {
    if (places.has(field)) throw new NotationError(`${field} is twice in ${JSON.stringify(from)}`)
    mask += from.slice(end, index)
    places.set(field, [...mask].length + 1)
    mask += '0'.repeat(field.length)
    end = index + field.length
  }
  mask += from.slice(end)
  if (/\d/.test(from)) throw new NotationError(`digits in ${JSON.stringify(from)}: write YYYY, MM, DD, hh, mm, ss`)
  if (places.size === 0) throw new NotationError(`no YYYY, MM, DD, hh, mm or ss in ${JSON.stringify(from)}`)
  const pieces: DatePieces['pieces'][number][] = []
  end = 0
  for (const { 0: field, index } of to.matchAll(FIELDS)) {
    const start = places.get(field)
    if (start === undefined)
      throw new NotationError(`${field} is in ${JSON.stringify(to)} and not in ${JSON.stringify(from)}`)
    if (index > end) pieces.push(to.slice(end, index))
    pieces.push({ start, length: field.length })
    end = index + field.length
  }
  if (end < to.length) pieces.push(to.slice(end))
  return { mask, pieces }
}
