// Plays many seeds, from `SIM_SEED` on: `SIM_SEEDS=1000 node test/simulation/soak.ts`. The last line says how it went.

import { testSeed } from '#protocol/bytes/testing.ts'
import { CAST, play } from './scenario.ts'
import { makeCast } from './stage.ts'

const count = Number(process.env.SIM_SEEDS ?? 1000)
const first = process.env.SIM_SEED === undefined ? testSeed() : Number(process.env.SIM_SEED)
/** Events of a failing seed that are printed. */
const LINES = 150

const { cast, end } = makeCast(CAST)
let broken = 0
let effects = 0
let accepted = 0
try {
  for (let seed = first; seed < first + count; seed++) {
    const result = await play(cast, seed)
    effects += result.effects
    accepted += result.accepted
    if (result.violations.length === 0) continue
    broken++
    console.log(result.lines.slice(-LINES).join('\n'))
    console.log(`SIM_SEED=${seed}\n  ${result.violations.join('\n  ')}`)
  }
} finally {
  end()
}
console.log(`simulation: seeds=${count} from=${first} accepted=${accepted} effects=${effects} broken=${broken}`)
process.exitCode = broken === 0 ? 0 : 1
