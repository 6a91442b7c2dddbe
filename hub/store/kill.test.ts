// SIGKILL at random moments: whatever was promised is there, nothing settled comes back, and what belongs together (a
// stream's last number, queue entries, batches and what they hold, settlement) was written together.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { RangeSet } from '#protocol/session/mod.ts'
import { contentsOf, type LaneContents } from './testing.ts'

const CHILD = fileURLToPath(new URL('append-and-settle.testing.ts', import.meta.url))
const ROUNDS = 10

/** What the child was promised, over all its lives. */
class Ledger {
  readonly stored = new Map<string, number>()
  /** By queue and lane. */
  readonly settled = new Map<string, RangeSet>()
  dead = 0
  promises = 0

  note(line: string): void {
    const [what, name = '', ...numbers] = line.split(' ')
    const [first = 0, second = 0, third = 0] = numbers.map(Number)
    this.promises++
    if (what === 'stored') this.stored.set(name, Math.max(first, this.stored.get(name) ?? 0))
    else if (what === 'dead') this.dead += Number(name)
    // What was settled in `some` may be open again after a replay.
    else if (what === 'settled' && name !== 'agent:sub' && name !== 'some') {
      const lane = `${name} ${first}`
      const settled = this.settled.get(lane) ?? new RangeSet()
      this.settled.set(lane, settled)
      settled.add(second, third)
    }
  }
}

/**
 * Runs the child and kills it `afterMs` after a number of promises. The time matters: right after a promise the next
 * transaction has barely begun.
 */
async function runAndKill(
  ledger: Ledger,
  { dataDir, seed, promises, afterMs }: { dataDir: string; seed: number; promises: number; afterMs: number },
): Promise<void> {
  const args = ['--disable-warning=ExperimentalWarning', CHILD, dataDir, String(seed)]
  const child: ChildProcess = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  let left = promises
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    ledger.note(line)
    left--
    if (left === 0) setTimeout(() => child.kill('SIGKILL'), afterMs)
  }
  const [, signal] = (await exited) as [number | null, string | null]
  if (signal !== 'SIGKILL') throw new Error('the child ended by itself')
}

/** What the file says against the ledger; empty when nothing does. */
async function judge(dataDir: string, ledger: Ledger): Promise<string[]> {
  const { queues, streams, delayed, problems } = await contentsOf(dataDir)
  const wrong = [...problems]
  for (const [name, lastSeq] of ledger.stored) {
    if ((streams.get(name) ?? 0) < lastSeq)
      wrong.push(`stream ${name} ends at ${streams.get(name)}, promised was ${lastSeq}`)
  }
  const lanesOf = (name: string) => queues.get(name)?.lanes ?? new Map<number, LaneContents>()
  for (const [key, promised] of ledger.settled) {
    const [name = '', number] = key.split(' ')
    const settled = lanesOf(name).get(Number(number))?.settled ?? new RangeSet()
    for (const [from, to] of [[0, promised.floor] as const, ...promised.above]) {
      const missing = settled.missing(from, to)
      if (missing.length > 0) wrong.push(`queue ${name}, lane ${number}: ${missing.join(' ')} came back`)
    }
  }
  const tailOf = (name: string) => {
    let sum = 0
    for (const { settled, entries } of lanesOf(name).values()) {
      sum += Math.max(settled.end, ...entries.map(({ position, count }) => position + count))
    }
    return sum
  }
  // Every message went to `all`, with its stream's number, in one transaction; a delayed one comes there later, and some
  // were there more than once.
  const numbered = [...streams.values()].reduce((sum, lastSeq) => sum + lastSeq, 0)
  const waiting = (delayed.get(queues.get('all')?.info.id ?? 0) ?? []).reduce((sum, { count }) => sum + count, 0)
  if (tailOf('all') + waiting < numbered)
    wrong.push(`queue all has ${tailOf('all')} positions and ${waiting} delayed for ${numbered} messages`)
  if (tailOf('$dead') < ledger.dead) wrong.push(`${tailOf('$dead')} of ${ledger.dead} dead letters are kept`)
  return wrong
}

t.setTimeout(580_000)
t.test('killed again and again', { timeout: 570_000 }, async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  // A folder of its own: another run of this test must not take it away in between.
  const dataDir = mkdtempSync(join(tmpdir(), 'causeway-kill-'))
  t.teardown(() => rmSync(dataDir, { recursive: true, force: true }))
  const ledger = new Ledger()
  for (let round = 1; round <= ROUNDS; round++) {
    const promises = 1 + random.below(150)
    await runAndKill(ledger, { dataDir, seed: seed + round, promises, afterMs: random.below(40) })
    t.strictSame(await judge(dataDir, ledger), [], `round ${round}: ${ledger.promises} promises kept`)
  }
})
