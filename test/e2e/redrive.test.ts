// Sending back from the dead letters, as an operator does it: what failed is decided again, and what had gone on does not go twice.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { askHub, formatId, type MessageView } from '#hub/management/mod.ts'
import { ask, type Ran } from './cli.ts'
import { bodiesOf, eventually, localHub } from './support.ts'

const names = ['archive', 'made', 'tax', 'first', 'second', 'limited']
const hub = await localHub(t, { config: { queues: names.map((name) => ({ name })) } })
const office = await hub.client('office')
const centre = await hub.client('centre')
const command = (...args: string[]): Promise<Ran> => ask('hub', [...args, '--data', hub.dataDir])
const peeked = async (queue: string): Promise<readonly MessageView[]> =>
  (await askHub<{ messages: MessageView[] }>(hub.dataDir, { command: 'peek', queue, limit: 100, filter: {} })).messages
const publisher = office.publisher({ stream: 'out' })
const publish = (topic: string, body: string, contentType = 'application/json') =>
  publisher.publish({ topic, headers: { ':content-type': contentType }, body: Buffer.from(body) })
const depths = (...queues: string[]): number[] => queues.map((name) => hub.queue(name).depth)

let folders = 0
async function deploy(rules: object): Promise<void> {
  const folder = join(hub.dir, `rules-${++folders}`)
  mkdirSync(folder)
  writeFileSync(join(folder, 'rules.yaml'), JSON.stringify(rules))
  const { code, stderr } = await command('route', 'deploy', join(folder, 'rules.yaml'))
  if (code !== 0) throw new Error(stderr)
}

async function taken(queue: string, count: number): Promise<string[]> {
  const subscription = await centre.subscribe({ queue })
  const bodies = await bodiesOf(subscription, count)
  subscription.close()
  return bodies
}

const map = (expression: string) => ({ steps: [{ map: { keep: ['n'], expressions: { half: expression } } }] })
const dead = (count: number) => eventually('dead letters', () => hub.queue('$dead').depth === count)
/** As long as names may be, and in Chinese. */
const LONG = `${'税务登记'.repeat(24)} r/1`

t.test('of several rules the one that failed decides again, as it reads now, also after a restart', async (t) => {
  const rules = [
    { name: 'all to the archive', topics: 'n/#', to: 'archive' },
    { name: 'those with n', topics: 'n/#', when: { jsonata: '$exists(n)' }, to: 'first' },
    { name: 'halves', topics: 'n/#', pipeline: 'good', to: 'made' },
    { name: LONG, topics: 'n/#', pipeline: 'bad', to: ['tax', 'archive'] },
  ]
  const withBad = (bad: object) => ({ rules, pipelines: { good: map('2'), bad } })
  await deploy(withBad(map('$number(m) / 2')))
  await publish('n/1', '{"n":4,"m":"x"}')
  await dead(1)
  t.same(depths('archive', 'first', 'made', 'tax'), [1, 1, 1, 0])
  const [letter] = (await peeked('$dead')) as [MessageView]
  t.ok(letter.reason.includes(LONG), 'the reason is for people')
  await hub.restart()
  const again = await command('redrive', '$dead', '--all')
  t.match(again, { code: 0, stdout: /1 message moved.*alone/s })
  await eventually('it died again, of the same', () => hub.queue('$dead').depth === 1)
  t.same(depths('archive', 'first', 'made', 'tax'), [1, 1, 1, 0])
  await deploy(withBad(map('n / 2')))
  t.match(await command('redrive', '$dead', '--all'), { code: 0, stdout: /1 message moved/ })
  t.same(await taken('tax', 1), ['{"n":4,"half":2}'])
  t.same(depths('archive', 'first', 'made', '$dead'), [2, 1, 1, 0], 'the archive has it, and what was made now')
  t.match((await command('trace', formatId(letter.id))).stdout, /redriven in \$dead by operator.*sent back:.*alone/s)
  await taken('archive', 2)
  await taken('first', 1)
  await taken('made', 1)
})

t.test('a rule that is gone: all of now decide, without what it went through, and the operator is told', async (t) => {
  const kept = { name: 'halves', topics: 'g', pipeline: 'good', to: 'made' }
  const broken = { name: 'broken', topics: 'g', pipeline: 'bad', to: 'tax' }
  const archive = { name: 'archive', topics: 'g', to: 'archive' }
  const pipelines = { good: map('2'), bad: map('$number(m)') }
  await deploy({ rules: [kept, archive, broken], pipelines })
  await publish('g', '{"n":1,"m":"x"}')
  await dead(1)
  await deploy({ rules: [kept, archive, { name: 'instead', topics: 'g', to: ['second', 'archive'] }], pipelines })
  const { stdout } = await command('redrive', '$dead', '--all')
  t.match(stdout.replaceAll(/\s+/g, ' '), /rule broken is not there any more: decided by all rules, without/)
  t.same(await taken('second', 1), ['{"n":1,"m":"x"}'])
  t.same(depths('archive', 'made', 'tax', '$dead'), [1, 1, 0, 0])
  await taken('archive', 1)
  await taken('made', 1)
})

