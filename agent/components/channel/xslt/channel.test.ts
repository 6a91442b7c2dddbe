import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Item } from '../../contract.ts'
import { collector, faultOf, settingsOf, testContext } from '../../support/testing.ts'
import { XsltChannel, xsltSettings } from './mod.ts'

const sheet = (body: string, { version = '3.0', top = '', declared = '' } = {}): string =>
  `<xsl:stylesheet version="${version}" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:xs="http://www.w3.org/2001/XMLSchema" exclude-result-prefixes="#all" ${declared}>
${top}
<xsl:template match="/">
${body}
</xsl:template>
</xsl:stylesheet>`
const make = (root: string, settings: object) => new XsltChannel(settingsOf(xsltSettings, settings), testContext(root))
const documentItem = (text: string | Buffer, row: object = {}): Item => ({
  row: { name: 'a/b.xml', size: 0, modified: null, mediaType: 'application/xml', ...row },
  ref: 1,
  content: { kind: 'bytes', bytes: Buffer.from(text) },
})
const textOf = (item: Item | undefined): string =>
  item?.content?.kind === 'bytes' ? Buffer.from(item.content.bytes).toString() : ''
const resultOf = async (root: string, settings: object, document = '<a/>', row: object = {}): Promise<string> => {
  const { rejects, reject } = collector()
  const [item] = await make(root, settings).process([documentItem(document, row)], reject)
  return item === undefined ? (rejects[0]?.fault.describe() ?? 'nothing') : textOf(item).replace(/^<\?xml[^>]*\?>/, '')
}

t.test('a document by a stylesheet, its name and its media type', async (t) => {
  const root = t.testdir({ 'x.xsl': sheet('<out><xsl:value-of select="upper-case(/a)"/></out>') })
  const channel = make(root, { file: 'x.xsl', name: 'out/{stem}.{kind}.xml' })
  await channel.open()
  const [item] = await channel.process([documentItem('<a>税ä&#x20000;</a>', { kind: 'k' })], () => t.fail())
  t.equal(textOf(item), '<?xml version="1.0" encoding="UTF-8"?><out>税Ä\u{20000}</out>')
  t.match(item?.row, { name: 'out/a/b.k.xml', mediaType: 'application/xml', size: textOf(item).length + 5 })
  const gbk = Buffer.concat([
    Buffer.from('<?xml version="1.0" encoding="GBK"?><a>'),
    Buffer.from([0xcb, 0xb0]),
    Buffer.from('</a>'),
  ])
  t.match(textOf((await channel.process([documentItem(gbk)], () => t.fail()))[0]), /<out>税<\/out>/)
  const html = make(root, { stylesheet: sheet('x', { top: '<xsl:output method="html" encoding="GBK"/>' }) })
  t.equal((await html.process([documentItem('<a/>')], () => t.fail()))[0]?.row.mediaType, 'text/html')
  const field = make(root, { file: 'x.xsl', field: 'xml' })
  t.match((await field.process([{ row: { xml: '<a>b</a>' }, ref: 1 }], () => t.fail()))[0]?.row.xml, /<out>B<\/out>/)
})

t.test('parameters: constants and fields, in the types that the stylesheet declares', async (t) => {
  const top = '<xsl:param name="p" as="xs:integer"/><xsl:param name="q"/><xsl:param name="r" select="\'none\'"/>'
  const settings = {
    stylesheet: sheet('<o><xsl:value-of select="$p + 1, $q, $r" separator="|"/></o>', { top }),
    parameters: { p: '41' },
    parameterFields: { q: 'town', r: 'void' },
  }
  t.equal(await resultOf(t.testdir({}), settings, '<a/>', { town: '<榕>', void: null }), '<o>42|&lt;榕&gt;|none</o>')
  t.match(await resultOf(t.testdir({}), settings, '<a/>', { town: 'x' }), /XSLT_PARAMETER_MISSING at parameterFields.r/)
  const bad = { ...settings, parameters: { p: 'x' }, parameterFields: {} }
  t.match(await resultOf(t.testdir({}), bad), /XSLT_FAILED.*FORG0001/)
})

