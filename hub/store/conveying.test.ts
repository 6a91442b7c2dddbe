// Messages that go on as they are or as others, with crashes and failing disks at each step.

import t from 'tap'
import type { Target } from './conveyed.ts'
import type { Engine } from './engine.ts'
import type { Lease } from './lane.ts'
import { failureOf, Scene } from './scene.testing.ts'
import { placement, sealed } from './testing.ts'

const made = (scene: Scene, count: number) => {
  const stream = scene.store.stream('hub', 'made', 1)
  const batch = sealed({ firstSeq: stream.plannedSeq + 1, count, origin: 'hub', stream: 'made' })
  return { stream, batch }
}

t.test('messages go on as they are: in place of one copy, several, or none', async (t) => {
  const scene = await Scene.open(t)
  const [work, a, b] = [await scene.queue('work'), await scene.queue('a'), await scene.queue('b')]
  await scene.append([work], { count: 4, receipts: 'final', headers: { ':priority': 'urgent' } })
  const lease = scene.take(work) as Lease
  const to = [a, b].map((queue) => ({ queue, lane: lease.lane.number }))
  const leaving = { lease, by: 'router', reason: '' }
  await scene.store.conveying.convey({
    leaving: [
      { ...leaving, from: lease.from, count: 2, to },
      { ...leaving, from: lease.from + 2, count: 1, to: [{ queue: b, lane: 0, note: 'why' }], reason: 'why' },
      { ...leaving, from: lease.from + 3, count: 1, to: [] },
    ],
    made: [],
  })
  t.equal(work.depth, 0)
  t.match(await scene.receipts(), [
    { state: 'rejected', reason: 'why', from: 3 },
    { state: 'processed', from: 4 },
  ])
  const id = { origin: 'agent', stream: 's', seq: 1 }
  t.match(
    scene
      .admin()
      .trace(id)
      ?.events.map(({ what }) => what),
    ['accepted', 'routed'],
  )
  t.same(
    scene
      .admin()
      .trace(id)
      ?.copies.map(({ queue, lane, state }) => [queue, lane, state]),
    [
      ['work', 1, 'settled'],
      ['a', 1, 'waiting'],
      ['b', 1, 'waiting'],
    ],
  )
  await scene.check(t)
  t.same(await scene.drain(scene.named('a')), [1, 2])
  const leases = scene.takeAll(scene.named('b'))
  t.same(
    leases.map((one) => [scene.numbers(one), one.entry.note]),
    [
      [[1, 2], ''],
      [[3], 'why'],
    ],
  )
  await Promise.all(leases.map((one) => scene.settle(one)))
  t.match(await scene.receipts(), [{ state: 'processed' }])
  t.equal((await scene.contents(t)).batches.size, 0)
})

t.test('what was made of messages comes with their leaving, and with a state', async (t) => {
  const scene = await Scene.open(t)
  const [work, a] = [await scene.queue('work'), await scene.queue('a')]
  await scene.append([work], { count: 2 })
  const lease = scene.take(work) as Lease
  const { stream, batch } = made(scene, 3)
  const kept = await scene.store.conveying.keep(stream, batch)
  t.equal(a.depth, 0, 'it is nowhere yet')
  t.equal(work.depth, 2)
  await scene.store.conveying.convey({
    leaving: [{ lease, from: lease.from, count: 2, to: [], by: 'router', reason: '' }],
    made: [
      {
        made: kept,
        of: 'agent/s/1/1',
        placements: [placement(a, batch, { selection: [0, 2] }), placement(a, batch, { selection: [2, 1] })],
      },
    ],
    states: [{ name: 'p', text: 'after two' }],
  })
  t.match(scene.admin().trace({ origin: 'hub', stream: 'made', seq: 3 }), {
    events: [{ what: 'made', reason: 'agent/s/1/1' }],
    copies: [{ queue: 'a', state: 'waiting' }],
  })
  await scene.check(t)
  t.equal(scene.store.conveying.state('p'), 'after two')
  t.equal(scene.named('work').depth, 0)
  t.same(await scene.drain(scene.named('a')), [1, 2, 3])
  t.equal((await scene.contents(t)).batches.size, 0)
})

t.test('a crash between the disk and the queues: it is forgotten, and made again', async (t) => {
  const scene = await Scene.open(t)
  const [work, a] = [await scene.queue('work'), await scene.queue('a')]
  await scene.append([work], { count: 2 })
  const first = made(scene, 2)
  await scene.store.conveying.keep(first.stream, first.batch)
  t.equal((await scene.check(t, 'with what was made, too')).batches.size, 2)
  t.equal((await scene.check(t)).batches.size, 1, 'forgotten when it is opened')
  const second = made(scene, 1)
  t.equal(second.batch.head.firstSeq, 3, 'its numbers are not given again')
  const kept = await scene.store.conveying.keep(second.stream, second.batch)
  await scene.store.conveying.drop([kept])
  t.equal((await scene.contents(t)).batches.size, 1, 'dropped')
  t.ok(a)
})

