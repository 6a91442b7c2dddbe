import t from 'tap'
import { Fault } from '#protocol/base/mod.ts'
import { faultOf, settingsOf } from '../support/testing.ts'
import { compilePredicates, type PredicateSpec, predicateSpec, type Verdict } from './mod.ts'

const XML = Buffer.from(
  '<?xml version="1.0"?><reg xmlns="urn:r" xmlns:p="urn:p"><p:head p:no="7"/><org id="91440101"><name>通衢</name><cap>1200</cap></org><org id="2"/></reg>',
)
const JSON_TEXT = Buffer.from(
  '{"id":9007199254740993,"state":"open","tags":["a","b"],"org":{"name":"通衢","cap":null}}',
)
const namespaces = { r: 'urn:r', p: 'urn:p' }

async function verdicts(specs: readonly unknown[], body: Buffer | string, type = ''): Promise<unknown[]> {
  const predicates = compilePredicates(specs.map((spec) => settingsOf(predicateSpec, spec)))
  try {
    const given = await predicates.test(Buffer.from(body), type)
    return given.map((each: Verdict) => (each instanceof Fault ? each.code : each))
  } finally {
    predicates.dispose()
  }
}

t.test('XPath 1.0 is seen from the document node, and true as boolean() has it', async (t) => {
  const cases: readonly (readonly [string, boolean])[] = [
    ['/r:reg/r:org/r:cap > 1000', true],
    ['r:reg/r:org/r:cap > 1200', false],
    ['r:reg', true],
    ['reg', false],
    ['count(//r:org) = 2 and not(//r:org[3])', true],
    ['/r:reg/p:head/@p:no', true],
    ["contains(string(), '通衢')", true],
    ['string-length(normalize-space()) = 6 or position() = 2', true],
    ['r:reg/r:org[@id = 2]/r:name', false],
    ["r:reg/r:org[r:name = '通衢' and last() = 2]", true],
    ['.', true],
    ['..', false],
    ['0', false],
    ["''", false],
    ['- -1', true],
    ['2 * 3 = 6 and 7 mod 4 = 3 and 6 div 2 = 3', true],
    ['(//r:org | //p:head)[2]/@id', true],
    ["name(*) = 'reg' and local-name() = ''", true],
    ["lang('zh')", false],
    ['1 < 2 < 1', false],
  ]
  const given = await verdicts(
    cases.map(([xpath]) => ({ xpath, namespaces })),
    XML,
  )
  for (const [i, [xpath, wanted]] of cases.entries()) t.equal(given[i], wanted, xpath)
})

t.test('XPath 3.1, JSONata and JSON Pointer', async (t) => {
  t.same(
    await verdicts(
      [
        { xpath3: 'every $o in //*:org satisfies $o/@id', namespaces },
        { xpath3: "exists(//r:org[matches(@id, '^9')])", namespaces },
        { xpath3: 'xs:integer(//r:name) > 1', namespaces },
        { jsonata: 'true' },
      ],
      XML,
    ),
    [true, true, 'QUERY_FAILED', false],
  )
  t.same(
    await verdicts(
      [
        { jsonata: 'state = "open"' },
        { jsonata: '$count(tags) > 2' },
        { jsonata: 'missing' },
        { jsonata: 'org.name' },
        { pointer: { '/state': ['closed', 'open'], '/org/cap': null } },
        { pointer: { '/tags/1': 'b', '/tags/2': 'c' } },
        { pointer: { '/org/none': null } },
        { pointer: { '/id': 9007199254740992 } },
        { xpath: '/*' },
      ],
      JSON_TEXT,
      'application/json; charset=utf-8',
    ),
    [true, false, false, 'PREDICATE_FAILED', true, false, false, false, false],
  )
  t.same(await verdicts([{ jsonata: '$count($) = 2' }, { pointer: { '/1': 2 } }], '[1,2]'), [true, true])
})

