// What applications rely on when they publish: sizes, rights, repeats, and that nobody is given more than he asked for.

import { randomBytes } from 'node:crypto'
import t from 'tap'
import { HubConnection } from '#agent/client/connection.ts'
import type { Client, StreamSender } from '#agent/client/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'
import { BatchBuilder } from '#protocol/codec/mod.ts'
import { signingKey } from '#protocol/crypto/mod.ts'
import {
  BODY_BYTES_MAX,
  CHANNEL_MESSAGES,
  CHANNEL_RECEIPTS,
  FRAME_ACCEPTED,
  FRAME_CREDIT,
  FRAME_DELIVER,
  FRAME_OPEN_STREAM,
  FRAME_ORIGIN,
  FRAME_REFUSED,
  FRAME_SETTLE,
  FRAME_SETTLED,
  FRAME_STREAM_OPENED,
  FRAME_SUBSCRIBE,
  FRAME_SUBSCRIBED,
} from '#protocol/frame/mod.ts'
import {
  type Accepted,
  decodeAccepted,
  decodeRefused,
  decodeStreamOpened,
  decodeSubscribed,
  encodeOpenStream,
  encodeSettle,
  encodeSubscribe,
  type Outcome,
  type Refused,
} from '#protocol/schema/mod.ts'
import { batchFrameStart, parseDeliverPrefix } from '#protocol/session/mod.ts'
import { bodiesOf, eventually, inTime, localHub, nextOf, numbered } from './support.ts'

const hub = await localHub(t, {
  queues: [
    { name: 'in', topics: ['in/#'] },
    { name: 'sizes', topics: ['sizes'] },
    { name: 'once', topics: ['once'] },
    { name: 'slow', topics: ['slow'] },
    { name: 'bad-settler', topics: ['bad-settler'] },
  ],
})

/** A connection without the client library on it: frames as a test wants them. */
async function bareConnection(agent: string): Promise<HubConnection> {
  await hub.enroll(agent)
  const identity = loadIdentity(hub.identityFolder(agent))
  const connection = await HubConnection.open({
    address: hub.tcpAddress,
    identity,
    onDrain: () => undefined,
    onBytes: () => undefined,
  })
  for (const kind of [FRAME_CREDIT, FRAME_ACCEPTED, FRAME_REFUSED]) connection.listen(kind, () => undefined)
  connection.listen(FRAME_STREAM_OPENED, (_kind, body) => connection.answer(decodeStreamOpened(body).request, body))
  connection.listen(FRAME_SUBSCRIBED, (_kind, body) => connection.answer(decodeSubscribed(body).request, body))
  t.teardown(() => connection.close(new Error('the test is over') as never))
  return connection
}

function sealedBatch(agent: string, of: { stream: string; firstSeq: number; bodies: readonly string[] }): Buffer {
  const builder = new BatchBuilder()
  for (const body of of.bodies) builder.add('once', {}, null, Buffer.from(body))
  const key = signingKey(loadIdentity(hub.identityFolder(agent)).key)
  const { stream, firstSeq } = of
  return builder.seal({
    origin: agent,
    stream,
    epoch: 7,
    firstSeq,
    sealedAtMs: Date.now(),
    key,
    compression: 'none',
    tree: false,
  })
}

async function openStream(connection: HubConnection, stream: string): Promise<{ streamId: number; lastSeq: number }> {
  const opening = { stream, epoch: 7, knownSeq: 0, knownStore: Buffer.alloc(0), skip: false }
  const body = await connection.request(FRAME_OPEN_STREAM, (request) => encodeOpenStream({ request, ...opening }))
  return decodeStreamOpened(body)
}

function sendBatch(connection: HubConnection, streamId: number, bytes: Buffer): void {
  connection.sendParts(batchFrameStart(CHANNEL_MESSAGES, streamId, bytes.length), bytes)
}

t.test('a body of nothing, of exactly the limit, and one byte above it', async (t) => {
  const producer = await hub.client('sizes-out')
  const publisher = producer.publisher({ stream: 'sizes' })
  const largest = randomBytes(BODY_BYTES_MAX)
  t.throws(() => publisher.publish({ topic: 'sizes', body: Buffer.alloc(BODY_BYTES_MAX + 1) }), {
    code: 'BODY_TOO_LARGE',
  })
  await publisher.publish({ topic: 'sizes', body: Buffer.alloc(0) })
  await publisher.publish({ topic: 'sizes', body: largest })
  await publisher.publish({ topic: 'sizes', body: Buffer.from('after') })
  const reader = await hub.client('sizes-in')
  const subscription = await reader.subscribe({ queue: 'sizes' })
  const lengths: number[] = []
  while (lengths.length < 3) {
    const delivery = await nextOf(subscription)
    for (const { body } of delivery) {
      lengths.push(body.length)
      if (body.length === BODY_BYTES_MAX) t.ok(body.equals(largest), 'unaltered')
    }
    delivery.settle()
  }
  t.same(lengths, [0, BODY_BYTES_MAX, 5])
})

