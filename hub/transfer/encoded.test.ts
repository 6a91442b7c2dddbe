// Chunks that come encoded, on a real store: verified for what they are, kept as they came, handed out in the form that was agreed.

import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { constants, zstdCompressSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { ContentStore } from '#hub/store/mod.ts'
import { testKey } from '#protocol/codec/testing.ts'
import { FRAME_CHUNKS, FRAME_HEADER_BYTES, FRAME_SEALED, FRAME_STORED, FRAME_WANT } from '#protocol/frame/mod.ts'
import { decodeChunks, decodeStored, decodeWant } from '#protocol/schema/mod.ts'
import {
  CHUNK_BYTES_MIN,
  ChunkList,
  DAMAGED_TRIES_MAX,
  decodeChunk,
  encodeChunk,
  Incoming,
  Outgoing,
  parseChunkData,
  sealManifest,
} from '#protocol/transfer/mod.ts'
import { Contents } from './contents.ts'
import { RECENT_BYTES_MAX } from './limits.ts'
import { Serving } from './serving.ts'
import { Upload } from './upload.ts'

const KEY = testKey('a sender')
const ID = Buffer.alloc(16, 7)
const SIZE = CHUNK_BYTES_MIN

const digestOf = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest()
const text = (i: number): Buffer => Buffer.from(`{"number":${i},"name":"户籍"}\n`.repeat(SIZE)).subarray(0, SIZE)
const encodedOf = (chunk: Buffer): Buffer => encodeChunk(chunk, chunk.length - 1) as Buffer

type Form = { readonly bytes: Buffer; readonly isEncoded: boolean }

function openContents(t: Test, folder = t.testdir()): Contents {
  const store = ContentStore.open({ folder, bytesMax: 2 ** 28, freeBytesMin: 0, onFault: () => undefined })
  const onFault = () => undefined
  const contents = new Contents({ store, holds: () => 0, keepMs: 1e9, nowMs: () => 1, onFault })
  t.teardown(() => contents.close())
  return contents
}

/** Sends these chunks, each in the form that `formOf` says, as often as they are asked for; gives what ended it. */
async function send(contents: Contents, chunks: readonly Buffer[], formOf: (chunk: number, tries: number) => Form) {
  const size = chunks.reduce((sum, { length }) => sum + length, 0)
  const about = { content: ID, name: '', mediaType: '', size, chunkBytes: SIZE, keepMs: 0, expiresMs: 0 }
  const content = await contents.open({ request: 1, ...about }, 'a')
  const list = new ChunkList({ size, chunkBytes: SIZE })
  for (const chunk of chunks) list.add(digestOf(chunk), chunk.length)
  const tries = new Map<number, number>()
  let over: string | null = null
  let outgoing: Outgoing | null = null
  const upload = new Upload({
    number: 1,
    content,
    contents,
    agent: 'a',
    publicKey: KEY.publicKey,
    place: { [Symbol.dispose]: () => undefined },
    encoded: true,
    send(kind, _channel, body) {
      if (kind === FRAME_WANT) outgoing?.want(decodeWant(body).ranges)
      if (kind === FRAME_STORED) outgoing?.acknowledge(decodeStored(body).ranges, decodeStored(body).creditBytes)
      if (kind === FRAME_SEALED) over = 'sealed'
    },
    end: (fault) => {
      over = fault.code
    },
  })
  outgoing = new Outgoing(list, upload.creditBytes)
  upload.chunks({ transfer: 1, first: 0, digests: Buffer.concat(chunks.map(digestOf)), lengths: [] })
  const facts = { contentId: ID, sealedAtMs: 1, origin: 'a', name: '', mediaType: '' }
  upload.seal({ transfer: 1, manifest: sealManifest(facts, list, KEY) })
  while (over === null) {
    const { next: chunk } = outgoing
    const { bytes, isEncoded } = chunk < 0 ? plain(Buffer.alloc(0)) : formOf(chunk, 1 + (tries.get(chunk) ?? 0))
    const encodedBytes = isEncoded ? bytes.length : 0
    const piece = outgoing.take(20_000, encodedBytes)
    if (piece === null) {
      await setImmediate()
      continue
    }
    const { offset } = piece
    if (offset + piece.bytes === bytes.length) tries.set(chunk, 1 + (tries.get(chunk) ?? 0))
    upload.data({ transfer: 1, chunk, offset, encodedBytes, bytes: bytes.subarray(offset, offset + piece.bytes) })
  }
  upload.close()
  return { over, tries }
}

/** Fetches them; gives how many bytes of each came encoded, or what ended it. */
async function fetch(contents: Contents, chunks: readonly Buffer[], { encoded }: { encoded: boolean }) {
  const content = contents.find(ID)
  const { size, chunkBytes } = content.list
  const incoming = new Incoming({
    list: new ChunkList({ size, chunkBytes }),
    allocate: (bytes) => Buffer.alloc(bytes),
    encoded,
  })
  let over: string | null = null
  const came: number[] = []
  const serving: Serving = new Serving({
    number: 1,
    content,
    contents,
    creditBytes: incoming.creditBytes,
    encoded,
    send(kind, _channel, body) {
      if (kind !== FRAME_CHUNKS) return
      const [from, to] = incoming.named(decodeChunks(body))
      for (let chunk = from; chunk < to; chunk++) incoming.wanted(chunk)
      queueMicrotask(() => serving.want({ transfer: 1, ranges: [{ from, count: to - from }], part: null, priority: 0 }))
    },
    sendParts(first, second, sent) {
      const arrived = incoming.data(parseChunkData(Buffer.concat([first.subarray(FRAME_HEADER_BYTES), second])))
      sent()
      if (arrived === null) return
      const { chunk, bytes, encodedBytes } = arrived
      const plain = encodedBytes === 0 ? bytes : decodeChunk(bytes.subarray(0, encodedBytes), bytes.length)
      if (!plain.equals(chunks[chunk] as Buffer)) over = `chunk ${chunk} is another`
      came[chunk] = encodedBytes
      incoming.keep(chunk, { received: true })
      const { creditBytes } = incoming
      queueMicrotask(() => serving.stored({ transfer: 1, ranges: [{ from: chunk, count: 1 }], creditBytes }))
      if (incoming.complete) over = 'complete'
    },
    introduce: () => undefined,
    wake: () => undefined,
    end: (fault) => {
      over = fault.code
    },
  })
  while (over === null) {
    serving.advance()
    if (serving.step() <= 0) await setImmediate()
  }
  serving.close()
  return { over, came }
}

const plain = (bytes: Buffer): Form => ({ bytes, isEncoded: false })
const encoded = (bytes: Buffer): Form => ({ bytes: encodedOf(bytes), isEncoded: true })

t.test('in any form to the hub, and in the form agreed from it', async (t) => {
  const folder = t.testdir()
  const contents = openContents(t, folder)
  const chunks = [text(1), randomBytes(SIZE), text(2), text(3), text(4).subarray(0, 1000)]
  const wanted = [encodedOf(text(1)).length, 0, 0, encodedOf(text(3)).length, encodedOf(chunks[4] as Buffer).length]
  const formOf = (i: number) => (wanted[i] === 0 ? plain(chunks[i] as Buffer) : encoded(chunks[i] as Buffer))
  t.equal((await send(contents, chunks, formOf)).over, 'sealed')
  t.equal(contents.receivedBytes, 2 * SIZE + wanted.reduce((sum, bytes) => sum + bytes, 0))
  t.ok(contents.store.usage().liveBytes < 2.2 * SIZE, `${contents.store.usage().liveBytes} bytes`)
  const none = [0, 0, 0, 0, 0]
  for (const from of ['memory', 'the disk']) {
    t.strictSame(await fetch(contents, chunks, { encoded: true }), { over: 'complete', came: wanted }, from)
    t.strictSame(
      await fetch(contents, chunks, { encoded: false }),
      { over: 'complete', came: none },
      `decoded, ${from}`,
    )
    for (const chunk of chunks) contents.recent.forget(digestOf(chunk).toString('latin1'))
  }
  t.equal(contents.buffers.usedBytes, 0, 'all memory is given back')
})

const bad: Readonly<Record<string, (chunk: Buffer) => Buffer>> = {
  'no frame': () => Buffer.alloc(500, 1),
  'a frame that is cut': (chunk) => encodedOf(chunk).subarray(0, -1),
  'a byte behind the frame': (chunk) => Buffer.concat([encodedOf(chunk), Buffer.alloc(1)]),
  'a bomb': () => zstdCompressSync(Buffer.alloc(64 * 1024 * 1024), { pledgedSrcSize: 64 * 1024 * 1024 }),
  'a frame that does not say its size': (chunk) =>
    zstdCompressSync(chunk, { params: { [constants.ZSTD_c_contentSizeFlag]: 0 } }),
  'another chunk': () => encodedOf(text(99)),
}
for (const [what, make] of Object.entries(bad)) {
  t.test(`${what} is a damaged chunk: it is asked for again, and not for ever`, async (t) => {
    const contents = openContents(t)
    const chunks = [text(1), text(2), text(3)]
    const harmed = { bytes: make(chunks[1] as Buffer), isEncoded: true }
    t.ok(harmed.bytes.length < SIZE)
    const formOf = (until: number) => (chunk: number, tries: number) =>
      chunk === 1 && tries < until ? harmed : encoded(chunks[chunk] as Buffer)
    const liar = await send(contents, chunks, formOf(99))
    t.strictSame([liar.over, liar.tries.get(1)], ['CHUNK_DAMAGED', DAMAGED_TRIES_MAX])
    const honest = await send(contents, chunks, formOf(DAMAGED_TRIES_MAX))
    t.strictSame([honest.over, honest.tries.get(1)], ['sealed', DAMAGED_TRIES_MAX])
    t.equal((await fetch(contents, chunks, { encoded: true })).over, 'complete')
  })
}

for (const agreed of [true, false]) {
  t.test(
    `one that is damaged on the disk, for an agent that takes ${agreed ? 'both forms' : 'one form'}`,
    async (t) => {
      const folder = t.testdir()
      const contents = openContents(t, folder)
      const chunks = [text(1), text(2)]
      await send(contents, chunks, (chunk) => encoded(chunks[chunk] as Buffer))
      for (const chunk of chunks) contents.recent.forget(digestOf(chunk).toString('latin1'))
      const segment = join(folder, 'segments', readdirSync(join(folder, 'segments'))[0] as string)
      const bytes = readFileSync(segment)
      bytes[bytes.indexOf(encodedOf(text(2)))] = 0
      writeFileSync(segment, bytes)
      if (agreed)
        await t.rejects(fetch(contents, chunks, { encoded: true }), { code: 'CHUNK_DAMAGED' }, 'the agent sees it')
      else t.equal((await fetch(contents, chunks, { encoded: false })).over, 'CONTENT_DAMAGED')
      t.equal(contents.store.has(digestOf(text(2))), agreed)
      t.equal(contents.store.has(digestOf(text(1))), true)
    },
  )
}

t.test('chunks that encode to nothing do not pile up in memory', async (t) => {
  const contents = openContents(t)
  const chunks = Array.from({ length: 1000 }, (_, i) => Buffer.alloc(SIZE, `${i} `))
  t.equal((await send(contents, chunks, (chunk) => encoded(chunks[chunk] as Buffer))).over, 'sealed')
  t.ok(contents.buffers.usedBytes <= RECENT_BYTES_MAX, `${contents.buffers.usedBytes} bytes are kept`)
})
