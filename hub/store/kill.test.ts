// SIGKILL at random moments: whatever was promised is there, nothing settled comes back, and what belongs together (a
// stream's last number, queue entries, batches, settlement) was written together.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { openBatch } from '#protocol/codec/mod.ts'
import { RangeSet } from '#protocol/session/mod.ts'
import { contentsOf } from './testing.ts'

const CHILD = fileURLToPath(new URL('append-and-settle.testing.ts', import.meta.url))
const ROUNDS = 10

/** What the child was promised, over all its lives. */
class Ledger {
  readonly stored = new Map<string, number>()
  readonly settled = new Map<string, RangeSet>()
  rejected = 0
  promises = 0

  note(line: string): void {
    const [what, name = '', ...numbers] = line.split(' ')
    const [first = 0, second = 0] = numbers.map(Number)
    this.promises++
    if (what === 'stored') this.stored.set(name, Math.max(first, this.stored.get(name) ?? 0))
    else if (what === 'rejected') this.rejected += Number(name)
    else if (what === 'settled' && name !== 'agent:sub') {
      const settled = this.settled.get(name) ?? new RangeSet()
      this.settled.set(name, settled)
      settled.add(first, second)
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
  const { queues, streams, batches, problems } = await contentsOf(dataDir)
  const wrong = [...problems]
  for (const [name, lastSeq] of ledger.stored) {
    if ((streams.get(name) ?? 0) < lastSeq)
      wrong.push(`stream ${name} ends at ${streams.get(name)}, promised was ${lastSeq}`)
  }
  for (const [name, promised] of ledger.settled) {
    const settled = queues.get(name)?.settled ?? new RangeSet()
    for (const [from, to] of [[0, promised.floor] as const, ...promised.above]) {
      const missing = settled.missing(from, to)
      if (missing.length > 0) wrong.push(`queue ${name}: ${missing.join(' ')} came back`)
    }
  }
  const tailOf = (name: string) => {
    const { settled, entries } = queues.get(name) ?? { settled: new RangeSet(), entries: [] }
    return Math.max(settled.end, ...entries.map(({ position, count }) => position + count))
  }
  // Every message went to `all`, with its stream's number, in one transaction.
  const numbered = [...streams.values()].reduce((sum, lastSeq) => sum + lastSeq, 0)
  if (tailOf('all') !== numbered) wrong.push(`queue all has ${tailOf('all')} positions for ${numbered} messages`)
  if (tailOf('$rejected') < ledger.rejected)
    wrong.push(`${tailOf('$rejected')} of ${ledger.rejected} rejected are kept`)
  for (const [seq, bytes] of batches) {
    try {
      openBatch(bytes).checkContent()
    } catch (error) {
      wrong.push(`batch ${seq}: ${error}`)
    }
  }
  return wrong
}

t.test('killed again and again', async (t) => {
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
