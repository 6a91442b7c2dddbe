// Chunks that are stored encoded, as they came: they count for what they take, and are checked for what they are.

import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Fault } from '#protocol/base/mod.ts'
import { Random } from '#protocol/bytes/testing.ts'
import { Engine } from '../engine.ts'
import { recordBytes } from '../segment-file.ts'
import { checkContents } from './check.ts'
import {
  chunkOf,
  digestOf,
  encodedChunkOf,
  idOf,
  infoOf,
  KIB,
  MIB,
  opened,
  plainOf,
  send,
  wrongIn,
} from './contents.testing.ts'
import { CONTENTS_VERSION, checkVersion } from './version.ts'

const random = new Random(4)
/** Compresses to some 40 KiB of 100: to how many exactly is the same in every run. */
const half = (): Buffer => Buffer.concat([random.bytes(40 * KIB), Buffer.alloc(60 * KIB)])

t.test('it lies there as it came, counts for what it takes, and is found under the digest of the chunk', async (t) => {
  const folder = t.testdir()
  const store = opened(t, folder)
  const chunk = half()
  const encoded = encodedChunkOf(chunk)
  await store.begin(infoOf({ id: idOf(1), size: 3 * chunk.length }))
  await store.add(idOf(1), 0, encoded)
  t.match(store.get(idOf(1)), { chunks: 1, bytes: chunk.length }, 'of content')
  t.equal(store.usage().liveBytes, recordBytes(encoded.bytes.length))
  t.strictSame(store.part(idOf(1), 0), { digest: digestOf(chunk), length: chunk.length })
  const read = await store.read(digestOf(chunk))
  t.ok(read.length === chunk.length && read.bytes.equals(encoded.bytes) && plainOf(read).equals(chunk))
  await store.add(idOf(1), 1, chunkOf(chunk))
  await store.add(idOf(1), 2, { ...chunkOf(chunk), bytes: null })
  t.match(store.usage(), { chunks: 1, liveBytes: recordBytes(encoded.bytes.length) }, 'the same, however it comes')
  await store.seal(idOf(1), Buffer.from('m'))
  await store.close()
  t.strictSame(await checkContents(folder), {
    ok: true,
    folder,
    contents: 1,
    chunks: 1,
    bytes: encoded.bytes.length,
    damaged: [],
    incomplete: [],
    problems: [],
  })
  const again = opened(t, folder)
  t.ok(plainOf(await again.read(digestOf(chunk), Buffer.alloc(chunk.length))).equals(chunk))
  t.equal(again.usage().liveBytes, recordBytes(encoded.bytes.length))
})

t.test('what cannot be an encoded chunk is not taken', async (t) => {
  const store = opened(t, t.testdir())
  const chunk = half()
  await store.begin(infoOf({ id: idOf(1), size: chunk.length }))
  for (const bytes of [Buffer.alloc(0), chunk, Buffer.alloc(chunk.length + 1)]) {
    await t.rejects(store.add(idOf(1), 0, { ...chunkOf(chunk), bytes, isEncoded: true }), { code: 'CONTENT_INVALID' })
  }
  await t.rejects(store.add(idOf(1), 0, { ...encodedChunkOf(chunk), isEncoded: false }), { code: 'CONTENT_INVALID' })
  await store.add(idOf(1), 0, encodedChunkOf(chunk))
  const shorter = { digest: digestOf(chunk), length: chunk.length - 1, bytes: null }
  await t.rejects(store.add(idOf(1), 1, shorter), { code: 'CONTENT_CONFLICT' }, 'a length is that of the chunk')
})

