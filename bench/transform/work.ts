// The work of `transform`: a document of 200 records and about 17 KB, as one department sends them, and two mappings of it. `fields` gives
// every field another name and place; `functions` has what real ones have besides: code tables, conditions, numbers, dates, sorting.
// A stylesheet written by hand stands beside each, so that a processor is not judged by what a generator writes.

export const RECORDS = 200

export function sampleDocument(): Buffer {
  const records = Array.from({ length: RECORDS }, (_, i) => {
    const name = `${'榕城空港揭东普宁惠来揭西'.slice((i % 6) * 2, (i % 6) * 2 + 2)}${i}号店`
    const seed = (i * 7919) % 1_000
    return `<r c="9144${1000 + seed}" t="${1 + (i % 5)}"><n>${name}</n><d>2024-0${1 + (i % 9)}-1${i % 10}</d><m>${seed}.${i % 10}5</m></r>`
  })
  return Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n<list>\n${records.join('\n')}\n</list>\n`)
}

export type Work = { readonly name: 'fields' | 'functions'; readonly mapping: string; readonly stylesheet: string }

const FIELDS_MAPPING = `
root:
  企业名单:
    企业:
      $forEach: list/r
      '@代码': '@c'
      名称: n
      成立日期: d
      注册资本: m
      类型: '@t'
`

const FIELDS_STYLESHEET = `<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:output encoding="UTF-8"/>
<xsl:template match="/"><企业名单><xsl:for-each select="list/r"><企业 代码="{@c}"><名称><xsl:value-of select="n"/></名称><成立日期><xsl:value-of select="d"/></成立日期><注册资本><xsl:value-of select="m"/></注册资本><类型><xsl:value-of select="@t"/></类型></企业></xsl:for-each></企业名单></xsl:template>
</xsl:stylesheet>
`

const FUNCTIONS_MAPPING = `
targetNamespace: urn:example:register
tables:
  type: { '1': 有限责任公司, '2': 股份有限公司, '3': 个人独资企业, '4': 合伙企业 }
root:
  register:
    '@count': { $count: list/r }
    org:
      $forEach: list/r
      $sort: { by: m, as: number, descending: true }
      '@no': { $position: true }
      '@code': { $concat: [ "'GD-'", '@c' ] }
      name: { $normalize: n }
      since: { $date: d, from: YYYY-MM-DD, to: YYYY年MM月DD日 }
      capital: { $format: { $multiply: [ m, 10000 ] }, decimals: 2 }
      type: { $lookup: type, key: '@t', otherwise: "'其他'" }
      large:
        $when: { '>=': [ m, 500 ] }
        $content: { $text: 是 }
`

const FUNCTIONS_STYLESHEET = `<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns="urn:example:register">
<xsl:output encoding="UTF-8"/>
<xsl:template match="/"><register count="{count(list/r)}"><xsl:for-each select="list/r"><xsl:sort select="m" data-type="number" order="descending"/><org no="{position()}" code="GD-{@c}"><name><xsl:value-of select="normalize-space(n)"/></name><since><xsl:if test="translate(d, '123456789', '000000000') = '0000-00-00'"><xsl:value-of select="concat(substring(d, 1, 4), '年', substring(d, 6, 2), '月', substring(d, 9, 2), '日')"/></xsl:if></since><capital><xsl:value-of select="format-number(m * 10000, '0.00')"/></capital><type><xsl:choose><xsl:when test="@t = '1'">有限责任公司</xsl:when><xsl:when test="@t = '2'">股份有限公司</xsl:when><xsl:when test="@t = '3'">个人独资企业</xsl:when><xsl:when test="@t = '4'">合伙企业</xsl:when><xsl:otherwise>其他</xsl:otherwise></xsl:choose></type><xsl:if test="m &gt;= 500"><large>是</large></xsl:if></org></xsl:for-each></register></xsl:template>
</xsl:stylesheet>
`

export const works: readonly Work[] = [
  { name: 'fields', mapping: FIELDS_MAPPING, stylesheet: FIELDS_STYLESHEET },
  { name: 'functions', mapping: FUNCTIONS_MAPPING, stylesheet: FUNCTIONS_STYLESHEET },
]
