import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import type { Row } from '../../contract.ts'
import { codeOf, collector, faultOf, portionOf, settingsOf, testContext } from '../../support/testing.ts'
import { SqliteDestination, sqliteDestinationSettings } from './mod.ts'

function setUp(t: Test, sql: string | null) {
  const root = t.testdir({})
  const file = join(root, 'x.db')
  const database = sql === null ? null : new DatabaseSync(file)
  database?.exec(sql ?? '')
  t.teardown(() => database?.close())
  const make = (settings: object, flow?: string) =>
    new SqliteDestination(
      settingsOf(sqliteDestinationSettings, { file: 'x.db', table: 't', key: 'id', ...settings }),
      testContext(root, flow),
    )
  const read = (sql: string): Row[] => {
    const reader = new DatabaseSync(file, { readOnly: true })
    try {
      return reader
        .prepare(sql)
        .all()
        .map((row) => ({ ...row }) as Row)
    } finally {
      reader.close()
    }
  }
  return { root, file, database, make, read }
}

const none = () => t.fail('nothing should be rejected')

t.test('creates file and table, inserts, updates, keeps the position', async (t) => {
  const { make, read } = setUp(t, null)
  const settings = { create: true, columns: { id: 'TEXT', name: 'TEXT', n: 'INTEGER' } }
  const first = make(settings)
  await first.open()
  t.equal(await first.position(), null)
  await first.write(
    portionOf(
      [
        { id: 'a', name: 'x', n: 1 },
        { id: 'b', name: 'y', n: 2 },
        { id: 'a', name: 'z', n: 3 },
      ],
      'c1',
    ),
    none,
  )
  await first.write(portionOf([{ id: 'b', n: 9 }], 'c2'), none)
  await first.write(portionOf([], 'c3'), none)
  await first.close()
  t.same(
    read('SELECT * FROM t ORDER BY id'),
    [
      { id: 'a', name: 'z', n: 3 },
      { id: 'b', name: 'y', n: 9 },
    ],
    'a missing field stays as it was',
  )
  const again = make(settings)
  await again.open()
  t.equal(await again.position(), 'c3')
  await again.close()
  const other = make(settings, 'flow-2')
  await other.open()
  t.equal(await other.position(), null, 'each flow has its own')
  await other.close()
  t.same(read('SELECT flow, cursor, rows FROM _causeway_position'), [{ flow: 'flow-1', cursor: 'c3', rows: 4 }])
})

t.test('values arrive as they are', async (t) => {
  const { make, read } = setUp(t, 'CREATE TABLE t (id TEXT PRIMARY KEY, any_, i INTEGER, txt TEXT, b BLOB, r REAL)')
  const live = make({})
  await live.open()
  const rows: Row[] = [
    { id: '1', any_: 5, i: 5, txt: 5, b: new Uint8Array([0, 255]), r: 5 },
    { id: '2', any_: 5.5, i: 9007199254740993n, txt: 9007199254740993n, b: null, r: 1e300 },
    { id: '3', any_: true, i: false, txt: { a: [1, 9007199254740993n] }, b: Buffer.from('x'), r: -0.5 },
  ]
  await live.write(portionOf(rows, 'c'), none)
  await live.close()
  t.same(
    read(
      'SELECT id, typeof(any_) || any_ AS a, typeof(i) || i AS i, typeof(txt) || txt AS txt, hex(b) AS b, typeof(r) AS r FROM t',
    ),
    [
      { id: '1', a: 'integer5', i: 'integer5', txt: 'text5', b: '00FF', r: 'real' },
      { id: '2', a: 'real5.5', i: 'integer9007199254740993', txt: 'text9007199254740993', b: '', r: 'real' },
      { id: '3', a: 'integer1', i: 'integer0', txt: 'text{"a":[1,9007199254740993]}', b: '78', r: 'real' },
    ],
  )
})

t.test('a row the table refuses is rejected, the others are committed', async (t) => {
  const { make, read } = setUp(
    t,
    `CREATE TABLE p (id TEXT PRIMARY KEY); INSERT INTO p VALUES ('p');
     CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER NOT NULL CHECK (n < 10), u TEXT UNIQUE, p TEXT REFERENCES p, s ANY) STRICT;
     CREATE TRIGGER no BEFORE INSERT ON t WHEN NEW.id = 'trigger' BEGIN SELECT RAISE(ABORT, 'not this one'); END`,
  )
  const live = make({})
  await live.open()
  const { rejects, reject } = collector()
  const rows: Row[] = [
    { id: 'ok1', n: 1, u: 'a' },
    { id: 'check', n: 10, u: 'b' },
    { id: 'null', n: null, u: 'c' },
    { id: 'unique', n: 1, u: 'a' },
    { id: 'foreign', n: 1, u: 'd', p: 'q' },
    { id: 'type', n: 'text', u: 'e' },
    { id: 'trigger', n: 1, u: 'f' },
    { id: 'range', n: 2n ** 70n, u: 'g' },
    { n: 1, u: 'h' },
    { id: null, n: 1, u: 'i' },
    { id: 'ok2', n: 2, u: 'j', p: 'p' },
  ]
  await live.write(portionOf(rows, 'c1'), reject)
  t.equal(await live.position(), 'c1')
  await live.close()
  t.same(read('SELECT id FROM t ORDER BY id'), [{ id: 'ok1' }, { id: 'ok2' }])
  t.same(
    rejects.map(({ item, fault }) => `${item.row.id ?? '-'} ${fault.code}`),
    [
      ...['check', 'null', 'unique', 'foreign', 'type', 'trigger'].map((id) => `${id} SQLITE_ROW_REFUSED`),
      'range SQLITE_VALUE_UNFIT',
      '- SQLITE_ROW_KEYLESS',
      '- SQLITE_ROW_KEYLESS',
    ],
  )
  t.match(rejects[6]?.fault.where, 't 8')
  t.match(rejects[5]?.fault.message, /not this one/)
})

