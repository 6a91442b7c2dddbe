import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { millis } from '#protocol/base/mod.ts'
import type { Row, Value } from '../../contract.ts'
import { codeOf, collector, itemsOf, settingsOf, testContext } from '../../support/testing.ts'
import { EnrichChannel, enrichSettings } from './mod.ts'

/** With a clock that goes on when it is told to. */
function scene(root: string, settings: object) {
  let nowMs = 0
  const context = { ...testContext(root), clock: { nowMs: () => millis(nowMs), wallMs: () => millis(0) } }
  const channel = new EnrichChannel(settingsOf(enrichSettings, settings), context)
  return {
    channel,
    logs: context.logs,
    pass: (ms: number) => {
      nowMs += ms
    },
    run: async (...rows: Row[]) => {
      const { rejects, reject, codes } = collector()
      const out = await channel.process(itemsOf(rows), reject)
      return { rows: out.map(({ row }) => row), codes: codes(), rejects }
    },
  }
}

const ORGS = [
  { code: '01', name: '工商局', level: 2 },
  { code: 7, name: '税务局', level: 1 },
]
const inline = { key: 'org', from: { inline: { table: ORGS, columns: 'code' } } }

t.test('a table in the settings: found, and not', async (t) => {
  const root = t.testdir({})
  const { run } = scene(root, inline)
  const found = await run(
    { org: '01', name: 'x' },
    { org: '7' },
    { org: 7n },
    { org: '1' },
    { org: null },
    {},
    { org: [1] },
  )
  t.same(found.rows, [
    { org: '01', name: '工商局', level: 2 },
    { org: '7', name: '税务局', level: 1 },
    { org: 7n, name: '税务局', level: 1 },
  ])
  t.same(found.codes, ['ENRICH_NOT_FOUND', 'ENRICH_NOT_FOUND', 'ENRICH_NOT_FOUND', 'ENRICH_KEY_INVALID'])
  const chosen = scene(root, { ...inline, fields: { title: 'name', code: 'code' }, missing: 'null' })
  t.same((await chosen.run({ org: 7 }, { org: 8 })).rows, [
    { org: 7, title: '税务局', code: 7 },
    { org: 8, title: null, code: null },
  ])
  const nested = scene(root, { ...inline, into: 'agency', missing: 'default', defaults: { name: 'other' } })
  t.same((await nested.run({ org: 7 }, { org: 8 })).rows, [
    { org: 7, agency: { name: '税务局', level: 1 } },
    { org: 8, agency: { name: 'other', level: null } },
  ])
  const map = scene(root, {
    key: 'c',
    from: { inline: { table: { '44': '广东', '45': { value: '广西', short: '桂' } } } },
    missing: 'null',
  })
  t.same((await map.run({ c: 44 }, { c: '45' }, { c: 'toString' })).rows, [
    { c: 44, value: '广东', short: null },
    { c: '45', value: '广西', short: '桂' },
    { c: 'toString', value: null, short: null },
  ])
  const two = scene(root, {
    key: ['a', 'b'],
    from: {
      inline: {
        table: [
          { a: '1', b: '2,3', v: 'x' },
          { a: '1,2', b: '3', v: 'y' },
        ],
      },
    },
  })
  t.same(
    (await two.run({ a: 1, b: '2,3' }, { a: '1,2', b: 3 })).rows.map(({ v }) => v),
    ['x', 'y'],
  )
})

