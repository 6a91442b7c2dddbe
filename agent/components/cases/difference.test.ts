import t from 'tap'
import { differenceOf } from './mod.ts'

const difference = (expected: string, got: string, type = '') => {
  const found = differenceOf(Buffer.from(expected), Buffer.from(got), type)
  return found === null ? null : [found.at, found.expected, found.got]
}

t.test('XML by meaning', async (t) => {
  const same = (a: string, b: string) => t.equal(difference(a, b, 'application/xml'), null, `${a} and ${b}`)
  same('<a><b/></a>', '<?xml version="1.0"?>\n<a>\n  <b></b>\n</a>\n')
  same('<a x="1" y="2"/>', "<a y='2' x='1'/>")
  same('<a xmlns="u"><b xmlns:p="v" p:c="1"/></a>', '<q:a xmlns:q="u" xmlns:r="v"><q:b r:c="1"/></q:a>')
  same('<a>&lt;1<!-- one --> 2</a>', '<a><![CDATA[<1]]> 2</a>')
  t.same(difference('<a><b>1</b><b>2</b></a>', '<a><b>1</b><b>3</b></a>'), ['/a[1]/b[2]/text()', '2', '3'])
  t.same(difference('<a> 1</a>', '<a>1</a>'), ['/a[1]/text()', ' 1', '1'])
  t.same(difference('<a><b/><c/></a>', '<a><b/></a>'), ['/a[1]/c[1]', '<c>', 'nothing'])
  t.same(difference('<a><b/></a>', '<a><c/></a>'), ['/a[1]/b[1]', '<b> at /a[1]/b[1]', '<c> at /a[1]/c[1]'])
  t.same(difference('<a/>', '<a xmlns="u"/>'), ['/a[1]', '<a>', '<{u}a>'])
  t.same(difference('<a x="1"/>', '<a x="2"/>'), ['/a[1]', '<a x="1">', '<a x="2">'])
  t.match(difference('<a/>', '<a>'), ['the document', 'XML', /well-formed.*: <a>/])
  t.match(difference('<a', '<a/>'), [/^line 1 \(.*well-formed/, '"<a"', '"<a/>"'])
})

t.test('JSON by value', async (t) => {
  t.equal(difference('{"a":1,"b":[1.0,null]}', ' {"b":[1,null], "a":1}'), null)
  t.same(difference('{"a":{"b/c":[1,2]}}', '{"a":{"b/c":[1,3]}}'), ['/a/b~1c/1', '2', '3'])
  t.same(difference('[1]', '[1,2]'), ['/1', 'nothing', '2'])
  t.same(difference('{"a":null}', '{}'), ['/a', 'null', 'nothing'])
  t.same(difference('{"a":[]}', '{"a":{}}'), ['/a', '[]', '{}'])
  t.same(difference('{"toString":1}', '{}'), ['/toString', '1', 'nothing'])
  t.same(difference('[9007199254740993]', '[9007199254740992]'), ['/0', '"9007199254740993"', '"9007199254740992"'])
  t.equal(difference('[1e3, 123456789012345678901234567890]', '[1000,123456789012345678901234567890 ]'), null)
  t.match(difference('{}', '<a/>'), ['the document', 'JSON', '<a/>'])
})

t.test('text by lines, all else by bytes', async (t) => {
  t.same(difference('a,b\n1,2\n', 'a,b\n1,3\n', 'text/csv'), ['line 2', '"1,2"', '"1,3"'])
  t.same(difference('a\n', 'a'), ['line 2', '""', 'nothing'])
  const found = differenceOf(Buffer.from([0xff, 1, 2]), Buffer.from([0xff, 1]))
  t.same(found, { at: 'byte 2', expected: '02…, of 3 bytes', got: 'nothing, of 2 bytes' })
  t.ok((difference('x'.repeat(5000), 'y')?.[1]?.length ?? 0) < 250, 'bounded')
})
