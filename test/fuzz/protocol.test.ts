// Fuzzes everything that reads a peer's bytes. Replay a run with FUZZ_SEED=, make it longer with FUZZ_INPUTS=, run one input
// again with FUZZ_ONLY=target:index (and its seed) or FUZZ_HEX=target:hexadecimal.

import t, { type Test } from 'tap'
import { Fault } from '#protocol/base/mod.ts'
import { Random } from '#protocol/bytes/testing.ts'
import { BATCH_FRAME_BYTES_MAX } from '#protocol/frame/mod.ts'
import * as schema from '#protocol/schema/mod.ts'
import { batches, extracts, records } from './batches.ts'
import { frames } from './frames.ts'
import { handshakes } from './handshakes.ts'
import { closes, codecCount, controls, headers, prefixes, tokens } from './messages.ts'
import type { Target } from './target.ts'
import { chunkData, encodedChunks, manifests, transfers } from './transfers.ts'

const TARGETS: readonly Target[] = [
  frames,
  batches,
  extracts,
  records,
  headers,
  controls,
  prefixes,
  tokens,
  closes,
  handshakes,
  chunkData,
  encodedChunks,
  manifests,
  transfers,
]

const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000_000) >>> 0
const inputs = Number(process.env.FUZZ_INPUTS ?? 220_000)
/** No input is longer; none may make more work (bytes and objects) than a whole frame of the maximum. */
const WORK_MAX = BATCH_FRAME_BYTES_MAX
/** What a run may add to the process, however many inputs: garbage of some rounds, and the caches of what is compiled. */
const GROWTH_BYTES_MAX = 400 * 1024 * 1024

/** The randomness of one input: replaying it needs no other. */
const randomFor = (target: Target, index: number): Random =>
  new Random(
    Math.imul(seed ^ Math.imul(index + 1, 0x9e3779b1), 0x85ebca6b) ^ Math.imul(TARGETS.indexOf(target) + 1, 0xc2b2ae35),
  )

type Tally = {
  count: number
  readonly layers: Map<string, number>
  readonly codes: Map<string, number>
  workMost: number
}

const bump = (map: Map<string, number>, name: string): void => void map.set(name, (map.get(name) ?? 0) + 1)

/** Runs one input; what is thrown out of here is a finding. */
function feed(target: Target, input: Buffer, tally: Tally): void {
  tally.count++
  const before = new Set<string>()
  try {
    const work = target.run(input, (layer) => before.add(layer))
    if (!(work <= WORK_MAX)) throw new Error(`work of ${work} for ${input.length} bytes`)
    tally.workMost = Math.max(tally.workMost, work)
    bump(tally.codes, 'accepted')
  } catch (error) {
    if (!(error instanceof Fault) || error.code === 'INTERNAL') throw error
    bump(tally.codes, error.code)
  }
  for (const layer of before) bump(tally.layers, layer)
}

const newTally = (): Tally => ({ count: 0, layers: new Map(), codes: new Map(), workMost: 0 })

function reportFinding(t: Test, target: Target, index: number, input: Buffer): void {
  Error.stackTraceLimit = 30
  let error: unknown = 'it did not happen again'
  try {
    feed(target, input, newTally())
  } catch (again) {
    error = again
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  t.comment(`input ${index} of ${target.name}, ${input.length} bytes: ${text}`)
  t.comment(
    `replay: FUZZ_SEED=${seed} FUZZ_ONLY='${target.name}:${index}' or FUZZ_HEX='${target.name}:${input.toString('hex')}'`,
  )
  t.fail(`${target.name}: input ${index} of seed ${seed} did more than raise a fault`, { found: text })
}

const byName = (name: string): Target => {
  const target = TARGETS.find((each) => each.name === name)
  if (target === undefined) throw new Error(`targets are ${TARGETS.map((each) => each.name).join(', ')}`)
  return target
}

function replay(only: string | undefined, hex: string | undefined): void {
  const [name = '', value = ''] = (only ?? hex ?? '').split(':')
  const target = byName(name)
  const input = hex === undefined ? target.make(randomFor(target, Number(value))) : Buffer.from(value, 'hex')
  t.comment(`${target.name} ${input.toString('hex')}`)
  const tally = newTally()
  feed(target, input, tally)
  t.pass([...tally.layers.keys(), ...tally.codes.keys()].join(' '))
}

const { FUZZ_ONLY, FUZZ_HEX } = process.env

if (FUZZ_ONLY !== undefined || FUZZ_HEX !== undefined) {
  replay(FUZZ_ONLY, FUZZ_HEX)
} else {
  t.comment(`FUZZ_SEED=${seed} FUZZ_INPUTS=${inputs}`)
  // Most inputs end in a fault, and a stack takes longer than the rest of it. A finding is run again with one.
  Error.stackTraceLimit = 0
  const startRss = process.memoryUsage.rss()
  let total = 0
  for (const target of TARGETS) {
    t.test(target.name, async (t) => {
      total += fuzz(t, target)
    })
  }
  t.test('all of it', async (t) => {
    t.ok(total >= Math.floor(inputs * 0.99), `${total} inputs`)
    const growth = process.memoryUsage.rss() - startRss
    t.ok(growth < GROWTH_BYTES_MAX, `memory grew by ${Math.round(growth / 1024 / 1024)} MiB`)
  })
  t.test('nothing that decodes is left out', async (t) => {
    const decoders = Object.keys(schema).filter((name) => name.startsWith('decode'))
    t.equal(codecCount, decoders.length)
    t.ok(Math.abs(TARGETS.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-9, 'the shares make one')
  })
}

function fuzz(t: Test, target: Target): number {
  const count = Math.ceil(inputs * target.share)
  const tally = newTally()
  const startedMs = performance.now()
  for (let index = 0; index < count; index++) {
    const input = target.make(randomFor(target, index))
    try {
      feed(target, input, tally)
    } catch {
      reportFinding(t, target, index, input)
      return tally.count
    }
  }
  const seconds = (performance.now() - startedMs) / 1000
  const share = (n: number): string => `${((100 * n) / count).toFixed(1)} %`
  t.comment(`${count} inputs in ${seconds.toFixed(1)} s, most work ${tally.workMost}`)
  const most = [...tally.codes].sort((a, b) => b[1] - a[1])
  t.comment(most.map(([code, n]) => `${code} ${n}`).join(', '))
  for (const [layer, wanted] of Object.entries(target.layers)) {
    const reached = tally.layers.get(layer) ?? 0
    // A short run may miss a rare layer by chance; from a thousand inputs on it may not.
    t.ok(
      count < 1000 || reached >= wanted * count,
      `${layer}: ${reached} inputs, ${share(reached)} (at least ${share(wanted * count)})`,
    )
  }
  return tally.count
}
