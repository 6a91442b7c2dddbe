import t from 'tap'
import { faultCode } from '#protocol/bytes/testing.ts'
import {
  type Arrived,
  CHUNK_BYTES_MAX,
  CHUNK_BYTES_MIN,
  CHUNKS_PER_FRAME_MAX,
  ChunkList,
  CUT_CHUNK_BYTES_MIN,
  DAMAGED_TRIES_MAX,
  Incoming,
  runsOf,
  WINDOW_BYTES,
} from './mod.ts'

const SIZE = CHUNK_BYTES_MIN
const digests = (count: number): Buffer => Buffer.alloc(32 * count, 1)
const allocate = (bytes: number): Buffer => Buffer.alloc(bytes)

type Sink = { incoming: Incoming; allocatedBytes: number }

/** All chunks are named and wanted. */
function sinkOf(chunks: number, { chunkBytes = SIZE, windowBytes = WINDOW_BYTES, encoded = false } = {}): Sink {
  const list = new ChunkList({ size: chunks * chunkBytes, chunkBytes })
  const sink: Sink = {
    incoming: new Incoming({
      list,
      windowBytes,
      encoded,
      allocate(bytes) {
        sink.allocatedBytes += bytes
        return Buffer.alloc(bytes)
      },
    }),
    allocatedBytes: 0,
  }
  if (chunks > 0) sink.incoming.named({ first: 0, digests: digests(chunks), lengths: [] })
  for (let chunk = 0; chunk < chunks; chunk++) sink.incoming.wanted(chunk)
  return sink
}

/** A part of a chunk, filled with its number. */
function send(incoming: Incoming, chunk: number, offset = 0, bytes = SIZE): Arrived | null {
  return incoming.data({ transfer: 1, chunk, offset, encodedBytes: 0, bytes: Buffer.alloc(bytes, chunk) })
}

/** The same of one that is encoded. */
function sendEncoded(incoming: Incoming, chunk: number, encodedBytes: number, offset = 0, bytes = encodedBytes) {
  return incoming.data({ transfer: 1, chunk, offset, encodedBytes, bytes: Buffer.alloc(bytes, chunk) })
}

t.test('a chunk is put together from its parts', async (t) => {
  const { incoming } = sinkOf(3)
  t.equal(send(incoming, 2, 0, 1000), null)
  t.equal(send(incoming, 2, 1000, 1), null)
  const arrived = send(incoming, 2, 1001, SIZE - 1001)
  t.equal(arrived?.chunk, 2)
  t.ok(arrived?.bytes.equals(Buffer.alloc(SIZE, 2)))
  t.strictSame([incoming.receivedBytes, incoming.storedChunks, incoming.complete], [SIZE, 0, false])
  incoming.keep(2, { received: true })
  incoming.keep(0, { received: false })
  t.equal(incoming.complete, false)
  send(incoming, 1)
  incoming.keep(1, { received: true })
  t.strictSame([incoming.complete, incoming.storedChunks, incoming.receivedBytes], [true, 3, 2 * SIZE])
})

t.test('content of no bytes is complete as soon as it is begun', async (t) => {
  const { incoming } = sinkOf(0)
  t.strictSame([incoming.complete, incoming.storedChunks], [true, 0])
  t.equal(
    faultCode(() => incoming.named({ first: 0, digests: digests(1), lengths: [] })),
    'TRANSFER_MALFORMED',
  )
})