t.test('topics and headers that cannot be are refused at once, and nothing of them is sent', async (t) => {
  const producer = await hub.client('invalid')
  const publisher = producer.publisher({ stream: 'invalid' })
  const body = Buffer.from('x')
  for (const topic of ['', '/a', 'a//b', 'a/#', 'a/+/b', 'a\u0000b', 'x'.repeat(256)]) {
    t.throws(() => publisher.publish({ topic, body }), { code: 'TOPIC_INVALID' }, JSON.stringify(topic))
  }
  const nested = { deep: { no: 1 } } as unknown as Record<string, string>
  t.throws(() => publisher.publish({ topic: 'in/a', headers: nested, body }), { code: 'HEADERS_INVALID' })
  const before = hub.queue('in').tail
  await publisher.publish({ topic: 'in/a', body })
  t.equal(hub.queue('in').tail, before + 1)
})

t.test('a batch sent again is acknowledged again and stored once', async (t) => {
  const connection = await bareConnection('repeats')
  const { streamId, lastSeq } = await openStream(connection, 'repeats')
  t.equal(lastSeq, 0)
  const acks: Accepted[] = []
  const acknowledged = Promise.withResolvers<void>()
  connection.listen(FRAME_ACCEPTED, (_kind, body) => {
    acks.push(decodeAccepted(body))
    if (acks.length >= 2) acknowledged.resolve()
  })
  const bytes = sealedBatch('repeats', { stream: 'repeats', firstSeq: 1, bodies: numbered(3) })
  sendBatch(connection, streamId, bytes)
  await eventually('stored', () => hub.queue('once').depth === 3)
  sendBatch(connection, streamId, bytes)
  await inTime(acknowledged.promise, 'the second acknowledgement')
  t.same(
    acks.map((ack) => ack.lastSeq),
    [3, 3],
  )
  t.equal(hub.queue('once').depth, 3)
  t.equal(hub.status().messages.duplicate, 3)
  t.equal((await openStream(connection, 'repeats')).lastSeq, 3, 'the hub says where to go on')
})

t.test('a batch that leaves out numbers, or cuts old ones anew, is refused and changes nothing', async (t) => {
  const connection = await bareConnection('gaps')
  const { streamId } = await openStream(connection, 'gaps')
  const refused: Refused[] = []
  const both = Promise.withResolvers<void>()
  connection.listen(FRAME_REFUSED, (_kind, body) => {
    refused.push(decodeRefused(body))
    if (refused.length === 2) both.resolve()
  })
  const accepted = new Promise((resolve) => connection.listen(FRAME_ACCEPTED, resolve))
  sendBatch(connection, streamId, sealedBatch('gaps', { stream: 'gaps', firstSeq: 1, bodies: numbered(2) }))
  await inTime(accepted, 'acceptance')
  const before = hub.queue('once').tail
  sendBatch(connection, streamId, sealedBatch('gaps', { stream: 'gaps', firstSeq: 5, bodies: ['gap'] }))
  sendBatch(connection, streamId, sealedBatch('gaps', { stream: 'gaps', firstSeq: 2, bodies: ['again', 'new'] }))
  await inTime(both.promise, 'two refusals')
  t.match(
    refused.map(({ fault, lastSeq }) => [fault?.code, lastSeq]),
    [
      ['STREAM_GAP', 2],
      ['STREAM_OVERLAP', 2],
    ],
  )
  t.equal(hub.queue('once').tail, before)
  t.ok(connection.alive)
})

t.test('a batch that somebody else sealed ends the connection', async (t) => {
  await hub.enroll('victim')
  const connection = await bareConnection('thief')
  const { streamId } = await openStream(connection, 'stolen')
  sendBatch(connection, streamId, sealedBatch('victim', { stream: 'stolen', firstSeq: 1, bodies: ['x'] }))
  const fault = await inTime(connection.closed, 'the end')
  t.match(fault, { details: { peerCode: 'BATCH_FOREIGN' } })
})

