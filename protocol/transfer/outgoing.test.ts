import t from 'tap'
import { faultCode } from '#protocol/bytes/testing.ts'
import { CHUNK_DATA_BYTES_MAX } from '#protocol/frame/mod.ts'
import {
  CHUNK_BYTES_MIN,
  CHUNKS_MAX,
  ChunkList,
  CONTENT_BYTES_MAX,
  MENTIONS_PER_CHUNK_MAX,
  Outgoing,
  type Piece,
} from './mod.ts'

const MIB = 1024 * 1024
const PLENTY = Number.MAX_SAFE_INTEGER

function listOf(chunks: number, chunkBytes = CHUNK_BYTES_MIN): ChunkList {
  const list = new ChunkList({ size: chunks * chunkBytes, chunkBytes })
  for (let i = 0; i < chunks; i++) list.add(Buffer.alloc(32, i), chunkBytes)
  return list
}

function all(outgoing: Outgoing): Piece[] {
  const out: Piece[] = []
  for (let piece = outgoing.take(); piece !== null; piece = outgoing.take()) out.push(piece)
  return out
}

const chunksIn = (pieces: readonly Piece[]): number[] => [...new Set(pieces.map(({ chunk }) => chunk))]

t.test('chunks go in the order in which they are wanted, whole, piece by piece', async (t) => {
  const outgoing = new Outgoing(listOf(4, MIB), PLENTY)
  t.equal(outgoing.take(), null, 'nothing is wanted')
  outgoing.want([
    { from: 2, count: 2 },
    { from: 0, count: 1 },
  ])
  t.strictSame([outgoing.wantedChunks, outgoing.next, outgoing.upcoming(2)], [3, 2, [2, 3]])
  const pieces = all(outgoing)
  t.strictSame(chunksIn(pieces), [2, 3, 0])
  t.strictSame(
    pieces.slice(0, 5).map(({ chunk, offset, bytes }) => [chunk, offset / CHUNK_DATA_BYTES_MAX, bytes]),
    [
      ...[0, 1, 2, 3].map((i) => [2, i, CHUNK_DATA_BYTES_MAX]), //
      [3, 0, CHUNK_DATA_BYTES_MAX],
    ],
  )
  t.strictSame([outgoing.sentBytes, outgoing.next, outgoing.wantedChunks, outgoing.upcoming(9)], [3 * MIB, -1, 0, []])
})

t.test('credit is absolute, and a piece may be cut to fit it', async (t) => {
  const outgoing = new Outgoing(listOf(2, MIB), 100)
  outgoing.want([{ from: 0, count: 2 }])
  t.strictSame(outgoing.take(), { chunk: 0, offset: 0, bytes: 100, contentBytes: 100, isFirst: true })
  t.equal(outgoing.take(), null)
  outgoing.acknowledge([], 100)
  outgoing.acknowledge([], 7)
  t.equal(outgoing.take(), null, 'less than was said does not take it back')
  outgoing.acknowledge([], 101)
  t.strictSame(outgoing.take(), { chunk: 0, offset: 100, bytes: 1, contentBytes: 1, isFirst: false })
  outgoing.acknowledge([], PLENTY)
  t.strictSame(chunksIn(all(outgoing)), [0, 1])
  t.equal(outgoing.sentBytes, 2 * MIB)
})

t.test('an encoded chunk takes credit for its content, and a piece of it may be cut to fit', async (t) => {
  const outgoing = new Outgoing(listOf(3, MIB), MIB / 2)
  outgoing.want([{ from: 0, count: 3 }])
  const take = () => outgoing.take(CHUNK_DATA_BYTES_MAX, 1000)
  t.strictSame(take(), { chunk: 0, offset: 0, bytes: 500, contentBytes: MIB / 2, isFirst: true })
  t.equal(take(), null)
  outgoing.acknowledge([], MIB / 2 + 1047)
  t.equal(take(), null, 'a byte counts for more')
  outgoing.acknowledge([], MIB / 2 + 1048)
  t.equal(take()?.bytes, 1)
  outgoing.acknowledge([], MIB)
  t.equal(take()?.bytes, 499)
  t.equal(outgoing.sentBytes, MIB, 'all of it is content of its length')
  outgoing.acknowledge([], PLENTY)
  t.equal(outgoing.take(300, 1000)?.bytes, 300)
  t.throws(() => outgoing.take(300), 'not in another form before it is whole')
  t.equal(outgoing.take(1000, 1000)?.bytes, 700)
  t.equal(outgoing.take()?.bytes, CHUNK_DATA_BYTES_MAX, 'the next one as it is')
})

