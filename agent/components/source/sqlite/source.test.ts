import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { componentFault } from '../../faults.ts'
import { codeOf, drain, faultOf, randomFrom, rowsOf, settingsOf, testContext } from '../../support/testing.ts'
import { SqliteSource, sqliteSourceSettings } from './mod.ts'

const signal = new AbortController().signal

function setUp(t: Test, sql: string) {
  const root = t.testdir({})
  const file = join(root, 'x.db')
  const database = new DatabaseSync(file)
  database.exec(sql)
  t.teardown(() => database.close())
  const source = (settings: object) =>
    new SqliteSource(settingsOf(sqliteSourceSettings, { file: 'x.db', once: true, ...settings }), testContext(root))
  return { root, file, database, source }
}

t.test('values come as they are: 64-bit integers, bytes, NULL, real, text', async (t) => {
  const { source } = setUp(
    t,
    `CREATE TABLE v (id INTEGER PRIMARY KEY, a, b);
     INSERT INTO v VALUES (1, 5, 1.5), (2, NULL, x'00ff'), (9223372036854775806, 9007199254740993, '中'), (9223372036854775807, -9223372036854775808, '')`,
  )
  const all = source({ table: 'v', key: 'id', batchRows: 1 })
  await all.open(null)
  const portions = await drain(all)
  await all.close()
  t.same(rowsOf(portions), [
    { id: 1, a: 5, b: 1.5 },
    { id: 2, a: null, b: new Uint8Array([0, 255]) },
    { id: 9223372036854775806n, a: 9007199254740993n, b: '中' },
    { id: 9223372036854775807n, a: -9223372036854775808n, b: '' },
  ])
  const again = source({ table: 'v', key: 'id' })
  await again.open(portions[2]?.cursor ?? null)
  t.same(
    rowsOf(await drain(again)).map((row) => row.id),
    [9223372036854775807n],
    'resumed beyond 2^53',
  )
  await again.close()
})

t.test('keys of several columns, of bytes, with strange names', async (t) => {
  const { source } = setUp(
    t,
    `CREATE TABLE "od""d; DROP" ("a b" TEXT, "select" BLOB, n, PRIMARY KEY ("a b", "select"));
     INSERT INTO "od""d; DROP" VALUES ('x', x'02', 1), ('x', x'01', 2), ('a', x'ff', 3), ('x', x'0100', 4)`,
  )
  const make = () => source({ table: 'od"d; DROP', key: ['a b', 'SELECT'], columns: ['n'], batchRows: 1 })
  const first = make()
  await first.open(null)
  const portions = await drain(first)
  await first.close()
  t.same(rowsOf(portions), [{ n: 3 }, { n: 2 }, { n: 4 }, { n: 1 }], 'only the columns asked for, in key order')
  t.same(portions[1]?.items[0]?.ref, 'x/01')
  const rest = make()
  await rest.open(portions[1]?.cursor ?? null)
  t.same(rowsOf(await drain(rest)), [{ n: 4 }, { n: 1 }])
  await rest.close()
})

t.test('a query, also one that ends in a comment or a semicolon', async (t) => {
  const { source } = setUp(
    t,
    `CREATE TABLE t (id INTEGER PRIMARY KEY, n); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')`,
  )
  for (const query of [
    'SELECT id, upper(n) AS name FROM t WHERE id <> 2 -- all but one',
    'SELECT id, upper(n) AS name FROM t WHERE id <> 2;',
  ]) {
    const each = source({ query, key: 'id', batchRows: 1 })
    await each.open(null)
    t.same(rowsOf(await drain(each)), [
      { id: 1, name: 'A' },
      { id: 3, name: 'C' },
    ])
    await each.close()
  }
})

