// Whose turn it is when a session fetches several contents.

import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { PRIORITY_BULK, PRIORITY_NORMAL, PRIORITY_URGENT, type Priority } from '#protocol/codec/mod.ts'
import { FRAME_FETCH, FRAME_HEADER_BYTES, FRAME_WANT } from '#protocol/frame/mod.ts'
import { encodeFetch, encodeWant } from '#protocol/schema/mod.ts'
import { CHUNK_BYTES_MIN, parseChunkData, priorityInWant } from '#protocol/transfer/mod.ts'
import { BULK_QUEUED_BYTES_MAX } from './limits.ts'
import { idOf, Stage } from './testing.ts'

const CHUNKS = 240
const SIZE = CHUNKS * CHUNK_BYTES_MIN

/** A session whose line takes so much in one turn, and what came by it of each content. */
async function session(t: Test, lineBytes: number) {
  const stage = new Stage(t)
  const { store } = stage.contents
  const read = store.read.bind(store)
  let reading = 0
  store.read = async (...wanted) => {
    reading++
    try {
      return await read(...wanted)
    } finally {
      reading--
    }
  }
  const cameBytes = new Map<number, number>()
  let queuedBytes = 0
  const desk = stage.desk(t, {
    bulkWritable: () => queuedBytes < BULK_QUEUED_BYTES_MAX,
    sendParts: (first, second, done) => {
      const { transfer, bytes } = parseChunkData(Buffer.concat([first.subarray(FRAME_HEADER_BYTES), second]))
      cameBytes.set(transfer, (cameBytes.get(transfer) ?? 0) + bytes.length)
      queuedBytes += bytes.length
      done()
    },
  })
  let transfers = 0
  return {
    came: (transfer: number) => cameBytes.get(transfer) ?? 0,
    /** The line takes what it can, when all that was begun is read: whose turn it is is not the disk's to say. */
    turn: async () => {
      while (reading > 0) await setImmediate()
      await setImmediate()
      queuedBytes = Math.max(0, queuedBytes - lineBytes)
      desk.pump()
      await setImmediate()
    },
    /** Gives the number of the transfer; all of it is wanted. */
    fetch: async (priority: number): Promise<number> => {
      const number = ++transfers
      await stage.abandon(number, { size: SIZE })
      await Promise.all(Array.from({ length: CHUNKS }, (_, i) => stage.part(number, i)))
      desk.frame(FRAME_FETCH, encodeFetch({ request: number, content: idOf(number), creditBytes: SIZE, priority }))
      await setImmediate()
      desk.frame(
        FRAME_WANT,
        encodeWant({ transfer: number, ranges: [{ from: 0, count: CHUNKS }], part: null, priority: 0 }),
      )
      return number
    },
    /** As an agent changes it. */
    prioritize: (transfer: number, priority: Priority): void => {
      const body = encodeWant({ transfer, ranges: [], part: null, priority: priorityInWant(priority) })
      desk.frame(FRAME_WANT, body)
    },
  }
}

for (const [what, priority] of [
  ['urgent beside normal', PRIORITY_NORMAL],
  ['urgent beside bulk', PRIORITY_BULK],
] as const) {
  t.test(`${what}: one under way lets it have nearly all of the line, and goes on`, async (t) => {
    const { came, fetch, turn } = await session(t, 256 * 1024)
    const slower = await fetch(priority)
    while (came(slower) < SIZE / 4) await turn()
    const urgent = await fetch(PRIORITY_URGENT)
    while (came(urgent) === 0) await turn()
    const before = came(slower)
    while (came(urgent) < SIZE) await turn()
    const meanwhile = came(slower) - before
    t.ok(meanwhile > 0 && meanwhile <= SIZE / 8, `${meanwhile} of ${SIZE} bytes meanwhile`)
    while (came(slower) < SIZE) await turn()
  })
}

t.test('one that becomes urgent while it is sent has nearly all of the line from then on', async (t) => {
  const { came, fetch, prioritize, turn } = await session(t, 256 * 1024)
  const [one, other] = [await fetch(PRIORITY_URGENT), await fetch(PRIORITY_NORMAL)]
  while (came(one) < SIZE / 4) await turn()
  t.ok(came(other) <= SIZE / 16, `${came(other)} bytes`)
  prioritize(one, PRIORITY_BULK)
  prioritize(other, PRIORITY_URGENT)
  const before = came(one)
  while (came(other) < SIZE) await turn()
  const meanwhile = came(one) - before
  t.ok(meanwhile > 0 && meanwhile <= SIZE / 8, `${meanwhile} of ${SIZE} bytes meanwhile`)
})

t.test('what an agent says that knows more priorities counts as normal', async (t) => {
  const { came, fetch, turn } = await session(t, 256 * 1024)
  const [one, other] = [await fetch(17), await fetch(PRIORITY_NORMAL)]
  while (came(one) + came(other) < 2 * SIZE) {
    await turn()
    if (came(one) < SIZE && came(other) < SIZE && Math.abs(came(one) - came(other)) > SIZE / 4) {
      t.fail(`${came(one)} and ${came(other)} bytes`)
    }
  }
})
