// Records on their whole way: out of one database, through spool and hub, into another, with everything on it that breaks.

import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { Agents } from './agents.ts'
import { run } from './cli.ts'
import { eventually, inTime, localHub } from './support.ts'

const hub = await localHub(t, {
  queues: [
    { name: 'landing', topics: ['rows/#'] },
    { name: 'mixed', topics: ['mixed'] },
    { name: 'busy', topics: ['busy'] },
    { name: 'bounded', topics: ['bounded'] },
  ],
})

/** A database with rows 1 … count; `text` makes them larger. */
function makeRows(path: string, count: number, text = ''): void {
  mkdirSync(dirname(path), { recursive: true })
  using database = new DatabaseSync(path)
  database.exec('create table rows (id integer primary key, name text, level text)')
  const insert = database.prepare('insert into rows values (?, ?, ?)')
  database.exec('begin')
  for (let id = 1; id <= count; id++) insert.run(id, `名 ${id} ${text}`, id % 2 === 0 ? 'even' : 'odd')
  database.exec('commit')
}

function rowsIn(path: string): { id: number; name: string; level: string }[] {
  if (!existsSync(path)) return []
  using database = new DatabaseSync(path, { readOnly: true, timeout: 60_000 })
  const made = database.prepare("select count(*) as n from sqlite_master where name = 'rows'").get() as { n: number }
  if (made.n === 0) return []
  return database.prepare('select id, name, level from rows order by id').all() as ReturnType<typeof rowsIn>
}

const toHub = (of: { flow: string; file: string; topic: string; more?: Record<string, unknown> }) => ({
  flow: of.flow,
  source: { sqlite: { file: of.file, table: 'rows', key: 'id', once: true, ...of.more } },
  destination: { hub: { topic: of.topic, key: 'id' } },
  retry: { firstMs: 20, maxMs: 100 },
})

const fromHub = (of: { flow: string; source: Record<string, unknown>; file: string }) => ({
  flow: of.flow,
  source: { hub: of.source },
  destination: {
    sqlite: {
      file: of.file,
      table: 'rows',
      key: 'id',
      create: true,
      columns: { id: 'INTEGER', name: 'TEXT', level: 'TEXT' },
    },
  },
  retry: { firstMs: 20, maxMs: 100 },
})

const agents = new Agents(t, hub)
const writeFlow = (agent: string, flow: { flow: string }): string => agents.writeFlow(agent, flow)
const dataOf = (agent: string): string => agents.dataOf(agent)
const statusOf = (agent: string) => agents.statusOf(agent)
const startAgent = (agent: string, ...more: string[]) => agents.start(agent, ...more)

t.test('rows cross the hub unaltered; running the flow again sends nothing twice', async (t) => {
  await hub.enroll('sender')
  await hub.enroll('lander')
  const [source, target] = [join(hub.dir, 'sender', 'in.db'), join(hub.dir, 'lander', 'out.db')]
  makeRows(source, 3000)
  const flow = writeFlow('sender', toHub({ flow: 'out', file: source, topic: 'rows/{level}' }))
  const first = await run('agent', ['flow', 'run', flow, '--data', dataOf('sender'), '--json'])
  t.equal(first.code, 0, first.stderr)
  t.match(JSON.parse(first.stdout), { rowsIn: 3000, rowsOut: 3000, rejected: 0 })
  t.equal(hub.queue('landing').depth, 3000, 'all of it at the hub when the command ends')
  const again = await run('agent', ['flow', 'run', flow, '--data', dataOf('sender'), '--json'])
  t.match(JSON.parse(again.stdout), { rowsIn: 0 })
  t.equal(hub.queue('landing').tail, 3000)

  writeFlow('lander', fromHub({ flow: 'in', source: { queue: 'landing' }, file: target }))
  const lander = startAgent('lander')
  await eventually('everything landed and settled', () => hub.queue('landing').depth === 0)
  await lander.end()
  t.same(rowsIn(target), rowsIn(source))
})

