// The hub source on a real subscription, with a hub played by the test.

import t, { type Test } from 'tap'
import type { Client } from '#agent/client/mod.ts'
import { type SubscribeOptions, Subscription } from '#agent/client/subscription.ts'
import { delivered, TestConnection, testOrigins } from '#agent/client/testing.ts'
import { message, sealed } from '#protocol/codec/testing.ts'
import { FRAME_SETTLE } from '#protocol/frame/mod.ts'
import { Outcome } from '#protocol/schema/mod.ts'
import { componentFault } from '../../faults.ts'
import { rowsOf, settingsOf, testContext } from '../../support/testing.ts'
import { hubSourceSettings } from './settings.ts'
import { HubSource } from './source.ts'

const rows = (...names: string[]): Buffer => sealed(names.map((name) => message(JSON.stringify({ name }))))

async function sourceOf(t: Test, settings: object = { queue: 'q' }) {
  const connection = new TestConnection()
  const asked: SubscribeOptions[] = []
  const subscriptions: Subscription[] = []
  const subscribe = async (options: SubscribeOptions) => {
    asked.push(options)
    const hooks = { onRequest: () => undefined, onUnproven: () => undefined, onEnd: () => undefined }
    const subscription = new Subscription(options, hooks)
    subscriptions.push(subscription)
    const attached = subscription.attach(connection.hub, testOrigins)
    subscription.subscribed(connection.subscribed())
    await attached
    receive = (body) => subscription.receive(connection.hub, body)
    return subscription
  }
  let receive: (body: Buffer) => void = () => undefined
  /** The hub comes back, perhaps as another one. */
  const reconnect = async (storeId: Buffer) => {
    const next = new TestConnection()
    Object.assign(next.terms, { storeId })
    const [subscription] = subscriptions as [Subscription]
    const attached = subscription.attach(next.hub, testOrigins)
    subscription.subscribed(next.subscribed())
    await attached
    receive = (body) => subscription.receive(next.hub, body)
    return next
  }
  const client = { subscribe } as unknown as Client
  const source = new HubSource(settingsOf(hubSourceSettings, settings), client, testContext(t.testdir()))
  const open = async (position: string | null) => {
    await source.open(position)
    await source.idle(AbortSignal.timeout(60_000))
  }
  return { source, connection, asked, open, reconnect, receive: (body: Buffer) => receive(body) }
}

const flushed = () => new Promise((resolve) => setImmediate(resolve))

t.test('equal positions of two lanes are two messages, and the cursor keeps them apart', async (t) => {
  const { source, connection, receive, open } = await sourceOf(t)
  await open(null)
  receive(delivered({ lane: 1, position: 0 }, rows('urgent')))
  receive(delivered({ lane: 0, position: 0 }, rows('a', 'b')))
  const portion = await source.next()
  t.same(portion?.items, [
    { row: { name: 'urgent' }, ref: '1:0' },
    { row: { name: 'a' }, ref: 0 },
    { row: { name: 'b' }, ref: 1 },
  ])
  await source.committed(portion?.cursor ?? '')
  await flushed()
  t.match(connection.settlements(FRAME_SETTLE), [
    [
      { lane: 1, from: 0, count: 1 },
      { lane: 0, from: 0, count: 2 },
    ],
  ])
  receive(delivered({ lane: 1, position: 0, attempt: 2 }, rows('urgent')))
  receive(delivered({ lane: 2, position: 0 }, rows('bulk')))
  t.same(
    rowsOf([(await source.next()) ?? { items: [], cursor: '' }]),
    [{ name: 'bulk' }],
    'what was done is not done again',
  )
  await source.close()
})

t.test('after a restart each lane goes on where the destination is, also from a cursor of former days', async (t) => {
  const { source, receive, open } = await sourceOf(t)
  const store = Buffer.alloc(16, 7).toString('hex')
  await open(JSON.stringify({ store, queue: 'q', floor: 2, above: [] }))
  receive(delivered({ lane: 0, position: 1 }, rows('done', 'new')))
  receive(delivered({ lane: 1, position: 0 }, rows('urgent')))
  const portion = await source.next()
  t.same(rowsOf(portion === null ? [] : [portion]), [{ name: 'new' }, { name: 'urgent' }])
  const lanes = [[1, 1, []]]
  const done = [['agent-a', 'main', 3, [[11, 13]]]]
  t.same(JSON.parse(portion?.cursor ?? ''), { store, queue: 'q', floor: 3, above: [], lanes, done })
  await source.close()
})

