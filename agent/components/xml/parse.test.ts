import t from 'tap'
import { Fault } from '#protocol/base/mod.ts'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { faultOf } from '../support/testing.ts'
import { XML_ATTRIBUTES_MAX, XML_DEPTH_MAX, XML_NAMES_MAX } from './limits.ts'
import { decodeXml, Names, XmlParser } from './mod.ts'

const parse = (text: string) => new XmlParser().parse(text)

t.test('a tree: order, parents, ends, string values, attributes', (t) => {
  const parser = new XmlParser()
  const tree = parser.parse(
    '<a x="1&amp;&#x20000;" y="a\tb\nc\r\nd">t<b/>&lt;<!-- c --><![CDATA[<x>]]><?p i?><c>u</c></a>\n',
  )
  const { names } = tree
  t.equal(tree.stringValue(0), 't<<x>u')
  t.equal(tree.stringValue(1), 't<<x>u')
  t.same([tree.attributeText(0), tree.attributeText(1)], ['1&𠀀', 'a b c d'])
  const id = (local: string) => names.expand('', local)
  t.equal(tree.name[1], id('a'))
  t.equal(tree.attribute(1, id('y')), 1)
  t.equal(tree.attribute(1, id('z')), -1)
  const elements = [...tree.name.subarray(0, tree.count)].filter((name) => name >= 0)
  t.same(elements, [id('a'), id('b'), id('c')])
  t.equal(tree.end[1], tree.count)
  t.equal(parser.parse('<a>x\r\ny\rz&#13;</a>').stringValue(0), 'x\ny\nz\r', 'line ends; a reference stays')
  t.equal(parser.parse('\ufeff<a>b</a>').stringValue(0), 'b')
  t.end()
})

t.test('names that were asked for keep their numbers, whatever documents bring', (t) => {
  const names = new Names()
  const wanted = names.ask('urn:u', 'wanted')
  const parser = new XmlParser(names)
  for (let round = 0; round < 4; round += 1) {
    const many = Array.from({ length: 4_000 }, (_, i) => `<n${round}-${i}/>`).join('')
    parser.parse(`<p:wanted xmlns:p="urn:u">${many}</p:wanted>`)
    t.ok(names.text.length < 12_000 && names.uri.length < 12_000, 'they are not kept for ever')
    const tree = parser.parse('<wanted xmlns="urn:u"><wanted xmlns=""/></wanted>')
    t.equal(tree.name[1], wanted)
    t.not(tree.name[2], wanted)
  }
  t.end()
})

t.test('faults have line and column, in characters', async (t) => {
  const placed = async (text: string) => {
    const fault = await faultOf(() => parse(text))
    return [fault?.code, fault?.details.line, fault?.details.column]
  }
  t.same(await placed('<a>\n  <b>𠮷</c>\n</a>'), ['XML_NOT_WELL_FORMED', 2, 7])
  t.same(await placed('<a>\r\n\r\n<b x="1" x="2"/></a>'), ['XML_NOT_WELL_FORMED', 3, 10])
  t.same(await placed('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'), ['XML_DTD_REFUSED', 1, 1])
  t.same(await placed('<a/><!DOCTYPE a>'), ['XML_DTD_REFUSED', 1, 5])
  t.same(await placed(''), ['XML_NOT_WELL_FORMED', 1, 1])
  t.same(await placed(' \n'), ['XML_NOT_WELL_FORMED', 2, 1])
  t.same(await placed('<a>\0</a>'), ['XML_NOT_WELL_FORMED', 1, 4])
  t.same(await placed(' <?xml version="1.0"?><a/>'), ['XML_NOT_WELL_FORMED', 1, 2])
  t.match((await faultOf(() => parse('<a>\n<b>')))?.describe(), /inside <b> of line 2/)
})

t.test('XML declarations', async (t) => {
  const codeOf = async (declaration: string) => (await faultOf(() => parse(`${declaration}<a/>`)))?.code ?? 'ok'
  for (const right of [
    '<?xml version="1.0"?>',
    "<?xml version='1.0' encoding='UTF-8'?>",
    '<?xml version="1.0"\n encoding = "gb2312" standalone="yes" ?>',
    '<?xml version="1.1" standalone=\'no\'?>',
    '<?xml-stylesheet href="a"?>',
  ]) {
    t.equal(await codeOf(right), 'ok', right)
  }
  for (const wrong of [
    '<?xml?>',
    '<?xml encoding="UTF-8"?>',
    '<?xml version="2.0"?>',
    '<?xml version="1.0" standalone="maybe"?>',
    '<?xml version="1.0" standalone="yes" encoding="UTF-8"?>',
    '<?xml version="1.0"encoding="UTF-8"?>',
    '<?xml version="1.0" encoding="8"?>',
    '<?xml version="1.0"',
    '<?xml version="1.0">',
  ]) {
    t.equal(await codeOf(wrong), 'XML_NOT_WELL_FORMED', wrong)
  }
})

