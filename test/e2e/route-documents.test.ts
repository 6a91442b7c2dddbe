// Documents larger than a message at the hub: conditions look at them, pipelines map them, and what pipelines make of them is fetched
// like any large content.

import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Delivery } from '#agent/client/mod.ts'
import { askHub, formatId, type MessageView, type TraceView } from '#hub/management/mod.ts'
import type { RoutesView } from '#hub/router/mod.ts'
import type { Headers } from '#protocol/codec/mod.ts'
import { ask } from './cli.ts'
import { eventually, localHub, nextOf } from './support.ts'

const MIB = 2 ** 20
const hub = await localHub(t, {
  config: {
    queues: ['made', 'small', 'passed', 'north'].map((name) => ({ name })),
    routing: { stallMs: '10s', documentsBytesMax: '1MiB' },
  },
})
const office = await hub.client('office')
const centre = await hub.client('centre', { publish: [], consume: ['made', 'small', 'passed', 'north'] })
const publisher = office.publisher({ stream: 'out' })

let folders = 0
async function deploy(rules: object, files: Record<string, string> = {}): Promise<void> {
  const folder = join(hub.dir, `rules-${++folders}`)
  mkdirSync(folder)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  writeFileSync(join(folder, 'rules.yaml'), JSON.stringify(rules))
  const { code, stderr } = await ask('hub', ['route', 'deploy', join(folder, 'rules.yaml'), '--data', hub.dataDir])
  t.equal(stderr, '')
  t.equal(code, 0)
}

/** 80 bytes each. */
function register(area: string, orgs = 16_000): string {
  const parts = [`<register area="${area}">`]
  for (let i = 0; i < orgs; i++)
    parts.push(`<org code="${i}"><name>${area} 企业 ${i}</name><capital>${i % 1000}</capital></org>`)
  return `${parts.join('\n')}</register>`
}

async function upload(name: string, text: string | Buffer, mediaType = 'application/xml'): Promise<string> {
  const path = join(hub.dir, name)
  writeFileSync(path, text)
  const sent = office.upload({ path, mediaType })
  await sent.sealed
  return sent.id
}

const refer = (topic: string, id: string, headers: Headers = {}) =>
  publisher.publish({ topic, headers, body: Buffer.from('{"note":"as it came"}'), contents: [id] })

type Came = { readonly headers: Headers; readonly topic: string; readonly body: string; readonly text: string | null }

let gotten = 0
/** The next message of a queue, with the content it refers to. */
async function taken(queue: string): Promise<Came> {
  const subscription = await centre.subscribe({ queue })
  const delivery: Delivery = await nextOf(subscription)
  const { envelope, body } = delivery.message(0)
  const id = envelope.headers[':content']
  let text: string | null = null
  if (typeof id === 'string') {
    const to = join(hub.dir, `got-${++gotten}`)
    await centre.download({ id, to, as: 'file' }).done
    text = readFileSync(to, 'utf8')
  }
  delivery.settle()
  subscription.close()
  return { ...envelope, body: String(body), text }
}

const peeked = async (queue: string): Promise<readonly MessageView[]> =>
  (await askHub<{ messages: MessageView[] }>(hub.dataDir, { command: 'peek', queue, limit: 100, filter: {} })).messages

const MAPPING = `root:
  directory:
    '@area': register/@area
    org:
      $forEach: register/org
      '@no': position()
      name: name
      capital: capital
`
const RULES = {
  documentBytesMax: '8MiB',
  rules: [
    { name: 'mapped', topics: 'registers/#', pipeline: 'map', topic: 'directories', to: 'made' },
    { name: 'summed', topics: 'registers/#', pipeline: 'sum', topic: 'sums', to: 'small' },
    { name: 'north', topics: 'registers/#', when: { xpath: "/register/@area = 'north'" }, to: 'north' },
    { name: 'passed', topics: 'registers/#', pipeline: 'header', topic: 'passed', to: 'passed' },
  ],
  pipelines: {
    map: { steps: [{ mapping: { file: 'directory.yaml' } }] },
    sum: { steps: [{ mapping: { file: 'sum.yaml' } }] },
    header: { steps: [{ filter: { where: 'size > 1000' } }] },
  },
}
const FILES = {
  'directory.yaml': MAPPING,
  'sum.yaml': "root: { sum: { '@area': register/@area, orgs: count(register/org) } }",
}