t.test('CHUNKS that do not fit', async (t) => {
  const cases: readonly (readonly [string, boolean, Parameters<Incoming['named']>[0]])[] = [
    ['none', false, { first: 0, digests: Buffer.alloc(0), lengths: [] }],
    ['a cut digest', false, { first: 0, digests: Buffer.alloc(33), lengths: [] }],
    ['a gap', false, { first: 1, digests: digests(1), lengths: [] }],
    ['far off', false, { first: 0xffff_ffff, digests: digests(1), lengths: [] }],
    ['more than the content has', false, { first: 0, digests: digests(5), lengths: [] }],
    ['too many for a frame', false, { first: 0, digests: digests(CHUNKS_PER_FRAME_MAX + 1), lengths: [] }],
    ['lengths where the plan says them', false, { first: 0, digests: digests(1), lengths: [SIZE] }],
    ['no lengths where it does not', true, { first: 0, digests: digests(1), lengths: [] }],
    ['a length too few', true, { first: 0, digests: digests(2), lengths: [SIZE] }],
    ['a length of nothing', true, { first: 0, digests: digests(1), lengths: [0] }],
    ['a short one in the middle', true, { first: 0, digests: digests(1), lengths: [CUT_CHUNK_BYTES_MIN - 1] }],
    ['one too long', true, { first: 0, digests: digests(1), lengths: [CHUNK_BYTES_MAX + 1] }],
    ['a length of 2^32 - 1', true, { first: 0, digests: digests(1), lengths: [0xffff_ffff] }],
  ]
  for (const [what, variable, frame] of cases) {
    const list = new ChunkList({ size: 4 * SIZE, chunkBytes: variable ? 0 : SIZE })
    t.equal(
      faultCode(() => new Incoming({ list, allocate }).named(frame)),
      'TRANSFER_MALFORMED',
      what,
    )
  }
  const { incoming } = sinkOf(2)
  t.equal(
    faultCode(() => incoming.named({ first: 0, digests: digests(2), lengths: [] })),
    'TRANSFER_MALFORMED',
    'the same again',
  )
})

t.test('parts that do not fit', async (t) => {
  const bad: Readonly<Record<string, (incoming: Incoming) => unknown>> = {
    'a chunk that was never named': (incoming) => send(incoming, 3),
    'a chunk of 2^32 - 1': (incoming) => send(incoming, 0xffff_ffff),
    'not from its beginning': (incoming) => send(incoming, 0, 1, 10),
    'an offset of 2^32 - 1': (incoming) => send(incoming, 0, 0xffff_ffff, 10),
    'longer than the chunk': (incoming) => send(incoming, 0, 0, SIZE + 1),
    'a gap': (incoming) => [send(incoming, 0, 0, 10), send(incoming, 0, 11, 10)],
    'the same part again': (incoming) => [send(incoming, 0, 0, 10), send(incoming, 0, 0, 10)],
    'beyond its end': (incoming) => [send(incoming, 0, 0, 10), send(incoming, 0, 10, SIZE)],
    'another one before it is whole': (incoming) => [send(incoming, 0, 0, 10), send(incoming, 1)],
    'the same chunk again': (incoming) => [send(incoming, 0), send(incoming, 0)],
  }
  for (const [what, work] of Object.entries(bad)) {
    const sink = sinkOf(3)
    t.equal(
      faultCode(() => work(sink.incoming)),
      'TRANSFER_MALFORMED',
      what,
    )
    t.ok(sink.allocatedBytes <= 2 * SIZE)
  }
  const list = new ChunkList({ size: SIZE, chunkBytes: SIZE })
  const incoming = new Incoming({ list, allocate })
  incoming.named({ first: 0, digests: digests(1), lengths: [] })
  t.equal(
    faultCode(() => send(incoming, 0)),
    'TRANSFER_MALFORMED',
    'nobody asked for it',
  )
})

t.test('no more than the window is taken until something is done with', async (t) => {
  const { incoming } = sinkOf(20, { windowBytes: 2 * SIZE + 10 })
  t.equal(incoming.creditBytes, 2 * SIZE + 10)
  send(incoming, 0)
  send(incoming, 1)
  send(incoming, 2, 0, 10)
  t.equal(
    faultCode(() => send(incoming, 2, 10, 1)),
    'TRANSFER_MALFORMED',
  )
  t.equal(incoming.creditBytes, 2 * SIZE + 10, 'received is not done with')
  incoming.keep(0, { received: true })
  t.equal(
    faultCode(() => send(incoming, 2, 10, 1)),
    'TRANSFER_MALFORMED',
    'not before the source was told',
  )
  t.equal(incoming.creditBytes, 3 * SIZE + 10)
  t.equal(send(incoming, 2, 10, SIZE - 10)?.chunk, 2)
  incoming.keep(19, { received: false })
  t.equal(incoming.creditBytes, 3 * SIZE + 10, 'what did not come makes no room')
})

