// XML and records: paths and trees, both ways.

import fc from 'fast-check'
import { SaxesParser } from 'saxes'
import t from 'tap'
import { Fault } from '#protocol/base/mod.ts'
import type { Row, Value } from '../../contract.ts'
import { encodeText } from '../../formats/mod.ts'
import { XmlParser } from '../../xml/mod.ts'
import { convert, documentOf, fileOf, rowsOf, textOf } from './testing.ts'

const root = t.testdir({})
const read = (xml: string | Uint8Array, settings: object = {}, more: object = {}) =>
  rowsOf(root, { xml: settings }, xml, more)
const write = async (rows: readonly Row[], settings: object = {}): Promise<string | Fault> => {
  const made = await documentOf(root, { xml: { declaration: false, ...settings } }, rows)
  return made instanceof Fault ? made : made.toString()
}

const PERMITS = `<?xml version="1.0"?>
<!-- of a day -->
<p:permits xmlns:p="urn:permits" xmlns="urn:other" day="2026-03-01">
  <p:permit no="7"><holder kind="person"><name>陈 &amp; 李</name></holder><tag>x</tag><tag>y</tag><note><![CDATA[<&]]>!</note></p:permit>
  <p:permit no="8"><holder><name/></holder><sum>12345678901234567890</sum></p:permit>
</p:permits>`

t.test('records at a path, fields by paths from there', async (t) => {
  const fields = {
    no: '@no',
    name: 'holder/name',
    kind: 'holder/@kind',
    tags: 'tag',
    note: 'note',
    sum: 'sum',
    holder: 'holder',
  }
  t.same(await read(PERMITS, { path: '/permits/permit', fields, arrays: ['tags'] }), [
    {
      no: '7',
      name: '陈 & 李',
      kind: 'person',
      tags: ['x', 'y'],
      note: '<&!',
      sum: null,
      holder: { '@kind': 'person', name: '陈 & 李' },
    },
    { no: '8', name: '', kind: null, tags: [], note: null, sum: '12345678901234567890', holder: { name: '' } },
  ])
  t.match(await read(PERMITS, { path: '/permits/permit', fields: { tag: 'tag' } }), {
    code: 'CONVERT_FIELD_TWICE',
    where: 'list.txt:4:3',
    details: { line: 4, column: 3 },
  })
  t.same(await read(PERMITS, { path: '/permits', fields: { day: '@day' } }), [{ day: '2026-03-01' }], 'the root')
  t.same(
    await read(PERMITS, { path: '/permits/permit/tag', fields: { tag: '.' } }),
    [{ tag: 'x' }, { tag: 'y' }],
    'of all parents',
  )
})

t.test('namespaces: a name without a prefix fits in any, one with a prefix in its own', async (t) => {
  const namespaces = { a: 'urn:permits', b: 'urn:other' }
  const fields = { no: '@no', name: 'b:holder/b:name' }
  t.same(await read(PERMITS, { path: '/a:permits/a:permit', fields, namespaces }), [
    { no: '7', name: '陈 & 李' },
    { no: '8', name: '' },
  ])
  t.match(await read(PERMITS, { path: '/b:permits/a:permit', fields, namespaces }), {
    code: 'CONVERT_PATH',
    message: /\/b:permits\/a:permit/,
  })
  t.same(await read(PERMITS, { path: '/a:permits/b:permit', fields, namespaces }), [], 'an empty list is one')
  t.match(await read(PERMITS, { path: '/list/item' }), { code: 'CONVERT_PATH' })
})

t.test('records as trees', async (t) => {
  t.same(await read(PERMITS, { path: '/permits/permit' }), [
    { '@no': '7', holder: { '@kind': 'person', name: '陈 & 李' }, tag: ['x', 'y'], note: '<&!' },
    { '@no': '8', holder: { name: '' }, sum: '12345678901234567890' },
  ])
  const [whole] = (await read(PERMITS, { arrays: ['holder'] })) as Row[]
  t.same(Object.keys(whole ?? {}), ['p:permits'])
  t.match(whole?.['p:permits'], {
    '@xmlns:p': 'urn:permits',
    '@xmlns': 'urn:other',
    '@day': '2026-03-01',
    'p:permit': [{ '@no': '7', holder: [{ '@kind': 'person' }] }, { '@no': '8' }],
  })
  t.same(await read('<a><b> x </b><c/> <d e=" f "> g </d></a>', { trim: true }), [
    { a: { b: 'x', c: '', d: { '@e': 'f', '#text': 'g' } } },
  ])
  t.same(await read('<l><i>x</i><i/><i a="1"/></l>', { path: '/l/i' }), [{ '#text': 'x' }, {}, { '@a': '1' }])
})

