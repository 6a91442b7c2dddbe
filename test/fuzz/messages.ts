// What is decoded from small bodies: header maps, every control message, prefixes, tokens, the peer's CLOSE.

import { createHash } from 'node:crypto'
import { assert } from '#protocol/base/mod.ts'
import { Random } from '#protocol/bytes/testing.ts'
import { decodeHeaders, encodeHeaders, HEADERS_MAX } from '#protocol/codec/mod.ts'
import { randomHeaders } from '#protocol/codec/testing.ts'
import { FRAME_HEADER_BYTES } from '#protocol/frame/mod.ts'
import { encodeToken, parseToken, peerClosed } from '#protocol/handshake/mod.ts'
import * as schema from '#protocol/schema/mod.ts'
import { batchFrameStart, deliverFrameStart, parseBatchPrefix, parseDeliverPrefix } from '#protocol/session/mod.ts'
import { mutated } from './mutate.ts'
import type { Target } from './target.ts'

const setup = new Random(0x5eed)
const HEADERS = Array.from({ length: 60 }, () => encodeHeaders(randomHeaders(setup)))

export const headers: Target = {
  name: 'headers',
  share: 0.13,
  layers: { accepted: 0.2 },
  make: (random) =>
    random.oneIn(10)
      ? Buffer.concat([Buffer.from([0x81]), random.bytes(random.below(20))])
      : mutated(random, random.pick(HEADERS), random.pick(HEADERS)),
  run(input, reach) {
    const value = decodeHeaders(input)
    const text = JSON.stringify(value)
    assert(Object.keys(value).length <= HEADERS_MAX, 'no more headers than allowed')
    assert(JSON.stringify(decodeHeaders(encodeHeaders(value))) === text, 'what is accepted can be sent on')
    reach('accepted')
    return text.length
  },
}

// biome-ignore lint/suspicious/noExplicitAny: one table over codecs of many types
type AnyCodec = { encode(value: any): Buffer; decode(bytes: Uint8Array): any; sample: object }

const report = { code: 'STREAM_GAP', message: 'a batch skips numbers', remedy: 'Send again', retry: true }
const limits = {
  frameBytesMax: 4_718_592,
  batchBytesMax: 4_000_000,
  bodyBytesMax: 1_048_576,
  batchMessagesMax: 65_536,
  headersBytesMax: 16_384,
  creditBytesMax: 33_554_432,
  streamsMax: 64,
  subscriptionsMax: 64,
}
const text = Buffer.from('some bytes that stand for a certificate')
const id = Buffer.alloc(16, 5)
const hash = Buffer.alloc(32, 6)
const settlement = { from: 5, count: 10, outcome: schema.Outcome.REJECTED, reason: '主键重复', lane: 4, delayMs: 500 }
const chunkPart = { chunk: 5, bytes: 262_144, encodedBytes: 300_000 }
const chunkRanges = [
  { from: 0, count: 3 },
  { from: 0xffff_fff0, count: 7 },
]
const policy = {
  ...{ order: schema.QueueOrder.KEY, partitions: 8, messagesMax: 1e6, bytesMax: 1e9, ageMsMax: 1e8 },
  ...{
    onFull: schema.OnFull.DROP_OLDEST,
    maxDeliver: 5,
    onExpire: schema.OnExpire.DROP,
    retainMs: 1e8,
    retainBytes: 1e9,
  },
}
const hello = {
  versionMin: 1,
  versionMax: 1,
  features: [3, 0, 1],
  limits,
  name: 'civil-affairs',
  role: schema.Role.AGENT,
  certificates: [text, text],
  nonce: hash,
  purpose: schema.Purpose.SESSION,
  binding: schema.Binding.TLS_EXPORTER,
  software: 'causeway-agent/0.1',
}
const subscribe = {
  request: 4,
  queue: '',
  name: 'library',
  topics: ['division/#', '公文/+'],
  where: [{ name: ':content-type', values: ['application/json', 'text/csv'] }],
  ephemeral: true,
  creditBytes: 1 << 20,
  creditMessages: 1000,
  policy,
}

