// Downloads onto a disk that is full, in data, in what is noted of it, and in names: small file systems of our own.

import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Download, DownloadProgress } from './mod.ts'
import { TestClient, TestContent, TestHub } from './testing.ts'

const MIB = 1024 * 1024
const CHUNK = 65_536
const PAGE = 4096

function cannotMount(): string | false {
  if (process.platform !== 'linux') return 'a full disk is made with a Linux tmpfs'
  if (process.getuid?.() !== 0) return 'mounting a small file system needs root'
  const probe = mkdtempSync(join(tmpdir(), 'causeway-mount-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'causeway-probe', probe]).status === 0
  if (mounted) spawnSync('umount', [probe])
  rmdirSync(probe)
  return mounted ? false : 'this machine does not allow mounting'
}

const skip = cannotMount()

/** A folder on a file system of that size, gone with the test. */
function disk(t: Test, options: string): string {
  const path = mkdtempSync(join(tmpdir(), 'causeway-full-'))
  t.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'causeway-download-test', path]).status, 0)
  t.teardown(() => {
    // Lazily: what failed may have left a file of it open.
    spawnSync('umount', ['-l', path])
    rmdirSync(path)
  })
  return path
}

const freeBytes = (path: string): number => {
  const { bavail, bsize } = statfsSync(path)
  return bavail * bsize
}

/** Leaves so much room. */
function leave(folder: string, bytes: number): string {
  const path = join(folder, 'ballast')
  writeFileSync(path, Buffer.alloc(freeBytes(folder) - bytes))
  return path
}

function begin(content: TestContent, to: string) {
  const client = new TestClient()
  const hub = client.connect(new TestHub(content))
  const seen: DownloadProgress[] = []
  const full = Promise.withResolvers<DownloadProgress>()
  const download = client.download({
    id: content.id.toString('hex'),
    to,
    onProgress: (progress) => {
      seen.push(progress)
      if (progress.state === 'waiting') full.resolve(progress)
    },
  })
  download.done.catch(full.reject)
  return { hub, download, full: full.promise, seen }
}

async function completes(t: Test, download: Download, bytes: Buffer): Promise<void> {
  const { path } = await download.done
  t.ok(readFileSync(path).equals(bytes))
  t.strictSame(readdirSync(join(path, '..')).sort(), ['.causeway', 'report.pdf'])
}

t.test('a full disk is said, and the download goes on by itself when there is room', { skip }, async (t) => {
  const folder = disk(t, 'size=40m')
  const bytes = randomBytes(24 * MIB)
  const ballast = leave(folder, 10 * MIB)
  const { hub, download, full, seen } = begin(TestContent.of(bytes), folder)
  t.match(await full, { state: 'waiting', fault: { code: 'TARGET_FULL', details: { retry: true } } })
  t.notOk(existsSync(join(folder, 'report.pdf')))
  rmSync(ballast)
  await completes(t, download, bytes)
  t.equal(hub.sentBytes, bytes.length, 'nothing came twice')
  t.match(seen.at(-1), { state: 'done', fault: null, hashedAgainBytes: 0 })
})

t.test('given up on a full disk, the next one goes on from what had come', { skip }, async (t) => {
  const folder = disk(t, 'size=40m')
  const bytes = randomBytes(24 * MIB)
  const content = TestContent.of(bytes)
  const ballast = leave(folder, 10 * MIB)
  const first = begin(content, folder)
  await first.full
  while (first.download.progress.storedBytes === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  const { storedBytes } = first.download.progress
  first.download.cancel()
  await t.rejects(first.download.done, { code: 'TRANSFER_CANCELLED' })
  t.ok(storedBytes > 0, `${storedBytes} bytes stored`)
  rmSync(ballast)
  const second = begin(content, folder)
  await completes(t, second.download, bytes)
  t.ok(second.hub.sentBytes <= bytes.length - storedBytes, `${second.hub.sentBytes} bytes came again`)
  t.equal(second.download.progress.hashedAgainBytes, 0)
})

t.test('room for the file, and not for what is noted of it', { skip }, async (t) => {
  const folder = disk(t, 'size=40m')
  const bytes = randomBytes(12 * MIB)
  // The first page of the journal has room for 77 of 192 chunks.
  const ballast = leave(folder, bytes.length + PAGE)
  const { download, full, seen } = begin(TestContent.of(bytes), folder)
  t.match(await full, { fault: { code: 'TARGET_FULL' } })
  t.ok(download.progress.storedBytes < bytes.length)
  rmSync(ballast)
  await completes(t, download, bytes)
  t.match(seen.at(-1), { state: 'done', fault: null })
})

t.test('no room at all when it begins', { skip }, async (t) => {
  const folder = disk(t, 'size=8m')
  const bytes = randomBytes(2 * MIB)
  const ballast = leave(folder, 0)
  const { download, full, hub } = begin(TestContent.of(bytes), folder)
  t.match(await full, { fault: { code: 'TARGET_FULL' } })
  rmSync(ballast)
  await completes(t, download, bytes)
  t.equal(hub.sentBytes, bytes.length)
})

t.test('room for the file, and not for the folder of indexes: the file is there, without one', { skip }, async (t) => {
  // The root, the ballast, the part file and its journal.
  const folder = disk(t, 'size=8m,nr_inodes=4')
  writeFileSync(join(folder, 'ballast'), '')
  const bytes = randomBytes(2 * MIB)
  const content = TestContent.of(bytes)
  const { path } = await begin(content, folder).download.done
  t.ok(readFileSync(path).equals(bytes))
  t.strictSame(readdirSync(folder).sort(), ['ballast', 'report.pdf'])
})

t.test('room for nothing but the end: even that is waited for', { skip }, async (t) => {
  const folder = disk(t, 'size=40m')
  // The header and the records of 77 chunks fill the first page; the word that all is there needs the second.
  const bytes = randomBytes(77 * CHUNK)
  const ballast = leave(folder, bytes.length + PAGE)
  const { download, full, seen } = begin(TestContent.of(bytes), folder)
  t.match(await full, { fault: { code: 'TARGET_FULL' }, storedBytes: bytes.length })
  rmSync(ballast)
  await completes(t, download, bytes)
  t.match(seen.at(-1), { state: 'done', fault: null })
})
