// What a scenario gives back, and how it is written and shown.

import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'

export type Target = {
  readonly name: string
  readonly want: string
  readonly got: number | null
  readonly ok: boolean | null
}

/** `ours` and `peers` map a measure's name to its value in `unit`. `null` targets were not measured, and say why in `notes`. */
export type ScenarioResult = {
  readonly scenario: string
  readonly unit: string
  readonly params: Readonly<Record<string, unknown>>
  readonly ours: Readonly<Record<string, number>>
  readonly peers: Readonly<Record<string, Readonly<Record<string, number>>>>
  readonly targets: readonly Target[]
  readonly notes: readonly string[]
}

const RESULTS_DIR = join(import.meta.dirname, 'results')

export function writeResult(result: ScenarioResult): string {
  mkdirSync(RESULTS_DIR, { recursive: true })
  const path = join(RESULTS_DIR, `${result.scenario}.json`)
  const machine = {
    when: new Date().toISOString(),
    node: process.version,
    cpu: `${cpus().length} × ${cpus()[0]?.model ?? ''}`,
  }
  writeFileSync(path, `${JSON.stringify({ ...result, ...machine }, null, 2)}\n`)
  return path
}

export function tableOf(result: ScenarioResult): string {
  const rows = Object.entries(result.ours).map(([name, value]) => ['causeway', name, value] as const)
  for (const [peer, values] of Object.entries(result.peers)) {
    for (const [name, value] of Object.entries(values)) rows.push([peer as 'causeway', name, value])
  }
  const lines = rows.map(([who, name, value]) => `  ${who.padEnd(14)} ${name.padEnd(30)} ${shown(value).padStart(14)}`)
  const targets = result.targets.map(
    ({ name, want, got, ok }) =>
      `  ${ok === null ? '?   ' : ok ? 'ok  ' : 'MISS'} ${name.padEnd(20)} want ${want.padEnd(12)} got ${got === null ? 'not measured' : shown(got)}`,
  )
  return [
    `${result.scenario} (${result.unit})`,
    ...Object.entries(result.params).map(([name, value]) => `  ${name}: ${String(value)}`),
    '',
    ...lines,
    '',
    ...targets,
    ...result.notes.map((note) => `  note: ${note}`),
  ].join('\n')
}

function shown(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString('en') : String(Math.round(value * 100) / 100)
}
