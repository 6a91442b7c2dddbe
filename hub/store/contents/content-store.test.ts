// Contents from beginning to removal, and what is refused.

import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { Engine } from '../engine.ts'
import { recordBytes } from '../segment-file.ts'
import type { ContentStore } from './content-store.ts'
import {
  chunkOf,
  digestOf,
  idOf,
  infoOf,
  KIB,
  MIB,
  numberedChunk,
  opened,
  randomBytes,
  send,
  wrongIn,
} from './contents.testing.ts'

const random = new Random(1)
const some = (length = 100 * KIB) => randomBytes(random, length)

t.test('a content: begun, sent, sealed, read, and the same after a restart', async (t) => {
  const folder = t.testdir()
  const store = opened(t, folder)
  const id = idOf(1)
  const chunks = [some(), some(70 * KIB + 1), some(3)]
  const size = chunks.reduce((sum, { length }) => sum + length, 0)
  const begun = await store.begin(infoOf({ id, size }))
  t.match(begun, { id, origin: 'agent', size, state: 'open', manifest: null, chunks: 0, bytes: 0, touchedAtMs: 1000 })
  t.strictSame(await store.begin(infoOf({ id, size })), begun, 'the same again')
  const [first, second, third] = chunks as [Buffer, Buffer, Buffer]
  await store.add(id, 2, chunkOf(third))
  t.strictSame(store.parts(id, 0, 10), [{ index: 2, digest: digestOf(third), length: 3 }])
  t.equal(store.part(id, 0), null)
  await t.rejects(store.seal(id, Buffer.from('m')), { code: 'CONTENT_INCOMPLETE' })
  await store.add(id, 0, { ...chunkOf(first), bytes: [first.subarray(0, 5), first.subarray(5)] })
  await t.rejects(store.seal(id, Buffer.from('m')), { code: 'CONTENT_INCOMPLETE' })
  await Promise.all([store.add(id, 1, chunkOf(second)), store.add(id, 1, chunkOf(second))])
  t.match(store.get(id), { chunks: 3, bytes: size, state: 'open' })
  await store.seal(id, Buffer.from('manifest'))
  await store.seal(id, Buffer.from('manifest'))
  await t.rejects(store.seal(id, Buffer.from('other')), { code: 'CONTENT_CONFLICT' })
  store.touch(id, 5000)
  t.equal(store.get(id)?.touchedAtMs, 5000)
  const view = store.get(id)
  t.match(view, { state: 'sealed', manifest: Buffer.from('manifest'), chunks: 3, bytes: size })
  const look = async (of: ContentStore) => {
    t.strictSame(of.get(id), view)
    t.strictSame([...of.all()], [view])
    t.strictSame(of.parts(id, 1, 1), [{ index: 1, digest: digestOf(second), length: second.length }])
    t.equal(of.parts(id, 0, 10).length, 3)
    for (const bytes of chunks) t.ok((await of.read(digestOf(bytes))).bytes.equals(bytes))
    const into = Buffer.alloc(200 * KIB)
    const { bytes: read } = await of.read(digestOf(second), into)
    t.ok(read.equals(second) && read.buffer === into.buffer, 'into what was given')
    const liveBytes = chunks.reduce((sum, { length }) => sum + recordBytes(length), 0)
    t.match(of.usage(), { contents: 1, chunks: 3, liveBytes, bytesMax: 256 * MIB })
  }
  await look(store)
  await store.close()
  await look(opened(t, folder))
})

t.test('a chunk of several parts is stored once', async (t) => {
  const folder = t.testdir()
  const store = opened(t, folder)
  const bytes = some()
  const other = some()
  await send(store, [bytes, other, bytes], { id: idOf(1) })
  t.equal(store.usage().chunks, 2)
  const digest = digestOf(bytes)
  await store.begin(infoOf({ id: idOf(2), size: bytes.length }))
  await store.add(idOf(2), 0, { digest, length: bytes.length, bytes: null })
  t.equal(store.usage().chunks, 2)
  await store.remove(idOf(1))
  t.equal(store.get(idOf(1)), null)
  t.strictSame(store.parts(idOf(1), 0, 10), [])
  t.ok(store.has(digest), 'the second still needs it')
  t.notOk(store.has(digestOf(other)))
  t.match(store.usage(), { contents: 1, chunks: 1, liveBytes: recordBytes(bytes.length) })
  await store.remove(idOf(2))
  t.match(store.usage(), { contents: 0, chunks: 0, liveBytes: 0 })
  await t.rejects(store.read(digest), { code: 'CHUNK_UNKNOWN' })
  await store.remove(idOf(2))
})