t.test('what a document is says its content type, else its first character', async (t) => {
  const specs = [{ xpath: '/a' }, { jsonata: '$ = 5' }]
  t.same(await verdicts(specs, '<a/>'), [true, false])
  t.same(await verdicts(specs, '\ufeff \n<a/>', 'text/plain'), [true, false])
  t.same(await verdicts(specs, Buffer.from('<a/>', 'utf16le'), ''), [true, false])
  t.same(await verdicts(specs, '5', 'application/json'), [false, true])
  t.same(await verdicts(specs, '5'), [false, false])
  t.same(await verdicts(specs, Buffer.alloc(0)), [false, false])
})

t.test('a document that is not what it says to be is one fault for all', async (t) => {
  const predicates = compilePredicates([{ xpath: '/a' }, { jsonata: 'a' }, { xpath: '/b' }, { xpath3: '/b' }])
  const [first, json, ...others] = await predicates.test(Buffer.from('<a>\n <b></a>'), 'application/xml')
  t.ok(first instanceof Fault)
  t.equal(json, false)
  for (const each of others) t.equal(each, first, 'the same')
  t.match((first as Fault).toJSON(), { line: 2 })
  predicates.dispose()
})

t.test('bad documents give faults, and the next one is decided', async (t) => {
  const deep = 10_000
  const bad: readonly (readonly [string, Buffer | string, string])[] = [
    ['entity bomb', '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', ''],
    ['external entity', '<?xml version="1.0"?><!-- x --><!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', ''],
    ['nesting', '<a>'.repeat(deep) + '</a>'.repeat(deep), ''],
    ['wrong charset', Buffer.from('<?xml version="1.0" encoding="utf-8"?><a>\xd6\xd0</a>', 'latin1'), ''],
    ['unknown charset', '<?xml version="1.0" encoding="klingon"?><a/>', ''],
    ['NUL', '<a>\0</a>', ''],
    ['surrogate', Buffer.from('<a>\xed\xa0\x80</a>', 'latin1'), ''],
    ['surrogate reference', '<a>&#xD800;</a>', ''],
    ['unknown entity', '<a>&b;</a>', ''],
    ['empty', '', 'application/xml'],
    ['two roots', '<a/><b/>', ''],
    ['JSON', '{"a":', 'application/json'],
    ['JSON in GBK', Buffer.from('"\xd6\xd0"', 'latin1'), 'application/json'],
  ]
  const predicates = compilePredicates([{ xpath: '/a' }, { xpath3: '/a' }, { jsonata: 'true' }])
  for (const [name, body, type] of bad) {
    const given = await predicates.test(Buffer.from(body), type)
    t.equal(given.filter((each) => each instanceof Fault).length, type.includes('json') ? 1 : 2, name)
    for (const each of given) if (each instanceof Fault) t.not(each.code, 'INTERNAL', `${name}: ${each.message}`)
  }
  t.same(await predicates.test(Buffer.from('<a/>'), ''), [true, true, false])
  const gbk = Buffer.from('<?xml version="1.0" encoding="GBK"?><a>\xd6\xd0</a>', 'latin1')
  t.same(await predicates.test(gbk, ''), [true, true, false])
  predicates.dispose()
})

t.test('only what is wanted is decided, in that order', async (t) => {
  const predicates = compilePredicates([{ xpath: '/a' }, { xpath: '/b' }, { xpath: '/a' }])
  t.equal(predicates.count, 3)
  t.same(await predicates.test(Buffer.from('<a/>'), '', [2, 1]), [true, false])
  t.same(await predicates.test(Buffer.from('<broken'), '', []), [])
  predicates.dispose()
})

t.test('lazily, each is compiled when it is first asked for, also after documents were parsed', async (t) => {
  const predicates = compilePredicates([{ xpath: '/a/b' }, { xpath: 'a[' }, { xpath: '/a/c' }], { lazily: true })
  const body = Buffer.from('<a><c/></a>')
  t.same(await predicates.test(body, '', [0]), [false])
  t.same(await predicates.test(body, '', [2, 0]), [true, false])
  const [fault] = await predicates.test(body, '', [1])
  t.match(fault, { code: 'PREDICATE_SYNTAX' })
  predicates.dispose()
})

