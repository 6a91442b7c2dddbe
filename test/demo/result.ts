// What the demo found: the table, the judgement, the last line. Pure.

import { AGENTS, type AgentName, DEPARTMENTS, TITLES } from './layout.ts'
import { AGENT_RSS_BYTES_MAX, HUB_RSS_BYTES_MAX } from './limits.ts'
import { formatBytes, isWithinRss, renderLastLine, renderTable, type TableRow, type Totals } from './table.ts'
import { isFaultless, type Verdict } from './verify.ts'

/** What was measured of one program. */
export type Measured = {
  readonly rawBytes: number | null
  readonly wireBytes: number | null
  /** From the start of the transfer until its counters moved last. */
  readonly busyMs: number | null
  readonly restarts: number
  readonly rssBytes: number | null
}

export type Result = {
  readonly ok: boolean
  readonly totals: Totals
  readonly transferSeconds: number
  readonly table: readonly TableRow[]
  readonly verdict: Verdict
  /** Why it is not ok, in words; empty when it is. */
  readonly complaints: readonly string[]
}

export function judge(input: {
  readonly verdict: Verdict
  readonly hub: Measured
  readonly agents: Readonly<Record<AgentName, Measured>>
  readonly transferMs: number
  readonly totalMs: number
  /** Faults and shortcomings noted on the way. */
  readonly complaints: readonly string[]
}): Result {
  const { verdict, hub, agents } = input
  const { centre, jieyang } = verdict
  const rowsOf: Record<AgentName, number> = {
    ...centre.matchedFrom,
    centre: centre.landed,
    jieyang: jieyang.landed,
  }
  const table = [
    ...AGENTS.map((name) => tableRow(TITLES[name], rowsOf[name], agents[name], AGENT_RSS_BYTES_MAX)),
    tableRow('hub', centre.landed + jieyang.landed, { ...hub, busyMs: input.transferMs }, HUB_RSS_BYTES_MAX),
  ]
  const complaints = [...input.complaints, ...complaintsOf(verdict), ...table.flatMap(complaintOfRss)]
  return {
    ok: complaints.length === 0,
    totals: {
      sent: centre.expected,
      landed: centre.landed,
      lost: centre.lost + jieyang.lost,
      duplicated: centre.duplicated + jieyang.duplicated,
      // A row no source has was altered into being.
      altered: centre.altered + centre.foreign + jieyang.altered + jieyang.foreign,
      seconds: input.totalMs / 1000,
    },
    transferSeconds: input.transferMs / 1000,
    table,
    verdict,
    complaints,
  }
}

export function renderResult(result: Result): string {
  const { centre, jieyang } = result.verdict
  const sum = DEPARTMENTS.map((name) => `${centre.matchedFrom[name]} ${TITLES[name]}`).join(', ')
  return [
    '',
    ...renderTable(result.table),
    '',
    `centre: ${centre.matched} of ${centre.expected} rows equal to the departments' own (${sum})`,
    `prefecture: ${jieyang.matched} of ${jieyang.expected} rows it should have, ${jieyang.foreign} it should not`,
    `transfer ${result.transferSeconds.toFixed(1)} s, outages included; bytes count both directions of an agent's link`,
    ...[...centre.samples, ...jieyang.samples].map((sample) => `  ${sample}`),
    ...result.complaints.map((complaint) => `NOT OK: ${complaint}`),
    renderLastLine(result.totals),
  ].join('\n')
}

function tableRow(title: string, rows: number, measured: Measured, rssBytesMax: number): TableRow {
  const { rawBytes, wireBytes, busyMs, restarts, rssBytes } = measured
  const rowsPerSecond = busyMs === null || busyMs <= 0 ? null : (rows * 1000) / busyMs
  return { title, rows, rawBytes, wireBytes, rowsPerSecond, restarts, rssBytes, rssBytesMax }
}

function complaintsOf(verdict: Verdict): string[] {
  return Object.entries(verdict).flatMap(([where, comparison]) => {
    if (isFaultless(comparison)) return []
    const { expected, matched, lost, duplicated, altered, foreign } = comparison
    const counts = `${lost} lost, ${duplicated} duplicated, ${altered} altered, ${foreign} not expected`
    return [`${where}: ${matched} of ${expected} rows are as they should be: ${counts}`]
  })
}

function complaintOfRss(row: TableRow): string[] {
  if (isWithinRss(row)) return []
  const limit = formatBytes(row.rssBytesMax)
  if (row.rssBytes === null) return [`${row.title}: its peak memory could not be measured (limit ${limit})`]
  return [`${row.title}: peak memory ${formatBytes(row.rssBytes)} is over the limit of ${limit}`]
}
