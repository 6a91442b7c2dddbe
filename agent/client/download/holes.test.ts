// Content with long runs of zeros: one chunk of them travels, and they take no room where the file system has holes.

import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ChunkArena } from './arena.ts'
import { PartFile } from './part-file.ts'
import { TestClient, TestContent, TestHub, temporaryFolder } from './testing.ts'

const CHUNK = 65_536
const MIB = 1024 * 1024
const idOf = (content: TestContent) => content.id.toString('hex')
const diskBytes = (path: string) => statSync(path).blocks * 512

/** Data at the beginning, in the middle and at the end. */
function sparse(): Buffer {
  const bytes = Buffer.alloc(64 * MIB + 1000)
  for (const at of [0, 30 * MIB + 5, bytes.length - 100]) randomBytes(100).copy(bytes, at)
  return bytes
}

for (const way of ['fixed', 'content'] as const) {
  t.test(`zeros come once and stay holes: chunks of ${way === 'fixed' ? 'one size' : 'several sizes'}`, async (t) => {
    const folder = temporaryFolder(t)
    const bytes = sparse()
    const lengths = Array.from({ length: 512 }, () => 2 * CHUNK)
    lengths.push(1000)
    const content = TestContent.of(bytes, way === 'fixed' ? { chunkBytes: CHUNK } : { lengths })
    const client = new TestClient()
    const hub = client.connect(new TestHub(content))
    const download = client.download({ id: idOf(content), to: folder })
    const { path } = await download.done
    t.ok(readFileSync(path).equals(bytes))
    const travels = way === 'fixed' ? 3 * CHUNK + 1000 : 6 * CHUNK + 1000
    t.equal(hub.sentBytes, travels, 'one chunk of zeros, two of others, and the last')
    t.match(download.progress, { storedBytes: bytes.length, reusedBytes: bytes.length - travels, hashedAgainBytes: 0 })
    t.ok(diskBytes(path) < 2 * MIB, `${diskBytes(path)} bytes of disk`)
    // A second file is put together from the first; its holes are holes again.
    const again = TestContent.of(bytes, way === 'fixed' ? { chunkBytes: CHUNK } : { lengths })
    const next = client.connect(new TestHub(again))
    const copy = await client.download({ id: idOf(again), to: folder }).done
    t.ok(readFileSync(copy.path).equals(bytes))
    t.equal(next.sentBytes, 0)
    t.ok(diskBytes(copy.path) < 2 * MIB)
  })
}

t.test('what was written where zeros belong, and not noted, does not stay', async (t) => {
  const folder = temporaryFolder(t)
  const bytes = sparse()
  const content = TestContent.of(bytes)
  const first = new TestClient()
  const hub: TestHub = first.connect(new TestHub(content, { chunksMax: 1 }))
  const given = first.download({ id: idOf(content), to: folder })
  while (hub.storedChunks.size < 1) await new Promise((resolve) => setTimeout(resolve, 2))
  given.cancel()
  await t.rejects(given.done, { code: 'TRANSFER_CANCELLED' })
  const part = join(folder, readdirSync(folder).find((name) => name.endsWith('.part')) ?? 'none')
  const file = openSync(part, 'r+')
  writeSync(file, Buffer.alloc(100, 7), 0, 100, 20 * MIB + 77)
  closeSync(file)
  const client = new TestClient()
  client.connect(new TestHub(content))
  const { path } = await client.download({ id: idOf(content), to: folder }).done
  t.ok(readFileSync(path).equals(bytes))
  t.ok(diskBytes(path) < 2 * MIB)
})

t.test('a part file is cleared where it is not known to be zeros', async (t) => {
  const path = join(temporaryFolder(t), 'x.part')
  const plan = { size: 4 * CHUNK, chunkBytes: CHUNK }
  const part = await PartFile.open(path, plan, new ChunkArena(plan.size))
  t.teardown(() => part.close())
  const ones = Buffer.alloc(plan.size, 1)
  await part.write([ones], 0)
  part.isFresh = false
  await part.clear(CHUNK - 10, CHUNK + 20)
  t.ok(readFileSync(path).equals(Buffer.from(ones).fill(0, CHUNK - 10, 2 * CHUNK + 10)))
})
