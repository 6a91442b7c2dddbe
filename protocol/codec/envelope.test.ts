import t from 'tap'
import { ByteReader } from '#protocol/bytes/mod.ts'
import { faultCode, Random, testSeed } from '#protocol/bytes/testing.ts'
import { parseEnvelope } from './batch.ts'
import {
  checkTopic,
  decodeHeaders,
  encodeHeaders,
  HEADERS_BYTES_MAX,
  HEADERS_MAX,
  type Headers,
  NO_HEADERS,
} from './mod.ts'
import { randomHeaders } from './testing.ts'

const decoded = (hex: string): Headers => decodeHeaders(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
const codeOf = (hex: string): string | null => faultCode(() => decoded(hex))

t.test('headers come back as they were', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  for (let i = 0; i < 3000; i++) {
    const headers = randomHeaders(random)
    const found = decodeHeaders(encodeHeaders(headers))
    if (JSON.stringify(found) !== JSON.stringify(headers)) return t.strictSame(found, headers)
  }
  t.equal(encodeHeaders(NO_HEADERS).length, 0)
  t.equal(encodeHeaders({}).length, 0)
  t.equal(decodeHeaders(Buffer.alloc(0)), NO_HEADERS)
})

t.test('every spelling of MessagePack that another implementation may choose', async (t) => {
  const cases: [string, unknown][] = [
    ['80', {}],
    ['81 a1 61 05', { a: 5 }],
    ['81 a1 61 ff', { a: -1 }],
    ['de 0001 a1 61 c0', { a: null }],
    ['df 00000001 a1 61 c3', { a: true }],
    ['81 d9 01 61 c2', { a: false }],
    ['81 da 0001 61 a0', { a: '' }],
    ['81 db 00000001 61 d9 02 c3a9', { a: 'é' }],
    ['81 a1 61 da 0001 78', { a: 'x' }],
    ['81 a1 61 db 00000001 78', { a: 'x' }],
    ['81 a1 61 cc 05', { a: 5 }],
    ['81 a1 61 cd 0500', { a: 0x500 }],
    ['81 a1 61 ce 80000000', { a: 2 ** 31 }],
    ['81 a1 61 cf 0000018bcfe56800', { a: 1_700_000_000_000 }],
    ['81 a1 61 cf 001fffffffffffff', { a: Number.MAX_SAFE_INTEGER }],
    ['81 a1 61 d0 80', { a: -128 }],
    ['81 a1 61 d1 8000', { a: -32768 }],
    ['81 a1 61 d2 80000000', { a: -(2 ** 31) }],
    ['81 a1 61 d3 ffe0000000000001', { a: Number.MIN_SAFE_INTEGER }],
    ['81 a1 61 d3 ffffffffffffffff', { a: -1 }],
    ['81 a1 61 ca 3fc00000', { a: 1.5 }],
    ['81 a1 61 cb 3ff8000000000000', { a: 1.5 }],
    ['81 a4 efbbbf61 01', { '\ufeffa': 1 }],
  ]
  for (const [hex, value] of cases) t.strictSame(decoded(hex), value, hex)
})

