import { zstdCompressSync } from 'node:zlib'
import t from 'tap'
import { ByteReader, writeVarint } from '#protocol/bytes/mod.ts'
import { faultCode, Random, testSeed } from '#protocol/bytes/testing.ts'
import { BATCH_FRAME_BYTES_MAX } from '#protocol/frame/mod.ts'
import { leafHashes, treeRoot } from './builder.ts'
import { extractFrom, openBatch, openExtract, parseHead, parseRecord } from './mod.ts'
import { crafted, KEY, message, randomMessages, resealed, sealed, testKey } from './testing.ts'

const keyOf = () => KEY.publicKey
const codeOf = (bytes: Buffer): string | null => faultCode(() => openExtract(bytes, keyOf))
const plain = (bytes: Buffer): unknown => {
  const { indexes, messages } = openExtract(bytes, keyOf)
  return [indexes, messages.map(({ envelope, key, body }) => [envelope, key.toString('hex'), body.toString('hex')])]
}

t.test('any messages of any batch prove', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  for (let round = 0; round < 300; round++) {
    const messages = randomMessages(random, 1 + random.below(random.oneIn(10) ? 300 : 12))
    const batch = openBatch(sealed(messages, { compression: random.oneIn(2) ? 'zstd' : 'none' }))
    const sparse = 1 + random.below(5)
    const indexes = messages.map((_, i) => i).filter(() => random.oneIn(sparse))
    if (indexes.length === 0) indexes.push(random.below(messages.length))
    const bytes = extractFrom(batch, indexes)
    const extract = openExtract(bytes, keyOf)
    t.strictSame(extract.indexes, indexes)
    t.strictSame(
      extract.messages.map(({ envelope, key, body }) => ({ ...envelope, key: key.length === 0 ? null : key, body })),
      indexes.map((i) => messages[i]),
    )
    t.ok(extract.head.bytes.equals(batch.head.bytes), 'under the head its origin signed')
    if (!t.passing()) return
  }
})

t.test('an extract holds nothing of the other messages', async (t) => {
  const batch = openBatch(sealed(['one', 'SECRET', 'three'].map((body) => message(body, { topic: `to/${body}` }))))
  const bytes = extractFrom(batch, [0, 2])
  t.notOk(bytes.includes('SECRET'))
  t.ok(bytes.includes('three'))
})

t.test('no flipped byte in an extract is accepted', async (t) => {
  const messages = ['a', 'b', 'c', 'd', 'e'].map((body, i) =>
    message(body, { topic: `t/${i % 3}`, headers: { i: i % 2 } }),
  )
  const batch = openBatch(sealed(messages))
  for (const indexes of [[0], [1, 3], [0, 1, 2, 3, 4]]) {
    const bytes = extractFrom(batch, indexes)
    t.equal(codeOf(bytes), null)
    for (let at = 0; at < bytes.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const changed = Buffer.from(bytes)
        changed[at] = (changed[at] as number) ^ (1 << bit)
        if (codeOf(changed) === null) t.fail(`bit ${bit} of byte ${at} of ${bytes.length}`)
      }
      if (codeOf(bytes.subarray(0, at)) === null) t.fail(`cut to ${at}`)
    }
    t.not(codeOf(Buffer.concat([bytes, Buffer.from([0])])), null)
  }
})

t.test('a changed compressed extract is refused, or still holds what was signed', async (t) => {
  const messages = Array.from({ length: 40 }, (_, i) => message(`row ${i} `.repeat(5)))
  const bytes = extractFrom(openBatch(sealed(messages)), [3, 4, 5, 6, 20, 21, 22, 30, 31, 32])
  const { headBytes } = parseHead(bytes)
  t.equal(bytes[headBytes], 1, 'it is compressed')
  const wanted = JSON.stringify(plain(bytes))
  for (let at = 0; at < bytes.length; at++) {
    for (const bit of [0x01, 0x08, 0x40]) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] as number) ^ bit
      let found = wanted
      const code = faultCode(() => {
        found = JSON.stringify(plain(changed))
      })
      if (code === null && (at < headBytes + 5 || found !== wanted)) t.fail(`byte ${at}`)
    }
  }
})

/** An extract in parts, to be put together wrongly. */
type Parts = {
  indexes: number[]
  records: Buffer[]
  hashes: Buffer[]
  used: number[]
  entries: Buffer[]
  envelopeHashes: Buffer[]
}

function partsOf(bytes: Buffer): { head: Buffer; parts: Parts } {
  const { headBytes } = parseHead(bytes)
  const reader = new ByteReader(bytes, 'test', headBytes + 5)
  const numbers = (): number[] => {
    let previous = -1
    return Array.from({ length: reader.varint() }, () => {
      previous += reader.varint() + 1
      return previous
    })
  }
  const hashes = (): Buffer[] => Array.from({ length: reader.varint() }, () => reader.view(32))
  const indexes = numbers()
  const records = indexes.map(() => reader.view(reader.varint()))
  const messageHashes = hashes()
  const used = numbers()
  const entries = used.map(() => reader.view(reader.varint()))
  return {
    head: bytes.subarray(0, headBytes),
    parts: { indexes, records, hashes: messageHashes, used, entries, envelopeHashes: hashes() },
  }
}

