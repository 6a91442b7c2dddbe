import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import iconv from 'iconv-lite'
import t, { type Test } from 'tap'
import { type Layout, layoutIn } from './layout.ts'
import { createLibrary, LibraryReader } from './library.ts'
import { type Division, isFaultless, merge, openSources, verify } from './verify.ts'

/** Three small departments, and two libraries that hold exactly what they should. */
function landedDemo(t: Test): { layout: Layout; library: DatabaseSync; jieyang: DatabaseSync } {
  const root = mkdtempSync(join(tmpdir(), 'causeway-verify-'))
  const layout = layoutIn(root)
  for (const name of ['civil', 'villages'] as const) mkdirSync(layout.storeDir(name), { recursive: true })
  mkdirSync(layout.streetsArchiveDir, { recursive: true })
  const civil = new DatabaseSync(layout.civilDb)
  civil.exec(`CREATE TABLE quhua (qh_dm TEXT, qh_mc TEXT, sj_dm TEXT, jb INTEGER);
    INSERT INTO quhua VALUES ('44', '广东省', '', 1), ('4451', '潮州市', '44', 2), ('4452', '揭阳市', '44', 2),
      ('445202', '榕城区', '4452', 3)`)
  civil.close()
  const villages = new DatabaseSync(layout.villagesDb)
  villages.exec(`CREATE TABLE cun (bm TEXT, mc TEXT, jd_bm TEXT, ds_bm TEXT, sf_bm TEXT);
    INSERT INTO cun VALUES ('445102001001', '甲村', '445102001', '4451', '44'),
      ('445202001001', '乙村', '445202001', '4452', '44')`)
  villages.close()
  const csv = '街道代码,街道名称,区县代码,地市代码,省份代码\r\n445202001,㑇街道,445202,4452,44\r\n'
  writeFileSync(join(layout.streetsArchiveDir, 'jiedao-44.csv'), iconv.encode(csv, 'gb18030'))
  createLibrary(layout.libraryDb)
  createLibrary(layout.jieyangDb)
  const library = new DatabaseSync(layout.libraryDb)
  const jieyang = new DatabaseSync(layout.jieyangDb)
  const sources = openSources(layout)
  for (const row of sources.rows()) {
    insert(library, row)
    if (row.prefecture === '4452') insert(jieyang, row)
  }
  sources.close()
  t.teardown(() => {
    library.close()
    jieyang.close()
    rmSync(root, { recursive: true, force: true })
  })
  return { layout, library, jieyang }
}

function insert(db: DatabaseSync, row: Division): void {
  const { code, level, name, parent, province, prefecture, department } = row
  db.prepare('INSERT INTO division VALUES (?, ?, ?, ?, ?, ?, ?)').run(
    code,
    level,
    name,
    parent,
    province,
    prefecture,
    department,
  )
}

t.test('what landed as it left is faultless', async (t) => {
  const { layout } = landedDemo(t)
  const { centre, jieyang } = verify(layout)
  t.match(centre, { expected: 7, landed: 7, matched: 7, lost: 0, altered: 0, foreign: 0, duplicated: 0, samples: [] })
  t.same(centre.matchedFrom, { civil: 4, streets: 1, villages: 2 })
  t.match(jieyang, { expected: 4, landed: 4, matched: 4, samples: [] })
  t.ok(isFaultless(centre) && isFaultless(jieyang))
})

t.test('a lost row is found, wherever it stood', async (t) => {
  for (const code of ['44', '445202001', '445202001001']) {
    const { layout, library } = landedDemo(t)
    // The row and its arrivals: as if it had never come.
    library.prepare('DELETE FROM division WHERE code = ?').run(code)
    library.prepare('DELETE FROM arrivals WHERE code = ?').run(code)
    const { centre, jieyang } = verify(layout)
    t.match(centre, { expected: 7, landed: 6, matched: 6, lost: 1, altered: 0, duplicated: 0 })
    t.match(centre.samples[0], new RegExp(`^lost: ${code}\\|`))
    t.notOk(isFaultless(centre))
    t.ok(isFaultless(jieyang), 'the other library is judged alone')
  }
})

