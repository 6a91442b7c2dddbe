// Stylesheets as people write them: what is a mapping gives what SaxonJS gives, and for what is none the reason is said.

import { XmlC14NMode, XmlDocument } from 'libxml2-wasm'
import t from 'tap'
import { XmlParser } from '../../../xml/mod.ts'
import { saxonEngine } from '../../xslt/mod.ts'
import { compileMapping } from '../compile.ts'
import { importXslt } from './import.ts'
import { treeReader } from './tree.ts'

const readTree = await treeReader()
const saxon = saxonEngine(readTree)
const HEAD = 'xmlns:xsl="http://www.w3.org/1999/XSL/Transform"'
const sheet = (body: string, { top = '', version = '1.0', declared = '' } = {}): string =>
  `<xsl:stylesheet version="${version}" ${HEAD} ${declared}>\n${top}\n<xsl:template match="/">${body}</xsl:template>\n</xsl:stylesheet>`

function canonical(xml: string): string {
  const document = XmlDocument.fromString(xml)
  try {
    return document.canonicalizeToString({ mode: XmlC14NMode.XML_C14N_1_0 })
  } finally {
    document.dispose()
  }
}

function bothWays(text: string, document: string): readonly [mapped: string, engine: string] {
  const imported = importXslt(text, readTree)
  if (!imported.ok) return [`line ${imported.line}: ${imported.why}`, '']
  const mapping = compileMapping(imported.mapping)
  const mapped = mapping.map(new XmlParser(mapping.names).parse(document))
  const engine = saxon.compile({ text, compiled: false, path: null }).transform(document, new Map())
  return [canonical(mapped), canonical(engine)]
}

const DOCUMENT = `<orders currency="CNY"><order id="2" state="open"><item code="a" price="1.50" count="3">Tee</item><item code="b" price="2" count="1"> Salz </item></order>
<order id="10" state="paid"><item code="c" price="0.1" count="10">税 &amp; "x"</item><note/></order><order id="7" state="open"/></orders>`

const SAME: Record<string, string> = {
  'literal elements, value-of, for-each, attribute value templates': `<list n="{count(/orders/order)}"><xsl:for-each select="orders/order"><o id="no-{@id}"><xsl:value-of select="item"/></o></xsl:for-each></list>`,
  'comparisons with nodes hold for one of them':
    '<r><xsl:if test="orders/order/item/@code = \'b\'">b</xsl:if><xsl:if test="orders/order/@id &gt; 9">9</xsl:if><xsl:if test="orders/order/item != \'Tee\'">other</xsl:if><xsl:if test="orders[1]/order[@state=\'open\'][2]/@id = 7">seven</xsl:if></r>',
  'variables of outer contexts':
    '<r><xsl:variable name="all" select="orders/order"/><xsl:for-each select="orders/order"><xsl:variable name="id" select="@id"/><xsl:variable name="first" select="item"/><xsl:for-each select="item"><i o="{$id}" first="{$first}" n="{count($all)}" p="{position()}"/></xsl:for-each></xsl:for-each></r>',
  'choose, sort, conditional attributes':
    '<r><xsl:for-each select="orders/order"><xsl:sort select="@state" order="descending" collation="http://www.w3.org/2005/xpath-functions/collation/codepoint"/><xsl:sort select="@id" data-type="number"/><o><xsl:if test="item"><xsl:attribute name="items"><xsl:value-of select="count(item)"/></xsl:attribute></xsl:if><xsl:choose><xsl:when test="@state = \'open\' and not(item)">empty</xsl:when><xsl:when test="contains(@state, \'pa\') or starts-with(@state, \'x\')">paid</xsl:when><xsl:otherwise><xsl:value-of select="concat(@id, \':\', translate(item[1], \'T\', \'t\'))"/></xsl:otherwise></xsl:choose></o></xsl:for-each></r>',
  'templates with parameters':
    '<r><xsl:for-each select="orders/order"><xsl:call-template name="line"><xsl:with-param name="label" select="concat(\'#\', @id)"/></xsl:call-template></xsl:for-each><xsl:apply-templates select="orders/order[item]"><xsl:sort select="@id" collation="http://www.w3.org/2005/xpath-functions/collation/codepoint"/></xsl:apply-templates></r>',
  'a code table':
    '<r><xsl:for-each select="orders/order/item"><xsl:variable name="c" select="string(@code)"/><c><xsl:choose><xsl:when test="$c = \'a\'">Alpha</xsl:when><xsl:when test="$c = \'b\'">Beta</xsl:when><xsl:when test="$c = \'z\'"/><xsl:when test="$c = \'y\'">Ypsilon</xsl:when><xsl:otherwise>?<xsl:value-of select="$c"/></xsl:otherwise></xsl:choose></c></xsl:for-each></r>',
  'numbers, as a mapping rounds':
    '<r><xsl:if test="sum(orders/order/item/@count) = 14">sum</xsl:if><xsl:if test="orders/order[2]/item/@price * 10 = 1">one</xsl:if><xsl:if test="not(number(orders) &lt; 1)">NaN</xsl:if><xsl:value-of select="format-number(count(orders/order), \'0.00\')"/></r>',
  'elements by name and messages':
    '<r><xsl:message>goes by</xsl:message><xsl:element name="e"><xsl:attribute name="x">a<xsl:value-of select="orders/@currency"/></xsl:attribute>t</xsl:element><xsl:text> </xsl:text></r>',
}
SAME['position as a text is no number'] =
  '<r><xsl:for-each select="orders/order"><xsl:variable name="p"><xsl:value-of select="position()"/></xsl:variable><xsl:if test="string(position()) = \'1.\' or $p = \'1.\'">wrong</xsl:if><xsl:if test="position() = \'1.\'">first</xsl:if></xsl:for-each></r>'

