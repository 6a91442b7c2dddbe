// The producing half on a real store, fed frame by frame.

import t, { type Test } from 'tap'
import { HubStore, policyOf } from '#hub/store/mod.ts'
import { type Batch, contentsIn, type Headers, NO_CONTENTS, PLAIN } from '#protocol/codec/mod.ts'
import { KEY, message, sealed } from '#protocol/codec/testing.ts'
import { FRAME_ACCEPTED, FRAME_CREDIT, FRAME_HEADER_BYTES, FRAME_REFUSED } from '#protocol/frame/mod.ts'
import { decodeAccepted, decodeCredit, decodeRefused } from '#protocol/schema/mod.ts'
import { batchFrameStart } from '#protocol/session/mod.ts'
import { CREDIT_BYTES_FIRST, CreditPool } from './credit.ts'
import { Producer } from './producer.ts'
import type { Tally } from './tally.ts'

const CREDIT_BYTES = CREDIT_BYTES_FIRST

async function producerOn(t: Test) {
  const store = await HubStore.open({ dataDir: t.testdir(), mapBytesMax: 2 ** 26, cacheBytes: 2 ** 20 })
  t.teardown(() => store.close())
  const tally = emptyTally()
  /** Large contents the hub has. */
  const known = new Set<string>()
  const sent: [kind: number, body: Buffer][] = []
  const answered = new Map<number, (body: Buffer) => void>()
  const producer = new Producer({
    agent: 'agent-a',
    publicKey: KEY.publicKey,
    publishPatterns: ['division/#'],
    store,
    route: (batch, unrouted) => ({
      placements: [{ queue: unrouted, selection: null, count: batch.count, partition: 0, attributes: PLAIN }],
      unroutedCount: batch.count,
      contents: contentsIn(batch),
    }),
    contentKnown: (id) => known.has(id),
    streamsMax: 2,
    // Nothing beside its first part.
    credit: new CreditPool(0),
    tally,
    send: (kind, _channel, body) => {
      sent.push([kind, Buffer.from(body)])
      answered.get(kind)?.(Buffer.from(body))
    },
    onRefused: () => undefined,
  })
  const next = (kind: number) => new Promise<Buffer>((resolve) => answered.set(kind, resolve))
  return { producer, sent, next, tally, store, known }
}

const emptyTally = (): Tally => ({
  accepted: 0,
  acceptedBytes: 0,
  duplicate: 0,
  delivered: 0,
  deliveredBytes: 0,
  processed: 0,
  rejected: 0,
  retried: 0,
  sessions: 0,
})

/** A BATCH body with one message. */
function batchBody(
  firstSeq: number,
  of: { bytes?: number; topic?: string; streamId?: number; headers?: Headers } = {},
): Buffer {
  const { bytes = 10, topic = 'division/x', streamId = 1, headers = {} } = of
  const batch = sealed([message('x'.repeat(bytes), { topic, headers })], { firstSeq })
  return Buffer.concat([batchFrameStart(2, streamId, batch.length).subarray(FRAME_HEADER_BYTES), batch])
}

const stream = { request: 1, stream: 'main', epoch: 3 }

t.test('batches of one turn are acknowledged together, when they are on disk', async (t) => {
  const { producer, sent, next } = await producerOn(t)
  t.same(producer.open(stream), { streamId: 1, lastSeq: 0 })
  const accepted = next(FRAME_ACCEPTED)
  const bodies = [1, 2, 3].map((seq) => batchBody(seq))
  for (const body of bodies) producer.batch(body)
  t.same(sent, [])
  t.match(decodeAccepted(await accepted), {
    streamId: 1,
    lastSeq: 3,
    unrouted: 3,
    creditBytes: CREDIT_BYTES + bodies.reduce((sum, { length }) => sum + length, 0),
  })
  t.equal(sent.length, 1)
  t.same(producer.open(stream), { streamId: 1, lastSeq: 3 }, 'a stream opened again is the same')
})

t.test('who sends beyond his credit is cut off: one batch may begin within it', async (t) => {
  const { producer } = await producerOn(t)
  producer.open(stream)
  producer.batch(batchBody(1, { bytes: 150_000 }))
  producer.batch(batchBody(2, { bytes: 150_000 }))
  t.throws(() => producer.batch(batchBody(3, { bytes: 1 })), { code: 'SESSION_CREDIT_EXCEEDED' })
})

