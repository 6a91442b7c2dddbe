import t from 'tap'
import { placesOf, policyOf, Queue, type QueuePolicy, type QueueRule } from '#hub/store/mod.ts'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { type Headers, NO_CONTENTS, openBatch, topicMatches } from '#protocol/codec/mod.ts'
import { message, sealed } from '#protocol/codec/testing.ts'
import { Router } from './mod.ts'

let ids = 0
function queueOf(
  name: string,
  topics: readonly string[],
  where: QueueRule['where'] = {},
  policy: Partial<QueuePolicy> = {},
): Queue {
  return new Queue({
    id: ++ids,
    name,
    rule: { topics, where },
    owner: null,
    ephemeral: false,
    policy: policyOf(policy),
  })
}

const unrouted = queueOf('$unrouted', [])
const batchOf = (messages: readonly (readonly [topic: string, headers?: Headers])[]) =>
  openBatch(sealed(messages.map(([topic, headers = {}]) => message('x', { topic, headers }))))

/** Queue name → selection as pairs of place and count, `null` for the whole batch. */
function routed(router: Router, ...messages: Parameters<typeof batchOf>[0]) {
  const { placements, unroutedCount } = router.route(batchOf(messages), unrouted)
  const named = placements.map(({ queue, selection, count }) => [queue.info.name, selection, count])
  return { placements: named.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)), unroutedCount }
}

t.test('a queue gets what fits any of its patterns, once', async (t) => {
  const router = new Router()
  router.compile([queueOf('both', ['a/#', 'a/+', '#']), queueOf('deep', ['a/b/#'])])
  t.same(routed(router, ['a/b']), {
    placements: [
      ['both', null, 1],
      ['deep', null, 1],
    ],
    unroutedCount: 0,
  })
})

t.test('of a batch each queue gets its messages, as runs of places; the rest is unrouted', async (t) => {
  const router = new Router()
  router.compile([queueOf('odd', ['odd']), queueOf('all', ['odd', 'even'])])
  t.same(routed(router, ['odd'], ['odd'], ['even'], ['lost'], ['odd'], ['even']), {
    placements: [
      ['$unrouted', [3, 1], 1],
      ['all', [0, 3, 4, 2], 5],
      ['odd', [0, 2, 4, 1], 3],
    ],
    unroutedCount: 1,
  })
})

t.test('every header named must have one of the values; numbers and booleans by their text', async (t) => {
  const router = new Router()
  router.compile([queueOf('picked', ['#'], { area: ['4452', '11'], paid: ['true'] })])
  const gets = (headers: Headers) => routed(router, ['x', headers]).unroutedCount === 0
  t.ok(gets({ area: '4452', paid: true }))
  t.ok(gets({ area: 11, paid: 'true', more: 'x' }))
  t.notOk(gets({ area: '4453', paid: true }))
  t.notOk(gets({ area: '4452' }))
  t.notOk(gets({ area: '4452', paid: null }))
  t.notOk(gets({}))
})

t.test('header names that every object has are no headers', async (t) => {
  const router = new Router()
  router.compile([queueOf('odd', ['#'], { constructor: ['function Object() { [native code] }'] })])
  t.equal(routed(router, ['x']).unroutedCount, 1)
})

t.test('a change of the rules counts at once, also for envelopes seen before', async (t) => {
  const router = new Router()
  router.compile([queueOf('first', ['a'])])
  t.match(routed(router, ['a']), { placements: [['first', null, 1]] })
  router.compile([queueOf('second', ['a'])])
  t.match(routed(router, ['a']), { placements: [['second', null, 1]] })
})