t.test('an agent that is killed while rows land goes on where it was: each row once', async (t) => {
  await hub.enroll('killed-lander')
  const target = join(hub.dir, 'killed-lander', 'out.db')
  const subscribe = { name: 'mine', topics: ['killed/#'] }
  writeFlow('killed-lander', fromHub({ flow: 'in', source: { subscribe }, file: target }))
  let lander = startAgent('killed-lander')
  await eventually('subscribed', () =>
    hub.status().queues.some(({ name, consumers }) => name === 'killed-lander:mine' && consumers > 0),
  )
  await hub.enroll('killed-sender')
  const source = join(hub.dir, 'killed-sender', 'in.db')
  makeRows(source, 20_000)
  writeFlow(
    'killed-sender',
    toHub({ flow: 'out', file: source, topic: 'killed/{level}', more: { once: false, batchRows: 500 } }),
  )
  let sender = startAgent('killed-sender')
  await eventually('some landed', () => rowsIn(target).length > 0)
  await Promise.all([lander.end('SIGKILL'), sender.end('SIGKILL')])
  lander = startAgent('killed-lander')
  sender = startAgent('killed-sender')
  await eventually('everything landed', () => rowsIn(target).length >= 20_000)
  await eventually('everything settled', () => hub.queue('killed-lander:mine').depth === 0)
  await Promise.all([lander.end(), sender.end()])
  t.same(rowsIn(target), rowsIn(source))
  t.equal(hub.queue('killed-lander:mine').tail, 20_000, 'the hub stored none twice')
})

t.test('while the hub is away the spool takes over; when it is back everything goes out', async (t) => {
  await hub.enroll('patient')
  const source = join(hub.dir, 'patient', 'in.db')
  makeRows(source, 2000)
  writeFlow('patient', toHub({ flow: 'out', file: source, topic: 'rows/patient', more: { once: false } }))
  const before = hub.queue('landing').tail
  await hub.stop()
  const agent = startAgent('patient')
  const away = await eventually('the spool has everything', () => {
    const status = statusOf('patient')
    return status?.spool.messages === 2000 ? status : undefined
  })
  t.match(away, { connected: false, lastFault: { code: 'HUB_UNREACHABLE' } })
  t.match(away.flows.out, { rowsOut: 2000, lastFault: null }, 'the source is done')
  await hub.start()
  await eventually('everything is at the hub', () => hub.queue('landing').tail === before + 2000)
  await eventually('the spool is empty', () => statusOf('patient')?.spool.messages === 0)
  await agent.end()
})

t.test('a destination that is locked makes the flow wait, and nothing is lost', async (t) => {
  await hub.enroll('busy')
  const target = join(hub.dir, 'busy', 'out.db')
  makeRows(target, 0)
  const holder = new DatabaseSync(target)
  t.teardown(() => holder.close())
  holder.exec('begin exclusive')
  writeFlow('busy', fromHub({ flow: 'in', source: { queue: 'busy' }, file: target }))
  const producer = await hub.client('busy-out')
  const publisher = producer.publisher({ stream: 'busy' })
  const headers = { ':content-type': 'application/json' }
  for (let id = 1; id <= 10; id++) {
    const body = Buffer.from(JSON.stringify({ id, name: `n${id}`, level: 'x' }))
    void publisher.publish({ topic: 'busy', headers, body })
  }
  // Refused each time the write is repeated: it has no key.
  await publisher.publish({ topic: 'busy', headers, body: Buffer.from('{"name":"no key","level":"x"}') })
  const agent = startAgent('busy')
  const waiting = await eventually('the flow waits', () => {
    const flow = statusOf('busy')?.flows.in
    return flow?.state === 'waiting' ? flow : undefined
  })
  t.match(waiting.lastFault, { code: /LOCKED|BUSY/ })
  t.equal(hub.queue('busy').depth, 11)
  holder.exec('rollback')
  await eventually('landed and settled', () => hub.queue('busy').depth === 0)
  await agent.end()
  t.equal(rowsIn(target).length, 10)
})

