// The crash test for as long as one likes: `make soak ROUNDS=500`, with CRASH_SEED= to repeat a choice of victims.

import { runRounds } from './rounds.ts'

const rounds = Number(process.env.ROUNDS ?? 200)
const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000_000)
const startedMs = Date.now()
console.log(`soak: CRASH_SEED=${seed}`)
const { accepted, lost, duplicated, reordered, problems } = await runRounds({
  rounds,
  seed,
  say: (text) => console.log(`${String(Math.round((Date.now() - startedMs) / 1000)).padStart(6)}s  ${text}`),
})
for (const problem of problems) console.log(`problem: ${problem}`)
console.log(`soak: ${accepted} messages in ${Math.round((Date.now() - startedMs) / 1000)} s`)
console.log(`soak: rounds=${rounds} lost=${lost} duplicated=${duplicated} reordered=${reordered}`)
if (lost + duplicated + reordered + problems.length > 0 || accepted === 0) process.exitCode = 1
