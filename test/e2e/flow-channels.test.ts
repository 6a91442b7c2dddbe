// Channels in flows as an agent runs them: cases before the start, threads, and what is kept when the agent is killed.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { Agents } from './agents.ts'
import { ask, run } from './cli.ts'
import { eventually, localHub } from './support.ts'

const hub = await localHub(t, { queues: [] })
const agents = new Agents(t, hub)

/** `columns` is SQL, with `i` from 1 to `count`. */
function makeRows(path: string, count: number, columns: string): void {
  using database = new DatabaseSync(path)
  database.exec(`create table rows as
    with recursive n(i) as (select 1 union all select i + 1 from n where i < ${count}) select ${columns} from n`)
  database.exec('create unique index by_id on rows(id)')
}

function rowsOf<T>(path: string, query: string): T[] {
  if (!existsSync(path)) return []
  using database = new DatabaseSync(path, { readOnly: true, timeout: 60_000 })
  const { n } = database.prepare("select count(*) as n from sqlite_master where name = 'rows'").get() as { n: number }
  return n === 0 ? [] : (database.prepare(query).all() as T[])
}

async function agentWith(name: string): Promise<{ folder: string; file: (name: string) => string }> {
  await hub.enroll(name)
  const folder = agents.dataOf(name)
  mkdirSync(folder, { recursive: true })
  return { folder, file: (each) => join(folder, each) }
}

const from = (file: string, more: object = {}) => ({ sqlite: { file, table: 'rows', key: 'id', once: true, ...more } })
const to = (file: string, key: string, columns: Record<string, string>) => ({
  sqlite: { file, table: 'rows', key, create: true, columns },
})

t.test('flow test: what is as expected and what is not, for people and machines', async (t) => {
  const folder = t.testdir({ 'in.json': '{"id":"7"}' })
  const flow = {
    flow: 'tested',
    source: from('in.db'),
    channels: [{ map: { rename: { code: 'id' } } }],
    destination: to('out.db', 'code', { code: 'TEXT' }),
    cases: [
      { name: 'good', input: { rows: [{ id: '1' }] }, expect: { rows: [{ code: '1' }] } },
      { name: 'bad', input: { rows: [{ id: '1' }] }, expect: { rows: [{ code: '2' }] } },
    ],
  }
  const path = join(folder, 'flow.yaml')
  writeFileSync(path, JSON.stringify(flow))
  t.equal((await ask('agent', ['flow', 'lint', path])).code, 0)
  const [shown, json] = await Promise.all([
    run('agent', ['flow', 'test', path]),
    run('agent', ['flow', 'test', path, '--json']),
  ])
  t.equal(shown.code, 1)
  const lines = shown.stdout.trimEnd().split('\n').slice(1)
  t.same(lines, [
    '  ok    good',
    '  FAIL  bad',
    '          rows[0] /code',
    '            expected "2"',
    '            got      "1"',
    '1 passed, 1 failed',
  ])
  t.match(JSON.parse(json.stdout), { passed: 1, failed: 1, files: [{ flow: 'tested', cases: [{ name: 'good' }, {}] }] })
  t.equal(json.code, 1)
  writeFileSync(path, JSON.stringify({ ...flow, cases: flow.cases.slice(0, 1) }))
  t.match(await run('agent', ['flow', 'test', path]), { code: 0, stdout: /1 passed, 0 failed/ })
  writeFileSync(path, JSON.stringify({ ...flow, cases: [{ ...flow.cases[0], expect: {} }] }))
  t.match(await run('agent', ['flow', 'lint', path]), { code: 1, stderr: /cases\[0\].*expects nothing/ })
  t.match(await run('agent', ['flow', 'test', path]), { code: 2, stderr: /expects nothing/ })
})