t.test('a row that is rejected is rejected in its lane', async (t) => {
  const { source, connection, receive, open } = await sourceOf(t)
  await open(null)
  receive(delivered({ lane: 0, position: 5 }, rows('zero')))
  receive(delivered({ lane: 4, position: 5 }, rows('four')))
  const portion = await source.next()
  const item = portion?.items.find(({ row }) => row.name === 'four')
  t.equal(item?.ref, '4:5')
  if (item !== undefined) await source.reject([{ item, fault: componentFault('HUB_MESSAGE_NOT_A_ROW') }])
  await source.committed(portion?.cursor ?? '')
  await flushed()
  t.match(connection.settlements(FRAME_SETTLE).flat(), [
    { lane: 4, from: 5, outcome: Outcome.REJECTED },
    { lane: 0, from: 5, outcome: Outcome.PROCESSED },
  ])
  await source.close()
})

const OTHER_STORE = Buffer.alloc(16, 9)

t.test('a restored hub: the same positions are other messages, and the same messages are known', async (t) => {
  const { source, receive, open, reconnect } = await sourceOf(t)
  await open(null)
  const numbers = (first: number, ...names: string[]) =>
    sealed(
      names.map((name) => message(JSON.stringify({ name }))),
      { firstSeq: first },
    )
  receive(delivered({ position: 0 }, numbers(1, 'a', 'b')))
  const portion = await source.next()
  await source.committed(portion?.cursor ?? '')
  const connection = await reconnect(OTHER_STORE)
  receive(delivered({ position: 0 }, numbers(2, 'b', 'c')))
  const after = await source.next()
  t.same(after?.items, [{ row: { name: 'c' }, ref: 1 }])
  await source.committed(after?.cursor ?? '')
  await flushed()
  t.match(connection.settlements(FRAME_SETTLE).flat(), [{ from: 0, count: 2, outcome: Outcome.PROCESSED }])
  await source.close()

  const restarted = await sourceOf(t)
  await restarted.open(after?.cursor ?? null)
  await restarted.reconnect(OTHER_STORE)
  restarted.receive(delivered({ position: 2 }, numbers(1, 'a')))
  restarted.receive(delivered({ position: 3 }, numbers(4, 'd')))
  t.same((await restarted.source.next())?.items, [{ row: { name: 'd' }, ref: 3 }], 'also after a restart')
  await restarted.source.close()
})

t.test('a row that was refused is no message that was done', async (t) => {
  const { source, receive, open, reconnect } = await sourceOf(t)
  await open(null)
  receive(delivered({ position: 0 }, rows('bad')))
  const portion = await source.next()
  const [item] = portion?.items ?? []
  if (item !== undefined) await source.reject([{ item, fault: componentFault('HUB_MESSAGE_NOT_A_ROW') }])
  await source.committed(portion?.cursor ?? '')
  await reconnect(OTHER_STORE)
  receive(delivered({ position: 0 }, rows('bad')))
  t.same((await source.next())?.items, [{ row: { name: 'bad' }, ref: 0 }], 'an operator has sent it again, perhaps')
  await source.close()
})

t.test('positions keep their meaning while the destination has rows in hand', async (t) => {
  const { source, receive, open, reconnect } = await sourceOf(t)
  await open(null)
  receive(delivered({ position: 0 }, rows('old')))
  const portion = await source.next()
  const connection = await reconnect(OTHER_STORE)
  receive(delivered({ position: 0 }, sealed([message('{"name":"new"}')], { firstSeq: 50 })))
  t.equal(await source.next(), null, 'the old row may still be refused, by its position')
  const [item] = portion?.items ?? []
  if (item !== undefined) await source.reject([{ item, fault: componentFault('HUB_MESSAGE_NOT_A_ROW') }])
  await source.committed(portion?.cursor ?? '')
  await source.idle(AbortSignal.timeout(60_000))
  t.same((await source.next())?.items, [{ row: { name: 'new' }, ref: 0 }])
  await flushed()
  t.same(connection.settlements(FRAME_SETTLE), [], 'the refusal met nobody else')
  await source.close()
})

