// Names in faults: bounded lists and "did you mean".

import { nearest } from '#protocol/fields/mod.ts'

export { nearest }

const SHOWN_MAX = 12

/** `a, b and c`; long lists end in `and 7 more`. */
export function listNames(names: readonly string[], last: 'and' | 'or'): string {
  if (names.length > SHOWN_MAX)
    return `${names.slice(0, SHOWN_MAX).join(', ')} ${last} ${names.length - SHOWN_MAX} more`
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} ${last} ${names.at(-1)}`
}

/** `Did you mean "code"? ` or, when nothing is near, what there is. */
export function suggestion(written: string, known: readonly string[]): string {
  const meant = nearest(written, known)
  if (meant !== null) return `Did you mean ${JSON.stringify(meant)}?`
  return known.length === 0 ? 'There are none.' : `Known are ${listNames(known, 'and')}.`
}
