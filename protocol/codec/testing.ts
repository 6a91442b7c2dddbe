// For tests: random batches with what they should give back, and batches that were changed and sealed again by a test key.

import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import type { Random } from '#protocol/bytes/testing.ts'
import { DIGEST_BYTES, ed25519, type SigningKey, SUITE_ED25519, SUITE_NONE, signingKey } from '#protocol/crypto/mod.ts'
import { BatchBuilder, type SealOptions } from './builder.ts'
import { encodeHead, type HeadInput, signedPart } from './head.ts'
import { type Headers, type HeaderValue, NO_HEADERS } from './headers.ts'

export type TestKey = SigningKey & { readonly publicKey: KeyObject }

/** A key made from a name: the same in every run. */
export function testKey(name: string): TestKey {
  const seed = createHash('sha256').update(name).digest()
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  return { ...signingKey(privateKey), publicKey: createPublicKey(privateKey) }
}

export const KEY = testKey('test key')

export type TestMessage = { topic: string; headers: Headers; key: Buffer | null; body: Buffer }

export function sealOptions(changes: Partial<SealOptions> = {}): SealOptions {
  return {
    origin: 'agent-a',
    stream: 'main',
    epoch: 3,
    firstSeq: 11,
    sealedAtMs: 1_780_000_000_000,
    key: KEY,
    compression: 'none',
    tree: true,
    ...changes,
  }
}

export function sealed(messages: readonly TestMessage[], changes: Partial<SealOptions> = {}): Buffer {
  const builder = new BatchBuilder()
  for (const { topic, headers, key, body } of messages) builder.add(topic, headers, key, body)
  return builder.seal(sealOptions(changes))
}

export const message = (body: string, changes: Partial<TestMessage> = {}): TestMessage => ({
  topic: 'division/village',
  headers: NO_HEADERS,
  key: null,
  body: Buffer.from(body),
  ...changes,
})

const TOPICS = ['a', 'division/village', '公文/收文', 'reply/agent-b/17', 'x'.repeat(255)]

export function randomMessages(random: Random, count: number): TestMessage[] {
  const headers = Array.from({ length: 1 + random.below(4) }, () => randomHeaders(random))
  return Array.from({ length: count }, () => ({
    topic: random.pick(TOPICS),
    headers: random.oneIn(3) ? NO_HEADERS : random.pick(headers),
    key: random.oneIn(2) ? null : random.bytes(1 + random.below(random.oneIn(5) ? 300 : 12)),
    body: random.oneIn(3) ? Buffer.alloc(random.below(400), random.below(256)) : random.bytes(random.below(60)),
  }))
}

export function randomHeaders(random: Random): Headers {
  const values: (() => HeaderValue)[] = [
    () => null,
    () => random.oneIn(2),
    () => random.u53() * (random.oneIn(2) ? 1 : -1),
    () => random.u32() / 7,
    () => random.pick(['', 'application/json', '行政区划', '\ufeffmarked', 'y'.repeat(random.below(300))]),
  ]
  const headers: Record<string, HeaderValue> = {}
  for (let i = random.below(5); i >= 0; i--) {
    headers[
      random.pick([':content-type', ':deadline', '级别', 'n'.repeat(1 + random.below(40)), `h${random.below(99)}`])
    ] = random.pick(values)()
  }
  return headers
}

/** A batch with any index and payload, sizes and digest to match unless they are given. */
export function crafted(index: Buffer, payload: Buffer, changes: Partial<HeadInput> = {}): Buffer {
  const content = Buffer.concat([index, payload])
  const options = sealOptions()
  const head = encodeHead({
    suite: SUITE_ED25519,
    flags: 0,
    count: 1,
    indexBytes: index.length,
    payloadBytes: payload.length,
    payloadRawBytes: payload.length,
    dictionaryId: 0,
    envelopeCount: 1,
    firstSeq: options.firstSeq,
    epoch: options.epoch,
    sealedAtMs: options.sealedAtMs,
    origin: options.origin,
    stream: options.stream,
    contentDigest: ed25519.digest(content),
    root: '',
    keyId: KEY.keyId,
    sign: (bytes) => ed25519.sign(KEY.privateKey, bytes),
    ...changes,
  })
  return Buffer.concat([head, content])
}

/**
 * Puts content digest, signature and check bytes right again after a change, wherever the changed head says they are; gives
 * `bytes` as they are when it says nonsense. What a sender that holds a key can do.
 */
export function resealed(bytes: Buffer, key: SigningKey | null = KEY, digest = true): Buffer {
  if (bytes.length < 140) return bytes
  const headBytes = bytes.readUInt16LE(6)
  const originBytes = bytes[128] as number
  const streamAt = 129 + originBytes
  if (headBytes > bytes.length || streamAt + 1 > headBytes) return bytes
  const signedBytes = streamAt + 1 + (bytes[streamAt] as number)
  const signatureBytes = bytes[4] === SUITE_NONE || key === null ? 0 : 64
  if (signedBytes + 2 + signatureBytes + 8 > headBytes) return bytes
  const out = Buffer.from(bytes)
  if (digest) ed25519.digest(out.subarray(headBytes)).copy(out, 56, 0, DIGEST_BYTES)
  if (signatureBytes > 0 && key !== null) {
    ed25519.sign(key.privateKey, signedPart(out, signedBytes)).copy(out, signedBytes + 2)
  }
  ed25519.digest(out.subarray(0, headBytes - 8)).copy(out, headBytes - 8, 0, 8)
  return out
}