t.test('a window is never smaller than a chunk', async (t) => {
  const credit = (plan: { size: number; chunkBytes: number }, windowBytes: number) =>
    new Incoming({ list: new ChunkList(plan), allocate, windowBytes }).creditBytes
  t.equal(credit({ size: 100 * SIZE, chunkBytes: 2 * SIZE }, 1), 2 * SIZE)
  t.equal(credit({ size: SIZE, chunkBytes: 2 * SIZE }, 1), SIZE)
  t.equal(credit({ size: 100 * CHUNK_BYTES_MAX, chunkBytes: 0 }, 1), CHUNK_BYTES_MAX)
  t.ok(WINDOW_BYTES >= CHUNK_BYTES_MAX && WINDOW_BYTES < 16_000_000)
})

t.test('a damaged chunk is asked for again, makes room, and is not asked for for ever', async (t) => {
  const { incoming } = sinkOf(1, { windowBytes: 1 })
  for (let tries = 1; tries < DAMAGED_TRIES_MAX; tries++) {
    t.ok(send(incoming, 0))
    incoming.damaged(0)
    t.equal(incoming.creditBytes, (tries + 1) * SIZE)
  }
  t.ok(send(incoming, 0))
  t.equal(
    faultCode(() => incoming.damaged(0)),
    'CHUNK_DAMAGED',
  )
})

t.test('a chunk may come as often as it was asked for', async (t) => {
  const { incoming } = sinkOf(2, { windowBytes: 10 * SIZE })
  incoming.wanted(0)
  send(incoming, 0, 0, 10)
  incoming.wanted(0)
  t.ok(send(incoming, 0, 10, SIZE - 10))
  t.ok(send(incoming, 0))
  t.ok(send(incoming, 0))
  t.equal(
    faultCode(() => send(incoming, 0)),
    'TRANSFER_MALFORMED',
    'three times, not four',
  )
  for (let i = 0; i < 3; i++) incoming.keep(0, { received: true })
  t.equal(incoming.creditBytes, 13 * SIZE)
  incoming.wanted(0)
  t.equal(send(incoming, 0), null, 'stored meanwhile: nobody needs it')
  t.equal(incoming.creditBytes, 14 * SIZE)
  t.throws(() => incoming.wanted(2), 'never named')
})

t.test('a chunk that is stored by another way while it is asked for', async (t) => {
  const sink = sinkOf(2, { windowBytes: 2 * SIZE })
  const { incoming } = sink
  t.equal(incoming.keep(0, { received: false }), null)
  t.equal(send(incoming, 0, 0, 10), null, 'it may have been under way')
  t.equal(send(incoming, 0, 10, SIZE - 10), null, 'and nobody needs it')
  t.equal(sink.allocatedBytes, 0)
  t.equal(incoming.creditBytes, 3 * SIZE, 'it takes no room')
  t.ok(send(incoming, 1))
  incoming.keep(1, { received: true })
  t.strictSame([incoming.complete, incoming.creditBytes], [true, 4 * SIZE])
})

for (const goesOn of [true, false]) {
  t.test(
    `a chunk stored by another way while it is received; the source ${goesOn ? 'goes on' : 'stops'}`,
    async (t) => {
      const { incoming } = sinkOf(2, { windowBytes: 2 * SIZE })
      send(incoming, 0, 0, 10)
      t.equal(incoming.keep(0, { received: false })?.length, SIZE, 'the buffer is given back')
      t.equal(incoming.creditBytes, 2 * SIZE + 10, 'with the room')
      if (goesOn) t.equal(send(incoming, 0, 10, SIZE - 10), null)
      t.ok(send(incoming, 1))
      incoming.keep(1, { received: true })
      t.ok(incoming.complete)
      t.equal(incoming.creditBytes, 3 * SIZE + (goesOn ? SIZE : 10))
    },
  )
}

