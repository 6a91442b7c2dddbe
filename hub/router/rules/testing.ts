// For tests and benchmarks: rules in few words, and random sets with the messages that tell their rules apart.

import type { Random } from '#protocol/bytes/testing.ts'
import type { Envelope, HeaderValue } from '#protocol/codec/mod.ts'
import type { RunningSet } from './mod.ts'
import type { Comparisons, HeaderTest, Rule } from './spec.ts'

export function ruleOf(rule: Partial<Rule> & Pick<Rule, 'name'>): Rule {
  return { topics: ['#'], where: {}, to: ['q'], final: false, ...rule }
}

export function setOf(rules: readonly Rule[], rest: Partial<RunningSet> = {}): RunningSet {
  return { mode: 'all', default: [], pipelines: {}, ...rest, rules: [...rules] }
}

const LEVELS = ['a', 'b', 'c', '公文'] as const
const NAMES = ['h', 'i', 'j', 'constructor'] as const
const VALUES = ['', '1', '2', '3', '10', '1e1', 'ab', 'abc', 'true'] as const

const several = <T>(random: Random, most: number, one: () => T): T[] =>
  Array.from({ length: 1 + random.below(most) }, one)

const topic = (random: Random): string => several(random, 3, () => random.pick(LEVELS)).join('/')

function pattern(random: Random): string {
  const levels = topic(random)
    .split('/')
    .map((level) => (random.oneIn(4) ? '+' : level))
  return random.pick([levels.join('/'), levels.join('/'), `${levels.join('/')}/#`, '#'])
}

function comparisons(random: Random): Comparisons {
  const test: Comparisons = {}
  if (random.oneIn(4)) test.exists = random.oneIn(2)
  if (random.oneIn(4)) test.prefix = several(random, 2, () => random.pick(['a', 'ab', '1']))
  if (random.oneIn(4)) test.above = String(random.below(12))
  if (random.oneIn(4)) test.below = String(random.below(12))
  return test
}

function headerTest(random: Random): HeaderTest {
  const values = () => several(random, random.oneIn(5) ? 20 : 3, () => random.pick(VALUES))
  if (random.oneIn(2)) return values()
  const test = comparisons(random)
  if (random.oneIn(3)) test.not = random.oneIn(2) ? values() : comparisons(random)
  return test
}

/** A set whose conditions on content are `/0`, `/1`, …, which a test gives verdicts on itself. */
export function randomSet(random: Random, rulesMax: number): RunningSet {
  const rules = several(random, rulesMax, () => 0).map((_, i) => {
    const where = several(random, 3, () => [random.pick(NAMES), headerTest(random)] as const)
    return ruleOf({
      name: `r${i}`,
      topics: several(random, 3, () => pattern(random)),
      where: random.oneIn(4) ? {} : Object.fromEntries(where),
      ...(random.oneIn(3) ? { when: { pointer: { [`/${random.below(4)}`]: true } } } : {}),
      ...(random.oneIn(3) ? { pipeline: random.pick(['p', 'q']) } : {}),
      ...(random.oneIn(6) ? { pipeline: 'p', topic: random.pick(['made/{topic}', 'made']) } : {}),
      to: several(random, 3, () => `q${random.below(4)}`),
      final: random.oneIn(8),
    })
  })
  const steps = [{ type: 'map' as const, settings: {} as never }]
  return setOf(rules, {
    mode: random.pick(['all', 'first']),
    default: random.oneIn(2) ? [] : ['rest'],
    pipelines: { p: { steps }, q: { steps } },
  })
}

export function randomEnvelope(random: Random): Envelope {
  const value = (): HeaderValue => random.pick([...VALUES, 1, 2, 10, true, null, 1.5])
  const headers = several(random, 4, () => [random.pick(NAMES), value()] as const)
  return { topic: topic(random), headers: random.oneIn(4) ? {} : Object.fromEntries(headers) }
}