t.test('bad documents are rejected with code and place, neighbours pass', async (t) => {
  const channel = make(t.testdir({}), { stylesheet: sheet('<o><xsl:value-of select="1 div xs:integer(/a)"/></o>') })
  const { rejects, reject } = collector()
  const documents = [
    '<a>1</a>',
    '<a>\n<b></a>',
    '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>',
    `${'<a>'.repeat(10_000)}${'</a>'.repeat(10_000)}`,
    '<a>\0</a>',
    '',
    '<a>0</a>',
    '<a>4</a>',
  ]
  const passed = await channel.process(
    documents.map((text) => documentItem(text)),
    reject,
  )
  t.same(
    passed.map((item) => textOf(item).slice(38)),
    ['<o>1</o>', '<o>0.25</o>'],
  )
  t.same(
    rejects.map(({ fault }) => fault.code),
    [
      'XML_NOT_WELL_FORMED',
      'XML_DTD_REFUSED',
      'XML_TOO_COMPLEX',
      'XML_NOT_WELL_FORMED',
      'XML_NOT_WELL_FORMED',
      'XSLT_FAILED',
    ],
  )
  t.match(rejects[0]?.fault.details, { line: 2, column: Number })
  t.match(rejects.at(-1)?.fault.details, { errorCode: 'FOAR0001', stylesheetLine: 3 })
})

t.test('a stylesheet refuses by a message', async (t) => {
  const body = '<xsl:message>first</xsl:message><xsl:message terminate="yes">no <b>税</b> number</xsl:message>'
  const { rejects, reject } = collector()
  await make(t.testdir({}), { stylesheet: sheet(body) }).process([documentItem('<a/>')], reject)
  t.match(rejects[0]?.fault.describe(), /^XSLT_TERMINATED.*: no 税 number \(line 3 of stylesheet\)/)
  t.match(rejects[0]?.fault.details, { errorCode: 'XTMM9000', stylesheetLine: 3 })
})

t.test('recursion without end is a fault of the document', async (t) => {
  const top = '<xsl:template name="l"><x><xsl:call-template name="l"/></x></xsl:template>'
  t.match(
    await resultOf(t.testdir({}), { stylesheet: sheet('<xsl:call-template name="l"/>', { top }) }),
    /^XSLT_FAILED.*recursion/,
  )
})

const REACHING: Readonly<Record<string, string>> = {
  doc: '<xsl:value-of select="doc(\'FILE\')"/>',
  document: '<xsl:value-of select="document(\'FILE\')"/>',
  'doc-available': '<xsl:value-of select="doc-available(/a/@href)"/>',
  'unparsed-text': '<xsl:value-of select="unparsed-text(\'FILE\')"/>',
  'unparsed-text-lines': '<xsl:value-of select="unparsed-text-lines(\'FILE\')"/>',
  'json-doc': '<xsl:value-of select="json-doc(\'FILE\')"/>',
  collection: '<xsl:value-of select="collection(\'FILE\')"/>',
  'environment-variable': '<xsl:value-of select="environment-variable(\'PATH\')"/>',
  transform: '<xsl:value-of select="transform(map{\'stylesheet-text\': /a})?output"/>',
  'function-lookup': "<xsl:value-of select=\"function-lookup(xs:QName('doc'), 1)('FILE')\"/>",
  'a reference': '<xsl:value-of select="(doc#1)(\'FILE\')"/>',
  'a partial application': '<xsl:value-of select="doc(?)(\'FILE\')"/>',
  'an arrow': '<xsl:value-of select="\'FILE\' => doc()"/>',
  'a nested function': '<xsl:value-of select="for-each((\'FILE\'), function($f) { doc($f) })"/>',
  'result-document': '<xsl:result-document href="FILE"><x/></xsl:result-document>',
  'source-document': '<xsl:source-document href="FILE"><x/></xsl:source-document>',
  merge:
    '<xsl:merge><xsl:merge-source for-each-source="\'FILE\'" select="/"><xsl:merge-key select="1"/></xsl:merge-source><xsl:merge-action><a/></xsl:merge-action></xsl:merge>',
  evaluate: '<xsl:evaluate xpath="/a"/>',
  'the host language': '<xsl:value-of xmlns:js="http://saxonica.com/ns/globalJS" select="js:eval(\'1\')"/>',
  'the host language, referred to':
    '<xsl:value-of xmlns:js="http://saxonica.com/ns/globalJS" select="(js:eval#1)(\'1\')"/>',
  'the host language, by its other door':
    '<xsl:value-of xmlns:i="http://saxonica.com/ns/interactiveXSLT" select="i:eval(\'1\')"/>',
  'an object of the host':
    '<i:set-property xmlns:i="http://saxonica.com/ns/interactiveXSLT" name="hacked" select="1"/>',
}

