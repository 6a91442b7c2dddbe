// What is addressed to an agent, to a group of agents, or to all of them.

import t from 'tap'
import type { Client } from '#agent/client/mod.ts'
import { run } from './cli.ts'
import { bodiesOf, eventually, inTime, localHub, numbered } from './support.ts'

const hub = await localHub(t)
const nothing = { publish: [], consume: [] }
const sender = await hub.client('sender')

let streams = 0
const send = (topic: string, body: string, client: Client = sender) =>
  client.publisher({ stream: `stream-${++streams}` }).publish({ topic, body: Buffer.from(body) })

/** The hub gives every agent an inbox within about a second after its enrolment, whoever enrolled it. */
const known = (agent: string) =>
  eventually(`${agent} has an inbox`, () =>
    hub.status().queues.some(({ name, topics }) => name === `inbox/${agent}` && topics.length > 0),
  )

async function agentOf(name: string): Promise<Client> {
  const client = await hub.client(name, nothing)
  await known(name)
  return client
}

/** Other processes may change the groups of an agent: the hub follows within a second or so. */
const joined = (agent: string, group: string) =>
  eventually(`${agent} is in ${group}`, () =>
    hub.queue(`inbox/${agent}`).topics.some((topic) => topic.startsWith(`group/${group}/`)),
  )

t.test('what is addressed to an agent reaches it and nobody else, without any right', async (t) => {
  const [anna, bert] = [await agentOf('anna'), await agentOf('bert')]
  const [toAnna, toBert] = [await anna.inbox(), await bert.inbox()]
  await send('to/anna/tax', 'for anna')
  await send('to/bert', 'for bert')
  t.same(await bodiesOf(toAnna, 1), ['for anna'])
  t.same(await bodiesOf(toBert, 1), ['for bert'])
  t.equal(toAnna.hasNext, false)
  t.equal(toAnna.queueName, 'inbox/anna')
})

t.test('it waits while the agent is away, from the moment it is enrolled', async (t) => {
  await hub.enroll('traveller', nothing)
  await known('traveller')
  for (const body of numbered(3)) await send('to/traveller/mail', body)
  const traveller = await hub.client('traveller')
  t.same(await bodiesOf(await traveller.inbox(), 3), numbered(3))
})

t.test('a broadcast reaches every agent once', async (t) => {
  const names = ['one', 'two', 'three']
  const inboxes = []
  for (const name of names) inboxes.push(await (await agentOf(name)).inbox())
  await send('all/notice', 'closed on Friday')
  for (const inbox of inboxes) t.same(await bodiesOf(inbox, 1), ['closed on Friday'])
})

t.test('a group gets what is addressed to it; who leaves gets no more', async (t) => {
  const [north, south] = [await agentOf('north-1'), await agentOf('south-1')]
  hub.authority.agents.join('north-1', 'north')
  hub.authority.agents.join('south-1', 'south')
  await Promise.all([joined('north-1', 'north'), joined('south-1', 'south')])
  const [toNorth, toSouth] = [await north.inbox(), await south.inbox()]
  await send('group/north/plan', 'north only')
  await send('group/south', 'south only')
  t.same(await bodiesOf(toNorth, 1), ['north only'])
  t.same(await bodiesOf(toSouth, 1), ['south only'])
  hub.authority.agents.leave('north-1', 'north')
  await eventually('left', () => !hub.queue('inbox/north-1').topics.some((topic) => topic.startsWith('group/')))
  await send('group/north/plan', 'too late')
  await send('to/north-1', 'still reachable')
  t.same(await bodiesOf(toNorth, 1), ['still reachable'])
})

t.test('an inbox is for its agent alone, and writing into one needs the right', async (t) => {
  const spy = await hub.client('inbox-spy')
  await t.rejects(spy.subscribe({ queue: 'inbox/anna' }), { code: 'REQUEST_REFUSED' })
  const mute = await hub.client('mute', nothing)
  await t.rejects(send('to/anna', 'x', mute), { code: 'PUBLISH_REFUSED', details: { hubCode: 'RIGHT_MISSING' } })
})

t.test('by hand: receive --inbox', async (t) => {
  await hub.enroll('by-hand', nothing)
  await known('by-hand')
  await send('to/by-hand', 'hello')
  const receive = ['receive', '--data', `${hub.dir}/by-hand`, '--inbox', '--count', '1', '--timeout', '60s']
  const { code, stdout, stderr } = await inTime(run('agent', receive), 'the command')
  t.equal(code, 0, stderr)
  t.match(JSON.parse(stdout), { topic: 'to/by-hand', from: 'sender', body: 'hello', seq: 1 })
  t.match(await run('agent', [...receive, '--queue', 'x']), { code: 2, stderr: /--queue or --topic or --inbox/ })
})
