// The vectors, checked twice: with nothing but node:crypto, node:zlib, the .proto files and the specification's words, as
// another team would; then with our own code.

import { createHash, createPrivateKey, createPublicKey, verify, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { zstdDecompressSync } from 'node:zlib'
import protobuf from 'protobufjs'
import t from 'tap'
import { ByteReader } from '#protocol/bytes/mod.ts'
import { faultCode } from '#protocol/bytes/testing.ts'
import { attributesOf, decodeHeaders, openBatch, openExtract, parseRecord } from '#protocol/codec/mod.ts'
import { BATCH_FRAME_BYTES_MAX, FrameReader } from '#protocol/frame/mod.ts'
import { parseToken } from '#protocol/handshake/mod.ts'
import { parseBatchPrefix, parseDeliverPrefix } from '#protocol/session/mod.ts'
import { decodeChunk, parseChunkData, parseManifest, verifyManifest } from '#protocol/transfer/mod.ts'
import { plain, vectorsAreCurrent } from './vectors.ts'

type Message = { topic: string; headers: Record<string, unknown>; key: string; body: string }
type Hex = string

type Vectors = {
  keys: { name: string; seed: Hex; spki: Hex; keyId: Hex }[]
  certificates: { authority: Hex; hub: Hex; agent: Hex }
  varints: { value: number; bytes: Hex }[]
  headers: { headers: Record<string, unknown>; bytes: Hex }[]
  stream: {
    bytes: Hex
    preface: Hex
    frames: { kind: number; name: string | null; flags: number; channel: number; body: Hex }[]
  }
  controls: { name: string; kind: number; message: string; value: Record<string, unknown>; bytes: Hex }[]
  handshake: { cases: Record<string, Hex>[] }
  batches: {
    name: string
    bytes: Hex
    head: Record<string, number | string>
    signedText: Hex
    signature: Hex
    index: Hex
    runs: { envelope: number; count: number }[]
    payload: Hex
    messages: Message[]
  }[]
  extract: { of: string; places: number[]; bytes: Hex; messages: Message[] }
  frames: { name: string; kind: number; prefix: Record<string, number>; bytes: Hex }[]
  token: { text: string; invitation: Record<string, unknown> }
  refused: { what: string; why: string; bytes: Hex; code: string }[]
}

const vectors = JSON.parse(readFileSync(new URL('./vectors.json', import.meta.url), 'utf8')) as Vectors

const from = (hex: Hex): Buffer => Buffer.from(hex, 'hex')
const sha = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest()
const named = <T extends { name: string }>(items: readonly T[], name: string): T =>
  items.find((item) => item.name === name) as T
const publicKey = (name: string) =>
  createPublicKey({ key: from(named(vectors.keys, name).spki), format: 'der', type: 'spki' })

/** Reads what follows one after the other, with no check at all. */
class Plain {
  at: number
  readonly bytes: Buffer
  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes
    this.at = at
  }
  take(length: number): Buffer {
    this.at += length
    return this.bytes.subarray(this.at - length, this.at)
  }
  varint(): number {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.take(1)[0] as number
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return Number(value)
    }
  }
  counted(): Buffer {
    return this.take(this.varint())
  }
  ascending(): number[] {
    let previous = -1
    return Array.from({ length: this.varint() }, () => {
      previous += 1 + this.varint()
      return previous
    })
  }
  hashes(): Buffer[] {
    return Array.from({ length: this.varint() }, () => this.take(32))
  }
}

/** Just enough MessagePack for the vectors. */
function unpack(reader: Plain): unknown {
  const type = reader.take(1)[0] as number
  if (type < 0x80) return type
  if (type < 0x90) return Object.fromEntries(Array.from({ length: type & 15 }, () => [unpack(reader), unpack(reader)]))
  if (type >= 0xa0 && type < 0xc0) return reader.take(type & 31).toString()
  if (type === 0xc0) return null
  if (type === 0xc2 || type === 0xc3) return type === 0xc3
  if (type === 0xcb) return reader.take(8).readDoubleBE(0)
  if (type === 0xcd) return reader.take(2).readUInt16BE(0)
  if (type === 0xce) return reader.take(4).readUInt32BE(0)
  if (type === 0xd9) return reader.take(reader.take(1)[0] as number).toString()
  throw new Error(`type ${type}`)
}

