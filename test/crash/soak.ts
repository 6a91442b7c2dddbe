// The crash test for as long as one likes: `make soak ROUNDS=500`, with CRASH_SEED= to repeat a choice of victims. Before
// the rounds other long tests run, each a stage: STAGES=rounds asks for some of them, FUZZ_INPUTS=, SIM_SEEDS=,
// TRANSFER_KILLS=, ROUTE_KILLS=, MODEL_STEPS=, FILES= and FILES_KILLS= for more or less of them. The last lines are the counts: of stages that
// count, and the ledger's.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { runRounds } from './rounds.ts'

const root = join(import.meta.dirname, '../..')
const { ROUNDS = '200', CRASH_SEED = String(Date.now() % 1_000_000_000), STAGES } = process.env
const rounds = Number(ROUNDS)
const seed = Number(CRASH_SEED)
const PROGRESS_MS = 15_000
/** Tries at a named point before it counts as one that is never reached. */
const TRIES_MIN = 4

const startedMs = Date.now()
const seconds = (sinceMs: number): string => `${Math.round((Date.now() - sinceMs) / 1000)}s`
const say = (text: string) => console.log(`${seconds(startedMs).padStart(6)}  ${text}`)

type Env = Readonly<Record<string, string>>
/** Test programs with more to do than in `make test`; those of one stage run side by side. */
type Stage = readonly { readonly file: string; readonly env: Env }[]

const {
  FUZZ_INPUTS = '10000000',
  FUZZ_SEED = CRASH_SEED,
  SIM_SEEDS = '500',
  TRANSFER_KILLS = '20',
  ROUTE_KILLS = '100',
  MODEL_STEPS = '50000',
  FILES = '200000',
  FILES_KILLS = '20',
} = process.env
/** Each on a core of its own, with seeds of its own. */
const FUZZERS = Math.min(4, availableParallelism())
const stages: Readonly<Record<string, Stage>> = {
  fuzz: Array.from({ length: FUZZERS }, (_, i) => ({
    file: 'test/fuzz/protocol.test.ts',
    env: { FUZZ_INPUTS: String(Math.ceil(Number(FUZZ_INPUTS) / FUZZERS)), FUZZ_SEED: String(Number(FUZZ_SEED) + i) },
  })),
  simulation: globSync('test/simulation/*.test.ts', { cwd: root })
    .sort()
    .map((file) => ({ file, env: { SIM_SEEDS } })),
  migration: [{ file: 'test/crash/migration.test.ts', env: {} }],
  'disk-full': [{ file: 'test/crash/disk-full.test.ts', env: { CRASH_SEED } }],
  transfer: [{ file: 'test/crash/transfer-kill.test.ts', env: { CRASH_SEED, TRANSFER_KILLS } }],
  route: ['route-kill', 'redrive-kill', 'route-documents-kill'].map((name) => {
    return { file: `test/crash/${name}.test.ts`, env: { CRASH_SEED, ROUTE_KILLS } }
  }),
  model: ['hub/store/conveying-model.test.ts', 'hub/store/contents/model.test.ts'].map((file) => {
    return { file, env: { SEED: CRASH_SEED, MODEL_STEPS } }
  }),
  files: [{ file: 'test/crash/small-files.test.ts', env: { CRASH_SEED, FILES, FILES_KILLS } }],
  'bit-flip': [{ file: 'test/crash/bit-flip.test.ts', env: { CRASH_SEED } }],
}
const chosen = STAGES === undefined ? [...Object.keys(stages), 'rounds'] : STAGES.split(/[ ,]+/)
const unknown = chosen.filter((name) => name !== 'rounds' && stages[name] === undefined)
if (unknown.length > 0) {
  console.error(`soak: no such stage: ${unknown.join(', ')}; there are ${Object.keys(stages).join(', ')} and rounds`)
  process.exit(2)
}

