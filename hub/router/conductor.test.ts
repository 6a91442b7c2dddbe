// The conductor on a real store: what goes where, in which order, and what a crash, a full queue and a failing pipeline leave.

import t from 'tap'
import type { Chain } from '#agent/components/chain/types.ts'
import { componentFault } from '#agent/components/mod.ts'
import { policyOf, type Queue } from '#hub/store/mod.ts'
import { Pipeline } from '#hub/transform/mod.ts'
import { routerFault } from './faults.ts'
import { chainOf, Hub, JSON_HEADERS, type Rules, upTo, way } from './testing.ts'

t.test('messages go where the rules say, as they are, in the order of their streams', async (t) => {
  const hub = await Hub.open(t, t.testdir())
  await Promise.all(['odd', 'even', 'all'].map((name) => hub.declare(name)))
  for (let i = 0; i < 20; i++) {
    await hub.send(
      'a',
      upTo(10 * i, 10 * i + 9).map((body) => ({ body })),
    )
    await hub.send('b', [{ body: String(1000 + i) }])
  }
  hub.conduct((body) => ({
    ways: [way('parity', [Number(body) % 2 === 0 ? 'even' : 'odd']), way('all', ['all', 'all'])],
  }))
  await hub.send('a', [{ body: '200' }])
  await hub.routed()
  const all = await hub.bodies('all')
  t.same(
    all.filter((body) => Number(body) < 1000),
    upTo(0, 200),
  )
  t.same(
    all.filter((body) => Number(body) >= 1000),
    upTo(1000, 1019),
  )
  t.same(
    (await hub.bodies('odd')).filter((body) => Number(body) < 1000),
    upTo(0, 199).filter((body) => Number(body) % 2 === 1),
  )
  t.equal((await hub.drain('even')).length, 111)
  t.same(hub.faults, [])
})

t.test(
  'what no rule wants: placed already, the default, or unrouted; what cannot be looked at is dead with the reason',
  async (t) => {
    const hub = await Hub.open(t, t.testdir())
    await hub.declare('rest')
    const rules: Rules = (body) => {
      if (body === 'placed') return { placed: true }
      if (body === 'broken')
        return { faults: [{ rule: 'r', fault: routerFault('ROUTE_CONTENT', { where: 'line 1' }) }] }
      if (body === 'gone') return { ways: [way('r', ['rest', 'nowhere'])] }
      if (body === 'slow') return routerFault('ROUTE_CONTENT', { why: 'too slow' })
      return {}
    }
    hub.conduct(rules)
    await hub.send(
      'a',
      ['placed', 'broken', 'x', 'gone', 'slow'].map((body) => ({ body })),
    )
    await hub.routed()
    t.match(await hub.drain('$unrouted'), [{ body: 'x', note: 'NO_ROUTE', origin: 'agent' }])
    t.match(await hub.drain('$dead'), [
      { body: 'broken', note: /^ROUTE_CONTENT: rule r at line 1: .*\. Correct the message/ },
      { body: 'gone', note: /^ROUTE_QUEUE_GONE: rule r at queue nowhere/ },
      { body: 'slow', note: /^ROUTE_CONTENT: .*too slow/ },
    ])
    t.same(await hub.bodies('rest'), ['gone'])
    await hub.conductor?.stop()
    hub.conduct(rules, { defaults: ['rest'] })
    await hub.send('a', [{ body: 'x' }])
    await hub.routed()
    t.same(await hub.bodies('rest'), ['x'])
  },
)

