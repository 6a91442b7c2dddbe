import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { type Envelope, type Headers, topicMatches } from '#protocol/codec/mod.ts'
import {
  compileRules,
  compiling,
  type Decision,
  inSlices,
  loadingRules,
  type RunningSet,
  rulesText,
  topicOf,
  type Verdict,
} from './mod.ts'
import type { Comparisons, HeaderTest, Rule } from './spec.ts'
import { randomEnvelope, randomSet, ruleOf, setOf } from './testing.ts'

const FAULT = { code: 'BROKEN' }

/** What was decided, in names. */
function told(decision: Decision): unknown {
  const { because, rules, ways, failures } = decision
  return {
    because,
    rules: rules.map(({ rule }) => rule.name),
    ways: ways.map(({ pipeline, topic, queues, rules }) => [pipeline, topic, queues.join(), rules.join()]),
    failures: failures.map(({ rule }) => rule.rule.name),
  }
}

function decided(set: RunningSet, envelope: Envelope, verdicts: (when: string) => Verdict = () => true): unknown {
  const compiled = compileRules(set)
  const match = compiled.match(envelope)
  const asked = match.wanted.map((i) => verdicts(Object.keys(compiled.predicates[i]?.pointer ?? {})[0] ?? ''))
  return told(compiled.decide(match, asked))
}

const fits = (where: Rule['where'], headers: Headers): boolean =>
  compileRules(setOf([ruleOf({ name: 'r', where })])).match({ topic: 't', headers }).rules.length === 1

t.test('what headers must be', async (t) => {
  t.ok(fits({ a: ['1', 'true'] }, { a: 1 }))
  t.ok(fits({ a: ['1', 'true'] }, { a: true }))
  t.notOk(fits({ a: ['1'] }, { a: '01' }), 'values are compared by their text')
  t.notOk(fits({ a: ['null'] }, { a: null }))
  t.notOk(fits({ constructor: { exists: true } }, {}), 'names that every object has are no headers')
  t.ok(fits({ a: { exists: true } }, { a: '' }))
  t.ok(fits({ a: { exists: false } }, { a: null }), 'null is not there')
  t.ok(fits({ a: { prefix: ['4452', '11'] } }, { a: 110000 }))
  t.ok(fits({ a: { above: '9', below: '11' } }, { a: '10' }), 'numbers, not texts')
  t.ok(fits({ a: { above: '9.5' } }, { a: '1e1' }))
  t.notOk(fits({ a: { above: '10' } }, { a: 10 }), 'its number is not included')
  for (const none of ['', ' 20', '0x20', 'twenty', 'Infinity', true, '2 0', `1${'0'.repeat(80)}`]) {
    t.notOk(fits({ a: { above: '10' } }, { a: none }), `${none} is no number`)
  }
  t.ok(fits({ a: { not: ['1'] } }, {}))
  t.ok(fits({ a: { not: ['1'] } }, { a: 2 }))
  t.notOk(fits({ a: { not: { above: '1', below: '3' } } }, { a: 2 }))
  t.ok(fits({ a: { not: { above: '1', below: '3' } } }, { a: 4 }), 'of what must not hold, one may')
  t.notOk(fits({ a: { exists: true, not: ['1'] } }, {}))
})

t.test('one way for all rules that want the same, each queue once', async (t) => {
  const set = setOf([
    ruleOf({ name: 'one', to: ['a', 'b', 'a'] }),
    ruleOf({ name: 'made', pipeline: 'p', topic: 'x', to: ['a'] }),
    ruleOf({ name: 'two', to: ['b', 'c'] }),
    ruleOf({ name: 'also made', pipeline: 'p', topic: 'x', to: ['c'] }),
    ruleOf({ name: 'made otherwise', pipeline: 'p', to: ['c'] }),
  ])
  t.same(decided(set, { topic: 't', headers: {} }), {
    because: 'rules',
    rules: ['one', 'made', 'two', 'also made', 'made otherwise'],
    ways: [
      [null, null, 'a,b,c', 'one,two'],
      ['p', 'x', 'a,c', 'made,also made'],
      ['p', null, 'c', 'made otherwise'],
    ],
    failures: [],
  })
})

t.test('first match, final rules, default', async (t) => {
  const rules = [
    ruleOf({ name: 'asks', when: { pointer: { '/0': true } }, to: ['a'] }),
    ruleOf({ name: 'sure', topics: ['t'], to: ['b'] }),
    ruleOf({ name: 'later', to: ['c'] }),
  ]
  const names = (set: RunningSet, verdict: Verdict, topic = 't') =>
    (decided(set, { topic, headers: {} }, () => verdict) as { rules: string[] }).rules
  t.same(names(setOf(rules), true), ['asks', 'sure', 'later'])
  t.same(names(setOf(rules, { mode: 'first' }), true), ['asks'])
  t.same(names(setOf(rules, { mode: 'first' }), false), ['sure'])
  t.same(names(setOf(rules, { mode: 'first' }), false, 'u'), ['later'])
  const final = rules.map((rule) => (rule.name === 'sure' ? { ...rule, final: true } : rule))
  t.same(names(setOf(final), true), ['asks', 'sure'])
  t.same(decided(setOf([], { default: ['x', 'x'] }), { topic: 't', headers: {} }), {
    because: 'default',
    rules: [],
    ways: [[null, null, 'x', '']],
    failures: [],
  })
  t.match(decided(setOf([]), { topic: 't', headers: {} }), { because: 'nothing', ways: [] })
})