t.test('anything else is refused', async (t) => {
  const cases: [string, string][] = [
    ['nil', 'c0'],
    ['a list', '91 a1 61'],
    ['a text', 'a1 61'],
    ['a number', '05'],
    ['a number as name', '81 05 01'],
    ['nil as name', '81 c0 01'],
    ['a binary name', '81 c4 01 61 01'],
    ['no name', '81 a0 01'],
    ['a name twice', '82 a1 61 01 a1 61 02'],
    ['a name twice, spelt differently', '82 a1 61 01 d9 01 61 02'],
    ['the name __proto__', '81 a9 5f5f70726f746f5f5f 01'],
    ['a list as value', '81 a1 61 90'],
    ['a map as value', '81 a1 61 80'],
    ['binary', '81 a1 61 c4 01 00'],
    ['the type that is never used', '81 a1 61 c1'],
    ['a timestamp', '81 a1 61 d6 ff 00000000'],
    ['an extension', '81 a1 61 d4 01 00'],
    ['a record definition', 'd4 72 40 91 a1 61 01'],
    ['a record definition within', '81 a1 61 d4 72 40 91 a1 61 01'],
    ['2^53', '81 a1 61 cf 0020000000000000'],
    ['2^64 - 1', '81 a1 61 cf ffffffffffffffff'],
    ['-2^53', '81 a1 61 d3 ffe0000000000000'],
    ['broken UTF-8 in a name', '81 a1 ff 01'],
    ['broken UTF-8 in a value', '81 a1 61 a2 c328'],
    ['a surrogate', '81 a1 61 a3 eda080'],
    ['bytes behind', '80 00'],
    ['bytes behind a pair', '81 a1 61 01 01'],
    ['fewer pairs than counted', '82 a1 61 01'],
    ['no value', '81 a1 61'],
    ['a text that is cut', '81 a1 61 a5 6161'],
    ['a number that is cut', '81 a1 61 ce 000000'],
    ['a count that is cut', 'de 00'],
    ['a long count that is cut', 'df 000000'],
    ['4 billion pairs', 'df ffffffff a1 61 01'],
    ['a text of 4 GiB', '81 a1 61 db ffffffff'],
    ['a name length that is cut', '81 da 00'],
  ]
  for (const [name, hex] of cases) t.equal(codeOf(hex), 'HEADERS_INVALID', name)
})

t.test('deep nesting is refused at its first level', async (t) => {
  for (const byte of [0x81, 0x91, 0xdd, 0xdf]) {
    t.equal(
      faultCode(() => decodeHeaders(Buffer.alloc(HEADERS_BYTES_MAX, byte))),
      'HEADERS_INVALID',
    )
  }
})

t.test('what a sender must not make is refused when it is made', async (t) => {
  const many = Object.fromEntries(Array.from({ length: HEADERS_MAX + 1 }, (_, i) => [`h${i}`, i]))
  const wrong: unknown[] = [
    many,
    { a: 'x'.repeat(HEADERS_BYTES_MAX) },
    { a: [1] },
    { a: {} },
    { a: undefined },
    { a: 1n },
    { a: new Date(0) },
    { '': 1 },
    { ['__proto__']: 1 },
    { a: '\ud800' },
    { '\udc00': 1 },
    null,
    [],
    'x',
    new Map(),
  ]
  for (const value of wrong)
    t.equal(
      faultCode(() => encodeHeaders(value as Headers)),
      'HEADERS_INVALID',
    )
  const { h64: _, ...most } = many
  t.strictSame(decodeHeaders(encodeHeaders(most)), most, '64 pass')
})

t.test('topics', async (t) => {
  const wrong = [
    '',
    '/',
    '/a',
    'a/',
    'a//b',
    'a+',
    '#',
    'a/#',
    'a\u0000',
    'a\nb',
    '\u007f',
    'x'.repeat(256),
    '中'.repeat(86),
    '\ud800',
  ]
  for (const topic of wrong)
    t.equal(
      faultCode(() => checkTopic(topic)),
      'TOPIC_INVALID',
      JSON.stringify(topic),
    )
  for (const topic of ['a', 'a/b', '$a', ':a', ' ', 'x'.repeat(255), '中'.repeat(85), '\ufeffa', '😀/b']) {
    t.equal(
      faultCode(() => checkTopic(topic)),
      null,
      topic,
    )
    const name = Buffer.from(topic)
    const length = name.length < 128 ? [name.length] : [(name.length & 0x7f) | 0x80, name.length >> 7]
    const entry = Buffer.concat([Buffer.from([0, ...length]), name, Buffer.from([0])])
    t.equal(parseEnvelope(new ByteReader(entry, 'test')).topic, topic)
  }
})
