// What `split` cuts, `merge` puts together again, through chains that are closed and opened in between.

import { join } from 'node:path'
import { unzipSync, zipSync } from 'fflate'
import t from 'tap'
import { type ChannelSpec, chainOf } from '../../chain/mod.ts'
import type { Item } from '../../contract.ts'
import { builtinComponents } from '../../registry.ts'
import { settingsOf, testContext } from '../../support/testing.ts'

function specOf(type: string, settings: object): ChannelSpec {
  const entry = builtinComponents.find((each) => each.kind === 'channel' && each.type === type)
  if (entry === undefined) throw new Error(`no channel ${type}`)
  return { type, settings: settingsOf(entry.settings, settings) }
}

const fileOf = (bytes: Uint8Array, name: string): Item => ({
  row: { name, size: bytes.length, modified: null, mediaType: null, batch: name },
  ref: name,
  content: { kind: 'bytes', bytes },
})
const bytesOf = ({ content }: Item): Buffer =>
  content?.kind === 'bytes' ? Buffer.from(content.bytes) : Buffer.alloc(0)

/** Splits in one chain; then the parts, each in a call of its own and every second one twice, go through another. */
async function there(root: string, by: object, as: object, item: Item): Promise<Item[]> {
  const options = { context: testContext(root), entries: builtinComponents, pool: null, record: true }
  const splitting = chainOf([specOf('split', { by })], options)
  await splitting.open(null)
  const { items: parts, rejects } = await splitting.process([item])
  t.same(rejects, [])
  await splitting.close()
  const specs = [
    specOf('deduplicate', { key: ['batch', 'part'] }),
    specOf('throttle', { items: 1_000 }),
    specOf('enrich', { key: 'part', from: { inline: { table: { 1: 'first' } } }, missing: 'null' }),
    specOf('merge', { key: 'batch', countField: 'parts', orderBy: 'part', as, name: 'again-{batch}' }),
  ]
  const out: Item[] = []
  let state: string | null = null
  // The last part first.
  for (const part of parts.flatMap((each, i) => (i % 2 === 0 ? [each, each] : [each])).reverse()) {
    const chain = chainOf(specs, options)
    await chain.open(state)
    const result = await chain.process([part])
    t.same(result.rejects, [])
    out.push(...result.items)
    state = await chain.save()
    if (state !== null) await chain.committed(state)
    await chain.close()
  }
  return out
}

t.test('XML, JSON, CSV, zip', async (t) => {
  const root = t.testdir({ xml: {}, json: {}, csv: {}, zip: {} })
  const xml = '<list><p><a n="1">&amp;</a></p><p/><p><![CDATA[<]]></p></list>'
  const [document] = await there(
    join(root, 'xml'),
    { xml: { path: '/list/p' } },
    { xml: { element: 'list' } },
    fileOf(Buffer.from(xml), 'x.xml'),
  )
  t.equal(document && bytesOf(document).toString(), `<?xml version="1.0" encoding="UTF-8"?>\n${xml}`)
  t.match(document?.row, { name: 'again-x.xml', batch: 'x.xml', count: 3, complete: true })

  const json = '[{"n":12345678901234567890},[1.10],"x",null]'
  const [list] = await there(join(root, 'json'), { json: {} }, { json: {} }, fileOf(Buffer.from(json), 'x.json'))
  t.equal(list && bytesOf(list).toString(), json)

  const csv = 'id,name\r\n1,"a\nb"\r\n2,c\r\n3,d\r\n'
  const [table] = await there(
    join(root, 'csv'),
    { csv: {} },
    { text: { header: 1 } },
    fileOf(Buffer.from(csv), 'x.csv'),
  )
  t.equal(table && bytesOf(table).toString(), csv)

  const members = { 'a.txt': Buffer.from('A'), 'd/b.txt': Buffer.from('B'), 'c.txt': Buffer.from('') }
  const [archive] = await there(join(root, 'zip'), { zip: {} }, { zip: {} }, fileOf(zipSync(members), 'x.zip'))
  const again = Object.entries(unzipSync(archive === undefined ? Buffer.alloc(0) : bytesOf(archive)))
  t.same(
    again.map(([name, bytes]) => [name, Buffer.from(bytes).toString()]),
    [
      ['a.txt', 'A'],
      ['d/b.txt', 'B'],
      ['c.txt', ''],
    ],
  )
})