t.test('a file: CSV, JSON, JSON Lines; read again when it has changed', async (t) => {
  const root = t.testdir({
    'a.csv': '\ufeffcode,name\r\n01,"工商\n局"\n\n7,税务局\n',
    'a.json': '[{"code":1,"n":12345678901234567890}]',
    'a.jsonl': '{"code":1,"n":2}\n',
  })
  const file = (path: string, format: string) => ({
    key: 'org',
    from: { file: { path, format, columns: 'code' } },
    missing: 'null',
  })
  const csv = scene(root, file('a.csv', 'csv'))
  await csv.channel.open()
  t.same(
    (await csv.run({ org: '01' }, { org: 7 })).rows.map(({ name }) => name),
    ['工商\n局', '税务局'],
  )
  for (const [format, n] of [
    ['json', 12345678901234567890n],
    ['jsonl', 2],
  ] as const) {
    const { channel, run } = scene(root, file(`a.${format}`, format))
    await channel.open()
    t.same((await run({ org: '1' })).rows, [{ org: '1', n }])
    await channel.close()
  }
  const replace = (text: string) => {
    writeFileSync(join(root, 'new'), text)
    renameSync(join(root, 'new'), join(root, 'a.csv'))
  }
  const name = async () => (await csv.run({ org: 7 })).rows[0]?.name
  replace('code,name\n7,new\n')
  t.equal(await name(), '税务局', 'it is not looked at for every call')
  csv.pass(1_000)
  t.equal(await name(), 'new')
  replace('code,name\n7\n')
  csv.pass(1_000)
  t.equal(await name(), 'new', 'a broken one is not taken')
  t.match(csv.logs.at(-1), /^warn .*1 columns.*line 2/)
  const logged = csv.logs.length
  csv.pass(1_000)
  await name()
  t.equal(csv.logs.length, logged, 'said once')
  rmSync(join(root, 'a.csv'))
  csv.pass(1_000)
  t.equal(await name(), 'new', 'nor one that is gone')
  replace('code,name\n7,last\n')
  csv.pass(1_000)
  t.equal(await name(), 'last')
  await csv.channel.close()
})

t.test('a table that cannot be used stops the flow when it starts', async (t) => {
  const root = t.testdir({})
  const codeFor = async (text: string | Buffer, more: object = {}, settings: object = {}) => {
    writeFileSync(join(root, 'x'), text)
    const { channel } = scene(root, { key: 'k', from: { file: { path: 'x', ...more } }, ...settings })
    return codeOf(() => channel.open())
  }
  t.equal(await codeFor('k,v\n1,a\n'), 'no fault')
  for (const text of [
    'k,v\n1\n',
    'k,v\n1,"a\n',
    'k,v\n1,a\n1,b\n',
    'v\na\n',
    'k,v\n,a\n',
    'k,k\n1,2\n',
    Buffer.from([0x6b, 0xff]),
  ]) {
    t.equal(await codeFor(text), 'ENRICH_TABLE_INVALID', JSON.stringify(text.toString()))
  }
  t.equal(await codeFor('{"k":1', { format: 'jsonl' }), 'ENRICH_TABLE_INVALID')
  for (const text of ['[1]', '7', '[{"k":1},', '[{"k":null}]'])
    t.equal(await codeFor(text, { format: 'json' }), 'ENRICH_TABLE_INVALID')
  t.equal(await codeFor(Buffer.alloc(33 * 1024 * 1024, 'x')), 'ENRICH_TABLE_INVALID')
  t.equal(await codeFor('k,v\n1,a\n', {}, { fields: { x: 'w' } }), 'ENRICH_COLUMN_MISSING')
  t.equal(await codeFor('k,v\n1,a\n', { path: 'missing' }), 'ENRICH_TABLE_INVALID')
  for (const bad of [
    { ...inline, missing: 'default' },
    { ...inline, defaults: { name: 1 } },
    { ...inline, key: ['a', 'b'] },
    { ...inline, missing: 'default', fields: { x: 'name' }, defaults: { y: 1 } },
    { key: 'k', from: { inline: { table: [{ k: 1 }, { k: 1 }] } } },
    { key: ['k', 'l'], from: { inline: { table: { a: 1 } } } },
  ]) {
    t.not(await codeOf(() => scene(root, bad)), 'no fault')
  }
})

