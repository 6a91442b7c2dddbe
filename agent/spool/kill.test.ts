// SIGKILL at random moments: whatever was acknowledged is there, without a gap, and the cursor is that of the last
// batch.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { openSpool } from './mod.ts'
import { batchFor, randomFrom } from './testing.ts'

const CHILD = fileURLToPath(new URL('append-until-killed.testing.ts', import.meta.url))
const ROUNDS = 10
const MIB = 1024 * 1024

type Printed = { acknowledged: number; released: number }

/**
 * Runs the child, kills it `afterMs` after a number of acknowledgements, and gives back the highest numbers it printed.
 * The time matters: right after an acknowledgement the next transaction has barely begun.
 */
async function runAndKill(
  path: string,
  seed: number,
  { acks, afterMs }: { acks: number; afterMs: number },
): Promise<Printed> {
  const child: ChildProcess = spawn(process.execPath, [CHILD, path, String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const printed = { acknowledged: 0, released: 0 }
  let left = acks
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const [what, number] = line.split(' ')
    if (what === 'ack') printed.acknowledged = Math.max(printed.acknowledged, Number(number))
    if (what === 'released') printed.released = Math.max(printed.released, Number(number))
    left -= 1
    if (left === 0) setTimeout(() => child.kill('SIGKILL'), afterMs)
  }
  const [, signal] = (await exited) as [number | null, string | null]
  if (signal !== 'SIGKILL') throw new Error('the child ended by itself')
  return printed
}

t.test('killed again and again', async (t) => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
  t.comment(`SEED=${seed}`)
  const random = randomFrom(seed)
  const path = t.testdir()
  let epoch = 0
  for (let round = 1; round <= ROUNDS; round += 1) {
    const printed = await runAndKill(path, seed + round, { acks: 1 + random(60), afterMs: random(15) })
    const spool = await openSpool({ path, bytesMax: 64 * MIB })
    const stream = spool.stream('killed')
    const last = stream.nextSeq - 1
    t.ok(last >= printed.acknowledged, `round ${round}: acknowledged to ${printed.acknowledged}, stored to ${last}`)
    t.ok(stream.releasedSeq >= printed.released, `released to ${printed.released}, stored as ${stream.releasedSeq}`)
    t.equal(stream.cursor, JSON.stringify({ last }), 'the cursor is that of the last batch')
    if (epoch !== 0) t.equal(stream.epoch, epoch, 'the epoch stays')
    epoch = stream.epoch
    let expected = stream.releasedSeq + 1
    let different = 0
    for (const batch of stream.read({ seq: 1, bytesMax: 64 * MIB })) {
      if (batch.firstSeq !== expected || !batch.bytes.equals(batchFor(batch.firstSeq, batch.count))) different += 1
      expected += batch.count
    }
    t.equal(expected, stream.nextSeq, 'no gap')
    t.equal(different, 0, 'every batch is what was appended')
    await spool.close()
  }
})
