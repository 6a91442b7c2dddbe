import { zstdCompressSync } from 'node:zlib'
import t from 'tap'
import { faultCode, Random, testSeed } from '#protocol/bytes/testing.ts'
import { ed25519 } from '#protocol/crypto/mod.ts'
import { BODY_BYTES_MAX, INDEX_BYTES_MAX, PAYLOAD_RAW_BYTES_MAX } from '#protocol/frame/mod.ts'
import { Payload } from './batch.ts'
import type { HeadInput } from './head.ts'
import {
  BATCH_MESSAGES_MAX,
  type Batch,
  BatchBuilder,
  ENVELOPES_MAX,
  KEY_BYTES_MAX,
  keyIdIn,
  NO_HEADERS,
  openBatch,
  parseHead,
  parseRecord,
} from './mod.ts'
import {
  crafted,
  KEY,
  message,
  randomMessages,
  resealed,
  sealed,
  sealOptions,
  type TestMessage,
  testKey,
} from './testing.ts'

const EMPTY = Buffer.alloc(0)

/** Everything a receiver does with a batch. */
function readAll(bytes: Buffer, key = KEY): { batch: Batch; messages: TestMessage[] } {
  const batch = openBatch(bytes)
  if (batch.head.suite === 0) batch.checkContent()
  else batch.verify(key.publicKey)
  const { envelopes } = batch.index()
  const payload = batch.open()
  const messages: TestMessage[] = []
  for (let i = 0; i < batch.count; i++) {
    const { envelope, key: messageKey, body } = parseRecord(payload.record(i), envelopes)
    messages.push({ ...envelope, key: messageKey.length === 0 ? null : messageKey, body })
  }
  return { batch, messages }
}

const codeOf = (bytes: Buffer, key = KEY): string | null => faultCode(() => readAll(bytes, key))

t.test(
  'the short way to a message gives what the long way gives, of records of every kind and of damaged ones',
  async (t) => {
    const seed = testSeed()
    t.comment(`SEED=${seed}`)
    const random = new Random(seed)
    const outcomes = { same: 0, fault: 0 }
    for (let round = 0; round < 200; round++) {
      const builder = new BatchBuilder()
      // Beyond 127 envelopes and beyond keys of 127 bytes the numbers of a record take two bytes.
      const topics = random.oneIn(4) ? 300 : 3
      for (let i = 1 + random.below(400); i > 0; i--) {
        const key = random.oneIn(2) ? null : random.bytes(random.below(random.oneIn(5) ? KEY_BYTES_MAX : 20))
        builder.add(`t/${random.below(topics)}`, NO_HEADERS, key, random.bytes(random.below(40)))
      }
      const batch = openBatch(builder.seal(sealOptions({ compression: 'none' })))
      const { envelopes } = batch.index()
      const bytes = Buffer.from(batch.open().bytes)
      const payload = new Payload(bytes, batch.count)
      for (let i = 0; i < batch.count; i++) {
        if (random.oneIn(3)) payload.record(i)[random.below(3)] = random.oneIn(2) ? random.below(256) : 0x80
        const at = (view: Buffer) => (view.length === 0 ? 0 : view.byteOffset)
        const told = (read: () => ReturnType<typeof parseRecord>): string => {
          let text = ''
          const code = faultCode(() => {
            const { envelope, key, body } = read()
            text = `${envelope.topic} ${at(key)}+${key.length} ${at(body)}+${body.length}`
          })
          return code ?? text
        }
        const long = told(() => parseRecord(payload.record(i), envelopes))
        const short = told(() => payload.message(i, envelopes))
        if (short !== long) return t.fail(`round ${round}, message ${i}: ${short}, not ${long}`)
        outcomes[/^[A-Z_]+$/.test(short) ? 'fault' : 'same']++
      }
    }
    t.ok(outcomes.same > 10_000 && outcomes.fault > 500, `${outcomes.same} messages, ${outcomes.fault} faults`)
  },
)