t.test('an altered row is found, whichever column changed', async (t) => {
  for (const column of ['level', 'name', 'parent', 'province', 'prefecture', 'department']) {
    const { layout, library } = landedDemo(t)
    library.exec(`DROP TRIGGER division_updated; UPDATE division SET ${column} = ${column} || ' ' WHERE code = '4451'`)
    const { centre } = verify(layout)
    t.match(centre, { landed: 7, matched: 6, lost: 0, altered: 1, foreign: 0, duplicated: 0 }, column)
    t.notOk(isFaultless(centre))
  }
})

t.test('a row written twice is found although the table keeps one', async (t) => {
  const again = "VALUES ('4451', 'city', '潮州市', '44', '44', '4451', 'civil')"
  const writes = [
    `INSERT OR REPLACE INTO division ${again}`,
    `INSERT INTO division ${again} ON CONFLICT (code) DO UPDATE SET name = excluded.name`,
    "UPDATE division SET name = name WHERE code = '4451'",
  ]
  for (const write of writes) {
    const { layout, library } = landedDemo(t)
    library.exec(write)
    const { centre } = verify(layout)
    t.match(centre, { landed: 7, matched: 7, lost: 0, altered: 0, duplicated: 1 }, write)
    t.same(centre.samples, ['written 2 times: 4451'])
    t.notOk(isFaultless(centre))
  }
})

t.test('a repeat without effect is no duplicate', async (t) => {
  const { layout, library } = landedDemo(t)
  library.exec("INSERT OR IGNORE INTO division VALUES ('4451', 'city', '潮州市', '44', '44', '4451', 'civil')")
  t.ok(isFaultless(verify(layout).centre))
})

t.test('a row that came and went is both lost and written again', async (t) => {
  const { layout, library } = landedDemo(t)
  library.exec("DELETE FROM division WHERE code = '4451'")
  t.match(verify(layout).centre, { lost: 1, duplicated: 1 })
})

t.test('a row the prefecture should not have is found', async (t) => {
  const { layout, jieyang } = landedDemo(t)
  insert(jieyang, {
    code: '4451',
    level: 'city',
    name: '潮州市',
    parent: '44',
    province: '44',
    prefecture: '4451',
    department: 'civil',
  })
  const verdict = verify(layout)
  t.match(verdict.jieyang, { expected: 4, landed: 5, matched: 4, lost: 0, altered: 0, foreign: 1 })
  t.notOk(isFaultless(verdict.jieyang))
  t.ok(isFaultless(verdict.centre))
})

t.test('an empty library has lost everything, empty sources prove nothing', async (t) => {
  const { layout, library } = landedDemo(t)
  library.exec('DELETE FROM division; DELETE FROM arrivals')
  t.match(verify(layout).centre, { expected: 7, landed: 0, lost: 7 })
  t.notOk(
    isFaultless({
      ...verify(layout).centre,
      expected: 0,
      matched: 0,
      lost: 0,
    }),
  )
})

t.test('sources that hold one code twice are refused', async (t) => {
  const row = {
    code: '44',
    level: '',
    name: '',
    parent: '',
    province: '',
    prefecture: '',
    department: 'civil',
  } as const
  t.throws(() => [...merge([[row], [row]])], /44 twice/)
})

t.test('arrivals count every write while the flow writes', async (t) => {
  const { layout, library } = landedDemo(t)
  const reader = new LibraryReader(layout.libraryDb)
  t.teardown(() => reader.close())
  t.equal(reader.arrivals(), 7)
  library.exec("BEGIN; UPDATE division SET name = name WHERE code = '44'")
  t.equal(reader.arrivals(), 7, 'an open transaction is not seen and does not block')
  library.exec('COMMIT')
  t.equal(reader.arrivals(), 8)
  t.equal(reader.rows(), 7)
})
