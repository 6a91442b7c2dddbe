// Sealed batches and extracts, as a hub and a consumer take them: head, digest, signature, index, payload, records, proof.

import { zstdCompressSync } from 'node:zlib'
import { assert, Fault } from '#protocol/base/mod.ts'
import { varintBytes, writeVarint } from '#protocol/bytes/mod.ts'
import { Random } from '#protocol/bytes/testing.ts'
import { recordLayout } from '#protocol/codec/batch.ts'
import {
  type Batch,
  type BatchHead,
  extractFrom,
  keyIdIn,
  type MessageView,
  openBatch,
  openExtract,
  parseHead,
  parseRecord,
} from '#protocol/codec/mod.ts'
import { crafted, KEY, randomMessages, resealed, sealed, testKey } from '#protocol/codec/testing.ts'
import { PAYLOAD_RAW_BYTES_MAX } from '#protocol/frame/mod.ts'
import { mutated } from './mutate.ts'
import type { Target } from './target.ts'

/** Signs the samples and nothing else: whatever verifies with it and is no sample was forged. `KEY` is the sender who cheats. */
const HONEST = testKey('an honest origin')

const publicKeyFor = (head: BatchHead) => (keyIdIn(head).equals(HONEST.keyId) ? HONEST.publicKey : KEY.publicKey)

type Sample = {
  readonly batch: Batch
  readonly raw: Buffer
  readonly messages: readonly string[]
  readonly extracts: Buffer[]
}

const textOf = ({ envelope, key, body }: MessageView): string =>
  JSON.stringify([envelope.topic, envelope.headers, key.toString('hex'), body.toString('hex')])

function sampleOf(random: Random, i: number): Sample {
  const messages = randomMessages(random, 1 + random.below(6)).map((each) => ({
    ...each,
    body: each.body.subarray(0, 60),
  }))
  const compression = i % 4 === 0 ? 'zstd' : 'none'
  const batch = openBatch(sealed(messages, { key: HONEST, compression, tree: i % 5 !== 1, firstSeq: 1 + i * 100 }))
  const payload = batch.open()
  const { envelopes } = batch.index()
  const texts = messages.map((_, at) => textOf(parseRecord(payload.record(at), envelopes)))
  const extracts: Buffer[] = []
  for (let n = 0; batch.hasTree && n < 3; n++) {
    const indexes = messages.map((_, at) => at).filter(() => random.oneIn(2))
    extracts.push(extractFrom(batch, indexes.length === 0 ? [0] : indexes))
  }
  return { batch, raw: payload.bytes, messages: texts, extracts }
}

const setup = new Random(0xca05e)
const SAMPLES: readonly Sample[] = Array.from({ length: 40 }, (_, i) => sampleOf(setup, i))
const EXTRACTS: readonly Buffer[] = SAMPLES.flatMap(({ extracts }) => extracts)
const byHead = new Map(SAMPLES.map((sample) => [sample.batch.head.bytes.toString('hex'), sample]))

/** The same index and payload damaged separately, under a head that is right about them, or nearly. */
function rebuilt(random: Random, { batch, raw }: Sample, other: Sample): Buffer {
  const index = random.oneIn(2) ? batch.indexBytes : mutated(random, batch.indexBytes, other.batch.indexBytes)
  const payload = random.oneIn(4) ? raw : mutated(random, raw, other.raw)
  const zip = random.oneIn(12)
  const stored = zip ? zstdCompressSync(payload) : payload
  const { count, envelopeCount } = batch.head
  const lie = (value: number): number => (random.oneIn(20) ? Math.max(0, value + random.below(5) - 2) : value)
  return crafted(index, zip && random.oneIn(4) ? mutated(random, stored) : stored, {
    flags: (zip ? 1 : 0) | (random.oneIn(10) ? 2 : 0),
    count: lie(count),
    envelopeCount: lie(envelopeCount),
    payloadRawBytes: lie(Math.max(payload.length, zip ? stored.length : 0)),
  })
}

/** As the cheating sender seals it. */
function sealedAgain(bytes: Buffer): Buffer {
  if (bytes.length < 128) return bytes
  const copy = Buffer.from(bytes)
  KEY.keyId.copy(copy, 120)
  return resealed(copy)
}

function makeBatch(random: Random): Buffer {
  const sample = random.pick(SAMPLES)
  const other = random.pick(SAMPLES)
  const { bytes, head } = sample.batch
  switch (random.below(12)) {
    case 0:
      return random.bytes(random.below(300))
    case 1:
      return sealed(randomMessages(random, 1 + random.below(3)))
    case 2:
      return mutated(random, bytes, other.batch.bytes)
    case 3: // Damage with the check bytes put right, as a line never does.
      return resealed(mutated(random, bytes, other.batch.bytes), null, random.oneIn(2))
    case 4:
    case 5:
      return sealedAgain(mutated(random, bytes, other.batch.bytes))
    case 6: // Only the content.
      return sealedAgain(Buffer.concat([head.bytes, mutated(random, sample.batch.content, other.batch.content)]))
    case 7: // Only the numbers of the head.
      return sealedAgain(Buffer.concat([mutated(random, bytes.subarray(0, 56)), bytes.subarray(56)]))
    default:
      return rebuilt(random, sample, other)
  }
}