t.test(
  'a pipeline makes new messages; those it refuses are dead as they were, and their neighbours pass',
  async (t) => {
    const hub = await Hub.open(t, t.testdir())
    await Promise.all(['made', 'plain'].map((name) => hub.declare(name)))
    hub.pipe('p', (items, reject) =>
      items.flatMap((item) => {
        if (item.row.n === 3) {
          reject({
            item,
            fault: componentFault('MAP_FIELD_MISSING', { where: 'map: rename', line: 7 }),
            step: 2,
            type: 'map',
          })
          return []
        }
        return [item, { ...item, row: { half: Number(item.row.n) / 2 } }]
      }),
    )
    hub.conduct(() => ({ ways: [way('p', ['made'], 'p'), way('q', ['plain'])] }))
    const headers = { ...JSON_HEADERS, ':priority': 'urgent', unit: 'a' }
    await hub.send('a', [...upTo(1, 4).map((n) => ({ body: `{"n":${n}}`, headers })), { body: '{"n":', headers }])
    await hub.routed()
    const made = await hub.drain('made')
    t.same(
      made.map(({ body }) => body),
      ['{"n":1}', '{"half":0.5}', '{"n":2}', '{"half":1}', '{"n":4}', '{"half":2}'],
    )
    t.match(made[0], { origin: 'hub', topic: 'made/x', headers: { unit: 'a', ':priority': 'urgent' } })
    t.equal((await hub.drain('plain')).length, 5)
    t.match(await hub.drain('$dead'), [
      { body: '{"n":3}', origin: 'agent', note: /^MAP_FIELD_MISSING: rule p, step 2 map at map: rename, line 7: / },
      { body: '{"n":', note: /^JSON_INVALID: rule p/ },
    ])
  },
)

t.test('a full queue is waited for, and holds up nobody else', async (t) => {
  const hub = await Hub.open(t, t.testdir())
  await hub.declare('small', { messagesMax: 2 })
  await hub.declare('large')
  hub.pipe('p', (items) => items)
  hub.conduct((body) => ({ ways: [body.includes('s') ? way('p', ['small'], 'p') : way('r', ['large'])] }))
  for (let i = 0; i < 6; i++) await hub.send('s', [{ body: `{"s":${i}}`, headers: JSON_HEADERS }])
  await hub.send('other', [{ body: 'x' }])
  while ((hub.store.queues.get('large') as Queue).depth === 0) await new Promise((resolve) => setImmediate(resolve))
  t.ok(hub.queue.depth > 0)
  const got: string[] = []
  while (got.length < 6) {
    got.push(...(await hub.bodies('small')))
    t.ok((hub.store.queues.get('small') as Queue).depth <= 2)
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.same(
    got,
    upTo(0, 5).map((i) => `{"s":${i}}`),
  )
})

t.test(
  'what a pipeline keeps comes to the disk with what it took: stopped at any time, each message counts once',
  async (t) => {
    const dataDir = t.testdir()
    let hub = await Hub.open(t, dataDir)
    await hub.declare('sums')
    const start = () => {
      hub.pipe('sum', (items) => items, { sum: 0, seen: 0 })
      hub.conduct(() => ({ ways: [way('sum', ['sums'], 'sum')] }))
    }
    start()
    let sent = 0
    const sums: string[] = []
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < 7; i++) await hub.send(`s${i % 3}`, [{ body: `{"n":${++sent}}`, headers: JSON_HEADERS }])
      if (round % 2 === 0) await hub.routed()
      await hub.close()
      hub = await Hub.open(t, dataDir)
      start()
    }
    await hub.routed()
    sums.push(...(await hub.bodies('sums')))
    t.equal(sums.length, 14)
    t.equal(JSON.parse(hub.store.conveying.state('sum') ?? '').seen, 70)
    t.match(JSON.parse(sums.at(-1) ?? ''), { sum: (70 * 71) / 2 })
  },
)

t.test('what fails as a whole is tried again, in its order', async (t) => {
  const hub = await Hub.open(t, t.testdir())
  await hub.declare('made')
  let failures = 3
  hub.pipe('p', (items) => {
    if (failures-- > 0) throw componentFault('DIRECTORY_IO', { retry: true })
    return items
  })
  hub.conduct(() => ({ ways: [way('p', ['made'], 'p')] }))
  for (let i = 0; i < 5; i++) await hub.send('a', [{ body: `{"n":${i}}`, headers: JSON_HEADERS }])
  await hub.routed()
  t.same(
    await hub.bodies('made'),
    upTo(0, 4).map((i) => `{"n":${i}}`),
  )
  t.same(hub.faults, ['DIRECTORY_IO', 'DIRECTORY_IO', 'DIRECTORY_IO'])
})

