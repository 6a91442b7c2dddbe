// Rules of a running hub, as its operator and its agents see them: deployed live, explained, gone back from; content, pipelines,
// dead letters, traces.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { askHub, formatId, type MessageView, type TraceView } from '#hub/management/mod.ts'
import type { RoutesView } from '#hub/router/mod.ts'
import { columns } from '#protocol/fields/mod.ts'
import { ask, type Ran } from './cli.ts'
import { bodiesOf, eventually, localHub } from './support.ts'

const hub = await localHub(t, {
  config: {
    queues: [
      { name: 'tax' },
      { name: 'archive' },
      { name: 'rest' },
      { name: 'bound', topics: ['permits/#'] },
      { name: 'small', limits: { messages: 1 } },
    ],
    routing: { timeMs: '8s' },
  },
})
const office = await hub.client('office')
const centre = await hub.client('centre')
const command = (...args: string[]): Promise<Ran> => ask('hub', [...args, '--data', hub.dataDir])
const peeked = async (queue: string): Promise<readonly MessageView[]> =>
  (await askHub<{ messages: MessageView[] }>(hub.dataDir, { command: 'peek', queue, limit: 100, filter: {} })).messages
const view = (): Promise<RoutesView> => askHub(hub.dataDir, { command: 'routes' })

let folders = 0
/** A rule file in a folder of its own. */
function ruleFile(rules: object, files: Record<string, string> = {}): string {
  const folder = join(hub.dir, `rules-${++folders}`)
  mkdirSync(folder)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const path = join(folder, 'rules.yaml')
  writeFileSync(path, JSON.stringify(rules))
  return path
}

const publisher = office.publisher({ stream: 'out' })
const xml = { ':content-type': 'application/xml' }
const json = { ':content-type': 'application/json' }
const publish = (topic: string, body: string, headers: Record<string, string> = xml) =>
  publisher.publish({ topic, headers, body: Buffer.from(body) })

/** Takes and settles what is in a queue. */
async function taken(queue: string, count: number): Promise<string[]> {
  const subscription = await centre.subscribe({ queue })
  const bodies = await bodiesOf(subscription, count)
  subscription.close()
  return bodies
}

const byContent = {
  cases: [
    {
      name: 'food',
      input: { topic: 'permits/1', body: '<permit kind="food"/>', contentType: 'text/xml' },
      expect: { queues: 'tax' },
    },
  ],
  rules: [
    { name: 'food to tax', topics: 'permits/#', when: { xpath: "/permit/@kind = 'food'" }, to: 'tax' },
    { name: 'north to the archive', topics: 'permits/#', where: { district: 'north' }, to: 'archive' },
  ],
  default: 'rest',
}

t.test('without rules nothing is deployed, and nobody is hindered', async (t) => {
  t.match(await command('route', 'history'), { code: 0, stdout: /No rules are deployed/ })
  t.match(await command('route', 'dry-run', '--topic', 'x'), { code: 1, stderr: /RULES_NONE/ })
  await publish('other', 'x')
  await eventually('unrouted', () => hub.queue('$unrouted').depth === 1)
})

t.test('what is wrong with a rule file is told with its place, and changes nothing', async (t) => {
  const wrong = ruleFile({
    rules: [
      { name: 'a', topics: 'x', to: 'taxx' },
      { name: 'b', topics: 'x', when: { xpath: '/a[' }, to: 'tax' },
    ],
  })
  const { code, stderr } = await command('route', 'deploy', wrong)
  t.equal(code, 1)
  t.match(stderr, /RULE_QUEUE_UNKNOWN.*rules\.yaml.*taxx.*Did you mean tax\?/s)
  const syntax = ruleFile({ rules: [{ name: 'b', topics: 'x', when: { xpath: '/a[' }, to: 'tax' }] })
  t.match(await command('route', 'deploy', syntax), { code: 1, stderr: /PREDICATE_SYNTAX|QUERY_SYNTAX/ })
  const pipelines = { p: { steps: [{ mapping: { file: 'mapping.yaml' } }] } }
  const rules = [{ name: 'a', topics: 'x', pipeline: 'p', to: 'tax' }]
  t.match(await command('route', 'deploy', ruleFile({ rules, pipelines })), {
    code: 1,
    stderr: /pipelines\.p.*mapping\.yaml/s,
  })
  const cases = [
    {
      name: 'c',
      input: { topic: 'x', body: '<a>7</a>', contentType: 'text/xml' },
      expect: { documents: [{ body: '<b>8</b>' }] },
    },
  ]
  const failing = ruleFile({ rules, pipelines, cases }, { 'mapping.yaml': 'root: { b: a }' })
  t.match(await command('route', 'deploy', failing), { code: 1, stderr: /RULE_CASE_FAILED.*"c": documents/s })
  t.match(await command('route', 'deploy', join(hub.dir, 'none.yaml')), { code: 1, stderr: /RULES_FILES_INVALID/ })
  t.equal((await view()).current, null)
})

