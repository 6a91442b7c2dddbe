import t from 'tap'
import { DEPTH_MAX, FAULTS_MAX, TEXT_BYTES_MAX } from './limits.ts'
import { decodeText, type Field, f, parseFields } from './mod.ts'

const doc = 'for the test'
const spec = f.object({ a: f.any({ doc, optional: true }), b: f.text({ doc, optional: true }) })

function faults(
  text: string,
  field: Field = spec,
): { code: string; where: string | null; message: string; remedy: string }[] {
  const result = parseFields(field, text, { file: 'a.yaml' })
  if (result.ok) return []
  return result.fault.map(({ code, where, message, remedy }) => ({ code, where, message, remedy }))
}

t.test('syntax faults have a place and a remedy', async (t) => {
  t.match(faults('a: {b: 1\n'), [{ code: 'YAML_SYNTAX', where: /^a\.yaml:\d+:\d+$/, remedy: /close every bracket/ }])
  t.match(faults('a:\n\t- b'), [{ code: 'YAML_SYNTAX', where: 'a.yaml:2:1', remedy: /not with a tab/ }])
  t.match(faults('a: "C:\\data"'), [{ code: 'YAML_SYNTAX', remedy: /single quotes/ }])
  t.match(faults('a: b: c'), [{ code: 'YAML_SYNTAX', remedy: /in quotes/ }])
  t.match(faults('a: 1\n---\nb: 2'), [{ code: 'YAML_SYNTAX', remedy: /remove the line ---/ }])
  t.match(faults('a: !!js/function x'), [{ code: 'YAML_SYNTAX', remedy: /tag/ }])
  t.match(faults('{a: b}: c'), [{ code: 'YAML_SYNTAX' }])
  t.strictSame(faults('b: !!str 10'), [])
})

t.test('full-width punctuation is named with what to type', async (t) => {
  t.match(faults('a：1\nb: 2'), [{ code: 'YAML_SYNTAX', remedy: /write ： as :/ }])
  t.match(faults('a：1'), [{ code: 'FIELD_TYPE', remedy: /write ： as :/ }])
  t.match(faults('“b”: x'), [{ code: 'FIELD_UNKNOWN', remedy: /Did you mean b\?.*“ as "/ }])
  t.match(faults('ｂ: x'), [{ code: 'FIELD_UNKNOWN', remedy: /Did you mean b\?/ }])
  const choice = f.object({ e: f.choice(['gbk', 'utf-8'], { doc }) })
  t.match(faults('e: “gbk”', choice), [{ code: 'FIELD_CHOICE', remedy: /Did you mean gbk\?/ }])
  const number = f.object({ n: f.integer({ doc }) })
  t.match(faults('n: 12，', number), [{ code: 'FIELD_TYPE', remedy: /， as ,/ }])
  t.strictSame(faults('b: 全角“引号”，在文本里没有问题。'), [], 'inside a text they are nobody’s business')
})

t.test('duplicates, anchors and aliases', async (t) => {
  t.match(faults('b: x\na: 1\nb: y'), [{ code: 'FIELD_DUPLICATE', where: 'a.yaml:3:1 b', message: /at a\.yaml:1:1$/ }])
  t.match(faults('a: { x: 1, x: 2 }'), [{ code: 'FIELD_DUPLICATE', where: 'a.yaml:1:12 a.x' }])
  t.match(faults('a: &x 1\nb: *x'), [{ code: 'YAML_ALIAS' }, { code: 'YAML_ALIAS', where: 'a.yaml:2:4 b' }])
  t.match(faults('a: &a [1]\n<<: *a'), [{ code: 'YAML_ALIAS' }, { code: 'FIELD_UNKNOWN' }])
  const laughs = Array.from({ length: 30 }, (_, i) => `x${i}: &x${i} [*x${i - 1}, *x${i - 1}]`.replaceAll('*x-1', '1'))
  const found = faults(laughs.join('\n'))
  t.ok(found.length > 0 && found.length <= FAULTS_MAX)
})

t.test('bounds', async (t) => {
  t.match(faults(`b: ${'x'.repeat(TEXT_BYTES_MAX)}`), [{ code: 'FIELD_TOO_LARGE', where: 'a.yaml' }])
  t.match(faults('字'.repeat(TEXT_BYTES_MAX / 2)), [{ code: 'FIELD_TOO_LARGE' }])
  const deep = `a: ${'['.repeat(DEPTH_MAX)}${']'.repeat(DEPTH_MAX)}`
  t.match(faults(deep), [{ code: 'FIELD_TOO_DEEP' }])
  t.match(faults(`a: ${'['.repeat(20)}${']'.repeat(20)}`), [])
  t.match(faults(`a: ${'['.repeat(40)}${']'.repeat(40)}`), [{ code: 'FIELD_TOO_DEEP' }])
  t.match(faults('['.repeat(5000))[0], { code: /FIELD_TOO_DEEP|YAML_SYNTAX/ })
  const wrong = Array.from({ length: 500 }, (_, i) => `unknown${i}: 1`).join('\n')
  t.equal(faults(wrong).length, FAULTS_MAX)
})

t.test('bytes to text', async (t) => {
  const decode = (bytes: number[]): unknown => {
    const result = decodeText(Uint8Array.from(bytes), { file: 'a.yaml' })
    return result.ok ? result.value : result.fault.map((one) => [one.code, one.message])
  }
  t.equal(decode([0xef, 0xbb, 0xbf, 0x61]), 'a', 'a byte order mark is dropped')
  t.match(decode([0xff, 0xfe, 0x61, 0]), [['YAML_ENCODING', /UTF-16/]])
  t.match(decode([0x61, 0x0a, 0xb4, 0xe5]), [['YAML_ENCODING', /line 2 .*GBK/]])
})

// Random texts made of what YAML cares about: never an exception, never more faults than allowed, every one with a place.
t.test('random texts end in a value or in faults', async (t) => {
  const seed = Number(process.env.SEED ?? 20_240_601)
  t.comment(`SEED=${seed}`)
  let state = seed
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const parts = [
    'a',
    'b',
    ':',
    ': ',
    '- ',
    '\n',
    '  ',
    '[',
    ']',
    '{',
    '}',
    ',',
    '"',
    "'",
    '|',
    '>',
    '&x',
    '*x',
    '!',
    '?',
  ]
  parts.push('#', '%', '---', '\t', '~', '1', '0x', '.inf', '：', '“', '\\', '\u2028', '😀', '__proto__', '<<', '\r\n')
  for (let i = 0; i < 3000; i += 1) {
    const text = Array.from({ length: random(24) }, () => parts[random(parts.length)]).join('')
    const found = faults(text)
    const placed = found.every(
      (one) => /^a\.yaml:\d+:\d+/.test(one.where ?? '') && one.remedy !== '' && one.message !== '',
    )
    if (found.length > FAULTS_MAX || !placed) t.fail(`${JSON.stringify(text)} → ${JSON.stringify(found)}`)
  }
  t.pass('3000 texts')
})
