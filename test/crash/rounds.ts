// Rounds of the crash test: work, a kill, work again; with a ledger at the end.

import { join } from 'node:path'
import { Random } from '#protocol/bytes/testing.ts'
import { startTestHub, type TestHub } from '../fixtures/hub.ts'
import { QUEUES } from './load.ts'
import { POINTS, type Point } from './points.ts'
import { type Ledger, Scene } from './scene.ts'

const MIB = 2 ** 20
/** Small, so that segments are freed, used again and compacted. */
const CONFIG = {
  store: { mapBytesMax: 128 * MIB, cacheBytes: MIB, freeBytesMin: 16 * MIB },
  trace: { bytesMax: 4 * MIB },
}

export function startCrashHub(config: Readonly<Record<string, unknown>> = {}): Promise<TestHub> {
  const program = join(import.meta.dirname, 'hub.ts')
  return startTestHub({ queues: QUEUES, config: { ...CONFIG, ...config }, program })
}

/** `points` decides which of the named points come up, besides kills at random: all in turn when it is left out. */
export async function runRounds(options: {
  readonly rounds: number
  readonly seed: number
  readonly points?: readonly Point[]
  /** On a busy machine there are fewer rounds: none begins after this time. */
  readonly msMax?: number
  readonly say: (text: string) => void
}): Promise<Ledger & { readonly rounds: number }> {
  const hub = await startCrashHub()
  const scene = new Scene(hub, new Random(options.seed), options.points ?? POINTS)
  try {
    await scene.begin()
    const endMs = performance.now() + (options.msMax ?? Number.MAX_SAFE_INTEGER)
    let rounds = 0
    while (rounds < options.rounds && performance.now() < endMs) {
      options.say(`round ${++rounds}: ${await scene.round()}`)
    }
    return { ...(await scene.judge()), rounds }
  } finally {
    await scene.end()
  }
}