t.test('the cases of a rule file are run first; one that fails changes nothing', async (t) => {
  const rules = [{ name: 'food', topics: 'permits/#', when: { xpath: '/food' }, to: 'tax' }]
  const sample = (file: string) => ({ topic: 'permits/1', file, contentType: 'text/xml' })
  const withCase = (input: object) =>
    ruleFile({ rules, cases: [{ name: 'work', input, expect: { rules: 'food' } }] }, { 'work.xml': '<work/>' })
  const failed = await command('route', 'deploy', withCase(sample('work.xml')))
  t.match(failed, { code: 1, stderr: /RULE_CASE_FAILED at .*cases\[0\].*"work": rules: expected food, got none/s })
  const elsewhere = await command('route', 'deploy', withCase(sample('../../hub.yaml')))
  t.match(elsewhere, { code: 1, stderr: /RULE_CASE_FAILED.*it does not lie beside the rules/s })
  t.equal((await view()).current, null)
})

t.test(
  'by topic, header and content: each message where the rules say, beside the queues that ask by topic',
  async (t) => {
    const { code, stdout, stderr } = await command(
      'route',
      'deploy',
      ruleFile(byContent),
      '--by',
      '张',
      '--note',
      'first',
    )
    t.equal(stderr, '')
    t.match({ code, stdout }, { code: 0, stdout: /Version 1 with 2 rules/ })
    await publish('permits/1', '<permit kind="food" n="1"/>', { ...xml, district: 'north' })
    await publish('permits/2', '<permit kind="food" n="2"/>')
    await publish('permits/3', '<permit kind="work" n="3"/>', { ...xml, district: 'north' })
    await publish('permits/4', '<permit kind="work" n="4"/>')
    await publish('permits/5', '<permit kind="food" ', xml)
    await publish('other/6', '<x/>')
    t.same(await taken('tax', 2), ['<permit kind="food" n="1"/>', '<permit kind="food" n="2"/>'])
    t.same(await taken('archive', 2), ['<permit kind="food" n="1"/>', '<permit kind="work" n="3"/>'])
    t.same(await taken('rest', 1), ['<x/>'])
    t.equal((await taken('bound', 5)).length, 5)
    await eventually('the broken one is dead', () => hub.queue('$dead').depth === 1)
    t.match(await peeked('$dead'), [
      { topic: 'permits/5', from: '$routing', reason: /^[A-Z_]+: rule food to tax.*line 1/ },
    ])
    t.equal(hub.queue('$routing').depth, 0)
    t.equal(hub.queue('rest').depth, 0, 'what a queue asks for by its topic is not unclaimed')
  },
)

t.test('a dry run says where a message would go, and why, in 80 columns', async (t) => {
  const body = join(hub.dir, 'sample.xml')
  writeFileSync(body, '<permit kind="food"/>')
  const sample = [
    '--topic',
    'permits/9',
    '--header',
    'district=south',
    '--body',
    body,
    '--content-type',
    'application/xml',
  ]
  const { code, stdout, stderr } = await command('route', 'dry-run', ...sample)
  t.equal(stderr, '')
  t.equal(code, 0)
  t.match(stdout, /food to tax fits/)
  t.match(stdout, /north to the archive does not fit: its headers/)
  for (const line of stdout.split('\n')) t.ok(columns(line) <= 80, line)
  t.equal(hub.queue('tax').depth, 0, 'nothing was sent')
})

const pipeline = {
  rules: [
    {
      name: 'permits as rows',
      topics: 'permits/#',
      pipeline: 'reshape',
      topic: 'made/{district}',
      to: ['tax', 'archive'],
    },
  ],
  pipelines: {
    reshape: {
      steps: [
        { filter: { where: 'n != 7' } },
        { map: { keep: ['n'], expressions: { half: '$number(n) / 2', name: '$boom(n)' } } },
      ],
    },
  },
}

