// How content is cut, and the list of its chunks with the root over them.

import { createHash } from 'node:crypto'
import t from 'tap'
import { faultCode, Random, testSeed } from '#protocol/bytes/testing.ts'
import {
  CHUNK_BYTES_MAX,
  CHUNK_BYTES_MIN,
  CHUNKS_MAX,
  ChunkList,
  CONTENT_BYTES_MAX,
  CUT_CHUNK_BYTES_MIN,
  checkPlan,
  chunkBytesFor,
} from './mod.ts'

const MIB = 1024 * 1024
const GIB = 1024 * MIB
const sha = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest()
const chunksOf = (size: number): number => Math.ceil(size / chunkBytesFor(size))

/** RFC 9162 section 2.1.1, as it stands there. */
function rootOf(entries: readonly Buffer[]): Buffer {
  if (entries.length === 0) return sha()
  if (entries.length === 1) return sha(Buffer.from([0]), entries[0] as Buffer)
  let k = 1
  while (k * 2 < entries.length) k *= 2
  return sha(Buffer.from([1]), rootOf(entries.slice(0, k)), rootOf(entries.slice(k)))
}

function entryOf(digest: Buffer, length: number): Buffer {
  const start = Buffer.alloc(4)
  start.writeUInt32LE(length)
  return Buffer.concat([start, digest])
}

t.test('1,000 to 2,000 chunks from 64 MiB on, until they have 8 MiB', async (t) => {
  const largest = 2000 * CHUNK_BYTES_MAX
  const sizes = [64 * MIB, 64 * MIB + 1, GIB, GIB + 1, 10 * GIB, largest - 1, largest]
  // Where one more step of 64 KiB begins, chunks are fewest.
  for (let chunkBytes = CHUNK_BYTES_MIN; chunkBytes < CHUNK_BYTES_MAX; chunkBytes += CHUNK_BYTES_MIN) {
    sizes.push(2000 * chunkBytes, 2000 * chunkBytes + 1)
  }
  for (const size of sizes) {
    const chunks = chunksOf(size)
    if (chunks < 1000 || chunks > 2000) t.fail(`${size} bytes: ${chunks} chunks`)
    checkPlan({ size, chunkBytes: chunkBytesFor(size) })
  }
  t.equal(chunksOf(16 * GIB), 2048, '16 GiB')
  t.equal(chunksOf(CONTENT_BYTES_MAX), 131_072, 'the largest content')
  t.strictSame([0, 1, CHUNK_BYTES_MIN, MIB].map(chunkBytesFor), Array(4).fill(CHUNK_BYTES_MIN), 'small content')
  t.equal(
    faultCode(() => chunkBytesFor(CONTENT_BYTES_MAX + 1)),
    'TRANSFER_TOO_LARGE',
  )
})

t.test('a plan of a peer is checked', async (t) => {
  const code = (size: number, chunkBytes: number) => faultCode(() => new ChunkList({ size, chunkBytes }))
  t.equal(code(0, CHUNK_BYTES_MIN), null)
  t.equal(code(CONTENT_BYTES_MAX, 0), null)
  t.equal(code(CONTENT_BYTES_MAX, CHUNK_BYTES_MAX), null)
  t.equal(code(CONTENT_BYTES_MAX + 1, 0), 'TRANSFER_TOO_LARGE')
  t.equal(code(Number.MAX_SAFE_INTEGER, CHUNK_BYTES_MAX), 'TRANSFER_TOO_LARGE')
  for (const chunkBytes of [1, CHUNK_BYTES_MIN - 1, CHUNK_BYTES_MAX + 1, 0xffff_ffff]) {
    t.equal(code(MIB, chunkBytes), 'TRANSFER_MALFORMED', `chunks of ${chunkBytes}`)
  }
  t.equal(code(CHUNKS_MAX * CHUNK_BYTES_MIN, CHUNK_BYTES_MIN), null)
  t.equal(code(CHUNKS_MAX * CHUNK_BYTES_MIN + 1, CHUNK_BYTES_MIN), 'TRANSFER_MALFORMED', 'too many chunks')
})

