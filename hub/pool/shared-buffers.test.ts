import t from 'tap'
import { SHARED_KEPT_BYTES_MAX } from './limits.ts'
import { SharedBuffers } from './shared-buffers.ts'

const MIB = 1024 * 1024

t.test('a buffer is used again when its last user has let it go, not before', async (t) => {
  const buffers = new SharedBuffers()
  const first = buffers.take(300_000)
  t.equal(first.length, 300_000)
  t.ok(first.buffer instanceof SharedArrayBuffer)
  buffers.hold(first)
  buffers.release(first)
  t.not(buffers.take(300_000).buffer, first.buffer)
  // By a part of it as well.
  buffers.release(first.subarray(5, 10))
  t.equal(buffers.take(290_000).buffer, first.buffer, 'of the same step')
  t.equal(buffers.usedBytes, 2 * 327_680)
})

t.test('what is free is bounded', async (t) => {
  const buffers = new SharedBuffers()
  const taken = Array.from({ length: SHARED_KEPT_BYTES_MAX / (8 * MIB) + 2 }, () => buffers.take(8 * MIB))
  for (const buffer of taken) buffers.release(buffer)
  t.equal(buffers.usedBytes, 0)
  const again = taken.map(() => buffers.take(8 * MIB).buffer)
  t.equal(
    again.filter((buffer) => taken.some((other) => other.buffer === buffer)).length,
    SHARED_KEPT_BYTES_MAX / (8 * MIB),
  )
})

t.test('memory from elsewhere is left alone', async (t) => {
  const buffers = new SharedBuffers()
  const other = Buffer.alloc(10)
  buffers.hold(other)
  buffers.release(other)
  t.not(buffers.take(10).buffer, other.buffer)
})