t.test('what goes in comes out, whatever the seal', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  for (let round = 0; round < 300; round++) {
    const messages = randomMessages(random, 1 + random.below(random.oneIn(10) ? 400 : 12))
    const options = sealOptions({
      compression: random.oneIn(2) ? 'zstd' : 'none',
      tree: random.oneIn(2),
      key: random.oneIn(4) ? null : KEY,
      firstSeq: 1 + Math.min(random.u53(), 2 ** 53 - 1000),
      epoch: random.u53(),
      origin: random.pick(['a', '民政', 'o'.repeat(200)]),
      stream: random.pick(['s', 'table 乡镇/1', 's'.repeat(200)]),
    })
    const bytes = sealed(messages, options)
    const { batch, messages: found } = readAll(bytes)
    t.strictSame(found, messages)
    const { head } = batch
    t.strictSame(
      [head.origin, head.stream, head.epoch, head.firstSeq, head.sealedAtMs],
      [options.origin, options.stream, options.epoch, options.firstSeq, options.sealedAtMs],
    )
    t.equal(batch.lastSeq, options.firstSeq + messages.length - 1)
    t.equal(batch.hasTree, options.tree)
    t.strictSame(keyIdIn(head), options.key === null ? Buffer.alloc(8) : KEY.keyId)
    const { envelopes, runs } = batch.index()
    const byRun = runs.flatMap(({ envelope, count }) => Array(count).fill(envelopes[envelope]))
    t.strictSame(
      byRun,
      messages.map(({ topic, headers }) => ({ topic, headers })),
      'the runs say the same',
    )
    const names = envelopes.map((envelope) => JSON.stringify(envelope))
    t.equal(new Set(names).size, names.length, 'each envelope stands there once')
    if (!t.passing()) return
  }
})

t.test('a builder is empty after sealing and makes the same bytes again', async (t) => {
  const messages = randomMessages(new Random(1), 20)
  const builder = new BatchBuilder()
  const seal = (): Buffer => {
    for (const { topic, headers, key, body } of messages) builder.add(topic, headers, key, body)
    return builder.seal(sealOptions())
  }
  const first = seal()
  t.equal(builder.count, 0)
  t.equal(builder.rawBytes, 0)
  t.ok(seal().equals(first))
})

t.test('body i is found by the offsets table alone', async (t) => {
  const bodies = ['', 'one', '', 'three', 'x'.repeat(1000)]
  const batch = openBatch(sealed(bodies.map((body) => message(body))))
  const { bytes } = batch.open()
  bodies.forEach((body, i) => {
    const from = 4 * bodies.length + (i === 0 ? 0 : bytes.readUInt32LE(4 * i - 4))
    const to = 4 * bodies.length + bytes.readUInt32LE(4 * i)
    t.equal(bytes.toString('utf8', from + 3, to), body)
  })
})

t.test('bodies, keys and counts of exactly the maximum, and one above', async (t) => {
  const body = Buffer.alloc(BODY_BYTES_MAX, 7)
  const key = Buffer.alloc(KEY_BYTES_MAX, 8)
  const { messages } = readAll(sealed([message('', { key, body }), message('')]))
  t.ok(messages[0]?.body.equals(body))
  t.ok(messages[0]?.key?.equals(key))
  t.equal(messages[1]?.body.length, 0)

  const builder = new BatchBuilder()
  const add = (keyBytes: number, bodyBytes: number) => () =>
    builder.add('a', NO_HEADERS, Buffer.alloc(keyBytes), Buffer.alloc(bodyBytes))
  t.equal(faultCode(add(0, BODY_BYTES_MAX + 1)), 'BODY_TOO_LARGE')
  t.equal(faultCode(add(KEY_BYTES_MAX + 1, 0)), 'BATCH_TOO_LARGE')
  t.equal(builder.count, 0, 'nothing was added')
  builder.add('a', NO_HEADERS, null, Buffer.alloc(BODY_BYTES_MAX))
  t.equal(faultCode(add(0, BODY_BYTES_MAX)), 'BATCH_TOO_LARGE', 'two of the maximum pass the payload limit')
  t.equal(builder.count, 1)
  t.equal(builder.fits(BODY_BYTES_MAX, 0), false)
  const batch = openBatch(builder.seal(sealOptions({ compression: 'zstd' })))
  t.ok(batch.bytes.length < 1000)
  t.equal(parseRecord(batch.open().record(0), batch.index().envelopes).body.length, BODY_BYTES_MAX)
})

