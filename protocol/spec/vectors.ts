// Makes vectors.json, from which another implementation can test itself: node protocol/spec/vectors.ts [--check]
//
// Vectors of a protocol version are kept for ever: this file may add some, and must give the old ones byte by byte. Keys,
// nonces and times are fixed (actors.ts); what a compression library made is kept here as it was made.

import { createPublicKey } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { writeVarint } from '#protocol/bytes/mod.ts'
import { leafHashes, treeRoot } from '#protocol/codec/builder.ts'
import { encodeHead, FLAG_TREE, FLAG_ZSTD, parseHead, signedPart } from '#protocol/codec/head.ts'
import {
  BatchBuilder,
  encodeHeaders,
  extractFrom,
  type Headers,
  NO_HEADERS,
  openBatch,
  type SealOptions,
} from '#protocol/codec/mod.ts'
import { ed25519, keyIdOf, signingKey } from '#protocol/crypto/mod.ts'
import {
  CHANNEL_CONTROL,
  CHANNEL_MESSAGES,
  CHANNEL_RECEIPTS,
  FLAG_IGNORABLE,
  FRAME_ACCEPTED,
  FRAME_BATCH,
  FRAME_DELIVER,
  FRAME_OPEN_STREAM,
  FRAME_PING,
  FRAME_STREAM_OPENED,
  frameOf,
  frameRule,
  PREFACE,
} from '#protocol/frame/mod.ts'
import { encodeToken, fingerprint } from '#protocol/handshake/mod.ts'
import { agentProofText, enrolProofText, hubProofText, transcriptHash } from '#protocol/handshake/transcript.ts'
import * as schema from '#protocol/schema/mod.ts'
import { batchFrameStart, deliverFrameStart, FORM_BATCH, FORM_EXTRACT } from '#protocol/session/mod.ts'
import {
  AGENT_CERTIFICATE,
  AGENT_NAME,
  actorKey,
  actorSeed,
  CA_CERTIFICATE,
  HUB_CERTIFICATE,
  HUB_NAME,
  NOW_MS,
  spkiOf,
} from './actors.ts'
import { controlSamples } from './controls.ts'
import { transferRefused, transferVectors } from './transfers.ts'

const target = fileURLToPath(new URL('./vectors.json', import.meta.url))
const agentKey = actorKey('agent')
const hubKey = actorKey('hub')
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** JSON with bytes as "hex:…". */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `hex:${hex(value)}`
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)]))
}

type Message = { topic: string; headers: Headers; key: string; body: string }

const seal: SealOptions = {
  origin: AGENT_NAME,
  stream: 'main',
  epoch: 1,
  firstSeq: 1,
  sealedAtMs: NOW_MS,
  key: signingKey(agentKey),
  compression: 'none',
  tree: true,
}

function sealed(messages: readonly Message[], changes: Partial<SealOptions> = {}): Buffer {
  const builder = new BatchBuilder()
  const shared = new Map<string, Headers>()
  for (const { topic, headers, key, body } of messages) {
    const name = JSON.stringify(headers)
    if (!shared.has(name)) shared.set(name, name === '{}' ? NO_HEADERS : headers)
    builder.add(topic, shared.get(name) as Headers, key === '' ? null : Buffer.from(key), Buffer.from(body))
  }
  return builder.seal({ ...seal, ...changes })
}

const minimal: readonly Message[] = [{ topic: 'a', headers: {}, key: '', body: '!' }]

const urgentCall: readonly Message[] = [
  { topic: 'to/civil-affairs/call', headers: { ':priority': 'urgent', ':ttl': 60_000 }, key: '', body: '!' },
]

const record = (code: string, name: string): Message => ({
  topic: 'division/village',
  headers: { ':content-type': 'application/json', 级别: 5 },
  key: code,
  body: `{"code":"${code}","name":"${name}"}`,
})

const villages: readonly Message[] = [
  record('445202001001', '榕东社区居民委员会'),
  record('445202001002', '进贤社区居民委员会'),
  { topic: 'division/county', headers: {}, key: '445202', body: '{"code":"445202","name":"榕城区"}' },
  record('445202001003', '榕城社区居民委员会'),
  { topic: 'division/county', headers: {}, key: '445203', body: '' },
]

