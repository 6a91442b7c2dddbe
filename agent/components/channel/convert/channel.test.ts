import t from 'tap'
import type { Row } from '../../contract.ts'
import { encodeText } from '../../formats/mod.ts'
import { itemsOf, settingsOf } from '../../support/testing.ts'
import { convertIsolated, convertSettings, convertTurns } from './mod.ts'
import { bytesOf, convert, documentOf, fileOf, rowsOf, textOf } from './testing.ts'

const root = t.testdir({})

t.test('a document becomes rows: one item, many items with its ref', async (t) => {
  const item = fileOf('id,name\n1,中\n2,"a\nb"\n', 'in/list.csv')
  const { items, rejects } = await convert(root, { from: { csv: {} }, to: { rows: {} }, keep: ['name'] }, [item])
  t.same(rejects, [])
  t.same(items, [
    { row: { name: '中', id: '1' }, ref: 'in/list.csv' },
    { row: { name: 'a\nb', id: '2' }, ref: 'in/list.csv' },
  ])
  const kept = await convert(root, { from: { csv: {} }, to: { rows: {} }, keep: ['size', 'nothing'] }, [item])
  t.same(kept.items[0]?.row, { size: 22, id: '1', name: '中' })
})

t.test('rows become one document, or one for each group', async (t) => {
  const rows: Row[] = [
    { city: '揭阳', id: 1 },
    { city: '汕头', id: 2 },
    { city: '揭阳', id: 9_007_199_254_740_993n },
  ]
  const { items } = await convert(root, { from: { rows: {} }, to: { csv: { encoding: 'gbk' } } }, itemsOf(rows))
  t.equal(items.length, 1)
  const [whole] = items
  t.equal(new TextDecoder('gbk').decode(bytesOf(whole)), 'city,id\r\n揭阳,1\r\n汕头,2\r\n揭阳,9007199254740993\r\n')
  t.match(whole?.row, { name: /^[0-9a-f]{16}\.csv$/, mediaType: 'text/csv; charset=gbk', modified: null })
  t.match(whole?.ref, /^channel:convert:/, 'it is of no single row')
  const settings = { from: { rows: {} }, to: { json: {} }, group: 'city', name: '{city}/{:rows}-{:digest}.json' }
  const grouped = await convert(root, settings, itemsOf(rows))
  t.match(grouped.items[0]?.row, { name: /^揭阳\/2-[0-9a-f]{16}\.json$/, city: '揭阳', mediaType: 'application/json' })
  t.equal(textOf(grouped.items[0]), '[{"city":"揭阳","id":1},{"city":"揭阳","id":9007199254740993}]')
  t.equal(grouped.items[1]?.ref, 2, 'what comes of one row is its')
  t.same(await convert(root, settings, itemsOf(rows)), grouped, 'the same rows give the same documents')
  t.same((await convert(root, settings, [])).items, [])
})

t.test('a document becomes another, through records', async (t) => {
  const settings = {
    from: { csv: { encoding: 'gb18030' } },
    to: { xml: { path: '/permits/permit', fields: { id: '@id', name: 'holder/name' } } },
  }
  const gbk = encodeText('id,name\r\n1,陈𠮷\r\n2,<&>\r\n', 'gb18030')
  if (!gbk.ok) throw new Error('test text')
  const { items, rejects } = await convert(root, settings, [fileOf(gbk.bytes, 'in/permits.2026.csv')])
  t.same(rejects, [])
  t.equal(
    textOf(items[0]),
    '<?xml version="1.0" encoding="UTF-8"?>\n<permits><permit id="1"><holder><name>陈𠮷</name></holder></permit><permit id="2"><holder><name>&lt;&amp;&gt;</name></holder></permit></permits>',
  )
  t.match(items[0], { ref: 'in/permits.2026.csv', row: { name: 'in/permits.2026.xml', mediaType: 'application/xml' } })
  t.equal(items[0]?.row.size, bytesOf(items[0]).length)
})

t.test('a document in a field stays there, as text while it is one', async (t) => {
  const items = [{ row: { id: 7, body: 'a,b\n1,2\n' }, ref: 1 }]
  const json = await convert(root, { from: { csv: {} }, to: { json: {} }, field: 'body' }, items)
  t.same(json.items, [{ row: { id: 7, body: '[{"a":"1","b":"2"}]' }, ref: 1 }])
  const rows = await convert(root, { from: { csv: {} }, to: { rows: {} }, field: 'body', keep: ['id'] }, items)
  t.same(rows.items, [{ row: { id: 7, a: '1', b: '2' }, ref: 1 }])
  const back = await convert(root, { from: { rows: {} }, to: { jsonl: {} }, field: 'all' }, rows.items)
  t.same(back.items, [{ row: { all: '{"id":7,"a":"1","b":"2"}\n' }, ref: 1 }])
  const utf16 = await convert(root, { from: { csv: {} }, to: { csv: { encoding: 'utf-16' } }, field: 'body' }, items)
  t.equal(Buffer.from(utf16.items[0]?.row.body as Uint8Array).toString('utf16le'), '\ufeffa,b\r\n1,2\r\n')
})

