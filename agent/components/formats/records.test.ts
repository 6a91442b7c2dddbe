import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Row } from '../contract.ts'
import { LINE_BYTES_MAX } from '../limits.ts'
import { faultOf } from '../support/testing.ts'
import { type Encoding, encodeText } from './encoding.ts'
import { type BrokenRecord, type Place, type RecordFormat, RecordReader } from './records.ts'

const CSV: RecordFormat = {
  kind: 'csv',
  encoding: 'utf-8',
  csv: { delimiter: ',', quote: '"' },
  header: true,
  columns: null,
}

async function readAll(
  t: Test,
  content: string | Buffer,
  format: Partial<RecordFormat> = {},
  options: { resume?: Place; batch?: number } = {},
): Promise<{ rows: Row[]; lines: number[]; broken: BrokenRecord[]; places: Place[]; texts: string[] }> {
  const path = join(t.testdir({}), 'x.csv')
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  await writeFile(path, bytes)
  const file = await open(path)
  try {
    const reader = await RecordReader.open(file, {
      sizeBytes: bytes.length,
      format: { ...CSV, ...format },
      where: 'x.csv',
      resume: options.resume ?? null,
    })
    const all = {
      rows: [] as Row[],
      lines: [] as number[],
      broken: [] as BrokenRecord[],
      places: [] as Place[],
      texts: [] as string[],
    }
    while (!reader.ended) {
      const records = await reader.read(options.batch ?? 1_000)
      all.rows.push(...records.rows)
      all.lines.push(...records.lines)
      all.broken.push(...records.broken)
      all.texts.push(...(await reader.texts(records.broken)))
      all.places.push(reader.place)
    }
    return all
  } finally {
    await file.close()
  }
}

const gb = (text: string, encoding: Encoding = 'gb18030'): Buffer => {
  const encoded = encodeText(text, encoding)
  if (!encoded.ok) throw new Error('test text')
  return encoded.bytes
}

t.test('GB18030 with two and four bytes a character', async (t) => {
  const { rows, broken } = await readAll(t, gb('代码,名称\n441900,𠮷林㐀村\n1,"䶮,𬭸"\n'), { encoding: 'gb18030' })
  t.same(rows, [
    { 代码: '441900', 名称: '𠮷林㐀村' },
    { 代码: '1', 名称: '䶮,𬭸' },
  ])
  t.same(broken, [])
})

t.test('a trail byte that looks like a delimiter is none', async (t) => {
  // 亅 is 0x81 0x7C in GBK: its second byte is the pipe.
  const { rows } = await readAll(t, gb('a|b\n亅|亅\n'), { encoding: 'gbk', csv: { delimiter: '|', quote: '"' } })
  t.same(rows, [{ a: '亅', b: '亅' }])
})

t.test('one broken line costs one row, wherever the others stand', async (t) => {
  const content = Buffer.concat([
    Buffer.from('a,b\r\n1,2\r\n3\r\n4,"5\n'),
    Buffer.from('6,7\n8,"9" x\n'),
    Buffer.from([0x31, 0x2c, 0xff, 0xfe, 0x0a]),
    Buffer.from('10,1\u00001\n\n12,"multi\nline"\n13,"never closed\n14,15'),
  ])
  const { rows, lines, broken, texts } = await readAll(t, content)
  t.same(rows, [
    { a: '1', b: '2' },
    { a: '6', b: '7' },
    { a: '12', b: 'multi\nline' },
    { a: '14', b: '15' },
  ])
  t.same(lines, [2, 5, 10, 13])
  t.same(
    broken.map(({ line, code }) => `${line} ${code}`),
    ['3 CSV_COLUMNS', '4 CSV_QUOTES', '6 CSV_QUOTES', '7 TEXT_UNDECODABLE', '8 TEXT_NUL', '12 CSV_QUOTES'],
  )
  t.same(texts, ['3', '4,"5', '8,"9" x', '1,\ufffd\ufffd', '10,1\u00001', '13,"never closed'])
})

