// Contents from beginning to removal, and what is refused.

import t, { type Test } from 'tap'
import { Random } from '#protocol/bytes/testing.ts'
import { recordBytes } from '../segment-file.ts'
import { ContentStore, type ContentStoreOptions } from './content-store.ts'
import { digestOf, idOf, infoOf, KIB, MIB, randomBytes, send } from './contents.testing.ts'

function opened(t: Test, folder: string, options: Partial<ContentStoreOptions> = {}): ContentStore {
  const store = ContentStore.open({
    folder,
    bytesMax: 256 * MIB,
    freeBytesMin: 0,
    segmentBytes: MIB,
    onFault: (fault) => t.fail(fault.message),
    ...options,
  })
  t.teardown(() => store.close())
  return store
}

const random = new Random(1)
const some = (length = 100 * KIB) => randomBytes(random, length)
const chunkOf = (bytes: Buffer) => ({ digest: digestOf(bytes), length: bytes.length, bytes })

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
    for (const bytes of chunks) t.ok((await of.read(digestOf(bytes))).equals(bytes))
    const into = Buffer.alloc(200 * KIB)
    const read = await of.read(digestOf(second), into)
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
