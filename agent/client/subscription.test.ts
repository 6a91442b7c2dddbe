// A subscription against a hub played by the test, frame by frame.

import t from 'tap'
import type { Fault } from '#protocol/base/mod.ts'
import { FRAME_CREDIT, FRAME_REPLAY, FRAME_SETTLE, FRAME_SUBSCRIBE } from '#protocol/frame/mod.ts'
import { decodeReplay, decodeSubscribe, Outcome } from '#protocol/schema/mod.ts'
import { type SubscribeOptions, Subscription } from './subscription.ts'
import { delivered, sealedNumbers, TestConnection, testOrigins } from './testing.ts'

const CREDIT = { creditBytes: 100_000, creditMessages: 100 }

async function subscribed(options: SubscribeOptions = { name: 'mine', topics: ['#'], ...CREDIT }) {
  const connection = new TestConnection()
  const faults: Fault[] = []
  const requests: number[] = []
  const subscription = new Subscription(options, {
    onRequest: (request) => requests.push(request),
    onUnproven: (fault) => faults.push(fault),
    onEnd: () => undefined,
  })
  const attached = subscription.attach(connection.hub, testOrigins)
  subscription.subscribed(connection.subscribed(1, 'me:mine'))
  await attached
  return { connection, subscription, faults, requests }
}

const flushed = () => new Promise((resolve) => setImmediate(resolve))

t.test('a policy travels with the request; without one there is none', async (t) => {
  const policy = { order: 'key', maxDeliver: 3, onFull: 'drop-oldest', retainMs: 60_000 } as const
  const { connection } = await subscribed({ name: 'mine', topics: ['#'], policy })
  t.match(decodeSubscribe(connection.asked[0]?.body as Buffer), {
    policy: { order: 2, partitions: 0, maxDeliver: 3, onFull: 1, onExpire: 0, retainMs: 60_000, retainBytes: 0 },
  })
  const plain = await subscribed()
  t.equal(plain.connection.asked[0]?.kind, FRAME_SUBSCRIBE)
  t.equal(decodeSubscribe(plain.connection.asked[0]?.body as Buffer).policy, null)
})

t.test('a delivery knows its lane, its priority and which messages it holds', async (t) => {
  const { connection, subscription } = await subscribed()
  const bytes = sealedNumbers(6)
  subscription.receive(connection.hub, delivered({ lane: 4, position: 70 }, bytes))
  subscription.receive(connection.hub, delivered({ lane: 2, position: 0 }, bytes, [1, 4]))
  const whole = subscription.tryNext()
  t.match(whole, { lane: 4, priority: 'urgent', position: 70, origin: 'agent-a', stream: 'main', epoch: 3 })
  t.same([whole?.seqOf(0), whole?.seqOf(5)], [11, 16])
  const part = subscription.tryNext()
  t.match(part, { lane: 2, priority: 'bulk', count: 2 })
  t.same([part?.seqOf(0), part?.seqOf(1)], [12, 15])
  t.equal(part?.message(1).body.toString(), '4')
})

t.test('settlements join when they say the same of neighbours in one lane', async (t) => {
  const { connection, subscription } = await subscribed()
  const bytes = sealedNumbers(3)
  for (const [lane, position] of [
    [0, 0],
    [0, 3],
    [1, 6],
  ] as const) {
    subscription.receive(connection.hub, delivered({ lane, position }, bytes))
  }
  const [first, second, urgent] = [subscription.tryNext(), subscription.tryNext(), subscription.tryNext()]
  first?.settle()
  second?.settle(0, 1)
  second?.retry({ from: 1, count: 1, delayMs: 500 })
  second?.retry({ from: 2, count: 1 })
  urgent?.settle()
  await flushed()
  const way = { reason: '', delayMs: 0, lane: 0 }
  t.strictSame(connection.settlements(FRAME_SETTLE), [
    [
      { ...way, from: 0, count: 4, outcome: Outcome.PROCESSED },
      { ...way, from: 4, count: 1, outcome: Outcome.RETRY, delayMs: 500 },
      { ...way, from: 5, count: 1, outcome: Outcome.RETRY },
      { ...way, from: 6, count: 3, outcome: Outcome.PROCESSED, lane: 1 },
    ],
  ])
  t.equal(connection.credits(FRAME_CREDIT).at(-1)?.messages, CREDIT.creditMessages + 9)
})

t.test('times until the next delivery that are none are faults at once', async (t) => {
  const { connection, subscription } = await subscribed()
  subscription.receive(connection.hub, delivered({}, sealedNumbers(1)))
  const delivery = subscription.tryNext()
  for (const delayMs of [-1, 0.5, Number.NaN, 1e15]) {
    t.throws(() => delivery?.retry({ delayMs }), { code: 'RETRY_DELAY_INVALID' })
  }
  delivery?.retry({ delayMs: 1 })
})

t.test('many long reasons take several frames, each within its limit', async (t) => {
  const { connection, subscription } = await subscribed()
  subscription.receive(connection.hub, delivered({}, sealedNumbers(300)))
  const delivery = subscription.tryNext()
  for (let i = 0; i < 300; i++) delivery?.reject(`${i} ${'不行'.repeat(300)}`, i, 1)
  await flushed()
  const frames = connection.sent.filter(({ kind }) => kind === FRAME_SETTLE)
  t.ok(frames.length > 1)
  t.ok(
    frames.every(({ body }) => body.length < 64 * 1024),
    frames.map(({ body }) => body.length).join(),
  )
  t.equal(connection.settlements(FRAME_SETTLE).flat().length, 300)
})

