// Runs the scenarios one after the other, writes bench/results/<scenario>.json and bench/RESULTS.md: node bench/harness.ts
// (make bench).
//
// ONLY=latency,secure runs these; PEERS=none leaves the peers out; SECONDS=1 and SIZES=256 make a trial that is not
// published; AGENTS=, MESSAGES= and SUITE= belong to idle-agents, backlog and micro, BYTES= to transfer, mixed
// and delta, KILLS= to transfer.
//
// It ends with 0 when all targets were met, 1 when one was missed, 2 when it was asked for something it does not know, and 3
// when a scenario could not be measured. Whichever way it ends, no process and no folder of a measurement is left.

import { writePage } from './page.ts'
import { readResults, type Say, type ScenarioResult, tableOf, writeResult } from './report.ts'
import { backlog } from './scenarios/backlog.ts'
import { ceiling } from './scenarios/ceiling.ts'
import { delta } from './scenarios/delta.ts'
import { durableE2e } from './scenarios/durable-e2e.ts'
import { fanOut } from './scenarios/fan-out.ts'
import { idleAgents } from './scenarios/idle-agents.ts'
import { latency } from './scenarios/latency.ts'
import { micro } from './scenarios/micro.ts'
import { mixed } from './scenarios/mixed.ts'
import { route } from './scenarios/route.ts'
import { secure } from './scenarios/secure.ts'
import { transfer } from './scenarios/transfer.ts'
import { transform } from './scenarios/transform.ts'

const EXIT_MISSED = 1
const EXIT_USAGE = 2
const EXIT_FAILED = 3

const scenarios: Readonly<Record<string, (say: Say) => Promise<ScenarioResult>>> = {
  'durable-e2e': durableE2e,
  ceiling,
  latency,
  secure,
  'fan-out': fanOut,
  'idle-agents': idleAgents,
  backlog,
  transfer,
  mixed,
  delta,
  route,
  transform,
  micro,
}

const startMs = performance.now()
const tell = (text: string) => process.stderr.write(`[${elapsedText()}] ${text}\n`)

const only = (process.env.ONLY ?? '').split(',').filter((name) => name !== '')
const unknown = only.filter((name) => scenarios[name] === undefined)
if (unknown.length > 0) {
  console.error(`No scenario is called "${unknown.join(', ')}". There are: ${Object.keys(scenarios).join(', ')}.`)
  process.exit(EXIT_USAGE)
}
const chosen = Object.entries(scenarios).filter(([name]) => only.length === 0 || only.includes(name))
const results: ScenarioResult[] = []
for (const [i, [name, measure]] of chosen.entries()) {
  tell(`${name} (${i + 1} of ${chosen.length})`)
  try {
    const result = await measure((text) => tell(`${name}: ${text}`))
    const path = writeResult(result)
    results.push(result)
    console.log(`${tableOf(result)}\n  written to ${path.slice(path.indexOf('bench/'))}\n`)
  } catch (error) {
    tell(`${name} could not be measured: ${(error as Error).stack}`)
  }
}
if (results.some(({ shortened }) => shortened !== true)) writePage(readResults())
if (results.some(({ shortened }) => shortened === true)) console.log('A trial is not published in bench/RESULTS.md.')
const targets = results.flatMap((result) => result.targets)
const missed = targets.filter(({ ok }) => ok === false)
const failed = chosen.length - results.length
console.log(
  `bench: scenarios=${results.length} failed=${failed} targets=${targets.length} missed=${missed.length} time=${elapsedText()}`,
)
process.exitCode = failed > 0 ? EXIT_FAILED : missed.length > 0 ? EXIT_MISSED : 0

function elapsedText(): string {
  const seconds = Math.floor((performance.now() - startMs) / 1000)
  return `${String(Math.floor(seconds / 60)).padStart(2)}:${String(seconds % 60).padStart(2, '0')}`
}
