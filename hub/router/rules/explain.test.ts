import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { compileRules, explain, type RunningSet, readyPredicates, type SampleSpec, sampleOf } from './mod.ts'
import { randomEnvelope, randomSet, ruleOf, setOf } from './testing.ts'

const readFile = () => Promise.reject(new Error('no file is named'))

async function explained(set: RunningSet, spec: Partial<SampleSpec>, only: string | null = null) {
  const compiled = compileRules(set)
  const ready = readyPredicates(compiled, (path) => path)
  if (!ready.ok) throw ready.fault[0]
  const sample = await sampleOf({ topic: 'permits/a', headers: {}, ...spec }, { where: 'it', readFile })
  try {
    return await explain(compiled, sample, { predicates: ready.value, only })
  } finally {
    ready.value.dispose()
  }
}

t.test('why, and where to', async (t) => {
  const set = setOf([
    ruleOf({ name: 'other', topics: ['x'] }),
    ruleOf({ name: 'area', where: { area: ['1', '2'], level: { above: '3', not: ['9'] } } }),
    ruleOf({
      name: 'xml',
      topics: ['y', 'permits/+'],
      when: { xpath: '/a/b' },
      pipeline: 'p',
      topic: 'm/{topic}',
      to: ['t'],
    }),
    ruleOf({ name: 'last', when: { xpath: '/c' }, final: true }),
    ruleOf({ name: 'behind' }),
  ])
  const told = await explained(set, {
    headers: { area: '3', level: '4' },
    body: '<a><b>1</b></a>',
    contentType: 'text/xml',
  })
  t.match(told, {
    counted: { rules: 5, otherTopics: 1, told: 4 },
    because: 'rules',
    endedBy: null,
    rules: [
      {
        rule: 'area',
        outcome: 'headers',
        pattern: '#',
        headers: [
          { header: 'area', asked: 'is one of "1", "2"', has: '3', holds: false },
          { header: 'level', asked: 'is above 3', has: '4', holds: true },
          { header: 'level', asked: 'not: is "9"', has: '4', holds: true },
        ],
      },
      {
        rule: 'xml',
        outcome: 'fits',
        pattern: 'permits/+',
        when: { language: 'xpath', expression: '/a/b', verdict: true },
      },
      { rule: 'last', outcome: 'content', when: { verdict: false } },
      { rule: 'behind', outcome: 'fits', when: null },
    ],
    ways: [
      { pipeline: 'p', topic: 'm/permits/a', queues: ['t'], rules: ['xml'] },
      { pipeline: null, queues: ['q'], rules: ['behind'] },
    ],
  })
  const broken = await explained(set, { body: '<a', contentType: 'text/xml' })
  t.match(broken, {
    endedBy: 'last',
    because: 'failures',
    rules: [
      { outcome: 'headers' },
      { outcome: 'failed', when: { verdict: { code: String } } },
      { outcome: 'failed' },
      { outcome: 'unreached' },
    ],
    failures: [{ rule: 'xml' }, { rule: 'last' }],
  })
  t.match(await explained(set, {}, 'other'), { rules: [{ rule: 'other', outcome: 'topic', pattern: null }] })
  t.match(await explained(setOf([], { default: ['d'] }), {}), { because: 'default', ways: [{ queues: ['d'] }] })
})

t.test('what is told of each rule is what is decided', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  for (let round = 0; round < 500; round++) {
    const set = randomSet(random, 12)
    const { topic, headers } = randomEnvelope(random)
    const texts = Object.fromEntries(
      Object.entries(headers).flatMap(([name, value]) => (value === null ? [] : [[name, String(value)]])),
    )
    const json = Object.fromEntries([0, 1, 2, 3].map((i) => [i, random.oneIn(2)]))
    const body = random.oneIn(5) ? { body: '{', contentType: 'application/json' } : { json }
    const told = await explained(set, { topic, headers: texts, ...body })
    const fits = told.rules.filter(({ outcome }) => outcome === 'fits').map(({ rule }) => rule)
    const failed = told.rules.filter(({ outcome }) => outcome === 'failed').map(({ rule }) => rule)
    const ways = told.ways.flatMap(({ rules }) => rules)
    if (fits.toSorted().join() !== ways.toSorted().join()) return t.fail(`round ${round}: ${fits}, but ways of ${ways}`)
    const failures = told.failures.map(({ rule }) => rule)
    if (failed.join() !== failures.join()) return t.fail(`round ${round}: ${failed}, but failures of ${failures}`)
  }
  t.pass('500 rounds')
})

t.test('conditions that cannot be compiled are all told, each with the rule that has it first', async (t) => {
  const rules = ['/a[', '/b', '/c]', '/a['].map((xpath, i) => ruleOf({ name: `r${i}`, when: { xpath } }))
  const ready = readyPredicates(compileRules(setOf(rules)), (path) => `rules.yaml:9 ${path}`)
  t.match(ready, { ok: false, fault: [{ where: /rules\[0\]\.when/ }, { where: /rules\[2\]\.when/ }] })
  t.equal(ready.ok ? 0 : ready.fault.length, 2)
})

t.test('what a message holds must be clear', async (t) => {
  const code = async (spec: Partial<SampleSpec>) => {
    const made = sampleOf({ topic: 'a', headers: {}, ...spec }, { where: 'it', readFile })
    return made.then(
      ({ body, contentType }) => [body?.toString() ?? null, contentType],
      (error: { code: string }) => error.code,
    )
  }
  t.equal(await code({ body: 'x', json: 1 }), 'CASE_INPUT_UNCLEAR')
  t.equal(await code({ base64: '*' }), 'CASE_INPUT_UNCLEAR')
  t.same(await code({ json: { a: 1 } }), ['{"a":1}', 'application/json'])
  t.same(await code({ base64: 'eA==', headers: { ':content-type': 'text/x' } }), ['x', 'text/x'])
  t.same(await code({}), [null, ''])
})
