// The bound on a thread's memory, with the real engines: what makes one take too much is refused by its own fault, its neighbours pass.

import { Buffer } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { chainOf } from '../chain/mod.ts'
import type { Item, Row } from '../contract.ts'
import { IsolatedPool } from '../isolation/mod.ts'
import { builtinComponents } from '../registry.ts'
import { settingsOf, testContext } from '../support/testing.ts'
import { packZip } from './compress/mod.ts'
import { unzip } from './decompress/mod.ts'

const MIB = 2 ** 20
const BOUND_BYTES = 96 * MIB

const pool = new IsolatedPool({ threads: 1, timeMs: 60_000, memoryBytes: BOUND_BYTES })
t.teardown(() => pool.close())

const fileOf = (bytes: Uint8Array | string, ref: number): Item => ({
  row: { name: `${ref}`, size: bytes.length, modified: null, mediaType: 'application/octet-stream' },
  ref,
  content: { kind: 'bytes', bytes: Buffer.from(bytes) },
})

/** One that takes too much between two that do not; the fault it got. */
async function refused(t: Test, steps: readonly (readonly [type: string, settings: object])[], items: readonly Item[]) {
  const specs = steps.map(([type, settings]) => {
    const entry = builtinComponents.find((each) => each.kind === 'channel' && each.type === type)
    if (entry === undefined) throw new Error(`no channel ${type}`)
    return { type, settings: settingsOf(entry.settings, settings) }
  })
  const chain = chainOf(specs, { context: testContext(t.testdir({})), entries: builtinComponents, pool, record: false })
  t.teardown(() => chain.close())
  await chain.open(null)
  const { items: passed, rejects } = await chain.process(items)
  t.same(
    passed.map(({ ref }) => ref),
    [1, 3],
  )
  t.same(
    rejects.map(({ item }) => item.ref),
    [2],
  )
  const again = await chain.process([items[2] as Item])
  t.equal(again.items.length, 1, 'the pool goes on')
  return rejects[0]?.fault.toJSON()
}

const rowsOf = (...rows: readonly Row[]): Item[] => rows.map((row, i) => ({ row, ref: i + 1 }))
const files = (...documents: readonly (Uint8Array | string)[]): Item[] =>
  documents.map((each, i) => fileOf(each, i + 1))
const over = { code: 'ISOLATED_MEMORY', limitBytes: BOUND_BYTES }

const FILLS = `function process({ row }) {
  const held = []
  if (row.fill) for (;;) held.push(new Uint8Array(1048576).fill(1))
  return { row }
}`

t.test('a script that fills its engine: by the bound of the script, and by that of the thread', async (t) => {
  const rows = rowsOf({ n: 1 }, { fill: true }, { n: 3 })
  const own = await refused(t, [['script', { script: FILLS, memoryBytes: '40 MiB' }]], rows)
  t.match(own, { code: 'SCRIPT_MEMORY', limitBytes: 40 * MIB })
  const whole = await refused(t, [['script', { script: FILLS, memoryBytes: '1 GiB', timeoutMs: 50_000 }]], rows)
  t.match(whole, over)
})

/** Five bytes that libxml2 makes a node of sixty of. */
const LARGE = `<a>${'<b/>x'.repeat(700_000)}</a>`

t.test('a document that fills libxml2: by XPath, by a schema', async (t) => {
  const documents = files('<a><b/></a>', LARGE, '<a><b/></a>')
  t.match(await refused(t, [['filter', { when: { xpath: 'count(//b/preceding::b) >= 0' } }]], documents), over)
  const xsd = `<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:element name="a"><xs:complexType mixed="true"><xs:sequence><xs:element name="b" maxOccurs="unbounded"/></xs:sequence></xs:complexType></xs:element></xs:schema>`
  t.match(await refused(t, [['validate', { xsd }]], documents), over)
})

t.test('a stylesheet that makes too much', async (t) => {
  const stylesheet = `<xsl:stylesheet version="3.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/"><o>
<xsl:for-each select="1 to xs:integer(a)" xmlns:xs="http://www.w3.org/2001/XMLSchema"><b c="{.}"/></xsl:for-each></o></xsl:template></xsl:stylesheet>`
  t.match(await refused(t, [['xslt', { stylesheet }]], files('<a>1</a>', '<a>9000000</a>', '<a>3</a>')), over)
})

const PASSES = 'function process(item) { return item }'

t.test('zip and xlsx that inflate', async (t) => {
  const bomb = Buffer.alloc(110 * MIB, 'ab')
  const unpack = [
    ['decompress', { format: 'zip', ratioMax: 100_000 }],
    ['script', { script: PASSES }],
  ] as const
  const zip = (bytes: Uint8Array) => packZip([{ name: 'a.txt', bytes }], { level: 1 })
  const zips = [Buffer.from('x'), bomb, Buffer.from('y')]
  t.match(await refused(t, unpack, files(...(await Promise.all(zips.map(zip))))), over)

  const book = readFileSync(join(import.meta.dirname, 'convert/xlsx/vectors/openpyxl.xlsx'))
  const bounds = { outputBytesMax: MIB, ratioMax: 100, membersMax: 100, nameEncoding: 'utf-8', anyName: true } as const
  const rows = Array.from(
    { length: 250_000 },
    (_, i) => `<row r="${i + 2}"><c r="A${i + 2}"><v>${i * 7919}</v></c></row>`,
  )
  const sheet = `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>n</t></is></c></row>${rows.join('')}</sheetData></worksheet>`
  const members = (await unzip(book, bounds)).map((each) =>
    each.name === 'xl/worksheets/sheet1.xml' ? { ...each, bytes: Buffer.from(sheet) } : each,
  )
  const large = await packZip(members, {})
  const convert = ['convert', { from: { xlsx: {} }, to: { csv: {} } }] as const
  t.match(await refused(t, [convert], files(book, large, book)), over)
})