t.test('what an object cannot keep is refused', async (t) => {
  t.match(await read('<a>\n<b>x</b> and <b>y</b></a>'), { code: 'CONVERT_MIXED', where: 'list.txt:1:1' })
  t.match(await read('<a>\n<b/><c/><b/></a>'), { code: 'CONVERT_ORDER', where: 'list.txt:2:9', message: /b$/ })
  t.same(await read('<a><b>1</b><c/><b>2</b></a>', { interleaved: true }), [{ a: { b: ['1', '2'], c: '' } }])
  t.match(await read('<a><__proto__>x</__proto__></a>'), { code: 'CONVERT_VALUE' })
  const items = [fileOf('<l><i>1</i><i>2<b/></i><i>3</i></l>')]
  const { items: passed, rejects } = await convert(
    root,
    { from: { xml: { path: '/l/i' } }, to: { rows: {} }, onBroken: 'reject-row' },
    items,
  )
  t.same(
    passed.map(({ row }) => row['#text']),
    ['1', '3'],
  )
  t.match(rejects, [{ item: { row: { document: 'list.txt', text: '<i>2' } }, fault: { code: 'CONVERT_MIXED' } }])
})

t.test('documents that mean harm, or are none', async (t) => {
  for (const [xml, code] of [
    ['<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>', 'XML_DTD_REFUSED'],
    ['<a><b></a>', 'XML_NOT_WELL_FORMED'],
    [`${'<a>'.repeat(10_000)}${'</a>'.repeat(10_000)}`, 'XML_TOO_COMPLEX'],
    ['<a>\0</a>', 'XML_NOT_WELL_FORMED'],
    ['', 'XML_NOT_WELL_FORMED'],
  ] as const) {
    t.match(await read(xml), { code, details: { line: 1 } }, xml.slice(0, 30))
  }
  const gbk = encodeText('<?xml version="1.0" encoding="UTF-8"?><a>价格</a>', 'gbk')
  t.match(gbk.ok && (await read(gbk.bytes)), { code: 'XML_ENCODING' })
  const right = encodeText('<?xml version="1.0" encoding="GBK"?><a>价格</a>', 'gbk')
  t.same(right.ok && (await read(right.bytes)), [{ a: '价格' }])
})

t.test('fields to places, in the order of the settings', async (t) => {
  const fields = { no: '@no', name: 'holder/name', kind: 'holder/@kind', tags: 'tag', info: 'info' }
  const rows: Row[] = [
    { name: '陈<&>', no: 7, kind: 'a"b', tags: ['x', 2], info: { '@a': true, b: [1n, 'c'] } },
    { name: null, no: 9_007_199_254_740_993n, kind: null, tags: [], info: '' },
    {},
  ]
  t.equal(
    await write(rows, { path: '/list/item', fields }),
    '<list><item no="7"><holder kind="a&quot;b"><name>陈&lt;&amp;&gt;</name></holder><tag>x</tag><tag>2</tag><info a="true"><b>1</b><b>c</b></info></item><item no="9007199254740993"><info/></item><item/></list>',
  )
  t.equal(
    await write([{}], { path: '/item', fields: { a: 'b/c', d: '@d' }, nulls: 'empty', indent: 2 }),
    '<item>\n  <b>\n    <c/>\n  </b>\n</item>\n',
  )
  t.equal(
    await write([{ a: 1 }, { a: null }], { path: '/l/x/i', nulls: 'empty' }),
    '<l><x><i><a>1</a></i><i><a/></i></x></l>',
  )
  t.match(await write([{ a: 1, b: 2 }], { path: '/l/i', fields: { a: 'a' } }), {
    code: 'CONVERT_EXTRA_FIELDS',
    message: /b$/,
  })
  t.match(await write([{ a: [1, 2] }], { path: '/l/i', fields: { a: '@a' } }), { code: 'CONVERT_VALUE' })
  t.match(await write([{ a: [1, 2] }], { path: '/l/i', fields: { a: '.' } }), { code: 'CONVERT_VALUE' })
})