t.test('what waits for a content, and all behind it, holds up no other lane, and goes on in its order', async (t) => {
  const hub = await Hub.open(t, t.testdir())
  const made = await hub.declare('made')
  let isWhole = false
  const calls: string[] = []
  hub.pipe('p', (items) => {
    calls.push(...items.map(({ row }) => String(row.n)))
    const waits = !isWhole && items.some(({ row }) => row.n === 100 || row.n === 150)
    if (waits) throw componentFault('DIRECTORY_IO', { retry: true, content: 'a'.repeat(32) })
    return items
  })
  for (const n of upTo(100, 189)) await hub.send('a', [{ body: `{"n":${n}}`, headers: JSON_HEADERS }])
  hub.conduct(() => ({ ways: [way('p', ['made'], 'p')] }))
  for (const n of upTo(0, 19)) await hub.send('b', [{ body: `{"n":${n}}`, headers: JSON_HEADERS }])
  while (made.depth < 20) await new Promise((resolve) => setImmediate(resolve))
  const tries = calls.filter((n) => n === '100').length
  while (calls.filter((n) => n === '100').length < tries + 2) await new Promise((resolve) => setImmediate(resolve))
  t.same(
    await hub.bodies('made'),
    upTo(0, 19).map((n) => `{"n":${n}}`),
  )
  t.ok(calls.length < 1_000, 'nothing is made in vain again and again')
  isWhole = true
  await hub.routed()
  t.same(
    await hub.bodies('made'),
    upTo(100, 189).map((n) => `{"n":${n}}`),
  )
})

t.test('a full queue that is forgotten is waited for no longer, and loses nothing', async (t) => {
  const hub = await Hub.open(t, t.testdir())
  const rule = { topics: [], where: {} }
  const policy = policyOf({ messagesMax: 1 })
  const sub = await hub.store.queues.declare({ name: 'agent:sub', rule, owner: 'agent', ephemeral: false, policy })
  hub.pipe('p', (items) => items)
  hub.conduct((body) => ({ ways: [way('r', ['agent:sub'], body.includes('p') ? 'p' : null)] }))
  const bodies = ['{"n":1}', '{"n":2}', '{"p":3}', '{"n":4}', '{"p":5}']
  await hub.send('a', [{ body: bodies[0] as string, headers: JSON_HEADERS }])
  await hub.routed()
  for (const body of bodies.slice(1)) await hub.send('a', [{ body, headers: JSON_HEADERS }])
  while (hub.queue.inFlight < 4) await new Promise((resolve) => setImmediate(resolve))
  await hub.store.queues.forget(sub)
  await hub.routed()
  t.match(
    await hub.drain('$dead'),
    bodies.slice(1).map((body) => ({ body, note: /^ROUTE_QUEUE_GONE/ })),
  )
})

t.test('a pipeline that fails, and cannot even be closed, is tried again in its order', async (t) => {
  const hub = await Hub.open(t, t.testdir())
  await hub.declare('made')
  let failures = 2
  const chain = () => chainOf((items) => items, { sum: 0, seen: 0 })
  const make = (): Chain => {
    const made = chain()
    return {
      ...made,
      process: async (items, signal, large) => {
        if (failures > 0) throw componentFault('DIRECTORY_IO', { retry: true })
        return await made.process(items, signal, large)
      },
      close: async () => {
        if (failures-- > 0) throw componentFault('DIRECTORY_IO', { why: 'close' })
      },
    }
  }
  hub.pipelines.set('p', new Pipeline({ name: 'p', keeps: true, make, stored: () => hub.store.conveying.state('p') }))
  hub.conduct(() => ({ ways: [way('p', ['made'], 'p')] }))
  for (let n = 1; n <= 10; n++) await hub.send('a', [{ body: `{"n":${n}}`, headers: JSON_HEADERS }])
  await hub.routed()
  t.same(await hub.bodies('made'), ['{"sum":15}', '{"sum":55}'])
})