t.test('what is refused', async (t) => {
  const store = opened(t, t.testdir())
  const id = idOf(1)
  const bytes = some()
  const chunk = chunkOf(bytes)
  await t.rejects(store.add(id, 0, chunk), { code: 'CONTENT_UNKNOWN' })
  await t.rejects(store.seal(id, Buffer.from('m')), { code: 'CONTENT_UNKNOWN' })
  await t.rejects(store.begin(infoOf({ id: 'abc', size: 1 })), { code: 'CONTENT_INVALID' })
  await t.rejects(store.begin(infoOf({ id, size: 2 ** 41 })), { code: 'CONTENT_INVALID' })
  await t.rejects(store.begin(infoOf({ id, size: 1, name: 'x'.repeat(256) })), { code: 'CONTENT_INVALID' })
  await store.begin(infoOf({ id, size: bytes.length }))
  await t.rejects(store.begin(infoOf({ id, size: bytes.length + 1 })), { code: 'CONTENT_CONFLICT' })
  await t.rejects(store.begin(infoOf({ id, size: bytes.length, origin: 'other' })), { code: 'CONTENT_CONFLICT' })
  await t.rejects(store.add(id, 0, { ...chunk, bytes: null }), { code: 'CHUNK_UNKNOWN' })
  await t.rejects(store.add(id, 0, { ...chunk, length: 5 }), { code: 'CONTENT_INVALID' })
  await t.rejects(store.add(id, -1, chunk), { code: 'CONTENT_INVALID' })
  await t.rejects(store.add(id, 0, chunkOf(Buffer.alloc(0))), { code: 'CONTENT_INVALID' })
  await t.rejects(store.add(id, 0, { ...chunk, digest: Buffer.alloc(31) }), { code: 'CONTENT_INVALID' })
  await t.rejects(
    store.add(id, 0, chunkOf(some(bytes.length + 1))),
    { code: 'CONTENT_CONFLICT' },
    'larger than it said',
  )
  await store.add(id, 0, chunk)
  await store.add(id, 0, { ...chunk, bytes: null })
  await t.rejects(store.add(id, 0, chunkOf(some())), { code: 'CONTENT_CONFLICT' })
  await t.rejects(store.add(id, 1, { ...chunk, length: 5, bytes: null }), { code: 'CONTENT_CONFLICT' })
  await store.seal(id, Buffer.from('m'))
  await store.add(id, 0, chunk)
  await t.rejects(store.add(id, 1, chunk), { code: 'CONTENT_CONFLICT' })
  t.match(store.get(id), { chunks: 1, bytes: bytes.length })
  t.equal(store.usage().liveBytes, recordBytes(bytes.length), 'what was refused takes nothing')
  await store.begin(infoOf({ id: idOf(2), size: 0 }))
  await store.seal(idOf(2), Buffer.from('empty'))
  t.match(store.get(idOf(2)), { state: 'sealed', chunks: 0 })
  await store.close()
  await t.rejects(store.add(id, 0, chunk), { code: 'STORE_IO' })
  await t.rejects(store.remove(id), { code: 'STORE_CLOSED' })
})

