// What applications rely on when they consume: who gets which message, how often, in which order, with which proof.

import t from 'tap'
import type { Client, Publisher } from '#agent/client/mod.ts'
import { bodiesOf, eventually, localHub, nextOf, numbered } from './support.ts'

const hub = await localHub(t, {
  queues: [
    { name: 'orders', topics: ['orders/#'] },
    { name: 'work', topics: ['work'] },
    { name: 'urgent', topics: ['mail'], where: { priority: ['high', 'highest'], domestic: ['true'] } },
    { name: 'unproven', topics: ['part'], where: { wanted: ['yes'] } },
    { name: 'given-back', topics: ['given-back'] },
    { name: 'ordered', topics: ['ordered'] },
  ],
})
const producer = await hub.client('producer')

let streams = 0
const publisherOf = (client: Client, proof: 'batch' | 'message' = 'message'): Publisher =>
  client.publisher({ stream: `stream-${++streams}`, proof })

async function publishAll(topic: string, bodies: readonly string[], publisher = publisherOf(producer)): Promise<void> {
  await Promise.all(bodies.map((body) => publisher.publish({ topic, body: Buffer.from(body) })))
}

t.test('what publish promised is in the queue, with its key, headers and origin', async (t) => {
  const before = hub.queue('orders').depth
  const publisher = publisherOf(producer)
  const headers = { region: '华东', count: 3, paid: true, note: null }
  await publisher.publish({ topic: 'orders/new', key: Buffer.from('k1'), headers, body: Buffer.from('tea') })
  t.equal(hub.queue('orders').depth, before + 1, 'stored when the promise resolved')
  const consumer = await hub.client('orders-reader')
  const subscription = await consumer.subscribe({ queue: 'orders' })
  const delivery = await nextOf(subscription)
  const { envelope, key, body } = delivery.message(0)
  t.same(envelope, { topic: 'orders/new', headers })
  t.equal(key.toString(), 'k1')
  t.equal(body.toString(), 'tea')
  t.match(delivery, { origin: 'producer', queue: 'orders', count: 1, attempt: 1 })
  delivery.settle()
  await eventually('settled', () => hub.queue('orders').depth === 0)
  await consumer.close()
})

t.test('messages published in one turn share one promise and one batch', async (t) => {
  const publisher = publisherOf(producer)
  const first = publisher.publish({ topic: 'orders/a', body: Buffer.from('1') })
  const second = publisher.publish({ topic: 'orders/b', body: Buffer.from('2') })
  t.equal(first, second)
  await first
  const later = publisher.publish({ topic: 'orders/c', body: Buffer.from('3') })
  t.not(later, first)
  await later
  const reader = await hub.client('batch-reader')
  const subscription = await reader.subscribe({ queue: 'orders' })
  const delivery = await nextOf(subscription)
  t.same(
    [...delivery].map(({ envelope }) => envelope.topic),
    ['orders/a', 'orders/b'],
  )
  delivery.settle()
  await bodiesOf(subscription, 1)
  subscription.close()
})

t.test('consumers of one queue share its messages: each goes to exactly one', async (t) => {
  const workers = await Promise.all(['worker-1', 'worker-2', 'worker-3'].map((name) => hub.client(name)))
  const got: string[][] = [[], [], []]
  const all = Promise.withResolvers<void>()
  for (const [i, worker] of workers.entries()) {
    const subscription = await worker.subscribe({ queue: 'work', creditMessages: 10 })
    void (async () => {
      for await (const delivery of subscription) {
        for (const { body } of delivery) got[i]?.push(body.toString())
        delivery.settle()
        if (got.flat().length >= 300) all.resolve()
      }
    })()
  }
  await publishAll('work', numbered(300))
  await all.promise
  t.same(
    got.flat().sort((a, b) => Number(a) - Number(b)),
    numbered(300),
  )
  t.ok(
    got.every((part) => part.length > 0),
    `everyone works: ${got.map((part) => part.length)}`,
  )
})