t.test('what is conveyed is not conveyed again, whatever fails behind it', async (t) => {
  const hub = await Hub.open(t, t.testdir())
  await hub.declare('plain')
  let failures = 2
  const onConveyed = () => {
    if (failures-- > 0) throw new Error('the test says so')
  }
  hub.conduct(() => ({ ways: [way('r', ['plain'])] }), { onConveyed })
  for (const body of upTo(1, 5)) await hub.send('a', [{ body }])
  await hub.routed()
  t.same(await hub.bodies('plain'), upTo(1, 5))
  t.equal(hub.faults.length, 2)
})

t.test('what one lease brings to a limited queue comes into it together, however it is decided', async (t) => {
  const hub = await Hub.open(t, t.testdir())
  const small = await hub.declare('small', { messagesMax: 4 })
  const picky = await hub.declare('picky', { messagesMax: 4, onFull: 'dead-letter' })
  // Neighbours are told apart in the trace.
  hub.conduct((body) => ({ ways: [way(`r${Number(body) % 2}`, [Number(body) < 100 ? 'small' : 'picky'])] }))
  await hub.send('a', [{ body: '0' }, { body: '100' }])
  await hub.routed()
  await hub.send(
    'b',
    upTo(101, 110).map((body) => ({ body })),
  )
  await hub.routed()
  t.equal(picky.depth, 1)
  t.equal((await hub.drain('$dead')).length, 10)
  await hub.send(
    'a',
    upTo(1, 10).map((body) => ({ body })),
  )
  while (hub.queue.inFlight < 10) await new Promise((resolve) => setImmediate(resolve))
  await hub.send('b', [{ body: '111' }])
  while (hub.queue.depth > 10) await new Promise((resolve) => setImmediate(resolve))
  t.equal(small.depth, 1)
  t.same(await hub.bodies('small'), ['0'])
  await hub.routed()
  t.same(await hub.bodies('small'), upTo(1, 10))
})

t.test('a limited queue holds what it may, however many batches and leases come at once', async (t) => {
  const hub = await Hub.open(t, t.testdir())
  const policy = { messagesMax: 3, onFull: 'dead-letter' } as const
  const [made, both, shared] = [
    await hub.declare('made', policy),
    await hub.declare('both', { ...policy, messagesMax: 2 }),
    await hub.declare('shared', policy),
  ]
  hub.pipe('p', (items) => items)
  hub.conduct((body) => {
    if (body.includes('"made"')) return { ways: [way('r', ['made'], 'p')] }
    if (body.includes('"both"')) return { ways: [way('r', ['both']), way('q', ['both'], 'p')] }
    return { ways: [way('r', [body.includes('"first"') ? 'both' : 'shared'])] }
  })
  const json = (value: object) => ({ body: JSON.stringify(value), headers: JSON_HEADERS })
  await hub.send('a', [json({ made: 0 }), json({ first: 0 }), json({ shared: 0 })])
  await hub.routed()
  t.same([made.depth, both.depth, shared.depth], [1, 1, 1])
  // What is made of them takes two batches, of two messages each.
  const filling = 'x'.repeat(100_000)
  await hub.send(
    'a',
    [1, 2, 3, 4].map((n) => json({ made: n, filling })),
  )
  await hub.send('b', [json({ both: 1 })])
  for (let n = 1; n <= 8; n++) await hub.send(`s${n}`, [json({ shared: n })])
  await hub.routed()
  t.same([made.depth, both.depth, shared.depth], [1, 1, 3])
  t.same((await hub.drain('$dead')).filter(({ note }) => note !== 'QUEUE_FULL').length, 0)
  t.equal(hub.faults.length, 0)
})
