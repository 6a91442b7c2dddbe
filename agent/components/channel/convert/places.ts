// Where the columns of records of fixed width are.

import type { FixedColumn } from './settings.ts'

/** A column with its place: from 0, in units. */
export type Place = FixedColumn & { readonly from: number; readonly to: number }

export function placesOf(columns: readonly FixedColumn[]): Place[] {
  let next = 0
  return columns.map((column) => {
    const from = column.start === undefined ? next : column.start - 1
    next = from + column.width
    return { ...column, from, to: next }
  })
}

/** Why these columns cannot be, or `null`. */
export function columnsProblem(columns: readonly FixedColumn[]): string | null {
  const places = placesOf(columns)
  const twice = columns.find(({ name }, i) => columns.findIndex((other) => other.name === name) !== i)
  if (twice !== undefined) return `\`columns\` names ${twice.name} twice`
  if (columns.some(({ name }) => name === '__proto__')) return '`columns` cannot name __proto__'
  const over = places.find(({ from }, i) => i > 0 && from < (places[i - 1] as Place).to)
  return over === undefined ? null : `column ${over.name} starts before the one before it ends`
}

/** Of a whole record. */
export const widthOf = (places: readonly Place[]): number => places.at(-1)?.to ?? 0