function database(path: string, name: string): DatabaseSync {
  const made = new DatabaseSync(path)
  made.exec('CREATE TABLE org (code TEXT PRIMARY KEY, name TEXT, big INTEGER, raw BLOB)')
  made.prepare('INSERT INTO org VALUES (?, ?, ?, ?)').run('01', name, 2n ** 60n, Buffer.from('x'))
  return made
}

t.test('a query: prepared, read-only, kept for a time', async (t) => {
  const root = t.testdir({})
  const writer = database(join(root, 'x.db'), 'first')
  const query = 'SELECT name, big, raw FROM org WHERE code = ?'
  const settings = { key: 'org', from: { sqlite: { file: 'x.db', query, cacheMs: 500 } }, missing: 'null' }
  const { channel, run, pass } = scene(root, settings)
  await channel.open()
  t.same((await run({ org: '01' }, { org: 'x' })).rows, [
    { org: '01', name: 'first', big: 2n ** 60n, raw: new Uint8Array([0x78]) },
    { org: 'x', name: null, big: null, raw: null },
  ])
  const names = async () => (await run({ org: '01' }, { org: 'x' })).rows.map(({ name }) => name)
  writer.exec("UPDATE org SET name = 'second'; INSERT INTO org VALUES ('x', 'new', 1, NULL)")
  t.same(await names(), ['first', null], 'kept, also that there was none')
  pass(500)
  t.same(await names(), ['second', 'new'])
  let deep: Value = 1
  for (let i = 0; i < 100_000; i += 1) deep = [deep]
  t.same((await run({ org: deep })).codes, ['ENRICH_KEY_INVALID'], 'not read to its end')
  t.same((await run({ org: { a: 1 } }, { org: 2n ** 70n }, { org: true }, { org: null })).codes, [
    'ENRICH_KEY_INVALID',
    'ENRICH_KEY_INVALID',
  ])
  writer.close()
  // Another database in its place.
  database(join(root, 'y.db'), 'third').close()
  renameSync(join(root, 'y.db'), join(root, 'x.db'))
  pass(1_000)
  t.same(await names(), ['third', null])
  rmSync(join(root, 'x.db'))
  pass(1_000)
  t.same(await names(), ['third', null], 'until there is one the former is used')
  await channel.close()
  await channel.close()
})

t.test('a locked database makes the flow wait', async (t) => {
  const root = t.testdir({})
  const writer = database(join(root, 'x.db'), 'a')
  const { channel, run } = scene(root, {
    key: 'org',
    from: { sqlite: { file: 'x.db', query: 'SELECT name FROM org WHERE code = ?' } },
  })
  await channel.open()
  writer.exec('BEGIN EXCLUSIVE')
  await t.rejects(run({ org: '01' }), { code: 'SQLITE_BUSY', details: { retry: true } })
  writer.exec('ROLLBACK')
  t.same((await run({ org: '01' })).rows, [{ org: '01', name: 'a' }])
  writer.close()
  await channel.close()
})

/** Never ends for 'x'. */
const ENDLESS = `SELECT name, (WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE ?1 = 'x') SELECT max(n) FROM c) AS n
  FROM org WHERE code = '01' AND ?1 IS NOT NULL`

t.test('a query that never ends is stopped; its row is rejected, the others pass', async (t) => {
  const root = t.testdir({})
  database(join(root, 'x.db'), 'a').close()
  const { channel, run } = scene(root, { key: 'org', from: { sqlite: { file: 'x.db', query: ENDLESS, queryMs: 100 } } })
  await channel.open()
  let ticks = 0
  const ticking = setInterval(() => (ticks += 1), 5)
  const { rows, rejects } = await run({ org: '01' }, { org: 'x' }, { org: '02' }, { org: 'x' }, { org: '03' })
  clearInterval(ticking)
  t.ok(ticks > 1, 'the flow has its thread')
  t.same(
    rows.map(({ org, name, n }) => [org, name, n]),
    ['01', '02', '03'].map((org) => [org, 'a', 1]),
  )
  t.match(
    rejects.map(({ item, fault }) => [item.row.org, fault.code, fault.details.limitMs]),
    [
      ['x', 'ENRICH_QUERY_TIMEOUT', 150],
      ['x', 'ENRICH_QUERY_TIMEOUT', 150],
    ],
  )
  const ended = t.rejects(run({ org: 'x' }), { code: 'ENRICH_QUERY_ENDED' })
  await channel.close()
  await ended
})

