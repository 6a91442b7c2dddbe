// Contents stay as long as a batch that refers to them, whatever becomes of its messages.

import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { NO_CONTENTS } from '#protocol/codec/mod.ts'
import { checkStore } from './check.ts'
import { compactStore } from './compact.ts'
import { decodeHold, encodeHold, HOLDS_TABLE } from './content-holds.ts'
import { Engine } from './engine.ts'
import type { Lease } from './lane.ts'
import { SWEEP_MS } from './limits.ts'
import { repairStore } from './repair.ts'
import { failureOf, Scene, type Sent, type Target } from './scene.testing.ts'
import { contentsOf, openStore, placement, sealed } from './testing.ts'

const [A, B, C] = ['a', 'b', 'c'].map((digit) => digit.repeat(32)) as [string, string, string]
const referring = (...contents: string[]): Sent => ({ headers: { ':content': contents.join(' ') } })
const delayed = (id: string, ms: number): Sent => ({ headers: { ':content': id, ':delay': ms } })
const lasting = (id: string, ms: number): Sent => ({ headers: { ':content': id, ':ttl': ms } })

const countsOf = ({ store }: Scene) => [A, B, C].map((id) => store.contentHolds.count(id))

/** What was freed, in its order. */
function watched({ store }: Scene): string[] {
  const freed: string[] = []
  store.contentHolds.onFreed = (id) => void freed.push(id)
  return freed
}

t.test('two batches hold a content: it is free when the last one is settled, and that is on disk', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  const freed = watched(scene)
  await scene.append([q], referring(A, B))
  await scene.append([q], { count: 3, ...referring(A) })
  await scene.append([q])
  t.strictSame(countsOf(scene), [2, 1, 0])
  const [first, second] = scene.takeAll(q) as [Lease, Lease]
  await scene.settle(first)
  t.strictSame([countsOf(scene), freed], [[1, 0, 0], [B]])
  await scene.settle(second, second.from, 2)
  t.strictSame(freed, [B], 'a message of the batch is left')
  const last = scene.settle(second, second.from + 2, 1)
  t.strictSame([countsOf(scene), freed], [[1, 0, 0], [B]], 'not before it is on disk')
  await last
  t.strictSame(
    [countsOf(scene), freed],
    [
      [0, 0, 0],
      [B, A],
    ],
  )
  t.equal((await scene.contents(t)).holds.size, 0)
})

t.test('it is held from the call on, and in the transaction that stores the batch', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  const appended = scene.append([q], referring(A))
  t.strictSame(countsOf(scene), [1, 0, 0])
  await appended
  const { holds, batches } = await scene.check(t)
  t.strictSame(
    [...holds],
    [...batches].map((seq) => [seq, [A]]),
  )
  t.strictSame(countsOf(scene), [1, 0, 0], 'also when the store is opened again')
})

t.test('an append that is refused holds nothing', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q', { messagesMax: 2 })
  const freed = watched(scene)
  await scene.append([q], { count: 2, ...referring(B) })
  t.equal(await failureOf(scene.append([q], referring(A))), 'QUEUE_FULL')
  t.strictSame(countsOf(scene), [0, 1, 0])
  scene.failing = 1
  const other = await scene.queue('other')
  await scene.written()
  scene.failing = 1
  const lost = [scene.append([other], referring(A, B)), scene.append([other], referring(A))].map(failureOf)
  t.strictSame(countsOf(scene), [2, 2, 0])
  t.strictSame(await Promise.all(lost), ['STORE_FULL', 'STORE_FULL'])
  await scene.written()
  t.strictSame([countsOf(scene), freed], [[0, 1, 0], [A]])
  await scene.append([other], referring(C))
  t.equal((await scene.check(t)).holds.size, 2)
  t.strictSame(countsOf(scene), [0, 1, 1])
})

t.test('what a disk stores and says to have failed is held', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  const freed = watched(scene)
  const disk = Reflect.get(Reflect.get(scene.store, 'engine') as object, 'disk') as { commit(): Promise<void> }
  const commit = disk.commit.bind(disk)
  disk.commit = async () => {
    disk.commit = commit
    await commit()
    Reflect.set(disk, 'transaction', (Reflect.get(disk, 'transaction') as number) - 1)
    throw new Error('the test says so')
  }
  t.equal(await failureOf(scene.append([q], referring(A))), 'STORE_DAMAGED')
  t.strictSame([countsOf(scene), freed], [[1, 0, 0], []])
  await scene.store.close()
  t.strictSame([...(await contentsOf(scene.dataDir)).holds.values()], [[A]])
  await scene.restart()
  t.strictSame(countsOf(scene), [1, 0, 0])
})

