import { randomBytes } from 'node:crypto'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { DownloadOptions } from './mod.ts'
import { TestClient, TestContent, TestHub, temporaryFolder } from './testing.ts'

const CHUNK = 65_536

async function fetch(made: TestContent, to: string, more: Partial<DownloadOptions> = {}) {
  const client = new TestClient()
  const hub = client.connect(new TestHub(made))
  const download = client.download({ id: made.id.toString('hex'), to, ...more })
  const { path } = await download.done
  return { path, sentBytes: hub.sentBytes, progress: download.progress }
}

t.test('a later version fetches only what is new, wherever it stands', async (t) => {
  const folder = temporaryFolder(t)
  const chunks = Array.from({ length: 40 }, () => randomBytes(CHUNK))
  await fetch(TestContent.of(Buffer.concat(chunks)), folder)
  // Two changed, the rest moved.
  const moved = [...chunks.slice(20), randomBytes(CHUNK), ...chunks.slice(0, 20), randomBytes(100)]
  const bytes = Buffer.concat(moved)
  const { path, sentBytes, progress } = await fetch(TestContent.of(bytes), folder, { overwrite: 'replace' })
  t.ok(readFileSync(path).equals(bytes))
  t.equal(sentBytes, CHUNK + 100)
  t.match(progress, { receivedBytes: CHUNK + 100, reusedBytes: 40 * CHUNK, storedBytes: bytes.length })
})

t.test('files without an index are compared place by place; what is not there is fetched', async (t) => {
  const folder = temporaryFolder(t)
  const before = randomBytes(40 * CHUNK)
  writeFileSync(join(folder, 'before'), before)
  const bytes = Buffer.concat([before, randomBytes(CHUNK)])
  bytes.fill(1, 3 * CHUNK, 3 * CHUNK + 1)
  const made = TestContent.of(bytes)
  const reuse = [join(folder, 'missing'), folder, join(folder, 'before')]
  const { path, sentBytes } = await fetch(made, folder, { reuse })
  t.ok(readFileSync(path).equals(bytes))
  t.equal(sentBytes, 2 * CHUNK)
})

t.test('contents cut by what they say find their chunks by the index', async (t) => {
  const folder = temporaryFolder(t)
  const [a, b, c] = [randomBytes(70_000), randomBytes(90_001), randomBytes(300_000)] as const
  await fetch(TestContent.of(Buffer.concat([a, b, c]), { lengths: [70_000, 90_001, 300_000] }), folder)
  const bytes = Buffer.concat([randomBytes(80_000), c, a, b])
  const later = TestContent.of(bytes, { lengths: [80_000, 300_000, 70_000, 90_001] })
  const { path, sentBytes } = await fetch(later, folder)
  t.ok(readFileSync(path).equals(bytes))
  t.equal(sentBytes, 80_000)
})

t.test('an index that is wrong costs time, not truth', async (t) => {
  const folder = temporaryFolder(t)
  const bytes = randomBytes(10 * CHUNK)
  const first = TestContent.of(bytes)
  const { path } = await fetch(first, folder)
  // Its index says nothing true any more.
  writeFileSync(path, randomBytes(10 * CHUNK))
  const again = await fetch(TestContent.of(bytes, { name: 'other' }), folder, { reuse: [path] })
  t.ok(readFileSync(again.path).equals(bytes))
  t.equal(again.sentBytes, bytes.length)
  // The same content: what has its name is not it any more.
  const third = await fetch(first, folder)
  t.equal(third.path, join(folder, 'report (2).pdf'))
  t.ok(readFileSync(third.path).equals(bytes))
  copyFileSync(third.path, path)
})

t.test('a file in which nothing is found is not read to its end', async (t) => {
  const folder = temporaryFolder(t)
  const strange = join(folder, 'strange')
  writeFileSync(strange, Buffer.alloc(300 * CHUNK, 7))
  const bytes = randomBytes(300 * CHUNK)
  const { path, sentBytes } = await fetch(TestContent.of(bytes), folder, { reuse: [strange] })
  t.ok(readFileSync(path).equals(bytes))
  t.equal(sentBytes, bytes.length)
})
