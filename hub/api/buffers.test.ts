import t from 'tap'
import { Buffers } from './buffers.ts'
import { BUFFERS_KEPT_BYTES_MAX } from './limits.ts'

const MIB = 1024 * 1024

t.test('what is given back is used again for chunks of about its size', async (t) => {
  const buffers = new Buffers()
  const first = buffers.take(300_000)
  t.equal(first.length, MIB / 2)
  t.ok(first.buffer instanceof SharedArrayBuffer)
  t.not(buffers.take(300_000), first)
  buffers.give(first)
  t.equal(buffers.take(1).length, 65_536)
  t.equal(buffers.take(400_000), first)
  t.equal(buffers.take(8 * MIB).length, 8 * MIB)
})

t.test('what waits is bounded', async (t) => {
  const buffers = new Buffers()
  const taken = Array.from({ length: BUFFERS_KEPT_BYTES_MAX / (8 * MIB) + 2 }, () => buffers.take(8 * MIB))
  for (const buffer of taken) buffers.give(buffer)
  const again = taken.map(() => buffers.take(8 * MIB))
  t.equal(again.filter((buffer) => taken.includes(buffer)).length, taken.length - 2)
})
