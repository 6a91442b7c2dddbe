import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { type Field, f, parseFields } from './mod.ts'

const doc = 'for the test'
const bounds = { textBytesMax: 100_000, valuesMax: 1000 }
const spec = f.object({
  area: f.text({ doc, optional: true }),
  count: f.integer({ doc, optional: true }),
  on: f.boolean({ doc, optional: true }),
  any: f.any({ doc, optional: true }),
  where: f.record(
    f.either(f.list(f.text({ doc }), { doc, lone: true }), f.object({ prefix: f.text({ doc }) }, { doc }), { doc }),
    { doc, default: {} },
  ),
})
const read = (text: string, field: Field = spec) => parseFields(field, text, { file: 'a.json', json: bounds })
const codes = (text: string) => {
  const read_ = read(text)
  return read_.ok ? [] : read_.fault.map(({ code, where }) => `${code} ${where}`)
}

t.test('values as they are written', async (t) => {
  t.same(read('{ "area": 007.5e1, "count": 3 }').ok, false, 'JSON has no 007')
  t.same(read('{ "area": 1.50, "count": 3, "on": true, "any": [1, null, {"a": "\\u00e9\\n"}] }'), {
    ok: true,
    value: { area: '1.50', count: 3, on: true, any: [1, null, { a: 'é\n' }], where: {} },
  })
})

t.test('a short form, or a map that says more', async (t) => {
  t.same(read('{"where":{"a":4452,"b":["1","2"],"c":{"prefix":"x"}}}'), {
    ok: true,
    value: { where: { a: ['4452'], b: ['1', '2'], c: { prefix: 'x' } } },
  })
  t.same(parseFields(spec, 'where:\n  a: 007\n  c: { prefix: x }', { file: 'a.yaml' }), {
    ok: true,
    value: { where: { a: ['007'], c: { prefix: 'x' } } },
  })
  t.same(codes('{"where":\n {"a":{"prefik":"x"}}}'), ['FIELD_UNKNOWN a.json:2:8 where.a.prefik'])
})

t.test('a spec made elsewhere, as a setting that may be left out', async (t) => {
  const inner = f.object({ a: f.text({ doc }) })
  const outer = f.object({ inner: f.optional(inner, { doc }) })
  t.same(read('{}', outer), { ok: true, value: {} })
  t.same(read('{"inner":{"a":"x"}}', outer), { ok: true, value: { inner: { a: 'x' } } })
  t.equal(read('{"inner":{}}', outer).ok, false)
})

t.test('faults have line and column', async (t) => {
  t.same(codes('{\n  "count": "x",\n  "area": []\n}'), ['FIELD_TYPE a.json:2:12 count', 'FIELD_TYPE a.json:3:11 area'])
  t.same(codes('{"count": 1,\n "count": 2}'), ['FIELD_DUPLICATE a.json:2:2 count'])
  for (const [text, at] of [
    ['{"a": }', '1:7'],
    ['{"a": 1,}', '1:9'],
    ['{"a": 1} x', '1:10'],
    ['{"a": "x', '1:9'],
    ['{"a": "\t"}', '1:8'],
    ['{"a": "\\x"}', '1:7'],
    ['{"a": [1 2]}', '1:10'],
    ['{a: 1}', '1:2'],
    ['{"a": +1}', '1:7'],
    ['{"a": tru}', '1:7'],
    ['{', '1:2'],
  ] as const)
    t.same(codes(text), [`JSON_SYNTAX a.json:${at}`], text)
})

t.test('bounds', async (t) => {
  t.same(codes(`{"any":${'['.repeat(100_000 - 7)}`), ['FIELD_TOO_DEEP a.json:1:71'])
  t.same(codes(`{"any":[${'1,'.repeat(2000)}1]}`), ['FIELD_TOO_LARGE a.json:1:2005'])
  t.same(codes(`{"any":"${'x'.repeat(100_000)}"}`), ['FIELD_TOO_LARGE a.json'])
})

t.test('agrees with JSON.parse on what it takes and what it refuses', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const pieces = [
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"a"',
    '"\\u4e2d"',
    '1',
    '-0.5e+3',
    'true',
    'null',
    ' ',
    '\n',
    '"',
    '\\',
    '01',
  ]
  const any = f.object({ v: f.any({ doc, optional: true }) })
  const value = (depth: number): unknown => {
    const kind = random.below(depth > 3 ? 4 : 6)
    if (kind === 0) return random.u53() - 2 ** 52
    if (kind === 1) return random.pick([true, false, null])
    if (kind < 4) return String.fromCharCode(...Array.from({ length: random.below(6) }, () => 1 + random.below(0xd000)))
    const items = Array.from({ length: random.below(4) }, () => value(depth + 1))
    return kind === 4 ? items : Object.fromEntries(items.map((one, i) => [`k${i}`, one]))
  }
  for (let round = 0; round < 3000; round++) {
    let text = JSON.stringify({ v: value(0) ?? 0 })
    if (random.oneIn(2)) {
      const at = random.below(text.length)
      text = text.slice(0, at) + random.pick(pieces) + text.slice(at + random.below(3))
    }
    if (!/^\s*\{/.test(text)) continue
    let wanted: unknown
    try {
      wanted = JSON.parse(text)
    } catch {
      if (read(text, any).ok) return t.fail(`round ${round}: ${text} was taken`)
      if (!codes(text).some((code) => code.startsWith('JSON_SYNTAX'))) return t.fail(`round ${round}: ${text}`)
      continue
    }
    const found = read(text, any)
    // Another name than `v`, the same name twice and a null for nothing are refused or left out by the spec.
    if (!found.ok) {
      if (found.fault.some(({ code }) => code === 'JSON_SYNTAX')) return t.fail(`round ${round}: ${text} was refused`)
      continue
    }
    if (JSON.stringify(found.value) !== JSON.stringify(wanted) && (wanted as { v?: unknown }).v !== null) {
      return t.fail(`round ${round}: ${text}`)
    }
  }
  t.pass('3000 rounds')
})