t.test('start runs the cases first: a flow that fails them is not started, the others are', async (t) => {
  const { file } = await agentWith('caser')
  makeRows(file('in.db'), 10, 'i as id')
  const flow = (name: string, expected: number) => ({
    flow: name,
    source: from(file('in.db')),
    destination: to(file(`${name}.db`), 'id', { id: 'INTEGER' }),
    cases: [{ name: 'one', input: { rows: [{ id: 1 }] }, expect: { rows: [{ id: expected }] } }],
  })
  agents.writeFlow('caser', flow('good', 1))
  const path = agents.writeFlow('caser', flow('bad', 2))
  const agent = agents.start('caser')
  await eventually('the good one is done', () => rowsOf(file('good.db'), 'select * from rows').length === 10)
  const status = await eventually('the bad one is told of', () => {
    const all = agents.statusOf('caser')
    return all?.flows.bad?.state === 'failed' ? all : undefined
  })
  t.match(status.flows.bad, { lastFault: { code: 'FLOW_CASES_FAILED', where: path, cases: ['one'] }, rowsIn: 0 })
  t.notOk(existsSync(file('bad.db')))
  await agent.end()
})

t.test('a stylesheet in a thread: a loop is stopped, its neighbours land', async (t) => {
  const { file } = await agentWith('threads')
  writeFileSync(file('agent.yaml'), 'channels: { timeMs: 1500ms, memoryBytes: 256 MiB }\n')
  makeRows(file('in.db'), 5, "i as id, case i when 3 then '<loop/>' else '<a>' || i || '</a>' end as doc")
  const stylesheet = `<xsl:stylesheet version="3.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
    <xsl:template match="/a"><b><xsl:value-of select="."/></b></xsl:template>
    <xsl:template match="/loop"><xsl:sequence select="count((1 to 100000)[count((1 to 100000)[. mod 7 = 3]) mod 2 = 9])"/></xsl:template>
  </xsl:stylesheet>`
  const path = agents.writeFlow('threads', {
    flow: 'styled',
    source: from(file('in.db')),
    channels: [{ xslt: { stylesheet, field: 'doc' } }],
    destination: to(file('out.db'), 'id', { id: 'INTEGER', doc: 'TEXT' }),
  } as { flow: string })
  const ran = await run('agent', ['flow', 'run', path, '--data', agents.dataOf('threads'), '--json'])
  const said = JSON.parse(ran.stdout)
  t.match(said, { rowsIn: 5, rowsOut: 4, rejected: 1, lastFault: null })
  const rows = rowsOf<{ id: number; doc: string }>(file('out.db'), 'select id, doc from rows order by id')
  t.same(
    rows.map(({ id, doc }) => `${id} ${/<b>(\d)<\/b>/.exec(doc)?.[1]}`),
    ['1 1', '2 2', '4 4', '5 5'],
  )
})

t.test('an agent that is killed while rows are merged: each row in its group, once', async (t) => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
  t.comment(`SEED=${seed}`)
  const { file } = await agentWith('merger')
  const groups = 600
  makeRows(file('in.db'), 3 * groups, `i as id, i % ${groups} as grp`)
  agents.writeFlow('merger', {
    flow: 'merged',
    source: from(file('in.db'), { once: false, batchRows: 20, pollMs: 100 }),
    channels: [
      { merge: { key: 'grp', as: { row: {} }, count: 3 } },
      { map: { keep: ['grp'], expressions: { ids: '$join(items.($string(id)), ",")' } } },
    ],
    destination: to(file('out.db'), 'grp', { grp: 'INTEGER', ids: 'TEXT' }),
    retry: { firstMs: 20, maxMs: 100 },
  } as { flow: string })
  const landed = () => rowsOf<{ grp: number; ids: string }>(file('out.db'), 'select grp, ids from rows order by grp')
  for (let kill = 1; kill <= 3; kill += 1) {
    const agent = agents.start('merger')
    const wanted = ((seed * kill) % 97) + 1 + landed().length
    await eventually('more landed', () => landed().length >= Math.min(groups, wanted))
    await agent.end('SIGKILL')
  }
  const agent = agents.start('merger')
  await eventually('everything landed', () => landed().length >= groups)
  await agent.end()
  t.same(
    landed(),
    Array.from({ length: groups }, (_, grp) => {
      const first = grp === 0 ? groups : grp
      return { grp, ids: [first, first + groups, first + 2 * groups].join() }
    }),
  )
})