t.test('an encoded chunk that is broken off counts for what was sent of it', async (t) => {
  const outgoing = new Outgoing(listOf(2, MIB), MIB)
  outgoing.want([{ from: 0, count: 2 }])
  t.equal(outgoing.take(3, 7)?.contentBytes, Math.floor((3 * MIB) / 7))
  outgoing.acknowledge([{ from: 0, count: 1 }], 0)
  t.equal(outgoing.sentBytes, Math.floor((3 * MIB) / 7))
  t.strictSame([outgoing.take(MIB, 7)?.bytes, outgoing.take(MIB, 7)], [4, null])
})

t.test('a want that is repeated changes nothing while the chunk waits or is being sent', async (t) => {
  const outgoing = new Outgoing(listOf(3, MIB), PLENTY)
  const everything = [{ from: 0, count: 3 }]
  outgoing.want(everything)
  outgoing.want(everything)
  t.equal(outgoing.wantedChunks, 3)
  t.equal(outgoing.take()?.chunk, 0)
  outgoing.want([{ from: 0, count: 1 }])
  t.equal(outgoing.wantedChunks, 2)
  t.strictSame(chunksIn(all(outgoing)), [0, 1, 2])
  t.equal(outgoing.sentBytes, 3 * MIB)
  outgoing.want([{ from: 1, count: 1 }])
  t.strictSame(chunksIn(all(outgoing)), [1], 'one that was sent is sent again: it came damaged')
})

t.test('what the sink has is not sent, whenever it says so', async (t) => {
  const outgoing = new Outgoing(listOf(5, MIB), PLENTY)
  outgoing.acknowledge([{ from: 4, count: 1 }], 0)
  outgoing.want([{ from: 0, count: 5 }])
  t.equal(outgoing.wantedChunks, 4, 'before it is asked for')
  t.equal(outgoing.take()?.chunk, 0)
  outgoing.acknowledge([{ from: 1, count: 1 }], 0)
  t.strictSame([outgoing.wantedChunks, outgoing.next, outgoing.upcoming(9)], [2, 0, [0, 2, 3]], 'while it waits')
  outgoing.acknowledge([{ from: 0, count: 1 }], 0)
  t.strictSame([outgoing.next, outgoing.sentBytes], [2, CHUNK_DATA_BYTES_MAX], 'while it is being sent')
  t.strictSame(chunksIn(all(outgoing)), [2, 3])
  t.strictSame([outgoing.storedChunks, outgoing.delivered], [3, false])
  outgoing.acknowledge([{ from: 0, count: 5 }], 0)
  t.strictSame([outgoing.storedChunks, outgoing.delivered, outgoing.has(4), outgoing.has(5)], [5, true, true, false])
  outgoing.want([{ from: 0, count: 5 }])
  t.equal(outgoing.take(), null)
})

t.test('content of no bytes is delivered as soon as it is begun', async (t) => {
  const outgoing = new Outgoing(listOf(0), 0)
  t.strictSame([outgoing.delivered, outgoing.next, outgoing.take(), outgoing.upcoming(3)], [true, -1, null, []])
  const code = faultCode(() => outgoing.want([{ from: 0, count: 1 }]))
  t.equal(code, 'TRANSFER_MALFORMED')
})

