// Records of fixed width.

import fc from 'fast-check'
import t from 'tap'
import type { Row } from '../../contract.ts'
import { encodeText } from '../../formats/mod.ts'
import { convert, documentOf, fileOf, rowsOf } from './testing.ts'

const root = t.testdir({})

const COLUMNS = [
  { name: 'id', width: 6, align: 'right', pad: '0' },
  { name: 'name', width: 10 },
  { name: 'sum', width: 8, align: 'right', start: 20 },
]
const gbk = (text: string): Buffer => {
  const encoded = encodeText(text, 'gbk')
  if (!encoded.ok) throw new Error('test text')
  return encoded.bytes
}

t.test('columns by bytes of the encoding, as banks write them', async (t) => {
  const document = gbk('000042陈小明       12.50\r\n000000李               0\r\n\r\n')
  const from = { fixed: { encoding: 'gbk', columns: COLUMNS } }
  // Column `sum` starts at 20: three bytes between belong to none.
  t.match(await rowsOf(root, from, document), { code: 'CONVERT_LENGTH', where: 'list.txt:1' })
  const exact = gbk('000042陈小明    ???   12.50\r\n000000李        ???       0\r\n')
  t.same(await rowsOf(root, from, exact), [
    { id: '42', name: '陈小明', sum: '12.50' },
    { id: '0', name: '李', sum: '0' },
  ])
  const made = await documentOf(root, from, [
    { id: 42, name: '陈小明', sum: '12.50' },
    { id: 0, name: '李', sum: null },
  ])
  const blanks = (count: number): string => ' '.repeat(count)
  t.same(made, gbk(`000042陈小明${blanks(4 + 3 + 3)}12.50\r\n000000李${blanks(8 + 3 + 8)}\r\n`))
})

t.test('zeros in front of a number stand behind its sign', async (t) => {
  const columns = [
    { name: 'n', width: 6, align: 'right', pad: '0' },
    { name: 'm', width: 4, align: 'right' },
  ]
  const fixed = { fixed: { columns, lineEnd: 'lf' } }
  const rows = [
    { n: '-5', m: '-5' },
    { n: '+1.25', m: '0' },
    { n: '-12345', m: '1' },
    { n: '0', m: '' },
    { n: '-x', m: '' },
  ]
  const lines = '-00005  -5\n+01.25   0\n-12345   1\n000000    \n0000-x    \n'
  t.equal((await documentOf(root, fixed, rows)).toString(), lines)
  t.same(await rowsOf(root, fixed, lines), rows)
  t.same(await rowsOf(root, fixed, '0000-5   0\n-00000   0\n'), [
    { n: '-5', m: '0' },
    { n: '0', m: '0' },
  ])
})

t.test('columns by characters, short lines, records without line ends', async (t) => {
  const characters = {
    fixed: {
      unit: 'characters',
      lineEnd: 'lf',
      short: true,
      columns: [
        { name: 'a', width: 2 },
        { name: 'b', width: 3 },
      ],
    },
  }
  t.same(await rowsOf(root, characters, '𠮷中abc\n𠮷\n'), [
    { a: '𠮷中', b: 'abc' },
    { a: '𠮷', b: '' },
  ])
  t.same(
    await rowsOf(
      root,
      { fixed: { ...characters.fixed, encoding: 'utf-16' } },
      Buffer.from('\ufeff𠮷中abc\n', 'utf16le'),
    ),
    [{ a: '𠮷中', b: 'abc' }],
  )
  const blocks = {
    fixed: {
      lineEnd: 'none',
      columns: [
        { name: 'a', width: 2 },
        { name: 'b', width: 1, trim: false },
      ],
    },
  }
  t.same(await rowsOf(root, blocks, 'ab1c  '), [
    { a: 'ab', b: '1' },
    { a: 'c', b: ' ' },
  ])
  t.match(await rowsOf(root, blocks, 'ab1c'), { code: 'CONVERT_LENGTH', details: { line: 2 } })
  t.equal(
    String(
      await documentOf(
        root,
        {
          fixed: {
            lineEnd: 'none',
            columns: [
              { name: 'a', width: 2 },
              { name: 'b', width: 1 },
            ],
          },
        },
        [{ a: 1 }, { b: 2 }],
      ),
    ),
    '1    2',
  )
})

t.test('a broken line is one record', async (t) => {
  const from = {
    fixed: {
      encoding: 'gbk',
      columns: [
        { name: 'a', width: 3 },
        { name: 'b', width: 2 },
      ],
    },
  }
  // The second column begins in the middle of a character.
  const document = Buffer.concat([
    gbk('abcde\r\n'),
    gbk('ab中d\r\n'),
    gbk('x\r\n'),
    Buffer.from('ab\0de\r\n'),
    gbk('123 5\r\n'),
  ])
  const { items, rejects } = await convert(root, { from, to: { rows: {} }, onBroken: 'reject-row' }, [fileOf(document)])
  t.same(
    items.map(({ row }) => row),
    [
      { a: 'abc', b: 'de' },
      { a: '123', b: ' 5' },
    ],
  )
  t.match(rejects, [
    {
      item: { row: { text: 'ab中d' } },
      fault: { code: 'TEXT_UNDECODABLE', where: 'list.txt:2', message: /column a, bytes 1 to 3/ },
    },
    { item: { row: { text: 'x' } }, fault: { code: 'CONVERT_LENGTH', message: /1 bytes instead of 5/ } },
    { fault: { code: 'TEXT_NUL' } },
  ])
  t.match(await rowsOf(root, from, Buffer.from('feff', 'hex')), { code: 'FILE_NOT_TEXT' })
})

t.test('what does not fit is refused, never cut', async (t) => {
  const to = { fixed: { encoding: 'gbk', columns: COLUMNS } }
  t.match(await documentOf(root, to, [{ name: '陈小明李小红' }]), {
    code: 'CONVERT_WIDTH',
    where: 'field "name"',
    message: /12 bytes instead of at most 10/,
  })
  t.match(await documentOf(root, to, [{ name: '𠮷' }]), { code: 'TEXT_UNENCODABLE' })
  t.match(await documentOf(root, to, [{ name: 'a\nb' }]), { code: 'CONVERT_VALUE' })
  t.match(await documentOf(root, to, [{ name: 'a', x: 1 }]), { code: 'CONVERT_EXTRA_FIELDS' })
  t.match(await documentOf(root, to, [{ name: 'a\0' }]), { code: 'TEXT_NUL' })
})

t.test('what is written is read as it was', async (t) => {
  const seed = Number(process.env.SEED ?? 149_001)
  t.comment(`SEED=${seed}`)
  const value = fc.string({ unit: fc.constantFrom('a', '中', 'é', '1'), maxLength: 4 })
  const settings = {
    columns: [
      { name: 'x', width: 16 },
      { name: 'y', width: 20, start: 18, align: 'right', pad: '*' },
    ],
    lineEnd: 'lf',
  }
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ x: value, y: value }), { minLength: 1, maxLength: 5 }),
      fc.constantFrom('utf-8', 'gbk', 'gb18030'),
      fc.constantFrom('bytes', 'characters'),
      async (rows, encoding, unit) => {
        const fixed = { ...settings, encoding, unit }
        const made = await documentOf(root, { fixed }, rows as Row[])
        const back = await rowsOf(root, { fixed }, made as Buffer)
        if (JSON.stringify(back) !== JSON.stringify(rows)) throw new Error(JSON.stringify(back))
      },
    ),
    { seed, numRuns: 200 },
  )
})