const TEMPLATES =
  '<xsl:variable name="global" select="orders/@currency"/><xsl:template name="line"><xsl:param name="label"/><xsl:param name="more" select="\'-\'"/><l><xsl:value-of select="$label"/><xsl:value-of select="$more"/><xsl:value-of select="$global"/></l></xsl:template><xsl:template match="order"><applied><xsl:apply-templates select="item"/></applied></xsl:template><xsl:template match="item|note"><xsl:value-of select="../@id"/>,</xsl:template>'

t.test('hand-written stylesheets', async (t) => {
  for (const [name, body] of Object.entries(SAME)) {
    const [mapped, engine] = bothWays(sheet(body, { top: TEMPLATES }), DOCUMENT)
    t.equal(mapped, engine, name)
  }
  const imported = importXslt(sheet(SAME['a code table'] ?? ''), readTree)
  t.same(imported.ok && Object.keys(imported.mapping.tables), ['table1'])
})

t.test('namespaces: only what the result declares on its root', async (t) => {
  const document = '<s:a xmlns:s="urn:s" s:k="1"><s:b>x</s:b></s:a>'
  for (const [declared, body] of [
    ['xmlns:s="urn:s" xmlns="urn:d" exclude-result-prefixes="s"', '<r><c><xsl:value-of select="s:a/s:b"/></c></r>'],
    ['xmlns:s="urn:s" xmlns:t="urn:t" exclude-result-prefixes="s"', '<t:r t:k="{s:a/@s:k}"><u/></t:r>'],
    ['xmlns:s="urn:s" xmlns:x="urn:s"', '<s:r><x:b/></s:r>'],
    ['xmlns:s="urn:s"', '<s:r><xsl:element name="s:c"/></s:r>'],
    ['', "<r><c><xsl:value-of select=\"*[local-name() = 'a' and namespace-uri() = 'urn:s']\"/></c></r>"],
  ] as const) {
    const [mapped, engine] = bothWays(sheet(body, { declared }), document)
    t.equal(mapped, engine, declared)
  }
})