t.test('a durable subscription collects while its agent is away', async (t) => {
  const agent = await hub.client('away')
  const mine = { name: 'news', topics: ['news/+/today'] }
  const subscription = await agent.subscribe(mine)
  t.equal(subscription.queueName, 'away:news')
  await agent.close()
  await publishAll('news/sport/today', numbered(3))
  await publishAll('news/sport/yesterday', ['old'])
  const again = await hub.client('away')
  t.same(await bodiesOf(await again.subscribe(mine), 3), numbered(3))
})

t.test('each subscription of a topic gets its own copy, each on its own pace', async (t) => {
  const names = ['copy-1', 'copy-2', 'copy-3']
  const clients = await Promise.all(names.map((name) => hub.client(name)))
  const open = await Promise.all(clients.map((client) => client.subscribe({ name: 'all', topics: ['fan/#'] })))
  await publishAll('fan/out', numbered(20))
  for (const subscription of open) t.same(await bodiesOf(subscription, 20), numbered(20))
})

t.test('patterns: + is one level, # at the end any number of them, also none', async (t) => {
  const agent = await hub.client('patterns')
  const one = await agent.subscribe({ name: 'one', topics: ['p/+/c'] })
  const any = await agent.subscribe({ name: 'any', topics: ['p/#'] })
  const two = await agent.subscribe({ name: 'two', topics: ['p/a/c', 'q'] })
  const publisher = publisherOf(producer)
  const topics = ['p', 'p/a', 'p/a/c', 'p/b/c', 'p/b/c/d', 'q']
  await Promise.all(topics.map((topic) => publisher.publish({ topic, body: Buffer.from(topic) })))
  t.same(await bodiesOf(any, 5), ['p', 'p/a', 'p/a/c', 'p/b/c', 'p/b/c/d'])
  t.same(await bodiesOf(one, 2), ['p/a/c', 'p/b/c'])
  t.same(await bodiesOf(two, 2), ['p/a/c', 'q'])
})

t.test('header rules: only what fits every one of them comes, with a proof of its origin', async (t) => {
  const publisher = publisherOf(producer)
  const letters = [
    { priority: 'high', domestic: true },
    { priority: 'low', domestic: true },
    { priority: 'highest', domestic: true },
    { priority: 'high', domestic: false },
    { priority: 'high' },
  ]
  await Promise.all(
    letters.map((headers, i) => publisher.publish({ topic: 'mail', headers, body: Buffer.from(`letter ${i}`) })),
  )
  const reader = await hub.client('mail-reader')
  const delivery = await nextOf(await reader.subscribe({ queue: 'urgent' }))
  t.same(
    [...delivery].map(({ body }) => body.toString()),
    ['letter 0', 'letter 2'],
  )
  t.equal(delivery.origin, 'producer', 'the agent vouches for the part, not the hub')
  delivery.settle()
})

t.test("a subscription's own header rule", async (t) => {
  const agent = await hub.client('ruled')
  const subscription = await agent.subscribe({
    name: 'mine',
    topics: ['rows'],
    where: { area: ['4452', '4453'], kind: 'x' },
  })
  const publisher = publisherOf(producer)
  for (const [area, kind] of [
    ['4452', 'x'],
    ['4452', 'y'],
    ['1101', 'x'],
    ['4453', 'x'],
  ] as const) {
    publisher.publish({ topic: 'rows', headers: { area, kind }, body: Buffer.from(area + kind) })
  }
  await publisher.flush()
  t.same(await bodiesOf(subscription, 2), ['4452x', '4453x'])
})

t.test('of a batch sealed as a whole the hub itself seals the part it delivers', async (t) => {
  const publisher = publisherOf(producer, 'batch')
  for (const wanted of ['yes', 'no', 'yes']) {
    publisher.publish({ topic: 'part', headers: { wanted }, key: Buffer.from('k'), body: Buffer.from(wanted) })
  }
  await publisher.flush()
  const reader = await hub.client('part-reader')
  const delivery = await nextOf(await reader.subscribe({ queue: 'unproven' }))
  t.equal(delivery.origin, 'test-hub', 'the hub vouches')
  t.equal(delivery.stream, `stream-${streams}`)
  t.same(
    [...delivery].map(({ body, key, envelope }) => [body.toString(), key.toString(), envelope.headers.wanted]),
    [
      ['yes', 'k', 'yes'],
      ['yes', 'k', 'yes'],
    ],
  )
  delivery.settle()
})

