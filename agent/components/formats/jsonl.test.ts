import t from 'tap'
import { formatJsonRecord, parseJsonRecord } from './jsonl.ts'

t.test('integers beyond 2^53 keep every digit, both ways', async (t) => {
  const line = '{"id":9007199254740993,"n":5,"f":1.5,"big":[12345678901234567890],"text":"1234567890123456"}'
  const record = parseJsonRecord(line)
  t.ok(record.ok)
  if (!record.ok) return
  t.equal(record.row.id, 9_007_199_254_740_993n)
  t.equal(record.row.n, 5)
  t.same(record.row.big, [12_345_678_901_234_567_890n])
  t.equal(formatJsonRecord(record.row), line)
})

t.test('a number that a double cannot hold becomes a text, with every digit', async (t) => {
  const read = (text: string) => {
    const record = parseJsonRecord(`{"n":${text}}`)
    return record.ok ? record.row.n : record.why
  }
  for (const text of ['0.30000000000000004', '1.7976931348623157e308', '-0.0', '5e-324'])
    t.equal(read(text), Number(text), text)
  t.equal(read('1.00000000000000000'), 1)
  t.equal(read('123456789012345.6700'), 123_456_789_012_345.67)
  for (const text of ['0.1234567890123456789', '1e400', '-123456789012345.678901', '1e-400', '9007199254740990.9'])
    t.equal(read(text), text)
})

t.test('levels are bounded, however many there are', async (t) => {
  const nested = (levels: number, inner = '1') => `${'{"a":'.repeat(levels)}${inner}${'}'.repeat(levels)}`
  t.ok(parseJsonRecord(nested(256)).ok)
  for (const line of [nested(257), nested(100_000), nested(50_000, '12345678901234567890')])
    t.match(parseJsonRecord(line), { ok: false, code: 'JSON_INVALID' })
  t.match(parseJsonRecord(`{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`), { code: 'JSON_INVALID' })
})

t.test('bytes become base64, whatever their class', async (t) => {
  t.equal(formatJsonRecord({ a: new Uint8Array([1, 2]), b: Buffer.from('hi') }), '{"a":"AQI=","b":"aGk="}')
  t.equal(formatJsonRecord({ type: 'Buffer', data: [1] }), '{"type":"Buffer","data":[1]}', 'no mistaken identity')
})

t.test('what is no object is refused with the reason', async (t) => {
  for (const [line, code] of [
    ['{"a":', 'JSON_INVALID'],
    ['[1]', 'JSON_NOT_OBJECT'],
    ['null', 'JSON_NOT_OBJECT'],
    ['"x"', 'JSON_NOT_OBJECT'],
    ['{"__proto__":{"a":1}}', 'JSON_INVALID'],
  ] as const) {
    const record = parseJsonRecord(line)
    t.equal(record.ok ? 'ok' : record.code, code, line)
  }
  t.ok(parseJsonRecord('{"a":"__proto__"}').ok)
})