const headersOf = (bytes: Buffer): unknown => (bytes.length === 0 ? {} : unpack(new Plain(bytes)))

/** An entry of the index: 0x00, topic, headers. */
function envelopeOf(reader: Plain): { topic: string; headers: unknown; entry: Buffer } {
  const start = reader.at
  reader.take(1)
  const topic = reader.counted().toString()
  const headers = headersOf(reader.counted())
  return { topic, headers, entry: reader.bytes.subarray(start, reader.at) }
}

function recordOf(record: Buffer): { envelope: number; key: string; body: string } {
  const reader = new Plain(record, 1)
  const envelope = reader.varint()
  return { envelope, key: reader.counted().toString(), body: record.toString('utf8', reader.at) }
}

/** RFC 9162 section 2.1.1 over entries that begin with 0x00 already. */
function rootOf(entries: readonly Buffer[]): Buffer {
  if (entries.length === 1) return sha(entries[0] as Buffer)
  let k = 1
  while (k * 2 < entries.length) k *= 2
  return sha(Buffer.from([1]), rootOf(entries.slice(0, k)), rootOf(entries.slice(k)))
}

t.test('vectors.json is what vectors.ts makes, so old vectors still hold', async (t) => t.ok(vectorsAreCurrent()))

t.test('keys and certificates', async (t) => {
  for (const { name, seed, spki, keyId } of vectors.keys) {
    t.equal(seed, createHash('sha256').update(`causeway test vector key: ${name}`).digest('hex'))
    const pkcs8 = Buffer.concat([from('302e020100300506032b657004220420'), from(seed)])
    const key = createPublicKey(createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }))
    t.equal(key.export({ format: 'der', type: 'spki' }).toString('hex'), spki)
    t.equal(sha(from(spki)).toString('hex', 0, 8), keyId)
  }
  const { authority, hub, agent } = vectors.certificates
  const ca = new X509Certificate(from(authority))
  for (const [hex, unit, name, usage] of [
    [hub, 'hub', 'centre', '1.3.6.1.5.5.7.3.1'],
    [agent, 'agent', 'civil-affairs', '1.3.6.1.5.5.7.3.2'],
  ] as const) {
    const certificate = new X509Certificate(from(hex))
    t.ok(certificate.verify(ca.publicKey))
    t.equal(certificate.subject, `O=Causeway\nOU=${unit}\nCN=${name}`)
    t.strictSame(certificate.keyUsage, [usage])
    t.ok(certificate.publicKey.equals(publicKey(unit)))
  }
})

t.test('varints and headers', async (t) => {
  for (const { value, bytes } of vectors.varints) {
    const reader = new Plain(from(bytes))
    t.equal(reader.varint(), value)
    t.equal(reader.at, reader.bytes.length)
    t.equal(new ByteReader(from(bytes), 'test').varint(), value)
  }
  for (const { headers, bytes } of vectors.headers) {
    t.strictSame(headersOf(from(bytes)), headers)
    t.strictSame({ ...decodeHeaders(from(bytes)) }, headers)
  }
})

t.test('the stream of frames', async (t) => {
  const { bytes, preface, frames } = vectors.stream
  const reader = new Plain(from(bytes))
  t.equal(reader.take(8).toString('hex'), preface)
  t.equal(preface, '435741590d0a9a0a')
  for (const frame of frames) {
    const header = reader.take(8)
    const body = reader.take(header.readUInt32LE(0)).toString('hex')
    t.strictSame(
      [header[4], header[5], header.readUInt16LE(6), body],
      [frame.kind, frame.flags, frame.channel, frame.body],
    )
  }
  t.equal(reader.at, reader.bytes.length)
  const found: unknown[] = []
  new FrameReader((kind, channel, body) => found.push([kind, channel, body.toString('hex')])).push(from(bytes))
  t.strictSame(
    found,
    frames.filter(({ name }) => name !== null).map(({ kind, channel, body }) => [kind, channel, body]),
  )
})