t.test('a message to be tried again comes again, counted', async (t) => {
  const agent = await hub.client('retrier')
  const subscription = await agent.subscribe({ name: 'retry', topics: ['retry'] })
  await publishAll('retry', numbered(3))
  const first = await nextOf(subscription)
  t.equal(first.attempt, 1)
  first.settle(0, 1)
  first.retry({ from: 1, count: 1 })
  first.settle(2, 1)
  const second = await nextOf(subscription)
  t.match(second, { attempt: 2, count: 1, position: first.position + 1 })
  t.equal(second.message(0).body.toString(), '1')
  second.retry()
  const third = await nextOf(subscription)
  t.equal(third.attempt, 3)
  third.settle()
  await eventually('nothing left', () => hub.queue('retrier:retry').depth === 0)
})

t.test('settling a message twice is an error of the program', async (t) => {
  const agent = await hub.client('twice')
  const subscription = await agent.subscribe({ name: 'twice', topics: ['twice'] })
  await publishAll('twice', numbered(2))
  const delivery = await nextOf(subscription)
  delivery.settle(0, 1)
  t.throws(() => delivery.settle(), { code: 'SETTLED_TWICE' })
  delivery.settleOpen()
  await eventually('settled', () => hub.queue('twice:twice').depth === 0)
})

t.test('a consumer that disappears gives back what it did not settle', async (t) => {
  const lost = await hub.client('disappears')
  const subscription = await lost.subscribe({ queue: 'given-back' })
  await publishAll('given-back', numbered(4))
  const delivery = await nextOf(subscription)
  delivery.settle(0, 1)
  await eventually('one settled', () => hub.queue('given-back').depth === 3)
  await lost.close()
  const heir = await hub.client('heir')
  const rest = await nextOf(await heir.subscribe({ queue: 'given-back' }))
  t.same(
    [...rest].map(({ body }) => body.toString()),
    ['1', '2', '3'],
  )
  t.equal(rest.attempt, 2)
  rest.settle()
  await heir.close()
  await eventually('nothing left', () => hub.queue('given-back').depth === 0)
})

t.test('closing a subscription gives back what waits in it, also what the program holds', async (t) => {
  const agent = await hub.client('closes')
  const subscription = await agent.subscribe({ queue: 'given-back' })
  const publisher = publisherOf(producer)
  for (const body of numbered(3)) await publisher.publish({ topic: 'given-back', body: Buffer.from(body) })
  const held = await nextOf(subscription)
  await eventually('delivered', () => hub.queue('given-back').inFlight === 3)
  subscription.close()
  await eventually(
    'given back',
    () => hub.queue('given-back').inFlight === 0 && hub.queue('given-back').consumers === 0,
  )
  held.settle()
  const again = await agent.subscribe({ queue: 'given-back' })
  t.same(await bodiesOf(again, 3), numbered(3), 'settling after the end has no effect')
  again.close()
})

t.test('closing a client still settles what was settled before', async (t) => {
  const agent = await hub.client('settles')
  const subscription = await agent.subscribe({ name: 'last', topics: ['last'] })
  await publishAll('last', numbered(5))
  const delivery = await nextOf(subscription)
  delivery.settle(0, 2)
  await agent.close()
  await eventually('two settled', () => hub.queue('settles:last').depth === 3)
  t.equal(hub.queue('settles:last').inFlight, 0)
})

t.test('messages of a stream arrive in their order, however they were batched', async (t) => {
  const reader = await hub.client('ordered-reader')
  const subscription = await reader.subscribe({ queue: 'ordered', creditMessages: 50 })
  const publisher = producer.publisher({ stream: 'in-order', batchBytes: 512 })
  const bodies = numbered(3000)
  for (const [i, body] of bodies.entries()) {
    void publisher.publish({ topic: 'ordered', body: Buffer.from(body) })
    if (i % 97 === 0) await publisher.flush()
  }
  t.same(await bodiesOf(subscription, 3000), bodies)
  subscription.close()
})

