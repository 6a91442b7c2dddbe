import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { dropStreets, prepareDepartments, STREETS_HEADINGS, streetsFiles } from './departments.ts'
import { DATA_PACKAGE_DIR, layoutIn } from './layout.ts'
import { openSources } from './verify.ts'

const root = mkdtempSync(join(tmpdir(), 'causeway-demo-'))
t.teardown(() => rmSync(root, { recursive: true, force: true }))
const layout = layoutIn(root)
const counts = prepareDepartments(layout, DATA_PACKAGE_DIR)

t.test('every division of the package is at exactly one department, unchanged', async (t) => {
  const package_ = new DatabaseSync(join(DATA_PACKAGE_DIR, 'data.sqlite'), { readOnly: true })
  const sources = openSources(layout)
  t.teardown(() => {
    package_.close()
    sources.close()
  })
  const real = package_
    .prepare(
      `SELECT code, 'province' AS level, name, '' AS parent, code AS province, '' AS prefecture FROM province
      UNION ALL SELECT code, 'city', name, provinceCode, provinceCode, code FROM city
      UNION ALL SELECT code, 'county', name, cityCode, provinceCode, cityCode FROM area
      UNION ALL SELECT code, 'street', name, areaCode, provinceCode, cityCode FROM street
      UNION ALL SELECT code, 'village', name, streetCode, provinceCode, cityCode FROM village
      ORDER BY code`,
    )
    .iterate()
  let rows = 0
  let prefecture = 0
  let differing: unknown = null
  for (const row of sources.rows()) {
    const want = real.next().value
    const { code, level, name, parent, province, prefecture: city } = row
    const isSame =
      want !== undefined &&
      want.code === code &&
      want.level === level &&
      want.name === name &&
      want.parent === parent &&
      want.province === province &&
      want.prefecture === city
    if (!isSame) {
      differing = { row, want }
      break
    }
    rows += 1
    if (row.prefecture === '4452') prefecture += 1
  }
  t.equal(differing, null)
  t.equal(real.next().done, true, 'nothing is missing at the end')
  t.equal(rows, counts.civil + counts.streets + counts.villages)
  t.equal(prefecture, counts.prefecture)
  t.ok(rows >= 660_000, `${rows} rows are as many as the demo promises`)
  t.ok(prefecture > 1_000 && prefecture < 10_000, `${prefecture} rows concern the prefecture`)
})

t.test('the street files are GB18030 with Chinese headings, four-byte characters among them', async (t) => {
  const files = streetsFiles(layout)
  t.equal(files.length, 31, 'one file per province')
  const bytes = files.map((name) => readFileSync(join(layout.streetsArchiveDir, name)))
  const decoder = new TextDecoder('gb18030', { fatal: true })
  for (const file of bytes) t.match(decoder.decode(file).slice(0, 40), STREETS_HEADINGS.join(','))
  t.throws(() => new TextDecoder('utf-8', { fatal: true }).decode(bytes[0]), 'it is not UTF-8')
  const hasFour = bytes.some((file) =>
    file.some((byte, at) => byte >= 0x81 && (file[at + 1] ?? 0) >= 0x30 && (file[at + 1] ?? 0) <= 0x39),
  )
  t.ok(hasFour, 'some names need what GBK does not have')
})

t.test('a dropped file appears whole and only under its own name', async (t) => {
  const names = streetsFiles(layout).slice(0, 2)
  dropStreets(layout, names)
  t.same(readdirSync(layout.streetsDropDir).sort(), names)
  for (const name of names) {
    const dropped = readFileSync(join(layout.streetsDropDir, name))
    t.ok(dropped.equals(readFileSync(join(layout.streetsArchiveDir, name))))
  }
})

t.test('missing data are a fault with a remedy', async (t) => {
  t.throws(() => prepareDepartments(layoutIn(join(root, 'other')), join(root, 'nowhere')), {
    code: 'DEMO_DATA_MISSING',
  })
})