/** What zstd 1.5 made of the raw payload of `villages` at level 1. */
const VILLAGES_ZSTD = [
  '28b52ffd602b005d040094064b00000096000000c30000000e0100001701000000000c3434353230323030313030317b22636f6465223a22',
  '222c226e616d65223a22e6a695e4b89ce7a4bee58cbae5b185e6b091e5a794e59198e4bc9a227d3232e8bf9be8b4a40106e6a695e59f8ee5',
  '8cba3333330d00a0015703c07640b33d9008b12d12ba050306a0007c40b33b4126446eea01',
].join('')

/** `villages` as a sender seals it that compresses: the same index and tree, another payload. */
function compressed(): Buffer {
  const raw = openBatch(sealed(villages))
  const payload = raw.open()
  const stored = Buffer.from(VILLAGES_ZSTD, 'hex')
  const index = raw.indexBytes
  const content = Buffer.concat([index, stored])
  const { envelopeEnds } = raw.index()
  const head = encodeHead({
    ...raw.head,
    flags: FLAG_TREE | FLAG_ZSTD,
    payloadBytes: stored.length,
    contentDigest: ed25519.digest(content),
    root: treeRoot(leafHashes(index, envelopeEnds), leafHashes(payload.records(), payload.ends())),
    keyId: keyIdOf(createPublicKey(agentKey)),
    sign: (bytes) => ed25519.sign(agentKey, bytes),
  })
  return Buffer.concat([head, content])
}

function describeBatch(name: string, bytes: Buffer, messages: readonly Message[]): object {
  const batch = openBatch(bytes)
  const { head } = batch
  const payload = batch.open()
  const { runs } = batch.index()
  return {
    name,
    bytes: hex(bytes),
    head: {
      suite: head.suite,
      flags: head.flags,
      headBytes: head.headBytes,
      count: head.count,
      indexBytes: head.indexBytes,
      payloadBytes: head.payloadBytes,
      payloadRawBytes: head.payloadRawBytes,
      dictionaryId: head.dictionaryId,
      envelopeCount: head.envelopeCount,
      firstSeq: head.firstSeq,
      epoch: head.epoch,
      sealedAtMs: head.sealedAtMs,
      contentDigest: hex(head.bytes.subarray(56, 88)),
      root: hex(head.bytes.subarray(88, 120)),
      keyId: hex(head.bytes.subarray(120, 128)),
      origin: head.origin,
      stream: head.stream,
    },
    signedText: hex(signedPart(head.bytes, head.signedBytes)),
    signature: hex(head.bytes.subarray(head.signedBytes + 2, -8)),
    index: hex(batch.indexBytes),
    runs: runs.map(({ envelope, count }) => ({ envelope, count })),
    payload: hex(payload.bytes),
    messages,
  }
}

function frameStream(): object {
  const opening = { request: 1, stream: 'main', epoch: 1, knownSeq: 0, knownStore: Buffer.alloc(0), skip: false }
  const parts: [number, number, number, Buffer][] = [
    [FRAME_OPEN_STREAM, 0, CHANNEL_CONTROL, schema.encodeOpenStream(opening)],
    [FRAME_PING, 0, CHANNEL_CONTROL, Buffer.alloc(8)],
    [0xee, FLAG_IGNORABLE, 77, Buffer.from('a kind of a later version')],
    [FRAME_STREAM_OPENED, 0, CHANNEL_CONTROL, schema.encodeStreamOpened({ request: 1, streamId: 1, lastSeq: 0 })],
    [FRAME_ACCEPTED, 0, CHANNEL_RECEIPTS, Buffer.alloc(0)],
  ]
  const frames = parts.map(([kind, flags, channel, body]) => {
    const frame = frameOf(kind, channel, body)
    frame[5] = flags
    return frame
  })
  return {
    bytes: hex(Buffer.concat([PREFACE, ...frames])),
    preface: hex(PREFACE),
    frames: parts.map(([kind, flags, channel, body]) => ({
      kind,
      name: frameRule(kind)?.name ?? null,
      flags,
      channel,
      body: hex(body),
    })),
  }
}

