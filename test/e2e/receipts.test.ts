// What the origin is told: one final receipt for each message, by whom, when and why, however many queues it went to.

import t from 'tap'
import type { Client, Delivery, ReceiptFacts, ReceiptFeed } from '#agent/client/mod.ts'
import { run } from './cli.ts'
import { bodiesOf, eventually, inTime, localHub, nextOf, numbered } from './support.ts'

const hub = await localHub(t, {
  config: {
    queues: [
      { name: 'left', topics: ['both', 'left'] },
      { name: 'right', topics: ['both'] },
      { name: 'short', topics: ['short'] },
      { name: 'small', topics: ['small'], limits: { messages: 2 }, onFull: 'drop-oldest' },
    ],
  },
})

let streams = 0
/** A publisher that wants receipts; gives the numbers its messages got. */
async function publish(client: Client, topic: string, bodies: readonly string[], wishes: { ttlMs?: number } = {}) {
  const publisher = client.publisher({ stream: `stream-${++streams}`, receipts: 'final', proof: 'message' })
  const messages = bodies.map((body) => ({ topic, body: Buffer.from(body), ...wishes }))
  return { stream: publisher.name, ...(await publisher.publishAll(messages)) }
}

/** The next receipts about `count` messages of a stream, settled; those of other streams stay. */
async function receiptsOf(feed: ReceiptFeed, stream: string, count: number): Promise<ReceiptFacts[]> {
  const found: ReceiptFacts[] = []
  let messages = 0
  while (messages < count) {
    const receipt = await inTime(feed.next(), `a receipt of ${stream}`)
    if (receipt === null) throw new Error('the feed was closed')
    if (receipt.stream !== stream) continue
    found.push(receipt)
    messages += receipt.to - receipt.from + 1
    receipt.settle()
  }
  return found.sort((a, b) => a.from - b.from)
}

async function take(client: Client, queue: string, what: (delivery: Delivery) => void): Promise<void> {
  const subscription = await client.subscribe({ queue })
  what(await nextOf(subscription))
  subscription.close()
}

t.test('processed, rejected with the reason: by whom, in which queue, when', async (t) => {
  const origin = await hub.client('origin')
  const before = Date.now()
  const sent = await publish(origin, 'left', numbered(4))
  await take(await hub.client('worker'), 'left', (delivery) => {
    delivery.settle(0, 2)
    delivery.reject('没有这个户主', 2, 1)
    delivery.settle(3, 1)
  })
  const told = await receiptsOf(await origin.receipts(), sent.stream, 4)
  const common = { stream: sent.stream, epoch: sent.epoch, queue: 'left', by: 'worker' }
  t.match(told, [
    { ...common, from: 1, to: 2, state: 'processed', reason: '' },
    { ...common, from: 3, to: 3, state: 'rejected', reason: '没有这个户主' },
    { ...common, from: 4, to: 4, state: 'processed' },
  ])
  t.ok(told.every(({ atMs }) => atMs >= before && atMs <= Date.now()))
})

t.test('of a message in several queues the worst counts, told once, when the last copy is settled', async (t) => {
  const origin = await hub.client('fan-origin')
  const feed = await origin.receipts()
  const sent = await publish(origin, 'both', numbered(2))
  await take(await hub.client('left-worker'), 'left', (delivery) => {
    delivery.reject('not here', 0, 1)
    delivery.settle(1, 1)
  })
  await eventually('settled on the left', () => hub.queue('left').depth === 0)
  t.equal(hub.queue('receipts/fan-origin').depth, 0, 'nothing is told while a copy is open')
  await take(await hub.client('right-worker'), 'right', (delivery) => delivery.settle())
  t.match(await receiptsOf(feed, sent.stream, 2), [
    { from: 1, to: 1, state: 'rejected', reason: 'not here' },
    { from: 2, to: 2, state: 'processed' },
  ])
  await eventually('all told', () => hub.queue('receipts/fan-origin').depth === 0)
})

t.test('expired and dropped ones are told by the hub itself', async (t) => {
  const origin = await hub.client('unlucky')
  const feed = await origin.receipts()
  const late = await publish(origin, 'short', ['late'], { ttlMs: 30 })
  t.match(await receiptsOf(feed, late.stream, 1), [{ state: 'expired', queue: 'short', by: '' }])
  const first = await publish(origin, 'small', ['oldest'])
  await publish(origin, 'small', numbered(2))
  t.match(await receiptsOf(feed, first.stream, 1), [{ state: 'dropped', queue: 'small', by: '' }])
})