t.test('a document of 5 MB is mapped, looked at and passed on', async (t) => {
  await deploy(RULES, FILES)
  const text = register('north', 60_000)
  t.ok(text.length > 4 * MIB)
  const id = await upload('register.xml', text)
  await refer('registers/1', id, { district: 'n', ':file': 'in/register.xml' })
  const made = await taken('made')
  t.match(made, {
    topic: 'directories',
    headers: { district: 'n', ':file': 'in/register.xml', ':content': /^[0-9a-f]{32}$/ },
  })
  t.not(made.headers[':content'], id)
  t.match(JSON.parse(made.body), {
    name: 'register.xml',
    size: Buffer.byteLength(made.text ?? ''),
    mediaType: 'application/xml',
  })
  t.match(made.text, /^<\?xml.*<directory area="north">\s*<org no="1">\s*<name>north 企业 0<\/name>/s)
  t.equal(made.text?.match(/<org /g)?.length, 60_000)
  t.match(await taken('small'), {
    topic: 'sums',
    text: null,
    headers: { ':content': undefined, ':content-type': /xml/ },
    body: /<orgs>60000<\/orgs>/,
  })
  t.match(await taken('north'), { topic: 'registers/1', body: '{"note":"as it came"}', headers: { ':content': id } })
  const passed = await taken('passed')
  t.match(passed, { topic: 'passed', body: '{"note":"as it came"}', headers: { ':content': id } })
  t.equal(passed.text, text)
  t.equal(hub.queue('$dead').depth, 0)
  await refer('registers/2', await upload('south.xml', register('south')))
  await Promise.all([taken('made'), taken('small'), taken('passed')])
  t.equal(hub.queue('north').depth, 0)
})

t.test('what a trace says of it', async (t) => {
  const id = await upload('traced.xml', register('west'))
  await refer('registers/3', id)
  await eventually('it is made', () => hub.queue('made').depth === 1)
  const [made] = (await peeked('made')) as [MessageView]
  const out = made.headers[':content']
  const trace = await askHub<TraceView>(hub.dataDir, { command: 'trace', id: formatId(made.id) })
  t.match(trace.events[0], {
    what: 'made',
    detail: { rules: [{ rule: 'mapped', contents: { in: [id], out: [out] } }] },
  })
  const { stdout } = await ask('hub', ['trace', formatId(made.id), '--data', hub.dataDir])
  t.match(stdout, `content ${id} in`)
  t.match(stdout, `content ${String(out)} out`)
  await Promise.all([taken('made'), taken('small'), taken('passed')])
})

t.test('the same made again is the same content', async (t) => {
  const before = hub.status().contents.contents
  const id = await upload('again.xml', register('east'))
  const ids: unknown[] = []
  for (let i = 0; i < 2; i++) {
    await refer('registers/4', id)
    ids.push((await taken('made')).headers[':content'])
    await Promise.all([taken('small'), taken('passed')])
  }
  t.equal(ids[0], ids[1])
  t.equal(hub.status().contents.contents, before + 2)
})

t.test('above the bound it is dead for whoever asks for it, and passes those that do not', async (t) => {
  const id = await upload('huge.xml', Buffer.concat([Buffer.from('<register area="x">'), randomBytes(9 * MIB)]))
  await refer('registers/5', id)
  await eventually('dead', () => hub.queue('$dead').depth === 1)
  const [dead] = (await peeked('$dead')) as [MessageView]
  t.match(dead.headers, { ':content': id })
  t.match(dead.reason, /DOCUMENT_TOO_LARGE: rule mapped.*9437203 bytes.*documentBytesMax/)
  t.match(dead.reason, /DOCUMENT_TOO_LARGE: rule north/)
  t.match((await taken('passed')).headers, { ':content': id })
  t.equal(hub.queue('made').depth, 0)
})

t.test('a document that is not one is dead, and its neighbours pass', async (t) => {
  const before = hub.queue('$dead').depth
  await refer('registers/6', await upload('broken.xml', `${register('north').slice(0, MIB)}<`))
  await refer('registers/7', await upload('next.xml', register('south')))
  t.match((await taken('made')).text, /area="south"/)
  await eventually('dead', () => hub.queue('$dead').depth === before + 1)
  t.match((await peeked('$dead')).at(-1)?.reason, /XML_\w+: rule mapped, step 1 mapping.*line \d+/)
  await Promise.all([taken('small'), taken('passed'), taken('passed')])
})