t.test('a batch that was altered on its way ends the connection, and nothing of it is stored', async (t) => {
  const connection = await bareConnection('altered')
  const { streamId } = await openStream(connection, 'altered')
  const before = hub.queue('once').tail
  const bytes = sealedBatch('altered', { stream: 'altered', firstSeq: 1, bodies: ['pay 100'] })
  bytes.writeUInt8((bytes.at(-1) as number) ^ 1, bytes.length - 1)
  sendBatch(connection, streamId, bytes)
  t.match(await inTime(connection.closed, 'the end'), { details: { peerCode: 'BATCH_DAMAGED' } })
  t.equal(hub.queue('once').tail, before)
})

t.test('without the right: the promise rejects, nothing is stored, and what is allowed goes on at once', async (t) => {
  const producer = await hub.client('limited', { publish: ['in/allowed/#'], consume: ['in'] })
  const publisher = producer.publisher({ stream: 'limited' })
  const before = hub.queue('in').tail
  const body = Buffer.from('x')
  for (let i = 0; i < 5; i++) await publisher.publish({ topic: 'in/allowed/x', body })
  const refusal = { code: 'PUBLISH_REFUSED', details: { hubCode: 'RIGHT_MISSING' }, remedy: /causeway-hub grant/ }
  // A pause would be seconds each time; on a busy machine it may be one once.
  let published = 5
  for (let quick = false; !quick && published < 20; published++) {
    await t.rejects(publisher.publish({ topic: 'in/forbidden', body }), refusal)
    const startedAt = performance.now()
    await inTime(publisher.publish({ topic: 'in/allowed/y', body }), 'publishing after a refusal')
    quick = performance.now() - startedAt < 1000
    t.ok(quick || published < 19, 'without a pause')
  }
  t.equal(hub.queue('in').tail, before + published)
  t.ok(producer.connected)
})

t.test('flush tells of what was refused although nobody awaited its promise', async (t) => {
  const producer = await hub.client('unheard', { publish: ['in/allowed'], consume: ['in'] })
  const publisher = producer.publisher({ stream: 'unheard' })
  const first = publisher.publish({ topic: 'in/forbidden', body: Buffer.from('x') })
  await t.rejects(first)
  await t.rejects(publisher.flush(), { code: 'PUBLISH_REFUSED' })
  await publisher.flush()
})

t.test('refused batches take no credit: after 20 MiB of them the connection still publishes', async (t) => {
  const producer = await hub.client('stubborn', { publish: ['in/allowed'], consume: ['in'] })
  const publisher = producer.publisher({ stream: 'stubborn' })
  const body = Buffer.alloc(512 * 1024)
  let refused = 0
  for (let round = 0; round < 4; round++) {
    const burst = Array.from({ length: 10 }, () => publisher.publish({ topic: 'in/forbidden', body }))
    refused += (await Promise.allSettled(burst)).filter(({ status }) => status === 'rejected').length
  }
  t.equal(refused, 40)
  await inTime(publisher.publish({ topic: 'in/allowed', body }), 'publishing')
})

t.test('without the right nobody consumes', async (t) => {
  const agent = await hub.client('blind', { publish: ['in/#'], consume: ['own/#'] })
  const refused = { code: 'REQUEST_REFUSED', details: { hubCode: 'RIGHT_MISSING' } }
  await t.rejects(agent.subscribe({ queue: 'in' }), refused)
  await t.rejects(agent.subscribe({ name: 'all', topics: ['#'] }), refused, 'a pattern wider than the right')
  await t.rejects(agent.subscribe({ name: 'all', topics: ['own/+', 'other'] }), refused, 'every topic is looked at')
  await agent.subscribe({ name: 'own', topics: ['own/+/deep'] })
})

t.test('a consumer with credit for one message has one at a time', async (t) => {
  const producer = await hub.client('one-out')
  const publisher = producer.publisher({ stream: 'one' })
  for (const body of numbered(5)) void publisher.publish({ topic: 'slow', body: Buffer.from(body) })
  await publisher.flush()
  const reader = await hub.client('one-in')
  const subscription = await reader.subscribe({ queue: 'slow', creditMessages: 1 })
  const got: string[] = []
  for (let i = 0; i < 5; i++) {
    const delivery = await nextOf(subscription)
    t.equal(delivery.count, 1)
    t.equal(hub.queue('slow').inFlight, 1)
    t.equal(subscription.hasNext, false)
    got.push(delivery.message(0).body.toString())
    delivery.settle()
  }
  t.same(got, numbered(5))
  subscription.close()
})

