// In the thread that the chain gives it: a stylesheet that does not end is stopped, its neighbours pass.

import t from 'tap'
import { chainOf } from '../../chain/mod.ts'
import type { Item } from '../../contract.ts'
import { IsolatedPool } from '../../isolation/mod.ts'
import { builtinComponents } from '../../registry.ts'
import { patiently, settingsOf, testContext } from '../../support/testing.ts'
import { xsltSettings } from './mod.ts'

t.test('a stylesheet that loops for ever', async (t) => {
  const stylesheet = `<xsl:stylesheet version="3.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><o><xsl:if test="a = 'loop'"><xsl:for-each select="1 to 1000000000"><xsl:if test=". = 0">0</xsl:if></xsl:for-each></xsl:if><xsl:value-of select="a"/></o></xsl:template></xsl:stylesheet>`
  const root = t.testdir({ 'x.xsl': stylesheet })
  const pool = new IsolatedPool({ threads: 1 })
  t.teardown(() => pool.close())
  const items: Item[] = ['one', 'loop', 'two'].map((word, i) => ({ row: { xml: `<a>${word}</a>` }, ref: i }))
  const run = async (timeMs: number) => {
    const chain = chainOf([{ type: 'xslt', settings: settingsOf(xsltSettings, { file: 'x.xsl', field: 'xml' }) }], {
      context: testContext(root),
      entries: builtinComponents,
      pool,
      record: false,
      limits: { timeMs },
    })
    await chain.open(null)
    const result = await chain.process(items)
    await chain.close()
    return result
  }
  const { items: passed, rejects } = await patiently([2_000, 40_000], run, (result) => result.items.length === 2)
  t.same(
    passed.map(({ row }) => String(row.xml).replace(/^<\?xml[^>]*\?>/, '')),
    ['<o>one</o>', '<o>two</o>'],
  )
  t.match(rejects, [{ item: { ref: 1 }, fault: { code: 'ISOLATED_TIMEOUT' }, step: 1, type: 'xslt' }])
})