function handshake(): object {
  const agentHello = controlSamples.HELLO.bytes
  const hubHello = schema.encodeHello({
    ...schema.decodeHello(agentHello),
    name: HUB_NAME,
    role: schema.Role.HUB,
    certificates: [HUB_CERTIFICATE],
    nonce: Buffer.alloc(32, 0xb0),
    software: 'causeway-hub/0.1.0',
  })
  const binding = Buffer.alloc(32, 0xcb)
  const cases = [
    { name: 'bound to TLS', binding },
    { name: 'not bound', binding: null },
  ].map(({ name, binding }) => {
    const bindingValue = binding === null ? schema.Binding.NONE : schema.Binding.TLS_EXPORTER
    const [agentBytes, hubBytes] = [agentHello, hubHello].map((bytes) =>
      schema.encodeHello({ ...schema.decodeHello(bytes), binding: bindingValue }),
    ) as [Buffer, Buffer]
    const transcript = transcriptHash(agentBytes, hubBytes, binding)
    return {
      name,
      agentHello: hex(agentBytes),
      hubHello: hex(hubBytes),
      channelBinding: binding === null ? null : hex(binding),
      transcript: hex(transcript),
      hubProofText: hex(hubProofText(transcript)),
      hubProof: hex(ed25519.sign(hubKey, hubProofText(transcript))),
      agentProofText: hex(agentProofText(transcript)),
      agentProof: hex(ed25519.sign(agentKey, agentProofText(transcript))),
      enrolProofText: hex(enrolProofText(transcript)),
      enrolProof: hex(ed25519.sign(agentKey, enrolProofText(transcript))),
    }
  })
  return { cases }
}

function token(): object {
  const invitation: schema.Invitation = {
    addresses: ['tls://hub.example.org:7400', 'wss://hub.example.org/causeway'],
    hubName: HUB_NAME,
    agent: AGENT_NAME,
    secret: Buffer.alloc(32, 0x5e),
    caFingerprint: fingerprint(CA_CERTIFICATE),
    expiresAtMs: NOW_MS + 86_400_000,
  }
  return { text: encodeToken(invitation), invitation: plain(invitation) }
}

const varint = (value: number): string => {
  const out = Buffer.alloc(8)
  return hex(out.subarray(0, writeVarint(out, 0, value)))
}

/** Headers that are well formed and mean nothing to the hub. */
const ATTRIBUTE_ASAP = hex(encodeHeaders({ ':priority': 'asap' }))
const ATTRIBUTE_TEXT = hex(encodeHeaders({ ':ttl': '5' }))
const CONTENT_ID = '0123456789abcdef0123456789abcdef'
const CONTENT_UPPER = hex(encodeHeaders({ ':content': CONTENT_ID.toUpperCase() }))
const CONTENT_SPACES = hex(encodeHeaders({ ':content': `${CONTENT_ID}  ${CONTENT_ID}` }))
const CONTENT_MANY = hex(encodeHeaders({ ':content': Array(17).fill(CONTENT_ID).join(' ') }))

