// Runs one suite of bench/micro and sends what it timed, case by case. Started by a scenario with settings as JSON.

import { suites } from '../micro/mod.ts'
import { timed } from '../micro/suite.ts'

const { suite: name, maxSeconds } = JSON.parse(process.argv[2] ?? '{}') as { suite: string; maxSeconds: number }
const suite = await suites[name]?.()
if (suite === undefined) throw new Error(`no suite is called ${name}`)
for (const one of suite.cases) {
  process.send?.({ name: one.name, unit: one.unit, ...(await timed(one, maxSeconds)) })
}
await suite.end?.()
process.send?.({ done: true })
process.disconnect?.()
