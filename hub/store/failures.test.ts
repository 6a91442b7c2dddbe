// Transactions that fail in the middle of everything: what was refused has left nothing, what was promised is kept, and
// what the hub does by itself is done when the disk works again, once.

import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import type { Headers } from '#protocol/codec/mod.ts'
import type { Lease } from './lane.ts'
import { failureOf, Scene } from './scene.testing.ts'

t.test('places of an append that failed are given to the next one, in every lane', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  const other = await scene.queue('other')
  await scene.append([q, other], { count: 3 })
  scene.failing = 1
  const lost = [scene.append([q, other], { count: 2 }), scene.append([q], { headers: { ':priority': 'urgent' } })]
  t.strictSame(await Promise.all(lost.map(failureOf)), ['STORE_FULL', 'STORE_FULL'])
  await scene.append([q, other], { count: 4 })
  await scene.append([q], { headers: { ':priority': 'urgent' } })
  t.strictSame(
    scene.takeAll(q).map((lease) => [lease.lane.number, lease.from, scene.numbers(lease).join()]),
    [
      [1, 0, '8'],
      [0, 0, '1,2,3'],
      [0, 3, '4,5,6,7'],
    ],
  )
  await scene.contents(t)
})

t.test('a rejection, a retry, an expiry whose transaction fails is done with the next one', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  await scene.append([q], { count: 4, receipts: 'final', headers: { ':ttl': 1000 } })
  const lease = scene.take(q, 3) as Lease
  scene.failing = 1
  const done = [scene.reject(lease, 'BAD', 0, 1), scene.retry(lease, 500, 1, 1), scene.settle(lease, 2, 1)]
  await Promise.all(done)
  t.strictSame([q.depth, q.delayed, scene.store.queues.dead.depth], [1, 1, 1])
  scene.failing = 1
  await scene.pass(500)
  t.strictSame([q.depth, q.delayed], [2, 0])
  scene.failing = 1
  await scene.pass(500)
  t.strictSame([q.depth, scene.store.queues.dead.depth], [0, 3])
  t.strictSame(
    (await scene.receipts()).map(({ from, state }) => `${from} ${state}`),
    ['1 rejected', '3 processed', '4 expired', '2 expired'],
  )
  await scene.contents(t)
})

t.test('a settlement that comes while the disk cannot be read is done when it can be, once', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  await scene.append([q], { count: 4, receipts: 'final' })
  await scene.append([q], { stream: 'x' })
  const lease = scene.take(q) as Lease
  const planned = scene.store.stream('agent', 'y', 1)
  const { closed, open } = slowReopening(scene)
  scene.failing = 1
  const refused = failureOf(scene.append([q]))
  await closed
  t.equal(scene.store.readable, false)
  const done = [scene.reject(lease, 'BAD', 0, 2), scene.retry(lease, 100, 2, 1), scene.settle(lease, 3, 1)]
  t.equal(q.inFlight, 4, 'until then they are in flight')
  t.equal(await failureOf(scene.append([scene.store.unrouted], { stream: 'y', receipts: 'final' })), 'STORE_IO')
  t.equal(planned.plannedSeq, 0, 'nothing is planned that is not under way')
  open()
  t.equal(await refused, 'STORE_FULL')
  await Promise.all(done)
  t.strictSame([q.depth, q.delayed, q.inFlight, scene.store.queues.dead.depth], [1, 1, 0, 2])
  await scene.pass(100)
  t.strictSame(await scene.drain(q), [1, 3])
  await scene.contents(t)
})

/** The moment between closing the file after a failure and opening it again, as long as the test wants. */
function slowReopening(scene: Scene): { closed: Promise<void>; open: () => void } {
  const disk = Reflect.get(Reflect.get(scene.store, 'engine') as object, 'disk') as { reopen(): Promise<boolean> }
  const reopen = disk.reopen.bind(disk)
  const opened = Promise.withResolvers<void>()
  const closed = Promise.withResolvers<void>()
  disk.reopen = async () => {
    disk.reopen = reopen
    const root = Reflect.get(disk, 'root') as unknown
    const tables = Reflect.get(disk, 'tables') as Map<string, object>
    const open = [...tables]
    Reflect.set(disk, 'root', null)
    tables.clear()
    closed.resolve()
    await opened.promise
    Reflect.set(disk, 'root', root)
    for (const [name, table] of open) tables.set(name, table)
    return await disk.reopen()
  }
  return { closed: closed.promise, open: () => opened.resolve() }
}

t.test(
  'a transaction that was reported as failed is in the file: nothing is written any more until the hub starts again',
  async (t) => {
    const scene = await Scene.open(t)
    const q = await scene.queue('q')
    await scene.append([q], { count: 4, receipts: 'final' })
    const lease = scene.take(q) as Lease
    scene.lying = 1
    const refused = failureOf(scene.append([q, scene.store.queues.dead], { stream: 'x', count: 3 }))
    void scene.reject(lease, 'BAD', 0, 1)
    t.equal(await refused, 'STORE_DAMAGED')
    t.equal(await failureOf(scene.append([q])), 'STORE_DAMAGED')
    // What ends now would lie where the file has something else already.
    void scene.reject(lease, 'WORSE', 1, 1)
    void scene.settle(lease, 2, 1)
    await scene.check(t)
    t.strictSame([scene.named('q').depth, scene.named('q').bytes > 0], [6, true])
    t.strictSame(
      await scene.drain(scene.named('q')),
      [2, 3, 4, 1, 2, 3],
      'with what was refused: it comes again as a repeat',
    )
    t.strictSame(await scene.drain(scene.store.queues.dead), [1, 1, 2, 3])
    t.equal(scene.store.stream('agent', 'x', 1).durableSeq, 3)
    await scene.contents(t)
  },
)

