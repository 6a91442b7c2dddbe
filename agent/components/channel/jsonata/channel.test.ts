import t from 'tap'
import type { Item, Row } from '../../contract.ts'
import { collector, faultOf, itemsOf, settingsOf, testContext } from '../../support/testing.ts'
import { JsonataChannel, jsonataSettings } from './mod.ts'

const make = (root: string, settings: object): JsonataChannel =>
  new JsonataChannel(settingsOf(jsonataSettings, settings), testContext(root))

const fileOf = (text: string | Buffer, ref = 1, name = 'in/a.json'): Item => ({
  row: { name, size: text.length, modified: null, mediaType: null },
  ref,
  content: { kind: 'bytes', bytes: Buffer.from(text) },
})

const textOf = ({ content }: Item): string =>
  content?.kind === 'bytes' ? Buffer.from(content.bytes).toString() : 'no bytes'

t.test('rows of a row: one, several, none; what is no row is rejected', async (t) => {
  const root = t.testdir({})
  const rows: Row[] = [{ v: { a: 1n } }, { v: [{ a: 1 }, { a: 2 }] }, {}, { v: 5 }, { v: [[{}], 1] }]
  const { rejects, reject } = collector()
  const given = await make(root, { expression: 'v' }).process(itemsOf(rows), reject)
  t.same(given, [
    { row: { a: 1n }, ref: 1 },
    { row: { a: 1 }, ref: 2 },
    { row: { a: 2 }, ref: 2 },
  ])
  t.same(
    rejects.map(({ item, fault }) => `${item.ref} ${fault.code}`),
    ['4 JSONATA_NO_ROW', '5 JSONATA_NO_ROW'],
  )
})

t.test('documents of a document, with every digit', async (t) => {
  const channel = make(t.testdir({}), { expression: 'rows.{ "id": id, "n": $string(name) }' })
  const document = '\ufeff{"rows": [{"id": 9007199254740993, "name": "通衢"}, {"id": 2}]}'
  const given = await channel.process([fileOf(document)], () => t.fail())
  t.same(given.map(textOf), ['{"id":9007199254740993,"n":"通衢"}', '{"id":2}'])
  t.match(given, [
    { ref: 1, row: { name: 'in/a.1.json', size: textOf(given[0] as Item).length + 4, mediaType: 'application/json' } },
    { row: { name: 'in/a.2.json' } },
  ])
  const whole = make(t.testdir({}), { expression: 'rows.id', each: false })
  const [one] = await whole.process([fileOf(document)], () => t.fail())
  t.equal(textOf(one as Item), '[9007199254740993,2]')
  t.equal(one?.row.name, 'in/a.json')
})

t.test('a document in a field', async (t) => {
  const channel = make(t.testdir({}), { expression: '$sum(n)', field: 'text' })
  const given = await channel.process([{ row: { id: 1, text: '{"n":[1,2]}' }, ref: 7 }], () => t.fail())
  t.same(given, [{ row: { id: 1, text: '3' }, ref: 7 }])
})

t.test('bad documents and expressions that fail are rejected, the others pass', async (t) => {
  const channel = make(t.testdir({}), { expression: '$number(n)', bytesMax: 100_000, timeoutMs: 60_000 })
  const deep = '['.repeat(10_000) + ']'.repeat(10_000)
  const bad = ['{"n": ', Buffer.from('"\xd6\xd0"', 'latin1'), '{\n"n" 5\0}', '{"n":"x"}', '', ' '.repeat(200_000)]
  const { rejects, reject } = collector()
  const items = [
    ...bad.map((each, i) => fileOf(each, i)),
    fileOf(`{"n":"5","x":${deep}}`, 100),
    fileOf('{"n":"6"}', 101),
  ]
  const given = await channel.process(items, reject)
  t.same(given.map(textOf), ['5', '6'])
  t.same(
    rejects.map(({ fault }) => fault.code),
    [
      'DOCUMENT_NOT_JSON',
      'DOCUMENT_NOT_JSON',
      'DOCUMENT_NOT_JSON',
      'EXPRESSION_FAILED',
      'DOCUMENT_NOT_JSON',
      'DOCUMENT_TOO_LARGE',
    ],
  )
  t.match(rejects[2]?.fault.toJSON(), { line: 2, column: 5, position: 6 })
})

t.test('what does not end, or makes too much, is ended', async (t) => {
  for (const [expression, code, timeoutMs] of [
    ['($f := function($n) { $f($n + 1) }; $f(1))', 'EXPRESSION_TIMEOUT', 300],
    ['[1..10000000]', 'EXPRESSION_FAILED', 60_000],
    ['$eval(code)', 'EXPRESSION_FAILED', 60_000],
  ] as const) {
    const { rejects, reject } = collector()
    await make(t.testdir({}), { expression, timeoutMs }).process(itemsOf([{ code: '1' }]), reject)
    t.equal(rejects[0]?.fault.code, code, expression)
  }
})

t.test('a mistake shows when the channel is made', async (t) => {
  t.equal((await faultOf(() => make(t.testdir({}), { expression: 'a = =' })))?.code, 'EXPRESSION_SYNTAX')
})
