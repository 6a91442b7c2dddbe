// What an upload tells its sender, without a store: chunks that come damaged must not use up its credit.

import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { testKey } from '#protocol/codec/testing.ts'
import { FRAME_STORED } from '#protocol/frame/mod.ts'
import { decodeStored } from '#protocol/schema/mod.ts'
import { CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, ChunkList, DAMAGED_TRIES_MAX, Outgoing } from '#protocol/transfer/mod.ts'
import type { Contents } from './contents.ts'
import type { LiveContent } from './live.ts'
import { Nearness } from './nearness.ts'
import { Upload } from './upload.ts'

const digestOf = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest()

/** A hub that stores nothing and has as little room as a busy one gives. */
function uploadOf(chunks: readonly Buffer[], chunkBytes: number) {
  const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  const list = new ChunkList({ size, chunkBytes })
  for (const chunk of chunks) list.add(digestOf(chunk), chunk.length)
  const stored: number[] = []
  const contents = {
    receivedBytes: 0,
    isHeld: () => false,
    windows: { of: () => chunkBytes },
    buffers: { take: (bytes: number) => Buffer.alloc(bytes), release: () => undefined },
    recent: { keep: () => undefined },
    hashing: { digestOf: async ({ bytes }: { bytes: Buffer }) => digestOf(bytes) },
    store: { part: () => null, add: async (_id: string, chunk: number) => void stored.push(chunk) },
    leave: () => undefined,
  } as unknown as Contents
  const content = {
    id: '00'.repeat(16),
    list: new ChunkList({ size, chunkBytes }),
    durable: { add: () => 1 },
    nearness: new Nearness(),
    uploader: null,
    tell: () => undefined,
    follow: () => ({ [Symbol.dispose]: () => undefined }),
    expired: null,
  } as unknown as LiveContent
  const ended: string[] = []
  let outgoing: Outgoing | null = null
  const upload = new Upload({
    number: 1,
    content,
    contents,
    agent: 'a',
    publicKey: testKey('a').publicKey,
    place: { [Symbol.dispose]: () => undefined },
    encoded: true,
    send(kind, _channel, body) {
      if (kind !== FRAME_STORED) return
      const { ranges, creditBytes } = decodeStored(body)
      outgoing?.acknowledge(ranges, creditBytes)
    },
    end: (fault) => void ended.push(fault.code),
  })
  outgoing = new Outgoing(list, upload.creditBytes)
  const digests = Buffer.concat(chunks.map(digestOf))
  upload.chunks({ transfer: 1, first: 0, digests, lengths: [] })
  return { upload, outgoing, stored, ended }
}

for (const chunkBytes of [CHUNK_BYTES_MIN, CHUNK_BYTES_MAX]) {
  t.test(`chunks of ${chunkBytes} bytes that come damaged come again, with no more room than one takes`, async (t) => {
    const chunks = [Buffer.alloc(chunkBytes, 1), Buffer.alloc(chunkBytes, 2), Buffer.alloc(1000, 3)]
    const { upload, outgoing, stored, ended } = uploadOf(chunks, chunkBytes)
    for (let tries = 1; tries <= DAMAGED_TRIES_MAX; tries++) {
      for (const [chunk, right] of chunks.entries()) {
        if (stored.includes(chunk)) continue
        outgoing.want([{ from: chunk, count: 1 }])
        for (let piece = outgoing.take(); piece !== null; piece = outgoing.take()) {
          const bytes = Buffer.from(right.subarray(piece.offset, piece.offset + piece.bytes))
          if (tries < DAMAGED_TRIES_MAX && piece.offset === 0) bytes[0] = 0xff
          upload.data({ transfer: 1, chunk, offset: piece.offset, encodedBytes: 0, bytes })
        }
        for (let i = 0; i < 5; i++) await setImmediate()
      }
    }
    t.strictSame([stored, ended], [[0, 1, 2], []])
  })
}