t.test('a changed watermark brings a row again; late rows between known ones are found once', async (t) => {
  const { source, database } = setUp(
    t,
    `CREATE TABLE t (id TEXT PRIMARY KEY, at INTEGER); CREATE INDEX i ON t (at, id);
     INSERT INTO t VALUES ('b', 10), ('d', 10), ('f', 20), ('n', NULL)`,
  )
  const make = () => source({ table: 't', key: 'id', watermark: 'at', batchRows: 2 })
  let live = make()
  await live.open(null)
  const taken = async () => rowsOf(await drain(live)).map((row) => `${row.id}${row.at ?? '-'}`)
  t.same(await taken(), ['b10', 'd10', 'f20', 'n-'])
  t.same(await taken(), [], 'nothing twice')
  database.exec(`INSERT INTO t VALUES ('c', 10), ('a', 20), ('g', 30); UPDATE t SET at = 31 WHERE id = 'b'`)
  t.same(await taken(), ['c10', 'a20', 'g30', 'b31'])
  database.exec(`INSERT INTO t VALUES ('a0', 10)`)
  const portions = await drain(live)
  t.same(
    rowsOf(portions).map((row) => row.id),
    ['a0'],
  )
  await live.close()
  database.exec(`INSERT INTO t VALUES ('a1', 10), ('zz', NULL); UPDATE t SET at = 40 WHERE id = 'n'`)
  live = make()
  await live.open(portions.at(-1)?.cursor ?? null)
  t.same(await taken(), ['a110', 'n40', 'zz-'], 'also after a restart, from the cursor alone')
  await live.close()
})

t.test('random changes while reading: every version of every row once, whatever the cut', async (t) => {
  const seed = 77_001
  const random = randomFrom(seed)
  const { source, database } = setUp(t, 'CREATE TABLE t (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, pad TEXT)')
  const expected = new Map<string, number>()
  const got = new Map<string, number>()
  let cursor: string | null = null
  let at = 100
  for (let round = 0; round < 60; round += 1) {
    const changes = Math.floor(random() * 12)
    for (let i = 0; i < changes; i += 1) {
      at += random() < 0.5 ? 1 : 0
      const id = Math.floor(random() * 1e9)
      // At most three ticks late: fewer rows than the overlap are between.
      const stamp = at - Math.floor(random() * 3)
      database
        .prepare('INSERT OR IGNORE INTO t VALUES (?, ?, ?)')
        .run(id, stamp, random() < 0.04 ? 'x'.repeat(1_500_000) : '')
      expected.set(`${id}@${stamp}`, 1)
    }
    const live: SqliteSource = source({
      table: 't',
      key: 'id',
      watermark: 'at',
      overlapRows: 40,
      batchRows: 1 + Math.floor(random() * 5),
    })
    await live.open(cursor)
    const stopAfter = random() < 0.3 ? 1 : 1_000
    for (let i = 0; i < stopAfter; i += 1) {
      const portion = await live.next(signal)
      if (portion === null) break
      for (const { row } of portion.items) got.set(`${row.id}@${row.at}`, (got.get(`${row.id}@${row.at}`) ?? 0) + 1)
      cursor = portion.cursor
      t.ok(cursor.length < 65_536)
    }
    await live.close()
  }
  const last = source({ table: 't', key: 'id', watermark: 'at', overlapRows: 40 })
  await last.open(cursor)
  for (const row of rowsOf(await drain(last))) got.set(`${row.id}@${row.at}`, (got.get(`${row.id}@${row.at}`) ?? 0) + 1)
  await last.close()
  t.same([...got].sort(), [...expected].sort(), `seed ${seed}`)
})

t.test('large rows make small portions', async (t) => {
  const { source } = setUp(
    t,
    `CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB);
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12) INSERT INTO t SELECT i, zeroblob(1000000) FROM n`,
  )
  const each = source({ table: 't', key: 'id' })
  await each.open(null)
  const portions = await drain(each)
  await each.close()
  t.equal(rowsOf(portions).length, 12)
  t.ok(portions.every((portion) => portion.items.length <= 3))
})

t.test('idle ends when another program commits', async (t) => {
  const { source, database } = setUp(t, `CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)`)
  const live = source({ table: 't', key: 'id', once: false, pollMs: 50 })
  await live.open(null)
  t.not(await live.next(signal), null)
  t.equal(await live.next(signal), null)
  t.equal(live.ended(), false)
  let woke = false
  const idle = live.idle(signal).then(() => (woke = true))
  // Two polls without a change must not end it.
  await new Promise((resolve) => setTimeout(resolve, 150))
  t.equal(woke, false)
  database.exec('INSERT INTO t VALUES (2)')
  await idle
  t.same((await live.next(signal))?.items[0]?.row, { id: 2 })
  const stop = new AbortController()
  const aborted = live.idle(stop.signal)
  stop.abort()
  await aborted
  await live.close()
})