t.test('chunks of one size: all but the last have it', async (t) => {
  const list = new ChunkList({ size: 2.5 * CHUNK_BYTES_MIN, chunkBytes: CHUNK_BYTES_MIN })
  const digest = Buffer.alloc(32, 1)
  for (const length of [0, 1, CHUNK_BYTES_MIN - 1, CHUNK_BYTES_MIN + 1]) {
    t.equal(
      faultCode(() => list.add(digest, length)),
      'TRANSFER_MALFORMED',
    )
  }
  t.equal(list.add(digest, list.nextLength), 0)
  t.equal(list.add(digest, list.nextLength), 1)
  t.equal(list.complete, false)
  t.equal(
    faultCode(() => list.add(digest, CHUNK_BYTES_MIN)),
    'TRANSFER_MALFORMED',
    'longer than the rest',
  )
  t.equal(list.nextLength, CHUNK_BYTES_MIN / 2)
  t.equal(list.add(digest, list.nextLength), 2)
  t.ok(list.complete)
  t.strictSame([list.nextLength, list.bytes, list.offsetAt(2), list.lengthAt(2)], [0, list.size, 131_072, 32_768])
  t.equal(
    faultCode(() => list.add(digest, 1)),
    'TRANSFER_MALFORMED',
    'more than the content has',
  )
})

t.test('chunks cut by content: only the last may be short, none long', async (t) => {
  const size = 3 * CUT_CHUNK_BYTES_MIN + 10
  const list = new ChunkList({ size, chunkBytes: 0 })
  const digest = Buffer.alloc(32, 1)
  t.equal(list.nextLength, 0, 'nobody knows')
  for (const length of [0, 1, CUT_CHUNK_BYTES_MIN - 1, CHUNK_BYTES_MAX + 1, size + 1, Number.NaN]) {
    t.equal(
      faultCode(() => list.add(digest, length)),
      'TRANSFER_MALFORMED',
      `${length}`,
    )
  }
  list.add(digest, CUT_CHUNK_BYTES_MIN + 1)
  list.add(digest, 2 * CUT_CHUNK_BYTES_MIN)
  list.add(digest, 9)
  t.ok(list.complete)
  t.strictSame(
    [0, 1, 2].map((i) => [list.offsetAt(i), list.lengthAt(i)]),
    [
      [0, 16_385],
      [16_385, 32_768],
      [49_153, 9],
    ],
  )
})

t.test('the root is the one of RFC 9162, for one size and for many', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  for (const count of [0, 1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 128, 129, 1000]) {
    for (const chunkBytes of [0, CHUNK_BYTES_MIN]) {
      const lengths = Array.from({ length: count }, (_, i) => {
        if (i === count - 1) return 1 + random.below(CHUNK_BYTES_MIN)
        return chunkBytes > 0
          ? chunkBytes
          : CUT_CHUNK_BYTES_MIN + random.below(CHUNK_BYTES_MAX - CUT_CHUNK_BYTES_MIN + 1)
      })
      const digests = lengths.map(() => random.bytes(32))
      const list = new ChunkList({ size: lengths.reduce((sum, length) => sum + length, 0), chunkBytes })
      for (const [i, digest] of digests.entries()) list.add(digest, lengths[i] as number)
      const wanted = rootOf(digests.map((digest, i) => entryOf(digest, lengths[i] as number)))
      t.ok(list.complete && list.root().equals(wanted), `${count} chunks of ${chunkBytes}`)
      t.ok(
        digests.every((digest, i) => list.digestAt(i).equals(digest) && list.lengthAt(i) === lengths[i]),
        'and all of them are there',
      )
    }
  }
})

t.test('a list takes as many chunks as may be, and no more', async (t) => {
  const list = new ChunkList({ size: CONTENT_BYTES_MAX, chunkBytes: 0 })
  const digest = Buffer.alloc(32, 1)
  for (let i = 0; i < CHUNKS_MAX; i++) list.add(digest, CHUNK_BYTES_MIN)
  t.equal(list.count, CHUNKS_MAX)
  t.equal(
    faultCode(() => list.add(digest, CHUNK_BYTES_MIN)),
    'TRANSFER_MALFORMED',
  )
})