t.test('a full spool makes the flow wait, says so, and goes on when the hub takes over', async (t) => {
  await hub.enroll('bounded')
  const source = join(hub.dir, 'bounded', 'in.db')
  const noise = Array.from({ length: 40 }, (_, i) => String.fromCodePoint(0x4e00 + i * 37)).join('')
  makeRows(source, 20_000, noise)
  const flow = toHub({ flow: 'out', file: source, topic: 'bounded', more: { once: false, batchRows: 1000 } })
  writeFlow('bounded', {
    ...flow,
    destination: { hub: { topic: 'bounded', key: 'id', compression: 'none' } },
  } as typeof flow)
  await hub.stop()
  const agent = startAgent('bounded', '--spool-bytes', '1MiB')
  const full = await eventually('the flow waits', () => {
    const status = statusOf('bounded')
    return status?.flows.out?.lastFault?.code === 'SPOOL_FULL' ? status : undefined
  })
  t.equal(full.flows.out?.state, 'waiting')
  t.ok(full.spool.bytes <= full.spool.bytesMax, `${full.spool.bytes} of ${full.spool.bytesMax}`)
  t.ok((full.flows.out?.rowsOut ?? 0) < 20_000)
  await hub.start()
  await eventually('everything is at the hub', () => hub.queue('bounded').tail === 20_000)
  await agent.end()
  const reader = await hub.client('bounded-in')
  const subscription = await reader.subscribe({ queue: 'bounded' })
  const ids: number[] = []
  while (ids.length < 20_000) {
    const delivery = await inTime(subscription.next(), 'a delivery')
    for (const { body } of delivery ?? []) ids.push((JSON.parse(body.toString()) as { id: number }).id)
    delivery?.settle()
  }
  t.same(
    ids,
    Array.from({ length: 20_000 }, (_, i) => i + 1),
  )
})

t.test('a message that is no row is rejected with the reason, here and at the hub; the others land', async (t) => {
  await hub.enroll('mixed')
  const target = join(hub.dir, 'mixed', 'out.db')
  writeFlow('mixed', fromHub({ flow: 'in', source: { queue: 'mixed' }, file: target }))
  const producer = await hub.client('mixed-out')
  const publisher = producer.publisher({ stream: 'mixed', proof: 'message' })
  const json = { ':content-type': 'application/json' }
  const rejected = hub.queue('$dead').depth
  const send = (headers: Record<string, string>, body: string) =>
    publisher.publish({ topic: 'mixed', headers, body: Buffer.from(body) })
  void send(json, '{"id":1,"name":"a","level":"x"}')
  void send(json, 'no JSON at all')
  void send(json, '[1,2,3]')
  void send({ ':content-type': 'application/pdf' }, '%PDF')
  void send(json, '{"id":"text","name":"b","level":"x"}')
  await send(json, '{"id":2,"name":"c","level":"x"}')
  const agent = startAgent('mixed')
  await eventually('nothing waits', () => hub.queue('mixed').depth === 0)
  await agent.end()
  t.same(
    rowsIn(target).map(({ id }) => id),
    [1, 2],
  )
  t.equal(hub.queue('$dead').depth, rejected + 4)
  const lines = readFileSync(join(dataOf('mixed'), 'state', 'in', 'rejected.jsonl'), 'utf8')
    .trim()
    .split('\n')
  const codes = lines.map((line) => (JSON.parse(line) as { code: string }).code)
  t.equal(codes.filter((code) => code === 'HUB_MESSAGE_NOT_A_ROW').length, 3)
  t.equal(lines.length, 4)
})

t.test('a flow whose right is missing waits for it, and says what the operator has to do', async (t) => {
  await hub.enroll('unauthorised', { publish: ['x'], consume: [] })
  const target = join(hub.dir, 'unauthorised', 'out.db')
  writeFlow('unauthorised', fromHub({ flow: 'in', source: { queue: 'landing' }, file: target }))
  const agent = startAgent('unauthorised')
  const waiting = await eventually('the flow waits', () => {
    const flow = statusOf('unauthorised')?.flows.in
    return flow?.lastFault?.code === 'HUB_SUBSCRIPTION_REFUSED' ? flow : undefined
  })
  t.match(waiting.lastFault, { message: /RIGHT_MISSING/, remedy: /causeway-hub grant/ })
  t.not(waiting.state, 'failed')
  await agent.end()
})