t.test('control messages, by the .proto files', async (t) => {
  const root = new protobuf.Root()
  for (const name of ['handshake', 'session', 'transfer']) {
    protobuf.parse(readFileSync(new URL(`../schema/${name}.proto`, import.meta.url), 'utf8'), root)
  }
  const bytesAsText = (value: unknown): unknown => plain(JSON.parse(JSON.stringify(value)))
  for (const { message, value, bytes, name } of vectors.controls) {
    const type = root.lookupType(`causeway.v1.${message}`)
    const decoded = type.toObject(type.decode(from(bytes)), {
      longs: Number,
      defaults: true,
      arrays: true,
      bytes: Array,
    })
    const expected = bytesAsText(value)
    t.strictSame(arraysAsHex(decoded, expected), expected, name)
  }
  t.equal(vectors.controls.length, 39)
})

/** Turns lists of numbers into "hex:…" where `like` has such a text. */
function arraysAsHex(value: unknown, like: unknown): unknown {
  if (typeof like === 'string' && like.startsWith('hex:'))
    return `hex:${Buffer.from(value as number[]).toString('hex')}`
  if (Array.isArray(like)) return (value as unknown[]).map((item, i) => arraysAsHex(item, like[i]))
  if (typeof like !== 'object' || like === null) return value
  const names = new Set([...Object.keys(like), ...Object.keys(value as object)])
  const pick = (of: unknown, name: string): unknown => (of as Record<string, unknown>)[name]
  return Object.fromEntries([...names].map((name) => [name, arraysAsHex(pick(value, name), pick(like, name))]))
}

t.test('transcript and proofs', async (t) => {
  const little = (length: number): Buffer => Buffer.from(new Uint32Array([length]).buffer)
  for (const each of vectors.handshake.cases) {
    const agentHello = from(each.agentHello as Hex)
    const hubHello = from(each.hubHello as Hex)
    const transcript = sha(
      Buffer.from('causeway handshake v1\0'),
      from('435741590d0a9a0a'),
      little(agentHello.length),
      agentHello,
      little(hubHello.length),
      hubHello,
      from(each.channelBinding ?? ''),
    )
    t.equal(transcript.toString('hex'), each.transcript)
    const proofs = [
      ['causeway hub proof v1\0', 'hubProof', 'hub'],
      ['causeway agent proof v1\0', 'agentProof', 'agent'],
      ['causeway enrol v1\0', 'enrolProof', 'agent'],
    ] as const
    for (const [label, name, key] of proofs) {
      const text = Buffer.concat([Buffer.from(label), transcript])
      t.equal(text.toString('hex'), each[`${name}Text`])
      t.ok(verify(null, text, publicKey(key), from(each[name] as Hex)), name)
    }
  }
})

