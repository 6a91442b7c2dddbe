import { createHash } from 'node:crypto'
import t from 'tap'
import { encodeChunk } from '#protocol/transfer/mod.ts'
import { sharedBuffer } from '../threads/mod.ts'
import { HashPool } from './mod.ts'

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

t.test('digests of parts of shared memory come in the order asked for', async (t) => {
  const pool = new HashPool()
  const memory = sharedBuffer(300_000)
  for (let i = 0; i < memory.length; i++) memory[i] = i * 7
  const parts = [memory.subarray(0, 0), memory.subarray(1, 2), memory.subarray(4096, 200_000), memory.subarray(299_999)]
  const order: number[] = []
  const digests = parts.map((part, i) =>
    pool.digest(part).then((digest) => {
      order.push(i)
      return digest.toString('hex')
    }),
  )
  t.equal(pool.pending, parts.length)
  t.strictSame(await Promise.all(digests), parts.map(sha256))
  t.strictSame(order, [0, 1, 2, 3])
  await pool.close()
})

t.test('memory of one thread is refused, and a closed pool starts again', async (t) => {
  const pool = new HashPool()
  await t.rejects(pool.digest(Buffer.from('abc')), /shared memory/)
  const bytes = sharedBuffer(10)
  const lost = pool.digest(bytes)
  void pool.close()
  await t.rejects(lost, /closed/)
  t.equal((await pool.digest(bytes)).toString('hex'), sha256(bytes))
  await pool.close()
})

t.test('an encoded chunk is decoded in its place', async (t) => {
  const pool = new HashPool()
  t.teardown(() => pool.close())
  const memory = sharedBuffer(400_000)
  const chunk = Buffer.from('{"name":"户籍"}\n'.repeat(20_000)).subarray(0, 300_000)
  const place = memory.subarray(4096, 4096 + chunk.length)
  const encoded = encodeChunk(chunk, chunk.length - 1) as Buffer
  encoded.copy(place)
  t.equal((await pool.decode(place, encoded.length))?.toString('hex'), sha256(chunk))
  t.ok(place.equals(chunk))
  t.ok(
    memory.subarray(0, 4096).every((byte) => byte === 0) && memory.subarray(4096 + chunk.length).every((b) => b === 0),
  )
  encoded.copy(place)
  t.equal(await pool.decode(place, encoded.length - 1), null)
  t.equal(await pool.decode(place, chunk.length), null)
  t.equal(await pool.decode(place.subarray(1), encoded.length), null)
  encoded.copy(place)
  t.equal(await pool.decode(place.subarray(0, -1), encoded.length), null, 'of another length')
})

t.test('there is one for the process', async (t) => {
  t.equal(HashPool.shared(), HashPool.shared())
  await HashPool.shared().digest(sharedBuffer(1))
  await HashPool.shared().close()
})
