// Mappings as they are written, on documents: what comes out. That generated stylesheets give the same is tested beside them.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { faultOf } from '../../support/testing.ts'
import { XmlParser } from '../../xml/mod.ts'
import { compileMapping } from './compile.ts'
import { parseMapping } from './file.ts'
import { checkMapping, type Mapping } from './mod.ts'

function map(yaml: string, document: string): string {
  const compiled = compileMapping(parseMapping(yaml, 'test.yaml'))
  const result = compiled.map(new XmlParser(compiled.names).parse(document))
  t.equal(result.slice(0, 39), '<?xml version="1.0" encoding="UTF-8"?>\n')
  return result.slice(39)
}
const why = async (yaml: string) => (await faultOf(() => parseMapping(yaml, 'test.yaml')))?.describe() ?? 'no fault'

t.test('elements, attributes, text, escapes', (t) => {
  const yaml = `
root:
  out:
    '@plain': /in/@a
    '@fixed': { $text: 'x"<&>' }
    空: null
    nothing: in/none
    text: in/t
    mixed:
      - { $text: 'before ' }
      - { b: in/t }
      - { $text: ' after' }
    literal: "'in quotes'"
`
  t.equal(
    map(yaml, '<in a="1&#10;&quot;2"><t>a&lt;b&gt;c<![CDATA[&]]></t></in>'),
    '<out plain="1&#xA;&quot;2" fixed="x&quot;&lt;&amp;>"><空/><nothing/><text>a&lt;b&gt;c&amp;</text>' +
      '<mixed>before <b>a&lt;b&gt;c&amp;</b> after</mixed><literal>in quotes</literal></out>',
  )
  t.equal(map('root: { a: b }', '<b>x>y</b>'), '<a>x&gt;y</a>', 'also what stands in the source unescaped')
  t.equal(map('root: { a: b }', '<b>&#13;</b>'), '<a>&#xD;</a>')
  t.end()
})

t.test('paths', (t) => {
  const document =
    '<r><p k="1"><n>a</n><n t="x">b</n></p><p k="2"><n t="x">c</n><q><n>d</n></q></p><e/><p k="3" j="9"/></r>'
  const at = (path: string) => map(`root: { o: ${JSON.stringify(path)} }`, document).replace(/^<o>|<\/o>$|<o\/>/g, '')
  t.equal(at('r/p/n'), 'a', 'the first')
  t.equal(at('/r/p[2]/n'), 'c')
  t.equal(at("r/p/n[@t='x']"), 'b')
  t.equal(at("r/p[@k='2']/*/n"), 'd')
  t.equal(at("r/p/n[@t='x'][2]"), '', 'the second in one parent')
  t.equal(at("r/p[n='c']/@k"), '2')
  t.equal(at("r/p[n!='b'][1]/@k"), '1', 'some n is another')
  t.equal(at("r/p[not(n='a')][1]/@k"), '2')
  t.equal(at('r/p/@j'), '9', 'the first that there is')
  t.equal(at('r/p[q]/@k'), '2')
  t.equal(at('r/*[3]'), '')
  t.equal(at('.'), 'abcd')
  t.equal(at('/'), 'abcd')
  t.equal(at('..'), '')
  t.equal(
    map("root: { o: { i: { $forEach: r/p/n, '@k': ../@k, '@r': ../../e, $content: . } } }", document)
      .match(/k="\d"/g)
      ?.join(),
    'k="1",k="1",k="2"',
  )
  t.end()
})

t.test('namespaces: source prefixes by their meaning, target ones declared on the root', (t) => {
  const yaml = `
namespaces: { s: urn:source, t: urn:target, z: urn:never }
targetNamespace: urn:default
root:
  out:
    inner: { '@t:a': 's:in/@s:a', '@xml:lang': "'zh'", 't:x': 's:in/s:b' }
`
  t.equal(
    map(yaml, '<q:in xmlns:q="urn:source" q:a="1"><b>no</b><b xmlns="urn:source">yes</b></q:in>'),
    '<out xmlns="urn:default" xmlns:t="urn:target"><inner t:a="1" xml:lang="zh"><t:x>yes</t:x></inner></out>',
  )
  t.end()
})

