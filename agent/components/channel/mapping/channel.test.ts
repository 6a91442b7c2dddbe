import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import iconv from 'iconv-lite'
import t from 'tap'
import type { Item, Row } from '../../contract.ts'
import { collector, faultOf, itemsOf, settingsOf, testContext } from '../../support/testing.ts'
import { MappingChannel, mappingSettings, mappingTurns } from './mod.ts'

const make = (root: string, settings: object) =>
  new MappingChannel(settingsOf(mappingSettings, settings), testContext(root))
const fileOf = (bytes: Uint8Array, name = 'in/a.xml'): Item => {
  const row = { name, size: bytes.length, modified: '2024-01-01T00:00:00Z', mediaType: 'text/xml' }
  return { row, ref: 7, content: { kind: 'bytes', bytes } }
}
const bytesOf = (item: Item | undefined): string =>
  item?.content?.kind === 'bytes' ? Buffer.from(item.content.bytes).toString() : 'no bytes'
const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

t.test('files in any encoding become files in UTF-8, under a name of their own', async (t) => {
  const channel = make(t.testdir({}), { mapping: { root: { 单位: '名称' } }, name: 'out/{stem}.mapped.xml' })
  const gbk = iconv.encode('<?xml version="1.0" encoding="GBK"?><名称>榕城区</名称>', 'gbk')
  const [item] = await channel.process([fileOf(gbk)], () => t.fail())
  const expected = `${DECLARATION}<单位>榕城区</单位>`
  t.equal(bytesOf(item), expected)
  t.same(item?.row, {
    name: 'out/in/a.mapped.xml',
    size: Buffer.byteLength(expected),
    modified: '2024-01-01T00:00:00Z',
    mediaType: 'application/xml',
  })
  t.equal(item?.ref, 7)
})

t.test('what is wrong with one document is its own: the neighbours pass', async (t) => {
  const channel = make(t.testdir({}), { mapping: { root: { o: 'a/b' } }, bytesMax: 200_000 })
  const bad = {
    'not well-formed': ['<a>\n<b>1</a>', 'XML_NOT_WELL_FORMED', 2],
    'external entity': [
      '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a><b>&x;</b></a>',
      'XML_DTD_REFUSED',
      1,
    ],
    'entity bomb': ['<!DOCTYPE a [<!ENTITY x "&y;&y;"><!ENTITY y "zz">]><a>&x;</a>', 'XML_DTD_REFUSED', 1],
    'an entity nobody declared': ['<a><b>&x;</b></a>', 'XML_NOT_WELL_FORMED', 1],
    '10,000 levels': ['<a>'.repeat(10_000) + '</a>'.repeat(10_000), 'XML_TOO_COMPLEX', 1],
    NUL: ['<a><b>\0</b></a>', 'XML_NOT_WELL_FORMED', 1],
    'wrong encoding': ['<?xml version="1.0" encoding="GBK"?><a>广东省揭阳市</a>', 'XML_ENCODING', undefined],
    'too large': [`<a>${' '.repeat(200_000)}</a>`, 'DOCUMENT_TOO_LARGE', undefined],
    empty: ['', 'XML_NOT_WELL_FORMED', 1],
  } as const
  const good = fileOf(Buffer.from('<a><b>ok</b></a>'))
  const items = Object.values(bad).flatMap(([text]) => [good, fileOf(Buffer.from(text)), good])
  const { rejects, reject } = collector()
  const done = await channel.process(items, reject)
  t.equal(done.length, Object.keys(bad).length * 2)
  t.ok(done.every((item) => bytesOf(item) === `${DECLARATION}<o>ok</o>`))
  for (const [i, [name, [, code, line]]] of Object.entries(bad).entries()) {
    t.equal(rejects[i]?.fault.code, code, name)
    t.equal(rejects[i]?.fault.details.line, line, name)
    t.equal(rejects[i]?.item, items[i * 3 + 1], 'the item as it came')
  }
})

t.test('a document in a field stays text', async (t) => {
  const channel = make(t.testdir({}), { mapping: { root: { o: 'a' } }, field: 'body' })
  const { rejects, reject } = collector()
  const done = await channel.process(
    itemsOf([{ id: 1, body: '<a>x</a>' }, { id: 2, body: '<a>\ud800</a>' }, { id: 3 }]),
    reject,
  )
  t.same(
    done.map(({ row }) => row),
    [{ id: 1, body: `${DECLARATION}<o>x</o>` }],
  )
  t.same(
    rejects.map(({ fault }) => fault.code),
    ['DOCUMENT_MISSING', 'DOCUMENT_MISSING'],
  )
})

t.test('rows become documents', async (t) => {
  const mapping = {
    root: {
      企业: {
        '@id': 'row/id',
        名称: { $value: 'row/name', $optional: true },
        钱: { $format: { $sum: 'row/amounts' }, decimals: 2 },
        项: { $forEach: 'row/items', $content: { $concat: ['key', "'='", 'value/deep'] } },
        大: 'row/big',
        字节: 'row/bytes',
        嵌: { $count: 'row/lists/item' },
      },
    },
  }
  const row: Row = {
    id: 12345678901234567890n,
    name: null,
    amounts: [1.5, 2, 1e-7],
    items: [
      { key: 'a', value: { deep: '<1>' } },
      { key: 'b', value: { deep: true } },
    ],
    big: 1.5e21,
    bytes: new Uint8Array([1, 2]),
    lists: [[1, 2], [3]],
    'no name': 1,
  }
  const expected = `${DECLARATION}<企业 id="12345678901234567890"><钱>3.50</钱><项>a=&lt;1&gt;</项><项>b=true</项><大>1500000000000000000000</大><字节>AQI=</字节><嵌>3</嵌></企业>`
  const asField = make(t.testdir({}), { mapping, source: 'row', field: 'xml' })
  const [first] = await asField.process(itemsOf([row]), () => t.fail())
  t.equal(first?.row.xml, expected)
  const asFile = make(t.testdir({}), { mapping, source: 'row', name: '{id}.xml' })
  const [second] = await asFile.process(itemsOf([row]), () => t.fail())
  t.equal(bytesOf(second), expected)
  t.equal(second?.row.name, '12345678901234567890.xml')
  t.equal(second?.row.modified, null)
  const { rejects, reject } = collector()
  t.same(await asField.process(itemsOf([{ name: 'a\0' }, { name: 'b\ud800' }]), reject), [])
  t.same(
    rejects.map(({ fault }) => fault.code),
    ['XML_TEXT_INVALID', 'XML_TEXT_INVALID'],
  )
})

