// In which order, when, and how often messages come: priorities, times, retries, order among several consumers.

import t from 'tap'
import type { Client, OutgoingMessage, Subscription } from '#agent/client/mod.ts'
import { bodiesOf, eventually, localHub, nextOf, numbered } from './support.ts'

const hub = await localHub(t, {
  config: {
    queues: [
      { name: 'mixed', topics: ['mixed'] },
      { name: 'short', topics: ['short'] },
      { name: 'forgetful', topics: ['forgetful'], onExpire: 'drop' },
      { name: 'stubborn', topics: ['stubborn'], maxDeliver: 2 },
      { name: 'by-key', topics: ['by-key'], order: 'key', partitions: 8 },
    ],
  },
})
const producer = await hub.client('producer')

let streams = 0
async function publish(topic: string, bodies: readonly string[], wishes: Partial<OutgoingMessage> = {}): Promise<void> {
  const publisher = producer.publisher({ stream: `stream-${++streams}`, proof: 'message' })
  for (const body of bodies) void publisher.publish({ topic, body: Buffer.from(body), ...wishes })
  await publisher.flush()
}

/** What comes, one message at a time, each settled before the next is given. */
async function oneByOne(client: Client, queue: string, count: number): Promise<string[]> {
  const subscription = await client.subscribe({ queue, creditMessages: 1 })
  const bodies = await bodiesOf(subscription, count)
  subscription.close()
  return bodies
}

t.test('urgent messages overtake, bulk ones wait, and nobody waits for ever', async (t) => {
  for (const priority of ['bulk', 'normal', 'urgent'] as const) {
    await publish('mixed', Array(20).fill(priority), { priority })
  }
  const order = await oneByOne(await hub.client('reader'), 'mixed', 60)
  t.same(order.slice(0, 9), [...Array(8).fill('urgent'), 'normal'], 'after eight urgent ones somebody else has a turn')
  t.ok(order.indexOf('bulk') < order.lastIndexOf('normal'), 'and bulk before the last normal one')
  t.ok(order.indexOf('bulk') > order.lastIndexOf('urgent'))
})

t.test('a delivery says its priority; each lane has positions of its own', async (t) => {
  const agent = await hub.client('lanes')
  const subscription = await agent.subscribe({ name: 'all', topics: ['lanes'] })
  await publish('lanes', ['u1', 'u2'], { priority: 'urgent' })
  await publish('lanes', ['n1'])
  const found: unknown[] = []
  for (let i = 0; i < 2; i++) {
    const delivery = await nextOf(subscription)
    found.push([delivery.lane, delivery.priority, delivery.position, delivery.count])
    delivery.settle()
  }
  t.same(found.sort(), [
    [0, 'normal', 0, 1],
    [1, 'urgent', 0, 2],
  ])
  await eventually('settled', () => hub.queue('lanes:all').depth === 0)
})

t.test('a message that nobody took in time is worth nothing: it lies with the dead letters, or is gone', async (t) => {
  const dead = hub.queue('$dead').depth
  await publish('short', ['late'], { ttlMs: 30 })
  await publish('short', ['lasting'], { ttlMs: 60_000 })
  await publish('forgetful', ['late'], { ttlMs: 30 })
  await eventually('both are over', () => hub.queue('short').depth === 1 && hub.queue('forgetful').depth === 0)
  t.equal(hub.queue('$dead').depth, dead + 1)
  t.same(await oneByOne(await hub.client('short-reader'), 'short', 1), ['lasting'])
})

t.test('a delayed message comes when it is due, and holds up nobody', async (t) => {
  const agent = await hub.client('patient')
  const subscription = await agent.subscribe({ name: 'all', topics: ['later'] })
  const startedAtMs = Date.now()
  await publish('later', ['not today'], { delayMs: 80_000_000 })
  await publish('later', ['second'], { delayMs: 200 })
  const thirdAtMs = Date.now() + 400
  await publish('later', ['third'], { deliverAtMs: thirdAtMs })
  await publish('later', ['first'])
  const came = new Map<string, number>()
  while (came.size < 3) for (const body of await bodiesOf(subscription, 1)) came.set(body, Date.now())
  t.same([...came.keys()].sort(), ['first', 'second', 'third'])
  const [second, third] = [came.get('second') ?? 0, came.get('third') ?? 0]
  t.ok(second >= startedAtMs + 200, `after ${second - startedAtMs} ms`)
  t.ok(third >= thirdAtMs, `${third - thirdAtMs} ms after its time`)
  t.ok(second <= third)
})

