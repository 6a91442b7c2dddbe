// Run by kill.test.ts as a process of its own: works on the store in argv[2] with the seed in argv[3] until it is
// killed. Every message goes to the queue `all`, some also to `some` and to the agent's subscription, which comes and
// goes. Prints what it was promised: `stored <stream> <last number>`, `settled <queue> <from> <to>`, `rejected <how
// many>`.

import { writeSync } from 'node:fs'
import { Random } from '#protocol/bytes/testing.ts'
import type { Lease, Queue } from './queue.ts'
import { openStore, sealed } from './testing.ts'

const [, , dataDir, seed] = process.argv
if (dataDir === undefined || seed === undefined) throw new Error('usage: append-and-settle.testing.ts <folder> <seed>')
const random = new Random(Number(seed))
const store = await openStore(dataDir, { cacheBytes: 50_000 })
const promise = (line: string) => void writeSync(1, `${line}\n`)
const declare = (name: string, owner: string | null) =>
  store.declareQueue({ name, rule: { topics: ['t'], where: {} }, owner, ephemeral: false })
const all = await declare('all', null)
const some = await declare('some', null)
const streams = ['one', 'two'].map((name) => store.stream('agent', name, 1))

function append(subscription: Queue | undefined): Promise<void> {
  const stream = random.pick(streams)
  const count = 1 + random.below(9)
  const batch = sealed({
    firstSeq: stream.plannedSeq + 1,
    count,
    stream: stream.name,
    bodyBytes: 8 + random.below(random.oneIn(5) ? 20_000 : 200),
  })
  const placements = [{ queue: all, selection: null as number[] | null, count }]
  if (random.oneIn(2)) placements.push({ queue: some, selection: [count - 1, 1], count: 1 })
  if (subscription !== undefined) placements.push({ queue: subscription, selection: null, count })
  return store.append(stream, batch, placements).then(() => promise(`stored ${stream.name} ${batch.lastSeq}`))
}

/** Takes something and settles it, a part of it, or nothing. */
async function consume(queue: Queue): Promise<void> {
  const lease = queue.take(1 + random.below(12))
  if (lease === null) return
  store.batchBytes(lease.entry.batchSeq)
  const { entry, from, count, attempt } = lease
  const settled = random.oneIn(3) ? random.below(count + 1) : count
  const rejected = random.oneIn(8)
  const rest: Lease = { entry, from: from + settled, count: count - settled, attempt }
  if (rest.count > 0) queue.giveBack([rest])
  if (settled === 0) return
  await store.settle(
    queue,
    lease,
    [from, from + settled],
    rejected ? 'rejected' : 'processed',
    rejected ? 'unwanted' : '',
  )
  promise(`settled ${queue.info.name} ${from} ${from + settled}`)
  if (rejected) promise(`rejected ${settled}`)
}

for (;;) {
  const subscription = random.oneIn(3) ? await declare('agent:sub', 'agent') : store.queue('agent:sub')
  const work: Promise<void>[] = []
  for (let i = random.below(5); i >= 0; i--) work.push(append(subscription))
  for (let i = random.below(8); i >= 0; i--) work.push(consume(random.oneIn(3) ? some : all))
  if (subscription !== undefined && random.oneIn(6)) {
    work.push(consume(subscription), store.forgetQueue(subscription))
  }
  // Often the next turn begins before this one is on disk.
  if (random.oneIn(3)) await Promise.all(work)
  else await new Promise((resolve) => setImmediate(resolve))
}
