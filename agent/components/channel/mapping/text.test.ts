import t from 'tap'
import {
  after,
  before,
  compareNumbers,
  compareText,
  format,
  normalize,
  numberOf,
  substring,
  translator,
  trim,
} from './text.ts'

t.test('by code point', (t) => {
  t.equal(substring('a𠮷b', 2, 1), '𠮷')
  t.equal(substring('𠮷𠮷b', 3, null), 'b')
  t.equal(substring('ab', 3, null), '')
  t.equal(substring('ab', 1, 0), '')
  t.equal(substring('ab', 2, 9), 'b')
  t.equal(before('a=b=c', '='), 'a')
  t.equal(after('a=b=c', '='), 'b=c')
  t.equal(before('abc', '='), '')
  t.equal(after('abc', '='), '')
  t.equal(translator('ab𠮷', 'A')('xaby𠮷𠮶'), 'xAy𠮶')
  t.equal(translator('aa', '12')('a'), '1')
  t.equal(translator('１２', '12')('１２３'), '12３')
  t.end()
})

t.test('white space is that of XML', (t) => {
  t.equal(trim(' \t\r\n\u3000a\u00a0 '), '\u3000a\u00a0')
  t.equal(normalize('  a \n\t b\u00a0 c '), 'a b\u00a0 c')
  t.equal(trim(' \n'), '')
  t.end()
})

t.test('numbers as XPath 1.0 reads them', (t) => {
  for (const [text, number] of [
    ['1', 1],
    [' -1.50\n', -1.5],
    ['.5', 0.5],
    ['-.5', -0.5],
    ['1.', 1],
    ['007', 7],
  ] as const) {
    t.equal(numberOf(text), number, text)
  }
  for (const text of [
    '',
    ' ',
    '.',
    '-',
    '+1',
    '1e3',
    'INF',
    'Infinity',
    '0x10',
    '1 2',
    '- 1',
    '１',
    '\u00a01',
    '1,000',
  ]) {
    t.ok(Number.isNaN(numberOf(text)), JSON.stringify(text))
  }
  t.end()
})

t.test('numbers written', (t) => {
  const cases: [number, number, boolean, string][] = [
    [0, 0, false, '0'],
    [-0, 2, false, '0.00'],
    [-0.4, 0, false, '0'],
    [-0.5, 0, false, '0'],
    [-0.6, 0, false, '-1'],
    [0.5, 0, false, '1'],
    [1.005, 2, false, '1.00'],
    [2.675, 2, false, '2.68'],
    [-1.25, 1, false, '-1.2'],
    [1234567.891, 2, true, '1,234,567.89'],
    [123, 0, true, '123'],
    [-1234, 0, true, '-1,234'],
    [999_999_999_999_999, 0, false, '999999999999999'],
    [1e15, 0, false, 'NaN'],
    [Number.NaN, 2, false, 'NaN'],
    [Number.POSITIVE_INFINITY, 2, false, 'NaN'],
    [0.000001, 6, false, '0.000001'],
  ]
  for (const [number, decimals, grouping, text] of cases) t.equal(format(number, decimals, grouping), text, `${number}`)
  t.end()
})

t.test('order', (t) => {
  const texts = ['b', '', '\u{1f600}', '\uff01', 'a', 'ab', '中']
  t.same(
    texts.toSorted(compareText),
    ['', 'a', 'ab', 'b', '中', '\uff01', '\u{1f600}'],
    'code points, not UTF-16 units',
  )
  t.same([3, Number.NaN, -1, 0].toSorted(compareNumbers), [Number.NaN, -1, 0, 3])
  t.end()
})