t.test('an encoded chunk comes in its own length and counts for that of the chunk', async (t) => {
  const sink = sinkOf(3, { windowBytes: 2 * SIZE, encoded: true })
  const { incoming } = sink
  t.equal(sendEncoded(incoming, 0, 1000, 0, 500), null)
  t.equal(incoming.receivedBytes, SIZE / 2)
  t.equal(sendEncoded(incoming, 0, 1000, 500, 1), null)
  t.equal(incoming.receivedBytes, Math.floor((501 * SIZE) / 1000))
  const arrived = sendEncoded(incoming, 0, 1000, 501, 499)
  t.strictSame([arrived?.chunk, arrived?.encodedBytes, arrived?.bytes.length], [0, 1000, SIZE])
  t.ok(arrived?.bytes.subarray(0, 1000).equals(Buffer.alloc(1000, 0)))
  t.strictSame([incoming.receivedBytes, sink.allocatedBytes], [SIZE, SIZE])
  t.equal(send(incoming, 1)?.encodedBytes, 0, 'others come as they are')
  t.equal(
    faultCode(() => sendEncoded(incoming, 2, 1000, 0, 1)),
    'TRANSFER_MALFORMED',
    'a byte counts for 65 of content, and the window is full',
  )
})

t.test('an encoded chunk makes room as any other', async (t) => {
  const { incoming } = sinkOf(3, { windowBytes: SIZE, encoded: true })
  sendEncoded(incoming, 0, 7)
  t.equal(incoming.creditBytes, SIZE)
  incoming.keep(0, { received: true })
  t.equal(incoming.creditBytes, 2 * SIZE)
  sendEncoded(incoming, 1, 7)
  incoming.damaged(1)
  t.equal(incoming.creditBytes, 3 * SIZE)
  sendEncoded(incoming, 2, 7, 0, 3)
  t.equal(incoming.keep(2, { received: false })?.length, SIZE)
  t.equal(incoming.creditBytes, 3 * SIZE + Math.floor((3 * SIZE) / 7), 'what came of it is done with')
  t.equal(sendEncoded(incoming, 2, 7, 3, 4), null)
  t.equal(incoming.creditBytes, 4 * SIZE)
})

t.test('encoded chunks that do not fit', async (t) => {
  const bad: Readonly<Record<string, (incoming: Incoming) => unknown>> = {
    'as long as the chunk': (incoming) => sendEncoded(incoming, 0, SIZE, 0, 1),
    'longer than the chunk': (incoming) => sendEncoded(incoming, 0, 0xffff_ffff, 0, 1),
    'not from its beginning': (incoming) => sendEncoded(incoming, 0, 100, 1, 10),
    'a gap': (incoming) => [sendEncoded(incoming, 0, 100, 0, 10), sendEncoded(incoming, 0, 100, 11, 10)],
    'of another length meanwhile': (incoming) => [
      sendEncoded(incoming, 0, 100, 0, 10),
      sendEncoded(incoming, 0, 101, 10, 10),
    ],
    'not encoded any more': (incoming) => [sendEncoded(incoming, 0, 100, 0, 10), send(incoming, 0, 10, 10)],
    'encoded in the middle': (incoming) => [send(incoming, 0, 0, 10), sendEncoded(incoming, 0, 100, 10, 10)],
    'a chunk that was never named': (incoming) => sendEncoded(incoming, 3, 10),
    'another one before it is whole': (incoming) => [sendEncoded(incoming, 0, 100, 0, 10), sendEncoded(incoming, 1, 9)],
  }
  for (const [what, work] of Object.entries(bad)) {
    t.equal(
      faultCode(() => work(sinkOf(3, { encoded: true }).incoming)),
      'TRANSFER_MALFORMED',
      what,
    )
  }
  t.equal(
    faultCode(() => sendEncoded(sinkOf(3).incoming, 0, 100)),
    'TRANSFER_MALFORMED',
    'not agreed on',
  )
})

t.test('what was begun is given back', async (t) => {
  const { incoming } = sinkOf(2)
  t.strictSame(incoming.abandon(), [])
  send(incoming, 0, 0, 10)
  t.strictSame(
    incoming.abandon().map(({ bytes }) => bytes.length),
    [SIZE],
  )
  t.strictSame(incoming.abandon(), [])
})

t.test('whoever drives it must not be done with what never came', async (t) => {
  const { incoming } = sinkOf(1)
  t.throws(() => incoming.keep(0, { received: true }))
  t.throws(() => incoming.keep(1, { received: false }))
})

