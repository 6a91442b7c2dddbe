// Workbooks: those of others as they are meant, ours as we and others read them, and those that mean harm.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import type { Row } from '../../../contract.ts'
import { packZip } from '../../compress/mod.ts'
import { unzip } from '../../decompress/mod.ts'
import { convert, documentOf, fileOf, rowsOf } from '../testing.ts'
import { dateKind, isoOf, serialOf } from './serial.ts'

const root = t.testdir({})
const vector = (name: string): Buffer => readFileSync(join(import.meta.dirname, 'vectors', name))
const rowsIn = (workbook: Buffer, settings: object = {}, more: object = {}) =>
  rowsOf(root, { xlsx: settings }, workbook, more)

t.test('a workbook of openpyxl: texts, numbers, dates by their format', async (t) => {
  const rows = await rowsIn(vector('openpyxl.xlsx'))
  t.same(rows, [
    {
      证号: '441900199001011234',
      姓名: '陈𠮷',
      金额: 1234.5,
      日期: '2026-03-01',
      时刻: '2026-03-01T08:30:00',
      时间: '08:30:00',
      有效: true,
      备注: 'a\nb',
      合计: null,
    },
    {
      证号: '00012',
      姓名: ' 前后 ',
      金额: 0.1,
      日期: '1900-01-01',
      时刻: '1999-12-31T23:59:59',
      时间: '23:59:59',
      有效: false,
      备注: '\r and <&>',
      合计: null,
    },
    {
      证号: '7',
      姓名: '最后',
      金额: 9_007_199_254_740_991,
      日期: '1900-03-01',
      时刻: null,
      时间: null,
      有效: null,
      备注: null,
      合计: null,
    },
  ])
  const texts = (await rowsIn(vector('openpyxl.xlsx'), { numbers: 'text' })) as Row[]
  t.same(
    texts.map(({ 金额 }) => 金额),
    ['1234.5', '0.1', '9007199254740991'],
  )
})

t.test('sheets by name or number; merged cells have the value of their first', async (t) => {
  const merged = [
    { 部门: '甲', 人: 'a', 项: 1 },
    { 部门: '甲', 人: 'b', 项: 2 },
    { 部门: '甲', 人: 'c', 项: 3 },
    { 部门: '乙', 人: 'd', 项: 'd' },
  ]
  t.same(await rowsIn(vector('openpyxl.xlsx'), { sheet: '2026' }), merged, 'a name of digits is a name')
  t.same(await rowsIn(vector('openpyxl.xlsx'), { sheet: '2' }), merged)
  t.match(await rowsIn(vector('openpyxl.xlsx'), { sheet: '4' }), {
    code: 'CONVERT_SHEET',
    message: /"许可证", "2026", "formulas"/,
  })
  t.match(await rowsIn(vector('xlsxwriter.xlsx'), { sheet: 'Chart' }), {
    code: 'CONVERT_SHEET',
    message: /no sheet of cells/,
  })
})

t.test(
  'a workbook of XlsxWriter: days from 1904, rich texts, saved values of formulas, a header further down',
  async (t) => {
    const workbook = vector('xlsxwriter.xlsx')
    t.match(await rowsIn(workbook, { headerRow: 3 }), {
      code: 'CONVERT_CELL',
      where: 'list.txt:F6',
      message: /#DIV\/0!/,
    })
    const { items, rejects } = await convert(
      root,
      { from: { xlsx: { headerRow: 3 } }, to: { rows: {} }, onBroken: 'reject-row' },
      [fileOf(workbook)],
    )
    t.same(
      items.map(({ row }) => row),
      [
        { id: '001', at: '2026-03-01T08:30:00.250', sum: 3, rich: 'plain bold plain', error: null, elapsed: 1.5 },
        { id: '002 _x0041_', at: null, sum: 'text', rich: true, error: null, elapsed: null },
      ],
    )
    t.match(rejects, [{ item: { row: { text: /^\t003\t/ } }, fault: { code: 'CONVERT_CELL' } }])
    t.match(await rowsIn(vector('openpyxl.xlsx'), { sheet: 'formulas' }), {
      code: 'CONVERT_CELL',
      message: /never calculated/,
    })
  },
)