t.test('a body above the maximum that is sealed all the same is refused when it is read', async (t) => {
  const body = Buffer.alloc(BODY_BYTES_MAX + 1)
  const ends = Buffer.alloc(4)
  ends.writeUInt32LE(body.length + 3)
  const payload = Buffer.concat([ends, Buffer.from([0, 0, 0]), body])
  t.equal(codeOf(crafted(Buffer.from([0, 1, 0x61, 0, 0, 1]), payload)), 'BODY_TOO_LARGE')
})

t.test('a batch of as many messages as allowed', async (t) => {
  const builder = new BatchBuilder()
  const body = Buffer.from('x')
  let added = 0
  while (builder.fits(1, 0)) {
    builder.add('a', NO_HEADERS, null, body)
    added++
  }
  t.equal(added, BATCH_MESSAGES_MAX)
  t.equal(
    faultCode(() => builder.add('a', NO_HEADERS, null, body)),
    'BATCH_TOO_LARGE',
  )
  const bytes = builder.seal(sealOptions({ compression: 'zstd' }))
  const batch = openBatch(bytes)
  batch.verify(KEY.publicKey)
  t.strictSame(batch.index().runs, [{ envelope: 0, from: 0, count: BATCH_MESSAGES_MAX }])
  t.equal(batch.open().record(BATCH_MESSAGES_MAX - 1).length, 4)
})

t.test('a batch of as many envelopes as allowed, and an index that is nearly full', async (t) => {
  const builder = new BatchBuilder()
  let added = 0
  for (; builder.fits(0, 0); added++) builder.add(`t/${added}`, NO_HEADERS, null, EMPTY)
  t.equal(added, ENVELOPES_MAX)
  const { messages } = readAll(builder.seal(sealOptions()))
  t.equal(messages[ENVELOPES_MAX - 1]?.topic, `t/${ENVELOPES_MAX - 1}`)
  // Runs of one message each, envelopes with long names: the index stays within its limit whatever is added.
  for (let i = 0; builder.fits(0, 0); i++) builder.add(`${i % 1000}/${'x'.repeat(240)}`, NO_HEADERS, null, EMPTY)
  const batch = openBatch(builder.seal(sealOptions()))
  t.ok(batch.head.indexBytes <= INDEX_BYTES_MAX, `${batch.head.indexBytes} bytes`)
  t.equal(batch.index().runs.length, BATCH_MESSAGES_MAX)
})

t.test('no flipped byte in a sealed batch is accepted', async (t) => {
  const messages = [
    message('one'),
    message('two', { key: Buffer.from('k') }),
    message('', { topic: 'b', headers: { h: 1 } }),
  ]
  for (const compression of ['none', 'zstd'] as const) {
    for (const tree of [true, false]) {
      for (const key of [KEY, null]) {
        const wide = compression === 'zstd' ? [...messages, message('z'.repeat(500))] : messages
        const bytes = sealed(wide, { compression, tree, key })
        t.equal(codeOf(bytes), null)
        for (let at = 0; at < bytes.length; at++) {
          for (const bit of [0x01, 0x10, 0x80]) {
            const changed = Buffer.from(bytes)
            changed[at] = (changed[at] as number) ^ bit
            if (codeOf(changed) === null) t.fail(`byte ${at} of ${bytes.length}`)
          }
        }
        for (let length = 0; length < bytes.length; length++) {
          if (codeOf(bytes.subarray(0, length)) === null) t.fail(`cut to ${length}`)
        }
        t.equal(codeOf(Buffer.concat([bytes, Buffer.from([0])])), 'BATCH_MALFORMED', 'a byte behind it')
      }
    }
  }
})

t.test('repairing the check bytes and the digest does not repair the signature', async (t) => {
  const bytes = sealed([message('one'), message('two')])
  const seen = new Set<string>()
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] as number) ^ 0x04
    const repaired = resealed(changed, null)
    if (repaired.equals(bytes)) continue // a check byte or the digest itself, put right again
    const code = codeOf(repaired)
    if (code === null) t.fail(`byte ${at}`)
    seen.add(String(code))
  }
  t.ok(seen.has('BATCH_SIGNATURE_INVALID'))
  t.equal(codeOf(resealed(bytes, testKey('somebody else'))), 'BATCH_SIGNATURE_INVALID')
  t.equal(codeOf(bytes, testKey('somebody else')), 'BATCH_SIGNATURE_INVALID')
  const batch = openBatch(sealed([message('one')], { key: null }))
  t.equal(
    faultCode(() => batch.verify(KEY.publicKey)),
    'BATCH_UNSIGNED',
  )
})