t.test('runs of chunks', async (t) => {
  t.strictSame(runsOf([]), [])
  t.strictSame(runsOf([0, 1, 2, 5, 7, 8]), [
    { from: 0, count: 3 },
    { from: 5, count: 1 },
    { from: 7, count: 2 },
  ])
  t.strictSame(runsOf([3, 2, 2]), [
    { from: 3, count: 1 },
    { from: 2, count: 1 },
    { from: 2, count: 1 },
  ])
})

/** A chunk of which the first bytes came in an earlier session. */
const partOf = (chunk: number, filled: number, encodedBytes = 0) => ({
  chunk,
  bytes: Buffer.alloc(SIZE, chunk),
  filled,
  encodedBytes,
})

t.test('a chunk goes on where an earlier session ended, and only what comes counts', async (t) => {
  const sink = sinkOf(3, { windowBytes: SIZE })
  const { incoming } = sink
  incoming.resume(partOf(1, SIZE - 100))
  t.equal(send(incoming, 1, SIZE - 100, 60), null)
  const arrived = send(incoming, 1, SIZE - 40, 40)
  t.ok(arrived?.bytes.equals(Buffer.alloc(SIZE, 1)))
  t.strictSame([incoming.receivedBytes, sink.allocatedBytes], [100, 0])
  incoming.keep(1, { received: true })
  t.equal(incoming.creditBytes, SIZE + 100, 'room for as much as came')
  t.equal(incoming.comingBytes, 2 * SIZE)
  send(incoming, 2)
  incoming.keep(2, { received: true })
  t.equal(incoming.creditBytes, 2 * SIZE + 100)
})

t.test('one that goes on and is damaged comes from its beginning', async (t) => {
  const { incoming } = sinkOf(1, { windowBytes: SIZE })
  incoming.resume(partOf(0, SIZE - 100))
  send(incoming, 0, SIZE - 100, 100)
  incoming.damaged(0)
  t.equal(incoming.creditBytes, SIZE + 100)
  t.equal(
    faultCode(() => send(incoming, 0, SIZE - 100, 100)),
    'TRANSFER_MALFORMED',
    'it does not go on twice',
  )
})

t.test('the source may send it from its beginning all the same', async (t) => {
  for (const encodedBytes of [0, 1000]) {
    const sink = sinkOf(2, { encoded: true })
    sink.incoming.resume(partOf(1, 500, encodedBytes))
    const whole = encodedBytes === 0 ? sendEncoded(sink.incoming, 1, 700) : send(sink.incoming, 1)
    t.strictSame([whole?.chunk, whole?.encodedBytes], [1, encodedBytes === 0 ? 700 : 0])
    t.equal(sink.allocatedBytes, 0, 'in the same memory')
    sink.incoming.keep(1, { received: true })
    t.equal(sink.incoming.creditBytes, WINDOW_BYTES + SIZE)
  }
  const { incoming } = sinkOf(1, { encoded: true })
  incoming.resume(partOf(0, 500, 1000))
  t.equal(
    faultCode(() => sendEncoded(incoming, 0, 1001, 500, 501)),
    'TRANSFER_MALFORMED',
    'not where the other form ended',
  )
})

t.test('what came of a chunk is given back when it came by another way, or the session ends', async (t) => {
  const { incoming } = sinkOf(3)
  const part = partOf(1, 10)
  incoming.resume(part)
  t.equal(incoming.keep(1, { received: false }), part.bytes)
  t.equal(incoming.keep(1, { received: false }), null)
  t.equal(send(incoming, 1, 10, SIZE - 10), null, 'what crossed on the way is thrown away')
  t.equal(incoming.creditBytes, WINDOW_BYTES + SIZE - 10)
  const other = partOf(2, 10)
  incoming.resume(other)
  send(incoming, 0, 0, 20)
  t.strictSame(
    incoming.abandon().map(({ chunk, filled }) => [chunk, filled]),
    [
      [0, 20],
      [2, 10],
    ],
  )
  t.strictSame(incoming.abandon(), [])
  const begun = sinkOf(1).incoming
  begun.resume(partOf(0, 10))
  send(begun, 0, 10, 5)
  t.strictSame(
    begun.abandon().map(({ filled }) => filled),
    [15],
  )
})
