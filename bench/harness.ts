// Runs scenarios, writes bench/results/<scenario>.json and bench/RESULTS.md: node bench/harness.ts (make bench;
// ONLY=<scenario> runs one, PEERS=none leaves the peers out, SECONDS=1 and SIZES=256 make a trial that is not published).

import { writePage } from './page.ts'
import { readResults, tableOf, writeResult } from './report.ts'
import { ceiling } from './scenarios/ceiling.ts'
import { durableE2e } from './scenarios/durable-e2e.ts'

const scenarios = { 'durable-e2e': durableE2e, ceiling }

const only = process.env.ONLY ?? ''
const names = Object.keys(scenarios) as (keyof typeof scenarios)[]
const chosen = only === '' ? names : names.filter((name) => name === only)
if (chosen.length === 0) {
  console.error(`No scenario is called "${only}". There are: ${names.join(', ')}.`)
  process.exit(2)
}
let missed = 0
let trials = 0
for (const name of chosen) {
  const result = await scenarios[name]((text) => process.stderr.write(`${text}\n`))
  const path = writeResult(result)
  console.log(tableOf(result))
  console.log(`  written to ${path.slice(path.indexOf('bench/'))}`)
  if (result.shortened === true) trials++
  missed += result.targets.filter(({ ok }) => ok === false).length
}
if (trials < chosen.length) writePage(readResults())
if (trials > 0) console.log('A trial is not published in bench/RESULTS.md.')
process.exitCode = missed > 0 ? 1 : 0