t.test('reading goes on at every place exactly where it stopped', async (t) => {
  const body = Array.from({ length: 60 }, (_, i) =>
    i % 7 === 3 ? `${i},"two\nlines"` : i % 11 === 5 ? 'broken' : `${i},名${i}`,
  )
  const content = gb(`\ufeffid,name\r\n${body.join('\r\n')}`)
  const whole = await readAll(t, content, { encoding: 'gb18030' }, { batch: 1 })
  t.equal(whole.rows.length + whole.broken.length, 60)
  let done = 0
  for (const place of whole.places) {
    done += 1
    const rest = await readAll(t, content, { encoding: 'gb18030' }, { resume: place })
    t.equal(rest.rows.length + rest.broken.length, 60 - done, `after ${done}`)
    if (rest.rows.length > 0) t.same(rest.rows.at(-1), whole.rows.at(-1), 'the rest ends alike')
  }
})

t.test('blocks, long lines and records across block ends', async (t) => {
  const long = 'x'.repeat(700_000)
  const tooLong = 'y'.repeat(3 * LINE_BYTES_MAX)
  const slightly = 'z'.repeat(LINE_BYTES_MAX + 10)
  const multi = `"${'line\n'.repeat(100_000)}"`
  const content = `a,b\n1,${long}\n2,${tooLong}\n3,${long}\n4,${multi}\n5,${slightly}\n6,"${'open\n'.repeat(250_000)}`
  const { rows, broken } = await readAll(t, content)
  t.same(
    rows.map((row) => [row.a, String(row.b).length]),
    [
      ['1', 700_000],
      ['3', 700_000],
      ['4', 500_000],
    ],
  )
  t.same(
    broken.slice(0, 3).map(({ line, code }) => `${line} ${code}`),
    ['3 LINE_TOO_LONG', '100006 LINE_TOO_LONG', '100007 CSV_QUOTES'],
  )
  t.equal(broken.length, 2 + 250_000, 'after a quote that never closes each line is looked at again')
})

t.test('headers', async (t) => {
  const code = async (content: string, format: Partial<RecordFormat> = {}) =>
    (await faultOf(() => readAll(t, content, format)))?.describe() ?? 'no fault'
  t.match(await code('a,a\n1,2\n'), /FILE_HEADER at x.csv:1: .*appears twice/)
  t.match(await code('\n\na,"b\nc",a\n1,2,3\n'), /FILE_HEADER at x.csv:3: /, 'the line where it begins')
  t.match(await code('a,b\r1,2\r'), /FILE_HEADER at x.csv:1: .*carriage return/, 'rows would vanish')
  t.match(await code('a,\n1,2\n'), /column 2 has no usable name/)
  t.match(await code('"a\n1,2\n'), /FILE_HEADER/)
  t.match(await code('cod,name\n', { columns: ['code'] }), /no column "code".*did it mean "cod"/)
  t.equal(await code('', { columns: ['code'] }), 'no fault', 'an empty file is just empty')
  t.match(await code('\ufeffa\n', { encoding: 'gbk' }), /FILE_NOT_TEXT.*UTF-8/)
  const lying = '编号,姓名\n1,王芳\n'
  t.match(await code(lying, { encoding: 'gbk' }), /FILE_NOT_TEXT.*its bytes are UTF-8/)
  const bare = await readAll(t, '1,2\n', { header: false, columns: ['x', 'y'] })
  t.same(bare.rows, [{ x: '1', y: '2' }])
  const { rows } = await readAll(t, '\ufeff a , b\n1,2\n')
  t.same(rows, [{ a: '1', b: '2' }], 'no byte order mark and no spaces in names')
})

t.test('JSON Lines: a broken line costs itself', async (t) => {
  const content = '{"a":1}\r\n{"a":\n[1]\n\n{"a":"中"}'
  const { rows, broken } = await readAll(t, content, { kind: 'jsonl' })
  t.same(rows, [{ a: 1 }, { a: '中' }])
  t.same(
    broken.map(({ line, code }) => `${line} ${code}`),
    ['2 JSON_INVALID', '3 JSON_NOT_OBJECT'],
  )
})