t.test('what is wrong is said', async (t) => {
  const { source, root, database, file } = setUp(
    t,
    `CREATE TABLE towns (id INTEGER PRIMARY KEY, code TEXT, name TEXT); INSERT INTO towns VALUES (1, 'x', 'a'), (2, 'x', NULL)`,
  )
  const fails = async (settings: object) => {
    const each = source(settings)
    try {
      return (
        await faultOf(async () => {
          await each.open(null)
          await drain(each)
        })
      )?.describe()
    } finally {
      await each.close()
    }
  }
  t.match(await fails({ file: 'no.db', table: 't', key: 'id' }), /SQLITE_FILE_MISSING at .*no\.db/)
  t.match(await fails({ table: 'twons', key: 'id' }), /SQLITE_TABLE_MISSING.*Did you mean "towns"/)
  t.match(await fails({ table: 'towns', key: 'cod' }), /SQLITE_COLUMN_MISSING.*`key` names "cod".*Did you mean "code"/)
  t.match(await fails({ table: 'towns', key: 'id', watermark: 'nam' }), /`watermark` names "nam".*"name"/)
  t.match(await fails({ table: 'towns', key: 'id', columns: ['nmae'] }), /`columns` names "nmae".*"name"/)
  t.match(await fails({ query: 'SELEC 1', key: 'id' }), /SQLITE_QUERY_INVALID.*syntax error/)
  t.match(await fails({ query: 'SELECT id FROM towns', key: 'code' }), /SQLITE_COLUMN_MISSING/)
  t.match(await fails({ table: 'towns', key: 'code' }), /SQLITE_KEY_NOT_UNIQUE.*code = x twice/)
  t.match(await fails({ table: 'towns', key: 'code', batchRows: 1 }), /SQLITE_KEY_NOT_UNIQUE/, 'also between portions')
  t.match(await fails({ table: 'towns', key: 'name' }), /SQLITE_KEY_NULL.*column name/)
  writeFileSync(join(root, 'text.db'), 'this is not a database, but it is long enough to look at'.repeat(40))
  t.match(await fails({ file: 'text.db', table: 't', key: 'id' }), /SQLITE_NOT_DATABASE/)
  t.throws(() => source({ key: 'id' }), /either `table` or `query`/)
  for (const cursor of ['x', '{}', '{"v":1,"of":"else"}']) {
    const each = source({ table: 'towns', key: 'id' })
    t.equal(await codeOf(() => each.open(cursor)), 'SOURCE_POSITION_INVALID', cursor)
    await each.close()
  }

  database.exec('BEGIN EXCLUSIVE')
  const locked = source({ table: 'towns', key: 'id' })
  const fault = await faultOf(() => locked.open(null))
  t.equal(fault?.code, 'SQLITE_BUSY', file)
  t.equal(fault?.details.retry, true)
  await locked.close()
  database.exec('COMMIT')
})

t.test('rejects are kept once, with row and reason', async (t) => {
  const { source, root } = setUp(
    t,
    `CREATE TABLE t (id INTEGER PRIMARY KEY, n); INSERT INTO t VALUES (1, 9007199254740993)`,
  )
  const path = join(root, 'data-flow-1', 'rejected.jsonl')
  const fault = componentFault('SQLITE_ROW_REFUSED', { why: 'too odd' })
  for (let i = 0; i < 2; i += 1) {
    const live = source({ table: 't', key: 'id' })
    await live.open(null)
    const item = (await live.next(signal))?.items[0]
    if (item === undefined) return t.fail('a row was expected')
    await live.reject([{ item, fault }])
    await live.reject([{ item, fault }])
    await live.close()
    // A crash in the middle of a line: the rest of it is written again.
    if (i === 0) writeFileSync(path, `${readFileSync(path, 'utf8')}{"ref":2,"co`)
  }
  t.ok(existsSync(path))
  const lines = readFileSync(path, 'utf8').split('\n')
  t.equal(lines.length, 2)
  t.match(lines[0], /"ref":1,"code":"SQLITE_ROW_REFUSED","reason":"[^"]*too odd.*"row":\{"id":1,"n":9007199254740993\}/)
})