t.test('a broken record refuses the document, because it is one message; or only itself', async (t) => {
  const items = [fileOf('id,n\n1,a\n2\n3,c\n4,"x\n', 'a.csv'), fileOf('id,n\n5,e\n', 'b.csv')]
  const whole = await convert(root, { from: { csv: {} }, to: { rows: {} } }, items)
  t.same(whole.items, [{ row: { id: '5', n: 'e' }, ref: 'b.csv' }])
  t.match(whole.rejects, [{ item: items[0], fault: { code: 'CSV_COLUMNS', where: 'a.csv:3', details: { line: 3 } } }])
  const settings = { from: { csv: {} }, onBroken: 'reject-row' }
  for (const to of [{ rows: {} }, { jsonl: {} }]) {
    const { items: passed, rejects } = await convert(root, { ...settings, to }, items)
    if ('rows' in to)
      t.same(
        passed.map(({ row }) => row.id),
        ['1', '3', '5'],
      )
    else t.same(passed.map(textOf), ['{"id":"1","n":"a"}\n{"id":"3","n":"c"}\n', '{"id":"5","n":"e"}\n'])
    t.same(
      rejects.map(({ item, fault }) => [item.row, item.ref, fault.code]),
      [
        [{ document: 'a.csv', text: '2' }, 'channel:convert:a.csv#1', 'CSV_COLUMNS'],
        [{ document: 'a.csv', text: '4,"x' }, 'channel:convert:a.csv#2', 'CSV_QUOTES'],
      ],
    )
  }
})

t.test('a row that the document cannot hold is refused alone; a document that is too large whole', async (t) => {
  const rows: Row[] = [{ a: '中' }, { a: '𠮷' }, { a: 'b' }, { a: 'c', z: 1 }, { a: 'nul\0' }]
  const { items, rejects } = await convert(
    root,
    { from: { rows: {} }, to: { csv: { encoding: 'gbk', lineEnd: 'lf' } } },
    itemsOf(rows),
  )
  t.equal(new TextDecoder('gbk').decode(bytesOf(items[0])), 'a\n中\nb\n')
  t.match(rejects, [
    { item: { ref: 2 }, fault: { code: 'TEXT_UNENCODABLE', where: 'field "a"' } },
    { item: { ref: 4 }, fault: { code: 'CONVERT_EXTRA_FIELDS' } },
    { item: { ref: 5 }, fault: { code: 'TEXT_NUL' } },
  ])
  const large = await convert(
    root,
    { from: { rows: {} }, to: { csv: {} }, bytesMax: 10 },
    itemsOf([{ a: 'x'.repeat(20) }, { a: 'y' }]),
  )
  t.same(large.items, [])
  t.same(
    large.rejects.map(({ item, fault }) => [item.ref, fault.code]),
    [
      [1, 'DOCUMENT_TOO_LARGE'],
      [2, 'DOCUMENT_TOO_LARGE'],
    ],
  )
  t.match(await rowsOf(root, { csv: {} }, 'a\n1\n2\n3\n', { recordsMax: 2 }), { code: 'CONVERT_RECORDS_MANY' })
  t.match(await rowsOf(root, { csv: {} }, 'a\n1\n2\n3\n', { bytesMax: 7 }), { code: 'DOCUMENT_TOO_LARGE' })
})

t.test('which record of a document it is', async (t) => {
  const items = [fileOf('a,d\n1,2026-03-01\n𠮷,2026-03-01\n2,x\n', 'a.csv')]
  const settings = { from: { csv: {} }, to: { csv: { encoding: 'gbk' } } }
  const one = await convert(root, settings, items)
  t.match(one.rejects, [
    { fault: { code: 'TEXT_UNENCODABLE', where: 'a.csv, record 2, field "a"', details: { record: 2 } } },
  ])
  const dates = { d: { to: 'yyyyMMdd' } }
  const two = await convert(root, { ...settings, dates, onBroken: 'reject-row' }, items)
  t.equal(textOf(two.items[0]), 'a,d\r\n1,20260301\r\n')
  t.match(two.rejects, [
    { item: { row: { document: 'a.csv', a: '𠮷', d: '20260301' } }, fault: { code: 'TEXT_UNENCODABLE' } },
    { item: { row: { a: '2', d: 'x' } }, fault: { code: 'CONVERT_DATE', where: 'a.csv, record 3, field "d"' } },
  ])
})