t.test('what was refused gives its credit back and names the last number on disk', async (t) => {
  const { producer, next } = await producerOn(t)
  producer.open(stream)
  const refused = next(FRAME_REFUSED)
  const credit = next(FRAME_CREDIT)
  const body = batchBody(1, { topic: 'secret', bytes: 5000 })
  producer.batch(body)
  t.match(decodeRefused(await refused), { streamId: 1, firstSeq: 1, lastSeq: 0, fault: { code: 'RIGHT_MISSING' } })
  t.match(decodeCredit(await credit), { consumer: 0, bytes: CREDIT_BYTES + body.length })
  const accepted = next(FRAME_ACCEPTED)
  producer.batch(batchBody(1))
  t.equal(decodeAccepted(await accepted).lastSeq, 1, 'the same number is free for an allowed batch')
})

t.test('streams: at most as many as agreed, named, and known before batches come', async (t) => {
  const { producer } = await producerOn(t)
  t.throws(() => producer.batch(batchBody(1)), { code: 'STREAM_UNKNOWN' })
  t.throws(() => producer.open({ ...stream, stream: '' }), { code: 'STREAM_UNNAMED' })
  producer.open(stream)
  producer.open({ ...stream, epoch: 4 })
  t.throws(() => producer.open({ ...stream, stream: 'third' }), { code: 'SESSION_LIMIT' })
  t.throws(() => producer.batch(batchBody(1, { streamId: 2 })), { code: 'BATCH_FOREIGN' }, 'another epoch')
  t.throws(() => producer.batch(batchBody(1, { streamId: 3 })), { code: 'STREAM_UNKNOWN' })
})

t.test('a batch that comes again is acknowledged again, and counted as what it is', async (t) => {
  const { producer, next, tally } = await producerOn(t)
  producer.open(stream)
  for (let i = 0; i < 2; i++) {
    const accepted = next(FRAME_ACCEPTED)
    producer.batch(batchBody(1))
    t.equal(decodeAccepted(await accepted).lastSeq, 1)
  }
  t.match(tally, { accepted: 1, duplicate: 1 })
})

t.test('a full queue is answered with its own code, and may be tried again', async (t) => {
  const { producer, next, store } = await producerOn(t)
  const full = await store.queues.declare({
    name: 'full',
    rule: { topics: [], where: {} },
    owner: null,
    ephemeral: false,
    policy: policyOf({ messagesMax: 1 }),
  })
  Reflect.set(Reflect.get(producer, 'options') as object, 'route', (batch: Batch) => ({
    placements: [{ queue: full, selection: null, count: batch.count, partition: 0, attributes: PLAIN }],
    unroutedCount: 0,
    contents: NO_CONTENTS,
  }))
  producer.open(stream)
  const accepted = next(FRAME_ACCEPTED)
  producer.batch(batchBody(1))
  await accepted
  const refused = next(FRAME_REFUSED)
  producer.batch(batchBody(2))
  t.match(decodeRefused(await refused), { firstSeq: 2, lastSeq: 1, fault: { code: 'QUEUE_FULL', retry: true } })
})

t.test('a message may refer to what the hub has; otherwise its batch is kept by the sender', async (t) => {
  const { producer, next, store, known, sent } = await producerOn(t)
  producer.open(stream)
  const [first, second] = ['1'.repeat(32), '2'.repeat(32)] as const
  known.add(first)
  const both = batchBody(1, { headers: { ':content': `${first} ${second}` } })
  const refused = next(FRAME_REFUSED)
  producer.batch(both)
  t.match(decodeRefused(await refused), { firstSeq: 1, lastSeq: 0, fault: { code: 'CONTENT_MISSING', retry: true } })
  t.strictSame([store.contentHolds.count(first), store.contentHolds.count(second)], [0, 0])
  known.add(second)
  const accepted = next(FRAME_ACCEPTED)
  producer.batch(both)
  t.strictSame(
    [first, second].map((id) => store.contentHolds.count(id)),
    [1, 1],
    'held before it is acknowledged',
  )
  t.equal(decodeAccepted(await accepted).lastSeq, 1)
  // Settled everywhere, they went; its acknowledgement got lost.
  known.clear()
  const again = next(FRAME_ACCEPTED)
  producer.batch(both)
  t.equal(decodeAccepted(await again).lastSeq, 1, 'a batch that comes again is not asked for its contents')
  t.equal(sent.filter(([kind]) => kind === FRAME_REFUSED).length, 1)
})
