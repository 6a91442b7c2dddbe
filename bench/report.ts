// What a scenario gives back, how long it measures, and how its result is written and shown on the terminal.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import type { Times } from './flow.ts'

export type Target = {
  readonly name: string
  readonly want: string
  readonly got: number | null
  readonly ok: boolean | null
}

/** Tells a person how far it is. */
export type Say = (text: string) => void

/** `ours` and `peers` map a measure's name to its value in `unit`. `null` targets were not measured. */
export type ScenarioResult = {
  readonly scenario: string
  readonly unit: string
  /** Of the measures that both sides have; `more` when left out. */
  readonly better?: 'more' | 'less'
  readonly params: Readonly<Record<string, unknown>>
  readonly ours: Readonly<Record<string, number>>
  readonly peers: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** What was not measured, and why. */
  readonly missing?: Readonly<Record<string, string>>
  /** How each peer is set, and what its acknowledgement promises. */
  readonly conditions?: Readonly<Record<string, string>>
  /** By peer (or `causeway`): measures that a note has something to say about. */
  readonly marked?: Readonly<Record<string, readonly string[]>>
  readonly targets: readonly Target[]
  readonly notes: readonly string[]
  /** Measured with settings of a trial: never published. */
  readonly shortened?: boolean
}

export type StoredResult = ScenarioResult & {
  readonly when: string
  readonly node: string
  readonly cpu: string
  /** Short hash; with `+` behind it when files differed from that commit. */
  readonly commit: string
}

const RESULTS_DIR = join(import.meta.dirname, 'results')
const MEASURED_MS = 4000
const ALL_SIZES = '256,1024,10240'
const { SECONDS, SIZES: sizes = ALL_SIZES } = process.env

/** For all sides of a comparison. SECONDS= and SIZES= shorten a trial. */
export const TIMES: Times = { warmUpMs: 1000, measuredMs: SECONDS === undefined ? MEASURED_MS : Number(SECONDS) * 1000 }
export const SIZES: readonly number[] = sizes.split(',').map(Number)
export const isShortened = TIMES.measuredMs < MEASURED_MS || sizes !== ALL_SIZES

export const timesText = (): string => `${TIMES.measuredMs / 1000} s after ${TIMES.warmUpMs / 1000} s of warm-up`

export function writeResult(result: ScenarioResult): string {
  mkdirSync(RESULTS_DIR, { recursive: true })
  const path = join(RESULTS_DIR, `${result.scenario}.json`)
  const stored: StoredResult = {
    ...result,
    when: new Date().toISOString(),
    node: process.version,
    cpu: `${cpus().length} × ${cpus()[0]?.model ?? ''}`,
    commit: commitNow(),
  }
  writeFileSync(path, `${JSON.stringify(stored, null, 2)}\n`)
  return path
}

/** All results that are there, from this run or an earlier one. */
export function readResults(): StoredResult[] {
  const names = readdirSync(RESULTS_DIR).filter((name) => name.endsWith('.json'))
  return names.sort().map((name) => JSON.parse(readFileSync(join(RESULTS_DIR, name), 'utf8')) as StoredResult)
}

function commitNow(): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  try {
    const changed = git('status', '--porcelain', '--untracked-files=no', '--', '..', ':(exclude)RESULTS.md') !== ''
    return `${git('rev-parse', '--short', 'HEAD')}${changed ? '+' : ''}`
  } catch {
    return 'unknown (no git here)'
  }
}

export function tableOf(result: ScenarioResult): string {
  const rows: (readonly [who: string, name: string, value: string])[] = []
  for (const [who, values] of [['causeway', result.ours] as const, ...Object.entries(result.peers)]) {
    for (const [name, value] of Object.entries(values)) {
      rows.push([who, name, `${shown(value)}${isMarked(result, who, name) ? ' *' : '  '}`])
    }
  }
  const width = Math.max(30, ...rows.map(([, name]) => name.length))
  const lines = rows.map(([who, name, value]) => `  ${who.padEnd(22)} ${name.padEnd(width)} ${value.padStart(16)}`)
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
    ...Object.entries(result.missing ?? {}).map(([name, reason]) => `  missing: ${name}: ${reason}`),
    ...result.notes.map((note) => `  note: ${note}`),
  ].join('\n')
}

/** A note says more about this measure. */
export const isMarked = ({ marked }: ScenarioResult, who: string, measure: string): boolean =>
  marked?.[who]?.includes(measure) === true

/** As a person reads it: no decimals that mean nothing. */
export function shown(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en')
  return String(value < 0.1 ? Number(value.toPrecision(2)) : Math.round(value * 100) / 100)
}