t.test('a batch that comes again holds nothing more', async (t) => {
  const store = await openStore(t.testdir())
  t.teardown(() => store.close())
  const stream = store.stream('agent', 's', 1)
  const batch = sealed({ firstSeq: 1, count: 1, ...referring(A) })
  const placements = [placement(store.unrouted, batch)]
  await Promise.all([store.append(stream, batch, placements), store.append(stream, batch, placements)])
  await store.append(stream, batch, placements)
  t.equal(store.contentHolds.count(A), 1)
})

type Fate = { name: string; policy?: object; sent?: Sent; run(scene: Scene): Promise<void> }

const only = (scene: Scene, queue = 'q'): Lease => scene.take(scene.named(queue)) as Lease

/** Ways that do not end with the batch. */
const FATES: readonly Fate[] = [
  {
    name: 'dead-lettered',
    run: (scene) => scene.reject(only(scene), 'BAD'),
  },
  {
    name: 'dead-lettered and redriven',
    run: async (scene) => {
      await scene.reject(only(scene), 'BAD')
      t.match(await scene.redrive('$dead'), { moved: 1 })
    },
  },
  {
    name: 'moved to another queue',
    run: async (scene) => {
      await scene.queue('other')
      t.match(await scene.redrive('q', { to: 'other' }), { moved: 1 })
    },
  },
  {
    name: 'later again',
    run: (scene) => scene.retry(only(scene), 500),
  },
  {
    name: 'delayed, then in its lane',
    sent: delayed(A, 500),
    run: async (scene) => {
      t.equal(scene.store.contentHolds.count(A), 1, 'while it waits')
      await scene.pass(600)
    },
  },
  {
    name: 'expired, to the dead letters',
    sent: lasting(A, 500),
    run: (scene) => scene.pass(600),
  },
  {
    name: 'settled and retained',
    policy: { retainMs: 60_000 },
    run: (scene) => scene.settle(only(scene)),
  },
  {
    name: 'settled, retained and replayed',
    policy: { retainMs: 60_000 },
    run: async (scene) => {
      await scene.settle(only(scene))
      await scene.store.replay(scene.named('q'), { fromPosition: 0 })
    },
  },
  {
    name: 'in no queue',
    run: async (scene) => {
      await scene.append([scene.store.unrouted], referring(A))
      await scene.settle(only(scene))
    },
  },
]

for (const { name, policy = {}, sent = referring(A), run } of FATES) {
  t.test(`${name}: held until it is gone`, async (t) => {
    const scene = await Scene.open(t)
    await scene.append([await scene.queue('q', policy)], sent)
    await run(scene)
    t.equal(scene.store.contentHolds.count(A), 1)
    t.equal((await scene.check(t)).holds.size, 1)
    t.equal(scene.store.contentHolds.count(A), 1, 'also after a restart')
    const freed = watched(scene)
    await scene.pass(1000)
    for (const queue of [...scene.store.queues.all()]) await scene.drain(queue)
    // What is retained goes with time.
    await scene.pass(100_000)
    await scene.pass(SWEEP_MS)
    t.strictSame([scene.store.contentHolds.count(A), freed], [0, [A]])
    const { holds, batches } = await scene.contents(t)
    t.strictSame([holds.size, batches.size], [0, 0])
  })
}

t.test('ways that end with the batch', async (t) => {
  const scene = await Scene.open(t)
  const gone: [name: string, policy: object, sent: Sent, run: () => Promise<unknown>][] = [
    ['expires', { onExpire: 'drop' }, lasting(A, 100), () => scene.pass(200)],
    ['full', { onFull: 'drop-oldest', messagesMax: 1 }, referring(A), () => scene.append([scene.named('full')])],
    ['purged', {}, referring(A), () => scene.purge('purged')],
  ]
  for (const [name, policy, sent, run] of gone) {
    await scene.append([await scene.queue(name, policy)], sent)
    t.equal(scene.store.contentHolds.count(A), 1, name)
    await run()
    await scene.written()
    t.equal(scene.store.contentHolds.count(A), 0, name)
  }
  const own = await scene.queue('agent:sub', {}, 'agent')
  await scene.append([own], referring(A))
  await scene.append([own], delayed(B, 1000))
  t.strictSame(countsOf(scene), [1, 1, 0])
  await scene.store.queues.forget(own)
  t.strictSame(countsOf(scene), [0, 0, 0])
  t.equal((await scene.contents(t)).holds.size, 0)
})

t.test('several queues: held until the last has it settled', async (t) => {
  const scene = await Scene.open(t)
  const queues = await Promise.all(['a', 'b', 'c'].map((name) => scene.queue(name)))
  const targets: Target[] = queues.map((queue, i) => ({ queue, selection: [i, 1] }))
  await scene.append(targets, { count: 3, ...referring(A) })
  for (const [i, queue] of queues.entries()) {
    t.equal(scene.store.contentHolds.count(A), 1)
    t.strictSame(await scene.drain(queue), [i + 1])
  }
  t.equal(scene.store.contentHolds.count(A), 0)
})

