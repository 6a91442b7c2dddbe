// The vectors of transfers, checked as the others are: with nothing but node:crypto and the specification's words, then with our
// own code.

import { createHash, createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { BULK_FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FrameReader } from '#protocol/frame/mod.ts'
import {
  ChunkList,
  checkAgainst,
  decodeChunk,
  nameProblem,
  parseChunkData,
  parseManifest,
  verifyManifest,
} from '#protocol/transfer/mod.ts'

type Hex = string
type List = { name: string; size: number; chunkBytes: number; lengths: number[]; digests: Hex[]; root: Hex }
type ManifestVector = Record<
  'of' | 'bytes' | 'contentId' | 'keyId' | 'origin' | 'name' | 'mediaType' | 'signed' | 'signature',
  string
> & { sealedAtMs: number }

const { transfer, keys, stream } = JSON.parse(readFileSync(new URL('./vectors.json', import.meta.url), 'utf8')) as {
  keys: { name: string; spki: Hex; keyId: Hex }[]
  stream: { preface: Hex }
  transfer: {
    data: { transfer: number; chunk: number; offset: number; content: Hex; frame: Hex }
    encoded: {
      transfer: number
      chunk: number
      offset: number
      encodedBytes: number
      length: number
      content: Hex
      frame: Hex
    }
    lists: List[]
    manifests: ManifestVector[]
    names: { utf8: Hex; fine: boolean }[]
  }
}

const from = (hex: Hex): Buffer => Buffer.from(hex, 'hex')
const sha = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest()
const agent = keys.find(({ name }) => name === 'agent') as (typeof keys)[number]
const publicKey = createPublicKey({ key: from(agent.spki), format: 'der', type: 'spki' })
const listNamed = (name: string): List => transfer.lists.find((list) => list.name === name) as List

const u32 = (value: number): Buffer => {
  const out = Buffer.alloc(4)
  out.writeUInt32LE(value)
  return out
}

/** RFC 9162 section 2.1.1. */
function rootOf(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 1) return leaves[0] as Buffer
  let k = 1
  while (k * 2 < leaves.length) k *= 2
  return sha(Buffer.from([1]), rootOf(leaves.slice(0, k)), rootOf(leaves.slice(k)))
}

t.test('CHUNK_DATA', async (t) => {
  const { frame: hex, content, ...numbers } = transfer.data
  const frame = from(hex)
  t.strictSame([frame.readUInt32LE(0), frame[4], frame[5], frame.readUInt16LE(6)], [frame.length - 8, 0x36, 0, 4])
  const [number, chunk, offset, zero] = [8, 12, 16, 20].map((at) => frame.readUInt32LE(at))
  t.strictSame({ transfer: number, chunk, offset }, numbers)
  t.equal(zero, 0)
  t.equal(frame.toString('hex', 24), content)
  const reader = new FrameReader((_kind, _channel, body) => {
    const { bytes, ...found } = parseChunkData(body)
    t.strictSame([found, bytes.toString('hex')], [{ ...numbers, encodedBytes: 0 }, content])
  })
  reader.batchBytesMax = BULK_FRAME_BYTES_MAX
  reader.push(Buffer.concat([from(stream.preface), frame]))
  t.ok(frame.length > FRAME_HEADER_BYTES)
})

t.test('CHUNK_DATA of an encoded chunk', async (t) => {
  const { frame: hex, content, length, ...numbers } = transfer.encoded
  const frame = from(hex)
  const [number, chunk, offset, encodedBytes] = [8, 12, 16, 20].map((at) => frame.readUInt32LE(at))
  t.strictSame({ transfer: number, chunk, offset, encodedBytes }, numbers)
  const bytes = frame.subarray(24)
  t.strictSame([bytes.toString('hex'), bytes.length], [content, encodedBytes])
  // RFC 8878, as far as this frame needs it.
  t.strictSame([bytes.readUInt32LE(0), bytes[4], 256 + bytes.readUInt16LE(5)], [0xfd2fb528, 0x60, length])
  const block = bytes.readUIntLE(7, 3)
  t.strictSame([block & 1, (block >> 1) & 3, block >> 3], [1, 1, length], 'a last block of one byte, so often')
  const plain = Buffer.alloc(length, bytes[10])
  t.equal(sha(plain).toString('hex'), listNamed('chunks of one size').digests[chunk as number])
  const { bytes: ours, ...found } = parseChunkData(frame.subarray(8))
  t.strictSame(found, numbers)
  t.ok(decodeChunk(ours, length).equals(plain))
})