t.test('functions', (t) => {
  const yaml = `
tables: { kind: { '1': one } }
root:
  o:
    concat: { $concat: [ r/a, "'-'", r/b ] }
    substring: { $substring: r/a, start: 2, length: 2 }
    rest: { $substring: r/a, start: 3 }
    before: { $before: r/b, mark: ':' }
    after: { $after: r/b, mark: ':' }
    upper: { $upper: r/a }
    lower: { $lower: { $text: ABCÉ } }
    translate: { $translate: r/a, from: ab, to: x }
    normalize: { $normalize: r/s }
    trim: { $trim: r/s }
    hit: { $lookup: kind, key: r/one }
    empty: { $lookup: kind, key: r/none }
    miss: { $lookup: kind, key: r/a, otherwise: { $concat: [ "'?'", r/a ] } }
    default: { $default: r/none, otherwise: r/b }
    there: { $default: r/a, otherwise: r/b }
    if: { $if: { equals: [ r/one, "'1'" ] }, then: "'yes'", else: "'no'" }
    format: { $format: { $add: [ r/one, { $multiply: [ r/n, 10000 ] } ] }, decimals: 2, grouping: true }
    bad: { $format: r/a }
    count: { $count: r/m }
    sum: { $sum: r/m, decimals: 1 }
    date: { $date: r/d, from: YYYY-MM-DDThh:mm:ss, to: YYYY年MM月DD日 hh时 }
    undated: { $date: r/a, from: YYYY-MM-DD, to: YYYY, otherwise: "'-'" }
`
  const document =
    '<r><a>abcd</a><b>k:v:w</b><s> x \n y </s><one>1</one><n>12.5</n><m>1.5</m><m>x</m><m>2</m><d>2024-02-29T08:15:00</d></r>'
  t.equal(
    map(yaml, document),
    '<o><concat>abcd-k:v:w</concat><substring>bc</substring><rest>cd</rest><before>k</before><after>v:w</after>' +
      '<upper>ABCD</upper><lower>abcÉ</lower><translate>xcd</translate><normalize>x y</normalize><trim>x \n y</trim>' +
      '<hit>one</hit><empty/><miss>?abcd</miss><default>k:v:w</default><there>abcd</there><if>yes</if>' +
      '<format>125,001.00</format><bad>NaN</bad><count>3</count><sum>3.5</sum><date>2024年02月29日 08时</date><undated>-</undated></o>',
  )
  t.end()
})

t.test('the same said in XPath', (t) => {
  const yaml = `
root:
  o:
    '@n': count(r/m)
    concat: concat(r/a, '-', substring(r/a, 2, 2))
    product: { $format: r/one + r/n * 10000, decimals: 2 }
    few: { $if: count(r/m) < 3 and r/one = 1, then: "'few'" }
    m: { $forEach: "r/m[. > 1 or @keep]", $when: not(. = 3), '@at': position(), $content: normalize-space() }
`
  const document = '<r><a>abcd</a><one>1</one><n>12.5</n><m>1</m><m keep=""> 0.5 </m><m>2</m><m>3</m></r>'
  t.equal(
    map(yaml, document),
    '<o n="4"><concat>abcd-bc</concat><product>125001.00</product><few/><m at="1">0.5</m><m at="2">2</m></o>',
  )
  t.end()
})

t.test('the mapping that the README shows', (t) => {
  const readme = readFileSync(join(import.meta.dirname, '../../../README.md'), 'utf8')
  const [, yaml = ''] = /```yaml\n(namespaces: \{ g:.*?)```/s.exec(readme) ?? []
  const document = `<register xmlns="urn:example:register">
    <org state="active" code="4452"><name> 榕城  一号店</name><type>1</type><since>2024-02-29</since><capital>12.5</capital><phone/></org>
    <org state="closed" code="4453"><name>空港</name></org>
    <org state="active" code="4454"><name>揭东</name><type>9</type><capital>100</capital><phone>1</phone><branch>a</branch><branch>b</branch></org>
  </register>`
  t.equal(
    map(yaml, document),
    '<directory xmlns="urn:example:directory" count="3">' +
      '<org no="1"><code>91-4454</code><name>揭东</name><type>其他</type><since/><capital>1,000,000.00</capital><phone>1</phone><branches><branch>a</branch><branch>b</branch></branches></org>' +
      '<org no="2"><code>91-4452</code><name>榕城 一号店</name><type>有限责任公司</type><since>2024年02月29日</since><capital>125,000.00</capital></org></directory>',
  )
  t.end()
})

