// Run by kill.test.ts as a process of its own: appends to the spool in argv[2] with the seed in argv[3] until it is
// killed, and prints `ack <last sequence number>` for what was acknowledged and `released <sequence number>` for what
// was released.

import { writeSync } from 'node:fs'
import { openSpool } from './mod.ts'
import { batchFor, randomFrom } from './testing.ts'

const [, , path, seed] = process.argv
if (path === undefined || seed === undefined) throw new Error('usage: append-until-killed.testing.ts <path> <seed>')
const random = randomFrom(Number(seed))
const spool = await openSpool({ path, bytesMax: 64 * 1024 * 1024 })
const stream = spool.stream('killed')

for (;;) {
  const appends: Promise<void>[] = []
  for (let i = random(4); i >= 0; i -= 1) {
    const count = 1 + random(9)
    const firstSeq = stream.nextSeq
    const last = firstSeq + count - 1
    const appended = stream.append({
      batches: [{ bytes: batchFor(firstSeq, count), count }],
      cursor: JSON.stringify({ last }),
    })
    appends.push(appended.then(() => void writeSync(1, `ack ${last}\n`)))
  }
  if (random(3) === 0 && stream.cursor !== null) {
    const { last } = JSON.parse(stream.cursor) as { last: number }
    const seq = Math.max(1, last - 40)
    appends.push(stream.release(seq).then(() => void writeSync(1, `released ${stream.releasedSeq}\n`)))
  }
  await Promise.all(appends)
}
