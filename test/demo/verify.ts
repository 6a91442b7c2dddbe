// Compares every row at the sources with every row where they should have landed. What should be there is computed here
// from the departments' own stores with this file's own reading of them; nothing of the agents' code is used.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { DepartmentName, Layout } from './layout.ts'
import { PREFECTURE } from './layout.ts'
import { SAMPLES_MAX } from './limits.ts'

/** A record in the library's schema. */
export type Division = {
  readonly code: string
  readonly level: string
  readonly name: string
  readonly parent: string
  readonly province: string
  readonly prefecture: string
  readonly department: DepartmentName
}

const COLUMNS = ['code', 'level', 'name', 'parent', 'province', 'prefecture', 'department'] as const

export type Comparison = {
  /** Rows that should have landed. */
  readonly expected: number
  /** Rows found at the destination. */
  readonly landed: number
  readonly matched: number
  readonly lost: number
  /** Rows that landed with another content. */
  readonly altered: number
  /** Rows that landed and that no source has, or that should not have come here. */
  readonly foreign: number
  /** Writes beyond the first of each row. */
  readonly duplicated: number
  readonly matchedFrom: Readonly<Record<DepartmentName, number>>
  /** The first differences, in words. */
  readonly samples: readonly string[]
}

export type Verdict = { readonly centre: Comparison; readonly jieyang: Comparison }

/** Compares both libraries in one pass over the sources. Reads only; safe while the flows run. */
export function verify(layout: Layout): Verdict {
  const sources = openSources(layout)
  const centre = new LibraryComparer(layout.libraryDb)
  const jieyang = new LibraryComparer(layout.jieyangDb)
  try {
    for (const row of sources.rows()) {
      centre.expect(row)
      if (row.prefecture === PREFECTURE) jieyang.expect(row)
    }
    return { centre: centre.end(), jieyang: jieyang.end() }
  } finally {
    centre.close()
    jieyang.close()
    sources.close()
  }
}

export function isFaultless(comparison: Comparison): boolean {
  const { expected, matched, lost, altered, foreign, duplicated } = comparison
  return expected > 0 && matched === expected && lost + altered + foreign + duplicated === 0
}

/** Rows of a statement as arrays: no object per row. */
type Found = readonly unknown[]

/** Walks one library beside what it should hold: `expect` each row in ascending order of code, then `end`. */
class LibraryComparer {
  readonly #db: DatabaseSync
  readonly #found: Iterator<Found>
  readonly #samples: string[] = []
  readonly #matchedFrom = { civil: 0, streets: 0, villages: 0 }
  readonly #tally = { expected: 0, landed: 0, matched: 0, lost: 0, altered: 0, foreign: 0, duplicated: 0 }
  #row: Found | null

  constructor(file: string) {
    this.#db = new DatabaseSync(file, { readOnly: true, timeout: 5_000 })
    this.#found = iterateArrays(this.#db, `SELECT ${COLUMNS.join(', ')} FROM division ORDER BY code`)
    this.#row = this.#next()
  }

  expect(want: Division): void {
    this.#tally.expected += 1
    this.#passForeign(want.code)
    const row = this.#row
    if (row === null || row[0] !== want.code) {
      this.#tally.lost += 1
      this.#sample(() => `lost: ${describe(want)}`)
      return
    }
    this.#tally.landed += 1
    if (isEqual(row, want)) {
      this.#tally.matched += 1
      this.#matchedFrom[want.department] += 1
    } else {
      this.#tally.altered += 1
      this.#sample(() => `altered: ${describe(want)} became ${row.join('|')}`)
    }
    this.#row = this.#next()
  }

  end(): Comparison {
    this.#passForeign(null)
    const repeats = 'SELECT code, count(*) AS n FROM arrivals GROUP BY code HAVING n > 1 ORDER BY code'
    for (const [code, writes] of iterateArrays(this.#db, repeats)) {
      this.#tally.duplicated += Number(writes) - 1
      this.#sample(() => `written ${writes} times: ${code}`)
    }
    return { ...this.#tally, matchedFrom: this.#matchedFrom, samples: this.#samples }
  }

  close(): void {
    this.#db.close()
  }

  #passForeign(before: string | null): void {
    for (let row = this.#row; row !== null && (before === null || String(row[0]) < before); row = this.#row) {
      const foreign = row
      this.#tally.landed += 1
      this.#tally.foreign += 1
      this.#sample(() => `not expected: ${foreign.join('|')}`)
      this.#row = this.#next()
    }
  }

  #next(): Found | null {
    const next = this.#found.next()
    return next.done === true ? null : next.value
  }

