// "Did you mean …": the nearest of the names that would have been right.

import { NAMES_SHOWN_MAX, SPELLING_LENGTH_MAX } from './limits.ts'
import { halfWidth } from './width.ts'

/**
 * Damerau–Levenshtein distance (optimal string alignment): insertions, deletions, substitutions and swaps of neighbours,
 * counted in UTF-16 units. Work is |a|·|b|: callers bound the lengths.
 */
export function distance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const differs = a[i - 1] === b[j - 1] ? 0 : 1
      let best = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + differs)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) best = Math.min(best, at(beforeLast, j - 2) + 1)
      row.push(best)
    }
    beforeLast = last
    last = row
  }
  return at(last, b.length)
}

/** The candidate that was probably meant, or `null`. Case, `-`, `_` and full-width forms count as no difference at all. */
export function nearest(written: string, candidates: readonly string[]): string | null {
  if (written.length > SPELLING_LENGTH_MAX) return null
  const wanted = folded(written)
  if (wanted === '') return null
  let best: string | null = null
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1
  for (const candidate of candidates) {
    if (candidate.length > SPELLING_LENGTH_MAX) continue
    const known = folded(candidate)
    // One letter replaced in a name of one or two letters leaves nothing in common.
    if (known.length <= 2 && known !== wanted) continue
    const found = distance(wanted, known)
    if (found < bestDistance) {
      best = candidate
      bestDistance = found
    }
  }
  return best
}

/** `a, b and c`, bounded. */
export function listNames(names: readonly string[], last: 'and' | 'or'): string {
  const shown = names.slice(0, NAMES_SHOWN_MAX)
  if (shown.length < names.length) return `${shown.join(', ')} ${last} ${names.length - shown.length} more`
  if (shown.length < 2) return shown.join('')
  return `${shown.slice(0, -1).join(', ')} ${last} ${shown.at(-1)}`
}

function folded(name: string): string {
  return halfWidth(name)
    .toLowerCase()
    .replace(/[-_\s"']/g, '')
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? 0
}