t.test('trees to XML; what cannot be XML is refused', async (t) => {
  t.equal(
    await write([{ 'p:a': { '@xmlns:p': 'urn:p', '@p:x': '1', 'p:b': [{ '#text': 'c', '@d': null }, ''] } }]),
    '<p:a xmlns:p="urn:p" p:x="1"><p:b>c</p:b><p:b/></p:a>',
  )
  t.equal(
    await write([{ b: 1 }], { path: '/p:a', namespaces: { p: 'urn:p', default: 'urn:d' } }),
    '<p:a xmlns:p="urn:p" xmlns="urn:d"><b>1</b></p:a>',
  )
  t.equal(
    await write([{ a: { '@xmlns': 'urn:x' } }], { namespaces: { default: 'urn:d' } }),
    '<a xmlns="urn:x"/>',
    'declared once',
  )
  t.equal(await write([{ a: { b: new Uint8Array([1, 2]), c: [] } }]), '<a><b>AQI=</b></a>')
  for (const [row, code] of [
    [{ a: 1, b: 2 }, 'CONVERT_VALUE'],
    [{ a: [1, 2] }, 'CONVERT_VALUE'],
    [{ a: { '1b': 1 } }, 'CONVERT_XML_NAME'],
    [{ a: { 'b c': 1 } }, 'CONVERT_XML_NAME'],
    [{ a: { '': 1 } }, 'CONVERT_XML_NAME'],
    [{ a: { 'p:b': 1 } }, 'CONVERT_XML_NAME'],
    [{ a: { '@xmlns:p': '' } }, 'CONVERT_XML_NAME'],
    [{ a: { '@x>': '' } }, 'CONVERT_XML_NAME'],
    [{ a: { b: [[1]] } }, 'CONVERT_VALUE'],
    [{ a: { '#text': 'x', b: 'y' } }, 'CONVERT_MIXED'],
    [{ a: '\u0001' }, 'XML_TEXT_INVALID'],
    [{ a: { '@b': '\ud800' } }, 'XML_TEXT_INVALID'],
  ] as const) {
    t.match(await write([row as Row]), { code }, JSON.stringify(row))
  }
  t.match(await write([{ a: 1 }, { a: 2 }]), { code: 'CONVERT_RECORDS_COUNT' })
})

t.test('encodings: characters that one lacks are written as references', async (t) => {
  for (const encoding of ['gbk', 'big5', 'iso-8859-1', 'utf-16', 'gb18030'] as const) {
    const made = await documentOf(root, { xml: { encoding } }, [{ a: { '@b': 'é中€𠮷' } }])
    t.same(await read(made as Buffer), [{ a: { '@b': 'é中€𠮷' } }], encoding)
  }
  const latin = await documentOf(root, { xml: { encoding: 'iso-8859-1' } }, [{ a: 'é中' }])
  t.equal((latin as Buffer).toString('latin1'), '<?xml version="1.0" encoding="ISO-8859-1"?>\n<a>é&#x4E2D;</a>')
  t.match(await documentOf(root, { xml: { encoding: 'iso-8859-1' } }, [{ 名: 'x' }]), { code: 'TEXT_UNENCODABLE' })
})

const name = fc.constantFrom('a', 'b', '名', 'x-1', 'p:c')
const text = fc.string({
  unit: fc.constantFrom('a', '中', '𠮷', ' ', '\n', '\t', '\r', '<', '>', '&', '"', "'", ']]>', '&amp;'),
})
const { tree } = fc.letrec<{ tree: Value }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small' },
    text,
    fc
      .tuple(
        fc.dictionary(
          name.map((each) => `@${each}`),
          text,
          { maxKeys: 2 },
        ),
        fc.oneof(
          text.map((own) => (own === '' ? {} : { '#text': own })),
          fc.dictionary(name, fc.oneof(tie('tree'), fc.array(tie('tree'), { minLength: 2, maxLength: 3 })), {
            maxKeys: 3,
          }),
        ),
      )
      .map(([attributes, inner]) => ({ ...attributes, ...inner })),
  ),
}))

/** Objects of nothing are empty elements, as empty texts are; those of nothing but a text are texts. */
function normal(value: Value): Value {
  if (Array.isArray(value)) return value.map(normal)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value as Row).map(([key, inner]) => [key, normal(inner)] as const)
  if (entries.length === 1 && entries[0]?.[0] === '#text') return entries[0][1]
  return entries.length === 0 ? '' : Object.fromEntries(entries)
}

