// What came of a chunk before the connection was gone does not come again.

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { CHUNK_BYTES_MAX, encodeChunk } from '#protocol/transfer/mod.ts'
import { type Mischief, TestClient, TestContent, TestHub, temporaryFolder } from './testing.ts'

const MIB = 1024 * 1024
const idOf = (content: TestContent) => content.id.toString('hex')

/** Lets so much come on one connection after the other, then the rest; gives what travelled in all. */
async function broken(bytes: Buffer, folder: string, connections: readonly (readonly [bytes: number, Mischief])[]) {
  const content = TestContent.of(bytes, { chunkBytes: CHUNK_BYTES_MAX })
  const client = new TestClient()
  const download = client.download({ id: idOf(content), to: folder })
  let travelledBytes = 0
  for (const [most, mischief] of connections) {
    const hub: TestHub = client.connect(new TestHub(content, { ...mischief, sends: () => hub.sentBytes < most }))
    while (hub.sentBytes < most && hub.sealed === 0) await new Promise(setImmediate)
    travelledBytes += hub.sentBytes
    if (Number.isFinite(most)) client.disconnect()
  }
  const { path } = await download.done
  return { travelledBytes, right: readFileSync(path).equals(bytes), progress: download.progress }
}

t.test('a chunk goes on where the connection was cut, however often', async (t) => {
  const bytes = randomBytes(3 * CHUNK_BYTES_MAX + 5)
  const { travelledBytes, right, progress } = await broken(bytes, temporaryFolder(t), [
    [3 * MIB, {}],
    [2 * MIB, {}],
    [MIB, {}],
    [9 * MIB, {}],
    [Number.POSITIVE_INFINITY, {}],
  ])
  t.ok(right)
  t.equal(travelledBytes, bytes.length, 'nothing came twice')
  t.match(progress, {
    wireBytes: bytes.length,
    receivedBytes: bytes.length,
    hashedAgainBytes: 0,
    storedBytes: bytes.length,
  })
})

t.test('an encoded one, too; in another form it comes from its beginning', async (t) => {
  const text = Buffer.from(randomBytes(CHUNK_BYTES_MAX).toString('hex'))
  const encoded = (_chunk: number, plain: Buffer) => encodeChunk(plain, plain.length - 1)
  const encodedBytes = [0, CHUNK_BYTES_MAX].reduce(
    (sum, at) => sum + (encoded(0, text.subarray(at, at + CHUNK_BYTES_MAX))?.length ?? 0),
    0,
  )
  const same = await broken(text, temporaryFolder(t), [
    [3 * MIB, { encoded }],
    [Number.POSITIVE_INFINITY, { encoded }],
  ])
  t.ok(same.right)
  t.equal(same.travelledBytes, encodedBytes)
  const other = await broken(text, temporaryFolder(t), [
    [3 * MIB, { encoded }],
    [Number.POSITIVE_INFINITY, {}],
  ])
  t.ok(other.right)
  t.equal(other.travelledBytes, 3 * MIB + text.length)
})

t.test('what came damaged of it comes again from its beginning, and from another hub it can be finished', async (t) => {
  const bytes = randomBytes(2 * CHUNK_BYTES_MAX)
  const piece = (_chunk: number, _offset: number, part: Buffer) => Buffer.alloc(part.length)
  const { travelledBytes, right } = await broken(bytes, temporaryFolder(t), [
    [3 * MIB, { piece }],
    [Number.POSITIVE_INFINITY, {}],
  ])
  t.ok(right)
  t.equal(travelledBytes, bytes.length + CHUNK_BYTES_MAX, 'the whole chunk was found to be damaged')
})
