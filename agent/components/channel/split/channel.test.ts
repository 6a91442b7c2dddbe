import fc from 'fast-check'
import { zipSync } from 'fflate'
import t from 'tap'
import type { Item, Row } from '../../contract.ts'
import { collector, itemsOf, settingsOf, testContext } from '../../support/testing.ts'
import { XmlParser } from '../../xml/mod.ts'
import { isSplitIsolated, SplitChannel, splitSettings } from './mod.ts'

const SEED = Number(process.env.SEED ?? 9_001)

const make = (settings: object) => new SplitChannel(settingsOf(splitSettings, settings), testContext(t.testdir({})))
const fileOf = (content: string | Uint8Array, name: string | null = 'in/list.xml', ref = 1): Item => ({
  row: { name, size: 1, modified: null, mediaType: null, extra: 'x' },
  ref,
  content: { kind: 'bytes', bytes: Buffer.from(content as string) },
})
const textOf = ({ content }: Item): string => (content?.kind === 'bytes' ? Buffer.from(content.bytes).toString() : '')

async function split(settings: object, item: Item) {
  const { rejects, reject, codes } = collector()
  const items = await make(settings).process([item], reject)
  return {
    items,
    texts: items.map(textOf),
    rows: items.map(({ row }) => row),
    codes: codes(),
    fault: rejects[0]?.fault,
  }
}

const HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'

t.test('XML by path: each element is a document, with the namespaces it stands in', async (t) => {
  const xml = `<?xml version="1.0"?>
<list xmlns="urn:a" xmlns:p='urn:p"q' kind="a &gt; b>c"><!-- <item/> --><head/>
<item n="1" a='>'>x<![CDATA[</item>]]><?pi </item>?><!--</item>--><item/></item><p:item/><item xmlns="urn:b" n="3"/>
<sub><item/></sub></list>`
  const by = (more: object) => ({ by: { xml: { path: '/list/item', ...more } } })
  const { texts, rows } = await split(by({}), fileOf(xml, 'in/list.xml'))
  const declared = ` xmlns="urn:a" xmlns:p='urn:p"q'`
  t.same(texts, [
    `${HEAD}<item${declared} n="1" a='>'>x<![CDATA[</item>]]><?pi </item>?><!--</item>--><item/></item>`,
    `${HEAD}<p:item${declared}/>`,
    `${HEAD}<item xmlns:p='urn:p"q' xmlns="urn:b" n="3"/>`,
  ])
  t.same(rows[1], {
    name: 'in/list.2.xml',
    size: rows[1]?.size,
    modified: null,
    mediaType: 'application/xml',
    extra: 'x',
    part: 2,
    parts: 3,
  })
  const around = await split(by({ path: '/list/sub/item', ancestors: true }), fileOf(xml))
  t.same(around.texts, [`${HEAD}<list xmlns="urn:a" xmlns:p='urn:p"q' kind="a &gt; b>c"><sub><item/></sub></list>`])
  const named = await split(by({ path: '/*/q:item', namespaces: { q: 'urn:b' } }), fileOf(xml))
  t.equal(named.texts.length, 1)
  t.match(named.texts[0], /n="3"/)
  for (const text of [...texts, ...around.texts]) new XmlParser().parse(text)
  t.throws(() => make(by({ path: '/list/q:item' })), /does not say what q is/)
  t.throws(() => make(by({ path: 'list/item' })))
})

