import { createHash } from 'node:crypto'
import t from 'tap'
import { CHUNK_BYTES_MIN, ChunkList } from '#protocol/transfer/mod.ts'
import { Twins } from './twins.ts'

t.test('of equal chunks one is asked for, and again when it is gone', async (t) => {
  const texts = ['a', 'b', 'a', 'c', 'a', 'b', 'a']
  const list = new ChunkList({ size: texts.length * CHUNK_BYTES_MIN, chunkBytes: CHUNK_BYTES_MIN })
  for (const text of texts) list.add(createHash('sha256').update(text).digest(), CHUNK_BYTES_MIN)
  const twins = new Twins()
  const waits = (chunk: number) => twins.waits(chunk, list)
  t.strictSame([0, 1, 2, 3, 4].map(waits), [false, false, true, false, true])
  t.strictSame(twins.arrived(0, list.digestAt(0)), [2, 4])
  t.strictSame(twins.arrived(0, list.digestAt(0)), [])
  t.strictSame([5, 6].map(waits), [true, false], 'what is here is not waited for')
  t.strictSame(twins.arrived(3, list.digestAt(3)), [])
  t.strictSame(twins.arrived(1, list.digestAt(1)), [5])
})