t.test('deliveries are told when they are asked for', async (t) => {
  const origin = await hub.client('curious')
  const publisher = origin.publisher({ stream: 'curious', receipts: 'all' })
  const { epoch } = await publisher.publishAll([{ topic: 'left', body: Buffer.from('x') }])
  await take(await hub.client('curious-worker'), 'left', (delivery) => delivery.settle())
  const feed = await origin.receipts()
  const states: string[] = []
  while (states.length < 2) {
    const receipt = await inTime(feed.next(), 'a receipt')
    t.match(receipt, { stream: 'curious', epoch, from: 1, to: 1, by: 'curious-worker' })
    states.push(receipt?.state ?? '')
    receipt?.settle()
  }
  t.same(states, ['delivered', 'processed'])
})

t.test('without asking nothing is told', async (t) => {
  const origin = await hub.client('modest')
  await origin.publisher({ stream: 'modest' }).publish({ topic: 'left', body: Buffer.from('x') })
  await take(await hub.client('modest-worker'), 'left', (delivery) => delivery.settle())
  await eventually('settled', () => hub.queue('left').depth === 0)
  t.notOk(hub.status().queues.some(({ name, depth }) => name === 'receipts/modest' && depth > 0))
})

t.test(
  'receipts wait for an origin that is away, also when the hub is restarted, until they are settled',
  async (t) => {
    const origin = await hub.client('absent')
    const sent = await publish(origin, 'left', numbered(3))
    await origin.close()
    await take(await hub.client('late-worker'), 'left', (delivery) => delivery.settle())
    await eventually('told', () =>
      hub.status().queues.some(({ name, depth }) => name === 'receipts/absent' && depth > 0),
    )
    await hub.restart()
    const back = await hub.client('absent')
    const unread = await back.receipts()
    t.match(await inTime(unread.next(), 'a receipt'), { stream: sent.stream })
    unread.close()
    t.match(await receiptsOf(await back.receipts(), sent.stream, 3), [{ from: 1, to: 3, state: 'processed' }])
    await eventually('gone', () => hub.queue('receipts/absent').depth === 0)
  },
)

t.test("nobody reads another agent's receipts", async (t) => {
  const spy = await hub.client('spy')
  await t.rejects(spy.subscribe({ queue: 'receipts/origin' }), { code: 'REQUEST_REFUSED' })
})

t.test('nobody but the hub writes receipts', async (t) => {
  const origin = await hub.client('trusting')
  const feed = await origin.receipts()
  const forger = await hub.client('forger')
  const facts = { stream: 's', epoch: 1, from: 1, to: 1, state: 'processed', queue: 'q', by: 'me', reason: '', atMs: 1 }
  await forger
    .publisher({ stream: 'forged' })
    .publish({ topic: 'receipts/trusting', body: Buffer.from(JSON.stringify(facts)) })
  t.equal(hub.queue('receipts/trusting').depth, 0)
  feed.close()
})

t.test('by hand: send --receipts waits for what becomes of the messages', async (t) => {
  await hub.enroll('by-hand')
  const send = ['send', '--data', `${hub.dir}/by-hand`, '--topic', 'left']
  const worker = await hub.client('hand-worker')
  const subscription = await worker.subscribe({ queue: 'left' })
  const sending = run('agent', [...send, '--receipts', '80s', '--json'], 'one\ntwo\n')
  t.same(await bodiesOf(subscription, 2), ['one', 'two'])
  const sent = await sending
  t.equal(sent.code, 0, sent.stderr)
  t.match(JSON.parse(sent.stdout), {
    ...{ sent: 2, unrouted: 0, unknown: 0 },
    receipts: [{ from: 1, to: 2, state: 'processed', queue: 'left', by: 'hand-worker' }],
  })
  const refusing = run('agent', [...send, '--receipts', '80s', '--body', 'x', '--priority', 'urgent'])
  const delivery = await nextOf(subscription)
  t.equal(delivery.priority, 'urgent')
  delivery.reject('no thanks')
  t.match(await refusing, { code: 1, stdout: /message 1: rejected by hand-worker in left: no thanks/ })
  subscription.close()
  const unheard = await run('agent', [...send, '--receipts', '300ms', '--body', 'x'])
  t.match(unheard, { code: 1, stdout: /1 without news after 300ms/ })
})
