// bench/RESULTS.md from bench/results/*.json: a section per scenario, with ratios only, because absolute figures belong to
// one machine. A scenario without a result here keeps the section it has. Written by `make bench`.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMarked, type ScenarioResult, type StoredResult, shown } from './report.ts'

const PATH = join(import.meta.dirname, 'RESULTS.md')
const HEAD = `# Benchmark results

Written by \`make bench\`; do not edit. Product and peers are measured side by side in one run on one machine; each
figure is the product's divided by the peer's at the same measure: above 1 the product is ahead, and below 1 where the table
says that less is better. A \`*\` is explained below its table. A \`+\` behind a commit means that files differed from it.
`

/** Returns the path written. Trials are left out. */
export function writePage(results: readonly StoredResult[]): string {
  const before = existsSync(PATH) ? readFileSync(PATH, 'utf8') : ''
  writeFileSync(PATH, pageOf(before, results))
  return PATH
}

export function pageOf(before: string, results: readonly StoredResult[]): string {
  const sections = new Map<string, string>()
  for (const part of before.split(/^(?=## )/m).slice(1)) sections.set(part.slice(3, part.indexOf('\n')), part.trim())
  for (const result of results) if (isPublished(result)) sections.set(result.scenario, sectionOf(result))
  const sorted = [...sections].sort(([a], [b]) => (a < b ? -1 : 1))
  return `${[HEAD.trim(), ...sorted.map(([, text]) => text)].join('\n\n')}\n`
}

/** A scenario that is compared with nothing and has no target is for whoever works on the parts. */
const isPublished = ({ shortened, targets, peers }: ScenarioResult): boolean =>
  shortened !== true && targets.length + Object.keys(peers).length > 0

function sectionOf(result: StoredResult): string {
  const { scenario, when, node, cpu, commit, params, notes } = result
  const list = (entries: Readonly<Record<string, unknown>>) =>
    Object.entries(entries).map(([name, value]) => `- ${name}: ${String(value)}`)
  const parts = [
    [`## ${scenario}`],
    [`Commit ${commit}, ${when.slice(0, 10)}, Node ${node.replace(/^v/, '')}, ${cpu}.`],
    targetRows(result),
    ratioRows(result),
    list(params),
    list(result.conditions ?? {}),
    Object.entries(result.missing ?? {}).map(([name, reason]) => `- not measured: ${name}: ${reason}`),
    notes.map((note) => `- ${note}`),
  ]
  return parts
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')
}

/** A target that is an absolute figure is judged, but not quoted. */
function targetRows({ targets }: ScenarioResult): string[] {
  if (targets.length === 0) return []
  const rows = targets.map(({ name, want, got, ok }) => {
    const figure = got === null ? 'not measured' : got >= 1000 ? '(absolute)' : shown(got)
    return `| ${name} | ${want.replace('>=', '≥').replace('<=', '≤')} | ${figure} | ${ok === null ? '?' : ok ? 'ok' : 'missed'} |`
  })
  return ['| target | want | got | |', '| --- | --- | --- | --- |', ...rows]
}

/** Of the measures that both sides have. */
function ratioRows(result: ScenarioResult): string[] {
  const { ours, peers, unit, better } = result
  const measures = Object.keys(ours).filter((name) => Object.values(peers).some((values) => values[name] !== undefined))
  if (measures.length === 0) return []
  const rows = Object.entries(peers).map(([peer, values]) => {
    const ratios = measures.map((name) => {
      const [mine, theirs] = [ours[name], values[name]]
      if (mine === undefined || theirs === undefined || theirs === 0) return '–'
      const mark = isMarked(result, peer, name) || isMarked(result, 'causeway', name) ? ' *' : ''
      return `${shown(mine / theirs)} ×${mark}`
    })
    return `| ${peer} | ${ratios.join(' | ')} |`
  })
  const columns = measures.map((name) => name.replace(`${unit} `, ''))
  const head = better === 'less' ? `${unit} (less is better)` : unit
  return [`| ${head}, over | ${columns.join(' | ')} |`, `| --- |${' ---: |'.repeat(columns.length)}`, ...rows]
}