t.test('columns: those wanted, those twice, those without a name', async (t) => {
  const workbook = vector('openpyxl.xlsx')
  t.match(await rowsIn(workbook, { columns: ['证号', '姓'] }), { code: 'FILE_HEADER', message: /no column "姓"/ })
  t.match(await rowsIn(workbook, { sheet: '2026', headerRow: 5 }), {
    code: 'FILE_HEADER',
    message: /"d" appears twice/,
  })
  t.match(await rowsIn(workbook, { sheet: '2026', headerRow: 9 }), [])
  t.match(await rowsIn(workbook, { sheet: '2026', headerRow: 0, columns: ['x'] }), {
    code: 'CONVERT_CELL',
    where: 'list.txt:B1',
  })
  const open = (await rowsIn(workbook, { sheet: '2026', headerRow: 0 })) as Row[]
  t.same(open[1], { A: '甲', B: 'a', C: 1 })
})

const cell = fc.oneof(
  fc.string({
    unit: fc.constantFrom(
      'a',
      '中',
      '𠮷',
      ' ',
      '\n',
      '\r',
      '\t',
      '<',
      '&',
      '"',
      '_',
      'x0041_',
      '\u0001',
      '\0',
      '=1+1',
      "'",
      '\ufffe',
    ),
  }),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Number.isInteger(value)),
  fc.boolean(),
  fc.constant(null),
)

t.test('what is written is read as it was', async (t) => {
  const seed = Number(process.env.SEED ?? 155_001)
  t.comment(`SEED=${seed}`)
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ a: cell, 乙: cell, 'c d': fc.constant('end') }), { minLength: 1, maxLength: 20 }),
      async (rows) => {
        const made = await documentOf(root, { xlsx: { sheet: 'a & b' } }, rows)
        const back = await rowsIn(made as Buffer, { sheet: 'a & b' })
        if (JSON.stringify(back) !== JSON.stringify(rows)) throw new Error(JSON.stringify([rows, back]))
      },
    ),
    { seed, numRuns: 150 },
  )
})

t.test('numbers a spreadsheet would round become texts; dates become dates', async (t) => {
  const rows: Row[] = [
    { id: 441_900_199_001_011_234n, n: 123_456_789_012_345n, at: '2026-03-01', ok: true },
    { id: 9_007_199_254_740_991, n: 999_999_999_999_999, at: '2026-03-01 08:30', ok: null },
    { id: '=HYPERLINK("x")', n: -1.5, at: '2026-03-01T23:59:59.999', ok: false },
    { id: '', n: 0, at: null, ok: null },
  ]
  const made = (await documentOf(root, { xlsx: { dates: ['at'] } }, rows)) as Buffer
  t.same(await documentOf(root, { xlsx: { dates: ['at'] } }, rows), made, 'the same rows give the same bytes')
  t.same(await rowsIn(made), [
    { id: '441900199001011234', n: 123_456_789_012_345, at: '2026-03-01', ok: true },
    { id: '9007199254740991', n: 999_999_999_999_999, at: '2026-03-01T08:30:00', ok: null },
    { id: '=HYPERLINK("x")', n: -1.5, at: '2026-03-01T23:59:59.999', ok: false },
    { id: '', n: 0, at: null, ok: null },
  ])
  t.match(await documentOf(root, { xlsx: { dates: ['at'] } }, [{ at: '01.03.2026' }]), { code: 'CONVERT_DATE' })
  t.match(await documentOf(root, { xlsx: { dates: ['at'] } }, [{ at: '1899-01-01' }]), { code: 'CONVERT_DATE' })
  t.match(await documentOf(root, { xlsx: {} }, [{ a: 'x'.repeat(32_768) }]), { code: 'CONVERT_VALUE' })
  t.match(await documentOf(root, { xlsx: {} }, [{ a: '\ud800' }]), { code: 'CONVERT_VALUE' })
})

