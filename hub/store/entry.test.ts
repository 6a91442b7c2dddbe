import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { faultCode, Random, testSeed } from '#protocol/bytes/testing.ts'
import {
  decodeEntry,
  encodeEntry,
  entryAt,
  type NewEntry,
  pairsOf,
  partOf,
  placesOf,
  selectionOf,
  settledBytes,
} from './entry.ts'

const entryOf = (parts: Partial<NewEntry>): NewEntry => ({
  batchSeq: 1,
  count: 1,
  bytes: 0,
  storedAtMs: 0,
  expiresAtMs: 0,
  attempts: 0,
  receiptFlags: 0,
  home: null,
  note: '',
  backNote: '',
  selection: null,
  ...parts,
})

t.test('what is encoded is decoded', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const notes = ['', 'NO_ROUTE', '队列: 拒绝', '\u{1f4a5}'.repeat(120)]
  for (let i = 0; i < 500; i++) {
    const pairs: number[] = []
    for (let at = random.below(5), n = random.below(6); n > 0; n--) {
      const run = 1 + random.below(300)
      pairs.push(at, run)
      at += run + 1 + random.below(1000)
    }
    const selection = pairs.length === 0 ? null : pairs
    const count = selection === null ? 1 + random.below(70_000) : pairs.reduce((sum, n, j) => sum + (j % 2) * n, 0)
    const batchSeq = random.u53()
    const entry = entryOf({
      batchSeq,
      count,
      bytes: random.u53(),
      storedAtMs: random.u53(),
      expiresAtMs: random.u53(),
      attempts: random.below(1000),
      receiptFlags: random.below(16),
      home: random.oneIn(2) ? null : { queueId: 1 + random.below(1e6), lane: random.below(192) },
      note: random.pick(notes),
      backNote: batchSeq === 0 || random.oneIn(2) ? '' : random.pick(notes),
      selection,
    })
    const back = decodeEntry(encodeEntry(entry))
    if (!isDeepStrictEqual(back, entry)) return t.strictSame(back, entry, `entry ${i}`)
  }
  t.pass('500 entries')
})

t.test("a consumer's words are not taken for what its message is to be sent back with", async (t) => {
  const note = 'BAD: \u00002 {"only":[]}'
  const seen = note.replace('\0', '\ufffd')
  t.match(decodeEntry(encodeEntry(entryOf({ note }))), { note: seen, backNote: '' })
  t.match(decodeEntry(encodeEntry(entryOf({ note, backNote: '7+' }))), { note: seen, backNote: '7+' })
  t.match(decodeEntry(encodeEntry(entryOf({ note, batchSeq: 0 }))), { note, backNote: '' })
})

t.test('bytes that are cut or that nobody wrote', async (t) => {
  const bytes = encodeEntry(entryOf({ count: 300, batchSeq: 70_000, note: 'because', selection: [3, 300] }))
  for (let length = 0; length < bytes.length - 3; length++) {
    const code = faultCode(() => decodeEntry(bytes.subarray(0, length)))
    if (code !== 'STORE_DAMAGED') t.fail(`cut to ${length} bytes: ${code}`)
  }
  const text = [1, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0xff, 0xff]
  t.throws(() => decodeEntry(Buffer.from(text)), { code: 'STORE_DAMAGED', cause: { code: 'TEXT_INVALID' } })
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
  t.strictSame(pairsOf([0, 3, 7, 1]), [
    [0, 3],
    [7, 1],
  ])
})

t.test('a part of an entry for another place names the same messages, with its share of the bytes', async (t) => {
  const whole = entryAt(100, entryOf({ count: 10, bytes: 1003, note: 'x', attempts: 2 }))
  const { position, remaining, ...kept } = whole
  t.equal(position + remaining, 110)
  t.match(partOf(whole, 0, 10), kept)
  t.match(partOf(whole, 3, 4), { count: 4, bytes: 401, selection: [3, 4], attempts: 2 })
  const picked = entryAt(0, entryOf({ count: 4, selection: [2, 1, 5, 3] }))
  t.strictSame(partOf(picked, 1, 2).selection, [5, 2])
  t.equal(partOf(entryAt(0, entryOf({ batchSeq: 0 })), 0, 1).selection, null)
})

t.test('however its messages are settled, the bytes of an entry add up', async (t) => {
  const entry = entryOf({ count: 7, bytes: 1000 })
  const steps = [0, 1, 2, 3, 4, 5, 6, 7].map((settled) => settledBytes(entry, settled))
  t.equal(steps[0], 0)
  t.equal(steps[7], 1000)
  t.ok(steps.every((bytes, i) => i === 0 || bytes >= (steps[i - 1] as number)))
})