t.test('bounds on depth, attributes, names', async (t) => {
  const codeOf = async (text: string) => (await faultOf(() => parse(text)))?.code ?? 'ok'
  const nested = (depth: number) => '<a>'.repeat(depth) + '</a>'.repeat(depth)
  t.equal(await codeOf(nested(XML_DEPTH_MAX)), 'ok')
  t.equal(await codeOf(nested(XML_DEPTH_MAX + 1)), 'XML_TOO_COMPLEX')
  t.equal(await codeOf(nested(10_000)), 'XML_TOO_COMPLEX')
  const wide = (count: number, make: (i: number) => string) =>
    `<a ${Array.from({ length: count }, (_, i) => make(i)).join(' ')}/>`
  t.equal(await codeOf(wide(XML_ATTRIBUTES_MAX, (i) => `x${i}=""`)), 'ok')
  t.equal(await codeOf(wide(XML_ATTRIBUTES_MAX + 1, (i) => `x${i}=""`)), 'XML_TOO_COMPLEX')
  t.equal(await codeOf(wide(XML_ATTRIBUTES_MAX + 1, (i) => `xmlns:x${i}="u"`)), 'XML_TOO_COMPLEX')
  const named = (count: number) => `<a>${Array.from({ length: count }, (_, i) => `<x${i}/>`).join('')}</a>`
  t.equal(await codeOf(named(XML_NAMES_MAX - 1)), 'ok')
  t.equal(await codeOf(named(XML_NAMES_MAX + 10)), 'XML_TOO_COMPLEX')
  t.equal(await codeOf(`<${'a'.repeat(1_025)}/>`), 'XML_TOO_COMPLEX')
})

t.test('arrays grow, and are let go of after a large document', (t) => {
  const parser = new XmlParser()
  const large = parser.parse(`<a>${'<b c="d"/>'.repeat(200_000)}</a>`)
  t.equal(large.count, 200_002)
  t.equal(large.attributeCount, 200_000)
  t.equal(large.end[1], 200_002)
  const small = parser.parse('<a><b c="d">e</b></a>')
  t.equal(small.stringValue(0), 'e')
  t.ok(small.name.length < 10_000)
  parser.release()
  t.equal(parser.parse('<a>f</a>').stringValue(0), 'f')
  t.end()
})

t.test('scopes end with their elements', async (t) => {
  const tree = parse('<a xmlns:p="1"><b xmlns:p="2"><p:c/></b><p:c/><d xmlns="3"><e/><e xmlns=""/></d><e/></a>')
  const shown = [...tree.name.subarray(0, tree.count)]
    .filter((name) => name >= 0)
    .map((name) => `${tree.names.uri[name]} ${tree.names.localPart[name]}`)
  t.same(shown, [' a', ' b', '2 c', '1 c', '3 d', '3 e', ' e', ' e'])
  t.equal((await faultOf(() => parse('<a><b xmlns:p="2"/><p:c/></a>')))?.code, 'XML_NOT_WELL_FORMED')
})

t.test('random bytes: faults or trees, nothing else', (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const parser = new XmlParser()
  const start = Buffer.from('<?xml version="1.0" encoding="GBK"?><a b="c">\u4e2d<d>&lt;</d></a>')
  const codes = new Set<string>()
  for (let i = 0; i < 20_000; i += 1) {
    const bytes = random.oneIn(4) ? random.bytes(random.below(60)) : Buffer.from(start)
    for (let changes = random.below(4); changes > 0 && bytes.length > 0; changes -= 1)
      bytes[random.below(bytes.length)] = random.u32()
    try {
      parser.parse(decodeXml(bytes))
    } catch (error) {
      if (!(error instanceof Fault) || !error.code.startsWith('XML_')) throw error
      codes.add(error.code)
    }
  }
  t.ok(codes.has('XML_NOT_WELL_FORMED') && codes.has('XML_ENCODING'))
  t.end()
})