t.test('rejects are written away before the commit', async (t) => {
  const { make, read, database } = setUp(t, 'CREATE TABLE t (id TEXT PRIMARY KEY, n NOT NULL)')
  const live = make({})
  await live.open()
  const failing = live.write(
    portionOf(
      [
        { id: 'a', n: 1 },
        { id: 'b', n: null },
      ],
      'c1',
    ),
    () => Promise.reject(new Error('disk full')) as never,
  )
  t.match(await failing.catch((error: Error) => error.message), /disk full/)
  t.same(read('SELECT * FROM t'), [], 'neither rows')
  t.equal(await live.position(), null, 'nor cursor')
  t.ok(database)
  await live.close()
})

t.test('a lock passes: the fault says so and the same portion then works', async (t) => {
  const { make, read, database } = setUp(t, 'PRAGMA journal_mode = WAL; CREATE TABLE t (id TEXT PRIMARY KEY)')
  const live = make({})
  await live.open()
  database?.exec('BEGIN IMMEDIATE')
  const fault = await faultOf(() => live.write(portionOf([{ id: 'a' }], 'c1'), none))
  t.equal(fault?.code, 'SQLITE_BUSY')
  t.equal(fault?.details.retry, true)
  database?.exec('COMMIT')
  await live.write(portionOf([{ id: 'a' }], 'c1'), none)
  t.same(read('SELECT id FROM t'), [{ id: 'a' }])
  await live.close()
})

t.test('a table that undoes the whole transaction, and a deferred key, are named', async (t) => {
  const { make, read } = setUp(
    t,
    `CREATE TABLE t (id TEXT PRIMARY KEY, n UNIQUE ON CONFLICT ROLLBACK);
     CREATE TABLE p (id TEXT PRIMARY KEY);
     CREATE TABLE d (id TEXT PRIMARY KEY, p REFERENCES p DEFERRABLE INITIALLY DEFERRED)`,
  )
  const live = make({})
  await live.open()
  const rows: Row[] = [
    { id: 'a', n: 1 },
    { id: 'b', n: 1 },
  ]
  t.equal(await codeOf(() => live.write(portionOf(rows, 'c1'), none)), 'SQLITE_ROLLED_BACK')
  t.same(read('SELECT * FROM t'), [])
  await live.close()
  const deferred = make({ table: 'd' })
  await deferred.open()
  t.equal(await codeOf(() => deferred.write(portionOf([{ id: 'a', p: 'x' }], 'c1'), none)), 'SQLITE_DEFERRED_KEY')
  t.equal(await deferred.position(), null)
  await deferred.close()
})

t.test('what is wrong is said', async (t) => {
  const { make, root } = setUp(
    t,
    'CREATE TABLE t (id TEXT PRIMARY KEY, name TEXT); CREATE TABLE nokey (id TEXT, name TEXT)',
  )
  const fails = async (settings: object, row: Row = { id: 'a' }) => {
    const each = make(settings)
    try {
      return (
        await faultOf(async () => {
          await each.open()
          await each.write(portionOf([row], 'c'), none)
        })
      )?.describe()
    } finally {
      await each.close()
    }
  }
  t.match(await fails({ file: 'no.db' }), /SQLITE_FILE_MISSING/)
  t.notOk(existsSync(join(root, 'no.db')), 'and no file was made')
  t.match(await fails({ table: 'tt' }), /SQLITE_TABLE_MISSING.*Did you mean "t"|Known are/)
  t.match(await fails({ key: 'nmae' }), /SQLITE_COLUMN_MISSING.*`key` names "nmae".*Did you mean "name"\? Or add/)
  t.match(await fails({ table: 'nokey' }), /SQLITE_KEY_NO_INDEX.*CREATE UNIQUE INDEX/)
  t.match(await fails({}, { id: 'a', nam: 1, x: 2 }), /SQLITE_EXTRA_FIELDS.*nam and x.*Did you mean "name"/)
  t.equal(await fails({ ignoreExtra: true }, { id: 'a', nam: 1 }), undefined)
  t.match(await fails({ create: true, columns: { id: 'TEXT', more: 'TEXT' } }), /SQLITE_COLUMN_MISSING.*"more"/)
  t.throws(() => make({ create: true, columns: { name: 'TEXT' } }), /key column id/)
  writeFileSync(join(root, 'text.db'), 'not a database at all, but long enough to be looked at'.repeat(40))
  t.match(await fails({ file: 'text.db' }), /SQLITE_NOT_DATABASE/)
})