/** What a receiver must refuse, and the code this implementation gives it. */
function refused(good: Buffer): object[] {
  const { headBytes } = parseHead(good)
  const flipped = (at: number): string => {
    const copy = Buffer.from(good)
    copy[at] = (copy[at] as number) ^ 1
    return hex(copy)
  }
  const recheck = (change: (copy: Buffer) => void): string => {
    const copy = Buffer.from(good)
    change(copy)
    ed25519.digest(copy.subarray(0, headBytes - 8)).copy(copy, headBytes - 8, 0, 8)
    return hex(copy)
  }
  return [
    { what: 'batch', why: 'a bit of the head is flipped', bytes: flipped(8), code: 'BATCH_DAMAGED' },
    { what: 'batch', why: 'a bit of the body is flipped', bytes: flipped(good.length - 1), code: 'BATCH_DAMAGED' },
    {
      what: 'batch',
      why: 'the signature is of other bytes',
      bytes: recheck((copy) => copy.writeUInt8((copy[40] as number) ^ 1, 40)),
      code: 'BATCH_SIGNATURE_INVALID',
    },
    {
      what: 'batch',
      why: 'a reserved flag is set',
      bytes: recheck((copy) => copy.writeUInt8(0x82, 5)),
      code: 'BATCH_MALFORMED',
    },
    { what: 'batch', why: 'an unknown suite', bytes: recheck((copy) => copy.writeUInt8(7, 4)), code: 'SUITE_UNKNOWN' },
    { what: 'batch', why: 'cut', bytes: hex(good.subarray(0, -1)), code: 'BATCH_MALFORMED' },
    { what: 'batch', why: 'a byte too many', bytes: `${hex(good)}00`, code: 'BATCH_MALFORMED' },
    { what: 'headers', why: 'a name twice', bytes: '82a16101a16102', code: 'HEADERS_INVALID' },
    { what: 'headers', why: 'nested', bytes: '81a16180', code: 'HEADERS_INVALID' },
    { what: 'headers', why: 'an integer of 2^53', bytes: '81a161cf0020000000000000', code: 'HEADERS_INVALID' },
    { what: 'varint', why: 'longer than needed', bytes: '8000', code: 'VARINT_INVALID' },
    { what: 'varint', why: '2^53', bytes: '8080808080808010', code: 'VARINT_INVALID' },
    { what: 'stream', why: 'another preface', bytes: hex(Buffer.from('CWAY\n\n\n\n')), code: 'PREFACE_WRONG' },
    {
      what: 'stream',
      why: 'a reserved frame flag',
      bytes: `${hex(PREFACE)}0000000006010000`,
      code: 'FRAME_FLAGS_RESERVED',
    },
    { what: 'stream', why: 'an unknown kind', bytes: `${hex(PREFACE)}00000000ee000000`, code: 'FRAME_KIND_UNKNOWN' },
    {
      what: 'stream',
      why: 'a kind on a wrong channel',
      bytes: `${hex(PREFACE)}0000000006000200`,
      code: 'FRAME_CHANNEL_WRONG',
    },
    {
      what: 'stream',
      why: 'a frame above its limit',
      bytes: `${hex(PREFACE)}0100010006000000`,
      code: 'FRAME_TOO_LARGE',
    },
    { what: 'attributes', why: 'an unknown priority', bytes: ATTRIBUTE_ASAP, code: 'ATTRIBUTE_INVALID' },
    { what: 'attributes', why: 'a time that is a text', bytes: ATTRIBUTE_TEXT, code: 'ATTRIBUTE_INVALID' },
    { what: 'attributes', why: 'a content id in upper case', bytes: CONTENT_UPPER, code: 'ATTRIBUTE_INVALID' },
    { what: 'attributes', why: 'two spaces between contents', bytes: CONTENT_SPACES, code: 'ATTRIBUTE_INVALID' },
    { what: 'attributes', why: '17 contents', bytes: CONTENT_MANY, code: 'ATTRIBUTE_INVALID' },
    { what: 'deliver', why: 'lane 192', bytes: `020000000001c000${'00'.repeat(25)}`, code: 'SESSION_BODY_INVALID' },
  ]
}

