// Queries, conditions and schemas in threads: they give what they give here, and one that does not end is stopped.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { chainOf } from '../chain/mod.ts'
import type { Item } from '../contract.ts'
import { IsolatedPool } from '../isolation/mod.ts'
import { builtinComponents } from '../registry.ts'
import { patiently, settingsOf, testContext } from '../support/testing.ts'

const fileOf = (text: string, ref: number): Item => ({
  row: { name: `${ref}.xml`, size: text.length, modified: null, mediaType: 'application/xml' },
  ref,
  content: { kind: 'bytes', bytes: Buffer.from(text) },
})

const specOf = (type: string, settings: object) => {
  const entry = builtinComponents.find((each) => each.kind === 'channel' && each.type === type)
  if (entry === undefined) throw new Error(`no channel ${type}`)
  return { type, settings: settingsOf(entry.settings, settings) }
}

const XSD = `<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:include schemaLocation="t.xsd"/><xs:element name="a" type="n"/></xs:schema>`
const TYPES = `<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:simpleType name="n"><xs:restriction base="xs:int"/></xs:simpleType></xs:schema>`

t.test('the same in a thread and here', async (t) => {
  const root = t.testdir({})
  mkdirSync(join(root, 's'))
  writeFileSync(join(root, 's', 'a.xsd'), XSD)
  writeFileSync(join(root, 's', 't.xsd'), TYPES)
  const pool = new IsolatedPool({ threads: 1 })
  const specs = [
    specOf('filter', { when: { xpath: "/a[. != '0'] | /a[preceding::b]" } }),
    specOf('validate', { xsdFile: 's/a.xsd' }),
    specOf('xquery', { query: 'map { "n": xs:integer(/a) + 1 }', method: 'json' }),
    specOf('jsonata', { expression: '[n, n + 1].{ "n": $ }' }),
    specOf('validate', { jsonSchema: { properties: { n: { maximum: 10 } } } }),
  ]
  const items = ['<a>1</a>', '<a>0</a>', '<a>x</a>', '<a', '<a>9</a>', '<a>100</a>'].map(fileOf)
  const [here, there] = await Promise.all(
    [null, pool].map(async (each) => {
      const context = testContext(root)
      const chain = chainOf(specs, { context, entries: builtinComponents, pool: each, record: false })
      await chain.open(null)
      const { items: done, rejects } = await chain.process(items)
      await chain.close()
      return {
        done: done.map(({ row, ref, content }) => [
          row,
          ref,
          content?.kind === 'bytes' && Buffer.from(content.bytes).toString(),
        ]),
        rejects: rejects.map(({ item, fault, step }) => [item, fault.toJSON(), step]),
      }
    }),
  )
  await pool.close()
  t.same(there, here)
  t.same(
    here?.done.map(([, ref, text]) => [ref, text]),
    [
      [0, '{"n":2}'],
      [0, '{"n":3}'],
    ],
  )
  t.same(
    here?.rejects.map(([, fault]) => (fault as { code: string }).code),
    ['XML_NOT_WELL_FORMED', 'VALIDATE_INVALID', 'VALIDATE_INVALID', 'VALIDATE_INVALID'],
  )
})

t.test('what does not end is stopped; its neighbours pass', async (t) => {
  const endless = 'some $i in 1 to 1000000000000 satisfies $i = 0'
  const regular = `$match($string(a), /^(x+x+)+y$/)`
  for (const [spec, bad, good] of [
    [specOf('xquery', { query: `if (/a = 'x') then ${endless} else <b/>` }), '<a>x</a>', '<a/>'],
    [specOf('filter', { when: { xpath3: `/a != 'x' or (${endless})` } }), '<a>x</a>', '<a/>'],
    [specOf('jsonata', { expression: regular, timeoutMs: 60_000 }), `{"a":"${'x'.repeat(40)}"}`, '{"a":"xxy"}'],
    [
      specOf('validate', { jsonSchema: { properties: { a: { pattern: '^(x+x+)+y$' } } } }),
      `{"a":"${'x'.repeat(40)}"}`,
      '{"a":"xxy"}',
    ],
  ] as const) {
    const context = testContext(t.testdir({}))
    const run = async (timeMs: number) => {
      const pool = new IsolatedPool({ threads: 1, timeMs })
      const chain = chainOf([spec], { context, entries: builtinComponents, pool, record: false })
      await chain.open(null)
      const result = await chain.process([fileOf(good, 1), fileOf(bad, 2), fileOf(good, 3)])
      await chain.close()
      await pool.close()
      return result
    }
    const { items, rejects } = await patiently([400, 4_000, 40_000], run, (result) => result.items.length === 2)
    t.same(
      items.map(({ ref }) => ref),
      [1, 3],
      spec.type,
    )
    t.same(
      rejects.map(({ item, fault }) => [item.ref, fault.code]),
      [[2, 'ISOLATED_TIMEOUT']],
      spec.type,
    )
  }
})
