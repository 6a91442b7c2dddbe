// The operator's view: queues of a running hub looked at and mended with causeway-hub, as a person would.

import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { askHub, formatId, type MessageView, type QueueView, type TraceView } from '#hub/management/mod.ts'
import { columns } from '#protocol/fields/mod.ts'
import { ask, type Ran, run } from './cli.ts'
import { bodiesOf, eventually, localHub, nextOf, numbered } from './support.ts'

const hub = await localHub(t, {
  config: {
    queues: [
      { name: 'permits', topics: ['permits/#'], maxDeliver: 3, retain: { ms: '1d' } },
      { name: '人口/变更', topics: ['人口/#'], limits: { messages: 1000 } },
      { name: 'second-chance', topics: ['nothing/comes/here'] },
    ],
  },
})
const office = await hub.client('office')
const centre = await hub.client('centre')

const command = (...args: string[]): Promise<Ran> => ask('hub', [...args, '--data', hub.dataDir])

/** The JSON that a command prints. */
async function told<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await command(...args, '--json')
  if (code !== 0) throw new Error(`${args.join(' ')}: ${stderr}`)
  return JSON.parse(stdout) as T
}

/** The same without a program that starts for it. */
const peeked = async (queue: string): Promise<readonly MessageView[]> => {
  const request = { command: 'peek', queue, limit: 1000, filter: {} } as const
  return (await askHub<{ messages: MessageView[] }>(hub.dataDir, request)).messages
}

const viewOf = async (queue: string): Promise<QueueView> =>
  (await askHub<{ queues: [QueueView] }>(hub.dataDir, { command: 'queues', queue })).queues[0]

const publish = (topic: string, bodies: readonly string[], headers: Record<string, string> = {}) => {
  const publisher = office.publisher({ stream: `out/${topic}` })
  return Promise.all(bodies.map((body) => publisher.publish({ topic, headers, body: Buffer.from(body) })))
}

/** Rejects the next `count` messages of a queue. */
async function reject(queue: string, count: number, reason: string): Promise<void> {
  const subscription = await centre.subscribe({ queue })
  for (let left = count; left > 0; ) {
    const delivery = await nextOf(subscription)
    left -= delivery.count
    delivery.reject(reason)
  }
  subscription.close()
  await eventually('all are rejected', () => hub.queue(queue).inFlight === 0)
}