t.test('a head that is signed but says what it may not', async (t) => {
  const index = Buffer.from([0, 1, 0x61, 0, 0, 1])
  const payload = Buffer.from([4, 0, 0, 0, 0, 0, 0, 0x21])
  t.equal(codeOf(crafted(index, payload)), null)
  const cases: [string, Partial<HeadInput>, string][] = [
    ['reserved flag', { flags: 0x10 }, 'BATCH_MALFORMED'],
    ['another reserved flag', { flags: 0x80 }, 'BATCH_MALFORMED'],
    ['no message', { count: 0 }, 'BATCH_MALFORMED'],
    ['no envelope', { envelopeCount: 0 }, 'BATCH_MALFORMED'],
    ['more envelopes than messages', { envelopeCount: 2 }, 'BATCH_MALFORMED'],
    ['too many messages', { count: BATCH_MESSAGES_MAX + 1 }, 'BATCH_TOO_LARGE'],
    ['too many envelopes', { count: BATCH_MESSAGES_MAX, envelopeCount: ENVELOPES_MAX + 1 }, 'BATCH_TOO_LARGE'],
    ['index too large', { indexBytes: INDEX_BYTES_MAX + 1 }, 'BATCH_TOO_LARGE'],
    ['payload too large', { payloadRawBytes: PAYLOAD_RAW_BYTES_MAX + 1 }, 'BATCH_TOO_LARGE'],
    ['payload larger than raw', { payloadRawBytes: payload.length - 1 }, 'BATCH_MALFORMED'],
    ['payload smaller than raw, not compressed', { payloadRawBytes: payload.length + 1 }, 'BATCH_MALFORMED'],
    ['parts that are not the whole', { indexBytes: index.length + 1 }, 'BATCH_MALFORMED'],
    ['sequence zero', { firstSeq: 0 }, 'BATCH_MALFORMED'],
    ['sequence at the end', { firstSeq: Number.MAX_SAFE_INTEGER }, 'BATCH_MALFORMED'],
    ['a dictionary', { dictionaryId: 1 }, 'BATCH_DICTIONARY_UNKNOWN'],
    ['one message more than there is', { count: 2 }, 'BYTES_SHORT'],
    ['a root without the flag', { root: 'r'.repeat(32) }, 'BATCH_MALFORMED'],
    ['a key without a signature', { suite: 0, sign: null }, 'BATCH_MALFORMED'],
    ['another digest', { contentDigest: Buffer.alloc(32) }, 'BATCH_DAMAGED'],
  ]
  for (const [name, changes, code] of cases) t.equal(codeOf(crafted(index, payload, changes)), code, name)
  const bytes = crafted(index, payload)
  const names: [string, (out: Buffer) => void, string][] = [
    ['unknown suite', (out) => out.writeUInt8(9, 4), 'SUITE_UNKNOWN'],
    ['suite none with a signature', (out) => out.writeUInt8(0, 4), 'BATCH_MALFORMED'],
    ['epoch of 2^53', (out) => out.writeUInt32LE(0x20_0000, 44), 'INTEGER_TOO_LARGE'],
    ['an origin that is not UTF-8', (out) => out.writeUInt8(0xff, 129), 'TEXT_INVALID'],
    ['a head longer than the batch', (out) => out.writeUInt16LE(bytes.length + 1, 6), 'BATCH_MALFORMED'],
    ['a head of nothing', (out) => out.writeUInt16LE(0, 6), 'BATCH_MALFORMED'],
  ]
  for (const [name, change, code] of names) {
    const changed = Buffer.from(bytes)
    change(changed)
    t.equal(codeOf(resealed(changed)), code, name)
  }
  const short = Buffer.from(bytes)
  short.writeUInt16LE(140, 6)
  ed25519.digest(short.subarray(0, 132)).copy(short, 132, 0, 8)
  t.equal(codeOf(short), 'BATCH_MALFORMED', 'a head that ends before its names')
  const { headBytes, origin } = parseHead(bytes)
  const nameless = Buffer.concat([bytes.subarray(0, 129), bytes.subarray(129 + origin.length)])
  nameless[128] = 0
  nameless.writeUInt16LE(headBytes - origin.length, 6)
  t.equal(codeOf(resealed(nameless)), 'BATCH_MALFORMED', 'no origin')
})

