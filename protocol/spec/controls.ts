// One filled message of every kind whose body is a protobuf message, for the vectors.

import {
  FRAME_ACCEPTED,
  FRAME_CLOSE,
  FRAME_CREDIT,
  FRAME_ENROLL,
  FRAME_ENROLLED,
  FRAME_FAILED,
  FRAME_HELLO,
  FRAME_OPEN_STREAM,
  FRAME_ORIGIN,
  FRAME_PROOF,
  FRAME_READY,
  FRAME_REFUSED,
  FRAME_REPLAY,
  FRAME_REPLAYED,
  FRAME_SETTLE,
  FRAME_SETTLED,
  FRAME_STREAM_OPENED,
  FRAME_SUBSCRIBE,
  FRAME_SUBSCRIBED,
  FRAME_UNSUBSCRIBE,
} from '#protocol/frame/mod.ts'
import * as schema from '#protocol/schema/mod.ts'
import { AGENT_CERTIFICATE, AGENT_NAME, actorKey, CA_CERTIFICATE, NOW_MS, spkiOf } from './actors.ts'
import { type ControlSample, sample } from './sample.ts'
import { transferSamples } from './transfers.ts'

/** The same with a retired field behind it, as a former sender wrote it. */
const withRetired = (made: ControlSample, field: Buffer): ControlSample => ({
  ...made,
  bytes: Buffer.concat([made.bytes, field]),
})

const limits: schema.Limits = {
  frameBytesMax: 4_718_592,
  batchBytesMax: 4_194_304,
  bodyBytesMax: 1_048_576,
  batchMessagesMax: 65_536,
  headersBytesMax: 16_384,
  creditBytesMax: 33_554_432,
  streamsMax: 64,
  subscriptionsMax: 64,
}

const fault: schema.FaultReport = {
  code: 'STREAM_GAP',
  message: 'a batch skips sequence numbers of its stream: 12 came after 4',
  remedy: 'The agent continues after the last number the hub has; it does so by itself after OPEN_STREAM',
  retry: true,
}

/** Field 4 of Subscribed (`floor`, here 40) is retired: no sender writes it, receivers skip it. */
const RETIRED_FLOOR = Buffer.from('2028', 'hex')

const id = (byte: number): Buffer => Buffer.alloc(16, byte)

