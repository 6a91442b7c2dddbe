// Documents larger than a message in flows: out of a folder through channels to the hub, from the hub through channels into a folder,
// also when an agent is killed on the way.

import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Agents } from './agents.ts'
import { drop, pathsIn, retry } from './file-flows.ts'
import { eventually, localHub, nextOf } from './support.ts'

const MIB = 2 ** 20
const hub = await localHub(t, { queues: [{ name: 'files', topics: ['files/#'] }] })
const agents = new Agents(t, hub)

const ROWS = 60_000
const csv = (area: string): Buffer =>
  Buffer.from(`area,code,name\n${Array.from({ length: ROWS }, (_, i) => `${area},${i},企业 ${i}`).join('\n')}\n`)
/** Some 5 MB of XML. */
const toXml = { convert: { from: { csv: { header: true } }, to: { xml: { path: '/orgs/org' } } } }

async function flowOf(
  agent: string,
  flow: { readonly flow: string; readonly [setting: string]: unknown },
): Promise<string> {
  if (!existsSync(hub.identityFolder(agent))) await hub.enroll(agent)
  mkdirSync(agents.dataOf(agent), { recursive: true })
  agents.writeFlow(agent, Object.assign({ retry }, flow))
  return agents.dataOf(agent)
}

async function sender(agent: string, channels: readonly object[]): Promise<string> {
  const path = join(hub.dir, agent, 'drop')
  const source = { directory: { path, format: 'file', stableMs: 50, pollMs: 50 } }
  await flowOf(agent, { flow: 'out', source, channels, destination: { hub: { topic: `files/${agent}` } } })
  mkdirSync(path, { recursive: true })
  return path
}

async function receiver(agent: string, more: object): Promise<string> {
  const path = join(hub.dir, agent, 'in')
  const source = { hub: { format: 'file', queue: 'files' } }
  await flowOf(agent, { flow: 'in', source, destination: { directory: { path, format: 'file' } }, ...more })
  return path
}

const documentsOf = (agent: string, flow: string): string => join(agents.dataOf(agent), 'state', flow, 'documents')

t.test('what channels make of a large file is brought to the hub, once, also by an agent that is killed', async (t) => {
  const path = await sender('desk', [toXml])
  drop(path, new Map([['orgs.csv', csv('north')]]))
  const killed = agents.start('desk')
  await eventually('it is made', () => existsSync(documentsOf('desk', 'out')))
  await killed.end('SIGKILL')
  const desk = agents.start('desk')
  await eventually('it is done', () => pathsIn(join(path, 'done')).length === 1)
  const reader = await hub.client('reader')
  const subscription = await reader.subscribe({ queue: 'files' })
  const delivery = await nextOf(subscription)
  t.equal(delivery.count, 1)
  const { envelope, body } = delivery.message(0)
  const id = String(envelope.headers[':content'])
  t.match(JSON.parse(String(body)), { name: /^orgs/, size: Number })
  const to = join(hub.dir, 'orgs.xml')
  await reader.download({ id, to, as: 'file' }).done
  const text = readFileSync(to, 'utf8')
  t.ok(text.length > 2 * MIB)
  t.equal(text.match(/<org>/g)?.length, ROWS)
  delivery.settle()
  subscription.close()
  await eventually('nothing is kept', () => !existsSync(documentsOf('desk', 'out')))
  await eventually('and nothing comes twice', () => hub.queue('files').depth === 0)
  await desk.end()
})

t.test('large content of the hub goes through channels; what looks at the row alone fetches nothing', async (t) => {
  const path = await sender('plain', [])
  const channels = [
    { filter: { where: "name != 'skip.csv'" } },
    { convert: { from: { csv: { header: true } }, to: { json: {} } } },
    { compress: { format: 'gzip' } },
  ]
  const into = await receiver('office', { channels, documentBytesMax: '3MiB' })
  const plain = agents.start('plain')
  drop(
    path,
    new Map([
      ['a.csv', csv('a')],
      ['skip.csv', Buffer.alloc(4 * MIB, 's')],
      ['large.csv', Buffer.alloc(4 * MIB, 'l')],
      ['small.csv', Buffer.from('area,code\nx,1\n')],
    ]),
  )
  await eventually('all are sent', () => pathsIn(join(path, 'done')).length === 4)
  const office = agents.start('office')
  await eventually('they are there', () => pathsIn(into).length === 2)
  t.same(
    pathsIn(into)
      .map((name) => name.split('.')[0])
      .sort(),
    ['a', 'small'],
  )
  await eventually('the large one is refused', () => agents.statusOf('office')?.flows.in?.rejected === 1)
  const rejected = readFileSync(join(agents.dataOf('office'), 'state', 'in', 'rejected.jsonl'), 'utf8')
  t.match(rejected, /DOCUMENT_TOO_LARGE.*large\.csv/s)
  await eventually('nothing is kept', () => !existsSync(documentsOf('office', 'in')))
  await Promise.all([plain.end(), office.end()])
})
