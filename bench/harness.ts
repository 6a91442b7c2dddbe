// Runs scenarios and writes bench/results/<scenario>.json: node bench/harness.ts (make bench; ONLY=<scenario> runs one).

import { tableOf, writeResult } from './report.ts'
import { durableE2e } from './scenarios/durable-e2e.ts'

const scenarios = { 'durable-e2e': durableE2e }

const only = process.env.ONLY ?? ''
const names = Object.keys(scenarios) as (keyof typeof scenarios)[]
const chosen = only === '' ? names : names.filter((name) => name === only)
if (chosen.length === 0) {
  console.error(`No scenario is called "${only}". There are: ${names.join(', ')}.`)
  process.exit(2)
}
let missed = 0
for (const name of chosen) {
  const result = await scenarios[name]((text) => process.stderr.write(`${text}\n`))
  const path = writeResult(result)
  console.log(tableOf(result))
  console.log(`  written to ${path.slice(path.indexOf('bench/'))}`)
  missed += result.targets.filter(({ ok }) => ok === false).length
}
process.exitCode = missed > 0 ? 1 : 0