t.test('nothing reaches outside of the document', async (t) => {
  const root = t.testdir({ 'secret.xml': '<s>secret</s>' })
  const refused = async (stylesheet: string): Promise<string> => {
    const fault = await faultOf(() => make(root, { stylesheet }).open())
    return fault === null ? 'opened' : `${fault.describe()} line ${fault.details.line}`
  }
  for (const [what, body] of Object.entries(REACHING)) {
    const withFile = body.replaceAll('FILE', `file://${root}/secret.xml`)
    for (const declared of [
      '',
      'xmlns:ixsl="http://saxonica.com/ns/interactiveXSLT" extension-element-prefixes="ixsl"',
    ]) {
      t.match(await refused(sheet(withFile, { declared })), /^XSLT_(REFUSED|STYLESHEET_INVALID).* line \d/, what)
    }
  }
  t.match(await refused(sheet(REACHING.doc ?? '')), /XSLT_REFUSED.*doc\(\) is not available.*line 4/)
  for (const top of [
    '<xsl:variable name="x" static="yes" select="unparsed-text(\'/etc/hostname\')"/>',
    '<xsl:variable name="x" static="yes" select="i:eval(\'1\')" xmlns:i="http://saxonica.com/ns/interactiveXSLT"/>',
    '<xsl:variable name="x" static="yes" _select="{\'1\'}"/>',
    '<xsl:template name="n" use-when="doc-available(\'x\')"/>',
    '<xsl:template name="n"><b xsl:use-when="Q{http://www.w3.org/2005/xpath-functions}doc-available(\'x\')"/></xsl:template>',
  ]) {
    t.match(await refused(sheet('', { top })), /^XSLT_REFUSED.*evaluated while compiling.* line 2/, top)
  }
  const plain = '<xsl:template name="n" use-when="system-property(\'xsl:version\') = \'3.0\' and not(2 > 3)"/>'
  t.equal(await refused(sheet('', { top: plain })), 'opened')
  t.match(
    await refused('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]><x>&e;</x>'),
    /^XSLT_STYLESHEET_INVALID.*DOCTYPE/,
  )
  t.notOk('hacked' in globalThis)
})