t.test("a flow's subscription may have limits, named as in hub.yaml", async (t) => {
  const settings = {
    name: 'n',
    topics: 'a/#',
    limits: { messages: 5, ageMs: '1h' },
    maxDeliver: 3,
    onFull: 'drop-oldest',
  }
  const { source, asked, open } = await sourceOf(t, { subscribe: settings })
  await open(null)
  t.match(asked, [
    {
      name: 'n',
      topics: ['a/#'],
      policy: { order: 'none', messagesMax: 5, bytesMax: 0, ageMsMax: 3_600_000, maxDeliver: 3, onFull: 'drop-oldest' },
    },
  ])
  await source.close()
})

t.test('what was refused while the line was down is refused when it comes again, not settled', async (t) => {
  const { source, receive, open, reconnect } = await sourceOf(t)
  await open(null)
  receive(delivered({ position: 0 }, rows('a', 'b', 'c')))
  const portion = await source.next()
  const again = await reconnect(TestConnection.STORE_ID)
  const [, refused] = portion?.items ?? []
  if (refused === undefined) throw new Error('no rows')
  await source.reject([{ item: refused, fault: componentFault('SQLITE_ROW_REFUSED') }])
  await source.committed(portion?.cursor ?? '')
  receive(delivered({ position: 0, attempt: 2 }, rows('a', 'b', 'c')))
  t.equal(await source.next(), null)
  await flushed()
  const ranges = again.settlements(FRAME_SETTLE).flat()
  t.match(
    [...ranges].sort((a, b) => a.from - b.from),
    [
      { from: 0, count: 1, outcome: Outcome.PROCESSED },
      { from: 1, count: 1, outcome: Outcome.REJECTED, reason: /SQLITE_ROW_REFUSED/ },
      { from: 2, count: 1, outcome: Outcome.PROCESSED },
    ],
  )
  await source.close()
})

/** Messages as `send file` and flows make them. */
const fileMessage = (name: string, size: number) => ({
  topic: 'files',
  headers: { ':content': Buffer.alloc(16, name).toString('hex'), ':file': name },
  key: null,
  body: Buffer.from(JSON.stringify({ size })),
})

t.test('files of one batch come in portions of their size, each settled when it is committed', async (t) => {
  const { source, connection, receive, open, asked } = await sourceOf(t, { queue: 'q', format: 'file' })
  await open(null)
  t.match(asked, [{ queue: 'q', creditMessages: 1024 }])
  const MIB = 2 ** 20
  const sizes = [MIB, 20 * MIB, 0, MIB, MIB]
  receive(delivered({ position: 10 }, sealed(sizes.map((size, i) => fileMessage(`f${i}`, size)))))
  const portions = []
  for (let portion = await source.next(); portion !== null; portion = await source.next()) portions.push(portion)
  t.strictSame(
    portions.map(({ items }) => items.map(({ row, ref }) => [row.name, ref])),
    [
      [
        ['f0', 10],
        ['f1', 11],
      ],
      [['f2', 12]],
      [
        ['f3', 13],
        ['f4', 14],
      ],
    ],
    'nothing is said of the size of f2',
  )
  for (const [i, { cursor, items }] of portions.entries()) {
    if (i === 1) await source.reject(items.map((item) => ({ item, fault: componentFault('FILE_NAMELESS') })))
    await source.committed(cursor)
    await flushed()
  }
  t.match(connection.settlements(FRAME_SETTLE), [
    [{ from: 10, count: 2, outcome: Outcome.PROCESSED }],
    [{ from: 12, count: 1, outcome: Outcome.REJECTED }],
    [{ from: 13, count: 2, outcome: Outcome.PROCESSED }],
  ])
  await source.close()
})

t.test('after a crash in the middle of a batch the rest of it comes, and no more', async (t) => {
  const first = await sourceOf(t, { queue: 'q', format: 'file' })
  await first.open(null)
  const batch = sealed([0, 1, 2].map((i) => fileMessage(`f${i}`, 20 * 2 ** 20)))
  first.receive(delivered({ position: 10 }, batch))
  const portion = await first.source.next()
  const next = await sourceOf(t, { queue: 'q', format: 'file' })
  await next.open(portion?.cursor ?? '')
  next.receive(delivered({ position: 10, attempt: 2 }, batch))
  const rest = [await next.source.next(), await next.source.next(), await next.source.next()]
  t.strictSame(
    rest.map((each) => each?.items.map(({ row }) => row.name)),
    [['f1'], ['f2'], undefined],
  )
  await Promise.all([first.source.close(), next.source.close()])
})