for (const vector of vectors.batches) {
  t.test(`batch: ${vector.name}`, async (t) => {
    const bytes = from(vector.bytes)
    const { head } = vector
    t.equal(bytes.toString('latin1', 0, 4), 'CWB1')
    const numbers: [string, number][] = [
      ['suite', bytes.readUInt8(4)],
      ['flags', bytes.readUInt8(5)],
      ['headBytes', bytes.readUInt16LE(6)],
      ['count', bytes.readUInt32LE(8)],
      ['indexBytes', bytes.readUInt32LE(12)],
      ['payloadBytes', bytes.readUInt32LE(16)],
      ['payloadRawBytes', bytes.readUInt32LE(20)],
      ['dictionaryId', bytes.readUInt32LE(24)],
      ['envelopeCount', bytes.readUInt32LE(28)],
      ['firstSeq', Number(bytes.readBigUInt64LE(32))],
      ['epoch', Number(bytes.readBigUInt64LE(40))],
      ['sealedAtMs', Number(bytes.readBigUInt64LE(48))],
    ]
    for (const [name, value] of numbers) t.equal(value, head[name], name)
    const headBytes = head.headBytes as number
    const content = bytes.subarray(headBytes)
    t.equal(sha(content).toString('hex'), head.contentDigest)
    t.equal(bytes.toString('hex', 56, 88), head.contentDigest)
    t.equal(bytes.toString('hex', 120, 128), head.keyId)
    const names = new Plain(bytes, 128)
    t.equal(names.take(names.take(1)[0] as number).toString(), head.origin)
    t.equal(names.take(names.take(1)[0] as number).toString(), head.stream)
    const signedText = Buffer.concat([Buffer.from('causeway batch v1\0'), bytes.subarray(0, names.at)])
    t.equal(signedText.toString('hex'), vector.signedText)
    const signature = names.take(names.take(2).readUInt16LE(0))
    t.equal(signature.toString('hex'), vector.signature)
    t.equal(signature.length, head.suite === 1 ? 64 : 0)
    if (head.suite === 1) t.ok(verify(null, signedText, publicKey('agent'), signature))
    t.ok(sha(bytes.subarray(0, names.at)).subarray(0, 8).equals(names.take(8)), 'check bytes')
    t.equal(names.at, headBytes)

    const index = new Plain(content.subarray(0, head.indexBytes as number))
    const envelopes = Array.from({ length: head.envelopeCount as number }, () => envelopeOf(index))
    const runs: { envelope: number; count: number }[] = []
    while (index.at < index.bytes.length) runs.push({ envelope: index.varint(), count: index.varint() })
    t.strictSame(runs, vector.runs)
    const stored = content.subarray(head.indexBytes as number)
    const payload = ((head.flags as number) & 1) === 0 ? stored : zstdDecompressSync(stored)
    t.equal(payload.toString('hex'), vector.payload)
    const count = head.count as number
    const records = Array.from({ length: count }, (_, i) =>
      payload.subarray(
        4 * count + (i === 0 ? 0 : payload.readUInt32LE(4 * i - 4)),
        4 * count + payload.readUInt32LE(4 * i),
      ),
    )
    const found = records.map((record) => {
      const { envelope, key, body } = recordOf(record)
      const { topic, headers } = envelopes[envelope] as (typeof envelopes)[number]
      return { topic, headers, key, body }
    })
    t.strictSame(found, vector.messages)
    const root = sha(Buffer.from([1]), rootOf(envelopes.map(({ entry }) => entry)), rootOf(records))
    t.equal(((head.flags as number) & 2) === 0 ? '00'.repeat(32) : root.toString('hex'), head.root)

    const batch = openBatch(bytes)
    if (head.suite === 1) batch.verify(publicKey('agent'))
    else batch.checkContent()
    const ours = batch.open()
    const read = Array.from({ length: count }, (_, i) => parseRecord(ours.record(i), batch.index().envelopes))
    t.strictSame(read.map(asMessage), vector.messages)
  })
}

const asMessage = ({
  envelope,
  key,
  body,
}: {
  envelope: { topic: string; headers: object }
  key: Buffer
  body: Buffer
}) => ({
  topic: envelope.topic,
  headers: { ...envelope.headers },
  key: key.toString(),
  body: body.toString(),
})

/** The root from a proof: as `rootOf`, but a part without a chosen entry takes its hash from the proof. */
function provenRoot(span: { from: number; to: number }, chosen: ReadonlyMap<number, Buffer>, hashes: Buffer[]): Buffer {
  const { from: low, to: high } = span
  const inside = [...chosen.keys()].filter((place) => place >= low && place < high)
  if (inside.length === 0) return hashes.shift() as Buffer
  if (high - low === 1) return sha(chosen.get(low) as Buffer)
  let k = 1
  while (k * 2 < high - low) k *= 2
  const left = provenRoot({ from: low, to: low + k }, chosen, hashes)
  return sha(Buffer.from([1]), left, provenRoot({ from: low + k, to: high }, chosen, hashes))
}

