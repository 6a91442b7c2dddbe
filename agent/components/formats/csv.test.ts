import { parse } from 'csv-parse/sync'
import t from 'tap'
import { randomFrom } from '../support/testing.ts'
import { formatCsvRecord, parseCsvRecord } from './csv.ts'

const COMMA = { delimiter: ',', quote: '"' }

function readAll(text: string, options = COMMA): string[][] | string {
  const lines = text.endsWith('\n') ? text.slice(0, -1).split('\n') : text.split('\n')
  const records: string[][] = []
  for (let at = 0; at < lines.length; ) {
    const record = parseCsvRecord(lines, at, options)
    if (record.kind !== 'fields') return record.kind === 'open' ? 'open' : record.why
    records.push(record.fields)
    at += record.lines
  }
  return records
}

t.test('records by RFC 4180', async (t) => {
  t.same(readAll('a,b,c\r\n'), [['a', 'b', 'c']])
  t.same(readAll('"a,""b""",,"x\r\ny"\r\nz\r\n'), [['a,"b"', '', 'x\r\ny'], ['z']])
  t.same(readAll('"a"\r'), [['a']])
  t.same(readAll('a,"b'), 'open')
  t.match(readAll('a,b"c'), /column 2: a quote stands inside/)
  t.match(readAll('"a"b,c'), /column 1: text follows/)
  t.same(readAll("'a;b';c", { delimiter: ';', quote: "'" }), [['a;b', 'c']])
  t.same(readAll('5"屏,x', { delimiter: ',', quote: '' }), [['5"屏', 'x']], 'no quotes at all')
  t.match(readAll('a,b\r1,2\r3,4\r'), /carriage return stands alone/, 'a whole file would be its header')
  t.match(readAll('a,"b",c\rd'), /carriage return stands alone/)
  t.match(readAll('a\r\r\n'), /carriage return stands alone/)
  t.equal(parseCsvRecord([','.repeat(3_000)], 0, COMMA).kind, 'broken', 'columns are bounded')
})

t.test('what is written is what csv-parse reads, and what we read', async (t) => {
  const seed = 20_260_301
  const random = randomFrom(seed)
  const alphabet = ['a', ',', '"', '\n', '\r\n', ' ', '中', '𠮷', '=', '', '-1', '\t', ';', "'"]
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T
  for (let i = 0; i < 2_000; i += 1) {
    const width = 1 + Math.floor(random() * 4)
    const record = Array.from({ length: width }, () =>
      Array.from({ length: Math.floor(random() * 5) }, () => pick(alphabet)).join(''),
    )
    const line = formatCsvRecord(record, { ...COMMA, formulaSafe: false })
    const ours = readAll(line)
    const theirs = parse(line, { relax_column_count: true, record_delimiter: ['\n', '\r\n'] })
    if (JSON.stringify(ours) === JSON.stringify([record]) && JSON.stringify(theirs) === JSON.stringify([record]))
      continue
    t.same(ours, [record], `seed ${seed}, record ${i}`)
    t.same(theirs, [record], `csv-parse, seed ${seed}, record ${i}`)
  }
})

t.test('any text: either csv-parse agrees with us or both find it broken', async (t) => {
  const seed = 4_452
  const random = randomFrom(seed)
  const alphabet = ['a', 'b', ',', ',', '"', '"', '\n', 'x']
  let broken = 0
  for (let i = 0; i < 5_000; i += 1) {
    const text = Array.from(
      { length: 1 + Math.floor(random() * 12) },
      () => alphabet[Math.floor(random() * alphabet.length)],
    ).join('')
    // Blank lines are the reader's matter, not the parser's.
    if (/^\n|\n\n|\n$/.test(text)) continue
    const ours = readAll(text)
    let theirs: unknown
    try {
      theirs = parse(text, { relax_column_count: true, record_delimiter: '\n' })
    } catch {
      theirs = 'broken'
    }
    if (typeof ours === 'string') broken += 1
    if (typeof ours === 'string' ? theirs !== 'broken' : JSON.stringify(ours) !== JSON.stringify(theirs)) {
      t.same(ours, theirs, `seed ${seed}, text ${JSON.stringify(text)}`)
    }
  }
  t.ok(broken > 500, `${broken} broken texts were among them`)
})

t.test('null and empty differ, formulas are defused on request', async (t) => {
  const write = (fields: (string | null)[], formulaSafe = false) => formatCsvRecord(fields, { ...COMMA, formulaSafe })
  t.equal(write(['a', null, '', ' b']), 'a,,""," b"')
  t.equal(write(['=1+1', '-5', '+x', '@a'], true), "'=1+1,-5,'+x,'@a")
  t.equal(write(['=1+1']), '=1+1', 'unchanged by default')
})