t.test('compaction moves batches and leaves what they hold', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  const all: string[] = []
  for (let i = 0; i < 60; i++) {
    const id = (0xa0 + i).toString(16).padStart(32, '0')
    all.push(id)
    await scene.append([q], { ...referring(id), bodyBytes: 60_000 })
  }
  const leases = scene.takeAll(q)
  for (const [i, lease] of leases.entries()) if (i % 6 > 0) await scene.settle(lease)
  await scene.contents(t)
  const { segmentBytesBefore, segmentBytesAfter } = await compactStore(scene.dataDir)
  t.ok(segmentBytesAfter < segmentBytesBefore / 2, `${segmentBytesBefore} bytes, then ${segmentBytesAfter}`)
  t.equal((await contentsOf(scene.dataDir)).holds.size, 10)
  await scene.restart()
  t.strictSame(
    all.filter((id) => scene.store.contentHolds.count(id) === 1),
    all.filter((_, i) => i % 6 === 0),
  )
})

t.test('random moves on a disk that fails at times: counts are those of the batches there are', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const scene = await Scene.open(t)
  await scene.queue('q', { maxDeliver: 3 })
  await scene.queue('r', { retainMs: 500 })
  const pool = Array.from({ length: 6 }, (_, i) => String(i).repeat(32))
  for (let step = 0; step < 80; step++) {
    const work: Promise<unknown>[] = []
    if (random.oneIn(8)) scene.failing = 1
    for (let i = random.below(3); i > 0; i--) {
      const contents = pool.filter(() => random.oneIn(4))
      const sent: Sent = { count: 1 + random.below(3), ...(contents.length === 0 ? {} : referring(...contents)) }
      const targets = [scene.named('q'), scene.named('r')].filter(() => random.oneIn(2))
      work.push(failureOf(scene.append(targets.length === 0 ? [scene.store.unrouted] : targets, sent)))
    }
    for (const queue of scene.store.queues.all()) {
      const lease = scene.take(queue, 1 + random.below(4))
      if (lease === null) continue
      const kind = random.below(10)
      if (kind < 2) work.push(scene.reject(lease, 'BAD'))
      else if (kind < 4) scene.store.giveBack([lease], 'reader')
      else work.push(scene.settle(lease))
    }
    if (random.oneIn(4)) work.push(scene.pass(random.below(400)))
    await Promise.all(work)
    if (!random.oneIn(15)) continue
    scene.failing = 0
    await scene.written()
    const held = new Map(scene.store.contentHolds.all())
    const { holds } = await scene.check(t, `step ${step}`)
    const recount = new Map<string, number>()
    for (const id of [...holds.values()].flat()) recount.set(id, (recount.get(id) ?? 0) + 1)
    t.strictSame([...held].sort(), [...recount].sort(), `step ${step}`)
    t.strictSame([...scene.store.contentHolds.all()].sort(), [...recount].sort(), 'also after a restart')
  }
})

t.test('a row that is damaged is replaced by what the batch says; one without a batch goes', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  await scene.append([q], referring(A, B))
  await scene.append([q], referring(C))
  await scene.store.close()
  await change(scene.dataDir, (engine) => {
    const table = engine.table(HOLDS_TABLE)
    const row = Buffer.from(table.get(1) as Buffer)
    row[5] = (row[5] as number) ^ 1
    table.put(1, row)
    table.put(77, encodeHold([A]))
  })
  await scene.restart()
  t.strictSame(countsOf(scene), [1, 1, 1])
  t.equal(await isThere(scene, 77), false)
  await scene.drain(scene.named('q'))
  t.strictSame(countsOf(scene), [0, 0, 0])
  await scene.contents(t)
})