t.test('a disk that fails: keeping is refused, conveying is repeated', async (t) => {
  const scene = await Scene.open(t)
  const [work, a] = [await scene.queue('work'), await scene.queue('a')]
  await scene.append([work], { count: 2 })
  scene.failing = 1
  const refused = made(scene, 1)
  t.equal(await failureOf(scene.store.conveying.keep(refused.stream, refused.batch)), 'STORE_FULL')
  const { stream, batch } = made(scene, 1)
  t.equal(batch.head.firstSeq, 1)
  const kept = await scene.store.conveying.keep(stream, batch)
  const lease = scene.take(scene.named('work')) as Lease
  scene.failing = 2
  await scene.store.conveying.convey({
    leaving: [{ lease, from: lease.from, count: 2, to: [], by: '', reason: '' }],
    made: [{ made: kept, of: '', placements: [placement(a, batch)] }],
  })
  t.equal(scene.failing, 0)
  await scene.check(t)
  t.same([scene.named('work').depth, scene.named('a').depth], [0, 1])
})

t.test('what goes to one lane keeps its order there, however differently its neighbours leave', async (t) => {
  const scene = await Scene.open(t)
  const [work, a, b] = [await scene.queue('work'), await scene.queue('a'), await scene.queue('b')]
  await scene.append([work], { count: 6, receipts: 'final' })
  const lease = scene.take(work) as Lease
  const [toA, toB] = [a, b].map((queue) => ({ queue, lane: 0 })) as [Target, Target]
  const dead = (note: string) => ({ queue: scene.store.queues.dead, lane: 0, note })
  const leaving = [[toB], [toA, toB], [toB], [dead('x')], [dead('y')], [dead('x')]].map((to, i) => {
    return { lease, from: lease.from + i, count: 1, to, by: '', reason: '' }
  })
  await scene.store.conveying.convey({ leaving, made: [] })
  t.same(await scene.drain(a), [2])
  t.same(await scene.drain(b), [1, 2, 3])
  t.same(await scene.drain(scene.store.queues.dead), [4, 5, 6])
  const told = await scene.receipts()
  t.equal(
    told.reduce((sum, { from, to }) => sum + to - from + 1, 0),
    6,
    'the end of each is told once',
  )
  t.match(scene.admin().trace({ origin: 'agent', stream: 's', seq: 3 })?.copies, [{ queue: 'work' }, { queue: 'b' }])
  t.equal((await scene.contents(t)).batches.size, 0)
})

t.test('a queue that is forgotten before anything comes into it: nothing happens, and it goes elsewhere', async (t) => {
  const scene = await Scene.open(t)
  const [work, sub] = [await scene.queue('work'), await scene.queue('agent:sub', {}, 'agent')]
  await scene.append([work], { count: 2 })
  const lease = scene.take(work) as Lease
  const { stream, batch } = made(scene, 1)
  const kept = await scene.store.conveying.keep(stream, batch)
  await scene.store.queues.forget(sub)
  const leaving = { lease, from: lease.from, count: 2, by: '', reason: '' }
  const to = [{ queue: sub, lane: 0 }]
  const asMade = { made: kept, of: '', placements: [placement(sub, batch)] }
  t.equal(await failureOf(scene.store.conveying.convey({ leaving: [{ ...leaving, to }], made: [] })), 'QUEUE_UNKNOWN')
  const both = scene.store.conveying.convey({ leaving: [{ ...leaving, to: [] }], made: [asMade] })
  t.equal(await failureOf(both), 'QUEUE_UNKNOWN')
  await scene.store.conveying.drop([kept])
  t.equal(work.depth, 2)
  const a = await scene.queue('a')
  await scene.store.conveying.convey({ leaving: [{ ...leaving, to: [{ queue: a, lane: 0 }] }], made: [] })
  await scene.check(t)
  t.same(await scene.drain(scene.named('a')), [1, 2])
  t.equal((await scene.contents(t)).batches.size, 0)
})

t.test('what waits for a disk that failed comes before what is conveyed when it is back', async (t) => {
  const scene = await Scene.open(t)
  const [work, a] = [await scene.queue('work'), await scene.queue('a')]
  await scene.append([work], { count: 1 })
  await scene.append([work], { count: 1 })
  const [first, second] = scene.takeAll(work) as [Lease, Lease]
  const convey = (lease: Lease, onTaken?: () => void) => {
    const leaving = { lease, from: lease.from, count: 1, to: [{ queue: a, lane: 0 }], by: '', reason: '' }
    return scene.store.conveying.convey({ leaving: [leaving], made: [] }, onTaken)
  }
  const engine = Reflect.get(scene.store, 'engine') as Engine
  const disk = Reflect.get(engine, 'disk') as { reopen(): Promise<boolean> }
  const reopen = disk.reopen.bind(disk)
  const conveyed: Promise<void>[] = []
  const taken: number[] = []
  const { promise: isBack, resolve } = Promise.withResolvers<void>()
  disk.reopen = async () => {
    const reopened = reopen()
    // The file is closed.
    if (conveyed.length === 0) conveyed.push(convey(first, () => taken.push(1)))
    return await reopened
  }
  const { onReadable } = engine
  engine.onReadable = () => {
    onReadable()
    if (conveyed.length === 1) conveyed.push(convey(second, () => taken.push(2)))
    resolve()
  }
  scene.failing = 1
  await scene.written()
  await isBack
  await Promise.all(conveyed)
  t.same(taken, [1, 2])
  t.same(await scene.drain(a), [1, 2])
})
