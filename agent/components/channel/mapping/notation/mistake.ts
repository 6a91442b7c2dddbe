// What is wrong with a mapping's text, and what may have been meant.

import { nearest } from '#protocol/fields/mod.ts'

/** What is wrong with a text, for people; the caller knows the place. */
export class NotationError extends Error {}

const KEYS = `$when $forEach $sort $optional $content $choose $stop $each $text $value $concat $substring $before $after
  $translate $upper $lower $normalize $trim $lookup $default $if $format $count $sum $date $position $add $subtract
  $multiply $divide`.split(/\s+/)
const CONDITIONS = 'exists empty equals differs in contains startsWith not all any'.split(' ')

export const unknownKey = (key: string): string => unknown('', key, KEYS)
export const unknownCondition = (name: string): string => unknown('condition ', name, CONDITIONS)

function unknown(what: string, name: string, known: readonly string[]): string {
  const near = nearest(name, known)
  return `there is no ${what}${name}${near === null ? '' : `; did you mean ${near}?`}`
}
