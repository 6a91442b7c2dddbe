import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { faultCode, Random, testSeed } from '#protocol/bytes/testing.ts'
import { decodeEntry, type Entry, encodeEntry, placesOf, selectionOf } from './entry.ts'

const entryOf = (parts: Partial<Entry>): Entry => ({
  position: 0,
  count: 1,
  batchSeq: 1,
  selection: null,
  reason: '',
  remaining: parts.count ?? 1,
  attempts: 0,
  ...parts,
})

t.test('what is encoded is decoded', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const reasons = ['', 'NO_ROUTE', '队列: 拒绝', '\u{1f4a5}'.repeat(120)]
  for (let i = 0; i < 500; i++) {
    const pairs: number[] = []
    for (let at = random.below(5), n = random.below(6); n > 0; n--) {
      const run = 1 + random.below(300)
      pairs.push(at, run)
      at += run + 1 + random.below(1000)
    }
    const selection = pairs.length === 0 ? null : pairs
    const count = selection === null ? 1 + random.below(70_000) : pairs.reduce((sum, n, j) => sum + (j % 2) * n, 0)
    const entry = entryOf({
      position: random.u53(),
      count,
      remaining: count,
      batchSeq: random.u53(),
      selection,
      reason: random.pick(reasons),
    })
    const back = decodeEntry(entry.position, encodeEntry(entry))
    if (!isDeepStrictEqual(back, entry)) return t.strictSame(back, entry, `entry ${i}`)
  }
  t.pass('500 entries')
})

t.test('bytes that are cut or that nobody wrote', async (t) => {
  const bytes = encodeEntry(entryOf({ count: 300, batchSeq: 70_000, reason: 'because', selection: [3, 300] }))
  for (let length = 0; length < bytes.length - 4; length++) {
    const code = faultCode(() => decodeEntry(0, bytes.subarray(0, length)))
    if (code !== 'BYTES_SHORT') t.fail(`cut to ${length} bytes: ${code}`)
  }
  t.throws(() => decodeEntry(0, Buffer.from([1, 1, 2, 0xff, 0xff])), { code: 'TEXT_INVALID' })
})

t.test('places of any part of an entry', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  for (let round = 0; round < 300; round++) {
    const all = Array.from({ length: 60 }, (_, i) => i).filter(() => random.below(3) > 0)
    if (all.length === 0) continue
    const selection = selectionOf(all)
    const entry = entryOf({ selection, count: all.length })
    const skip = random.below(all.length)
    const count = random.below(all.length - skip) + 1
    const places = placesOf(entry, skip, count)
    if (!isDeepStrictEqual(places, all.slice(skip, skip + count))) return t.fail(`round ${round}: ${places}`)
  }
  t.strictSame(placesOf(entryOf({ count: 10 }), 3, 4), [3, 4, 5, 6])
  t.strictSame(selectionOf([]), [])
  t.strictSame(selectionOf([0, 1, 2, 7, 9, 10]), [0, 3, 7, 1, 9, 2])
})