t.test('not delivered before all of it is named', async (t) => {
  const list = new ChunkList({ size: 2 * CHUNK_BYTES_MIN, chunkBytes: CHUNK_BYTES_MIN })
  const outgoing = new Outgoing(list, PLENTY)
  t.equal(outgoing.delivered, false)
  list.add(Buffer.alloc(32), CHUNK_BYTES_MIN)
  outgoing.acknowledge([{ from: 0, count: 1 }], 0)
  t.equal(outgoing.delivered, false)
  list.add(Buffer.alloc(32), CHUNK_BYTES_MIN)
  outgoing.acknowledge([{ from: 1, count: 1 }], 0)
  t.equal(outgoing.delivered, true)
})

t.test('ranges that lead beyond what was named, and empty ones', async (t) => {
  for (const range of [
    { from: 0, count: 0 },
    { from: 0, count: 4 },
    { from: 3, count: 1 },
    { from: 0xffff_ffff, count: 1 },
    { from: 1, count: 0xffff_ffff },
    { from: 0xffff_ffff, count: 0xffff_ffff },
  ]) {
    const outgoing = new Outgoing(listOf(3), PLENTY)
    const ranges = [{ from: 0, count: 1 }, range]
    t.equal(
      faultCode(() => outgoing.want(ranges)),
      'TRANSFER_MALFORMED',
      `want ${range.count} from ${range.from}`,
    )
    t.equal(
      faultCode(() => outgoing.acknowledge(ranges, 0)),
      'TRANSFER_MALFORMED',
      `stored ${range.count} from ${range.from}`,
    )
    t.strictSame([outgoing.wantedChunks, outgoing.storedChunks], [0, 0], 'and nothing of the frame counts')
  }
})

t.test('a sink that names chunks again and again is stopped', async (t) => {
  const everything = [{ from: 0, count: 10 }]
  const wanting = new Outgoing(listOf(10), PLENTY)
  const acknowledging = new Outgoing(listOf(10), PLENTY)
  for (let i = 0; i < MENTIONS_PER_CHUNK_MAX; i++) {
    wanting.want(everything)
    all(wanting)
    acknowledging.acknowledge(everything, 0)
  }
  t.equal(wanting.sentBytes, MENTIONS_PER_CHUNK_MAX * 10 * CHUNK_BYTES_MIN)
  t.equal(
    faultCode(() => wanting.want([{ from: 3, count: 1 }])),
    'TRANSFER_MALFORMED',
  )
  t.equal(
    faultCode(() => acknowledging.acknowledge([{ from: 3, count: 1 }], 0)),
    'TRANSFER_MALFORMED',
  )
  const once = new Outgoing(listOf(10), PLENTY)
  t.equal(
    faultCode(() => once.want(Array(MENTIONS_PER_CHUNK_MAX + 1).fill(everything[0]))),
    'TRANSFER_MALFORMED',
    'in one frame, too',
  )
  t.equal(once.wantedChunks, 0)
})

t.test('the most chunks, wanted and stored in the worst order, take little time and memory', async (t) => {
  const list = new ChunkList({ size: CONTENT_BYTES_MAX, chunkBytes: 0 })
  for (let i = 0; i < CHUNKS_MAX; i++) list.add(Buffer.alloc(32), CHUNK_BYTES_MIN)
  // Of a processor: this machine may have other things to do.
  const before = process.cpuUsage()
  const outgoing = new Outgoing(list, PLENTY)
  // Every other one, from the end on: sets of ranges are slowest then, and largest.
  for (let chunk = CHUNKS_MAX - 1; chunk > 0; chunk -= 2) outgoing.want([{ from: chunk, count: 1 }])
  for (let chunk = CHUNKS_MAX - 1; chunk > 1000; chunk -= 2) {
    outgoing.acknowledge([{ from: chunk, count: 1 }], 0)
    if (chunk % 64 === 1) outgoing.upcoming(2)
  }
  t.equal(outgoing.wantedChunks, 500)
  t.equal(all(outgoing).length, 500)
  const { user, system } = process.cpuUsage(before)
  const ms = (user + system) / 1000
  t.ok(ms < 20_000, `${Math.round(ms)} ms`)
})