  #sample(text: () => string): void {
    if (this.#samples.length < SAMPLES_MAX) this.#samples.push(text())
  }
}

function isEqual(row: Found, want: Division): boolean {
  return (
    row[0] === want.code &&
    row[1] === want.level &&
    row[2] === want.name &&
    row[3] === want.parent &&
    row[4] === want.province &&
    row[5] === want.prefecture &&
    row[6] === want.department
  )
}

function describe(row: Division): string {
  return COLUMNS.map((column) => row[column]).join('|')
}

function iterateArrays(db: DatabaseSync, sql: string): IteratorObject<Found> {
  const statement = db.prepare(sql)
  statement.setReturnArrays(true)
  // The declared type knows only rows as objects.
  return statement.iterate() as unknown as IteratorObject<Found>
}

/** The departments' own stores, read as the library should hold them. `rows` may be called more than once. */
export function openSources(layout: Layout): { rows(): Generator<Division>; close(): void } {
  const civil = new DatabaseSync(layout.civilDb, { readOnly: true })
  const villages = new DatabaseSync(layout.villagesDb, { readOnly: true })
  const streets = readStreets(layout.streetsArchiveDir)
  return {
    rows: () => merge([civilRows(civil), streets, villageRows(villages)]),
    close() {
      civil.close()
      villages.close()
    },
  }
}

const CIVIL_LEVELS = ['', 'province', 'city', 'county']

function* civilRows(db: DatabaseSync): Generator<Division> {
  for (const row of iterateArrays(db, 'SELECT qh_dm, qh_mc, sj_dm, jb FROM quhua ORDER BY qh_dm')) {
    const [code, name, parent, grade] = row as readonly [string, string, string, number]
    const level = CIVIL_LEVELS[grade] as string
    const prefecture = level === 'province' ? '' : code.slice(0, 4)
    yield { code, level, name, parent, province: code.slice(0, 2), prefecture, department: 'civil' }
  }
}

function* villageRows(db: DatabaseSync): Generator<Division> {
  for (const row of iterateArrays(db, 'SELECT bm, mc, jd_bm, sf_bm, ds_bm FROM cun ORDER BY bm')) {
    const [code, name, parent, province, prefecture] = row as readonly [string, string, string, string, string]
    yield { code, level: 'village', name, parent, province, prefecture, department: 'villages' }
  }
}

/** The archive's files with the platform's GB18030 decoder (the agent's is another one); these files need no quoting rules. */
function readStreets(archiveDir: string): Division[] {
  const decoder = new TextDecoder('gb18030', { fatal: true })
  const streets: Division[] = []
  for (const name of readdirSync(archiveDir)) {
    const lines = decoder.decode(readFileSync(join(archiveDir, name))).split('\r\n')
    for (const line of lines.slice(1, -1)) {
      const fields = line.split(',')
      if (fields.length !== 5 || line.includes('"')) throw new Error(`${name}: not a plain line: ${line}`)
      const [code, title, county, city, province] = fields as [string, string, string, string, string]
      streets.push({
        code,
        level: 'street',
        name: title,
        parent: county,
        province,
        prefecture: city,
        department: 'streets',
      })
    }
  }
  return streets.sort((a, b) => (a.code < b.code ? -1 : 1))
}

/** Merges sources that are each in ascending order of code. A code that two sources hold would make the count ambiguous. */
export function* merge(sources: readonly Iterable<Division>[]): Generator<Division> {
  const heads = sources.map((source) => {
    const iterator = source[Symbol.iterator]()
    return { iterator, next: iterator.next() }
  })
  let last = ''
  for (;;) {
    let first: (typeof heads)[number] | null = null
    for (const head of heads) {
      if (head.next.done) continue
      if (first === null || head.next.value.code < first.next.value.code) first = head
    }
    if (first === null) return
    const row: Division = first.next.value
    if (row.code <= last) throw new Error(`the sources hold ${row.code} twice or out of order`)
    last = row.code
    first.next = first.iterator.next()
    yield row
  }
}