t.test(
  'a pipeline makes new messages; the trace says of what, by which version and steps, deployed by whom',
  async (t) => {
    pipeline.pipelines.reshape.steps[1] = { map: { keep: ['n'], expressions: { half: '$number(n) / 2' } } } as never
    t.match(await command('route', 'deploy', ruleFile(pipeline), '--by', 'li'), { code: 0, stdout: /Version 2/ })
    const headers = { ...json, district: 'north', ':priority': 'urgent' }
    await publish('permits/1', '{"n":4,"secret":"x"}', headers)
    await publish('permits/2', '{"n":7}', headers)
    await publish('permits/3', '{"n":"no number"}', headers)
    await publish('permits/4', '{"n":6}', headers)
    t.same(await taken('tax', 2), ['{"n":4,"half":2}', '{"n":6,"half":3}'])
    await eventually('the one that fails is dead', () => hub.queue('$dead').depth === 2)
    const dead = (await peeked('$dead')).find(({ topic }) => topic === 'permits/3') as MessageView
    t.match(dead, { preview: '{"n":"no number"}', reason: /^EXPRESSION_FAILED: rule permits as rows, step 2 map/ })
    const [made] = (await peeked('archive')).filter(({ topic }) => topic === 'made/north') as [MessageView]
    t.match(made, { headers: { district: 'north' }, id: { origin: 'test-hub' } })
    const trace = await askHub<TraceView>(hub.dataDir, { command: 'trace', id: formatId(made.id) })
    t.match(trace.events[0], {
      what: 'made',
      reason: /^office\/out\//,
      detail: {
        version: 2,
        by: 'li',
        rules: [
          {
            rule: 'permits as rows',
            pipeline: 'reshape → made/{district}',
            steps: [
              { step: 1, type: 'filter' },
              { step: 2, type: 'map', digestIn: /^[0-9a-f]{64}$/ },
            ],
          },
        ],
      },
    })
    const { stdout } = await command('trace', formatId(made.id))
    t.match(stdout, /made by test-hub of office\/out/)
    t.match(stdout, /version 2 deployed by li/)
    t.match(stdout, /step 2 map: \d+ → \d+, [\d.]+ ms, [0-9a-f]{12} → [0-9a-f]{12}/)
    t.match((await command('trace', formatId({ ...dead.id }))).stdout, /dead-lettered in \$routing/)
  },
)

t.test('back to an earlier version, which becomes a new one; and all of it after a restart', async (t) => {
  t.match(await command('route', 'rollback', '9'), { code: 1, stderr: /RULES_VERSION_UNKNOWN/ })
  t.match(await command('route', 'rollback', '1', '--by', '张'), { code: 0, stdout: /Version 3 with 2 rules/ })
  const told = await command('route', 'history')
  t.equal(told.stderr, '')
  t.match(told.stdout, /Version 3 counts/)
  t.match(told.stdout, /3\*.*张.*back to 1/)
  for (const line of told.stdout.split('\n')) t.ok(columns(line) <= 80, line)
  await hub.restart()
  t.match((await view()).current, { version: 3, rules: 2, by: '张' })
  await taken('archive', hub.queue('archive').depth)
  await publish('permits/1', '<permit kind="food" n="r"/>')
  t.same(await taken('tax', 1), ['<permit kind="food" n="r"/>'])
})

t.test('what waits for a version that cannot be read is told of, and goes on by the rules in force', async (t) => {
  const content = (to: string) => ({
    rules: [{ name: 'all', topics: 'held/#', when: { xpath: '/permit' }, to }],
  })
  await command('route', 'deploy', ruleFile(content('small')))
  const old = (await view()).current?.version as number
  await publish('held/1', '<permit n="1"/>')
  await eventually('the queue is full', () => hub.queue('small').depth === 1)
  await publish('held/1', '<permit n="2"/>')
  await command('route', 'deploy', ruleFile(content('tax')))
  t.match(await command('route', 'forget', `${old}`), { code: 1, stderr: /RULES_VERSION_READABLE/ })
  t.match(await command('route', 'forget', `${old + 1}`), { code: 1, stderr: /RULES_VERSION_READABLE/ })
  await hub.stop()
  const from = hub.lines.length
  writeFileSync(join(hub.dataDir, 'routes', String(old).padStart(6, '0'), '.rules'), '?')
  await hub.start()
  const line = await hub.logged((each) => each.level === 'error' && hub.lines.indexOf(each) >= from)
  t.match(line, { message: /held up/, details: { version: old, fault: { code: 'RULES_UNREADABLE' } } })
  t.match((await view()).unreadable, [{ version: old, code: 'RULES_UNREADABLE', remedy: /route forget/ }])
  const told = await command('route', 'history')
  t.match(told.stdout, /HELD UP {2,}by version \d+: RULES_UNREADABLE/)
  for (const line of told.stdout.split('\n')) t.ok(columns(line) <= 80, line)
  t.match(await command('route', 'forget', '1000'), { code: 1, stderr: /RULES_VERSION_UNKNOWN/ })
  t.match(await command('route', 'forget', `${old}`), { code: 0, stdout: /forgotten/ })
  t.same(await taken('tax', 1), ['<permit n="2"/>'])
  t.same((await view()).unreadable, [])
  t.notOk((await view()).versions.some(({ version }) => version === old))
  t.same(await taken('small', 1), ['<permit n="1"/>'])
})