t.test('agrees with looking at every message by itself', async (t) => {
  const random = new Random(testSeed())
  const levels = ['a', 'b', 'c']
  const topic = () => Array.from({ length: 1 + random.below(3) }, () => random.pick(levels)).join('/')
  const pattern = () => topic().replace(/[abc]/, (level) => random.pick([level, '+'])) + random.pick(['', '', '/#'])
  for (let round = 0; round < 200; round++) {
    const queues = Array.from({ length: 4 }, (_, i) =>
      queueOf(`q${i}`, [pattern(), pattern()], random.oneIn(2) ? {} : { h: ['1', '2'] }),
    )
    const messages = Array.from(
      { length: 1 + random.below(20) },
      () => [topic(), random.oneIn(3) ? {} : { h: random.below(4) }] as const,
    )
    const router = new Router()
    router.compile(queues)
    const expected = new Map<string, number[]>()
    for (const [place, [name, headers]] of messages.entries()) {
      const wanting = queues.filter(({ info }) => {
        const values = info.rule.where.h
        return (
          info.rule.topics.some((one) => topicMatches(one, name)) &&
          (values === undefined || ('h' in headers && values.includes(String(headers.h))))
        )
      })
      for (const { info } of wanting.length === 0 ? [unrouted] : wanting) {
        expected.set(info.name, [...(expected.get(info.name) ?? []), place])
      }
    }
    const found = new Map<string, number[]>()
    for (const { queue, selection, count } of router.route(batchOf(messages), unrouted).placements) {
      const pairs = selection ?? [0, messages.length]
      const places: number[] = []
      for (let i = 0; i < pairs.length; i += 2) {
        for (let k = 0; k < (pairs[i + 1] as number); k++) places.push((pairs[i] as number) + k)
      }
      if (places.length !== count) return t.fail(`round ${round}: ${queue.info.name} counts ${count}`)
      found.set(queue.info.name, places)
    }
    const sorted = (map: Map<string, number[]>) => JSON.stringify([...map].sort())
    if (sorted(found) !== sorted(expected))
      return t.fail(`round ${round}: ${sorted(found)}, expected ${sorted(expected)}`)
  }
  t.pass('200 rounds')
})

t.test('messages of one queue with other priorities or times go apart, each with what it asked for', async (t) => {
  const router = new Router()
  router.compile([queueOf('q', ['a']), queueOf('r', ['a', 'b'])])
  const batch = batchOf([
    ['a', { ':priority': 'urgent' }],
    ['a'],
    ['a', { ':priority': 'urgent', other: 1 }],
    ['b', { ':ttl': 500, ':delay': 10 }],
    ['a', { ':deliver-at': 5 }],
    ['lost', { ':priority': 'bulk', ':ttl': 1 }],
  ])
  const { placements } = router.route(batch, unrouted)
  const told = placements.map(({ queue, selection, count, attributes }) => {
    const { priority, ttlMs, delayMs, deliverAtMs } = attributes
    return `${queue.info.name} ${selection} (${count}): ${priority} ${ttlMs} ${delayMs} ${deliverAtMs}`
  })
  t.same(told.sort(), [
    '$unrouted 5,1 (1): 0 0 0 0',
    'q 0,1,2,1 (2): 1 0 0 0',
    'q 1,1 (1): 0 0 0 0',
    'q 4,1 (1): 0 0 0 5',
    'r 0,1,2,1 (2): 1 0 0 0',
    'r 1,1 (1): 0 0 0 0',
    'r 3,1 (1): 0 500 10 0',
    'r 4,1 (1): 0 0 0 5',
  ])
})

t.test('attributes that mean nothing are refused, whoever wants the message', async (t) => {
  const router = new Router()
  router.compile([queueOf('q', ['a'])])
  for (const headers of [{ ':priority': 'high' }, { ':ttl': -1 }, { ':delay': '5' }, { ':deliver-at': 1.5 }]) {
    t.throws(() => router.route(batchOf([['a'], ['a', headers as Headers]]), unrouted), { code: 'ATTRIBUTE_INVALID' })
    t.throws(() => router.route(batchOf([['nobody', headers as Headers]]), unrouted), { code: 'ATTRIBUTE_INVALID' })
  }
})

t.test('what a batch refers to is told with it, each once, whoever wants the messages', async (t) => {
  const router = new Router()
  const q = queueOf('q', ['a'])
  router.compile([q])
  const [first, second] = ['1'.repeat(32), '2'.repeat(32)]
  const plain = router.route(batchOf([['a'], ['a', { ':ttl': 5 }]]), unrouted)
  t.equal(plain.contents, NO_CONTENTS)
  const { contents, placements } = router.route(
    batchOf([
      ['a', { ':content': first as string }],
      ['a'],
      ['lost', { ':content': `${second} ${first}` }],
      ['a', { ':content': `${first} ${first}` }],
    ]),
    unrouted,
  )
  t.strictSame(contents, [first, second])
  t.strictSame(
    placements.map(({ queue, selection }) => [queue.info.name, selection]),
    [
      ['q', [0, 2, 3, 1]],
      ['$unrouted', [2, 1]],
    ],
    'messages with other contents lie together',
  )
  t.throws(() => router.route(batchOf([['lost', { ':content': 'report.pdf' }]]), unrouted), {
    code: 'ATTRIBUTE_INVALID',
  })
})

