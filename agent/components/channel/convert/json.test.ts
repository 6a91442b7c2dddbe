// JSON documents, JSON Lines and CSV.

import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import t from 'tap'
import type { Row } from '../../contract.ts'
import { encodeText } from '../../formats/mod.ts'
import { randomFrom } from '../../support/testing.ts'
import { bytesOf, convert, documentOf, fileOf, rowsOf } from './testing.ts'

const root = t.testdir({})
const json = (text: string, settings: object = {}, more: object = {}) => rowsOf(root, { json: settings }, text, more)
const write = async (rows: readonly Row[], to: object, more: object = {}) => {
  const made = await documentOf(root, to, rows, more)
  return made instanceof Buffer ? made.toString() : made
}

t.test('records at a pointer; one object is one record', async (t) => {
  const text = '{ "meta": {"n": [1, {"a": "]}"}]}, "a/b": {"items": [ {"id": 1}, {"id": 2} ]}, "z": "\\"" }\n'
  t.same(await json(text, { path: '/a~1b/items' }), [{ id: 1 }, { id: 2 }])
  t.same(await json(text, { path: '/a~1b/items/1' }), [{ id: 2 }])
  t.same(await json(text, { path: '/meta/n/1' }), [{ a: ']}' }])
  t.same(await json('[]'), [])
  t.same(await json('{"a":1}'), [{ a: 1 }])
  t.match(await json(text, { path: '/nothing' }), { code: 'CONVERT_PATH' })
  t.match(await json(text, { path: '/z/a' }), { code: 'CONVERT_PATH' })
})

t.test('numbers keep every digit, texts every character', async (t) => {
  const text = '[{"id":12345678901234567890,"x":0.12345678901234567890,"y":1e400,"s":"\\u0000\\ud800\\u00e9"}]'
  const rows = (await json(text)) as Row[]
  t.same(rows, [{ id: 12_345_678_901_234_567_890n, x: '0.12345678901234567890', y: '1e400', s: '\0\ud800é' }])
  t.equal(
    await write(rows, { json: {} }),
    '[{"id":12345678901234567890,"x":"0.12345678901234567890","y":"1e400","s":"\\u0000\\ud800é"}]',
  )
  t.match(await write(rows, { csv: {} }), { code: 'TEXT_NUL' })
  t.match(await write([{ s: '\ud800' }], { csv: {} }), { code: 'TEXT_UNENCODABLE', message: /U\+D800/ })
})

t.test('what is not JSON is refused with its place; one broken record can be alone', async (t) => {
  for (const [text, line, column] of [
    ['[{"a":1},\n {"a":2}', 2, 9],
    ['[{"a":1}\n{"a":2}]', 2, 1],
    ['{"a":1} x', 1, 9],
    ['[{"a":"x}]', 1, 7],
    ['{"b":tru,"a":[]}', 1, 6],
    ['', 1, 1],
    ['{"a" 1}', 1, 6],
    ['{a:[]}', 1, 2],
    ['[{"a":1},]', 1, 10],
  ] as const) {
    const path = text.startsWith('{') ? { path: '/a' } : {}
    t.match(await json(text, path), { code: 'JSON_INVALID', details: { line, column } }, text)
  }
  t.match(await json('[1]'), { code: 'JSON_NOT_OBJECT', where: 'list.txt:1:2' })
  t.match(await json('{"a":[1],"a":[2]}', { path: '/a' }), { code: 'JSON_INVALID', message: /twice/ })
  const broken = fileOf('[{"a":1},\n{"a":01},"x",{"a":2}]')
  const { items, rejects } = await convert(root, { from: { json: {} }, to: { rows: {} }, onBroken: 'reject-row' }, [
    broken,
  ])
  t.same(
    items.map(({ row }) => row.a),
    [1, 2],
  )
  t.match(rejects, [
    { item: { row: { text: '{"a":01}' } }, fault: { code: 'JSON_INVALID', where: 'list.txt:2:6' } },
    { item: { row: { text: '"x"' } }, fault: { code: 'JSON_NOT_OBJECT' } },
  ])
  t.match(await json('\xff[]'), { code: 'JSON_INVALID' })
})

t.test('nesting is bounded, however deep', async (t) => {
  t.match(await json(`[{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}]`), {
    code: 'JSON_INVALID',
    message: /levels/,
  })
  t.match(await json('['.repeat(100_000)), { code: 'JSON_INVALID' })
  t.match(await rowsOf(root, { jsonl: {} }, `{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}\n`), {
    code: 'JSON_INVALID',
  })
})

t.test('any JSON: the same verdict and the same records as JSON.parse', async (t) => {
  const seed = Number(process.env.SEED ?? 85_001)
  const random = randomFrom(seed)
  t.comment(`SEED=${seed}`)
  const alphabet = ['{', '}', '[', ']', ',', ':', '"a"', '"\\""', '1', 'true', ' ', '{"a":1}', '{"b":["]"]}']
  let valid = 0
  for (let i = 0; i < 6_000; i += 1) {
    const inner = Array.from(
      { length: Math.floor(random() * 7) },
      () => alphabet[Math.floor(random() * alphabet.length)],
    ).join('')
    const text = i % 2 === 0 ? `[${inner}]` : `{"x":[${inner}]}`
    let wanted: unknown = 'broken'
    try {
      const parsed = JSON.parse(text)
      const list = i % 2 === 0 ? parsed : parsed.x
      wanted = list.every((each: unknown) => typeof each === 'object' && each !== null && !Array.isArray(each))
        ? list
        : 'broken'
    } catch {
      // It is.
    }
    const found = await json(text, i % 2 === 0 ? {} : { path: '/x' })
    const got = Array.isArray(found) ? found : 'broken'
    if (JSON.stringify(got) !== JSON.stringify(wanted)) t.same(got, wanted, `seed ${seed}: ${text}`)
    if (Array.isArray(found)) valid += 1
  }
  t.ok(valid > 100, `${valid} were records`)
})