t.test('a slow consumer is never sent more than its credit in bytes and one batch', async (t) => {
  const producer = await hub.client('heavy-out')
  const publisher = producer.publisher({ stream: 'heavy' })
  const batchBytes = 64 * 1024
  for (let i = 0; i < 60; i++) await publisher.publish({ topic: 'slow', body: randomBytes(batchBytes) })
  const reader = await hub.client('heavy-in')
  const creditBytes = 4 * batchBytes
  const subscription = await reader.subscribe({ queue: 'slow', creditBytes })
  let most = 0
  for (let i = 0; i < 60; i++) {
    const delivery = await nextOf(subscription)
    most = Math.max(most, hub.queue('slow').inFlight)
    delivery.settle()
  }
  t.ok(most >= 2 && most <= 5, `${most} batches under way`)
})

t.test('a settlement with an unknown outcome ends the connection, and the message goes to somebody else', async (t) => {
  const producer = await hub.client('bad-out')
  await producer.publisher({ stream: 'bad' }).publish({ topic: 'bad-settler', body: Buffer.from('precious') })
  const connection = await bareConnection('bad-settler')
  const delivered = Promise.withResolvers<number>()
  for (const kind of [FRAME_ORIGIN, FRAME_SETTLED]) connection.listen(kind, () => undefined)
  connection.listen(FRAME_DELIVER, (_kind, body) => delivered.resolve(parseDeliverPrefix(body).position))
  const answer = await connection.request(FRAME_SUBSCRIBE, (request) =>
    encodeSubscribe({
      request,
      queue: 'bad-settler',
      name: '',
      topics: [],
      where: [],
      ephemeral: false,
      creditBytes: 1e6,
      creditMessages: 10,
      policy: null,
    }),
  )
  const from = await inTime(delivered.promise, 'the delivery')
  const { consumer } = decodeSubscribed(answer)
  const ranges = [{ from, count: 1, outcome: 0 as Outcome, reason: '', lane: 0, delayMs: 0 }]
  connection.send(FRAME_SETTLE, CHANNEL_RECEIPTS, encodeSettle({ consumer, settleId: 1, ranges }))
  t.match(await inTime(connection.closed, 'the end'), { details: { peerCode: 'SETTLEMENT_INVALID' } })
  const heir = await hub.client('bad-heir')
  t.same(await bodiesOf(await heir.subscribe({ queue: 'bad-settler' }), 1), ['precious'])
})

t.test('a client that was closed says so', async (t) => {
  const agent = await hub.client('closed')
  const publisher = agent.publisher({ stream: 'closed' })
  await agent.close()
  t.throws(() => publisher.publish({ topic: 'in/x', body: Buffer.from('x') }), { code: 'CLIENT_CLOSED' })
  t.throws(() => agent.publisher({ stream: 'other' }), { code: 'CLIENT_CLOSED' })
  await t.rejects(agent.subscribe({ queue: 'in' }), { code: 'CLIENT_CLOSED' })
})

t.test(
  'a spool-like sender: refused batches are tried again, and stored as soon as the right is granted',
  async (t) => {
    const name = 'patient'
    const agent: Client = await hub.client(name, { publish: ['nothing'], consume: [] })
    const bytes = sealedBatch(name, { stream: 'patient', firstSeq: 1, bodies: numbered(2) })
    const released = Promise.withResolvers<number>()
    const refused = Promise.withResolvers<void>()
    const sender: StreamSender = agent.sendFrom(
      {
        name: 'patient',
        epoch: 7,
        releasedSeq: 0,
        releasedTo: null,
        read: ({ seq }) => (seq === 1 ? [{ firstSeq: 1, count: 2, bytes }] : []),
        release: async (seq) => {
          if (seq > 0) released.resolve(seq)
        },
      },
      {
        onAccepted: () => undefined,
        onRefused: () => refused.resolve(),
        onUnrouted: () => undefined,
        onError: (fault) => released.reject(fault),
        onLost: (fault) => released.reject(fault),
      },
    )
    await inTime(refused.promise, 'the refusal')
    hub.authority.agents.grant(name, { publish: ['once'], consume: [] })
    // Rights count from the next session on: the agent reconnects by itself after the hub was restarted.
    await hub.restart()
    t.equal(await inTime(released.promise, 'acceptance'), 2)
    agent.removeSender(sender)
  },
)
