// Run by kill.test.ts as a process of its own: works on the store in argv[2] with the seed in argv[3] until it is
// killed. Every message goes to the queue `all`, at once, later or for a while only, with one of the priorities; some refer
// to large contents; some go also to `some`, which retains them, and to the agent's subscription, which comes and goes. Prints what it was promised:
// `stored <stream> <last number>`, `settled <queue> <lane> <from> <to>`, `dead <how many>`.

import { writeSync } from 'node:fs'
import { Random } from '#protocol/bytes/testing.ts'
import type { Headers } from '#protocol/codec/mod.ts'
import type { Lease } from './lane.ts'
import { policyOf, type QueuePolicy } from './policy.ts'
import type { Queue } from './queue.ts'
import { openStore, placement, sealed } from './testing.ts'

const [, , dataDir, seed] = process.argv
if (dataDir === undefined || seed === undefined) throw new Error('usage: append-and-settle.testing.ts <folder> <seed>')
const random = new Random(Number(seed))
const store = await openStore(dataDir, { cacheBytes: 50_000, traceKeepMs: 200 })
const promise = (line: string) => void writeSync(1, `${line}\n`)
const declare = (name: string, owner: string | null, policy: Partial<QueuePolicy> = {}) =>
  store.queues.declare({ name, rule: { topics: ['t'], where: {} }, owner, ephemeral: false, policy: policyOf(policy) })
const all = await declare('all', null, { maxDeliver: 4 })
const some = await declare('some', null, { retainMs: 300 })
const CONTENTS = ['a', 'b', 'c'].map((digit) => digit.repeat(32)) as [string, string, string]
const streams = ['one', 'two'].map((name) => store.stream('agent', name, 1))

function headers(): Headers {
  const out: Record<string, string | number> = {}
  if (random.oneIn(3)) out[':priority'] = random.pick(['urgent', 'bulk'])
  if (random.oneIn(5)) out[':delay'] = random.below(60)
  if (random.oneIn(6)) out[':ttl'] = 1 + random.below(100)
  if (random.oneIn(3)) out[':content'] = CONTENTS.filter(() => random.oneIn(2)).join(' ') || CONTENTS[0]
  return out
}

function append(subscription: Queue | undefined): Promise<void> {
  const stream = random.pick(streams)
  const count = 1 + random.below(9)
  const batch = sealed({
    firstSeq: stream.plannedSeq + 1,
    count,
    stream: stream.name,
    headers: headers(),
    receipts: random.pick(['none', 'final', 'all'] as const),
    bodyBytes: 8 + random.below(random.oneIn(5) ? 20_000 : 200),
  })
  const placements = [placement(all, batch)]
  if (random.oneIn(2)) placements.push(placement(some, batch, { selection: [count - 1, 1] }))
  if (subscription !== undefined) placements.push(placement(subscription, batch))
  return store.append(stream, batch, placements).then(() => promise(`stored ${stream.name} ${batch.lastSeq}`))
}

/** Takes something and settles it, a part of it, or nothing. */
async function consume(queue: Queue): Promise<void> {
  const lease = store.take(queue, 1 + random.below(12), store)
  if (lease === null) return
  if (lease.entry.batchSeq > 0) store.batchBytes(lease.entry.batchSeq)
  store.delivered(lease, 'reader')
  const { from, count, lane } = lease
  const settled = random.oneIn(3) ? random.below(count + 1) : count
  const rest: Lease = { ...lease, from: from + settled, count: count - settled }
  if (rest.count > 0) store.giveBack([rest], 'reader')
  if (settled === 0) return
  const to = from + settled
  const told = { reason: 'unwanted', by: 'reader' }
  if (random.oneIn(6)) await store.retry(lease, [from, to], { ...told, delayMs: random.below(3) * 30 })
  else if (random.oneIn(8)) {
    await store.settle(lease, [from, to], 'rejected', told)
    if (queue !== store.queues.dead) promise(`dead ${settled}`)
    promise(`settled ${queue.info.name} ${lane.number} ${from} ${to}`)
  } else {
    await store.settle(lease, [from, to], 'processed', told)
    promise(`settled ${queue.info.name} ${lane.number} ${from} ${to}`)
  }
}

for (;;) {
  const subscription = random.oneIn(3) ? await declare('agent:sub', 'agent') : store.queues.get('agent:sub')
  const receipts = store.queues.get('receipts/agent')
  const work: Promise<unknown>[] = []
  for (let i = random.below(5); i >= 0; i--) work.push(append(subscription))
  for (let i = random.below(8); i >= 0; i--) work.push(consume(random.oneIn(3) ? some : all))
  for (let i = random.below(8); i >= 0 && receipts !== undefined; i--) work.push(consume(receipts))
  if (random.oneIn(10) && some.inFlight === 0) work.push(store.replay(some, { fromMs: Date.now() - random.below(200) }))
  if (subscription !== undefined && random.oneIn(6)) {
    work.push(consume(subscription), store.queues.forget(subscription))
  }
  // Often the next turn begins before this one is on disk.
  if (random.oneIn(3)) await Promise.all(work)
  else await new Promise((resolve) => setImmediate(resolve))
}