function vectors(): object {
  const minimalBytes = sealed(minimal)
  const villagesBytes = compressed()
  const extract = extractFrom(openBatch(villagesBytes), [1, 4])
  const deliver = {
    consumer: 2,
    form: FORM_EXTRACT,
    attempt: 1,
    lane: 0,
    position: 1_000_000_000_000,
    floor: 999_999_999_990,
    count: 2,
  }
  const whole = { consumer: 2, form: FORM_BATCH, attempt: 3, lane: 0, position: 40, floor: 40, count: 1 }
  const urgent = { ...whole, attempt: 1, lane: 4, position: 5, floor: 3 }
  return {
    about:
      'Test vectors of the Causeway protocol, version 1; bytes in hexadecimal. Kept for ever: later versions add to them.',
    protocolVersion: 1,
    keys: ['authority', 'hub', 'agent'].map((name) => ({
      name,
      seed: hex(actorSeed(name)),
      spki: hex(spkiOf(actorKey(name))),
      keyId: hex(keyIdOf(createPublicKey(actorKey(name)))),
    })),
    certificates: { authority: hex(CA_CERTIFICATE), hub: hex(HUB_CERTIFICATE), agent: hex(AGENT_CERTIFICATE) },
    varints: [0, 1, 127, 128, 300, 16_384, 2 ** 32, Number.MAX_SAFE_INTEGER].map((value) => ({
      value,
      bytes: varint(value),
    })),
    headers: [
      {},
      { ':content-type': 'application/json', 级别: 5 },
      { a: true, b: null, c: -1.5, d: 1_780_272_000_000, e: '' },
      { ':priority': 'urgent', ':ttl': 86_400_000, ':delay': 5000, ':deliver-at': 1_780_272_000_000 },
      { ':content': `${CONTENT_ID} ffffffffffffffffffffffffffffffff` },
    ].map((headers) => ({ headers, bytes: hex(encodeHeaders(headers as Headers)) })),
    stream: frameStream(),
    controls: Object.entries(controlSamples).map(([name, { kind, message, value, bytes }]) => ({
      name,
      kind,
      message,
      value: plain(value),
      bytes: hex(bytes),
    })),
    handshake: handshake(),
    batches: [
      describeBatch('minimal', minimalBytes, minimal),
      describeBatch('unsigned, no tree', sealed(minimal, { key: null, tree: false }), minimal),
      describeBatch('two envelopes, keys, zstd', villagesBytes, villages),
      describeBatch('urgent, all receipts wanted', sealed(urgentCall, { receipts: 'all' }), urgentCall),
    ],
    extract: {
      of: 'two envelopes, keys, zstd',
      places: [1, 4],
      bytes: hex(extract),
      messages: [villages[1], villages[4]],
    },
    frames: [
      {
        name: 'BATCH',
        kind: FRAME_BATCH,
        prefix: { streamId: 1 },
        bytes: hex(Buffer.concat([batchFrameStart(CHANNEL_MESSAGES, 1, minimalBytes.length), minimalBytes])),
      },
      {
        name: 'DELIVER, whole batch',
        kind: FRAME_DELIVER,
        prefix: whole,
        bytes: hex(Buffer.concat([deliverFrameStart(CHANNEL_MESSAGES, whole, minimalBytes.length), minimalBytes])),
      },
      {
        name: 'DELIVER, urgent lane of partition 1',
        kind: FRAME_DELIVER,
        prefix: urgent,
        bytes: hex(Buffer.concat([deliverFrameStart(CHANNEL_MESSAGES, urgent, minimalBytes.length), minimalBytes])),
      },
      {
        name: 'DELIVER, extract',
        kind: FRAME_DELIVER,
        prefix: deliver,
        bytes: hex(Buffer.concat([deliverFrameStart(CHANNEL_MESSAGES, deliver, extract.length), extract])),
      },
    ],
    token: token(),
    transfer: transferVectors(),
    refused: [...refused(minimalBytes), ...transferRefused()],
  }
}

/** The text of vectors.json, in the form the formatter leaves alone. */
export function vectorsText(): string {
  const text = JSON.stringify(vectors(), null, 2)
  return `${text.replace(/\[\n\s+([^[\]{}]{0,90}?)\n\s+\]/g, (_, items: string) => `[${items.replace(/,\n\s+/g, ', ')}]`)}\n`
}

/** Whether the file holds these vectors, however it is laid out. */
export const vectorsAreCurrent = (): boolean =>
  JSON.stringify(JSON.parse(readFileSync(target, 'utf8'))) === JSON.stringify(vectors())

if (import.meta.main) {
  if (!process.argv.includes('--check')) writeFileSync(target, vectorsText())
  else if (!vectorsAreCurrent()) {
    console.error('protocol/spec/vectors.json is not what vectors.ts makes; old vectors must stay as they are')
    process.exitCode = 1
  }
}