t.test('XML: whatever the tree, the parts have the same content', async (t) => {
  t.comment(`SEED=${SEED}`)
  const { node } = fc.letrec<{ node: string; inner: string }>((tie) => ({
    inner: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom('text', '&lt;', '<!-- > </a> -->', '<![CDATA[ <a> ]]>', '<?p </a> ?>', '', ' '),
      tie('node'),
    ),
    node: fc
      .tuple(
        fc.constantFrom('a', 'b', 'p:a'),
        fc.constantFrom('', ' x="1>2"', " y='/>'", ' xmlns="urn:x"', ' xmlns:p="urn:o"'),
        fc.array(tie('inner'), { maxLength: 4 }),
      )
      .map(([name, attributes, inner]) =>
        inner.length === 0 ? `<${name}${attributes}/>` : `<${name}${attributes}>${inner.join('')}</${name}>`,
      ),
  }))
  const shapeOf = (text: string, path: number[]): unknown => {
    const tree = new XmlParser().parse(text)
    let at = 0
    for (const nth of path) {
      at += 1
      for (let i = 0; i < nth; i += 1) at = tree.end[at] as number
    }
    const end = tree.end[at] as number
    const shape: unknown[] = []
    for (let i = at; i < end; i += 1) {
      const id = tree.name[i] as number
      if (id < 0) shape.push(tree.textOf(i))
      else {
        const attributes: string[] = []
        for (let j = tree.attributes[i] as number; j < (tree.attributes[i + 1] as number); j += 1)
          attributes.push(tree.attributeText(j))
        shape.push([tree.names.uri[id], tree.names.localPart[id], (tree.end[i] as number) - i, ...attributes])
      }
    }
    return shape
  }
  await fc.assert(
    fc.asyncProperty(fc.array(node, { minLength: 1, maxLength: 4 }), async (nodes) => {
      const whole = `<r xmlns:p="urn:p" xmlns="urn:d"><s>${nodes.join('')}</s></r>`
      const plain = await split({ by: { xml: { path: '/r/s/*' } } }, fileOf(whole))
      const kept = await split({ by: { xml: { path: '/r/s/*', ancestors: true } } }, fileOf(whole))
      t.equal(plain.texts.length, nodes.length)
      for (const [i] of nodes.entries()) {
        const wanted = JSON.stringify(shapeOf(whole, [0, 0, i]))
        if (JSON.stringify(shapeOf(plain.texts[i] as string, [0])) !== wanted) return false
        if (JSON.stringify(shapeOf(kept.texts[i] as string, [0, 0, 0])) !== wanted) return false
      }
      return true
    }),
    { seed: SEED, numRuns: 200 },
  )
})

t.test('JSON by pointer: the elements as they are written', async (t) => {
  const text = `\ufeff{"c":[1],"a": {"b/c":[ {"n":12345678901234567890.10, "s":"]}\\\\\\""} , [ ] ,"x,y" , 1e400 ,null,"\\ud800"] , "d":2}}`
  const by = (pointer: string) => ({ by: { json: { pointer } } })
  const { texts, rows } = await split(by('/a/b~1c'), fileOf(text, 'x'))
  t.same(texts, ['{"n":12345678901234567890.10, "s":"]}\\\\\\""}', '[ ]', '"x,y"', '1e400', 'null', '"\\ud800"'])
  t.same([rows[0]?.name, rows[0]?.mediaType, rows[0]?.parts], ['x.1', 'application/json', 6])
  t.same((await split(by(''), fileOf('[[1,[2]],3]'))).texts, ['[1,[2]]', '3'])
  t.same((await split(by('/0/1'), fileOf('[[1,[2]],3]'))).texts, ['2'])
  for (const pointer of ['/x', '/0', '/0/7', '/0/01', '/1/0']) {
    t.equal(
      (await split(by(pointer), fileOf('[[1,{"y":2}],3]'))).codes.join(),
      pointer === '/0' ? '' : 'SPLIT_NO_LIST',
      pointer,
    )
  }
  const twice = await split(by('/d'), fileOf('{"d":[1],\n "d":[2]}'))
  t.match(twice.fault, { code: 'SPLIT_JSON_INVALID', details: { line: 2, column: 2 } }, 'neither of the two is dropped')
  const broken = (await split(by(''), fileOf('[1,\n 2,,]'))).fault
  t.match(broken, { code: 'SPLIT_JSON_INVALID', details: { line: 2, column: 4 } })
  for (const [text, column] of [
    ['{"a" 1}', 6],
    ['{"a":1,}', 8],
    ['[1]]', 4],
    ['[tru]', 2],
    ['["\u0001"]', 2],
    ['[01]', 2],
    ['{1:2}', 2],
    ['[1', 3],
    ['', 1],
    ['[1}', 3],
    ['["a\\q"]', 2],
  ] as const) {
    t.equal((await split(by(''), fileOf(text))).fault?.details.column, column, text)
  }
  t.equal((await split(by(''), fileOf(Buffer.from([0x5b, 0xff, 0x5d])))).codes[0], 'SPLIT_JSON_INVALID')
  const deep = `[${'['.repeat(100_000)}${']'.repeat(100_000)},1]`
  t.equal((await split(by(''), fileOf(deep))).texts.length, 2, 'depth does not matter')
})