t.test('many things at once, counted again', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const folder = t.testdir()
  const store = opened(t, folder)
  // Few chunks for many parts: they come, are shared and go all the time.
  const chunks = Array.from({ length: 40 }, () => randomBytes(random, 1000 + random.below(200_000)))
  const held = new Map<string, Map<number, Buffer>>()
  const busy: Promise<unknown>[] = []
  let refused = 0
  for (let step = 0; step < 1500; step++) {
    const id = idOf(random.below(8))
    const parts = held.get(id)
    if (parts === undefined) {
      await store.begin(infoOf({ id, size: 2 ** 30 }))
      held.set(id, new Map())
    } else if (random.oneIn(40)) {
      held.delete(id)
      busy.push(store.remove(id))
    } else {
      const index = parts.size
      const bytes = chunks[random.below(chunks.length)] as Buffer
      parts.set(index, bytes)
      const add = store.add(id, index, random.oneIn(3) ? { ...chunkOf(bytes), bytes: null } : chunkOf(bytes))
      const again = async ({ code }: { code: string }) => {
        refused++
        if (code === 'CHUNK_UNKNOWN' && held.get(id) === parts) await store.add(id, index, chunkOf(bytes)).catch(gone)
        else t.not(held.get(id), parts, code)
      }
      const gone = ({ code }: { code: string }) => t.equal(code, 'CONTENT_UNKNOWN')
      busy.push(add.catch(again))
    }
    if (random.oneIn(10)) await new Promise((resolve) => setImmediate(resolve))
    if (random.oneIn(60)) await Promise.all(busy.splice(0))
  }
  await Promise.all(busy)
  t.ok(refused > 0, `${refused} were refused`)
  const live = new Map<string, number>()
  for (const [id, parts] of held) {
    const stored = store.parts(id, 0, 10_000)
    t.strictSame([stored.length, store.get(id)?.chunks], [parts.size, parts.size])
    for (const { index, digest } of stored) {
      const bytes = parts.get(index) as Buffer
      t.ok((await store.read(digest)).bytes.equals(bytes) && digest.equals(digestOf(bytes)))
      live.set(digest.toString('hex'), recordBytes(bytes.length))
    }
  }
  const liveBytes = [...live.values()].reduce((sum, bytes) => sum + bytes, 0)
  t.match(store.usage(), { contents: held.size, chunks: live.size, liveBytes })
  await store.close()
  t.strictSame(await wrongIn(folder), [])
  const again = opened(t, folder)
  t.match(again.usage(), { contents: held.size, chunks: live.size, liveBytes })
})