t.test('modules come from the folder of the stylesheet only', async (t) => {
  const module =
    '<xsl:stylesheet version="3.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template name="m">module</xsl:template></xsl:stylesheet>'
  const root = t.testdir({ in: { sub: { 'm.xsl': module } }, 'out.xsl': module })
  symlinkSync(join(root, 'out.xsl'), join(root, 'in', 'link.xsl'))
  const withModule = (href: string): object => {
    writeFileSync(
      join(root, 'in', 'x.xsl'),
      sheet('<o><xsl:call-template name="m"/></o>', { top: `<xsl:import href="${href}"/>` }),
    )
    return { file: 'in/x.xsl' }
  }
  t.equal(await resultOf(root, withModule('sub/m.xsl')), '<o>module</o>')
  for (const href of [
    '../out.xsl',
    'link.xsl',
    `file://${root}/out.xsl`,
    'http://127.0.0.1:9/m.xsl',
    'data:text/xml,x',
  ]) {
    const fault = await faultOf(() => make(root, withModule(href)).open())
    t.equal(fault?.code, 'XSLT_REFUSED', href)
  }
  t.equal((await faultOf(() => make(root, withModule('none.xsl')).open()))?.code, 'XSLT_STYLESHEET_UNREADABLE')
  mkdirSync(join(root, 'in', 'evil'))
  writeFileSync(join(root, 'in', 'evil', 'm.xsl'), module.replace('module<', '<xsl:value-of select="doc(\'x\')"/><'))
  t.equal((await faultOf(() => make(root, withModule('evil/m.xsl')).open()))?.code, 'XSLT_REFUSED')
  const top = '<xsl:include href="sub/m.xsl"/>'
  t.equal((await faultOf(() => make(root, { stylesheet: sheet('', { top }) }).open()))?.code, 'XSLT_REFUSED', 'inline')
})

t.test('mistakes in a stylesheet show when it opens, with the line', async (t) => {
  const root = t.testdir({ 'x.xsl': '<a>' })
  const wrong = async (settings: object) => (await faultOf(() => make(root, settings).open()))?.toJSON()
  t.match(await wrong({ stylesheet: sheet('<xsl:value-of select="foo("/>') }), {
    code: 'XSLT_STYLESHEET_INVALID',
    errorCode: 'XPST0003',
    line: 4,
  })
  t.match(await wrong({ stylesheet: sheet('<xsl:nope/>') }), {
    code: 'XSLT_STYLESHEET_INVALID',
    errorCode: 'XTSE0010',
    line: 4,
  })
  t.match(await wrong({ stylesheet: sheet('<xsl:value-of select="$x"/>') }), {
    code: 'XSLT_STYLESHEET_INVALID',
    line: 4,
  })
  t.match(await wrong({ file: 'x.xsl' }), { code: 'XSLT_STYLESHEET_INVALID', line: 1, column: Number })
  t.match(await wrong({ file: 'y.xsl' }), { code: 'XSLT_STYLESHEET_UNREADABLE' })
  t.throws(() => make(root, {}), /either `file` or `stylesheet`/)
})

t.test('a stylesheet that is a mapping runs as one, with the same result', async (t) => {
  const root = t.testdir({})
  const stylesheet = `<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:s="urn:s" xmlns="urn:d" exclude-result-prefixes="s">
<xsl:param name="unit"/>
<xsl:template match="/"><list unit="{$unit}"><xsl:for-each select="s:a/b"><xsl:sort select="@n" data-type="number"/><c n="{@n}"><xsl:value-of select="normalize-space(.)"/></c></xsl:for-each><xsl:if test="not(s:a)"><xsl:message terminate="yes">no a</xsl:message></xsl:if></list></xsl:template></xsl:stylesheet>`
  const document = '<s:a xmlns:s="urn:s"><b n="10"> x  y </b><b n="9">税&amp;</b><b n="x"/></s:a>'
  const run = async (settings: object) => {
    const context = testContext(root)
    const channel = new XsltChannel(settingsOf(xsltSettings, settings), context)
    const { rejects, reject } = collector()
    const items = await channel.process([documentItem(document), documentItem('<x/>')], reject)
    return {
      text: textOf(items[0]),
      rejects: rejects.map(({ fault }) => [fault.code, fault.message]),
      logs: context.logs,
    }
  }
  const parameters = { unit: '局' }
  const mapped = await run({ stylesheet, parameters })
  const engine = await run({ stylesheet, parameters, engine: 'saxon' })
  const expected = '<list xmlns="urn:d" unit="局"><c n="x"/><c n="9">税&amp;</c><c n="10">x y</c></list>'
  t.equal(mapped.text.replace(/^<\?xml[^>]*\?>\n?/, ''), expected)
  t.equal(engine.text.replace(/^<\?xml[^>]*\?>\n?/, ''), expected)
  t.same(mapped.rejects, [
    ['XSLT_TERMINATED', 'the stylesheet refused this document by xsl:message terminate="yes": no a'],
  ])
  t.same(mapped.logs, [], 'no reason why not')
  t.match(engine.rejects[0]?.[0], 'XSLT_TERMINATED')
  const other = await run({ stylesheet: stylesheet.replace('normalize-space(.)', 'string-length(.)'), parameters })
  t.match(other.logs, [/no mapping, by SaxonJS: string-length\(\.\) uses string-length\(\)/])
  t.match(other.text, /<c n="10">6<\/c>/)
  const undeclared = await run({
    stylesheet: stylesheet.replace(
      '<xsl:param name="unit"/>',
      '<xsl:param name="unit"/><xsl:output method="xml" omit-xml-declaration="yes"/>',
    ),
    parameters,
  })
  t.equal(undeclared.text, expected)
})

