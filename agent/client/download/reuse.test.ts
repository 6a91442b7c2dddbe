import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { REUSE_FILES_MAX } from './limits.ts'
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
  bytes[3 * CHUNK] = (bytes[3 * CHUNK] as number) ^ 1
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

/** Content of so many chunks of its own, then those of the others. */
const contentOf = (own: number, ...others: readonly Buffer[]) => Buffer.concat([randomBytes(own * CHUNK), ...others])

t.test('a third version is put together from both that are here', async (t) => {
  const folder = temporaryFolder(t)
  const first = contentOf(20)
  const second = contentOf(4, first.subarray(0, 10 * CHUNK))
  await fetch(TestContent.of(first), folder)
  await fetch(TestContent.of(second), folder)
  const bytes = contentOf(1, second.subarray(0, 4 * CHUNK), first.subarray(15 * CHUNK), second.subarray(4 * CHUNK))
  const { path, sentBytes, progress } = await fetch(TestContent.of(bytes), folder)
  t.equal(path, join(folder, 'report (3).pdf'))
  t.ok(readFileSync(path).equals(bytes))
  t.equal(sentBytes, CHUNK)
  t.equal(progress.reusedBytes, 19 * CHUNK)
})

t.test('what has come under another name is found, and what another download has of it', async (t) => {
  const folder = temporaryFolder(t)
  const [whole, part] = [contentOf(16), contentOf(20)]
  await fetch(TestContent.of(whole, { name: 'plan.dwg' }), folder)
  // An aborted try, and the same sent again under another id.
  const client = new TestClient()
  const made = TestContent.of(part)
  const hub: TestHub = client.connect(new TestHub(made, { sends: () => hub.sentBytes < 12 * CHUNK }))
  const given = client.download({ id: made.id.toString('hex'), to: folder })
  while (hub.storedChunks.size < 12) await new Promise((resolve) => setTimeout(resolve, 2))
  given.cancel()
  await t.rejects(given.done, { code: 'TRANSFER_CANCELLED' })
  const bytes = Buffer.concat([whole, part])
  const { path, sentBytes } = await fetch(TestContent.of(bytes), folder)
  t.ok(readFileSync(path).equals(bytes))
  t.equal(sentBytes, 8 * CHUNK)
  t.equal(
    readdirSync(folder).filter((name) => name.endsWith('.part')).length,
    1,
    'the other download keeps what it has',
  )
})

t.test('a file that was changed behind its index costs hashes, and gives what is still there', async (t) => {
  const folder = temporaryFolder(t)
  const bytes = contentOf(400)
  const { path: old } = await fetch(TestContent.of(bytes, { name: 'old.img' }), folder)
  const changed = Buffer.from(bytes)
  for (const chunk of [3, 200]) changed[chunk * CHUNK + 5] = (changed[chunk * CHUNK + 5] as number) ^ 1
  writeFileSync(old, changed)
  const again = await fetch(TestContent.of(bytes), folder)
  t.ok(readFileSync(again.path).equals(bytes))
  t.equal(again.sentBytes, 2 * CHUNK)
  // Others of it are none of ours any more: soon nothing is looked for there.
  rmSync(again.path)
  writeFileSync(old, Buffer.alloc(bytes.length, 7))
  const third = await fetch(TestContent.of(bytes), folder)
  t.ok(readFileSync(third.path).equals(bytes))
  t.equal(third.sentBytes, bytes.length)
})

t.test('an index goes with its file; links and pipes are not looked into', async (t) => {
  const outer = temporaryFolder(t)
  const folder = join(outer, 'in')
  mkdirSync(folder)
  const bytes = contentOf(20)
  const names = ['gone.bin', 'link.bin', 'pipe.bin']
  for (const name of names) await fetch(TestContent.of(bytes, { name }), folder)
  for (const name of names) renameSync(join(folder, name), join(outer, name))
  symlinkSync('../link.bin', join(folder, 'link.bin'))
  t.equal(spawnSync('mkfifo', [join(folder, 'pipe.bin')]).status, 0)
  const { path, sentBytes } = await fetch(TestContent.of(bytes), folder)
  t.ok(readFileSync(path).equals(bytes))
  t.equal(sentBytes, bytes.length)
  t.strictSame(readdirSync(join(folder, '.causeway')).sort(), [
    'link.bin.chunks',
    'pipe.bin.chunks',
    'report.pdf.chunks',
  ])
})

t.test('of many files the likeliest are looked in', async (t) => {
  const folder = temporaryFolder(t)
  const part = contentOf(17)
  const about = { version: join(folder, 'report.pdf'), kind: join(folder, 'alike.pdf') }
  await fetch(TestContent.of(contentOf(0, part.subarray(0, 8 * CHUNK))), folder)
  await fetch(TestContent.of(contentOf(0, part.subarray(8 * CHUNK, 16 * CHUNK)), { name: 'alike.pdf' }), folder)
  for (const path of Object.values(about)) utimesSync(path, 1, 1)
  for (let i = 0; i < REUSE_FILES_MAX; i++) {
    const name = `other-${i}.bin`
    await fetch(TestContent.of(contentOf(1, part.subarray(16 * CHUNK)), { name }), folder)
  }
  const { path, sentBytes } = await fetch(TestContent.of(contentOf(1, part)), folder)
  t.ok(readFileSync(path).subarray(CHUNK).equals(part))
  t.equal(sentBytes, CHUNK)
})

t.test('killed between replacing a file and keeping its index, it is known for what it is', async (t) => {
  const folder = temporaryFolder(t)
  const [first, second] = [TestContent.of(contentOf(3)), TestContent.of(contentOf(3))]
  const index = join(folder, '.causeway', 'report.pdf.chunks')
  await fetch(first, folder)
  copyFileSync(index, join(folder, 'kept'))
  await fetch(second, folder, { overwrite: 'replace' })
  renameSync(index, join(folder, `.report.pdf.${second.id.toString('hex', 0, 4)}.journal`))
  renameSync(join(folder, 'kept'), index)
  const { size } = statSync(join(folder, 'report.pdf'))
  const again = await fetch(second, folder, { overwrite: 'replace' })
  t.match(again, { path: join(folder, 'report.pdf'), sentBytes: 0, progress: { storedBytes: size } })
  t.strictSame(readdirSync(folder).sort(), ['.causeway', 'report.pdf'])
  t.ok(existsSync(index))
})