t.test('names of 200 bytes pass, longer ones do not, neither out nor in', async (t) => {
  t.equal(
    faultCode(() => sealed([message('')], { origin: 'o'.repeat(201) })),
    'BATCH_MALFORMED',
  )
  t.equal(
    faultCode(() => sealed([message('')], { stream: '流'.repeat(67) })),
    'BATCH_MALFORMED',
  )
  t.equal(
    faultCode(() => sealed([message('')], { stream: '' })),
    'BATCH_MALFORMED',
  )
  const bytes = sealed([message('')], { origin: 'o'.repeat(200), key: null })
  const { headBytes } = parseHead(bytes)
  const longer = Buffer.concat([bytes.subarray(0, 129), Buffer.from('oo'), bytes.subarray(129)])
  longer[128] = 202
  longer.writeUInt16LE(headBytes + 2, 6)
  t.equal(codeOf(resealed(longer, null)), 'BATCH_MALFORMED')
})

t.test('an index or payload that does not hold together', async (t) => {
  const good = Buffer.from([0, 1, 0x61, 0, 0, 1])
  const payload = Buffer.from([4, 0, 0, 0, 0, 0, 0, 0x21])
  const indexes: [string, number[], string][] = [
    ['no leaf prefix', [1, 1, 0x61, 0, 0, 1], 'BATCH_MALFORMED'],
    ['no topic', [0, 0, 0, 0, 1], 'TOPIC_INVALID'],
    ['a topic with a wildcard', [0, 1, 0x23, 0, 0, 1], 'TOPIC_INVALID'],
    ['a topic longer than the index', [0, 9, 0x61, 0, 0, 1], 'BYTES_SHORT'],
    ['a topic of 256 bytes', [0, 0x80, 2, ...Array(256).fill(0x61), 0, 0, 1], 'BATCH_MALFORMED'],
    ['a length that is not minimal', [0, 0x81, 0, 0x61, 0, 0, 1], 'VARINT_INVALID'],
    ['headers that are none', [0, 1, 0x61, 1, 0xc0, 0, 1], 'HEADERS_INVALID'],
    ['a run of another envelope', [0, 1, 0x61, 0, 1, 1], 'BATCH_MALFORMED'],
    ['a run of no messages', [0, 1, 0x61, 0, 0, 0], 'BATCH_MALFORMED'],
    ['a run of too many messages', [0, 1, 0x61, 0, 0, 2], 'BATCH_MALFORMED'],
    ['no run', [0, 1, 0x61, 0], 'BYTES_SHORT'],
    ['a run too many', [0, 1, 0x61, 0, 0, 1, 0, 1], 'BYTES_TRAILING'],
    ['nothing', [], 'BYTES_SHORT'],
  ]
  for (const [name, index, code] of indexes) t.equal(codeOf(crafted(Buffer.from(index), payload)), code, name)
  const payloads: [string, number[], string][] = [
    ['an offset beyond the end', [5, 0, 0, 0, 0, 0, 0, 0x21], 'BATCH_MALFORMED'],
    ['an offset before the end', [3, 0, 0, 0, 0, 0, 0, 0x21], 'BATCH_MALFORMED'],
    ['an offset of zero', [0, 0, 0, 0], 'BATCH_MALFORMED'],
    ['no leaf prefix', [4, 0, 0, 0, 1, 0, 0, 0x21], 'BATCH_MALFORMED'],
    ['an envelope that is not there', [4, 0, 0, 0, 0, 1, 0, 0x21], 'BATCH_MALFORMED'],
    ['an envelope number that is not minimal', [5, 0, 0, 0, 0, 0x80, 0, 0, 0x21], 'VARINT_INVALID'],
    ['a key longer than the record', [4, 0, 0, 0, 0, 0, 2, 0x21], 'BATCH_MALFORMED'],
    ['a key length that is cut', [4, 0, 0, 0, 0, 0, 0x80, 0x80], 'BYTES_SHORT'],
    ['shorter than its offsets', [1], 'BATCH_MALFORMED'],
    ['nothing', [], 'BATCH_MALFORMED'],
  ]
  for (const [name, bytes, code] of payloads) t.equal(codeOf(crafted(good, Buffer.from(bytes))), code, name)
})