t.test('conditions, choices, repetition, order', (t) => {
  const yaml = `
root:
  o:
    i:
      $forEach: r/i
      $when: { not: { equals: [ '@skip', "'yes'" ] } }
      $sort: [ { by: '@n', as: number, descending: true }, . ]
      '@at': { $position: true }
      '@n': { $value: '@n', $optional: true }
      '@big': { $text: 'true', $when: { '>': [ '@n', 1 ] } }
      v:
        $choose:
          - when: { in: [ ., [ a, b ] ] }
            then: "'ab'"
          - when: { all: [ { startsWith: [ ., "'c'" ] }, { contains: [ ., "'x'" ] } ] }
            then: { w: . }
          - else: { $text: other }
      gone: { $value: nowhere, $optional: true }
`
  const document = '<r><i n="1">b</i><i>z</i><i n="2">cx</i><i n="1">a</i><i n="3" skip="yes">q</i></r>'
  t.equal(
    map(yaml, document),
    '<o><i at="2" n="2" big="true"><v><w>cx</w></v></i><i at="3" n="1"><v>ab</v></i><i at="4" n="1"><v>ab</v></i><i at="5"><v>other</v></i></o>',
  )
  t.equal(
    map('root: { o: { $each: { of: r/i, do: [ { a: . }, { b: . } ] } } }', '<r><i>1</i><i>2</i></r>'),
    '<o><a>1</a><b>1</b><a>2</a><b>2</b></o>',
  )
  t.end()
})

t.test('a mapping refuses a document', async (t) => {
  const yaml =
    'root: { o: { $choose: [ { when: { empty: r/id }, then: { $stop: { $concat: [ "\'no id in \'", r/n ] } } } ] } }'
  t.equal(map(yaml, '<r><id>1</id></r>'), '<o/>')
  const fault = await faultOf(() => map(yaml, '<r><n>x</n></r>'))
  t.match(fault?.describe(), /^MAPPING_STOPPED.*no id in x/)
})

t.test('runs beside each other and inside each other do not mix', (t) => {
  const yaml =
    "root: { o: { a: { $forEach: r/a, '@n': { $position: true }, b: { $forEach: b, '@n': { $position: true }, '@all': { $count: ../b } }, '@of': { $count: ../a } } } }"
  t.equal(
    map(yaml, '<r><a><b/><b/></a><a><b/></a></r>'),
    '<o><a n="1" of="2"><b n="1" all="2"/><b n="2" all="2"/></a><a n="2" of="2"><b n="1" all="1"/></a></o>',
  )
  t.end()
})

t.test('quadratic work and results that grow beyond measure end', async (t) => {
  const document = `<r><t>${'x'.repeat(50_000)}</t>${'<a/>'.repeat(20_000)}</r>`
  const codeOf = async (content: string) =>
    (await faultOf(() => map(`root: { o: { i: { $forEach: r/a, $content: ${content} } } }`, document)))?.code
  t.equal(await codeOf('{ $count: /r/a }'), 'MAPPING_TOO_LONG', 'steps')
  t.equal(
    await codeOf('{ $if: { contains: [ /, "\'y\'" ] }, then: "\'y\'" }'),
    'MAPPING_TOO_LONG',
    'texts put together',
  )
  t.equal(await codeOf('/r/t'), 'MAPPING_TOO_LONG', 'results')
})