t.test('a retry may wait: the others go on, then it comes again, counted', async (t) => {
  const agent = await hub.client('retrier')
  const subscription = await agent.subscribe({ name: 'all', topics: ['retry'] })
  await publish('retry', numbered(3))
  const first = await nextOf(subscription)
  const startedAt = performance.now()
  first.retry({ from: 0, count: 1, delayMs: 150 })
  first.settle(1, 2)
  const again = await nextOf(subscription)
  t.ok(performance.now() - startedAt >= 140)
  t.match(again, { attempt: 2, count: 1 })
  t.equal(again.message(0).body.toString(), '0')
  t.equal(again.seqOf(0), first.seqOf(0), 'it is the same message, at a new position')
  again.settle()
  await eventually('nothing left', () => hub.queue('retrier:all').depth === 0)
})

t.test('what was tried too often goes to the dead letters', async (t) => {
  const dead = hub.queue('$dead').depth
  await publish('stubborn', ['poison'])
  const subscription = await (await hub.client('victim')).subscribe({ queue: 'stubborn' })
  for (const attempt of [1, 2]) {
    const delivery = await nextOf(subscription)
    t.equal(delivery.attempt, attempt)
    delivery.retry()
  }
  await eventually('set aside', () => hub.queue('$dead').depth === dead + 1)
  t.equal(hub.queue('stubborn').depth, 0)
  const undertaker = await hub.client('undertaker')
  const grave = await undertaker.subscribe({ queue: '$dead' })
  const bodies = await bodiesOf(grave, dead + 1)
  t.equal(bodies.at(-1), 'poison', 'an agent with the right may look after them')
})

t.test('messages with one key stay in order, however many consumers there are', async (t) => {
  const consumers = await Promise.all(['keys-1', 'keys-2', 'keys-3'].map((name) => hub.client(name)))
  const subscriptions = await Promise.all(
    consumers.map((client) => client.subscribe({ queue: 'by-key', creditMessages: 5 })),
  )
  const keys = ['a', 'b', 'c', 'd', 'e', 'f']
  const seen = new Map<string, number[]>(keys.map((key) => [key, []]))
  const all = Promise.withResolvers<void>()
  let count = 0
  const work = async (subscription: Subscription) => {
    for await (const delivery of subscription) {
      for (const { key, body } of delivery) {
        seen.get(key.toString())?.push(Number(body.toString()))
        if (++count === 300) all.resolve()
      }
      // Whoever is slow here must not be overtaken within a key.
      await new Promise((resolve) => setImmediate(resolve))
      delivery.settle()
    }
  }
  for (const subscription of subscriptions) void work(subscription)
  const publisher = producer.publisher({ stream: 'keyed', proof: 'message', batchBytes: 512 })
  for (let i = 0; i < 300; i++) {
    void publisher.publish({ topic: 'by-key', key: Buffer.from(keys[i % 6] as string), body: Buffer.from(String(i)) })
  }
  await publisher.flush()
  await all.promise
  for (const [key, numbers] of seen)
    t.same(
      numbers,
      numbers.toSorted((a, b) => a - b),
      `key ${key}`,
    )
})

t.test('a wish that has no meaning is refused before anything is sent', async (t) => {
  const publisher = producer.publisher({ stream: 'wishes' })
  const message = { topic: 'mixed', body: Buffer.from('x') }
  t.throws(() => publisher.publish({ ...message, ttlMs: -1 }), { code: 'ATTRIBUTE_INVALID' })
  t.throws(() => publisher.publish({ ...message, headers: { ':priority': 'asap' } }), { code: 'ATTRIBUTE_INVALID' })
})