t.test('an explanation says what the expression gave', async (t) => {
  const specs: readonly PredicateSpec[] = [
    { xpath: 'r:reg/r:org/@id', namespaces },
    { xpath: 'sum(//r:cap) div 5', namespaces },
    { xpath3: '//r:name ! string()', namespaces },
    { jsonata: 'state' },
    { pointer: { '/state': 'open' } },
  ]
  const predicates = compilePredicates(specs)
  const xml = await Promise.all([0, 1, 2, 3].map((i) => predicates.explain(XML, 'text/xml', i)))
  t.same(
    xml.map(({ verdict, gave }) => [verdict, gave]),
    [
      [true, '2 nodes: 91440101, 2'],
      [true, '240'],
      [true, '"通衢"'],
      [false, 'the document is not JSON'],
    ],
  )
  const json = await Promise.all([3, 4].map((i) => predicates.explain(JSON_TEXT, '', i)))
  t.match(json, [
    { gave: '"open"', language: 'jsonata', expression: 'state' },
    { verdict: true, gave: '/state is "open"' },
  ])
  t.match(await predicates.explain(Buffer.from('<a'), '', 0), { gave: /not well-formed XML/ })
  predicates.dispose()
})

t.test('mistakes show when conditions are compiled, with their place', async (t) => {
  for (const [spec, code] of [
    [{ xpath: '/a[' }, 'PREDICATE_SYNTAX'],
    [{ xpath: 'foo()' }, 'PREDICATE_SYNTAX'],
    [{ xpath: 'p:a' }, 'PREDICATE_SYNTAX'],
    [{ xpath: '$a' }, 'PREDICATE_SYNTAX'],
    [{ xpath: 'a) or (b' }, 'PREDICATE_SYNTAX'],
    [{ xpath: 'count(1)' }, 'PREDICATE_SYNTAX'],
    [{ xpath: '1 | a' }, 'PREDICATE_SYNTAX'],
    [{ xpath: `${'('.repeat(5_000)}1${')'.repeat(5_000)}` }, 'PREDICATE_SYNTAX'],
    [{ xpath3: 'a[' }, 'QUERY_SYNTAX'],
    [{ xpath3: 'doc("x")' }, 'QUERY_SYNTAX'],
    [{ jsonata: 'a = =' }, 'EXPRESSION_SYNTAX'],
  ] as const) {
    const fault = await faultOf(() => compilePredicates([spec], () => 'rules[3].when'))
    t.equal(fault?.code, code, JSON.stringify(spec).slice(0, 60))
    t.match(fault?.where, /^rules\[3\]\.when\./)
  }
  for (const spec of [
    {},
    { xpath: 'a', jsonata: 'b' },
    { jsonata: 'a', namespaces },
    { pointer: { a: 1 } },
    { pointer: { '/a': {} } },
  ]) {
    t.not(await faultOf(() => settingsOf(predicateSpec, spec)), null, JSON.stringify(spec))
  }
})

t.test('documents leave nothing behind in memory that is not garbage collected', async (t) => {
  // Beyond the flat way; the broken ones get further than the flat parser only in part.
  const predicates = compilePredicates([{ xpath: 'count(//n[position() mod 2 = 0]) > 5' }, { xpath: "id('x') | /a" }])
  const body = Buffer.from(`<a>${'<n>text of some length</n>'.repeat(8_000)}</a>`)
  const broken = body.subarray(0, body.length - 4)
  const round = async (): Promise<void> => {
    for (const each of [body, broken]) await predicates.test(each, '')
  }
  await round()
  const before = process.memoryUsage().external
  for (let i = 0; i < 60; i += 1) await round()
  const grownBytes = process.memoryUsage().external - before
  // Its tree takes about a megabyte each time.
  t.ok(grownBytes < 24 * 2 ** 20, `${grownBytes} bytes`)
  predicates.dispose()
})
