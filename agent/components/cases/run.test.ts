import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { parseFields, parseValue } from '#protocol/fields/mod.ts'
import { testEntries } from '../chain/entries.testing.ts'
import type { ChannelSpec } from '../chain/mod.ts'
import { builtinComponents } from '../registry.ts'
import { type ChannelCase, casesSpec, caseText, runCases } from './mod.ts'

function casesOf(value: unknown): readonly ChannelCase[] {
  const parsed = parseValue(casesSpec, value, { where: 'cases' })
  if (!parsed.ok) throw parsed.fault[0]
  return parsed.value
}

const entries = [...builtinComponents, ...testEntries]
const specOf = (type: string, settings: object = {}): ChannelSpec => {
  const entry = entries.find((each) => each.kind === 'channel' && each.type === type)
  const parsed = entry === undefined ? null : parseValue(entry.settings, settings, { where: type })
  if (parsed?.ok !== true) throw new Error(`no ${type}`)
  return { type, settings: parsed.value }
}

async function run(specs: readonly ChannelSpec[], cases: unknown, folder = '.') {
  const resolvePath = (path: string) => resolve(folder, path)
  return runCases(casesOf(cases), { specs, name: 'f', resolvePath, entries, pool: null })
}

t.test('rows: as expected, and not', async (t) => {
  const outcomes = await run(
    [specOf('map', { rename: { code: 'id' } })],
    [
      {
        name: 'good',
        input: { rows: [{ id: '1', n: { b: 1, a: [1] } }] },
        expect: { rows: [{ n: { a: [1], b: 1 }, code: '1' }] },
      },
      {
        name: 'refused',
        input: { rows: [{}, { id: 1 }] },
        expect: { rejected: ['MAP_FIELD_MISSING'], rows: [{ code: 1 }] },
      },
      { name: 'another', input: { rows: [{ id: '1' }, { id: '2' }] }, expect: { rows: [{ code: '1', x: null }] } },
      { name: 'refused unseen', input: { rows: [{}] }, expect: { rows: [] } },
    ],
  )
  t.same(
    outcomes.map(({ name, differences }) => [name, differences.map(({ what }) => what)]),
    [
      ['good', []],
      ['refused', []],
      ['another', ['rows[0] /x', 'rows[1]']],
      ['refused unseen', ['rejected']],
    ],
  )
  t.same(outcomes[2]?.differences[1], { what: 'rows[1]', expected: 'nothing', got: '{"code":"2"}' })
  t.match(outcomes[3]?.differences[0]?.got, /step 1 \(map\): MAP_FIELD_MISSING/)
  t.equal(
    caseText(outcomes[2] as (typeof outcomes)[number]),
    `  FAIL  another
          rows[0] /x
            expected null
            got      nothing
          rows[1]
            expected nothing
            got      {"code":"2"}`,
  )
  t.equal(caseText(outcomes[0] as (typeof outcomes)[number]), '  ok    good')
})

t.test('documents: from text, file and base64, compared in the way of their kind', async (t) => {
  const folder = t.testdir({ 'in.xml': '<a x="1" y="2"><b/></a>' })
  writeFileSync(join(folder, 'bytes'), Buffer.from([0, 255]))
  const base64 = Buffer.from([0, 255]).toString('base64')
  const outcomes = await run(
    [],
    [
      {
        name: 'same',
        input: { documents: [{ file: 'in.xml', name: 'a.xml' }, { base64 }, { text: '{"a":1,"b":2}' }, { text: 'x' }] },
        expect: {
          documents: [
            { text: "<a y='2' x='1'>\n  <b></b>\n</a>", name: 'a.xml', mediaType: 'application/xml' },
            { file: 'bytes' },
            { text: '{"b":2,"a":1}' },
            { text: 'x', compare: 'exact' },
          ],
        },
      },
      {
        name: 'other',
        input: { documents: [{ text: '<a/>', name: 'a.xml' }, { text: '[1]' }, { text: '[1] ' }, { text: 'z' }] },
        expect: {
          documents: [{ text: '<a b="1"/>', name: 'b.xml' }, { text: '[2]' }, { text: '[1]', compare: 'exact' }],
        },
      },
      { name: 'lost', input: { documents: [{ file: 'missing' }] }, expect: { documents: [] } },
    ],
    folder,
  )
  t.same(outcomes[0]?.differences, [])
  t.same(
    outcomes[1]?.differences.map(({ what }) => what),
    ['documents[0].name', 'documents[0] /a[1]', 'documents[1] /0', 'documents[2] line 1', 'documents[3]'],
  )
  t.match(outcomes[2]?.differences, [{ what: 'case', got: /CASE_FILE_UNREADABLE/ }])
})

t.test('each case begins anew, and time passes when channels wait for it', async (t) => {
  const one = { name: 'a', input: { rows: [{ n: 1 }, { n: 2 }] }, expect: { rows: [{ n: 3 }] } }
  const outcomes = await run([specOf('sum')], [one, { ...one, name: 'b' }])
  t.same(
    outcomes.map(({ differences }) => differences),
    [[], []],
  )
})

t.test('what cannot be run is told', async (t) => {
  const one = { name: 'a', input: { rows: [{ n: 1 }] }, expect: { rows: [] } }
  const [outcome] = await run([specOf('test', { name: 'unopened' })], [one])
  t.match(outcome?.differences, [{ what: 'case', got: /TEST_UNOPENED/ }])
  const [unknown] = await run([{ type: 'none', settings: {} }], [one])
  t.match(unknown?.differences, [{ what: 'case', got: /CHAIN_CHANNEL_UNKNOWN/ }])
})

t.test('the form of cases', async (t) => {
  const faults = (text: string) => {
    const parsed = parseFields(casesSpec, text, { file: 'f' })
    return parsed.ok ? [] : parsed.fault.map(({ where }) => where)
  }
  t.same(faults('- { name: a, input: { rows: [{ a: 1 }] }, expect: { rows: [] } }'), [])
  t.same(faults('- { name: a, input: { rows: [{ a: 1 }], documents: [{ text: x }] }, expect: { rows: [] } }'), [
    'f:1:21 [0].input',
  ])
  t.match(faults('- { name: a, input: { documents: [{ text: x, file: y }] }, expect: { rows: [] } }'), [
    /documents\[0\]/,
  ])
  t.match(faults('- { name: a, input: { rows: [{ a: 1 }] }, expect: {} }'), [/\[0\]/])
  t.match(faults('- { name: a, input: { rows: [{ a: 1 }] }, expect: { rejected: [no code] } }'), [/rejected/])
})

t.test('files larger than a message', async (t) => {
  const folder = t.testdir()
  const lines = (end: string) =>
    `a,b${end}${Array.from({ length: 150_000 }, (_, i) => `${i},text ${i}${end}`).join('')}`
  writeFileSync(join(folder, 'in.csv'), lines('\n'))
  writeFileSync(join(folder, 'out.csv'), lines('\r\n'))
  const convert = specOf('convert', { from: { csv: {} }, to: { csv: {} } })
  const [outcome] = await run(
    [convert],
    [
      {
        name: 'large',
        input: { documents: [{ file: 'in.csv' }] },
        expect: { documents: [{ file: 'out.csv', compare: 'exact' }] },
      },
    ],
    folder,
  )
  t.same(outcome?.differences, [])
})