const CODECS: readonly AnyCodec[] = [
  { encode: schema.encodeHello, decode: schema.decodeHello, sample: hello },
  { encode: schema.encodeProof, decode: schema.decodeProof, sample: { suite: 1, signature: Buffer.alloc(64, 1) } },
  {
    encode: schema.encodeReady,
    decode: schema.decodeReady,
    sample: {
      sessionId: id,
      storeId: id,
      keepaliveMs: 20_000,
      version: 1,
      features: [1],
      limits,
      serverTimeMs: 1.78e12,
    },
  },
  {
    encode: schema.encodeEnroll,
    decode: schema.decodeEnroll,
    sample: { name: 'a', secret: hash, publicKeySpki: text, suite: 1, signature: Buffer.alloc(64) },
  },
  { encode: schema.encodeEnrolled, decode: schema.decodeEnrolled, sample: { certificate: text, caCertificate: text } },
  { encode: schema.encodeClose, decode: schema.decodeClose, sample: report },
  {
    encode: schema.encodeInvitation,
    decode: schema.decodeInvitation,
    sample: {
      addresses: ['tls://hub:7400'],
      hubName: 'h',
      agent: 'a',
      secret: hash,
      caFingerprint: hash,
      expiresAtMs: 1.78e12,
    },
  },
  { encode: schema.encodeFaultReport, decode: schema.decodeFaultReport, sample: report },
  { encode: schema.encodeLimits, decode: schema.decodeLimits, sample: limits },
  { encode: schema.encodeCredit, decode: schema.decodeCredit, sample: { consumer: 2, bytes: 1e12, messages: 7 } },
  { encode: schema.encodeFailed, decode: schema.decodeFailed, sample: { request: 1, fault: report } },
  {
    encode: schema.encodeOpenStream,
    decode: schema.decodeOpenStream,
    sample: { request: 1, stream: 'main', epoch: 3, knownSeq: 1e12, knownStore: id, skip: true },
  },
  {
    encode: schema.encodeStreamOpened,
    decode: schema.decodeStreamOpened,
    sample: { request: 1, streamId: 1, lastSeq: 1e9 },
  },
  {
    encode: schema.encodeAccepted,
    decode: schema.decodeAccepted,
    sample: { streamId: 1, lastSeq: 1e9, creditBytes: 1e8, unrouted: 3 },
  },
  {
    encode: schema.encodeRefused,
    decode: schema.decodeRefused,
    sample: { streamId: 1, firstSeq: 7, fault: report, lastSeq: 6 },
  },
  { encode: schema.encodeHeaderRule, decode: schema.decodeHeaderRule, sample: { name: 'n', values: ['a', 'b'] } },
  { encode: schema.encodeSubscribe, decode: schema.decodeSubscribe, sample: subscribe },
  {
    encode: schema.encodeSubscribed,
    decode: schema.decodeSubscribed,
    sample: { request: 4, consumer: 1, queue: 'civil-affairs:library' },
  },
  {
    encode: schema.encodeUnsubscribe,
    decode: schema.decodeUnsubscribe,
    sample: { request: 5, consumer: 1, forget: true },
  },
  { encode: schema.encodeSettlement, decode: schema.decodeSettlement, sample: settlement },
  {
    encode: schema.encodeSettle,
    decode: schema.decodeSettle,
    sample: { consumer: 1, settleId: 9, ranges: [settlement, settlement] },
  },
  { encode: schema.encodeSettled, decode: schema.decodeSettled, sample: { consumer: 1, settleId: 9 } },
  { encode: schema.encodeOrigin, decode: schema.decodeOrigin, sample: { name: 'civil-affairs', certificate: text } },
  { encode: schema.encodeQueuePolicy, decode: schema.decodeQueuePolicy, sample: policy },
  {
    encode: schema.encodeReplay,
    decode: schema.decodeReplay,
    sample: { request: 6, consumer: 1, fromPosition: 1e9, fromMs: 1.78e12 },
  },
  { encode: schema.encodeReplayed, decode: schema.decodeReplayed, sample: { request: 6, messages: 1e6 } },
  {
    encode: schema.encodeOpenTransfer,
    decode: schema.decodeOpenTransfer,
    sample: {
      request: 7,
      content: id,
      name: '户籍.zip',
      mediaType: 'a/b',
      size: 1e12,
      chunkBytes: 65_536,
      keepMs: 1e8,
      expiresMs: 1e9,
    },
  },
  {
    encode: schema.encodeTransferOpened,
    decode: schema.decodeTransferOpened,
    sample: { request: 7, transfer: 1, creditBytes: 1e7, sealed: true },
  },
  {
    encode: schema.encodeFetch,
    decode: schema.decodeFetch,
    sample: { request: 8, content: id, creditBytes: 1e7, priority: 1 },
  },
  {
    encode: schema.encodeFetched,
    decode: schema.decodeFetched,
    sample: {
      request: 8,
      transfer: 2,
      origin: 'a',
      name: '户籍.zip',
      mediaType: 'a/b',
      size: 1e12,
      chunkBytes: 65_536,
    },
  },
  {
    encode: schema.encodeChunks,
    decode: schema.decodeChunks,
    sample: { transfer: 1, first: 2000, digests: Buffer.concat([hash, hash]), lengths: [65_536, 7] },
  },
  { encode: schema.encodeChunkRange, decode: schema.decodeChunkRange, sample: { from: 5, count: 70_000 } },
  {
    encode: schema.encodeWant,
    decode: schema.decodeWant,
    sample: { transfer: 1, ranges: chunkRanges, part: chunkPart, priority: 2 },
  },
  { encode: schema.encodeChunkPart, decode: schema.decodeChunkPart, sample: chunkPart },
  {
    encode: schema.encodeStored,
    decode: schema.decodeStored,
    sample: { transfer: 1, ranges: chunkRanges, creditBytes: 1e12 },
  },
  { encode: schema.encodeSeal, decode: schema.decodeSeal, sample: { transfer: 1, manifest: text } },
  { encode: schema.encodeSealed, decode: schema.decodeSealed, sample: { transfer: 1 } },
  {
    encode: schema.encodeEndTransfer,
    decode: schema.decodeEndTransfer,
    sample: { transfer: 1, fault: report, cancel: true },
  },
]
const ENCODED = CODECS.map(({ encode, sample }) => encode(sample))