t.test('a rule that failed and ended the looking: those behind it count when it does not fit', async (t) => {
  const rules = (first: object) => ({
    mode: 'first',
    rules: [
      { name: 'xml', topics: 'f', ...first, to: 'first' },
      { name: 'rest', topics: 'f', to: 'second' },
    ],
  })
  await deploy(rules({ when: { xpath: '/a' } }))
  await publish('f', '<a', 'application/xml')
  await dead(1)
  await deploy(rules({ where: { never: '1' } }))
  t.match(await command('redrive', '$dead', '--all'), { code: 0, stdout: /behind xml/ })
  t.same(await taken('second', 1), ['<a'])
  t.same(depths('first', '$dead', '$unrouted'), [0, 0, 0])
})

t.test('a consumer that refuses a message has it sent back to its own queue', async (t) => {
  await deploy({ rules: [{ name: 'r', topics: 'c', to: ['first', 'second'] }] })
  await publish('c', '{"n":1}')
  const subscription = await centre.subscribe({ queue: 'first' })
  for await (const message of subscription) {
    message.reject('NOT_MINE')
    break
  }
  await dead(1)
  subscription.close()
  t.match(await command('redrive', '$dead', '--all'), { code: 0, stdout: /^1 message moved\.\s*$/ })
  t.same(await taken('first', 1), ['{"n":1}'])
  t.same(depths('second', '$dead'), [1, 0])
  await taken('second', 1)
})

t.test('a group too large for one message becomes dead letters, member by member; its stream goes on', async (t) => {
  await deploy({
    rules: [{ name: 'groups', topics: 'large', pipeline: 'groups', to: 'made' }],
    pipelines: {
      groups: { steps: [{ map: { keep: ['k', 'n', 'text'] } }, { merge: { key: 'k', count: 3, as: { row: {} } } }] },
    },
  })
  const send = (k: string, n: number, chars: number) =>
    publish('large', JSON.stringify({ k, n, text: 'x'.repeat(chars) }))
  await send('a', 1, 400_000)
  await send('a', 2, 400_000)
  await hub.restart()
  await send('a', 3, 400_000)
  for (const n of [1, 2, 3]) await send('b', n, 10)
  const [made] = (await taken('made', 1)) as [string]
  t.match(JSON.parse(made), { k: 'b', count: 3 })
  t.same(depths('$dead', '$routing'), [3, 0])
  const letters = await peeked('$dead')
  for (const { reason, bodyBytes } of letters) {
    t.match(reason, /^ROUTE_GROUP_TOO_LARGE: rule groups, step 2 merge/)
    t.ok(bodyBytes > 400_000)
  }
  t.same(
    letters.map(({ preview }) => /"n":\d/.exec(preview)?.[0]),
    ['"n":1', '"n":2', '"n":3'],
  )
  await command('purge', '$dead', '--all', '--yes')
})

t.test('a group whose queue is gone or whose topic is none goes to the dead letters, too', async (t) => {
  await deploy({
    rules: [{ name: 'groups', topics: 't', pipeline: 'groups', topic: 'made/{district}', to: 'made' }],
    pipelines: { groups: { steps: [{ merge: { key: 'k', count: 2, as: { row: {} } } }] } },
  })
  for (const n of [1, 2]) await publish('t', JSON.stringify({ k: 1, n }))
  await dead(1)
  t.match(await peeked('$dead'), [{ reason: /^TOPIC_INVALID: rule groups/, preview: /"count":2/ }])
  t.same(depths('$routing'), [0])
})

t.test(
  'a group whose queue is gone goes to the queues of its rule when it is sent back, and to each once',
  async (t) => {
    await command('purge', '$dead', '--all', '--yes')
    const subscription = await centre.subscribe({ name: 'groups', topics: ['never/sent'] })
    const named = (): string | undefined =>
      hub.status().queues.find(({ topics }) => topics.includes('never/sent'))?.name
    const queue = named() as string
    const groups = { steps: [{ merge: { key: 'k', count: 2, as: { row: {} } } }] }
    const to = (queues: string[]) => ({
      rules: [{ name: 'r', topics: 'q', pipeline: 'groups', to: queues }],
      pipelines: { groups },
    })
    await deploy(to(['second', queue]))
    subscription.close({ forget: true })
    await eventually('it is gone', () => named() === undefined)
    for (const n of [1, 2]) await publish('q', JSON.stringify({ k: 1, n }))
    await dead(1)
    t.match(await peeked('$dead'), [{ reason: /^ROUTE_QUEUE_GONE: rule r/ }])
    t.same(depths('second', 'first', '$routing'), [1, 0, 0])
    await deploy(to(['second', 'first']))
    t.match(await command('redrive', '$dead', '--all'), { code: 0, stdout: /to the queues of rule r/ })
    t.match(
      (await taken('first', 1)).map((body) => JSON.parse(body)),
      [{ k: 1, count: 2 }],
    )
    t.same(depths('second', '$dead'), [1, 0])
  },
)