t.test('documents and rows become rows', async (t) => {
  const mapping = {
    root: {
      record: {
        '@kind': "'org'",
        name: 'org/name',
        address: { city: 'org/city', street: 'org/street' },
        phone: { $forEach: 'org/phone', $content: '.' },
        mail: { $forEach: 'org/mail', $content: '.' },
        empty: null,
      },
    },
  }
  const settings = { mapping, target: 'row', lists: ['mail'] }
  const document = '<org><name>n</name><city>c</city><phone>1</phone><phone>2</phone><mail>m</mail></org>'
  const expected = {
    kind: 'org',
    name: 'n',
    address: { city: 'c', street: '' },
    phone: ['1', '2'],
    mail: ['m'],
    empty: '',
  }
  const [item] = await make(t.testdir({}), settings).process([fileOf(Buffer.from(document))], () => t.fail())
  t.same(item, { row: expected, ref: 7 })
  const fromRow = make(t.testdir({}), {
    mapping: { root: { r: { up: { $upper: 'row/a' } } } },
    source: 'row',
    target: 'row',
  })
  t.same(await fromRow.process(itemsOf([{ a: 'x' }, { a: ['y', 'z'] }]), () => t.fail()), [
    { row: { up: 'X' }, ref: 1 },
    { row: { up: 'Y' }, ref: 2 },
  ])
  for (const root of [{ r: 'a' }, { r: { b: { '@x': 'a', $content: 'a' } } }, { r: ['a', { b: 'a' }] }]) {
    const { rejects, reject } = collector()
    await make(t.testdir({}), { mapping: { root }, target: 'row' }).process([fileOf(Buffer.from('<a>t</a>'))], reject)
    t.same(
      rejects.map(({ fault }) => fault.code),
      ['MAPPING_RESULT_NOT_A_ROW'],
      JSON.stringify(root),
    )
  }
})

t.test('a mapping in a file of its own', async (t) => {
  const root = t.testdir({
    'm.yaml': 'tables: { t: { "1": 一 } }\nroot:\n  o: { $lookup: t, key: a }\n',
    'bad.yaml': 'root:\n  o: { $nix: a }\n',
  })
  const channel = make(root, { file: 'm.yaml' })
  await channel.open()
  const [item] = await channel.process([fileOf(Buffer.from('<a>1</a>'))], () => t.fail())
  t.equal(bytesOf(item), `${DECLARATION}<o>一</o>`)
  t.equal((await faultOf(() => make(root, { file: 'no.yaml' }).open()))?.code, 'MAPPING_FILE_UNREADABLE')
  t.match((await faultOf(() => make(root, { file: 'bad.yaml' }).open()))?.describe(), /MAPPING_INVALID.*\$nix/)
  writeFileSync(join(root, 'gbk.yaml'), Buffer.from([0x72, 0x3a, 0x20, 0xd6, 0xd0]))
  t.equal((await faultOf(() => make(root, { file: 'gbk.yaml' }).open()))?.code, 'YAML_ENCODING')
})

t.test('settings that do not go together, and what comes out of what', async (t) => {
  const root = t.testdir({})
  const mapping = { root: { o: 'a' } }
  t.match((await faultOf(() => make(root, {})))?.describe(), /either `mapping` or `file`/)
  t.match((await faultOf(() => make(root, { mapping, source: 'row' })))?.describe(), /needs `field`/)
  t.match((await faultOf(() => make(root, { mapping, field: 'f', name: 'n' })))?.describe(), /`name` is for/)
  t.equal((await faultOf(() => make(root, { mapping: { root: { o: { $nix: 1 } } } })))?.code, 'MAPPING_INVALID')
  const turns = (settings: object, given: 'rows' | 'files') =>
    mappingTurns(settingsOf(mappingSettings, { mapping, ...settings }), given)
  t.equal(turns({}, 'files'), 'files')
  t.throws(() => turns({}, 'rows'), { code: 'DOCUMENT_MISSING' })
  t.equal(turns({ field: 'f' }, 'rows'), 'rows')
  t.equal(turns({ target: 'row' }, 'files'), 'rows')
  t.equal(turns({ source: 'row', name: 'n' }, 'rows'), 'files')
  t.equal(turns({ source: 'row', target: 'row' }, 'rows'), 'rows')
})

t.test('keys that would reach prototypes are plain names or refused', async (t) => {
  const channel = make(t.testdir({}), { mapping: { root: { r: { constructor: 'a', toString: 'a' } } }, target: 'row' })
  const [item] = await channel.process([fileOf(Buffer.from('<a>t</a>'))], () => t.fail())
  t.same({ ...item?.row }, { constructor: 't', toString: 't' })
})
