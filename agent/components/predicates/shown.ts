// Values as people read them in an explanation, cut to a line or two.

import { SHOWN_CHARS_MAX, SHOWN_NODES_MAX } from './limits.ts'

/** A list with `of` is a sequence of texts that are shown as they are. */
export function shown(value: unknown, of?: 'nodes' | 'items'): string {
  if (of !== undefined && Array.isArray(value)) {
    if (value.length === 0) return `no ${of}`
    const first = value.slice(0, SHOWN_NODES_MAX).map((each) => cut(String(each)))
    const more = value.length > first.length ? `, and ${value.length - first.length} more` : ''
    return `${value.length} ${value.length === 1 ? of.slice(0, -1) : of}: ${first.join(', ')}${more}`
  }
  if (value === undefined) return 'nothing'
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  return cut(
    JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? String(each) : each)) ?? String(value),
  )
}

function cut(text: string): string {
  if (text.length <= SHOWN_CHARS_MAX) return text
  return `${text.slice(0, SHOWN_CHARS_MAX).toWellFormed()}…`
}