t.test('JSON: as JSON.parse has it, whatever the text', async (t) => {
  t.comment(`SEED=${SEED}`)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.jsonValue({ maxDepth: 4 })), fc.nat(4), fc.string(), async (list, indent, name) => {
      if (name === '__proto__') return
      const text = JSON.stringify({ x: '[', [name]: [list], z: [] }, null, indent)
      const pointer = `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}/0`
      if (name === 'x' || name === 'z') return
      const { texts } = await split({ by: { json: { pointer } }, empty: 'drop' }, fileOf(text))
      t.same(
        texts.map((each) => JSON.parse(each)),
        JSON.parse(JSON.stringify(list)),
      )
    }),
    { seed: SEED, numRuns: 200 },
  )
})

t.test('lines and records, with what is repeated', async (t) => {
  const csv = 'id,name\r\n1,"a\n""b"\r\n2,x\r\n3,y'
  const { texts, rows } = await split({ by: { csv: { lines: 2 } }, keep: ['name'] }, fileOf(csv, 'list.csv'))
  t.same(texts, ['id,name\r\n1,"a\n""b"\r\n2,x\r\n', 'id,name\r\n3,y'])
  t.same(rows[1], { name: 'list.2.csv', size: 12, part: 2, parts: 2 })
  t.same((await split({ by: { lines: {} } }, fileOf('a\n\n"b'))).texts, ['a\n', '\n', '"b'])
  t.same((await split({ by: { lines: { lines: 2, header: 1 } } }, fileOf('h\na\nb\nc\n'))).texts, [
    'h\na\nb\n',
    'h\nc\n',
  ])
  const open = await split({ by: { csv: { header: 0 } } }, fileOf('a\n1,"b\nc\n'))
  t.match(open.fault, { code: 'SPLIT_TEXT_INVALID', details: { line: 2 } })
  t.equal((await split({ by: { lines: {} } }, fileOf(Buffer.from('a\nb', 'utf16le')))).codes[0], 'SPLIT_TEXT_INVALID')
  t.equal((await split({ by: { csv: {} } }, fileOf('only,a,header\n'))).codes[0], 'SPLIT_EMPTY')
  t.equal((await split({ by: { lines: {} } }, fileOf(''))).codes[0], 'SPLIT_EMPTY')
  t.same((await split({ by: { lines: {} }, empty: 'drop' }, fileOf(''))).codes, [])
  // In a field a text stays one.
  const inField = await split({ by: { lines: {} }, field: 'd' }, { row: { d: '一\n二', name: 'n' }, ref: 1 })
  t.same(inField.rows, [
    { d: '一\n', name: 'n', part: 1, parts: 2 },
    { d: '二', name: 'n', part: 2, parts: 2 },
  ])
})

t.test('members of an archive', async (t) => {
  const zip = zipSync({ 'a.txt': Buffer.from('A'), 'sub/b.json': Buffer.from('{}') })
  const { texts, rows } = await split({ by: { zip: {} } }, fileOf(zip, 'x.zip'))
  t.same(texts, ['A', '{}'])
  t.match(rows, [
    { name: 'a.txt', mediaType: 'text/plain', part: 1, parts: 2, size: 1 },
    { name: 'sub/b.json', mediaType: 'application/json', part: 2, parts: 2 },
  ])
  const bomb = zipSync({ bomb: new Uint8Array(30 * 1024 * 1024) })
  t.equal((await split({ by: { zip: {} } }, fileOf(bomb))).codes[0], 'DECOMPRESSED_RATIO')
  t.equal((await split({ by: { zip: { membersMax: 1 } } }, fileOf(zip))).codes[0], 'ZIP_MEMBERS')
  t.equal((await split({ by: { zip: {} } }, fileOf('no zip'))).codes[0], 'COMPRESSED_INVALID')
})