t.test('a rejection that was reported as failed and is in the file is done once', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  await scene.append([q], { count: 2 })
  const lease = scene.take(q) as Lease
  scene.lying = 1
  await Promise.all([scene.reject(lease, 'BAD', 0, 1), scene.settle(lease, 1, 1)])
  t.strictSame([q.depth, scene.store.queues.dead.depth], [0, 1])
  await scene.append([q, scene.store.queues.dead])
  t.strictSame(await scene.drain(scene.store.queues.dead), [1, 3])
  await scene.contents(t)
})

t.test('closing does not wait for upkeep on a disk that fails', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  await scene.append([q], { count: 2, headers: { ':ttl': 1000 } })
  scene.failing = Number.MAX_SAFE_INTEGER
  scene.clock.pass(1000)
  await scene.store.close()
  scene.failing = 0
  await scene.restart()
  await scene.pass(0)
  t.strictSame([scene.named('q').depth, scene.store.queues.dead.depth], [0, 2])
  await scene.contents(t)
})

t.test(
  'everything at once, failing now and then: nothing is lost or doubled, and the files agree',
  { timeout: 500_000 },
  async (t) => {
    const seed = testSeed()
    t.comment(`SEED=${seed}`)
    const random = new Random(seed)
    for (let round = 0; round < 5; round++) {
      const scene = await Scene.open(t)
      const policy = random.oneIn(2) ? { maxDeliver: 3 } : { retainMs: 300 }
      await scene.queue('a', policy)
      await scene.queue('b', { order: 'stream', partitions: 2 })
      const failed = await live(scene, random)
      const { queues, batches } = await scene.check(t, `round ${round}: ${failed} appends refused`)
      t.ok(queues.has('a') && batches.size >= 0)
      await empty(scene)
      const { batches: left } = await scene.contents(t, `round ${round}, emptied`)
      t.equal(left.size, 0)
      t.strictSame([...scene.store.contentHolds.all()], [])
    }
  },
)

/** Many moves, often several in one transaction. Gives how many appends failed. */
async function live(scene: Scene, random: Random): Promise<number> {
  let failed = 0
  let last = 0
  for (let step = 0; step < 80; step++) {
    const [a, b] = ['a', 'b'].map((name) => scene.named(name)) as [Lease['lane']['queue'], Lease['lane']['queue']]
    const work: Promise<unknown>[] = []
    if (random.oneIn(6)) scene.failing = 1
    for (let i = random.below(3); i > 0; i--) {
      const headers: Record<string, string | number> = {}
      if (random.oneIn(3)) headers[':priority'] = random.pick(['urgent', 'bulk'])
      if (random.oneIn(4)) headers[':delay'] = random.below(100)
      if (random.oneIn(4)) headers[':ttl'] = 1 + random.below(200)
      if (random.oneIn(3)) headers[':content'] = String(random.below(4)).repeat(32)
      const sent = {
        count: 1 + random.below(5),
        headers: headers as Headers,
        receipts: random.pick(['none', 'all'] as const),
      }
      const target = random.oneIn(5) ? [scene.store.unrouted] : [a, { queue: b, partition: random.below(2) }]
      work.push(failureOf(scene.append(target, sent)).then((code) => (failed += code === null ? 0 : 1)))
    }
    for (const queue of [a, b, a]) {
      const lease = scene.take(queue, 1 + random.below(5))
      if (lease === null) continue
      const numbers = scene.numbers(lease)
      last = Math.max(last, ...numbers)
      const kind = random.below(10)
      if (kind < 4) work.push(scene.settle(lease))
      else if (kind < 6) work.push(scene.reject(lease, 'BAD', lease.from, 1 + random.below(lease.count)))
      else if (kind < 8) work.push(scene.retry(lease, random.below(2) * 50))
      scene.store.delivered(lease, 'reader')
      if (kind >= 8) scene.store.giveBack([lease], 'reader')
      else if (kind >= 4 && kind < 6) giveBackRest(scene, lease, work)
    }
    if (random.oneIn(8)) work.push(scene.redrive('$dead'))
    if (random.oneIn(15)) work.push(scene.purge('b'))
    if (random.oneIn(4)) work.push(scene.pass(random.below(120)))
    await Promise.all(work)
    scene.failing = 0
    if (random.oneIn(25)) await scene.restart()
  }
  return failed
}

/** What of a rejected lease was not rejected is unknown here: whoever takes it again finds it open. */
function giveBackRest(scene: Scene, lease: Lease, work: Promise<unknown>[]): void {
  const open = lease.lane.settled.missing(lease.from, lease.from + lease.count)
  work.push(Promise.resolve())
  scene.store.giveBack(
    open.map(([from, to]) => ({ ...lease, from, count: to - from })),
    'reader',
  )
}

async function empty(scene: Scene): Promise<void> {
  await scene.pass(1000)
  for (let turn = 0; turn < 3; turn++) {
    for (const queue of scene.store.queues.all()) {
      const leases = scene.takeAll(queue)
      await Promise.all(leases.map((lease) => scene.settle(lease)))
      if (queue.inFlight > 0) throw new Error(`${queue.inFlight} messages of ${queue.info.name} are in flight for ever`)
    }
    await scene.pass(2000)
  }
  const left = [...scene.store.queues.all()].filter(({ depth, delayed }) => depth + delayed > 0)
  if (left.length > 0) throw new Error(`${left.map(({ info, depth }) => `${info.name}: ${depth}`)} left`)
}
