// The texts beside what was set aside: for the person who dropped the file.

import type { Fault } from '#protocol/base/mod.ts'
import { REASON_EXAMPLES_MAX } from '../../limits.ts'
import type { RejectEntry } from '../../support/mod.ts'

/** Counts rows set aside by code and keeps the first few as examples. */
export class Tally {
  total = 0
  readonly counts = new Map<string, number>()
  readonly examples: RejectEntry[] = []

  add(entry: RejectEntry): void {
    this.total += 1
    this.counts.set(entry.code, (this.counts.get(entry.code) ?? 0) + 1)
    if (this.examples.length < REASON_EXAMPLES_MAX) this.examples.push(entry)
  }
}

export function reasonText(name: string, tally: Tally): string {
  const counts = [...tally.counts].map(([code, count]) => `  ${code}: ${count}`)
  const examples = tally.examples.map(
    (entry) => `  line ${entry.line ?? entry.ref ?? '?'}: ${entry.code}: ${entry.reason}`,
  )
  return [
    `${tally.total} row(s) of ${name} were set aside; the others were taken and the file is in done/.`,
    'The rows, each with its line number and reason, are beside this file, in the one that ends in .rows.jsonl.',
    'Correct them and drop them again as a new file.',
    '',
    ...counts,
    '',
    tally.total > tally.examples.length ? `The first ${tally.examples.length}:` : 'In detail:',
    ...examples,
    '',
  ].join('\n')
}

export function fileReasonText(
  name: string,
  fault: Fault,
  taken: { readonly rows: number; readonly line: number },
): string {
  const before =
    taken.rows === 0
      ? 'No row of it was taken.'
      : `${taken.rows} row(s) before line ${taken.line} were taken; do not drop those again.`
  return [`${name} was set aside as a whole.`, `${fault.code}: ${fault.message}.`, before, `${fault.remedy}.`, ''].join(
    '\n',
  )
}

/** Of a file that was to be sent as it is. */
export function wholeReasonText(name: string, { code, reason }: Pick<RejectEntry, 'code' | 'reason'>): string {
  return [`${name} was set aside; nothing of it was sent.`, `${code}: ${reason}`, ''].join('\n')
}
