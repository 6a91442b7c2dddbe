// What serving a content holds in memory, whatever the agent says of it.

import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { SharedBuffers } from '#hub/pool/mod.ts'
import { RangeSet } from '#protocol/session/mod.ts'
import { CHUNK_BYTES_MIN, ChunkList } from '#protocol/transfer/mod.ts'
import type { Contents } from './contents.ts'
import { READ_AHEAD_BYTES } from './limits.ts'
import type { LiveContent } from './live.ts'
import { Nearness } from './nearness.ts'
import { Serving } from './serving.ts'

const CHUNKS = 100

t.test('chunks read ahead are let go when the agent has them by another way', async (t) => {
  const list = new ChunkList({ size: CHUNKS * CHUNK_BYTES_MIN, chunkBytes: CHUNK_BYTES_MIN })
  for (let i = 0; i < CHUNKS; i++) list.add(createHash('sha256').update(`${i}`).digest(), CHUNK_BYTES_MIN)
  const buffers = new SharedBuffers()
  const contents = {
    buffers,
    recent: { get: () => undefined },
    store: { read: async (_digest: Buffer, into: Buffer) => ({ bytes: into, length: into.length }) },
    leave: () => undefined,
  } as unknown as Contents
  const content = {
    list,
    manifest: null,
    expired: null,
    durable: new RangeSet(CHUNKS),
    nearness: new Nearness(),
    follow: () => ({ [Symbol.dispose]: () => undefined }),
  } as unknown as LiveContent
  const serving = new Serving({
    number: 1,
    content,
    contents,
    // Nothing may be sent, so all that is read stays read.
    creditBytes: 0,
    encoded: true,
    send: () => undefined,
    sendParts: () => t.fail('no credit was given'),
    introduce: () => undefined,
    wake: () => undefined,
    end: () => undefined,
  })
  serving.advance()
  serving.want({ transfer: 1, ranges: [{ from: 0, count: CHUNKS }], part: null, priority: 0 })
  let mostBytes = 0
  for (let chunk = 0; chunk < CHUNKS; chunk++) {
    serving.step()
    // Now and then it comes to have one while that is being read.
    if (chunk % 3 > 0) await setImmediate()
    mostBytes = Math.max(mostBytes, buffers.usedBytes)
    serving.stored({ transfer: 1, ranges: [{ from: chunk, count: 1 }], creditBytes: 0 })
  }
  await setImmediate()
  t.ok(mostBytes > 0 && mostBytes <= READ_AHEAD_BYTES + 2 * CHUNK_BYTES_MIN, `${mostBytes} bytes at most`)
  t.equal(buffers.usedBytes, 0)
  serving.close()
})