t.test('shapes of JSON written', async (t) => {
  const rows: Row[] = [{ a: 1 }, { a: new Uint8Array([1]) }]
  t.equal(await write(rows, { json: { path: '/data/x~1y' } }), '{"data":{"x/y":[{"a":1},{"a":"AQ=="}]}}')
  t.equal(await write([{ a: [1] }], { json: { single: true, path: '/d' } }), '{"d":{"a":[1]}}')
  t.match(await write(rows, { json: { single: true } }), { code: 'CONVERT_RECORDS_COUNT' })
  const pretty = await write(rows, { json: { indent: 2, path: '/data' } })
  t.same(JSON.parse(pretty as string), { data: [{ a: 1 }, { a: 'AQ==' }] })
  t.match(pretty, /\n {2}"a": 1\n/)
  t.equal(await write(rows, { jsonl: { bom: true } }), '\ufeff{"a":1}\n{"a":"AQ=="}\n')
  t.match((await convert(root, { from: { jsonl: {} }, to: { json: { single: true } } }, [fileOf('')])).rejects, [
    { fault: { code: 'CONVERT_RECORDS_COUNT' } },
  ])
})

const value = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r\n', ';', ' ', '中', '\ufeff', "'", '=') }),
  fc.constantFrom('', 'x'),
)

t.test('CSV: what is written is what csv-parse reads, and what we read, in any encoding', async (t) => {
  const seed = Number(process.env.SEED ?? 85_001)
  t.comment(`SEED=${seed}`)
  const encodings = fc.constantFrom('utf-8', 'gb18030', 'utf-16', 'utf-16be')
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ a: value, 'b"c': value }), { minLength: 1, maxLength: 8 }),
      encodings,
      async (rows, encoding) => {
        const made = await documentOf(root, { csv: { encoding, delimiter: ';' } }, rows)
        const back = await rowsOf(root, { csv: { encoding, delimiter: ';' } }, made as Buffer)
        if (JSON.stringify(back) !== JSON.stringify(rows)) throw new Error(`${encoding} ${JSON.stringify(back)}`)
        const { items } = await convert(root, { from: { text: { encoding } }, to: { text: {} } }, [
          fileOf(made as Buffer),
        ])
        const theirs = parse(bytesOf(items[0]), { columns: true, delimiter: ';', record_delimiter: ['\r\n'] })
        if (JSON.stringify(theirs) !== JSON.stringify(rows)) throw new Error(`csv-parse: ${JSON.stringify(theirs)}`)
      },
    ),
    { seed, numRuns: 300 },
  )
})

t.test('CSV: headers, ragged rows, marks', async (t) => {
  const csv = (text: string | Uint8Array, settings: object = {}) => rowsOf(root, { csv: settings }, text)
  t.match(await csv('a,b,a\n1,2,3\n'), { code: 'FILE_HEADER', message: /"a" appears twice/ })
  t.match(await csv('a,b\n1,2,3\n'), { code: 'CSV_COLUMNS', where: 'list.txt:2', details: { line: 2 } })
  t.match(await csv('a,b\n1,"2\n3'), { code: 'CSV_QUOTES' })
  t.same(await csv('\ufeffa,b\r\n1,"x\r\ny"\r\n\r\n'), [{ a: '1', b: 'x\r\ny' }])
  t.same(await csv('1;2\n', { header: false, columns: ['x', 'y'], delimiter: ';' }), [{ x: '1', y: '2' }])
  t.match(await csv('a\n1\0\n'), { code: 'TEXT_NUL', details: { line: 2 } })
  const gbk = encodeText('编号\n甲\n', 'gbk')
  t.match(gbk.ok && (await csv(gbk.bytes)), { code: 'FILE_HEADER' })
  t.match(await csv(Buffer.from('feff0061', 'hex'), { encoding: 'utf-16le' }), { code: 'CONVERT_ENCODING' })
  t.match(await csv(Buffer.from('PK\x03\x04')), { code: 'FILE_NOT_TEXT', message: /Excel/ })
  t.equal(await write([{ a: 1, b: null, c: true, d: [1] }], { csv: { lineEnd: 'lf' } }), 'a,b,c,d\n1,,true,[1]\n')
  t.equal(
    await write([{ a: '=1' }, { a: null }], { csv: { lineEnd: 'lf', header: false, formulaSafe: true } }),
    '\'=1\n""\n',
  )
  t.equal(
    await write([{ b: 1, z: 2 }], { csv: { lineEnd: 'lf', columns: ['a', 'b'], ignoreExtra: true } }),
    'a,b\n,1\n',
  )
  t.match(await write([{ a: 'x,y' }], { csv: { quote: '' } }), { code: 'CONVERT_VALUE' })
})
