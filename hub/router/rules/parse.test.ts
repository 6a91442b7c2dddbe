import t from 'tap'
import type { Fault, Result } from '#protocol/base/mod.ts'
import { parseRuleSet } from './mod.ts'

const file = 'rules.yaml'
/** With lines; columns are the tests' of protocol/fields. */
const told = (result: Result<unknown, Fault[]>) =>
  result.ok ? [] : result.fault.map((one) => `${one.code} ${one.where?.replace(/:\d+ /, ' ')}`)
const faultsOf = (text: string, queues?: ReadonlySet<string>) =>
  told(parseRuleSet(text, { file, ...(queues === undefined ? {} : { queues }) }))

t.test('a whole file', async (t) => {
  const parsed = parseRuleSet(
    `mode: first
rules:
  - name: 许可到税务
    topics: permits/#
    where:
      area: [4452, 007]
      paid: true
      level: { above: 2, below: 9.5, not: { prefix: x } }
    when: { xpath: /e/id }
    pipeline: to tax
    topic: made/{topic}/{area}
    to: tax
default: rest
pipelines:
  to tax: { steps: [{ map: { drop: [x] } }] }
cases:
  - name: a permit
    input: { topic: permits/a, headers: { area: 4452 }, body: <e/> }
    expect: { queues: [] }
`,
    { file, queues: new Set(['tax', 'rest']) },
  )
  if (!parsed.ok) return t.fail(parsed.fault.map((one) => one.describe()).join('\n'))
  t.same(parsed.value.rules, [
    {
      name: '许可到税务',
      topics: ['permits/#'],
      where: {
        area: ['4452', '007'],
        paid: ['true'],
        level: { above: '2', below: '9.5', not: { prefix: ['x'] } },
      },
      when: { xpath: '/e/id' },
      pipeline: 'to tax',
      topic: 'made/{topic}/{area}',
      to: ['tax'],
      final: false,
    },
  ])
  t.same(parsed.value.default, ['rest'])
  t.match(parsed.value.pipelines, { 'to tax': { steps: [{ type: 'map', settings: { drop: ['x'] } }] } })
})

t.test('JSON says the same, and its faults have places', async (t) => {
  const set = { rules: [{ name: 'a', topics: ['#'], where: { area: 4452, n: { above: 1.5 } }, to: ['q'] }] }
  const parsed = parseRuleSet(JSON.stringify(set), { file })
  t.match(parsed, { ok: true, value: { mode: 'all', rules: [{ where: { area: ['4452'], n: { above: '1.5' } } }] } })
  t.same(faultsOf('{"rules": [\n {"name": "a", "topics": "a//b", "to": "q"}]}'), [
    'FIELD_CHECK rules.yaml:2 rules[0].topics',
  ])
})

t.test('what cannot be', async (t) => {
  const rule = (more: string) => `rules:\n  - { name: a, topics: '#', to: q, ${more} }\n`
  for (const [text, fault] of [
    [rule('pipeline: p'), 'RULE_PIPELINE_UNKNOWN rules.yaml:2 rules[0].pipeline'],
    [rule('topic: a/b'), 'RULE_TOPIC_UNUSED rules.yaml:2 rules[0].topic'],
    [rule('where: { n: { above: 3, below: 3 } }'), 'RULE_RANGE_EMPTY rules.yaml:2 rules[0].where.n'],
    [rule('where: { n: {} }'), 'FIELD_CHECK rules.yaml:2 rules[0].where.n'],
    [rule('where: { n: { above: many } }'), 'FIELD_PATTERN rules.yaml:2 rules[0].where.n.above'],
    [rule('when: {}'), 'FIELD_CHECK rules.yaml:2 rules[0].when'],
    [rule('when: { xpath: a, jsonata: b }'), 'FIELD_CHECK rules.yaml:2 rules[0].when'],
    [`${rule('final: true')}  - { name: a, topics: b, to: q }\n`, 'RULE_NAME_TWICE rules.yaml:3 rules[1].name'],
    ['rules: []\npipelines: { p: { steps: [{ mup: {} }] } }', 'FIELD_CHOICE rules.yaml:2 pipelines.p.steps[0].mup'],
    ['rules: []\ncases: [{ name: a, input: { topic: a }, expect: {} }]', 'FIELD_CHECK rules.yaml:2 cases[0].expect'],
  ] as const)
    t.same(faultsOf(text), [fault], text)
  const made = (topic: string) =>
    faultsOf(`${rule(`pipeline: p, topic: '${topic}'`)}pipelines: { p: { steps: [{ map: {} }] } }`)
  t.same(made('made/{a b}/{topic}'), [])
  for (const topic of ['made/', 'a/{b', 'a/}', 'a//{topic}', 'a/#'])
    t.match(made(topic), [/^RULE_TOPIC_INVALID/], topic)
})

t.test('queues that the hub does not have', async (t) => {
  const queues = new Set(['tax', 'archive'])
  const parsed = parseRuleSet("rules:\n  - { name: a, topics: '#', to: [tax, archiv] }\ndefault: rest\n", {
    file,
    queues,
  })
  t.same(told(parsed), ['RULE_QUEUE_UNKNOWN rules.yaml:2 rules[0].to[1]', 'RULE_QUEUE_UNKNOWN rules.yaml:3 default[0]'])
  t.match(parsed, { fault: [{ remedy: 'Did you mean archive?', message: /rule "a": archiv/ }] })
})

t.test('bounds', async (t) => {
  const many = (rules: number, topics: number) =>
    JSON.stringify({
      rules: Array.from({ length: rules }, (_, i) => {
        return { name: `r${i}`, topics: Array.from({ length: topics }, (_, k) => `a/${k}`), to: 'q' }
      }),
    })
  t.same(faultsOf(many(1, 1001)), ['FIELD_RANGE rules.yaml:1 rules[0].topics'])
  t.same(faultsOf(many(401, 1000)), ['RULES_TOO_MANY rules.yaml:1 rules'])
  const whens = Array.from({ length: 20_001 }, (_, i) => {
    return { name: `r${i}`, topics: 'a', to: 'q', when: { pointer: { '/a': i } } }
  })
  t.same(faultsOf(JSON.stringify({ rules: whens })), ['RULES_TOO_MANY rules.yaml:1 rules'])
  t.same(faultsOf(JSON.stringify({ rules: whens.slice(1) })), [])
  t.match(faultsOf(JSON.stringify({ rules: Array(100_001).fill(1) })), [/^FIELD_RANGE/])
  const faults = faultsOf(JSON.stringify({ rules: Array(1000).fill({ name: 'a', topics: 'a', to: 'q' }) }))
  t.equal(faults.length, 50)
})