/** By frame name, and what else is worth showing of it. */
export const controlSamples = {
  HELLO: sample(FRAME_HELLO, 'Hello', schema.encodeHello, {
    versionMin: 1,
    versionMax: 1,
    features: [],
    limits,
    name: AGENT_NAME,
    role: schema.Role.AGENT,
    certificates: [AGENT_CERTIFICATE],
    nonce: Buffer.alloc(32, 0xa0),
    purpose: schema.Purpose.SESSION,
    binding: schema.Binding.TLS_EXPORTER,
    software: 'causeway-agent/0.1.0',
  }),
  PROOF: sample(FRAME_PROOF, 'Proof', schema.encodeProof, { suite: 1, signature: Buffer.alloc(64, 0x51) }),
  READY: sample(FRAME_READY, 'Ready', schema.encodeReady, {
    sessionId: id(0x5a),
    storeId: id(0x5b),
    keepaliveMs: 20_000,
    version: 1,
    features: [],
    limits,
    serverTimeMs: NOW_MS,
  }),
  ENROLL: sample(FRAME_ENROLL, 'Enroll', schema.encodeEnroll, {
    name: AGENT_NAME,
    secret: Buffer.alloc(32, 0x5e),
    publicKeySpki: spkiOf(actorKey('agent')),
    suite: 1,
    signature: Buffer.alloc(64, 0x52),
  }),
  ENROLLED: sample(FRAME_ENROLLED, 'Enrolled', schema.encodeEnrolled, {
    certificate: AGENT_CERTIFICATE,
    caCertificate: CA_CERTIFICATE,
  }),
  CLOSE: sample(FRAME_CLOSE, 'Close', schema.encodeClose, {
    code: 'SESSION_SILENT',
    message: 'the peer has been silent for longer than agreed',
    remedy: 'Check the line; the agent reconnects by itself and continues where it was',
  }),
  CREDIT: sample(FRAME_CREDIT, 'Credit', schema.encodeCredit, { consumer: 2, bytes: 5_000_000_000, messages: 120_000 }),
  FAILED: sample(FRAME_FAILED, 'Failed', schema.encodeFailed, { request: 7, fault: { ...fault, retry: false } }),
  OPEN_STREAM: sample(FRAME_OPEN_STREAM, 'OpenStream', schema.encodeOpenStream, {
    request: 1,
    stream: '乡镇/main',
    epoch: 3,
    knownSeq: 0,
    knownStore: Buffer.alloc(0),
    skip: false,
  }),
  'OPEN_STREAM, behind what a restored hub lacks': sample(FRAME_OPEN_STREAM, 'OpenStream', schema.encodeOpenStream, {
    request: 1,
    stream: '乡镇/main',
    epoch: 3,
    knownSeq: 618_133,
    knownStore: id(0x5b),
    skip: true,
  }),
  STREAM_OPENED: sample(FRAME_STREAM_OPENED, 'StreamOpened', schema.encodeStreamOpened, {
    request: 1,
    streamId: 1,
    lastSeq: 618_133,
  }),
  ACCEPTED: sample(FRAME_ACCEPTED, 'Accepted', schema.encodeAccepted, {
    streamId: 1,
    lastSeq: 620_000,
    creditBytes: 41_000_000,
    unrouted: 3,
  }),
  REFUSED: sample(FRAME_REFUSED, 'Refused', schema.encodeRefused, { streamId: 1, firstSeq: 12, fault, lastSeq: 4 }),
  SUBSCRIBE: sample(FRAME_SUBSCRIBE, 'Subscribe', schema.encodeSubscribe, {
    request: 2,
    queue: '',
    name: 'library',
    topics: ['division/+', 'reply/civil-affairs/#'],
    where: [{ name: '级别', values: ['4', '5'] }],
    ephemeral: false,
    creditBytes: 8_388_608,
    creditMessages: 20_000,
    policy: null,
  }),
  'SUBSCRIBE, with a policy': sample(FRAME_SUBSCRIBE, 'Subscribe', schema.encodeSubscribe, {
    request: 4,
    queue: '',
    name: 'library',
    topics: ['division/#'],
    where: [],
    ephemeral: false,
    creditBytes: 8_388_608,
    creditMessages: 20_000,
    policy: {
      order: schema.QueueOrder.KEY,
      partitions: 8,
      messagesMax: 1_000_000,
      bytesMax: 10_000_000_000,
      ageMsMax: 604_800_000,
      onFull: schema.OnFull.DEAD_LETTER,
      maxDeliver: 5,
      onExpire: schema.OnExpire.DROP,
      retainMs: 86_400_000,
      retainBytes: 1_073_741_824,
    },
  }),
  SUBSCRIBED: withRetired(
    sample(FRAME_SUBSCRIBED, 'Subscribed', schema.encodeSubscribed, {
      request: 2,
      consumer: 2,
      queue: 'civil-affairs:library',
    }),
    RETIRED_FLOOR,
  ),
  UNSUBSCRIBE: sample(FRAME_UNSUBSCRIBE, 'Unsubscribe', schema.encodeUnsubscribe, {
    request: 3,
    consumer: 2,
    forget: true,
  }),
  SETTLE: sample(FRAME_SETTLE, 'Settle', schema.encodeSettle, {
    consumer: 2,
    settleId: 9,
    ranges: [
      { from: 40, count: 100, outcome: schema.Outcome.PROCESSED, reason: '', lane: 0, delayMs: 0 },
      { from: 140, count: 1, outcome: schema.Outcome.REJECTED, reason: '主键重复', lane: 0, delayMs: 0 },
      { from: 141, count: 2, outcome: schema.Outcome.RETRY, reason: '', lane: 0, delayMs: 0 },
    ],
  }),
  'SETTLE, in two lanes': sample(FRAME_SETTLE, 'Settle', schema.encodeSettle, {
    consumer: 2,
    settleId: 10,
    ranges: [
      { from: 143, count: 7, outcome: schema.Outcome.PROCESSED, reason: '', lane: 0, delayMs: 0 },
      { from: 5, count: 1, outcome: schema.Outcome.RETRY, reason: '', lane: 4, delayMs: 30_000 },
    ],
  }),
  SETTLED: sample(FRAME_SETTLED, 'Settled', schema.encodeSettled, { consumer: 2, settleId: 9 }),
  ORIGIN: sample(FRAME_ORIGIN, 'Origin', schema.encodeOrigin, { name: AGENT_NAME, certificate: AGENT_CERTIFICATE }),
  REPLAY: sample(FRAME_REPLAY, 'Replay', schema.encodeReplay, {
    request: 5,
    consumer: 2,
    fromPosition: 0,
    fromMs: NOW_MS,
  }),
  REPLAYED: sample(FRAME_REPLAYED, 'Replayed', schema.encodeReplayed, { request: 5, messages: 1234 }),
  ...transferSamples,
} as const
