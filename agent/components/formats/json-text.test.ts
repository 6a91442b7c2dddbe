// Names that stand twice, and the place where a text stops being JSON.

import t from 'tap'
import { jsonEndsAt, repeatedName, whyNotJson } from './json-text.ts'
import { parseJsonBody, parseJsonRecord } from './jsonl.ts'

t.test('a name that stands twice in one object is found, however it is written', async (t) => {
  const found = (text: string) => repeatedName(text, JSON.parse(text))
  t.equal(found('{"a":1,"a":2}'), 'a')
  t.equal(found('{"a":1,"a" :2}'), 'a', 'with a blank before the colon')
  t.equal(found('[{"x":{"a":1,"\\u0061":2}}]'), 'a', 'with an escape')
  t.equal(found('{"t":"\\":","a":1,"a" :"\\":"}'), 'a', 'beside texts that look like names')
  for (const text of [
    '{"a":{"a":1},"b":[{"a":1},{"a":2}]}',
    '{"a":"\\":\\":","b":"a\\":"}',
    '{"a" : 1}',
    '[]',
    '"a"',
    '{}',
  ])
    t.equal(found(text), null, text)
  const deep = `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`
  t.equal(found(deep), null)
  const escapes = `{"a":"${'\\n'.repeat(4_000_000)}\\":"}`
  t.equal(found(escapes), null, 'millions of escapes')
})

t.test('a row with such a name, or with bytes that are no UTF-8, is refused', async (t) => {
  t.match(parseJsonRecord('{"id":1,"state":"open","state":"closed"}'), {
    ok: false,
    code: 'JSON_INVALID',
    why: /"state" stands twice/,
  })
  t.match(parseJsonBody(Buffer.from('{"name":"\xcd\xf5"}', 'latin1')), { ok: false, why: /no UTF-8/ })
  t.same(parseJsonBody(Buffer.from('{"name":"王"}')), { ok: true, row: { name: '王' } })
})

t.test('where it goes wrong, in words of this program', async (t) => {
  const told = (text: string) => {
    const at = jsonEndsAt(text)
    return [at, whyNotJson(text, at)]
  }
  t.same(told('{"a":1},]'), [7, ', cannot stand here'])
  t.same(told('[1,]'), [3, '] cannot stand here'])
  t.same(told('{"a":'), [5, 'it ends too early'])
  t.same(told('{"a":"x\0y"}'), [5, 'a text has no end, or a character in it that must be escaped'])
  t.same(told('\ufeff{}'), [0, 'U+FEFF cannot stand here'])
  t.same(told(`["${'\\n'.repeat(1_000_000)}`), [1, 'a text has no end, or a character in it that must be escaped'])
})
