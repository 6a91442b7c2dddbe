// `convert` among other channels, as a flow runs them: here and in threads.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { chainOf } from '../../chain/mod.ts'
import type { Item } from '../../contract.ts'
import { IsolatedPool } from '../../isolation/mod.ts'
import { builtinComponents } from '../../registry.ts'
import { settingsOf, testContext } from '../../support/testing.ts'
import { fileOf, textOf } from './testing.ts'

async function run(t: Test, channels: readonly object[], items: readonly Item[], threads: boolean) {
  const root = mkdtempSync(join(tmpdir(), 'causeway-convert-'))
  const pool = threads ? new IsolatedPool({ threads: 1 }) : null
  const specs = channels.map((each) => {
    const [type = '', settings] = Object.entries(each)[0] ?? []
    const entry = builtinComponents.find((one) => one.kind === 'channel' && one.type === type)
    if (entry === undefined) throw new Error(type)
    return { type, settings: settingsOf(entry.settings, settings) }
  })
  const chain = chainOf(specs, { context: testContext(root), entries: builtinComponents, pool, record: false })
  t.teardown(async () => {
    await chain.close()
    await pool?.close()
    rmSync(root, { recursive: true })
  })
  await chain.open(null)
  return await chain.process(items)
}

const CSV = 'id,city\n1,a\n2,b\n3,a\n'
const BROKEN = 'id,city\n4,a\n5\n6,b\n'
const XML = '<list><item><id>7</id><city>b</city></item></list>'
const toXml = {
  convert: {
    from: { rows: {} },
    to: { xml: { path: '/l/i', fields: { id: '@id' }, ignoreExtra: true, declaration: false } },
    group: 'city',
    name: '{city}.xml',
  },
}

for (const threads of [false, true]) {
  t.test(`documents → rows → documents, ${threads ? 'with threads' : 'here'}`, async (t) => {
    const items = [fileOf(CSV, 'a.csv'), fileOf(BROKEN, 'broken.csv')]
    const channels = [{ convert: { from: { csv: {} }, to: { rows: {} } } }, { filter: { where: 'id != "2"' } }, toXml]
    const { items: made, rejects } = await run(t, channels, items, threads)
    t.same(
      made.map((item) => [item.row.name, textOf(item)]),
      [['a.xml', '<l><i id="1"/><i id="3"/></l>']],
    )
    t.match(rejects, [
      {
        item: { ref: 'broken.csv', row: { name: 'broken.csv' }, content: { kind: 'bytes' } },
        fault: { code: 'CSV_COLUMNS', details: { line: 3 } },
        step: 1,
        type: 'convert',
      },
    ])
  })

  t.test(`a broken record alone, ${threads ? 'with threads' : 'here'}`, async (t) => {
    const channels = [
      { convert: { from: { csv: {} }, to: { rows: {} }, onBroken: 'reject-row' } },
      { map: { rename: { number: 'id' } } },
    ]
    const { items: made, rejects } = await run(
      t,
      channels,
      [fileOf(BROKEN, 'broken.csv'), fileOf(CSV, 'a.csv')],
      threads,
    )
    t.same(
      made.map(({ row, ref }) => [row.number, ref]),
      [
        ['4', 'broken.csv'],
        ['6', 'broken.csv'],
        ['1', 'a.csv'],
        ['2', 'a.csv'],
        ['3', 'a.csv'],
      ],
    )
    t.match(rejects, [
      { item: { row: { document: 'broken.csv', text: '5' } }, fault: { code: 'CSV_COLUMNS' }, step: 1 },
    ])
  })

  t.test(
    `a document that means harm is refused, its neighbours pass, ${threads ? 'with threads' : 'here'}`,
    async (t) => {
      const bomb = `<!DOCTYPE l [<!ENTITY a "${'x'.repeat(1_000)}">]><list><item>&a;</item></list>`
      const items = [
        fileOf(XML, 'a.xml'),
        fileOf(bomb, 'bomb.xml'),
        fileOf(`${'<list>'.repeat(10_000)}`, 'deep.xml'),
        fileOf(XML, 'b.xml'),
      ]
      const channels = [{ convert: { from: { xml: { path: '/list/item' } }, to: { json: {} } } }]
      const { items: made, rejects } = await run(t, channels, items, threads)
      t.same(
        made.map((item) => [item.row.name, textOf(item)]),
        [
          ['a.json', '[{"id":"7","city":"b"}]'],
          ['b.json', '[{"id":"7","city":"b"}]'],
        ],
      )
      t.match(
        rejects.map(({ item, fault }) => [item.ref, fault.code]),
        [
          ['bomb.xml', 'XML_DTD_REFUSED'],
          ['deep.xml', 'XML_TOO_COMPLEX'],
        ],
      )
    },
  )
}
