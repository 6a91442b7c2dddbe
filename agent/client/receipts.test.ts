import t from 'tap'
import { message, sealed } from '#protocol/codec/testing.ts'
import { FRAME_SETTLE } from '#protocol/frame/mod.ts'
import { Outcome } from '#protocol/schema/mod.ts'
import { parseReceipt, ReceiptFeed } from './receipts.ts'
import { Subscription } from './subscription.ts'
import { delivered, TestConnection, testOrigins } from './testing.ts'

const facts = {
  ...{ stream: 's', epoch: 5, from: 3, to: 4, state: 'processed', queue: 'q', by: 'reader', reason: '' },
  atMs: 1_780_000_000_000,
}

t.test('a receipt is read, whatever later hubs add to it', async (t) => {
  t.strictSame(parseReceipt(Buffer.from(JSON.stringify({ ...facts, later: [1] }))), facts)
})

t.test('what is no receipt is a fault that says why', async (t) => {
  const wrong = [
    '',
    'null',
    '[]',
    ...[{ state: 'lost' }, { from: 5 }, { to: 1.5 }, { epoch: '5' }, { by: null }, { atMs: -1 }].map((change) =>
      JSON.stringify({ ...facts, ...change }),
    ),
  ]
  for (const text of wrong) t.throws(() => parseReceipt(Buffer.from(text)), { code: 'RECEIPT_INVALID' }, text)
})

async function feedOf(bodies: readonly string[], hubName = 'agent-a') {
  const connection = new TestConnection()
  const subscription = new Subscription(
    { queue: 'receipts/me' },
    { onRequest: () => undefined, onUnproven: () => undefined, onEnd: () => undefined },
  )
  const attached = subscription.attach(connection.hub, testOrigins)
  subscription.subscribed(connection.subscribed())
  await attached
  subscription.receive(connection.hub, delivered({}, sealed(bodies.map((body) => message(body)))))
  return { connection, feed: new ReceiptFeed(subscription, hubName) }
}

t.test('receipts come one by one and are settled; a broken one is rejected on the way', async (t) => {
  const { connection, feed } = await feedOf([
    JSON.stringify(facts),
    'x',
    JSON.stringify({ ...facts, state: 'delivered' }),
  ])
  const first = await feed.next()
  t.match(first, { stream: 's', from: 3, to: 4, state: 'processed', by: 'reader', final: true })
  first?.settle()
  const second = await feed.next()
  t.match(second, { state: 'delivered', final: false })
  second?.settle()
  await new Promise((resolve) => setImmediate(resolve))
  t.match(connection.settlements(FRAME_SETTLE), [
    [
      { from: 0, count: 1, outcome: Outcome.PROCESSED },
      { from: 1, count: 1, outcome: Outcome.REJECTED, reason: /^RECEIPT_INVALID/ },
      { from: 2, count: 1, outcome: Outcome.PROCESSED },
    ],
  ])
  const end = feed.next()
  feed.close()
  t.equal(await end, null)
})

t.test('receipts that somebody else wrote are none', async (t) => {
  const { connection, feed } = await feedOf([JSON.stringify(facts)], 'the-hub')
  const end = feed.next()
  // One turn to read it, one to send what that gave.
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve))
  t.match(connection.settlements(FRAME_SETTLE), [[{ outcome: Outcome.REJECTED, reason: /written by agent-a/ }]])
  feed.close()
  t.equal(await end, null)
})