const varint = (value: number): Buffer => {
  const out = Buffer.alloc(9)
  return out.subarray(0, writeVarint(out, 0, value))
}

function assembled(head: Buffer, parts: Parts, change: (raw: Buffer) => Buffer[] = stored): Buffer {
  const numbers = (values: number[]) => [
    varint(values.length),
    ...values.map((value, i) => varint(value - (i === 0 ? 0 : (values[i - 1] as number) + 1))),
  ]
  const bytes = (items: Buffer[]) => items.flatMap((item) => [varint(item.length), item])
  const hashes = (items: Buffer[]) => [varint(items.length), ...items]
  const raw = Buffer.concat([
    ...numbers(parts.indexes),
    ...bytes(parts.records),
    ...hashes(parts.hashes),
    ...numbers(parts.used),
    ...bytes(parts.entries),
    ...hashes(parts.envelopeHashes),
  ])
  return Buffer.concat([head, ...change(raw)])
}

const start = (flags: number, rawBytes: number): Buffer => {
  const out = Buffer.alloc(5, flags)
  out.writeUInt32LE(rawBytes, 1)
  return out
}
const stored = (raw: Buffer): Buffer[] => [start(0, raw.length), raw]

t.test('parts put together wrongly', async (t) => {
  const messages = ['a', 'b', 'c', 'd'].map((body, i) => message(body, { topic: `t/${i % 2}` }))
  const batch = openBatch(sealed(messages))
  const { head, parts } = partsOf(extractFrom(batch, [1, 2]))
  t.equal(codeOf(assembled(head, parts)), null, 'put together rightly')
  const swapped = <T>(pair: T[]): T[] => [pair[1] as T, pair[0] as T]
  const cases: [string, Partial<Parts>, string][] = [
    ['no message', { indexes: [], records: [] }, 'EXTRACT_INVALID'],
    ['places of other messages', { indexes: [0, 2] }, 'EXTRACT_INVALID'],
    ['a place beyond the batch', { indexes: [1, 4] }, 'EXTRACT_INVALID'],
    ['more places than messages', { indexes: [0, 1, 2, 3, 4] }, 'EXTRACT_INVALID'],
    ['records in the wrong order', { records: swapped(parts.records) }, 'EXTRACT_INVALID'],
    ['an empty record', { records: [Buffer.alloc(0), parts.records[1] as Buffer] }, 'EXTRACT_INVALID'],
    ['a hash too few', { hashes: parts.hashes.slice(1) }, 'PROOF_INVALID'],
    ['a hash too many', { hashes: [...parts.hashes, Buffer.alloc(32)] }, 'PROOF_INVALID'],
    ['hashes in the wrong order', { hashes: swapped(parts.hashes) }, 'EXTRACT_INVALID'],
    ['envelopes in the wrong order', { entries: swapped(parts.entries) }, 'EXTRACT_INVALID'],
    ['an envelope too few', { used: [0], entries: parts.entries.slice(0, 1) }, 'PROOF_INVALID'],
    ['envelopes that are not there', { used: [0, 2] }, 'EXTRACT_INVALID'],
    [
      'a node in place of a record',
      { records: [Buffer.concat([Buffer.from([1]), ...parts.hashes]), parts.records[1] as Buffer] },
      'EXTRACT_INVALID',
    ],
  ]
  for (const [name, changes, code] of cases) t.equal(codeOf(assembled(head, { ...parts, ...changes })), code, name)
  const other = openBatch(
    sealed(
      messages.map((each) => ({ ...each, body: Buffer.from('z') })),
      { firstSeq: 99 },
    ),
  )
  t.equal(codeOf(assembled(other.head.bytes, parts)), 'EXTRACT_INVALID', 'under the head of another batch')
  t.equal(codeOf(assembled(resealed(head, testKey('other'), false), parts)), 'BATCH_SIGNATURE_INVALID')
  t.equal(codeOf(assembled(sealed(messages, { key: null }).subarray(0, head.length - 64), parts)), 'BATCH_UNSIGNED')
  const treeless = openBatch(sealed(messages, { tree: false }))
  t.equal(codeOf(assembled(treeless.head.bytes, parts)), 'EXTRACT_INVALID', 'a head without a tree')
  t.equal(codeOf(Buffer.from(head)), 'BYTES_SHORT', 'a head and nothing else')
})