t.test('queues: all of them in 80 columns, one of them whole', async (t) => {
  await publish('人口/a', numbered(3))
  await eventually('agents have inboxes', () => hub.status().queues.some(({ name }) => name === 'inbox/centre'))
  const { code, stdout } = await command('queues', '--all')
  t.equal(code, 0)
  const lines = stdout.trimEnd().split('\n')
  t.match(lines[0], /^QUEUE +WAITING +IN FLIGHT +CONSUMERS +SIZE +OLDEST$/)
  for (const line of lines) t.ok(columns(line) <= 80, line)
  const end = columns(lines[0] as string)
  t.equal(columns(lines.find((line) => line.startsWith('人口/变更')) ?? ''), end, 'wide names line up')
  for (const name of ['permits', '$dead', '$unrouted', 'inbox/office'])
    t.match(stdout, new RegExp(`^${name.replace('$', '\\$')} `, 'm'))
  const few = await command('queues')
  t.notMatch(few.stdout, 'inbox/office')
  t.match(few.stdout, /2 more queues.*causeway-hub queues --all/)
  const one = await command('queues', '人口/变更')
  t.match(one.stdout, /^Queue 人口\/变更\n.*topics +人口\/#\n/s)
  t.match(one.stdout, /messages +3 waiting, 0 in flight, 0 delayed/)
  t.match(one.stdout, /limits +messages 1,000, bytes no limit/)
  t.match(one.stdout, /LANE +PRIORITY +PART +DEPTH/)
  for (const line of one.stdout.split('\n')) t.ok(columns(line) <= 80, line)
  t.match(await viewOf('人口/变更'), {
    depth: 3,
    policy: { messagesMax: 1000 },
    counters: { in: 3 },
    oldestAtMs: Number,
  })
  const status = await run('hub', ['status', '--data', hub.dataDir])
  t.match(status.stdout, /^人口\/变更 +3 +0 +0 /m)
  t.notMatch(status.stdout, 'DEAD LETTERS')
})

t.test('mistakes', async (t) => {
  const all = await Promise.all([
    command('queues', 'permit'),
    command('peek', 'permits', '--id', 'nonsense'),
    command('peek', 'permits', '--id', 'office/out/99', '--json'),
    command('purge', 'permits', '--yes'),
    command('purge', 'permits', '--all', '--origin', 'office', '--yes'),
    command('purge', 'permits', '--all'),
    command('redrive', '$dead'),
    command('redrive', '$dead', '--all', '--to', 'secnd-chance'),
    command('replay', 'permits'),
    command('replay', 'permits', '--ago', '1h', '--from-position', '0'),
    command('replay', 'permits', '--from-time', 'yesterday'),
    command('replay', '人口/变更', '--ago', '1h'),
    command('forget', 'permits', '--yes'),
    command('trace', 'office/none/1'),
    ask('hub', ['queues', '--data', hub.dir]),
  ])
  const wanted: readonly (readonly [number, RegExp])[] = [
    [1, /^QUEUE_MISSING at queue permit: .*Did you mean permits\?/],
    [2, /--id/],
    [1, /^\{"faults":\[\{"code":"MESSAGE_MISSING"/],
    [2, /^MESSAGES_UNNAMED/],
    [2, /^MESSAGES_UNNAMED/],
    [2, /^NOT_CONFIRMED.*--yes/],
    [2, /^MESSAGES_UNNAMED/],
    [1, /^QUEUE_MISSING.*Did you mean second-chance/],
    [2, /^REPLAY_START_UNNAMED/],
    [2, /^REPLAY_START_UNNAMED/],
    [2, /--from-time/],
    [1, /^QUEUE_NOT_RETAINED/],
    [1, /^QUEUE_NOT_OWNED/],
    [1, /^MESSAGE_MISSING/],
    [1, /^DATA_FOLDER_MISSING/],
  ]
  for (const [i, [code, stderr]] of wanted.entries()) t.match(all[i], { code, stderr, stdout: '' }, String(stderr))
})

t.test('a rejected message: seen, understood, and sent back where it belongs', async (t) => {
  await publish('permits/north', numbered(4), { district: 'north' })
  await reject('permits', 4, 'LATE: 过期了')
  const dead = await eventually('four dead letters', async () => {
    const found = await peeked('$dead')
    return found.length === 4 && found
  })
  t.match(dead[0], { topic: 'permits/north', from: 'permits', reason: /LATE: 过期了/, headers: { district: 'north' } })
  t.match(await command('status'), {
    stdout: /^DEAD LETTERS: 4, \d+ B, the oldest (\d+[ms] ?)+ ago; see causeway-hub peek '\$dead'$/m,
  })
  const shown = await command('peek', '$dead', '--limit', '1')
  t.match(shown.stdout, /^office\/out\/permits\/north\/\d+\/1\n/)
  t.match(shown.stdout, /reason +LATE: 过期了 \(from permits\)/)
  t.match(shown.stdout, /body +1 B: 0\n/)
  t.match(shown.stdout, /\n1 of 4 messages of \$dead\n$/)

  const [first, second] = dead as [MessageView, MessageView]
  const trace = await told<TraceView>('trace', formatId(first.id))
  t.match(trace, { id: first.id, batch: { count: Number } })
  const whats = trace.events.map(({ what }) => what)
  t.equal(whats[0], 'accepted')
  t.ok(whats.includes('rejected') || whats.includes('dead-lettered'), whats.join(' '))
  t.ok(trace.copies.some(({ queue, state }) => queue === '$dead' && state === 'waiting'))
  const { epoch: _epoch, ...newest } = first.id
  const traced = await command('trace', `${newest.origin}/${newest.stream}/${newest.seq}`)
  t.match(traced.stdout, new RegExp(`^Message ${formatId(first.id)}\n`))
  t.match(traced.stdout, /by centre/)
  for (const line of [...traced.stdout.split('\n'), ...shown.stdout.split('\n')]) t.ok(columns(line) <= 80, line)

  t.same(await told('redrive', '$dead', '--id', formatId(second.id)), { moved: 1, left: 0, reasons: {} })
  t.same(
    (await peeked('permits')).map(({ id }) => id),
    [second.id],
  )
  t.same(await told('redrive', '$dead', '--id', formatId(first.id), '--to', 'second-chance'), {
    moved: 1,
    left: 0,
    reasons: {},
  })
  t.same(
    (await peeked('second-chance')).map(({ id }) => id),
    [first.id],
  )
  t.same(await told('redrive', '$dead', '--reason', 'OTHER'), { moved: 0, left: 0, reasons: {} })
  t.same(await told('redrive', '$dead', '--topic', 'permits/+', '--from', 'permits', '--origin', 'office'), {
    moved: 2,
    left: 0,
    reasons: {},
  })
  t.equal((await viewOf('$dead')).depth, 0)
  const again = await centre.subscribe({ queue: 'permits' })
  t.same((await bodiesOf(again, 3)).sort(), ['1', '2', '3'])
  again.close()
  const after = await told<TraceView>('trace', formatId(second.id))
  t.ok(after.events.some(({ what }) => what === 'redriven'))
})

t.test('what nobody wanted goes where the rules of now want it, or stays', async (t) => {
  await publish('forgotten/topic', numbered(2))
  t.equal((await peeked('$unrouted')).length, 2)
  const left = await command('redrive', '$unrouted', '--all')
  t.match(left, {
    code: 0,
    stdout: /^0 messages moved.\n2 messages stayed in \$unrouted:\nREASON +MESSAGES\nNO_ROUTE +2\n$/,
  })
  const late = await centre.subscribe({ name: 'late', topics: ['forgotten/#'] })
  t.same(await told('redrive', '$unrouted', '--all'), { moved: 2, left: 0, reasons: {} })
  t.same(await bodiesOf(late, 2), ['0', '1'])
  late.close()
})

t.test('purge: some by a filter, those in flight not at all, then the rest', async (t) => {
  await publish('人口/old', numbered(5))
  const before = (await viewOf('人口/变更')).depth
  t.same(await told('purge', '人口/变更', '--older-than', '1h', '--yes'), { messages: 0 })
  const holding = await centre.subscribe({ queue: '人口/变更', creditMessages: 1 })
  const held = await nextOf(holding)
  t.same(await told('purge', '人口/变更', '--topic', '人口/old', '--yes'), { messages: 5 })
  t.match(await command('purge', '人口/变更', '--all', '--yes'), {
    code: 0,
    stdout: new RegExp(`^${before - 5 - held.count} messages removed from 人口/变更`),
  })
  held.settle()
  holding.close()
  await eventually('it is empty', async () => (await viewOf('人口/变更')).depth === 0)
})

t.test('replay: what was processed comes again', async (t) => {
  const since = new Date().toISOString()
  await publish('permits/south', ['a', 'b', 'c'])
  const first = await centre.subscribe({ queue: 'permits' })
  t.same(await bodiesOf(first, 3), ['a', 'b', 'c'])
  first.close()
  const view = await eventually('they are settled and retained', async () => {
    const now = await viewOf('permits')
    return now.depth === 0 && now.retained >= 3 && now
  })
  t.ok(view.retained >= 3)
  t.same(await told('replay', 'permits', '--from-time', since), { messages: 3 })
  const second = await centre.subscribe({ queue: 'permits' })
  t.same(await bodiesOf(second, 3), ['a', 'b', 'c'])
  second.close()
  await eventually('they are settled again', async () => (await viewOf('permits')).depth === 0)
  const tail = (await viewOf('permits')).lanes[0]?.tail as number
  t.same(await told('replay', 'permits', '--from-position', String(tail - 1)), { messages: 1 })
  t.same(await told('purge', 'permits', '--all', '--yes'), { messages: 1 })
})

t.test('forget: a subscription whose agent does not come back', async (t) => {
  const notes = await centre.subscribe({ name: 'notes', topics: ['notes/#'] })
  notes.close()
  await publish('notes/a', numbered(2))
  const name = (await told<{ queues: QueueView[] }>('queues')).queues.find(({ topics }) =>
    topics.includes('notes/#'),
  )?.name
  t.match(await command('forget', `${name}`), { code: 2, stderr: /^NOT_CONFIRMED/ })
  t.match(await command('forget', `${name}`, '--yes'), { code: 0, stdout: `${name} is forgotten, with 2 messages.` })
  t.match(await command('queues', `${name}`), { code: 1, stderr: /^QUEUE_MISSING/ })
})

t.test('groups: who is in one gets what is for all in it', async (t) => {
  t.match(await command('groups'), { code: 0, stdout: /no group yet/ })
  t.match(await command('groups', 'add', '北部', 'office', 'nobody'), { code: 1, stderr: /^AGENT_UNKNOWN at nobody/ })
  t.same(await told('groups'), [], 'nobody was added')
  t.match(await command('groups', 'add', 'a/b', 'office'), { code: 1, stderr: /^GROUP_NAME_INVALID/ })
  t.match(await command('groups', 'add', '北部', 'office', 'centre'), {
    code: 0,
    stdout: 'office: 北部\ncentre: 北部\n',
  })
  t.same(await told('groups'), [{ group: '北部', agents: ['centre', 'office'] }])
  t.match(await command('groups'), { stdout: /^北部 +2 +centre office$/m })
  t.match(await command('agents'), { stdout: /office .*\n +groups 北部\n/ })
  const topics = (name: string) => hub.queue(name).topics
  await eventually('the hub sees it', () => topics('inbox/centre').includes('group/北部/#'))
  await publish('group/北部/news', ['hello'])
  const inbox = await centre.subscribe({ queue: 'inbox/centre' })
  t.same(await bodiesOf(inbox, 1), ['hello'])
  inbox.close()
  t.match(await command('groups', 'remove', '北部', 'centre'), { code: 0, stdout: 'centre: (in no group)\n' })
  await eventually('the hub sees it', () => !topics('inbox/centre').includes('group/北部/#'))
})

t.test('the store of a stopped hub: checked, damaged, repaired, compacted', async (t) => {
  const other = await localHub(t, { queues: [{ name: 'kept', topics: ['kept'] }] })
  const sender = await other.client('sender')
  const publisher = sender.publisher({ stream: 's', compression: 'none' })
  for (const body of numbered(3)) await publisher.publish({ topic: 'kept', body: Buffer.from(body.repeat(100)) })
  const store = (what: string, ...args: string[]) => run('hub', ['store', what, '--data', other.dataDir, ...args])
  t.match(await store('check'), { code: 1, stderr: /^STORE_IN_USE/ })
  await sender.close()
  await other.stop()
  const sound = await store('check')
  t.match(sound, { code: 0, stdout: /batches +3, .*in 3 places.*\n.*segments.*Everything can be read/s })
  t.match(JSON.parse((await store('check', '--json')).stdout), { ok: true, batches: 3, damaged: [] })
  t.match(await store('repair'), { code: 0, stdout: /^There was nothing to repair/ })
  t.match(await store('compact'), { code: 0, stdout: /segments +.* before, .* now\n +index/ })
  const folder = join(other.dataDir, 'store')
  const segment = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .find((path) => statSync(path).isFile() && readFileSync(path).includes('1'.repeat(100)))
  if (segment === undefined) throw new Error('no file holds the batch')
  const bytes = readFileSync(segment)
  const at = bytes.indexOf('1'.repeat(100))
  bytes[at] = (bytes[at] as number) ^ 1
  writeFileSync(segment, bytes)
  t.match(await store('check'), { code: 1, stdout: /Damaged:\n {2}batch \d+ of sender\/s.*queue kept.*store repair/s })
  t.match(await store('repair'), { code: 0, stdout: /1 lost with 1 message in queues\.\nThe store is sound now\./ })
  t.match(await store('check'), { code: 0 })
  await other.start()
  const { messages } = await askHub<{ messages: MessageView[] }>(other.dataDir, {
    command: 'peek',
    queue: 'kept',
    filter: {},
  })
  t.same(
    messages.map(({ preview }) => preview[0]),
    ['0', '2'],
    'what was not damaged is still there',
  )
  t.match(await run('hub', ['store', 'check', '--data', hub.dir]), { code: 1, stderr: /^STORE_MISSING/ })
})
