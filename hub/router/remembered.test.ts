import t from 'tap'
import { policyOf, Queue } from '#hub/store/mod.ts'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { type Batch, type Envelope, openBatch } from '#protocol/codec/mod.ts'
import { message, sealed } from '#protocol/codec/testing.ts'
import { Router, type RulesAt } from './router.ts'
import { compileRules } from './rules/mod.ts'
import { randomEnvelope, randomSet } from './rules/testing.ts'

let ids = 0
function queueOf(name: string, topics: string[] = [], where: Record<string, string[]> = {}): Queue {
  return new Queue({ id: ++ids, name, rule: { topics, where }, owner: null, ephemeral: false, policy: policyOf({}) })
}

const unrouted = queueOf('$unrouted')
const batchOf = (envelopes: readonly Envelope[]): Batch =>
  openBatch(sealed(envelopes.map((envelope) => message('x', envelope))))

/** Where each message of a batch goes, as text. */
function placesIn(router: Router, batch: Batch): string[] {
  const places = Array.from({ length: batch.count }, () => [] as string[])
  for (const { queue, selection, note = '', attributes } of router.route(batch, unrouted).placements) {
    const pairs = selection ?? [0, batch.count]
    for (let i = 0; i < pairs.length; i += 2) {
      const [from, count] = [pairs[i] as number, pairs[i + 1] as number]
      for (let k = from; k < from + count; k++) places[k]?.push(`${queue.info.name} ${note} ${attributes.priority}`)
    }
  }
  return places.map((names) => names.sort().join(', '))
}

t.test('what is remembered of topics, rules and envelopes is what is found anew', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  for (let round = 0; round < 150; round++) {
    const rules = compileRules(randomSet(random, random.oneIn(3) ? 120 : 12))
    const bound = [
      queueOf('bound', [random.pick(['a/#', 'b', '公文/+'])]),
      queueOf('asking', ['#'], random.oneIn(3) ? { h: ['1', 'ab'] } : { never: ['1'] }),
    ].filter(() => random.oneIn(2))
    // One of those that rules name is not there.
    const named = new Map(['q0', 'q1', 'q2', 'rest'].map((name) => [name, queueOf(name)]))
    const routing = queueOf('$routing')
    const isQuick = random.oneIn(2) ? rules.isQuick : random.oneIn(2)
    const rulesAt: RulesAt = {
      rules: {
        version: { version: 3 },
        defaults: rules.set.default,
        isQuick,
        route: (envelope) => rules.atOnce(envelope),
      },
      queue: routing,
      named: (name) => named.get(name),
    }
    const routerWith = () => {
      const router = new Router()
      router.compile(bound)
      router.use(rulesAt)
      return router
    }
    const known = Array.from({ length: 12 }, () => randomEnvelope(random))
    const router = routerWith()
    for (let i = 0; i < 6; i++) {
      const envelopes = Array.from({ length: 1 + random.below(12) }, () => {
        const { topic, headers } = random.pick(known)
        return { topic, headers: random.oneIn(4) ? { ...headers, ':priority': 'urgent' } : headers }
      })
      const expected = envelopes.map((envelope) => placesIn(routerWith(), batchOf([envelope]))[0])
      const found = placesIn(router, batchOf(envelopes))
      if (JSON.stringify(found) !== JSON.stringify(expected)) return t.same(found, expected, `round ${round}`)
    }
  }
  t.pass('150 rounds')
})