t.test('others get their turn while a large document is converted', async (t) => {
  let turns = 0
  const timer = setInterval(() => {
    turns += 1
  }, 1)
  const { items } = await convert(root, { from: { csv: {} }, to: { jsonl: {} }, onBroken: 'reject-row' }, [
    fileOf(`a,b\n${'1,some text\n'.repeat(200_000)}`),
  ])
  clearInterval(timer)
  t.equal(items.length, 1)
  t.ok(turns > 0, `${turns} turns`)
})

t.test('groups are bounded', async (t) => {
  const rows = Array.from({ length: 10_002 }, (_, id) => ({ id }))
  const { items, rejects } = await convert(
    root,
    { from: { rows: {} }, to: { jsonl: {} }, group: ['id'] },
    itemsOf(rows),
  )
  t.equal(items.length, 10_000)
  t.same(
    rejects.map(({ fault }) => fault.code),
    ['CONVERT_GROUPS_MANY', 'CONVERT_GROUPS_MANY'],
  )
  t.match(await documentOf(root, { csv: {} }, [{}]), { code: 'CONVERT_VALUE' })
})

t.test('what is not what it should be', async (t) => {
  const file = fileOf('x')
  const gathered = await convert(root, { from: { rows: {} }, to: { csv: {} } }, [file, ...itemsOf([{ a: 1 }])])
  t.match(gathered.rejects, [{ fault: { code: 'CONVERT_FILE_GIVEN' } }])
  t.equal(gathered.items.length, 1)
  const content = { kind: 'local', path: '/nowhere', size: 500_000_000, changedMs: 0, inode: 1 } as const
  const large = await convert(root, { from: { csv: {} }, to: { rows: {} } }, [{ ...file, content }])
  t.match(large.rejects, [{ fault: { code: 'DOCUMENT_TOO_LARGE' } }], 'without reading it')
  const row = await convert(root, { from: { csv: {} }, to: { rows: {} } }, itemsOf([{ a: 1 }]))
  t.match(row.rejects, [{ fault: { code: 'DOCUMENT_MISSING' } }])
})

t.test('texts change their encoding, and XML tells of it', async (t) => {
  const text = '<?xml version="1.0" encoding="GBK"?>\n<a>国</a>'
  const gbk = encodeText(text, 'gbk')
  if (!gbk.ok) throw new Error('test text')
  const to = async (encoding: string, more: object = {}) =>
    convert(root, { from: { text: { encoding: 'gbk' } }, to: { text: { encoding, ...more } } }, [
      fileOf(gbk.bytes, 'a.xml'),
    ])
  t.equal(textOf((await to('utf-8')).items[0]), text.replace('GBK', 'UTF-8'))
  t.equal(textOf((await to('utf-8', { bom: true })).items[0]), `\ufeff${text.replace('GBK', 'UTF-8')}`)
  t.equal(bytesOf((await to('utf-16')).items[0]).toString('utf16le'), `\ufeff${text.replace('GBK', 'UTF-16')}`)
  t.match((await to('utf-8')).items[0], { ref: 'a.xml', row: { name: 'a.xml' } })
  t.match((await to('big5')).rejects, [{ fault: { code: 'TEXT_UNENCODABLE', message: /U\+56FD/ } }])
  const broken = await convert(root, { from: { text: {} }, to: { text: { encoding: 'gbk' } } }, [
    fileOf(gbk.bytes, 'b.xml'),
  ])
  t.match(broken.rejects, [
    { fault: { code: 'CONVERT_ENCODING', where: 'b.xml:2', details: { line: 2, position: 40 } } },
  ])
  const long = 'a'.repeat(65_535) + '𠮷'.repeat(65_536)
  const large = await convert(root, { from: { text: {} }, to: { text: { encoding: 'gb18030' } } }, [fileOf(long)])
  t.equal(new TextDecoder('gb18030').decode(bytesOf(large.items[0])), long, 'pairs are not cut')
})