t.test('serial numbers: the day that never was, and both calendars', async (t) => {
  const date = { date: true, time: false }
  const both = { date: true, time: true }
  t.equal(isoOf(1, date, false), '1900-01-01')
  t.equal(isoOf(59, date, false), '1900-02-28')
  t.equal(isoOf(60, date, false), null)
  t.equal(isoOf(61, date, false), '1900-03-01')
  t.equal(isoOf(0, date, true), '1904-01-01')
  t.equal(isoOf(0, date, false), null)
  t.equal(isoOf(46_082.5, date, false), '2026-03-01T12:00:00', 'a time that the format does not show')
  t.equal(isoOf(46_082.999_999_999_9, both, false), '2026-03-02T00:00:00', 'rounded to milliseconds')
  t.equal(isoOf(2_958_465, date, false), '9999-12-31')
  t.equal(isoOf(2_958_466, date, false), null)
  t.equal(isoOf(-1, date, false), null)
  t.same(serialOf('2026-03-01'), { serial: 46_082, time: false })
  t.equal(serialOf('2026-02-29'), null)
  for (const [code, kind] of [
    ['yyyy"年"m"月"', 'date'],
    ['[$-409]h:mm AM/PM', 'time'],
    ['0.00E+00', null],
    ['#,##0.00 "days"', null],
    ['[h]:mm:ss', null],
    ['General', null],
    ['@', null],
    ['mmm', 'date'],
    ['mm:ss', 'time'],
    ['d/m/yy h:mm', 'both'],
    ['[Red]0;\\d', null],
  ] as const) {
    const found = dateKind(164, code)
    t.equal(found === null ? null : found.date && found.time ? 'both' : found.date ? 'date' : 'time', kind, code)
  }
})

t.test('what is no workbook, and what would fill the memory', async (t) => {
  const refused = async (bytes: Buffer, more: object = {}) =>
    ((await rowsIn(bytes, {}, more)) as { code: string; message: string }).code
  t.equal(await refused(Buffer.from('id,name\n')), 'CONVERT_XLSX')
  t.equal(await refused(Buffer.from('d0cf11e0a1b11ae1', 'hex')), 'CONVERT_XLSX')
  t.equal(await refused(vector('openpyxl.xlsx').subarray(0, 3_000)), 'CONVERT_XLSX')
  t.equal(await refused(await packZip([{ name: 'a.txt', bytes: Buffer.from('x') }], {})), 'CONVERT_XLSX')
  const members = await unzip(vector('openpyxl.xlsx'), {
    outputBytesMax: 1e6,
    ratioMax: 200,
    membersMax: 100,
    nameEncoding: 'utf-8',
    anyName: true,
  })
  const patched = (name: string, change: (text: string) => string) =>
    packZip(
      members.map((each) => (each.name === name ? { name, bytes: Buffer.from(change(each.bytes.toString())) } : each)),
      {},
    )
  const sheet = 'xl/worksheets/sheet1.xml'
  t.equal(
    await refused(await patched(sheet, (text) => text.replace('<sheetData>', `<sheetData>${' '.repeat(20_000_000)}`))),
    'CONVERT_XLSX_TOO_LARGE',
  )
  t.equal(
    await refused(
      await patched(sheet, (text) => `<!DOCTYPE x [<!ENTITY a "b">]>${text.replace(/^<\?xml[^>]*>\s*/, '')}`),
    ),
    'XML_DTD_REFUSED',
  )
  t.equal(
    await refused(await patched(sheet, () => `${'<a>'.repeat(10_000)}${'</a>'.repeat(10_000)}`)),
    'XML_TOO_COMPLEX',
  )
  t.equal(
    await refused(await patched(sheet, (text) => text.replace('r="2"', 'r="1"'))),
    'CONVERT_XLSX',
    'rows out of order',
  )
  const shared = await patched(sheet, (text) => text.replace('<c r="A1" t="inlineStr">', '<c r="A1" t="s"><v>9</v>'))
  t.equal(await refused(shared), 'FILE_HEADER', 'a text that is not there')
  t.equal(await refused(await patched(sheet, (text) => text.replace('r="A1"', 'r="XFE1"'))), 'CONVERT_XLSX')
})