const numbers = {
  ROUNDS,
  CRASH_SEED,
  FUZZ_INPUTS,
  FUZZ_SEED,
  SIM_SEEDS,
  TRANSFER_KILLS,
  ROUTE_KILLS,
  MODEL_STEPS,
  FILES,
  FILES_KILLS,
}
const wrong = Object.entries(numbers).filter(([, value]) => !/^\d{1,15}$/.test(value))
if (wrong.length > 0) {
  console.error(`soak: not a whole number: ${wrong.map(([name, value]) => `${name}=${value}`).join(', ')}`)
  process.exit(2)
}
// Whoever stops it stops its tests: they are ended when it exits.
for (const [name, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)
  process.once(name, () => process.exit(code))

console.log(`soak: CRASH_SEED=${seed} STAGES=${chosen.join(',')}`)
let sound = true
const counts: string[] = []
for (const [name, stage] of Object.entries(stages)) {
  if (!chosen.includes(name)) continue
  if (stage.length === 0) say(`${name}: skipped: its tests are not here`)
  const passed = await Promise.all(stage.map(({ file, env }) => runTest(name, file, env)))
  if (passed.includes(false)) sound = false
}
const ledger = chosen.includes('rounds') ? await soakRounds() : { lost: 0, duplicated: 0, reordered: 0 }
if (!sound) process.exitCode = 1
const { lost, duplicated, reordered } = ledger
const done = chosen.includes('rounds') ? rounds : 0
if (done > 0 || counts.length === 0)
  counts.push(`rounds=${done} lost=${lost} duplicated=${duplicated} reordered=${reordered}`)
for (const line of counts) console.log(`soak: ${line}`)

/** Runs a test file by itself; what it reports is shown, and that it is still at it. */
async function runTest(name: string, file: string, env: Env): Promise<boolean> {
  const beganMs = Date.now()
  say(
    `${name}: ${file} ${Object.entries(env)
      .map(([key, value]) => `${key}=${value}`)
      .join(' ')}`,
  )
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', file], {
    cwd: root,
    // Tap ends a program of its own by a timeout that is meant for short tests.
    env: { ...process.env, ...env, TAP_TIMEOUT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  process.once('exit', () => child.kill('SIGKILL'))
  const failures: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => {
    const text = line.trim()
    if (text.startsWith('not ok')) failures.push(text)
    if (text.startsWith('# files=')) counts.push(text.slice(2))
    if (/^(not ok|#)/.test(text) || /# SKIP/i.test(text)) say(`${name}: ${text}`)
  })
  const timer = setInterval(() => say(`${name}: at it for ${seconds(beganMs)}`), PROGRESS_MS)
  const [code] = await once(child, 'close')
  clearInterval(timer)
  say(`${name}: ${code === 0 ? 'passed' : `FAILED (${code}): ${failures.join('; ')}`} in ${seconds(beganMs)}`)
  return code === 0
}

async function soakRounds() {
  const beganMs = Date.now()
  const ledger = await runRounds({ rounds, seed, say })
  const { problems, points, spoiledBytes, receiptsMissing, receiptsDouble, halves } = ledger
  for (const problem of problems) console.log(`problem: ${problem}`)
  console.log('soak: died at')
  for (const [point, { reached, tried }] of [...points].sort()) {
    console.log(`${String(reached).padStart(6)} of ${tried}  ${point}`)
    if (reached > 0 || tried < TRIES_MIN) continue
    console.log(`problem: it is never reached: ${point}`)
    sound = false
  }
  console.log(`soak: ${spoiledBytes} bytes that were in use by nothing were spoiled while the hub was dead`)
  console.log(`soak: ${ledger.accepted} messages, ${ledger.effects} effects in ${seconds(beganMs)}`)
  console.log(`soak: receipts missing=${receiptsMissing} double=${receiptsDouble}, half groups=${halves}`)
  const wrong = ledger.lost + ledger.duplicated + ledger.reordered + receiptsMissing + receiptsDouble + halves
  if (wrong + problems.length > 0 || ledger.accepted === 0) sound = false
  return ledger
}
