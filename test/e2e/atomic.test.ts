// Several messages, to several topics, all or none: also when a right is missing, a queue is full or the hub restarts.

import t from 'tap'
import type { Publisher } from '#agent/client/mod.ts'
import { bodiesOf, eventually, inTime, localHub, numbered } from './support.ts'

const hub = await localHub(t, {
  config: {
    queues: [
      { name: 'debit', topics: ['debit'] },
      { name: 'credit', topics: ['credit'] },
      { name: 'narrow', topics: ['narrow'], limits: { messages: 2 }, onFull: 'block' },
      { name: 'other', topics: ['other'] },
    ],
  },
})

const message = (topic: string, body: string) => ({ topic, body: Buffer.from(body) })
const depths = (...names: string[]) => names.map((name) => hub.queue(name).depth)

t.test('a group goes to all its queues, and the publisher knows the numbers', async (t) => {
  const client = await hub.client('bank')
  const publisher = client.publisher({ stream: 'transfers' })
  const { epoch } = publisher
  t.same(await publisher.publishAll([message('debit', '-7'), message('credit', '+7')]), {
    epoch,
    firstSeq: 1,
    lastSeq: 2,
  })
  t.same(depths('debit', 'credit'), [1, 1])
  t.equal(publisher.nextSeq, 3)
  for (const queue of ['debit', 'credit']) {
    const subscription = await client.subscribe({ queue })
    await bodiesOf(subscription, 1)
    subscription.close()
  }
  await eventually('settled', () => depths('debit', 'credit').join() === '0,0')
})

t.test('without the right to one topic nothing of the group is stored; others are not touched', async (t) => {
  const client = await hub.client('limited', { publish: ['debit', 'other'], consume: [] })
  const publisher = client.publisher({ stream: 'limited' })
  const before = publisher.publish(message('other', 'before'))
  const group = publisher.publishAll([message('debit', '-7'), message('credit', '+7')])
  await before
  await t.rejects(group, { code: 'PUBLISH_REFUSED', details: { hubCode: 'RIGHT_MISSING' } })
  await publisher.publishAll([message('other', 'after'), message('other', 'after too')])
  t.same(depths('debit', 'credit', 'other'), [0, 0, 3])
})

t.test('while one queue is full nothing of the group is stored; all of it as soon as there is room', async (t) => {
  const client = await hub.client('crowd')
  const publisher = client.publisher({ stream: 'crowd' })
  await publisher.publishAll([message('narrow', '1'), message('narrow', '2')])
  const group = publisher.publishAll([message('debit', '-7'), message('narrow', '3'), message('narrow', '4')])
  await eventually('refused for the moment', () => publisher.refused !== null)
  t.match(publisher.refused, { details: { hubCode: 'QUEUE_FULL' } })
  t.same(depths('debit', 'narrow'), [0, 2])
  const free = client.publisher({ stream: 'free' })
  await inTime(free.publish(message('other', 'x')), 'another stream of the same connection')
  const subscription = await client.subscribe({ queue: 'narrow' })
  t.same(await bodiesOf(subscription, 4), numbered(4, 1))
  await inTime(group, 'the group')
  t.same(depths('debit'), [1])
  t.equal(publisher.refused, null)
})

t.test('a group that waits while the hub restarts is stored once', async (t) => {
  const client = await hub.client('steady')
  const publisher: Publisher = client.publisher({ stream: 'steady' })
  const before = depths('debit', 'credit')
  await hub.stop()
  const group = publisher.publishAll([message('debit', 'a'), message('credit', 'b'), message('credit', 'c')])
  await hub.start()
  await inTime(group, 'the group')
  t.same(depths('debit', 'credit'), [(before[0] ?? 0) + 1, (before[1] ?? 0) + 2])
})

t.test('what can never go together is refused at once, and adds nothing', async (t) => {
  const client = await hub.client('greedy')
  const publisher = client.publisher({ stream: 'greedy' })
  const large = { topic: 'other', body: Buffer.alloc(2 ** 20) }
  const before = depths('other')
  t.throws(() => publisher.publishAll([message('other', 'x'), large, large]), { code: 'GROUP_TOO_LARGE' })
  t.throws(() => publisher.publishAll([message('other', 'x'), message('no//topic', 'y')]), { code: 'TOPIC_INVALID' })
  t.equal(publisher.nextSeq, 1)
  await publisher.flush()
  t.same(depths('other'), before)
})