t.test('mistakes are named with their place', async (t) => {
  for (const [yaml, expected] of [
    ['root: { a: b, c: d }', /one key, the root element/],
    ['root: { a: { $forEach: b } }', /root element is there once/],
    ['root: { a: { b: "c[" } }', /mapping: root\/a\/b: .*c\[: the expression is not finished/],
    ['root: { a: { b: "c//d" } }', /along the axis/],
    ['root: { a: { b: "c/../d" } }', /goes up after it went down/],
    ['root: { a: { b: "x:c" } }', /prefix x has no namespace/],
    ['root: { "x:a": b }', /prefix x is not among/],
    ['root: { a: { b: { $uper: c } } }', /root\/a\/b\/\$uper.*there is no \$uper; did you mean \$upper\?/],
    ['root: { a: { b: { $foreach: x, c: d } } }', /there is no \$foreach; did you mean \$forEach\?/],
    ['root: { a: { b: { $when: { equal: [c, d] }, c: d } } }', /condition equal; did you mean equals\?/],
    ['root: { a: { b: { $lookup: t, key: c } } }', /there is no table t/],
    ['root: { a: { b: { $substring: c, start: 0 } } }', /from 1/],
    ['root: { a: { b: { $substring: c, begin: 1 } } }', /there is no begin here/],
    ['root: { a: { b: { $concat: c } } }', /a list must stand here/],
    ['root: { a: { b: { $when: { gleich: [c, d] }, c: d } } }', /there is no condition gleich/],
    ['root: { a: { b: { $date: c, from: YYYY, to: MM } } }', /MM is in "MM" and not in "YYYY"/],
    ['root: { a: { b: { $sort: c } } }', /\$sort needs \$forEach/],
    ['root: { a: { b: { $forEach: c/@d } } }', /over attributes/],
    ['root: { a: { b: { $forEach: c, $sort: { $position: true } } } }', /position/],
    ['root: { "a b": c }', /"a b" is no name/],
    ['root: { a: { "@xmlns": c } }', /xmlns/],
    ['root: { a: { $text: "\\u0001" } }', /U\+0001/],
    ['root: { a: { $text: "\\ud800" } }', /surrogate|YAML/],
    ['root: { a: [ { "@b": c } ] }', /stands in an element/],
    ['namespaces: { n: "http://www.w3.org/2000/xmlns/" }\nroot: { "n:a": b }', /xmlns/],
  ] as const) {
    t.match(await why(yaml), expected, yaml)
  }
})

t.test('what compiles is data: names and texts never become code or markup', async (t) => {
  const hostile = `'"\`\${process.exit()}</script>--><!--]]>&lt;`
  const yaml = `tables: { t: { ${JSON.stringify(hostile)}: ${JSON.stringify(hostile)} } }\nroot: { o: { '@a': { $text: ${JSON.stringify(hostile)} }, $lookup: t, key: r } }`
  const document = map(
    yaml,
    `<r>${hostile.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')}</r>`,
  )
  const tree = new XmlParser().parse(document)
  t.same([tree.attributeText(0), tree.stringValue(0)], [hostile, hostile])
  const named = (local: string): Mapping => ({
    tables: {},
    root: { kind: 'element', name: { prefix: '', local, uri: '' }, attributes: [], children: [] },
  })
  t.equal((await faultOf(() => checkMapping(named('a onload="x"'))))?.code, 'MAPPING_INVALID')
  t.equal((await faultOf(() => checkMapping(named('𠮷\ud800'))))?.code, 'MAPPING_INVALID')
})

t.test('a mapping that is nested too deep is refused, not run into the stack', async (t) => {
  let expression: Mapping['root']['attributes'][number]['value'] = { kind: 'literal', value: '' }
  for (let i = 0; i < 5_000; i += 1) expression = { kind: 'trim', of: expression }
  const mapping: Mapping = {
    tables: {},
    root: {
      kind: 'element',
      name: { prefix: '', local: 'a', uri: '' },
      attributes: [],
      children: [{ kind: 'text', value: expression }],
    },
  }
  t.match((await faultOf(() => compileMapping(mapping)))?.describe(), /MAPPING_INVALID.*levels/)
})