for (const { name, size, chunkBytes, lengths, digests, root } of transfer.lists) {
  t.test(`list: ${name}`, async (t) => {
    t.equal(
      lengths.reduce((sum, length) => sum + length, 0),
      size,
    )
    if (chunkBytes > 0) t.ok(lengths.slice(0, -1).every((length) => length === chunkBytes))
    for (const [i, digest] of digests.entries()) {
      t.equal(sha(Buffer.alloc(lengths[i] as number, i)).toString('hex'), digest, `chunk ${i}`)
    }
    const leaves = digests.map((digest, i) => sha(Buffer.from([0]), u32(lengths[i] as number), from(digest)))
    const wanted = leaves.length === 0 ? sha() : rootOf(leaves)
    t.equal(wanted.toString('hex'), root)
    const ours = new ChunkList({ size, chunkBytes })
    for (const [i, digest] of digests.entries()) ours.add(from(digest), lengths[i] as number)
    t.equal(ours.root().toString('hex'), root)
  })
}

for (const vector of transfer.manifests) {
  t.test(`manifest: ${vector.of}`, async (t) => {
    const bytes = from(vector.bytes)
    const { size, chunkBytes, lengths, digests, root } = listNamed(vector.of)
    t.equal(bytes.toString('latin1', 0, 4), 'CWM1')
    t.strictSame([bytes[4], bytes[5]], [1, 0])
    t.equal(bytes.toString('hex', 8, 24), vector.contentId)
    t.strictSame(
      [Number(bytes.readBigUInt64LE(24)), bytes.readUInt32LE(32), bytes.readUInt32LE(36)],
      [size, chunkBytes, lengths.length],
    )
    t.equal(bytes.toString('hex', 40, 72), root)
    t.equal(Number(bytes.readBigUInt64LE(72)), vector.sealedAtMs)
    t.equal(bytes.toString('hex', 80, 88), vector.keyId)
    t.equal(vector.keyId, agent.keyId)
    let at = 88
    const texts = Array.from({ length: 3 }, () => {
      const start = at + 1
      at = start + (bytes[at] as number)
      return bytes.toString('utf8', start, at)
    })
    t.strictSame(texts, [vector.origin, vector.name, vector.mediaType])
    t.equal(bytes.readUInt16LE(6), at)
    t.equal(bytes.toString('hex', 0, at), vector.signed)
    t.equal(bytes.readUInt16LE(at), 64)
    t.equal(bytes.toString('hex', at + 2), vector.signature)
    const text = Buffer.concat([Buffer.from('causeway content v1\0'), from(vector.signed)])
    t.ok(verify(null, text, publicKey, from(vector.signature)))

    const ours = parseManifest(bytes)
    verifyManifest(ours, publicKey)
    const list = new ChunkList({ size, chunkBytes })
    for (const [i, digest] of digests.entries()) list.add(from(digest), lengths[i] as number)
    checkAgainst(ours, from(vector.contentId), list)
  })
}

/** Section 13.5, word by word. */
function isFine(name: string): boolean {
  const bytes = Buffer.byteLength(name)
  if (bytes < 1 || bytes > 255 || name.startsWith('.') || name.endsWith('.') || name.endsWith(' ')) return false
  for (const char of name) {
    if ('/\\<>:"|?*'.includes(char) || /\p{Cc}|\p{Zl}|\p{Zp}/u.test(char)) return false
    if (/\p{Cf}/u.test(char) && char !== '\u200c' && char !== '\u200d') return false
  }
  const stem = (name.split('.')[0] as string).replace(/ +$/, '').toLowerCase()
  if (['con', 'prn', 'aux', 'nul', 'clock$', 'conin$', 'conout$'].includes(stem)) return false
  return !(stem.length === 4 && /^(com|lpt)/.test(stem) && '0123456789¹²³'.includes(stem[3] as string))
}

t.test('names', async (t) => {
  t.ok(transfer.names.length > 20)
  for (const { utf8, fine } of transfer.names) {
    const name = from(utf8).toString()
    t.equal(isFine(name), fine, utf8.slice(0, 40))
    t.equal(nameProblem(name) === null, fine)
  }
})
