// Cuts by content: the same however content is handed over, near the average, and moved by a change only near it.

import { createHash } from 'node:crypto'
import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { type CutSizes, Cutter, cutSizesFor } from './cut.ts'
import { CHUNK_BYTES_MAX, CHUNKS_MAX } from './limits.ts'

const seed = testSeed()
t.comment(`SEED=${seed}`)
const random = new Random(seed)
const KIB = 1024
const GIB = 1024 * 1024 * KIB
const SMALL: CutSizes = { min: KIB, average: 4 * KIB, max: 16 * KIB }

/** Lengths of the chunks; the bytes come in parts as `part` says. */
function lengthsOf(bytes: Buffer, sizes: CutSizes, part: () => number): number[] {
  const cutter = new Cutter(sizes)
  const ends: number[] = []
  for (let from = 0; from < bytes.length; ) {
    const piece = bytes.subarray(from, from + part())
    for (let at = 0; at < piece.length; ) {
      const end = cutter.cut(piece, at)
      if (end < 0) break
      ends.push(from + end)
      at = end
    }
    from += piece.length
  }
  if (ends.at(-1) !== bytes.length && bytes.length > 0) ends.push(bytes.length)
  return ends.map((end, i) => end - (ends[i - 1] ?? 0))
}

const whole = () => Number.MAX_SAFE_INTEGER

function digestsOf(bytes: Buffer, sizes: CutSizes): string[] {
  let end = 0
  return lengthsOf(bytes, sizes, whole).map((length) => {
    end += length
    return createHash('sha256')
      .update(bytes.subarray(end - length, end))
      .digest('hex')
  })
}

t.test('the cuts do not depend on how content is handed over', async (t) => {
  for (let round = 0; round < 20; round++) {
    const bytes = random.bytes(random.below(300_000))
    const expected = lengthsOf(bytes, SMALL, whole)
    t.equal(
      expected.reduce((sum, length) => sum + length, 0),
      bytes.length,
    )
    const most = random.pick([1, 2, 33, 1000, 5000, 40_000])
    t.strictSame(
      lengthsOf(bytes, SMALL, () => 1 + random.below(most)),
      expected,
      `parts of up to ${most} bytes`,
    )
  }
})

t.test('chunks keep their bounds and come near the average', async (t) => {
  const bytes = random.bytes(4_000_000)
  const lengths = lengthsOf(bytes, SMALL, whole)
  t.ok(lengths.slice(0, -1).every((length) => length > SMALL.min && length <= SMALL.max))
  const mean = bytes.length / lengths.length
  t.ok(mean > SMALL.average * 0.8 && mean < SMALL.average * 1.6, `${mean} bytes`)
})

t.test('content without anything to cut at is cut at the longest', async (t) => {
  const zeros = Buffer.alloc(100_000)
  const lengths = new Set(lengthsOf(zeros, SMALL, whole).slice(0, -1))
  t.equal(lengths.size, 1, 'one length')
})

t.test('bytes put in or taken out change only the chunks near them', async (t) => {
  for (let round = 0; round < 10; round++) {
    const bytes = random.bytes(400_000)
    const at = random.below(bytes.length)
    const changed = random.oneIn(2)
      ? Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.below(100)), bytes.subarray(at)])
      : Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(100))])
    const before = new Set(digestsOf(bytes, SMALL))
    const fresh = digestsOf(changed, SMALL).filter((digest) => !before.has(digest))
    // Random content finds its old cuts again within a few chunks; a chance of one in millions is not worth a wrong alarm.
    t.ok(fresh.length <= 12, `${fresh.length} of ${before.size} chunks are new`)
  }
})

t.test('sizes follow the size of the content', async (t) => {
  t.strictSame(cutSizesFor(0), { min: 16 * KIB, average: 64 * KIB, max: 256 * KIB })
  t.strictSame(cutSizesFor(3e9), { min: 32 * KIB, average: 128 * KIB, max: 512 * KIB })
  t.equal(cutSizesFor(100 * GIB)?.max, CHUNK_BYTES_MAX)
  t.equal(cutSizesFor(200 * GIB), null, 'too many to be listed')
  t.strictSame(cutSizesFor(3e9, 64 * KIB), cutSizesFor(1e9), 'as the earlier version was cut')
  t.strictSame(cutSizesFor(9e9, 64 * KIB), cutSizesFor(9e9), 'it has grown too much')
  for (const wrong of [1, 70_000, 32 * KIB, 4096 * KIB]) t.strictSame(cutSizesFor(1e9, wrong), cutSizesFor(1e9))
  t.strictSame(cutSizesFor(1e6, 2048 * KIB)?.average, 2048 * KIB, 'it has shrunk')
  for (let size = 1; size < 1024 * GIB; size *= 3) {
    const sizes = cutSizesFor(size)
    if (sizes !== null) t.ok(size / sizes.min <= CHUNKS_MAX && sizes.max <= CHUNK_BYTES_MAX, `${size} bytes`)
  }
})

t.test('the gear numbers are what every release has', async (t) => {
  const bytes = Buffer.alloc(200_000)
  for (let i = 0, state = 1; i < bytes.length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    bytes[i] = state >>> 16
  }
  t.strictSame(lengthsOf(bytes, SMALL, whole).slice(0, 5), [1027, 2080, 4670, 7123, 2508])
})