t.test('a condition that cannot be decided', async (t) => {
  const rules = [
    ruleOf({ name: 'before', to: ['a'] }),
    ruleOf({ name: 'fails', when: { pointer: { '/0': true } }, to: ['b'] }),
    ruleOf({ name: 'behind', to: ['c'] }),
  ]
  const envelope = { topic: 't', headers: {} }
  const [before, fails, behind] = rules as [Rule, Rule, Rule]
  t.match(
    decided(setOf(rules), envelope, () => FAULT),
    { rules: ['before', 'behind'], failures: ['fails'] },
  )
  t.match(
    decided(setOf([before, { ...fails, final: true }, behind]), envelope, () => FAULT),
    { rules: ['before'], failures: ['fails'] },
    'whether what is behind a final rule counts cannot be known',
  )
  t.match(
    decided(setOf([fails, behind], { mode: 'first', default: ['x'] }), envelope, () => FAULT),
    { because: 'failures', rules: [], ways: [], failures: ['fails'] },
    'nor does it go to the default',
  )
})

t.test('what is sure before the content is looked at', async (t) => {
  const asks = ruleOf({ name: 'asks', when: { pointer: { '/0': true } } })
  const sure = (set: RunningSet) => {
    const { rules, sure, decision } = compileRules(set).match({ topic: 't', headers: {} })
    return [rules.map(({ rule }) => rule.name).join(), sure.map(({ rule }) => rule.name).join(), decision === null]
  }
  const [a, b] = [ruleOf({ name: 'a' }), ruleOf({ name: 'b' })]
  t.same(sure(setOf([a, b])), ['a,b', 'a,b', false])
  t.same(sure(setOf([a, asks, b])), ['a,asks,b', 'a,b', true])
  t.same(sure(setOf([a, { ...asks, final: true }, b])), ['a,asks,b', 'a', true])
  t.same(sure(setOf([{ ...a, final: true }, asks, b])), ['a', 'a', false])
  t.same(sure(setOf([asks, { ...asks, name: 'too' }, b])), ['asks,too,b', 'b', true])
  const twice = compileRules(setOf([asks, { ...asks, name: 'too' }]))
  t.equal(twice.predicates.length, 1, 'equal conditions are one')
  t.same(twice.match({ topic: 't', headers: {} }).wanted, [0])
})

/** The head comment of compile.ts, word by word. */
function naive(set: RunningSet, { topic, headers }: Envelope, verdicts: (when: string) => Verdict): unknown {
  const has = (name: string) => Object.hasOwn(headers, name) && headers[name] !== null
  const numberOf = (value: unknown) =>
    typeof value === 'number' ? value : /^[-+.\deE]{1,64}$/.test(String(value)) ? Number(value) : Number.NaN
  const compare = (name: string, test: HeaderTest): boolean => {
    const value = headers[name]
    if (Array.isArray(test)) return has(name) && test.includes(String(value))
    const { exists, prefix, above, below, not } = test as Comparisons
    return (
      (exists === undefined || exists === has(name)) &&
      (prefix === undefined || (has(name) && prefix.some((one) => String(value).startsWith(one)))) &&
      (above === undefined || (has(name) && numberOf(value) > Number(above))) &&
      (below === undefined || (has(name) && numberOf(value) < Number(below))) &&
      (not === undefined || !has(name) || !compare(name, not))
    )
  }
  const fit: Rule[] = []
  const failures: string[] = []
  for (const rule of set.rules) {
    if (!rule.topics.some((pattern) => topicMatches(pattern, topic))) continue
    if (!Object.entries(rule.where).every(([name, test]) => compare(name, test))) continue
    const verdict = rule.when === undefined || verdicts(Object.keys(rule.when.pointer ?? {})[0] ?? '')
    if (verdict === false) continue
    if (verdict === true) fit.push(rule)
    else failures.push(rule.name)
    if (rule.final || set.mode === 'first') break
  }
  const names = fit.map(({ name }) => name)
  if (fit.length === 0) {
    const none = failures.length > 0 || set.default.length === 0
    const because = failures.length > 0 ? 'failures' : none ? 'nothing' : 'default'
    return { because, rules: names, ways: none ? [] : [[null, null, set.default.join(), '']], failures }
  }
  const ways = new Map<string, { rule: Rule; queues: Set<string>; rules: string[] }>()
  for (const rule of fit) {
    const key = JSON.stringify([rule.pipeline, rule.topic])
    const way = ways.get(key) ?? { rule, queues: new Set(), rules: [] }
    ways.set(key, way)
    for (const queue of rule.to) way.queues.add(queue)
    way.rules.push(rule.name)
  }
  const list = [...ways.values()].map(({ rule: { pipeline, topic }, queues, rules }) => {
    return [pipeline ?? null, topic ?? null, [...queues].join(), rules.join()]
  })
  return { because: 'rules', rules: names, ways: list, failures }
}