t.test(
  'what is not what its origin sealed is rejected with the reason; the next delivery comes as usual',
  async (t) => {
    const { connection, subscription, faults } = await subscribed()
    const altered = delivered({ lane: 1, position: 8 }, sealedNumbers(3))
    altered[altered.length - 1] = (altered[altered.length - 1] as number) ^ 1
    t.equal(subscription.receive(connection.hub, altered), 0)
    subscription.receive(connection.hub, delivered({ position: 5 }, sealedNumbers(2)))
    t.equal(subscription.tryNext()?.position, 5)
    t.equal(subscription.tryNext(), null)
    await flushed()
    t.match(connection.settlements(FRAME_SETTLE), [
      [{ lane: 1, from: 8, count: 3, outcome: Outcome.REJECTED, reason: /^BATCH_DAMAGED: / }],
    ])
    t.match(faults, [{ code: 'DELIVERY_UNPROVEN', where: 'queue me:mine, lane 1, position 8', details: { count: 3 } }])
    t.equal(connection.credits(FRAME_CREDIT).at(-1)?.messages, CREDIT.creditMessages + 3, 'it takes no credit')
  },
)

t.test('a delivery with another number of messages than it says is rejected', async (t) => {
  const { connection, subscription } = await subscribed()
  subscription.receive(connection.hub, delivered({ count: 4 }, sealedNumbers(3)))
  await flushed()
  t.match(connection.settlements(FRAME_SETTLE), [[{ count: 4, outcome: Outcome.REJECTED, reason: /DELIVERY_INVALID/ }]])
})

t.test('a replay: what was settled before it is told, what came before it has no effect afterwards', async (t) => {
  const { connection, subscription, requests } = await subscribed()
  for (const position of [0, 2, 4]) subscription.receive(connection.hub, delivered({ position }, sealedNumbers(2)))
  const [first, held] = [subscription.tryNext(), subscription.tryNext()]
  first?.settle()
  const replay = subscription.replay({ fromPosition: 1 })
  t.same(
    connection.sent.slice(-2).map(({ kind }) => kind),
    [FRAME_CREDIT, FRAME_REPLAY],
    'settlement and credit go before the question',
  )
  t.match(decodeReplay(connection.asked.at(-1)?.body as Buffer), { consumer: 1, fromPosition: 1, fromMs: 0 })
  t.equal(connection.settlements(FRAME_SETTLE).length, 1)
  held?.settle(0, 1)
  t.equal(subscription.tryNext(), null, 'nothing old is handed out meanwhile')
  subscription.receive(connection.hub, delivered({ position: 6 }, sealedNumbers(2)))
  await flushed()
  t.equal(connection.settlements(FRAME_SETTLE).length, 1, 'and nothing is settled')

  subscription.replayed()
  connection.replayed(3)
  subscription.receive(connection.hub, delivered({ position: 1, attempt: 2 }, sealedNumbers(2)))
  t.equal(await replay, 3)
  t.same(requests.length, 2, 'the client knows whose answer comes')
  held?.settle(1, 1)
  const again = subscription.tryNext()
  t.match(again, { position: 1, attempt: 2 })
  t.equal(subscription.tryNext(), null, 'what came before was dropped')
  again?.settle()
  await flushed()
  t.match(connection.settlements(FRAME_SETTLE).slice(1), [[{ from: 1, count: 2 }]])
  t.equal(connection.settlements(FRAME_SETTLE).length, 2)
  t.equal(
    connection.credits(FRAME_CREDIT).at(-1)?.messages,
    CREDIT.creditMessages + 10,
    'dropped ones give theirs back',
  )
})

t.test('a replay the hub refuses changes nothing: what was held back is handed out and settled', async (t) => {
  const { connection, subscription } = await subscribed()
  for (const position of [0, 2]) subscription.receive(connection.hub, delivered({ position }, sealedNumbers(2)))
  const held = subscription.tryNext()
  let woken = 0
  subscription.onDelivery = () => woken++
  const replay = subscription.replay({ fromMs: 1_780_000_000_000.5 })
  t.equal(decodeReplay(connection.asked.at(-1)?.body as Buffer).fromMs, 1_780_000_000_000)
  held?.settle()
  await flushed()
  t.same(connection.settlements(FRAME_SETTLE), [])
  const next = subscription.next()
  connection.refuse()
  await t.rejects(replay, { code: 'REQUEST_REFUSED' })
  t.equal(woken, 1)
  t.equal((await next)?.position, 2)
  t.match(connection.settlements(FRAME_SETTLE), [[{ from: 0, count: 2 }]])
})

t.test('a replay without a connection says so', async (t) => {
  const { connection, subscription } = await subscribed()
  connection.alive = false
  await t.rejects(subscription.replay({ fromPosition: 0 }), { code: 'CONNECTION_LOST' })
  subscription.close()
  await t.rejects(subscription.replay({ fromPosition: 0 }), { code: 'CLIENT_CLOSED' })
})

t.test('a connection that breaks during a replay leaves the next one as it should be', async (t) => {
  const { connection, subscription } = await subscribed()
  const replay = subscription.replay({ fromPosition: 0 })
  const next = new TestConnection()
  const attached = subscription.attach(next.hub, testOrigins)
  subscription.subscribed(next.subscribed(4))
  await attached
  connection.refuse()
  await t.rejects(replay)
  subscription.receive(next.hub, delivered({ consumer: 4 }, sealedNumbers(1)))
  subscription.tryNext()?.settle()
  await flushed()
  t.match(next.settlements(FRAME_SETTLE), [[{ from: 0, count: 1 }]])
})