const REASONS: readonly (readonly [why: RegExp, text: string])[] = [
  [/sorts text by language/, sheet('<r><xsl:for-each select="a"><xsl:sort select="b"/></xsl:for-each></r>')],
  [/none of its names is in: see exclude-result-prefixes/, sheet('<r/>', { declared: 'xmlns:s="urn:s"' })],
  [/elements declare different namespaces/, sheet('<r><t:x xmlns:t="urn:t"/></r>')],
  [/^\/\/a goes along the axis \/\//, sheet('<r><xsl:value-of select="//a"/></r>')],
  [/several nodes with several/, sheet('<r><xsl:if test="a/b = a/c"/></r>')],
  [/number without a format/, sheet('<r><xsl:value-of select="a * 2"/></r>')],
  [/half to even/, sheet('<r><xsl:value-of select="format-number(a, \'0.00\')"/></r>')],
  [/takes text\(\) nodes/, sheet('<r><xsl:value-of select="a/text()"/></r>')],
  [/uses last\(\)/, sheet('<r><xsl:if test="position() != last()"/></r>')],
  [/uses xsl:copy-of/, sheet('<r><xsl:copy-of select="a"/></r>')],
  [/its result is html/, sheet('<r/>', { top: '<xsl:output method="html"/>' })],
  [/its result is HTML/, sheet('<HTML/>')],
  [/indented/, sheet('<r/>', { top: '<xsl:output indent="yes"/>' })],
  [/uses xsl:strip-space/, sheet('<r/>', { top: '<xsl:strip-space elements="*"/>' })],
  [
    /call each other without end/,
    sheet('<r><xsl:call-template name="l"/></r>', {
      top: '<xsl:template name="l"><xsl:call-template name="l"/></xsl:template>',
    }),
  ],
  [
    /too large|call each other/,
    sheet('<r><xsl:call-template name="l"/></r>', {
      top: '<xsl:template name="l"><a/><xsl:call-template name="l"/><xsl:call-template name="l"/></xsl:template>',
    }),
  ],
  [/one element, always the same/, sheet('<xsl:if test="a"><r/></xsl:if>')],
  [/one element, always the same/, sheet('<r/><r/>')],
  [/several nodes, which XSLT 3.0 takes all/, sheet('<r><xsl:value-of select="a/b"/></r>', { version: '3.0' })],
  [/makes a number of a text/, sheet('<r><xsl:if test="a[1] &gt; 2"/></r>', { version: '3.0' })],
  [/xsl:value-of has separator/, sheet('<r><xsl:value-of select="a[1]" separator=","/></r>', { version: '3.0' })],
  [/xsl:stylesheet has expand-text/, sheet('<r>{a}</r>', { version: '3.0', declared: 'expand-text="yes"' })],
  [/uses xsl:use-when/, sheet('<r xsl:use-when="false()"/>', { version: '3.0' })],
  [/variable x that is not known/, sheet('<r><xsl:value-of select="$x"/></r>')],
  [
    /position\(\) of another context/,
    sheet(
      '<r><xsl:variable name="p" select="position()"/><xsl:for-each select="a"><xsl:value-of select="$p"/></xsl:for-each></r>',
    ),
  ],
  [/joins nodes/, sheet('<r><xsl:for-each select="a | b"/></r>')],
  [/prefix q/, sheet('<r><xsl:value-of select="q:a"/></r>')],
  [/is no xsl:stylesheet/, `<r xsl:version="1.0" ${HEAD}/>`],
  [/xml:space/, sheet('<r xml:space="preserve"> </r>')],
  [/an attribute is written twice/, sheet('<r x="1"><xsl:attribute name="x">2</xsl:attribute></r>')],
  [/name that is computed/, sheet('<r><xsl:element name="{a}"/></r>')],
  [
    /several templates match/,
    sheet('<r><xsl:apply-templates select="a"/></r>', { top: '<xsl:template match="a"/><xsl:template match="a"/>' }),
  ],
  [
    /not one\) template that matches/,
    `<xsl:stylesheet version="1.0" ${HEAD}><xsl:template match="a"><r/></xsl:template></xsl:stylesheet>`,
  ],
]

t.test('what is no mapping: why', async (t) => {
  for (const [why, text] of REASONS) {
    const imported = importXslt(text, readTree)
    t.match(imported.ok ? 'imported' : imported.why, why)
  }
  const located = importXslt(sheet('<r>\n<xsl:value-of select="//a"/></r>'), readTree)
  t.equal(located.ok ? null : located.line, 4)
  t.throws(() => importXslt('<a>', readTree), { code: 'XSLT_STYLESHEET_INVALID' })
})

t.test('where XSLT 1.0 and SaxonJS part, version="1.0" means 1.0: a sum with a text in it, 1e3', async (t) => {
  const text = sheet(
    '<r><xsl:variable name="v"><xsl:value-of select="a/b"/>!</xsl:variable><xsl:if test="sum(a/b) &gt;= 0">n</xsl:if><xsl:if test="a/c = 3 or number(a/c) &gt; 9">three</xsl:if><xsl:value-of select="$v"/></r>',
  )
  const imported = importXslt(text, readTree)
  if (!imported.ok) return t.fail(imported.why)
  const mapping = compileMapping(imported.mapping)
  for (const [document, result] of [
    ['<a><b>1</b><b>2</b><c>3</c></a>', '<r>nthree1!</r>'],
    ['<a><b>1</b><b>x</b><c>1e3</c></a>', '<r>1!</r>'],
    ['<a/>', '<r>n!</r>'],
  ] as const) {
    t.equal(canonical(mapping.map(new XmlParser(mapping.names).parse(document))), result)
  }
})