const CHILDREN = `/proc/${process.pid}/task/${process.pid}/children`

t.test('the process of the query is started anew when it has ended', { skip: !existsSync(CHILDREN) }, async (t) => {
  const root = t.testdir({})
  database(join(root, 'x.db'), 'a').close()
  const { channel, run } = scene(root, { key: 'org', from: { sqlite: { file: 'x.db', query: ENDLESS } } })
  await channel.open()
  t.equal((await run({ org: '01' })).rows.length, 1)
  const asked = t.rejects(run({ org: 'x' }, { org: '02' }), { code: 'ENRICH_QUERY_ENDED', details: { retry: true } })
  for (const pid of readFileSync(CHILDREN, 'utf8').trim().split(' ')) process.kill(Number(pid), 'SIGKILL')
  await asked
  t.equal((await run({ org: '03' })).rows.length, 1)
  await channel.close()
  t.equal(readFileSync(CHILDREN, 'utf8').trim(), '')
})

t.test('queries that cannot be used, or would write', async (t) => {
  const root = t.testdir({})
  database(join(root, 'x.db'), 'a').close()
  const codeFor = (query: string, key: string[] = ['k'], file = 'x.db') => {
    const { channel } = scene(root, { key, from: { sqlite: { file, query } } })
    return codeOf(() => channel.open())
  }
  t.equal(await codeFor('SELECT name FROM org WHERE code = ? OR code = ?', ['a', 'b']), 'no fault')
  t.equal(await codeFor('SELECT name FROM org'), 'ENRICH_PARAMETERS')
  t.equal(await codeFor('SELECT name FROM org WHERE code = ? OR code = ?'), 'ENRICH_PARAMETERS')
  t.equal(await codeFor('SELEC'), 'SQLITE_QUERY_INVALID')
  t.equal(await codeFor('SELECT x FROM org WHERE code = ?'), 'SQLITE_QUERY_INVALID')
  t.equal(await codeFor('DELETE FROM org WHERE code = ?'), 'SQLITE_QUERY_INVALID')
  t.equal(await codeFor('SELECT 1', ['k'], 'missing.db'), 'SQLITE_FILE_MISSING')
  const { channel, run } = scene(root, {
    key: 'k',
    from: { sqlite: { file: 'x.db', query: 'DELETE FROM org WHERE code = ? RETURNING name' } },
  })
  await channel.open()
  await t.rejects(run({ k: '01' }), { code: 'SQLITE_READONLY' })
  await channel.close()
})

t.test('the results kept are bounded', async (t) => {
  const root = t.testdir({})
  const writer = database(join(root, 'x.db'), 'first')
  const sqlite = { file: 'x.db', query: 'SELECT name FROM org WHERE code = ?', cacheRows: 2 }
  const { channel, run } = scene(root, { key: 'org', from: { sqlite }, missing: 'null' })
  await channel.open()
  const name = async () => (await run({ org: '01' })).rows[0]?.name
  await name()
  await run({ org: 'b' })
  await name()
  writer.exec("UPDATE org SET name = 'second'")
  await run({ org: 'c' })
  t.equal(await name(), 'first', 'the one used last stays')
  await run({ org: 'd' }, { org: 'e' })
  t.equal(await name(), 'second')
  writer.exec(`UPDATE org SET name = '${'x'.repeat(10_000)}'`)
  await run({ org: 'd' }, { org: 'e' })
  await name()
  writer.exec("UPDATE org SET name = 'third'")
  t.equal(await name(), 'third', 'a large one is not kept')
  writer.close()
  await channel.close()
})