t.test('reads go on while their chunk is moved or goes', async (t) => {
  const folder = t.testdir()
  const store = opened(t, folder)
  const chunks = Array.from({ length: 60 }, () => some(150_000))
  for (const [i, bytes] of chunks.entries()) await send(store, [bytes], { id: idOf(i) })
  const whole = async (bytes: Buffer) => {
    try {
      return (await store.read(digestOf(bytes))).bytes.equals(bytes)
    } catch (error) {
      return (error as { code: string }).code === 'CHUNK_UNKNOWN'
    }
  }
  const reads: Promise<boolean>[] = []
  for (const i of chunks.keys()) {
    for (const bytes of chunks) reads.push(whole(bytes))
    if (i % 4 !== 0) await store.remove(idOf(i))
  }
  t.ok((await Promise.all(reads)).every(Boolean), `${reads.length} reads`)
  for (let i = 0; i < 12_000 && store.usage().bytes > 8 * MIB; i++) {
    store.touch(idOf(0), 2000 + i)
    await store.begin(infoOf({ id: idOf(1000), size: 1 }))
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  t.ok(store.usage().bytes <= 8 * MIB, `${store.usage().bytes} bytes for ${store.usage().liveBytes}`)
  for (let i = 0; i < chunks.length; i += 4) t.ok(await whole(chunks[i] as Buffer))
  t.equal(store.usage().chunks, 15)
  await store.close()
  t.strictSame(await wrongIn(folder), [])
})

t.test('at its bound, what little was removed is room for who asks', async (t) => {
  const folder = t.testdir()
  const store = opened(t, folder, { bytesMax: 24 * MIB })
  const random = new Random(7)
  let count = 0
  while (store.freeFor(MIB) === null) await send(store, [randomBytes(random, 120 * KIB)], { id: idOf(count++) })
  // One in each segment of eight: together less than is copied together otherwise.
  for (let i = 0; i < count && i < 12 * 8; i += 8) await store.remove(idOf(i))
  t.ok(store.usage().bytes - store.usage().liveBytes < 4 * MIB)
  // As a sender that was refused asks again.
  while (store.freeFor(MIB) !== null) await new Promise((resolve) => setImmediate(resolve))
  await send(store, [randomBytes(random, MIB)], { id: idOf(count) })
  await store.close()
  t.strictSame(await wrongIn(folder), [])
})

t.test('a removed content: its id is free, and the rest goes at the next start', async (t) => {
  const folder = t.testdir()
  let store: ContentStore = opened(t, folder)
  const bytes = some(1000)
  const id = idOf(1)
  await store.begin(infoOf({ id, size: 2 ** 30 }))
  await Promise.all(Array.from({ length: 2000 }, (_, index) => store.add(id, index, chunkOf(bytes))))
  const removal = store.remove(id)
  while (store.get(id) !== null) await new Promise((resolve) => setImmediate(resolve))
  await store.begin(infoOf({ id, size: 5, origin: 'other' }))
  t.match(store.get(id), { origin: 'other', chunks: 0 })
  await Promise.all([store.close(), t.rejects(removal, { code: 'STORE_CLOSED' })])
  store = opened(t, folder)
  t.ok(store.has(digestOf(bytes)), 'parts of it are left')
  while (store.usage().chunks > 0) await new Promise((resolve) => setImmediate(resolve))
  t.match(store.usage(), { contents: 1, chunks: 0, liveBytes: 0 })
  t.notOk(store.has(digestOf(bytes)))
  await store.close()
  t.strictSame(await wrongIn(folder), [])
})

t.test('when a content expires is kept with it, and can be put off', async (t) => {
  const folder = t.testdir()
  const manifest = Buffer.from('signed')
  const first = opened(t, folder)
  const begun = await first.begin(infoOf({ id: idOf(1), size: 0, expiresAtMs: 5000 }))
  t.match(begun, { expiresAtMs: 5000 })
  await first.seal(idOf(1), manifest)
  t.match(await first.begin(infoOf({ id: idOf(2), size: 0 })), { expiresAtMs: 0 })
  await first.expire(idOf(2), 7000)
  await first.expire(idOf(2), 0)
  await t.rejects(first.expire(idOf(3), 1), { code: 'CONTENT_UNKNOWN' })
  await first.close()
  const second = opened(t, folder)
  t.match(second.get(idOf(1)), { expiresAtMs: 5000, state: 'sealed', manifest, name: 'scan.tif' })
  t.match(second.get(idOf(2)), { expiresAtMs: 0, state: 'open', manifest: null })
  await second.expire(idOf(1), 9_007_199_254_740_991)
  t.match(second.get(idOf(1)), { expiresAtMs: 9_007_199_254_740_991, state: 'sealed', manifest })
  await second.close()
  t.strictSame(await wrongIn(folder), [])
})

t.test('whose chunks they are: counted by origin, as long as a content of it has them', async (t) => {
  const folder = t.testdir()
  const store = opened(t, folder)
  const [one, two] = [numberedChunk(1), numberedChunk(2)]
  await send(store, [one, one, two], { id: idOf(1), origin: 'a' })
  await send(store, [one], { id: idOf(2), origin: 'a' })
  await send(store, [one], { id: idOf(3), origin: 'b' })
  const owners = (of: ContentStore) =>
    [one, two].map((chunk) => ['a', 'b', 'c'].filter((origin) => of.hasOf(origin, digestOf(chunk))).join(''))
  t.strictSame(owners(store), ['ab', 'a'])
  await store.add(idOf(3), 0, chunkOf(one))
  await store.remove(idOf(3))
  t.strictSame(owners(store), ['a', 'a'], 'a part that came again was counted once')
  await store.remove(idOf(1))
  t.strictSame(owners(store), ['a', ''])
  await store.close()
  t.strictSame(await wrongIn(folder), [])
  const again = opened(t, folder, { onFault: () => undefined })
  t.strictSame(owners(again), ['a', ''])
  await again.damaged(digestOf(one))
  t.strictSame(owners(again), ['', ''])
  await send(again, [one], { id: idOf(4), origin: 'c' })
  t.strictSame(owners(again), ['ac', ''])
  for (const number of [2, 4]) await again.remove(idOf(number))
  t.strictSame(owners(again), ['', ''])
  await again.close()
  t.strictSame(await wrongIn(folder), [])
})

t.test('who may read a content is kept with it', async (t) => {
  const folder = t.testdir()
  const store = opened(t, folder)
  await send(store, [numberedChunk(1)], { id: idOf(1) })
  store.readers.admit(idOf(1), 'office')
  store.readers.admit(idOf(2), 'office')
  t.ok(store.readers.has(idOf(1), 'office'), 'at once')
  t.notOk(store.readers.has(idOf(1), 'desk'))
  await store.close()
  const again = opened(t, folder)
  t.ok(again.readers.has(idOf(1), 'office'))
  t.notOk(again.readers.has(idOf(2), 'office'), 'there was no such content')
  await again.remove(idOf(1))
  await send(again, [numberedChunk(1)], { id: idOf(1) })
  t.notOk(again.readers.has(idOf(1), 'office'), 'another content under the same id')
  for (let i = 0; i < 600; i++) again.readers.admit(idOf(1), `agent-${i}`)
  await again.remove(idOf(1))
  await again.close()
  t.strictSame(await wrongIn(folder), [])
  const engine = Engine.open(folder, 256 * MIB, { freeBytesMin: 0 })
  for (const table of ['readers', 'owners']) t.strictSame(engine.table(table).keys(), [], table)
  await engine.close()
})
