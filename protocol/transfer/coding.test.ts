// Encoded chunks: what they count for, and what a hostile one cannot do.

import { constants, zstdCompressSync } from 'node:zlib'
import t from 'tap'
import { freeBuffer } from '#protocol/bytes/free.ts'
import { faultCode, Random, testSeed } from '#protocol/bytes/testing.ts'
import { contentUpTo, decodeChunkInto, encodeInPlace, sentWithin } from './coding.ts'
import { CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, decodeChunk, encodeChunk } from './mod.ts'

const text = Buffer.from('{"name":"户籍","year":2026}\n'.repeat(2000)).subarray(0, CHUNK_BYTES_MIN)
const framed = (bytes: Buffer, options: Parameters<typeof zstdCompressSync>[1] = {}): Buffer =>
  zstdCompressSync(bytes, { pledgedSrcSize: bytes.length, ...options })

t.test('a chunk comes back as it was', async (t) => {
  for (const chunk of [text, text.subarray(0, 100), Buffer.alloc(CHUNK_BYTES_MAX), Buffer.alloc(1000, 'ab')]) {
    const encoded = encodeChunk(chunk, chunk.length - 1)
    t.ok(encoded !== null && encoded.length < chunk.length, `${chunk.length} bytes in ${encoded?.length}`)
    t.ok(encoded !== null && decodeChunk(encoded, chunk.length).equals(chunk))
  }
})

t.test('what gains too little is not encoded', async (t) => {
  const noise = new Random(1).bytes(CHUNK_BYTES_MIN)
  t.equal(encodeChunk(noise, noise.length - 1), null)
  const encoded = encodeChunk(text, text.length) as Buffer
  t.equal(encodeChunk(text, encoded.length - 1), null, 'by a byte')
  t.ok(encodeChunk(text, encoded.length)?.equals(encoded))
  t.equal(encodeChunk(Buffer.alloc(1), 0), null)
})

t.test('what is not one frame of just that chunk is damaged, and takes no more memory than the chunk', async (t) => {
  const good = framed(text)
  const cut = (at: number) => good.subarray(0, at)
  const flipped = Buffer.from(good)
  flipped[good.length >> 1] = (flipped[good.length >> 1] as number) ^ 0x55
  const lying = Buffer.from(good)
  // Its content size stands behind the descriptor, in two bytes as 256 less.
  t.equal(256 + good.readUInt16LE(5), text.length)
  lying.writeUInt16LE(1000 - 256, 5)
  const bad: Readonly<Record<string, [Buffer, number]>> = {
    nothing: [Buffer.alloc(0), 0],
    'no frame': [Buffer.alloc(100, 1), text.length],
    'a bomb': [framed(Buffer.alloc(CHUNK_BYTES_MAX)), CHUNK_BYTES_MIN],
    'a bomb that says it is small': [lying, 1000],
    'a frame that says it is large': [good, CHUNK_BYTES_MAX],
    'a byte short of the chunk': [good, text.length + 1],
    'a byte more than the chunk': [good, text.length - 1],
    'a frame without its size': [framed(text, { params: { [constants.ZSTD_c_contentSizeFlag]: 0 } }), text.length],
    'a byte behind the frame': [Buffer.concat([good, Buffer.alloc(1)]), text.length],
    'a second frame': [Buffer.concat([good, framed(Buffer.alloc(0))]), text.length],
    'a skippable frame before it': [Buffer.concat([Buffer.from('502a4d1800000000', 'hex'), good]), text.length],
    'a frame that is cut': [cut(good.length - 1), text.length],
    'a head alone': [cut(6), text.length],
    'a magic alone': [cut(4), text.length],
    // Whether it decodes to something else is the digest's business.
    'a frame with a checksum that does not fit': [withWrongChecksum(), text.length],
  }
  for (const [what, [encoded, length]] of Object.entries(bad)) {
    t.equal(
      faultCode(() => decodeChunk(encoded, length)),
      'CHUNK_DAMAGED',
      what,
    )
  }
  t.ok([null, 'CHUNK_DAMAGED'].includes(faultCode(() => decodeChunk(flipped, text.length))), 'a flipped bit')
  const withChecksum = framed(text, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })
  t.ok(decodeChunk(withChecksum, text.length).equals(text), 'a checksum may be there')
})