t.test('what nobody wants is counted and kept', async (t) => {
  const publisher = publisherOf(producer)
  const before = hub.queue('$unrouted').depth
  publisher.publish({ topic: 'nowhere/at/all', body: Buffer.from('x') })
  publisher.publish({ topic: 'orders/somewhere', body: Buffer.from('y') })
  await publisher.flush()
  t.equal(publisher.unroutedMessages, 1)
  t.equal(hub.queue('$unrouted').depth, before + 1)
})

t.test('an ephemeral subscription ends with its session', async (t) => {
  const agent = await hub.client('passing')
  await agent.subscribe({ name: 'glance', topics: ['glance'], ephemeral: true })
  t.ok(hub.status().queues.some(({ name }) => name === 'passing:glance'))
  await agent.close()
  await eventually('forgotten', () => !hub.status().queues.some(({ name }) => name === 'passing:glance'))
})

t.test('a durable subscription can be given up, with what waits in it', async () => {
  const agent = await hub.client('gives-up')
  const subscription = await agent.subscribe({ name: 'old', topics: ['old'] })
  await publishAll('old', numbered(3))
  subscription.close({ forget: true })
  await eventually('forgotten', () => !hub.status().queues.some(({ name }) => name === 'gives-up:old'))
})

t.test('a queue that does not exist, and subscriptions that are none', async (t) => {
  const agent = await hub.client('asks')
  const refused = (code: string) => ({ code: 'REQUEST_REFUSED', details: { hubCode: code } })
  await t.rejects(agent.subscribe({ queue: 'no-such-queue' }), refused('QUEUE_UNKNOWN'))
  await t.rejects(agent.subscribe({ queue: 'inbox/away' }), refused('QUEUE_UNKNOWN'), "another agent's inbox")
  await t.rejects(agent.subscribe({ queue: 'receipts/away' }), refused('QUEUE_UNKNOWN'), 'and its receipts')
  await t.rejects(agent.subscribe({ queue: 'away:news' }), refused('QUEUE_UNKNOWN'), "another agent's subscription")
  await t.rejects(agent.subscribe({ name: 'x', topics: ['a/#/b'] }), refused('SUBSCRIPTION_INVALID'))
  await t.rejects(agent.subscribe({ name: 'x', topics: [] }), refused('SUBSCRIPTION_INVALID'))
  t.ok(agent.connected, 'a refused request does not end the connection')
})

t.test('a reason may be long and in any script: it is cut, not refused', async (t) => {
  const agent = await hub.client('wordy')
  const subscription = await agent.subscribe({ name: 'wordy', topics: ['wordy'] })
  await publishAll('wordy', numbered(1))
  const before = hub.queue('$dead').depth
  const delivery = await nextOf(subscription)
  delivery.reject('很长的理由'.repeat(1000))
  await eventually('rejected', () => hub.queue('$dead').depth === before + 1)
  t.ok(agent.connected)
})

t.test('a rejected message lies in $dead with the reason and the queue it came from', async (t) => {
  const agent = await hub.client('rejecter')
  const subscription = await agent.subscribe({ name: 'picky', topics: ['picky'] })
  await publishAll('picky', numbered(3))
  const delivery = await nextOf(subscription)
  delivery.settle(0, 1)
  delivery.reject('二号不行: not this one', 1, 1)
  delivery.settle(2, 1)
  await eventually('settled', () => hub.queue('rejecter:picky').depth === 0)
  await eventually('rejected', () => hub.queue('$dead').depth === 2)
  await hub.stop()
  const store = await hub.store()
  try {
    const { dead } = store.queues
    t.equal(dead.depth, 2, 'with the one before, on disk')
    store.take(dead, 1, store)
    const lease = store.take(dead, 10, store)
    t.match(lease, { count: 1, entry: { note: '二号不行: not this one', selection: [1, 1] } })
    t.equal(store.queues.withId(lease?.entry.home?.queueId ?? 0)?.info.name, 'rejecter:picky')
  } finally {
    await store.close()
    await hub.start()
  }
})