t.test('content that is still being sent is waited for, and others pass meanwhile', async (t) => {
  const path = join(hub.dir, 'slow.xml')
  // Random, or it would travel encoded.
  writeFileSync(path, `${register('slow')}<!-- ${randomBytes(2 * MIB).toString('base64')} -->`)
  let rate = 100_000
  const sending = office.upload({ path, mediaType: 'application/xml', bytesPerSecondMax: () => rate })
  await sending.opened
  await refer('registers/8', sending.id)
  const others = office.publisher({ stream: 'others' })
  const done = await upload('quick.xml', register('quick'))
  await others.publish({ topic: 'registers/9', body: Buffer.from('{}'), contents: [done] })
  t.match((await taken('made')).text, /area="quick"/)
  t.not(sending.progress.state, 'sealed')
  rate = 0
  await sending.sealed
  t.match((await taken('made')).text, /area="slow"/)
  await Promise.all([taken('small'), taken('small'), taken('passed'), taken('passed')])
})

t.test('content of which nothing comes any more is not waited for; its message can be sent back', async (t) => {
  const before = hub.queue('$dead').depth
  const path = join(hub.dir, 'left.xml')
  writeFileSync(path, register('left'))
  const id = randomBytes(16).toString('hex')
  const leaving = office.upload({ path, id, mediaType: 'application/xml', bytesPerSecondMax: 100_000 })
  await leaving.opened
  await leaving.leave()
  await refer('registers/10', id)
  await eventually('dead', () => hub.queue('$dead').depth === before + 1)
  t.match(
    (await peeked('$dead')).at(-1)?.reason,
    /DOCUMENT_LATE: rule north.*routing\.stallMs.*DOCUMENT_LATE: rule mapped/,
  )
  t.equal(hub.queue('passed').depth, 1, 'who looks at headers alone gets it all the same')
  await office.upload({ path, id, mediaType: 'application/xml' }).sealed
  t.match(await ask('hub', ['redrive', '$dead', '--topic', 'registers/10', '--data', hub.dataDir]), { code: 0 })
  t.match((await taken('made')).text, /area="left"/)
  await taken('small')
  await eventually('all of it is routed', () => hub.queue('$routing').depth === 0)
  t.match(await ask('hub', ['purge', 'passed', '--all', '--yes', '--data', hub.dataDir]), { code: 0 })
})

t.test('a dry run looks at the content that a message would refer to', async (t) => {
  const dryRun = async (id: string) =>
    ask('hub', ['route', 'dry-run', '--topic', 'registers/1', '--header', `:content=${id}`, '--data', hub.dataDir])
  t.match(await dryRun(await upload('dry-north.xml', register('north'))), { code: 0, stdout: /north fits/ })
  t.match(await dryRun(await upload('dry-south.xml', register('south'))), { code: 0, stdout: /north does not fit/ })
  t.match(await dryRun('0'.repeat(32)), { code: 1, stderr: /CONTENT_ABSENT/ })
})

t.test('a pipeline that keeps large documents gives one, and refuses what stays alone, large as it is', async (t) => {
  const merge = (more: object) => ({
    steps: [{ merge: { key: 'topic', count: 2, as: { xml: { element: 'all' } }, ...more } }],
  })
  await deploy({
    rules: [
      { name: 'pairs', topics: 'pairs/#', pipeline: 'pairs', to: 'made' },
      { name: 'alone', topics: 'alone', pipeline: 'late', topic: 'late', to: 'made' },
    ],
    pipelines: { pairs: merge({}), late: merge({ afterMs: '200ms', incomplete: 'reject' }) },
  })
  const [a, b] = [await upload('pair-a.xml', register('a')), await upload('pair-b.xml', register('b'))]
  await refer('pairs/1', a)
  await eventually('it is taken', () => hub.queue('$routing').depth === 0)
  await refer('pairs/1', b)
  t.match(
    (await taken('made')).text,
    /^[^<]*(?:<\?[^<]*)?<all>\s*<register area="a">.*<register area="b">.*<\/all>\s*$/s,
  )
  const before = hub.queue('$dead').depth
  await refer('alone', a)
  await eventually('it is refused', () => hub.queue('$dead').depth === before + 1)
  const dead = (await peeked('$dead')).at(-1) as MessageView
  t.match(dead, { topic: 'late', reason: /MERGE_INCOMPLETE: rule alone/, headers: { ':content': /^[0-9a-f]{32}$/ } })
})

t.test('memory of documents is given back', async (t) => {
  const view = await askHub<RoutesView>(hub.dataDir, { command: 'routes' })
  t.equal(view.documentBytes, 0)
})
