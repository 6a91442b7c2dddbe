// Sender, hub and receiver of a large transfer killed in turn: the file arrives whole, at most 16 MB travel twice for a kill, and
// nothing that was verified is hashed again; also when chunks travel and lie encoded, or are as large as may be. CRASH_SEED= repeats the choice of victims,
// TRANSFER_KILLS= asks for more of them.

import t, { type Test } from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { CHUNK_BYTES_MAX } from '#protocol/transfer/mod.ts'
import { killDuringTransfer, type TransferOptions } from './transfer.ts'

const seed = Number(process.env.CRASH_SEED ?? testSeed())
/** Enough for every victim to be killed while there is something under way. */
const BYTES_PER_KILL = 48 * 1024 * 1024
const AGAIN_BYTES_MAX = 16_000_000

type What = Pick<TransferOptions, 'content' | 'chunkBytes' | 'receivers' | 'hubFirst'>

async function killed(t: Test, kills: number, what: What) {
  t.comment(`CRASH_SEED=${seed}`)
  const size = 3 * kills * BYTES_PER_KILL + 12_345 - (12_345 % 2)
  const random = new Random(seed)
  const result = await killDuringTransfer({ size, ...what, kills, random, say: (text) => t.comment(text) })
  const { digestIsRight, files, againBytes, lineBytes, hashedAgainBytes } = result
  t.ok(digestIsRight, 'the file is what was sent')
  t.strictSame(files, new Array(what.receivers ?? 1).fill('drawing.bin'))
  t.strictSame(result.kills, { sender: kills, hub: kills, receiver: kills })
  t.equal(hashedAgainBytes, 0)
  const most = Math.max(...againBytes)
  t.ok(most <= AGAIN_BYTES_MAX, `${most} bytes travelled twice for one kill`)
  t.comment(`${size} bytes, ${againBytes.length} kills, at most ${most} bytes twice, ${hashedAgainBytes} hashed again`)
  return { size, ...lineBytes }
}

const kills = Number(process.env.TRANSFER_KILLS ?? 2)
/** Ten times what they take on a quiet machine. */
const MS_MAX = kills * 150_000
t.setTimeout(3 * MS_MAX)

t.test('killed in turn', { timeout: MS_MAX }, async (t) => {
  const { size, up, down } = await killed(t, kills, { content: 'random' })
  t.ok(up >= size && down >= size)
})

t.test('killed in turn while chunks travel encoded', { timeout: MS_MAX }, async (t) => {
  const { size, up, down } = await killed(t, Math.ceil(kills / 2), { content: 'text' })
  t.ok(up < 0.8 * size && down < 0.8 * size, `${up} and ${down} bytes of ${size}`)
})

t.test('killed in turn with the largest chunks there are, and two who receive', { timeout: MS_MAX }, async (t) => {
  const what: What = { content: 'random', chunkBytes: CHUNK_BYTES_MAX, receivers: 2, hubFirst: true }
  const { size, up, down } = await killed(t, Math.ceil(kills / 2), what)
  t.ok(up >= size && down >= size)
})