t.test('envelopes with contents are not remembered: each comes once', async (t) => {
  const router = new Router()
  router.compile([queueOf('q', ['a'])])
  for (let i = 0; i < 100; i++) router.route(batchOf([['a', { ':content': String(i).padStart(32, '0') }]]), unrouted)
  router.route(batchOf([['a', { ':priority': 'urgent' }], ['b']]), unrouted)
  t.equal((Reflect.get(router, 'remembered') as Map<string, unknown>).size, 1)
})

t.test('ordered by key: one partition for each key, that of the stream without one; many keys spread', async (t) => {
  const router = new Router()
  const byKey = queueOf('key', ['#'], {}, { order: 'key', partitions: 16 })
  const byStream = queueOf('stream', ['#'], {}, { order: 'stream', partitions: 16 })
  router.compile([byKey, byStream])
  const keys = Array.from({ length: 400 }, (_, i) => (i % 10 === 9 ? null : Buffer.from(`key-${i % 45}`)))
  const partitions = (stream: string) => {
    const batch = openBatch(
      sealed(
        keys.map((key) => message('x', { key })),
        { stream },
      ),
    )
    const found = new Map<string, number[]>([
      ['key', []],
      ['stream', []],
    ])
    for (const { queue, selection, count, partition } of router.route(batch, unrouted).placements) {
      for (const place of placesOf({ selection, count }, 0, count))
        (found.get(queue.info.name) as number[])[place] = partition
    }
    return { key: found.get('key') as number[], stream: found.get('stream') as number[] }
  }
  const one = partitions('one')
  t.equal(one.key.length, 400)
  const ofKey = new Map<string, number>()
  for (const [place, key] of keys.entries()) {
    const partition = one.key[place] as number
    if (key === null) t.equal(partition, one.stream[0])
    else if (ofKey.has(String(key))) t.equal(partition, ofKey.get(String(key)))
    else ofKey.set(String(key), partition)
  }
  t.ok(new Set(ofKey.values()).size > 8, `${new Set(ofKey.values()).size} of 16 partitions`)
  t.equal(new Set(one.stream).size, 1)
  t.same(partitions('one'), one, 'always the same')
  const streams = new Set(Array.from({ length: 40 }, (_, i) => partitions(`stream ${i}`).stream[0]))
  t.ok(streams.size > 8, `${streams.size} of 16 partitions`)
})

t.test(
  'what rules leave to the content waits with a note: which rules, and whether it has a place already',
  async (t) => {
    const router = new Router()
    const bound = queueOf('bound', ['a/#'])
    const [routing, named] = [queueOf('$routing', []), queueOf('named', [])]
    router.compile([bound])
    router.use({
      rules: {
        version: { version: 7 },
        defaults: ['named'],
        isQuick: true,
        route: ({ topic }) => ({
          lasting: false,
          queues: topic === 'b/direct' ? ['named'] : topic === 'b/gone' ? ['gone'] : [],
          deferred: topic !== 'c',
          matched: topic !== 'c',
        }),
      },
      queue: routing,
      named: (name) => [bound, named].find(({ info }) => info.name === name),
    })
    const messages = ['a/1', 'b/1', 'a/2', 'b/direct', 'b/gone', 'c'].map((topic) => [topic] as const)
    const { placements, unroutedCount } = router.route(batchOf(messages), unrouted)
    t.same(
      placements.map(({ queue, selection, note }) => [queue.info.name, selection, note]),
      [
        ['bound', [0, 1, 2, 1], undefined],
        ['named', [3, 1, 5, 1], undefined],
        ['$unrouted', [4, 1], undefined],
        ['$routing', [0, 1, 2, 3], '7+'],
        ['$routing', [1, 1], '7'],
      ],
    )
    t.equal(unroutedCount, 1, 'nothing vanishes because a queue is gone')
    const backNote = placements.find(({ queue }) => queue === unrouted)?.backNote ?? ''
    const gone = queueOf('gone', [])
    const again = (batch: Parameters<Router['route']>[0]) =>
      router.routeAgain(batch, unrouted, backNote).map(({ queue }) => queue.info.name)
    t.same(again(batchOf([['b/gone']])), ['$unrouted'], 'what has the message already does not get it again')
    router.use({
      rules: {
        version: { version: 8 },
        defaults: [],
        isQuick: true,
        route: () => ({ lasting: false, queues: ['gone'], deferred: true, matched: true }),
      },
      queue: routing,
      named: () => gone,
    })
    t.same(again(batchOf([['b/gone']])), ['gone'])
  },
)
