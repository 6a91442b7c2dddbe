import t from 'tap'
import { Queue, type QueueRule } from '#hub/store/mod.ts'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { type Headers, openBatch, topicMatches } from '#protocol/codec/mod.ts'
import { message, sealed } from '#protocol/codec/testing.ts'
import { RangeSet } from '#protocol/session/mod.ts'
import { Router } from './mod.ts'

let ids = 0
function queueOf(name: string, topics: readonly string[], where: QueueRule['where'] = {}): Queue {
  const info = { id: ++ids, name, rule: { topics, where }, owner: null, ephemeral: false }
  return new Queue({ info, settled: new RangeSet(), tail: 0, head: 0, load: () => [], onLeftover: () => undefined })
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