t.test('rows by a list of the row', async (t) => {
  const row: Row = { id: 7, lines: [{ id: 1, q: 2n }, { q: 3 }], x: 1 }
  const rowsOf = async (array: object, given: Row = row) =>
    (await split({ by: { array: { name: 'lines', ...array } } }, { row: given, ref: 1 })).rows
  t.same(await rowsOf({}), [
    { id: 7, x: 1, lines: { id: 1, q: 2n }, part: 1, parts: 2 },
    { id: 7, x: 1, lines: { q: 3 }, part: 2, parts: 2 },
  ])
  t.same((await rowsOf({ as: 'line' }))[1], { id: 7, x: 1, line: { q: 3 }, part: 2, parts: 2 })
  t.same(await rowsOf({ spread: true }), [
    { id: 1, x: 1, q: 2n, part: 1, parts: 2 },
    { id: 7, x: 1, q: 3, part: 2, parts: 2 },
  ])
  const codeOf = async (lines: Row['x'] | undefined, more = {}) =>
    (
      await split(
        { by: { array: { name: 'lines', ...more } }, partsMax: 3 },
        { row: lines === undefined ? {} : { lines }, ref: 1 },
      )
    ).codes.join()
  t.equal(await codeOf(undefined), 'SPLIT_NO_LIST')
  t.equal(await codeOf('text'), 'SPLIT_NO_LIST')
  t.equal(await codeOf([]), 'SPLIT_EMPTY')
  t.equal(await codeOf([1, 2, 3, 4]), 'SPLIT_TOO_MANY')
  t.equal(await codeOf([{}, 1], { spread: true }), 'SPLIT_NO_LIST')
})

t.test('hostile documents are refused, their neighbours pass', async (t) => {
  const xml = make({ by: { xml: { path: '/a/b' } }, bytesMax: '1 MiB', partsMax: 1_000 })
  const good = '<a><b/></a>'
  const bad = [
    '<a><b></a>',
    '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a><b>&e;</b></a>',
    `${'<a>'.repeat(10_000)}${'</a>'.repeat(10_000)}`,
    `<a>${'<b/>'.repeat(1_001)}</a>`,
    '<a>\0</a>',
    '<?xml version="1.0" encoding="UTF-16"?><a><b/></a>',
    '<c/>',
    `<a ${'x'.repeat(2_000_000)}="1"/>`,
  ]
  const { reject, codes } = collector()
  const items = bad.flatMap((text, i) => [fileOf(text, 'b.xml', 2 * i), fileOf(good, 'g.xml', 2 * i + 1)])
  const passed = await xml.process(items, reject)
  t.same(
    passed.map(({ ref }) => ref),
    bad.map((_, i) => 2 * i + 1),
  )
  t.same(codes(), [
    'XML_NOT_WELL_FORMED',
    'XML_DTD_REFUSED',
    'XML_TOO_COMPLEX',
    'SPLIT_TOO_MANY',
    'XML_NOT_WELL_FORMED',
    'XML_ENCODING',
    'SPLIT_EMPTY',
    'DOCUMENT_TOO_LARGE',
  ])
  // What is repeated in each part multiplies.
  const wide = `${'h'.repeat(100_000)}\n${'x\n'.repeat(1_000)}`
  t.equal((await split({ by: { lines: { header: 1 } }, bytesMax: '1 MiB' }, fileOf(wide))).codes[0], 'SPLIT_TOO_LARGE')
  const around = `<a x="${'h'.repeat(100_000)}">${'<b/>'.repeat(1_000)}</a>`
  t.equal(
    (await split({ by: { xml: { path: '/a/b', ancestors: true } }, bytesMax: '1 MiB' }, fileOf(around))).codes[0],
    'SPLIT_TOO_LARGE',
  )
})

t.test('what takes time runs in a thread', (t) => {
  const isolated = (by: object) => isSplitIsolated(settingsOf(splitSettings, { by }))
  t.same(
    [isolated({ json: {} }), isolated({ zip: {} }), isolated({ csv: {} }), isolated({ array: { name: 'a' } })],
    [true, true, false, false],
  )
  t.same(itemsOf([]), [])
  t.end()
})