t.test('agrees with looking at every rule, whatever the rules are', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const seen = new Map<string, number>()
  for (let round = 0; round < 4000; round++) {
    const set = randomSet(random, random.oneIn(20) ? 200 : 12)
    let compiled = compileRules(set)
    if (random.oneIn(4)) {
      const steps = loadingRules(rulesText(set))
      let step = steps.next()
      while (step.done !== true) step = steps.next()
      compiled = step.value
    }
    for (let i = 0; i < 10; i++) {
      const envelope = randomEnvelope(random)
      const verdicts: Verdict[] = Array.from({ length: 4 }, () => random.pick([true, true, false, FAULT]))
      const verdictOf = (when: string) => verdicts[Number(when.slice(1))] as Verdict
      const match = compiled.match(envelope)
      const asked = match.wanted.map((one) => verdictOf(Object.keys(compiled.predicates[one]?.pointer ?? {})[0] ?? ''))
      const decision = compiled.decide(match, asked)
      const found = JSON.stringify(told(decision))
      const wanted = JSON.stringify(naive(set, envelope, verdictOf))
      seen.set(decision.because, (seen.get(decision.because) ?? 0) + 1)
      if (found !== wanted) {
        t.comment(JSON.stringify({ set, envelope, verdicts }))
        return t.fail(`round ${round}: ${found}, expected ${wanted}`)
      }
      const unsure = match.sure.filter((rule) => !decision.rules.includes(rule))
      if (unsure.length > 0) return t.fail(`round ${round}: ${unsure[0]?.rule.name} was not sure`)
    }
  }
  t.equal(seen.size, 4, [...seen].join(' '))
})

t.test('many rules of one pattern, told apart by headers', async (t) => {
  const rules = Array.from({ length: 3000 }, (_, i) =>
    ruleOf({
      name: `r${i}`,
      topics: [i % 2 === 0 ? '#' : 'permits/+'],
      where: {
        kind: ['permit', 'plan'],
        [`h${i % 3}`]: [String(i), `x${i}`],
        ...(i % 5 === 0 ? { no: { exists: false } } : {}),
      },
    }),
  )
  rules.push(
    ruleOf({ name: 'prefix', where: { h0: { prefix: ['29'] } } }),
    ruleOf({ name: 'not', where: { h0: { not: ['x'] } } }),
  )
  const compiled = compileRules(setOf(rules))
  const names = (headers: Headers) => compiled.match({ topic: 'permits/a', headers }).rules.map(({ rule }) => rule.name)
  t.same(names({ kind: 'permit', h0: 2997 }), ['r2997', 'prefix', 'not'])
  t.same(names({ kind: 'plan', h0: 'x3', h1: 'x4', h2: 'x5' }), ['r3', 'r4', 'r5', 'not'])
  t.same(names({ kind: 'plan', h2: 'x5', no: 1, h0: 'x' }), [])
  const found: number[] = []
  Reflect.get(compiled, 'index').find('permits/a', { kind: 'permit', h0: '2997' }, found)
  t.ok(found.length <= 3, `${found.length} rules compared of 3002`)
})

t.test('compiles in slices', async (t) => {
  const rules = Array.from({ length: 5000 }, (_, i) => ruleOf({ name: `r${i}`, where: { area: [String(i)] } }))
  const set = setOf(rules)
  let steps = 0
  for (const steps_ = compiling(set); steps_.next().done !== true; ) steps++
  t.ok(steps > 500, `${steps} steps`)
  let nowMs = 0
  let breaths = 0
  const compiled = await inSlices(compiling(set), {
    nowMs: () => nowMs++,
    breathe: async () => void breaths++,
    sliceMs: 10,
  })
  t.ok(breaths > 50, `${breaths} breaths`)
  t.same(compiled.match({ topic: 'a', headers: { area: 4999 } }).rules[0]?.rule.name, 'r4999')
})

t.test('topics of what pipelines make', async (t) => {
  const envelope = { topic: 'a/b', headers: { area: 4452, none: null } }
  t.equal(topicOf('made/{topic}/{area}', envelope), 'made/a/b/4452')
  t.equal(topicOf('made/{none}{other}{constructor}', envelope), 'made/')
  t.equal(topicOf('$1', envelope), '$1')
})

t.test('a stored set that is damaged says so', async (t) => {
  const text = rulesText(setOf([ruleOf({ name: 'a' }), ruleOf({ name: 'b' })]))
  const load = (bytes: Buffer) => {
    for (const steps = loadingRules(bytes); steps.next().done !== true; );
  }
  t.doesNotThrow(() => load(text))
  for (const bytes of [
    text.subarray(0, -3),
    text.subarray(0, 20),
    Buffer.from('{}'),
    Buffer.from('null'),
    Buffer.alloc(0),
  ]) {
    t.throws(() => load(bytes), { code: 'RULES_TEXT_DAMAGED' })
  }
})