t.test('check names rows that are wrong, repair mends them', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  for (const id of [A, B, C]) await scene.append([q], referring(id))
  await scene.append([q])
  await scene.append([q], referring(A, B, C))
  await scene.contents(t)
  t.match(await checkStore(scene.dataDir), { ok: true, problems: [] })
  await change(scene.dataDir, (engine) => {
    const table = engine.table(HOLDS_TABLE)
    table.remove(1)
    table.put(2, encodeHold([C]))
    table.put(3, Buffer.from([1, 2, 3]))
    table.put(4, encodeHold([A]))
    table.put(77, encodeHold([A]))
  })
  const { problems } = await checkStore(scene.dataDir)
  t.strictSame(problems.toSorted(), [
    'batch 1: it refers to contents and does not hold them',
    'batch 2: it holds other contents than it refers to',
    'batch 3: the row of the contents it holds is unreadable',
    'batch 4: it holds other contents than it refers to',
    'batch 77: it is gone and still holds contents',
  ])
  const { after, lines } = await repairStore(scene.dataDir)
  t.strictSame(after.problems, [])
  t.match(lines.join('\n'), new RegExp(`batch 1: it now holds ${A}`))
  t.match(lines.join('\n'), /batch 77: it now holds no contents/)
  t.strictSame(
    [...(await contentsOf(scene.dataDir)).holds],
    [
      [1, [A]],
      [2, [B]],
      [3, [C]],
      [5, [A, B, C]],
    ],
  )
  await scene.restart()
  t.strictSame(countsOf(scene), [2, 2, 2])
})

t.test('repair: a batch that is lost holds nothing any more', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  await scene.append([q], referring(A))
  await scene.append([q], referring(B))
  await scene.store.close()
  await change(scene.dataDir, (engine) => {
    const row = Buffer.from(engine.table('inline').get(1) as Buffer)
    row[row.length - 3] = (row.at(-3) as number) ^ 1
    engine.table('inline').put(1, row)
  })
  t.strictSame((await checkStore(scene.dataDir)).problems, [], 'the batch is named, not what it holds')
  const { lost, after } = await repairStore(scene.dataDir)
  t.strictSame([lost.length, after.ok], [1, true])
  await scene.restart()
  t.strictSame(countsOf(scene), [0, 1, 0])
})

t.test('a store of an earlier version, which knows no contents, opens as before', async (t) => {
  const dataDir = t.testdir()
  cpSync(fileURLToPath(new URL('fixtures/v1/store', import.meta.url)), join(dataDir, 'store'), { recursive: true })
  const store = await openStore(dataDir)
  const stream = store.stream('agent', 'new', 1)
  const batch = sealed({ firstSeq: 1, count: 1, stream: 'new', ...referring(A) })
  t.strictSame([...store.contentHolds.all()], [])
  await store.append(stream, batch, [placement(store.unrouted, batch)])
  await store.close()
  const { holds, problems, batches } = await contentsOf(dataDir)
  t.strictSame([[...holds.values()], problems], [[[A]], []])
  t.ok(batches.size > 10)
})

t.test('and so does one of this version by the program before this table', async (t) => {
  const scene = await Scene.open(t)
  await scene.append([await scene.queue('q')])
  await scene.store.close()
  const made = join(scene.dataDir, 'before')
  // The same tables without this one.
  const [from, to] = [scene.dataDir, made].map(open) as [Engine, Engine]
  const names = ['meta', 'queues', 'entries', 'states', 'inline', 'shares', 'marks', 'streams']
  for (const name of names) to.table(name)
  const write = () => {
    for (const name of names) {
      const table = from.table(name)
      for (const key of table.keys()) to.table(name).put(key, table.get(key) as Buffer)
    }
  }
  await to.append(0, { write, done: () => undefined })
  await Promise.all([from.close(), to.close()])
  const store = await openStore(made)
  t.equal(store.queues.get('q')?.depth, 1)
  t.strictSame([...store.contentHolds.all()], [])
  await store.close()
  t.match(await checkStore(made), { ok: true, batches: 1 })
  await scene.restart()
})

t.test('rows', async (t) => {
  t.strictSame(decodeHold(encodeHold([A])), [A])
  t.strictSame(decodeHold(encodeHold([A, C, B])), [A, C, B])
  const row = encodeHold([A, B])
  t.equal(row.length, 1 + 2 * 16 + 4)
  for (let bit = 0; bit < 8 * row.length; bit++) {
    const damaged = Buffer.from(row)
    damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7))
    if (decodeHold(damaged) !== null) t.fail(`bit ${bit}`)
  }
  for (let length = 0; length < row.length; length++) t.equal(decodeHold(row.subarray(0, length)), null)
  t.equal(decodeHold(encodeHold(NO_CONTENTS)), null, 'a row that names none is not written')
})

const open = (dataDir: string): Engine => Engine.open(join(dataDir, 'store'), 2 ** 28, { freeBytesMin: 0 })

/** Changes rows of a closed store. */
async function change(dataDir: string, write: (engine: Engine) => void): Promise<void> {
  const engine = open(dataDir)
  for (const name of [HOLDS_TABLE, 'inline']) engine.table(name)
  await engine.append(0, { write: () => write(engine), done: () => undefined })
  await engine.close()
}

async function isThere(scene: Scene, seq: number): Promise<boolean> {
  const engine = Reflect.get(scene.store, 'engine') as Engine
  return engine.table(HOLDS_TABLE).get(seq) !== undefined
}