export const batches: Target = {
  name: 'batches',
  share: 0.12,
  layers: { head: 0.4, digest: 0.4, signature: 0.4, index: 0.2, payload: 0.1, records: 0.05, extract: 0.02 },
  make: makeBatch,
  run(input, reach) {
    const batch = openBatch(input)
    reach('head')
    batch.checkContent()
    reach('digest')
    batch.verify(publicKeyFor(batch.head))
    reach('signature')
    const sample = byHead.get(batch.head.bytes.toString('hex'))
    if (keyIdIn(batch.head).equals(HONEST.keyId))
      assert(sample?.batch.bytes.equals(input) === true, 'only samples verify')
    const { envelopes, runs, envelopeEnds } = batch.index()
    const runBytes = runs.reduce((sum, { envelope, count }) => sum + varintBytes(envelope) + varintBytes(count), 0)
    assert((envelopeEnds.at(-1) as number) + runBytes === batch.head.indexBytes, 'an index is nothing but its parts')
    assert(envelopes.length === batch.head.envelopeCount, 'as many envelopes as the head says')
    assert(runs.reduce((sum, run) => sum + run.count, 0) === batch.count, 'runs that add up')
    reach('index')
    const payload = batch.open()
    assert(payload.bytes.length <= PAYLOAD_RAW_BYTES_MAX, 'a payload within its limit')
    reach('payload')
    let bytes = 4 * batch.count
    for (let i = 0; i < batch.count; i++) bytes += payload.record(i).length
    assert(bytes === payload.bytes.length, 'a payload is nothing but offsets and records')
    for (let i = 0; i < batch.count; i++) parseRecord(payload.record(i), envelopes)
    reach('records')
    if (batch.hasTree) takeApart(batch)
    if (batch.hasTree) reach('extract')
    return payload.bytes.length + batch.count + envelopes.length + runs.length
  },
}

/** What a hub does for a consumer of some of the messages. What it makes must open. */
function takeApart(batch: Batch): void {
  const indexes = Array.from({ length: batch.count }, (_, i) => i).filter((i) => i % 2 === 0)
  const { messages } = openExtract(extractFrom(batch, indexes), publicKeyFor)
  const payload = batch.open()
  const { envelopes } = batch.index()
  messages.forEach((message, i) => {
    const wanted = parseRecord(payload.record(indexes[i] as number), envelopes)
    assert(textOf(message) === textOf(wanted), 'an extract holds what the batch holds')
  })
}

export const extracts: Target = {
  name: 'extracts',
  share: 0.04,
  layers: { head: 0.7, signature: 0.7, tree: 0.1, accepted: 0.03 },
  make(random) {
    const bytes = random.pick(EXTRACTS)
    const other = random.pick(EXTRACTS)
    if (random.oneIn(20)) return bytes
    if (random.oneIn(8)) return mutated(random, bytes, other)
    const { headBytes } = parseHead(bytes)
    const part = mutated(random, bytes.subarray(headBytes + 5), other.subarray(parseHead(other).headBytes + 5))
    if (bytes[headBytes] === 1 || random.oneIn(8)) return Buffer.concat([bytes.subarray(0, headBytes + 5), part])
    const start = Buffer.alloc(5)
    start.writeUInt32LE(part.length, 1)
    if (!random.oneIn(12)) return Buffer.concat([bytes.subarray(0, headBytes), start, part])
    start[0] = 1
    return Buffer.concat([bytes.subarray(0, headBytes), start, zstdCompressSync(part)])
  },
  run(input, reach) {
    let signed = false
    try {
      const { head, indexes, messages } = openExtract(input, (head) => {
        reach('head')
        signed = true
        return publicKeyFor(head)
      })
      const sample = byHead.get(head.bytes.toString('hex'))
      assert(sample !== undefined, 'only the heads of samples verify')
      messages.forEach((message, i) => {
        assert(textOf(message) === sample.messages[indexes[i] as number], 'only messages of the batch are proven')
      })
      reach('signature')
      reach('tree')
      reach('accepted')
      return messages.reduce((sum, { key, body }) => sum + 1 + key.length + body.length, 0)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      if (signed && error.code !== 'BATCH_SIGNATURE_INVALID') reach('signature')
      if (error.code === 'PROOF_INVALID' || error.message.includes('another root')) reach('tree')
      throw error
    }
  },
}

const ENVELOPES = SAMPLES.map(({ batch }) => batch.index().envelopes)

export const records: Target = {
  name: 'records',
  share: 0.1,
  layers: { record: 0.2 },
  make(random) {
    const i = random.below(SAMPLES.length)
    const { batch } = SAMPLES[i] as Sample
    const record = batch.open().record(random.below(batch.count))
    const bytes = random.oneIn(10) ? random.bytes(random.below(12)) : mutated(random, record)
    return Buffer.concat([Buffer.from([i]), bytes])
  },
  run(input, reach) {
    const record = input.subarray(1)
    const { key, body } = parseRecord(record, ENVELOPES[(input[0] as number) % ENVELOPES.length] ?? [])
    const { envelope, keyBytes } = recordLayout(record)
    const start = Buffer.alloc(1 + varintBytes(envelope) + varintBytes(keyBytes))
    writeVarint(start, writeVarint(start, 1, envelope), keyBytes)
    assert(key.length === keyBytes, 'a key of its length')
    assert(Buffer.concat([start, key, body]).equals(record), 'a record is nothing but its parts')
    reach('record')
    return input.length
  },
}
