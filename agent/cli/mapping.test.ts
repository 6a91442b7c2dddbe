// A mapping as a stylesheet and back, by the commands.

import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

type Ran = { readonly code: number; readonly out: string; readonly err: string }

const main = join(import.meta.dirname, '../main.ts')
const run = (...args: readonly string[]): Promise<Ran> =>
  new Promise((resolve) => {
    execFile(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...args], (error, out, err) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err })
    })
  })

const MAPPING = `namespaces: { s: "urn:s" }
root:
  list:
    item: { $forEach: "s:a/b", "@id": "@id", $content: { $normalize: "." } }
`

t.test('mapping xslt, mapping import', async (t) => {
  const root = t.testdir({ 'm.yaml': MAPPING })
  const xslt = await run('mapping', 'xslt', join(root, 'm.yaml'))
  t.match(xslt, { code: 0, err: '', out: /<xsl:for-each select="s:a\/b">/ })
  writeFileSync(join(root, 'm.xsl'), xslt.out)
  const back = await run('mapping', 'import', join(root, 'm.xsl'))
  t.match(back, { code: 0, err: '', out: /\$forEach: s:a\/b/ })
  writeFileSync(join(root, 'again.yaml'), back.out)
  t.equal((await run('mapping', 'xslt', join(root, 'again.yaml'))).out, xslt.out, 'the same again')
  writeFileSync(join(root, 'n.xsl'), xslt.out.replace('normalize-space', 'string-length'))
  t.match(await run('mapping', 'import', join(root, 'n.xsl')), {
    code: 1,
    out: '',
    err: /^XSLT_NO_MAPPING at .*n\.xsl:\d+: .*string-length/,
  })
  const none = await run('mapping', 'import', join(root, 'none.xsl'), '--json')
  t.match(none, { code: 1, out: '', err: /XSLT_STYLESHEET_UNREADABLE/ })
  const [m, x] = [join(root, 'm.yaml'), join(root, 'm.xsl')]
  t.match(await run('mapping', 'import', m), { code: 1, err: new RegExp(`^XSLT_STYLESHEET_INVALID at ${m}`) })
  t.match(await run('mapping', 'xslt', x), { code: 1, err: new RegExp(`at ${x}`) })
  writeFileSync(m, MAPPING.replace('forEach', 'foreach'))
  const typo = new RegExp(`^MAPPING_INVALID at ${m}: .*foreach.*did you mean \\$forEach`)
  t.match(await run('mapping', 'xslt', m), { code: 1, err: typo })
})