t.test('what is written is well-formed, and read as it was', async (t) => {
  const seed = Number(process.env.SEED ?? 237_001)
  t.comment(`SEED=${seed}`)
  await fc.assert(
    fc.asyncProperty(tree, fc.constantFrom(0, 2), async (value, indent) => {
      const namespaces = { p: 'urn:p' }
      const xml = await write([{ root: value as Value }], { namespaces, indent })
      if (typeof xml !== 'string') throw new Error(xml.describe())
      new SaxesParser({ xmlns: true }).write(xml).close()
      const back = await read(xml)
      const [row] = back as Row[]
      const found = row?.root
      const bare =
        typeof found === 'object'
          ? Object.fromEntries(Object.entries(found as Row).filter(([key]) => key !== '@xmlns:p'))
          : found
      const wanted = normal(value as Value)
      const got = normal(bare as Value)
      if (JSON.stringify(got) !== JSON.stringify(wanted))
        throw new Error(`${xml}\n${JSON.stringify(got)}\n${JSON.stringify(wanted)}`)
    }),
    { seed, numRuns: 400 },
  )
})

t.test('any document: its tree written again has the same content', async (t) => {
  const seed = Number(process.env.SEED ?? 237_001)
  t.comment(`SEED=${seed}`)
  const pieces = fc.array(
    fc.constantFrom(
      '<a>',
      '</a>',
      '<b x="1">',
      '</b>',
      '<p:c/>',
      "<p:c y='\"'>",
      '</p:c>',
      'text',
      ' ',
      '\n',
      '&lt;',
      '<!--c-->',
      '<![CDATA[&]]>',
    ),
    { maxLength: 12 },
  )
  let same = 0
  await fc.assert(
    fc.asyncProperty(pieces, async (list) => {
      const xml = `<r xmlns:p="urn:p">${list.join('')}</r>`
      const rows = await read(xml)
      if (!Array.isArray(rows)) return
      const again = await write(rows)
      if (typeof again !== 'string') throw new Error(again.describe())
      if (shown(again) !== shown(xml)) throw new Error(`${xml}\n${again}`)
      same += 1
    }),
    { seed, numRuns: 3_000 },
  )
  t.ok(same > 30, `${same} of them could be records`)
})

/** Names, attributes and texts in order; white space beside elements does not count. */
function shown(xml: string): string {
  const parsed = new XmlParser().parse(xml)
  let out = ''
  for (let node = 1; node < parsed.count; node += 1) {
    const id = parsed.name[node] as number
    const parent = parsed.parent[node] as number
    if (id < 0) out += hasElements(parent) ? '' : parsed.textOf(node)
    else out += `<${parent} ${parsed.names.localPart[id]} ${[...attributes(node)].join()}>`
  }
  return out.replace(/<\d+/g, '<')
  function hasElements(parent: number): boolean {
    for (let child = parent + 1; child < (parsed.end[parent] as number); child += 1)
      if ((parsed.name[child] as number) >= 0) return true
    return false
  }
  function* attributes(node: number): Generator<string> {
    for (let i = parsed.attributes[node] as number; i < (parsed.attributes[node + 1] as number); i += 1)
      yield parsed.attributeText(i)
  }
}

t.test('XML to JSON and back, without naming a field', async (t) => {
  const toJson = await convert(root, { from: { xml: {} }, to: { json: { single: true } } }, [
    fileOf(PERMITS, 'permits.xml'),
  ])
  t.equal(toJson.items[0]?.row.name, 'permits.json')
  const back = await convert(root, { from: { json: {} }, to: { xml: {} } }, toJson.items)
  t.equal(back.items[0]?.row.name, 'permits.xml')
  t.same(await read(textOf(back.items[0])), await read(PERMITS))
})

t.test('elements and fields named as something that every object inherits', async (t) => {
  const xml = '<l><r><constructor>甲</constructor><toString>x</toString></r><r/></l>'
  const [first, second] = (await read(xml, { path: '/l/r' })) as unknown as Row[]
  t.same(Object.entries(first ?? {}), [
    ['constructor', '甲'],
    ['toString', 'x'],
  ])
  t.same(second, {})
  const fields = { id: '@id', constructor: '@by', valueOf: 'v' }
  t.equal(await write([{ id: 1 }], { path: '/l/r', fields }), '<l><r id="1"/></l>')
})
