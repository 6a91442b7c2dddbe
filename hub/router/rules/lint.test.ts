import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { compileRules, lintRules } from './mod.ts'
import type { Rule, RuleSet } from './spec.ts'
import { randomEnvelope, randomSet, ruleOf, setOf } from './testing.ts'

const findings = (set: Partial<RuleSet>) =>
  lintRules({ ...setOf([]), cases: [], ...set } as RuleSet, (path) => path).map(({ code, where }) => `${code} ${where}`)

const unreachable = (rules: Rule[], mode: RuleSet['mode'] = 'first') =>
  findings({ rules, mode }).filter((one) => one.startsWith('RULE_UNREACHABLE'))

t.test('rules behind one that takes everything', async (t) => {
  const behind = (first: Partial<Rule>, second: Partial<Rule>) =>
    unreachable([ruleOf({ name: 'first', ...first }), ruleOf({ name: 'second', to: ['r'], ...second })]).length > 0
  t.ok(behind({}, {}))
  t.ok(behind({ topics: ['a/#'] }, { topics: ['a', 'a/+/c', 'a/#'] }))
  t.ok(behind({ topics: ['a/+'] }, { topics: ['a/+', 'a/b'] }))
  t.notOk(behind({ topics: ['a/+'] }, { topics: ['a/#'] }), '# takes more than +')
  t.notOk(behind({ topics: ['a/#'] }, { topics: ['a', 'b'] }))
  t.ok(behind({ where: { h: ['1', '2'] } }, { where: { h: ['1'], i: ['x'] } }))
  t.notOk(behind({ where: { h: ['1'] } }, { where: { h: ['1', '2'] } }))
  t.notOk(behind({ where: { h: ['1'] } }, {}))
  t.ok(behind({ where: { h: { exists: true } } }, { where: { h: ['1'] } }))
  t.ok(behind({ where: { h: { above: '1', not: ['3'] } } }, { where: { h: ['2', '4'] } }))
  t.notOk(behind({ where: { h: { not: ['3'] } } }, {}), 'the second takes those with 3, too')
  t.notOk(behind({ when: { xpath: 'a' } }, {}), 'content may decide otherwise')
  const rules = [ruleOf({ name: 'first', final: true }), ruleOf({ name: 'second', to: ['r'] })]
  t.same(unreachable(rules, 'all'), ['RULE_UNREACHABLE rules[1].name'])
  t.same(unreachable(rules.slice(1).concat(rules), 'all').length, 1, 'it must come before')
})

t.test('rules that do what others do, pipelines that nobody uses', async (t) => {
  const steps = [{ type: 'map' as const, settings: {} as never }]
  t.same(
    findings({
      rules: [
        ruleOf({ name: 'a', topics: ['x', 'y'], where: { h: ['1'] }, pipeline: 'p' }),
        ruleOf({ name: 'b', topics: ['y', 'x'], pipeline: 'p', where: { h: ['1'] } }),
        ruleOf({ name: 'c', topics: ['y', 'x'], where: { h: ['2'] } }),
      ],
      pipelines: { p: { steps }, q: { steps } },
    }),
    ['RULE_REPEATED rules[1].name', 'RULE_PIPELINE_UNUSED pipelines.q'],
  )
})

t.test('a rule called unreachable is never reached', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  let found = 0
  for (let round = 0; round < 2000; round++) {
    const set = { ...randomSet(random, 10), cases: [] } as RuleSet
    const named = new Set(
      lintRules(set, (path) => path)
        .filter(({ code }) => code === 'RULE_UNREACHABLE')
        .map(({ where }) => Number(/\d+/.exec(where ?? '')?.[0])),
    )
    found += named.size
    const compiled = compileRules(set)
    for (let i = 0; i < 30; i++) {
      const reached = compiled.match(randomEnvelope(random)).rules.find(({ order }) => named.has(order))
      if (reached !== undefined) return t.fail(`round ${round}: ${reached.rule.name} ${JSON.stringify(set.rules)}`)
    }
  }
  t.ok(found > 100, `${found} in 2,000 sets`)
})

t.test('ten thousand rules are looked through at once', async (t) => {
  const rules = Array.from({ length: 10_000 }, (_, i) =>
    ruleOf({ name: `r${i}`, where: { area: [String(i % 9_990)] }, to: [`q${i}`] }),
  )
  t.equal(unreachable(rules).length, 10)
})