t.test('extract', async (t) => {
  const { extract } = vectors
  const whole = named(vectors.batches, extract.of)
  const bytes = from(extract.bytes)
  const headBytes = whole.head.headBytes as number
  t.ok(
    bytes.subarray(0, headBytes).equals(from(whole.bytes).subarray(0, headBytes)),
    'the head of the batch, unchanged',
  )
  t.equal(bytes[headBytes], 0, 'not compressed')
  t.equal(bytes.readUInt32LE(headBytes + 1), bytes.length - headBytes - 5)
  const reader = new Plain(bytes, headBytes + 5)
  const places = reader.ascending()
  const records = places.map(() => reader.counted())
  const recordHashes = reader.hashes()
  const used = reader.ascending()
  const entries = used.map(() => reader.counted())
  const entryHashes = reader.hashes()
  t.equal(reader.at, bytes.length)
  t.strictSame(places, extract.places)
  const envelopes = new Map(entries.map((entry, i) => [used[i], envelopeOf(new Plain(entry))]))
  const found = records.map((record) => {
    const { envelope, key, body } = recordOf(record)
    const { topic, headers } = envelopes.get(envelope) as { topic: string; headers: Record<string, unknown> }
    return { topic, headers, key, body }
  })
  t.strictSame(found, extract.messages)
  const count = whole.head.count as number
  const envelopeCount = whole.head.envelopeCount as number
  const root = sha(
    Buffer.from([1]),
    provenRoot(
      { from: 0, to: envelopeCount },
      new Map(used.map((place, i) => [place, entries[i] as Buffer])),
      entryHashes,
    ),
    provenRoot({ from: 0, to: count }, new Map(places.map((place, i) => [place, records[i] as Buffer])), recordHashes),
  )
  t.equal(root.toString('hex'), whole.head.root)
  t.strictSame([recordHashes.length, entryHashes.length], [0, 0], 'no hash is left over')
  const ours = openExtract(bytes, () => publicKey('agent'))
  t.strictSame([ours.indexes, ours.messages.map(asMessage)], [extract.places, extract.messages])
})

t.test('frames that carry batches', async (t) => {
  for (const { name, kind, prefix, bytes: hex } of vectors.frames) {
    const bytes = from(hex)
    t.strictSame(
      [bytes.readUInt32LE(0), bytes[4], bytes[5], bytes.readUInt16LE(6)],
      [bytes.length - 8, kind, 0, 2],
      name,
    )
    const body = bytes.subarray(8)
    if (kind === 0x12) {
      t.strictSame([body.readUInt32LE(0), body.readUInt32LE(4)], [prefix.streamId, 0])
      t.equal(parseBatchPrefix(body), prefix.streamId)
      t.equal(body.toString('hex', 8), named(vectors.batches, 'minimal').bytes)
      continue
    }
    const found = {
      consumer: body.readUInt32LE(0),
      form: body.readUInt8(4),
      attempt: body.readUInt8(5),
      lane: body.readUInt16LE(6),
      position: Number(body.readBigUInt64LE(8)),
      floor: Number(body.readBigUInt64LE(16)),
      count: body.readUInt32LE(24),
    }
    t.strictSame(found, prefix)
    t.equal(body.readUInt32LE(28), 0)
    t.equal(
      body.toString('hex', 32),
      prefix.form === 0 ? named(vectors.batches, 'minimal').bytes : vectors.extract.bytes,
    )
    t.strictSame(parseDeliverPrefix(body), prefix)
  }
})

t.test('the token', async (t) => {
  const { text, invitation } = vectors.token
  t.equal(text.slice(0, 5), 'cwt1.')
  const bytes = Buffer.from(text.slice(5), 'base64url')
  const length = bytes.readUInt16BE(0)
  t.equal(bytes.length, 2 + length + 4)
  t.ok(
    sha(bytes.subarray(0, 2 + length))
      .subarray(0, 4)
      .equals(bytes.subarray(2 + length)),
  )
  t.strictSame(plain(parseToken(text)), invitation)
  t.equal(invitation.caFingerprint, `hex:${sha(from(vectors.certificates.authority)).toString('hex')}`)
})

t.test('what must be refused', async (t) => {
  const takers: Record<string, (bytes: Buffer) => unknown> = {
    batch: (bytes) => openBatch(bytes).verify(publicKey('agent')),
    headers: decodeHeaders,
    attributes: (bytes) => attributesOf(decodeHeaders(bytes)),
    deliver: parseDeliverPrefix,
    'chunk data': parseChunkData,
    'encoded chunk': (bytes) => decodeChunk(bytes, 65_536),
    manifest: (bytes) => verifyManifest(parseManifest(bytes), publicKey('agent')),
    varint: (bytes) => new ByteReader(bytes, 'test').varint(),
    stream(bytes) {
      const reader = new FrameReader(() => {})
      reader.batchBytesMax = BATCH_FRAME_BYTES_MAX
      reader.push(bytes)
    },
  }
  for (const { what, why, bytes, code } of vectors.refused) {
    t.equal(
      faultCode(() => takers[what]?.(from(bytes))),
      code,
      `${what}: ${why}`,
    )
  }
})