t.test('an expression that does not end is stopped; its message is dead, and its neighbours pass', async (t) => {
  const slow = "every $a in 1 to 100000, $b in 1 to 100000 satisfies ($a + $b > 0 or /permit/@slow = 'no')"
  const rules = {
    rules: [
      {
        name: 'slow',
        topics: 'permits/#',
        when: { xpath3: `if (/permit/@slow = 'yes') then ${slow} else true()` },
        to: 'tax',
      },
    ],
  }
  t.match(await command('route', 'deploy', ruleFile(rules)), { code: 0, stderr: '' })
  const before = hub.queue('$dead').depth
  await Promise.all(['no', 'yes', 'no'].map((slow, i) => publish(`permits/${i}`, `<permit slow="${slow}" i="${i}"/>`)))
  t.same(await taken('tax', 2), ['<permit slow="no" i="0"/>', '<permit slow="no" i="2"/>'])
  await eventually('the slow one is dead', () => hub.queue('$dead').depth === before + 1)
  t.match((await peeked('$dead')).at(-1), { topic: 'permits/1', reason: /^ISOLATED_TIMEOUT/ })
})

t.test('what a pipeline keeps goes on in the one that a deployment puts in its place', async (t) => {
  const merging = {
    rules: [{ name: 'groups', topics: 'groups', pipeline: 'groups', to: 'rest' }],
    pipelines: {
      groups: {
        steps: [
          { merge: { key: 'of', count: 4, as: { row: { into: 'parts' } } } },
          { enrich: { key: 'of', from: { file: { path: 'names.csv' } } } },
        ],
      },
    },
  }
  await taken('rest', hub.queue('rest').depth)
  const send = (numbers: readonly number[]) =>
    Promise.all(numbers.map((n) => publish('groups', JSON.stringify({ of: 'a', n }), json)))
  for (const [round, name] of ['first', 'second', 'third'].entries()) {
    const files = { 'names.csv': `of,name\na,${name}\n` }
    t.match(await command('route', 'deploy', ruleFile(merging, files)), { code: 0, stderr: '' })
    await send([3 * round, 3 * round + 1, 3 * round + 2])
    if (round === 1) await hub.restart()
  }
  await send([9, 10, 11])
  const groups = (await taken('rest', 3)).map((body) => JSON.parse(body) as { parts: { n: number }[] })
  t.same(
    groups.map(({ parts }) => parts.map(({ n }) => n)),
    [
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9, 10, 11],
    ],
  )
})

t.test('a rule is mended and its dead letters sent back: they go where the rules of now send them', async (t) => {
  const broken = { rules: [{ name: 'r', topics: 'mended', when: { xpath: '/a' }, to: 'tax' }] }
  t.match(await command('route', 'deploy', ruleFile(broken)), { code: 0, stderr: '' })
  await taken('tax', hub.queue('tax').depth)
  const before = hub.queue('$dead').depth
  await publish('mended', '<no XML')
  await eventually('it is dead', () => hub.queue('$dead').depth === before + 1)
  t.match(await command('route', 'deploy', ruleFile({ rules: [{ name: 'r', topics: 'mended', to: 'tax' }] })), {
    code: 0,
  })
  t.match(await command('redrive', '$dead', '--topic', 'mended'), { code: 0, stdout: /1 message moved/ })
  t.same(await taken('tax', 1), ['<no XML'])
})