t.test('damage is found: a byte of it, or what encodes another chunk', async (t) => {
  const folder = t.testdir()
  const store = opened(t, folder, { onFault: () => undefined })
  const chunks = [half(), half(), half(), half()] as const
  await store.begin(infoOf({ id: idOf(1), size: 4 * chunks[0].length }))
  for (const [i, chunk] of chunks.entries()) await store.add(idOf(1), i, encodedChunkOf(chunk))
  await store.close()
  const segment = join(folder, 'segments', readdirSync(join(folder, 'segments'))[0] as string)
  const bytes = readFileSync(segment)
  const placeOf = (chunk: Buffer) => bytes.indexOf(encodedChunkOf(chunk).bytes)
  const [noise, magic, other] = [placeOf(chunks[0]), placeOf(chunks[1]), placeOf(chunks[2])]
  bytes[noise + 20_000] = (bytes[noise + 20_000] as number) ^ 1
  bytes[magic] = 0
  encodedChunkOf(chunks[3]).bytes.copy(bytes, other)
  writeFileSync(segment, bytes)
  const { damaged, problems } = await checkContents(folder)
  t.strictSame([damaged.map(({ index }) => index), problems], [[0, 1, 2], []])
  const again = opened(t, folder, { onFault: () => undefined })
  await again.damaged(digestOf(chunks[0]))
  t.match(again.get(idOf(1)), { chunks: 3, bytes: 3 * chunks[0].length })
  await again.add(idOf(1), 0, chunkOf(chunks[0]))
  t.ok((await again.read(digestOf(chunks[0]))).bytes.equals(chunks[0]), 'it comes again, in another form')
})

t.test('encoded chunks are moved together, and damage is noticed then', async (t) => {
  const folder = t.testdir()
  const faults: Fault[] = []
  const store = opened(t, folder, { onFault: (fault) => void faults.push(fault) })
  const chunks = Array.from({ length: 150 }, half)
  for (const [i, chunk] of chunks.entries()) {
    await store.begin(infoOf({ id: idOf(i), size: chunk.length }))
    await store.add(idOf(i), 0, encodedChunkOf(chunk))
  }
  for (let i = 0; i < chunks.length; i++) if (i % 4 !== 0) await store.remove(idOf(i))
  for (let i = 0; i < 12_000 && store.usage().bytes > 7 * MIB; i++) {
    store.touch(idOf(0), 2000 + i)
    await store.begin(infoOf({ id: idOf(1000), size: 1 }))
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  t.ok(store.usage().bytes <= 7 * MIB, `${store.usage().bytes} bytes for ${store.usage().liveBytes}`)
  for (let i = 0; i < chunks.length; i += 4) {
    t.ok(plainOf(await store.read(digestOf(chunks[i] as Buffer))).equals(chunks[i] as Buffer))
  }
  t.strictSame(faults, [])
  await store.close()
  t.strictSame(await wrongIn(folder), [])
})

t.test('a folder of version 1 is checked and opened, and is one of this version then', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-contents-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  cpSync(fileURLToPath(new URL('../fixtures/contents-v1', import.meta.url)), folder, { recursive: true })
  t.match(await checkContents(folder), { ok: true, contents: 2, chunks: 4, bytes: 4000 })
  const store = opened(t, folder)
  t.match(store.get(idOf(1)), { state: 'sealed', manifest: Buffer.from('a manifest'), chunks: 3, bytes: 3000 })
  t.match(store.get(idOf(2)), { state: 'open', chunks: 3, bytes: 3000 })
  for (const byte of [1, 2, 3, 4]) {
    const chunk = Buffer.alloc(1000, byte)
    t.strictSame(await store.read(digestOf(chunk)), { bytes: chunk, length: 1000 })
  }
  await store.add(idOf(2), 3, encodedChunkOf(Buffer.alloc(1000, 5)))
  await store.close()
  t.strictSame(await wrongIn(folder), [])
  const engine = Engine.open(folder, 256 * MIB, { freeBytesMin: 0 })
  t.equal(engine.table('meta').get('version')?.readUInt32LE(0), CONTENTS_VERSION)
  const bytes = Buffer.from([CONTENTS_VERSION + 1, 0, 0, 0])
  await engine.maintain({ write: () => engine.table('meta').put('version', bytes), done: () => undefined })
  t.throws(() => checkVersion(engine), { code: 'STORE_VERSION' }, 'what a later one wrote is not touched')
  await engine.close()
  await t.rejects(checkContents(folder), { code: 'STORE_VERSION' })
})

t.test('of two forms the one that came first stays', async (t) => {
  const store = opened(t, t.testdir())
  const chunk = half()
  await send(store, [chunk], { id: idOf(1) })
  await store.begin(infoOf({ id: idOf(2), size: chunk.length }))
  await store.add(idOf(2), 0, encodedChunkOf(chunk))
  t.equal(store.usage().liveBytes, recordBytes(chunk.length), 'the first form stays')
})
