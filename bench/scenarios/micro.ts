// The parts of the hot path, each by itself: bench/micro. Absolute figures of one machine: compare two runs of it. SUITE=batch
// runs one suite.

import { startRole, stop } from '../children.ts'
import { suites } from '../micro/mod.ts'
import { type Say, type ScenarioResult, TIMES } from '../report.ts'

/** Samples of one case that scatter more than this are not worth comparing. */
const ERROR_PERCENT_MAX = 10
const CASE_MS_MAX = 60_000

type Said =
  | { readonly name: string; readonly unit: string; readonly perSecond: number; readonly errorPercent: number }
  | { readonly done: true }

export async function micro(say: Say): Promise<ScenarioResult> {
  const { SUITE = '' } = process.env
  const chosen = Object.keys(suites).filter((name) => SUITE === '' || SUITE.split(',').includes(name))
  if (chosen.length === 0) throw new Error(`SUITE: there are ${Object.keys(suites).join(', ')}`)
  const maxSeconds = TIMES.measuredMs / 8000
  const ours: Record<string, number> = {}
  const notes: string[] = []
  const missing: Record<string, string> = {}
  for (const name of chosen) {
    say(`${name} …`)
    try {
      for (const { name: part, unit, perSecond, errorPercent } of await runSuite(name, maxSeconds)) {
        ours[`${name}: ${part}: ${unit}/s`] = perSecond
        if (errorPercent > ERROR_PERCENT_MAX) notes.push(`${name}: ${part}: ± ${Math.round(errorPercent)} %`)
      }
    } catch (error) {
      missing[name] = (error as Error).message
    }
  }
  return {
    scenario: 'micro',
    unit: 'per second',
    params: { time: `${maxSeconds} s a case after its warm-up, each suite in a process of its own` },
    ours,
    peers: {},
    missing,
    targets: [],
    notes,
    shortened: SUITE !== '',
  }
}

type Timed = Exclude<Said, { done: true }>

async function runSuite(name: string, maxSeconds: number): Promise<Timed[]> {
  const child = startRole('micro', { suite: name, maxSeconds })
  const cases: Timed[] = []
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let timer: NodeJS.Timeout | undefined
  const alive = () => {
    clearTimeout(timer)
    timer = setTimeout(() => reject(new Error('it takes too long')), CASE_MS_MAX)
  }
  child.on('message', (said: Said) => {
    alive()
    if ('done' in said) resolve()
    else cases.push(said)
  })
  child.once('exit', () => reject(new Error('it ended by itself')))
  alive()
  try {
    await promise
    return cases
  } finally {
    clearTimeout(timer)
    await stop(child, 'SIGKILL')
  }
}
