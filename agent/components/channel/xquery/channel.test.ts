import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Item } from '../../contract.ts'
import { collector, faultOf, settingsOf, testContext } from '../../support/testing.ts'
import { XqueryChannel, xquerySettings } from './mod.ts'

const make = (root: string, settings: object): XqueryChannel =>
  new XqueryChannel(settingsOf(xquerySettings, settings), testContext(root))

const fileOf = (text: string | Buffer, ref = 1, row = {}): Item => ({
  row: { name: 'in/a.xml', size: text.length, modified: null, mediaType: null, ...row },
  ref,
  content: { kind: 'bytes', bytes: Buffer.from(text) },
})

const textOf = ({ content }: Item): string =>
  content?.kind === 'bytes' ? Buffer.from(content.bytes).toString() : 'no bytes'

const REGISTER = `<?xml version="1.0" encoding="UTF-8"?>
<reg xmlns="urn:r"><org id="1"><name>通衢</name></org><org id="2"><name>a &amp; b</name></org></reg>`

t.test('an XML document of another, by parameters', async (t) => {
  const query = `declare default element namespace "urn:r";
    declare variable $from external; declare variable $office external;
    declare function local:org($o) { <unit code="{$o/@id}" from="{$from}">{ string($o/name) }</unit> };
    <units office="{$office}">{ for $o in /reg/org order by $o/name return local:org($o) }</units>`
  const channel = make(t.testdir({}), { query, parameters: { from: '<x>' }, parameterFields: { office: 'office' } })
  const { rejects, reject } = collector()
  const given = await channel.process([fileOf(REGISTER, 1, { office: 44 }), fileOf(REGISTER, 2)], reject)
  t.same(given.map(textOf), [
    '<?xml version="1.0" encoding="UTF-8"?>\n<units xmlns="urn:r" office="44"><unit code="2" from="&lt;x&gt;">a &amp; b</unit><unit code="1" from="&lt;x&gt;">通衢</unit></units>',
  ])
  t.match(given[0]?.row, { name: 'in/a.xml', mediaType: 'application/xml', office: 44 })
  t.same(
    rejects.map(({ item, fault }) => `${item.ref} ${fault.code}`),
    ['2 XQUERY_PARAMETER_MISSING'],
  )
})

t.test('text, JSON, each item by itself, a field', async (t) => {
  const root = t.testdir({})
  const run = async (settings: object, item = fileOf(REGISTER)): Promise<readonly Item[]> =>
    make(root, settings).process([item], ({ fault }) => t.fail(fault.describe()))
  const namespaces = { r: 'urn:r' }
  t.same((await run({ query: '//r:name, 5', namespaces, method: 'text' })).map(textOf), ['通衢 a & b 5'])
  const json = {
    query: 'map { "names": array { //r:name ! string() }, "n": count(//r:org) }',
    namespaces,
    method: 'json',
  }
  t.same((await run(json)).map(textOf), ['{"names":["通衢","a & b"],"n":2}'])
  const each = await run({ query: '//r:org', namespaces, each: true })
  t.match(
    each.map(({ row, ref }) => ({ name: row.name, ref })),
    [
      { name: 'in/a.1.xml', ref: 1 },
      { name: 'in/a.2.xml', ref: 1 },
    ],
  )
  t.match(textOf(each[0] as Item), /<org xmlns="urn:r" id="1"><name>通衢<\/name><\/org>$/)
  t.same(await run({ query: '//none', each: true }), [])
  const row = { row: { id: 1, doc: '<a>5</a>' }, ref: 3 }
  t.same(await run({ query: 'a + 1', method: 'text', field: 'doc' }, row), [{ row: { id: 1, doc: '6' }, ref: 3 }])
  writeFileSync(join(root, 'q.xq'), '(: 通衢 :) <b>{ string(/*) }</b>')
  t.match((await run({ file: 'q.xq', field: 'doc' }, row))[0]?.row.doc, /<b>5<\/b>$/)
})

t.test('bad documents and results are rejected, the others pass', async (t) => {
  const channel = make(t.testdir({}), { query: 'if (/a/n) then /a/n else xs:integer(/a) + 1', bytesMax: 200_000 })
  const bad = [
    '<a><n></a>',
    '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    '<a>'.repeat(10_000) + '</a>'.repeat(10_000),
    Buffer.from('<?xml version="1.0" encoding="utf-8"?><a>\xd6\xd0</a>', 'latin1'),
    '<a>\0</a>',
    '<a>x</a>',
    '<a>1</a>',
    '<a><n/><n/></a>',
    ' '.repeat(300_000),
  ]
  const { rejects, reject } = collector()
  const gbk = Buffer.from('<?xml version="1.0" encoding="GBK"?><a><n>\xd6\xd0</n></a>', 'latin1')
  const given = await channel.process([...bad.map((each, i) => fileOf(each, i)), fileOf(gbk, 100)], reject)
  t.same(given.map(textOf), ['<?xml version="1.0" encoding="UTF-8"?>\n<n>中</n>'])
  t.same(
    rejects.map(({ fault }) => fault.code),
    [
      'XML_NOT_WELL_FORMED',
      'XML_DTD_REFUSED',
      'XML_TOO_COMPLEX',
      'XML_ENCODING',
      'XML_NOT_WELL_FORMED',
      'QUERY_FAILED',
      'XQUERY_RESULT',
      'XQUERY_RESULT',
      'DOCUMENT_TOO_LARGE',
    ],
  )
})

t.test('a query reaches nothing but its document', async (t) => {
  const root = t.testdir({ 'x.xml': '<x/>' })
  for (const call of [
    'doc("x.xml")',
    'collection("x")',
    'unparsed-text("x.xml")',
    'json-doc("x.json")',
    'environment-variable("PATH")',
    'available-environment-variables()',
    'load-xquery-module("urn:x")',
  ]) {
    t.equal((await faultOf(() => make(root, { query: call })))?.code, 'QUERY_SYNTAX', call)
  }
  t.equal(
    (await faultOf(() => make(root, { query: 'import module namespace x = "urn:x" at "x.xq"; 1' })))?.code,
    'QUERY_SYNTAX',
  )
})

t.test('mistakes show when the channel is made or opened', async (t) => {
  const root = t.testdir({ 'bad.xq': '<a>{', 'latin.xq': Buffer.from('"\xe9"', 'latin1') })
  t.match((await faultOf(() => make(root, { query: '1 +' })))?.toJSON(), {
    code: 'QUERY_SYNTAX',
    where: 'xquery: query',
  })
  t.equal((await faultOf(() => make(root, { query: '$none' })))?.code, 'QUERY_SYNTAX')
  t.equal((await faultOf(() => make(root, { file: 'bad.xq' }).open()))?.code, 'QUERY_SYNTAX')
  t.equal((await faultOf(() => make(root, { file: 'latin.xq' }).open()))?.code, 'XQUERY_FILE_UNREADABLE')
  t.equal((await faultOf(() => make(root, { file: 'none.xq' }).open()))?.code, 'XQUERY_FILE_UNREADABLE')
})

t.test('a query that calls itself without end is ended', async (t) => {
  const query = 'declare function local:f($n) { local:f($n + 1) + 1 }; local:f(1)'
  const { rejects, reject } = collector()
  await make(t.testdir({}), { query }).process([fileOf('<a/>')], reject)
  t.equal(rejects[0]?.fault.code, 'QUERY_FAILED')
})
