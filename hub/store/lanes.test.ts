// Priorities: what is urgent comes first, and what is not comes all the same.

import t from 'tap'
import type { Lease } from './lane.ts'
import { RUN_OF_ONE_PRIORITY, WINDOW_ENTRIES } from './limits.ts'
import { Scene, upTo } from './scene.testing.ts'

const URGENT = { headers: { ':priority': 'urgent' } }
const BULK = { headers: { ':priority': 'bulk' } }
const priorities = (leases: readonly Lease[]): string =>
  leases.map(({ lane }) => ['n', 'u', 'b'][lane.priority]).join('')

t.test('urgent comes before normal, normal before bulk, each in its own order', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  for (let i = 0; i < 3; i++) {
    await scene.append([q], BULK)
    await scene.append([q])
    await scene.append([q], URGENT)
  }
  const leases = scene.takeAll(q)
  t.equal(priorities(leases), 'uuunnnbbb')
  t.strictSame(
    leases.flatMap((lease) => scene.numbers(lease)),
    [3, 6, 9, 2, 5, 8, 1, 4, 7],
  )
  t.strictSame(
    leases.map(({ lane, from }) => [lane.number, from]),
    [1, 0, 2].flatMap((lane) => upTo(0, 2).map((from) => [lane, from])),
  )
})

t.test('after a run of one priority the next one has its turn', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  const run = RUN_OF_ONE_PRIORITY
  for (let i = 0; i < 100; i++)
    await Promise.all([scene.append([q], URGENT), scene.append([q]), scene.append([q], BULK)])
  const taken = priorities(scene.takeAll(q))
  t.equal(taken.length, 300)
  t.equal(taken.slice(0, 2 * run + 2), `${'u'.repeat(run)}n${'u'.repeat(run)}n`)
  const urgent = taken.slice(0, taken.lastIndexOf('u'))
  t.ok(urgent.includes('b'), 'bulk is not forgotten while urgent messages come')
  const noUrgent = taken.slice(taken.lastIndexOf('u') + 1)
  const noNormal = noUrgent.slice(0, noUrgent.lastIndexOf('n'))
  t.notMatch(noNormal, new RegExp(`n{${run + 1}}`))
})

t.test(
  'a backlog of several priorities, longer than what is kept in memory, comes whole and in order, across a restart',
  async (t) => {
    const scene = await Scene.open(t)
    let q = await scene.queue('q')
    const counts = [WINDOW_ENTRIES + 300, 200, 150] as const
    const sent = [
      ...upTo(1, counts[2]).map(() => scene.append([q], { ...BULK, stream: 'b' })),
      ...upTo(1, counts[0]).map(() => scene.append([q], { stream: 'n' })),
      ...upTo(1, counts[1]).map(() => scene.append([q], { ...URGENT, stream: 'u' })),
    ]
    await Promise.all(sent)
    t.equal(q.depth, sent.length)
    const inMemory = [...q.lanes.values()].map((lane) => (Reflect.get(lane, 'ready') as unknown[]).length)
    t.ok(
      inMemory.every((entries) => entries <= WINDOW_ENTRIES),
      `${inMemory} entries in memory`,
    )
    const got = new Map<number, number[]>([0, 1, 2].map((priority) => [priority, []]))
    const half = sent.length / 2
    const settled: Promise<void>[] = []
    for (let i = 0; i < half; i++) {
      const lease = scene.take(q, 1) as Lease
      got.get(lease.lane.priority)?.push(...scene.numbers(lease))
      // One in ten is out when the hub ends.
      if (i % 10 !== 9) settled.push(scene.settle(lease))
      else got.get(lease.lane.priority)?.pop()
    }
    await Promise.all(settled)
    await scene.restart()
    q = scene.named('q')
    for (const lease of scene.takeAll(q)) {
      got.get(lease.lane.priority)?.push(...scene.numbers(lease))
      await scene.settle(lease)
    }
    const numbers = (priority: number) => (got.get(priority) as number[]).toSorted((a, b) => a - b)
    for (const [priority, count] of counts.entries()) t.strictSame(numbers(priority), upTo(1, count))
    const { batches } = await scene.contents(t)
    t.equal(batches.size, 0)
  },
)

t.test('a batch of several priorities is one batch, and its parts come when it is their turn', async (t) => {
  const scene = await Scene.open(t)
  const q = await scene.queue('q')
  const other = await scene.queue('other')
  // Lanes are numbered partition * 3 + priority: the router's placements, one per priority.
  await scene.append(
    [
      { queue: q, selection: [0, 2, 5, 1] },
      { queue: other, selection: [2, 3] },
    ],
    { count: 6 },
  )
  await scene.append([q], URGENT)
  t.strictSame(
    scene.takeAll(q).flatMap((lease) => scene.numbers(lease)),
    [7, 1, 2, 6],
  )
  t.strictSame(
    scene.takeAll(other, 2).map((lease) => scene.numbers(lease)),
    [[3, 4], [5]],
  )
})
