// What became of cases, as text for a terminal.

import type { CaseDifference } from './run.ts'

/** One line for a case, and what is not as expected below it. */
export function caseText({
  name,
  differences,
}: {
  readonly name: string
  readonly differences: readonly CaseDifference[]
}): string {
  if (differences.length === 0) return `  ok    ${name}`
  return [`  FAIL  ${name}`, ...differences.flatMap(differenceLines)].join('\n')
}

function differenceLines({ what, expected, got }: CaseDifference): string[] {
  return [`          ${what}`, `            expected ${indented(expected)}`, `            got      ${indented(got)}`]
}

const indented = (text: string): string => text.replaceAll('\n', `\n${' '.repeat(21)}`)