t.test('compressed payloads: one frame, the declared size, nothing else', async (t) => {
  const index = Buffer.from([0, 1, 0x61, 0, 0, 1])
  const record = Buffer.concat([Buffer.from([0, 0, 0]), Buffer.alloc(1000, 0x41)])
  const raw = Buffer.concat([Buffer.alloc(4), record])
  raw.writeUInt32LE(record.length, 0)
  const packed = zstdCompressSync(raw)
  const zipped = (payload: Buffer, payloadRawBytes = raw.length) =>
    crafted(index, payload, { flags: 1, payloadRawBytes })
  t.equal(codeOf(zipped(packed)), null)
  const skippable = Buffer.from('502a4d1804000000aabbccdd', 'hex')
  const cases: [string, Buffer, string][] = [
    ['declares less than it holds', zipped(packed, raw.length - 1), 'BATCH_MALFORMED'],
    ['declares more than it holds', zipped(packed, raw.length + 1), 'BATCH_MALFORMED'],
    ['declares nothing', zipped(EMPTY, 0), 'BATCH_MALFORMED'],
    ['a bomb', zipped(zstdCompressSync(Buffer.alloc(64 * 1024 * 1024)), 8000), 'BATCH_MALFORMED'],
    [
      'a bomb that says so',
      zipped(zstdCompressSync(Buffer.alloc(PAYLOAD_RAW_BYTES_MAX + 1)), PAYLOAD_RAW_BYTES_MAX + 1),
      'BATCH_TOO_LARGE',
    ],
    ['two frames', zipped(Buffer.concat([packed, packed])), 'BATCH_MALFORMED'],
    [
      'a frame cut in two',
      zipped(Buffer.concat([zstdCompressSync(raw.subarray(0, 500)), zstdCompressSync(raw.subarray(500))])),
      'BATCH_MALFORMED',
    ],
    ['a byte behind the frame', zipped(Buffer.concat([packed, Buffer.alloc(1)])), 'BATCH_MALFORMED'],
    ['a skippable frame before it', zipped(Buffer.concat([skippable, packed])), 'BATCH_MALFORMED'],
    ['a skippable frame behind it', zipped(Buffer.concat([packed, skippable])), 'BATCH_MALFORMED'],
    ['only a skippable frame', zipped(skippable), 'BATCH_MALFORMED'],
    ['a frame cut short', zipped(packed.subarray(0, -1)), 'BATCH_MALFORMED'],
    ['not compressed at all', zipped(raw.subarray(0, 20)), 'BATCH_MALFORMED'],
  ]
  for (const [name, bytes, code] of cases) t.equal(codeOf(bytes), code, name)
})

t.test(
  'a window larger than the largest payload, and dictionaries, are refused before anything is decompressed',
  async (t) => {
    const index = Buffer.from([0, 1, 0x61, 0, 0, 1])
    // RFC 8878: magic, descriptor, what it calls for; a raw block of 7 bytes, then a last block of 100 times "A".
    const blocks = [7 << 3, 0, 0, 103, 0, 0, 0, 0, 0, 0, ((100 << 3) & 0xff) | 0b011, (100 << 3) >> 8, 0, 0x41]
    const of = (...header: number[]) => {
      const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, ...header, ...blocks])
      return codeOf(crafted(index, frame, { flags: 1, payloadRawBytes: 107 }))
    }
    t.equal(of(0x00, 11 << 3), null, 'window of 2 MiB')
    t.equal(of(0x00, (11 << 3) | 1), 'BATCH_MALFORMED', 'an eighth more')
    t.equal(of(0x00, 0xff), 'BATCH_MALFORMED', 'window of terabytes')
    t.equal(of(0x20, 107), null, 'single segment')
    t.equal(of(0x01, 0, 7), 'BATCH_MALFORMED', 'dictionary 7')
    t.equal(of(0x08, 0), 'BATCH_MALFORMED', 'reserved bit')
    t.equal(of(0x10, 0), 'BATCH_MALFORMED', 'unused bit')
  },
)