/** How many codecs there are, for the test that none is forgotten. */
export const codecCount = CODECS.length

export const controls: Target = {
  name: 'control messages',
  share: 0.16,
  layers: { accepted: 0.2 },
  make(random) {
    const codec = random.below(CODECS.length)
    const bytes = random.oneIn(15)
      ? random.bytes(random.below(40))
      : mutated(random, ENCODED[codec] as Buffer, random.pick(ENCODED))
    return Buffer.concat([Buffer.from([codec]), bytes])
  },
  run(input, reach) {
    const { decode, encode } = CODECS[(input[0] as number) % CODECS.length] as AnyCodec
    const value = decode(input.subarray(1))
    const again = encode(value)
    assert(JSON.stringify(decode(again)) === JSON.stringify(value), 'what is accepted can be sent on')
    // Unknown fields vanish and defaults are left out; only numbers may grow, from one spelling to the canonical one.
    assert(again.length <= 2 * input.length + 16, 'and is no longer than it was')
    reach('accepted')
    return again.length
  },
}

const PREFIXES = [
  batchFrameStart(2, 1, 4),
  deliverFrameStart(2, { consumer: 1, form: 2, attempt: 1, lane: 2, position: 10, floor: 4, count: 3 }, 4),
].map((start) => Buffer.concat([start.subarray(FRAME_HEADER_BYTES), Buffer.from('rest')]))

export const prefixes: Target = {
  name: 'prefixes',
  share: 0.025,
  layers: { accepted: 0.1 },
  make: (random) => mutated(random, random.pick(PREFIXES), random.pick(PREFIXES)),
  run(input, reach) {
    const stream = input.length < 30 ? parseBatchPrefix(input) : parseDeliverPrefix(input).consumer
    assert(Number.isInteger(stream), 'a number')
    reach('accepted')
    return input.length
  },
}

const INVITATION = ENCODED[6] as Buffer

export const tokens: Target = {
  name: 'tokens',
  share: 0.02,
  layers: { checksum: 0.3, accepted: 0.02 },
  make(random) {
    const payload = random.oneIn(10) ? INVITATION : mutated(random, INVITATION)
    const length = Buffer.alloc(2)
    length.writeUInt16BE(payload.length)
    const body = Buffer.concat([length, payload])
    const sum = createHash('sha256').update(body).digest().subarray(0, 4)
    const token = Buffer.from(`cwt1.${Buffer.concat([body, sum]).toString('base64url')}`)
    return random.oneIn(2) ? token : mutated(random, token)
  },
  run(input, reach) {
    const token = input.toString('latin1')
    try {
      const invitation = parseToken(token)
      assert(encodeToken(invitation).length > 0, 'what is accepted can be written')
      reach('accepted')
      reach('checksum')
    } catch (error) {
      if (error instanceof Error && error.message.includes('contents')) reach('checksum')
      throw error
    }
    return input.length
  },
}

const CLOSE = ENCODED[5] as Buffer

export const closes: Target = {
  name: 'closes',
  share: 0.005,
  layers: { accepted: 0.2 },
  make: (random) => mutated(random, CLOSE),
  run(input, reach) {
    const fault = peerClosed(input)
    assert(!/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(fault.describe()), 'nothing in it controls a terminal')
    reach('accepted')
    return fault.describe().length
  },
}