function withWrongChecksum(): Buffer {
  const encoded = framed(text, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })
  const last = encoded.length - 1
  encoded[last] = (encoded[last] as number) ^ 1
  return encoded
}

t.test('both sides count alike, all of a chunk counts for its length, and no byte more fits', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const exact = (sent: number, encodedBytes: number, length: number) =>
    Number((BigInt(sent) * BigInt(length)) / BigInt(encodedBytes))
  for (let round = 0; round < 20_000; round++) {
    const length = random.oneIn(3) ? CHUNK_BYTES_MAX - random.below(5) : 2 + random.below(CHUNK_BYTES_MAX - 1)
    const encodedBytes = random.oneIn(3)
      ? length - 1 - random.below(Math.min(3, length - 1))
      : 1 + random.below(length - 1)
    const sent = random.oneIn(3) ? encodedBytes - random.below(2) : random.below(encodedBytes + 1)
    const counted = contentUpTo(sent, encodedBytes, length)
    if (counted !== exact(sent, encodedBytes, length)) return t.fail(`${sent} of ${encodedBytes} for ${length}`)
    if (contentUpTo(encodedBytes, encodedBytes, length) !== length) return t.fail(`all of ${encodedBytes}`)
    const content = random.oneIn(3) ? counted : random.below(length + 10)
    const most = sentWithin(content, encodedBytes, length)
    const fits = most === encodedBytes || contentUpTo(most + 1, encodedBytes, length) > content
    if (most < 0 || most > encodedBytes || contentUpTo(most, encodedBytes, length) > content || !fits) {
      return t.fail(`${content} bytes of content: ${most} of ${encodedBytes} for ${length}`)
    }
  }
  t.strictSame([contentUpTo(7, 0, 100), sentWithin(7, 0, 100)], [7, 7], 'as it is')
})

t.test('in its place, and back', async (t) => {
  for (const chunk of [text, Buffer.alloc(CHUNK_BYTES_MAX, 'abc'), text.subarray(0, 2000)]) {
    const place = Buffer.concat([chunk, Buffer.alloc(10, 7)])
    const here = place.subarray(0, chunk.length)
    const encodedBytes = encodeInPlace(here, chunk.length - 1, 1)
    t.ok(encodedBytes > 0 && encodedBytes < chunk.length)
    t.ok(decodeChunk(place.subarray(0, encodedBytes), chunk.length).equals(chunk))
    decodeChunkInto(place.subarray(0, encodedBytes), chunk.length, here)
    t.ok(here.equals(chunk))
    t.ok(place.subarray(chunk.length).equals(Buffer.alloc(10, 7)))
  }
  const noise = new Random(2).bytes(CHUNK_BYTES_MIN)
  const before = Buffer.from(noise)
  t.equal(encodeInPlace(noise, noise.length - 1, 1), 0)
  t.ok(noise.equals(before), 'what does not get shorter stays')
})

t.test('a large buffer is freed, a slab that others share is not', async (t) => {
  const large = Buffer.alloc(Buffer.poolSize + 1)
  freeBuffer(large.subarray(5, 10))
  t.equal(large.buffer.byteLength, 0)
  const small = Buffer.allocUnsafe(100)
  const other = Buffer.allocUnsafe(100).fill(3)
  freeBuffer(small)
  t.ok(small.length === 100 && other.every((byte) => byte === 3))
  const shared = Buffer.from(new SharedArrayBuffer(Buffer.poolSize + 1))
  freeBuffer(shared)
  t.equal(shared.length, Buffer.poolSize + 1)
})