t.test('numbers in a stylesheet of version 1.0; where a part is of another version the lines are named', async (t) => {
  const body =
    '<o a="{/a * 2}"><xsl:value-of select="count(/a)"/>\n<xsl:value-of select="concat(sum(/a), \'x\')"/>\n<xsl:value-of select="format-number(/a * 2, \'0\')"/></o>'
  const warned = async (text: string): Promise<readonly string[]> => {
    const context = testContext(t.testdir({}))
    await new XsltChannel(settingsOf(xsltSettings, { stylesheet: text }), context).open()
    return context.logs.filter((line) => line.startsWith('warn'))
  }
  const version1 = sheet(body, { version: '1.0' })
  t.same(await warned(version1), [])
  t.same(await warned(sheet(body)), [])
  t.match(await resultOf(t.testdir({}), { stylesheet: version1 }, '<a>1110000</a>'), /a="2220000">11110000x2220000</)
  const mixed = version1.replace('<xsl:template', '<xsl:template version="3.0"')
  t.match(await warned(mixed), [/xslt: lines 4, 5 write computed numbers; .*format-number/])
  t.match(await resultOf(t.testdir({}), { stylesheet: mixed }, '<a>1110000</a>'), /a="2.22E6"/, 'so it is')
})

t.test('a result that is no XML document does not go out as one', async (t) => {
  const root = t.testdir({})
  const wrong = '<xsl:template match="n:a" xmlns:n="urn:other"><out/></xsl:template>'
  const applied = { stylesheet: sheet('<xsl:apply-templates/>', { top: wrong }) }
  t.match(await resultOf(root, applied, '<a xmlns="urn:this">text</a>'), /XSLT_RESULT.*outside the root/)
  for (const body of ['', '<a/><b/>', '<a><xsl:value-of select="\'1&lt;\'" disable-output-escaping="yes"/></a>'])
    t.match(await resultOf(root, { stylesheet: sheet(body), engine: 'saxon' }), /XSLT_RESULT/, body)
  const text = sheet('a;b', { top: '<xsl:output method="text"/>' })
  t.match(await resultOf(root, { stylesheet: text }), /a;b/)
  t.equal(
    await resultOf(root, { stylesheet: sheet('<a/><b/>'), mediaType: 'text/xml-external-parsed-entity' }),
    '<a/><b/>',
  )
  t.match(await resultOf(root, { stylesheet: sheet('<html><br/></html>') }), /<html>/)
  const doctype = '<xsl:output doctype-system="a.dtd"/>'
  t.match(await resultOf(root, { stylesheet: sheet('<a/>', { top: doctype }) }), /DOCTYPE/)
})