t.test('an envelope that is left out although a record names it', async (t) => {
  const batch = openBatch(sealed([message('a', { topic: 't/0' }), message('b', { topic: 't/1' })]))
  const { head, parts } = partsOf(extractFrom(batch, [1]))
  const of0 = partsOf(extractFrom(batch, [0])).parts
  const wrong = { ...parts, used: of0.used, entries: of0.entries, envelopeHashes: of0.envelopeHashes }
  t.equal(codeOf(assembled(head, wrong)), 'BATCH_MALFORMED')
})

t.test('the container: sizes, flags, bombs', async (t) => {
  const messages = Array.from({ length: 30 }, (_, i) => message(`row ${i}`))
  const { head, parts } = partsOf(extractFrom(openBatch(sealed(messages)), [4]))
  const packed = (raw: Buffer): Buffer => zstdCompressSync(raw)
  const cases: [string, (raw: Buffer) => Buffer[], string | null][] = [
    ['compressed', (raw) => [start(1, raw.length), packed(raw)], null],
    ['reserved flags', (raw) => [start(2, raw.length), raw], 'EXTRACT_INVALID'],
    ['less than declared', (raw) => [start(0, raw.length + 1), raw], 'EXTRACT_INVALID'],
    ['more than declared', (raw) => [start(0, raw.length - 1), raw], 'EXTRACT_INVALID'],
    ['larger than a frame', (raw) => [start(0, BATCH_FRAME_BYTES_MAX + 1), raw], 'BATCH_TOO_LARGE'],
    ['a bomb', () => [start(1, 1000), packed(Buffer.alloc(64 * 1024 * 1024))], 'EXTRACT_INVALID'],
    ['a bomb that says so', () => [start(1, 0xffff_ffff), packed(Buffer.alloc(8 * 1024 * 1024))], 'BATCH_TOO_LARGE'],
    ['compressed to less than declared', (raw) => [start(1, raw.length + 1), packed(raw)], 'EXTRACT_INVALID'],
    ['two frames', (raw) => [start(1, raw.length), packed(raw), packed(raw)], 'EXTRACT_INVALID'],
    ['a byte behind the frame', (raw) => [start(1, raw.length), packed(raw), Buffer.alloc(1)], 'EXTRACT_INVALID'],
    ['not compressed', (raw) => [start(1, raw.length), raw], 'EXTRACT_INVALID'],
    ['a byte behind the parts', (raw) => stored(Buffer.concat([raw, Buffer.alloc(1)])), 'BYTES_TRAILING'],
    [
      'a number of hashes that cannot be',
      (raw) => stored(Buffer.concat([raw.subarray(0, -1), varint(2 ** 50)])),
      'BYTES_SHORT',
    ],
  ]
  for (const [name, change, code] of cases) t.equal(codeOf(assembled(head, parts, change)), code, name)
})

t.test('the largest batch can be taken apart', async (t) => {
  const messages = Array.from({ length: 65_536 }, (_, i) => message(String(i)))
  const batch = openBatch(sealed(messages))
  const indexes = messages.map((_, i) => i).filter((i) => i % 7 === 0)
  const { messages: found } = openExtract(extractFrom(batch, indexes), keyOf)
  t.equal(found.length, indexes.length)
  t.equal(found.at(-1)?.body.toString(), String(indexes.at(-1)))
})

t.test('only messages of the batch, in order, once each, can be asked for', async (t) => {
  const batch = openBatch(sealed([message('a'), message('b')]))
  for (const indexes of [[], [2], [-1], [1, 0], [0, 0], [0.5], [Number.NaN]]) {
    t.throws(() => extractFrom(batch, indexes), /invariant broken/, JSON.stringify(indexes))
  }
  const without = openBatch(sealed([message('a'), message('b')], { tree: false }))
  t.equal(
    faultCode(() => extractFrom(without, [0])),
    'EXTRACT_INVALID',
  )
})

t.test('a batch whose origin signed nonsense is a fault for whoever takes it apart', async (t) => {
  const good = openBatch(sealed([message('a'), message('b')]))
  const wrongRoot = crafted(good.indexBytes, good.open().bytes, { flags: 2, count: 2, root: 'r'.repeat(32) })
  t.equal(
    faultCode(() => extractFrom(openBatch(wrongRoot), [0])),
    'EXTRACT_INVALID',
  )
  // The tree is right, but a record names an envelope that is not there.
  const index = good.indexBytes
  const payload = Buffer.from(good.open().bytes)
  payload[8 + 1] = 5
  const records = payload.subarray(8)
  const root = treeRoot(leafHashes(index, good.index().envelopeEnds), leafHashes(records, good.open().ends()))
  const batch = openBatch(crafted(index, payload, { flags: 2, count: 2, root }))
  batch.verify(KEY.publicKey)
  t.equal(
    faultCode(() => extractFrom(batch, [0])),
    'EXTRACT_INVALID',
  )
  t.equal(
    faultCode(() => extractFrom(batch, [1])),
    null,
  )
  t.equal(
    faultCode(() => parseRecord(batch.open().record(0), batch.index().envelopes)),
    'BATCH_MALFORMED',
  )
})
