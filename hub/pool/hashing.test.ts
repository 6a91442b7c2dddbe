import { createHash, randomBytes } from 'node:crypto'
import t from 'tap'
import { encodeChunk } from '#protocol/transfer/mod.ts'
import { DECODED_AT_ONCE_BYTES } from './limits.ts'
import { Hashing, SharedBuffers } from './mod.ts'

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

t.test('digests of chunks, as they are and encoded, here and in a thread', async (t) => {
  const hashing = new Hashing()
  t.teardown(() => hashing.close())
  const buffers = new SharedBuffers()
  for (const length of [1000, DECODED_AT_ONCE_BYTES, DECODED_AT_ONCE_BYTES + 1, 100_000, 3_000_000]) {
    const chunk = Buffer.concat([randomBytes(length >> 2), Buffer.alloc(length - (length >> 2), 'ab')])
    const encoded = encodeChunk(chunk, length - 1) as Buffer
    const memory = buffers.take(length)
    const stored = { bytes: memory.subarray(0, encoded.length), length }
    encoded.copy(memory)
    t.equal((await hashing.digestOf(stored))?.toString('hex'), sha256(chunk), `${length} bytes in ${encoded.length}`)
    t.ok(stored.bytes.equals(encoded), 'it stays as it is')
    t.equal(await hashing.digestOf({ bytes: stored.bytes, length: length + 1 }), null, 'of another length')
    const other = buffers.take(length)
    t.equal((await hashing.decode(stored, other))?.toString('hex'), sha256(chunk))
    t.ok(other.equals(chunk))
    t.equal((await hashing.decode(stored, memory))?.toString('hex'), sha256(chunk), 'in its place')
    t.ok(memory.equals(chunk))
    t.equal((await hashing.digestOf({ bytes: memory, length }))?.toString('hex'), sha256(chunk))
    t.equal(await hashing.decode({ bytes: memory.subarray(0, 99), length }, other), null, 'no frame')
  }
})