t.test('dates and numbers of a locale, by explicit patterns', async (t) => {
  const rows = async (row: Row, more: object) => {
    const { items, rejects } = await convert(root, { from: { rows: {} }, to: { rows: {} }, ...more }, itemsOf([row]))
    return rejects[0]?.fault ?? items[0]?.row
  }
  const dates = {
    born: { from: 'yyyy年M月d日', to: 'yyyyMMdd' },
    at: { from: 'dd.MM.yyyy HH:mm', to: "yyyy-MM-dd'T'HH:mm" },
  }
  t.same(await rows({ born: '2000年2月29日', at: '01.03.2026 08:30', x: 1 }, { dates }), {
    born: '20000229',
    at: '2026-03-01T08:30',
    x: 1,
  })
  t.same(await rows({ born: '', at: null }, { dates }), { born: null, at: null })
  for (const born of ['1900年2月29日', '2026年13月1日', '2026-03-01', '26年1月1日', '2026年4月31日'])
    t.match(await rows({ born }, { dates }), { code: 'CONVERT_DATE', where: 'field "born"' }, born)
  const numbers = { n: { decimal: 'comma', group: 'point' } }
  t.same(await rows({ n: '1.234.567,80' }, { numbers }), { n: 1_234_567.8 })
  t.same(await rows({ n: '-12345678901234567890' }, { numbers }), { n: -12_345_678_901_234_567_890n })
  t.same(await rows({ n: 5 }, { numbers }), { n: 5 })
  for (const n of ['1,234,5', '12.34', '1.23,5', 'abc', '1e5', ',5', '0,12345678901234567890', '1.2345,6'])
    t.match(await rows({ n }, { numbers }), { code: 'CONVERT_NUMBER' }, n)
})

t.test('settings that do not go together', async (t) => {
  const wrong = (settings: object): string => {
    try {
      settingsOf(convertSettings, settings)
      return 'none'
    } catch (error) {
      return (error as Error).message
    }
  }
  const rows = { rows: {} }
  t.match(wrong({ from: { text: {} }, to: rows }), /`text` becomes `text`/)
  t.match(wrong({ from: { csv: {} }, to: rows, group: 'a' }), /`group`/)
  t.match(wrong({ from: rows, to: { csv: {} }, keep: ['a'] }), /`keep`/)
  t.match(wrong({ from: rows, to: { csv: { encoding: 'utf-7' } } }), /utf-16le/)
  t.match(wrong({ from: rows, to: { csv: { encoding: 'big5', bom: true } } }), /has none/)
  t.match(wrong({ from: rows, to: { csv: {} }, name: '{:now}.csv' }), /no \{:now\}/)
  t.match(wrong({ from: rows, to: rows, dates: { a: { from: 'dd/MM/yy' } } }), /yy means nothing/)
  t.match(wrong({ from: rows, to: rows, dates: { a: { to: 'yyyy-MM-dd HH:mm' } } }), /does not have the hour/)
  t.match(
    wrong({
      from: {
        fixed: {
          columns: [
            { name: 'a', width: 2 },
            { name: 'b', width: 1, start: 2 },
          ],
        },
      },
      to: rows,
    }),
    /starts before/,
  )
  t.match(wrong({ from: { xml: { path: 'list/item' } }, to: rows }), /starts with/)
  t.match(wrong({ from: { xml: { path: '/p:list' } }, to: rows }), /prefix p/)
  t.match(wrong({ from: rows, to: { xml: { path: '/a/b', fields: { x: 'c', y: 'c/d' } } } }), /text and elements/)
  t.equal(wrong({ from: { xml: { path: '/p:list', namespaces: { p: 'urn:x' } } }, to: rows }), 'none')
})

t.test('what it turns things into, and where it runs', async (t) => {
  const of = (settings: object) => settingsOf(convertSettings, settings)
  const [rows, csv] = [{ rows: {} }, { csv: {} }]
  t.equal(convertTurns(of({ from: csv, to: rows }), 'files'), 'rows')
  t.equal(convertTurns(of({ from: csv, to: csv }), 'files'), 'files')
  t.equal(convertTurns(of({ from: rows, to: csv }), 'rows'), 'files')
  t.equal(convertTurns(of({ from: rows, to: csv, field: 'x' }), 'rows'), 'rows')
  t.throws(() => convertTurns(of({ from: rows, to: csv }), 'files'), { code: 'CONVERT_FILE_GIVEN' })
  t.throws(() => convertTurns(of({ from: csv, to: rows }), 'rows'), { code: 'DOCUMENT_MISSING' })
  t.equal(convertIsolated(of({ from: csv, to: rows })), true)
  t.equal(convertIsolated(of({ from: csv, to: rows, onBroken: 'reject-row' })), false)
  t.equal(convertIsolated(of({ from: rows, to: csv })), false)
  t.ok((await documentOf(root, { csv: {} }, [{ a: 1 }])) instanceof Buffer)
})