t.test('a chunk of which the sink has the beginning goes on there, for what is left of it', async (t) => {
  const outgoing = new Outgoing(listOf(3, MIB), CHUNK_DATA_BYTES_MAX)
  outgoing.want([{ from: 0, count: 3 }], { chunk: 1, bytes: MIB - 100, encodedBytes: 0 })
  t.match(outgoing.take(MIB), { chunk: 0, offset: 0 })
  outgoing.acknowledge([{ from: 0, count: 1 }], CHUNK_DATA_BYTES_MAX + 60)
  t.strictSame(outgoing.take(), { chunk: 1, offset: MIB - 100, bytes: 60, contentBytes: 60, isFirst: true })
  outgoing.acknowledge([], PLENTY)
  t.strictSame(outgoing.take(), { chunk: 1, offset: MIB - 40, bytes: 40, contentBytes: 40, isFirst: false })
  t.match(outgoing.take(), { chunk: 2, offset: 0, isFirst: true })
  outgoing.want([{ from: 1, count: 1 }])
  t.match(
    all(outgoing).find(({ chunk }) => chunk === 1),
    { offset: 0 },
    'it came damaged: once more, from its beginning',
  )
})

t.test('what the sink has of a chunk in another form is of no use', async (t) => {
  const want = (part: { bytes: number; encodedBytes: number }, encodedBytes: number) => {
    const outgoing = new Outgoing(listOf(1, MIB), PLENTY)
    outgoing.want([{ from: 0, count: 1 }], { chunk: 0, ...part })
    const { offset, contentBytes } = outgoing.take(10, encodedBytes) as Piece
    return [offset, contentBytes]
  }
  t.strictSame(want({ bytes: 500, encodedBytes: 1000 }, 1000), [500, Math.floor((510 * MIB) / 1000) - MIB / 2])
  t.strictSame(want({ bytes: 500, encodedBytes: 1000 }, 0), [0, 10])
  t.strictSame(want({ bytes: 500, encodedBytes: 1000 }, 1001)[0], 0)
  t.strictSame(want({ bytes: 500, encodedBytes: 0 }, 1000)[0], 0)
})

t.test('the beginning of a chunk that is being sent, or stored, changes nothing', async (t) => {
  const outgoing = new Outgoing(listOf(2, MIB), PLENTY)
  outgoing.want([{ from: 0, count: 2 }])
  outgoing.take(10)
  const again = (chunk: number) => outgoing.want([{ from: chunk, count: 1 }], { chunk, bytes: 99, encodedBytes: 0 })
  again(0)
  t.match(outgoing.take(10), { chunk: 0, offset: 10 })
  outgoing.acknowledge([{ from: 1, count: 1 }], PLENTY)
  again(1)
  t.strictSame(chunksIn(all(outgoing)), [0])
})

t.test('a beginning that cannot be is refused', async (t) => {
  const bad = {
    'of a chunk that is not asked for': { chunk: 2, bytes: 1, encodedBytes: 0 },
    'of one that was never named': { chunk: 9, bytes: 1, encodedBytes: 0 },
    'of no bytes': { chunk: 1, bytes: 0, encodedBytes: 0 },
    'all of it': { chunk: 1, bytes: MIB, encodedBytes: 0 },
    'all of its encoded form': { chunk: 1, bytes: 1000, encodedBytes: 1000 },
    'encoded in its length': { chunk: 1, bytes: 1, encodedBytes: MIB },
  }
  for (const [what, part] of Object.entries(bad)) {
    const outgoing = new Outgoing(listOf(3, MIB), PLENTY)
    t.equal(
      faultCode(() => outgoing.want([{ from: 0, count: 2 }], part)),
      'TRANSFER_MALFORMED',
      what,
    )
    t.equal(outgoing.wantedChunks, 0, 'nothing is done for such a frame')
  }
})
