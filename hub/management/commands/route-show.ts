// What `route explain` and `route test` print.

import type { CaseOutcome, Compared, ExplainedRule, Explanation } from '#hub/router/rules/mod.ts'
import { count, labelled, printable } from '../show.ts'

/** Rules that do not fit, told before the rest is counted. */
const MISSED_TOLD_MAX = 20

export function explanationLines(explained: Explanation): string[] {
  const { topic, headers, mode, counted, rules } = explained
  const told = Object.entries(headers).map(([name, value]) => `${printable(name)}: ${printable(String(value))}`)
  const fitting = rules.filter(({ outcome }) => outcome === 'fits' || outcome === 'failed')
  const missed = rules.filter(({ outcome }) => outcome !== 'fits' && outcome !== 'failed')
  const more = missed.length - MISSED_TOLD_MAX
  return [
    `Message of topic ${printable(topic)}`,
    ...labelled('headers', told.join(', ') || 'none'),
    ...labelled(
      'rules',
      `${count(counted.rules)}, of which ${count(counted.otherTopics)} are for other topics; mode ${mode}`,
    ),
    ...[...fitting, ...missed.slice(0, MISSED_TOLD_MAX)].flatMap((rule) => ['', ...ruleLines(rule, explained)]),
    ...(more > 0 ? ['', `… and ${count(more)} more that do not fit: --json tells them, --rule one of them`] : []),
    '',
    ...decisionLines(explained),
  ]
}

const OUTCOMES: Readonly<Record<ExplainedRule['outcome'], string>> = {
  fits: 'fits',
  topic: 'does not fit: none of its patterns fits the topic',
  headers: 'does not fit: its headers',
  content: 'does not fit: its content',
  failed: 'failed: its content could not be looked at',
  unreached: 'was not reached',
}

function ruleLines({ rule, outcome, pattern, headers, when, ends }: ExplainedRule, { endedBy }: Explanation): string[] {
  const by = outcome === 'unreached' && endedBy !== null ? `: ${printable(endedBy)} ended the looking` : ''
  const last = outcome === 'fits' && ends ? ', and ends the looking' : ''
  const verdict = when?.verdict
  const gave =
    typeof verdict === 'object' ? `${verdict.code}: ${verdict.message}` : `gave ${when?.gave}, which is ${verdict}`
  return [
    ...labelled('rule', `${printable(rule)} ${OUTCOMES[outcome]}${by}${last}`),
    ...(pattern === null ? [] : labelled('topic', `fits ${printable(pattern)}`, { indent: 4, label: 10 })),
    ...headers.flatMap((one) =>
      labelled(one.holds ? 'header' : 'header ✗', comparedText(one), { indent: 4, label: 10 }),
    ),
    ...(when === null
      ? []
      : labelled(when.language, `${printable(when.expression)} ${printable(gave)}`, { indent: 4, label: 10 })),
  ]
}

function comparedText({ header, asked, has, holds }: Compared): string {
  const value = has === null ? 'it is not there' : `it is ${JSON.stringify(printable(has))}`
  return `${printable(header)} ${printable(asked)}: ${holds ? 'yes' : 'no'}, ${value}`
}

function decisionLines({ because, ways, failures, endedBy }: Explanation): string[] {
  const goes = ways.flatMap(({ pipeline, topic, queues, rules }) => {
    const through = pipeline === null ? '' : ` through ${printable(pipeline)}, as ${printable(topic)}`
    const by = rules.length === 0 ? 'the default' : rules.map(printable).join(', ')
    return labelled('goes to', `${queues.map(printable).join(', ')}${through} (${by})`)
  })
  const dead = failures.flatMap(({ rule, code, message }) =>
    labelled('dead letter', `${code}, rule ${printable(rule)}: ${printable(message)}`),
  )
  if (because === 'nothing') {
    return labelled('unrouted', 'no rule fits, and the set has no default: it goes where queues of the hub ask for it')
  }
  const why = because === 'default' ? labelled('because', 'no rule fits') : []
  const end = endedBy === null ? [] : labelled('ended by', printable(endedBy))
  return [...goes, ...dead, ...why, ...end]
}

/** What is told of one case. */
export function outcomeLines({ name, differences }: CaseOutcome): string[] {
  return [
    `${differences.length === 0 ? 'ok  ' : 'FAIL'}  ${printable(name)}`,
    ...differences.flatMap(({ what, expected, got }) => [
      `      ${printable(what)}`,
      ...labelled('expected', printable(expected), { indent: 8, label: 8 }),
      ...got.split('\n').flatMap((line, i) => labelled(i === 0 ? 'got' : '', printable(line), { indent: 8, label: 8 })),
    ]),
  ]
}

export function summaryLine(outcomes: readonly CaseOutcome[]): string {
  const failed = outcomes.filter(({ differences }) => differences.length > 0).length
  if (outcomes.length === 0) return 'There are no cases.'
  const all = `${count(outcomes.length)} ${outcomes.length === 1 ? 'case' : 'cases'}`
  return failed === 0 ? `${all}, none failed.` : `${all}, ${count(failed)} failed.`
}
