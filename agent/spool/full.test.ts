// A full disk, a full file, and a file that must not grow.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openSpool, type Spool, type SpoolStream } from './mod.ts'
import { freeBytes } from './reserve.ts'
import { randomFrom } from './testing.ts'

const MIB = 1024 * 1024
const batch = Buffer.alloc(200_000, 7)

/** Appends until refused; gives back the fault. */
async function fill(stream: SpoolStream): Promise<unknown> {
  for (let i = 0; i < 1_000; i += 1) {
    try {
      await stream.append({ batches: [{ bytes: batch, count: 1 }], cursor: String(stream.nextSeq) })
    } catch (fault) {
      return fault
    }
  }
  throw new Error('never refused')
}

function isWhole(t: Test, stream: SpoolStream): void {
  const batches = stream.read({ seq: 1, bytesMax: 1_000 * MIB })
  t.equal(batches.length, stream.nextSeq - 1 - stream.releasedSeq, 'as many batches as sequence numbers')
  t.ok(batches.every((each) => each.bytes.equals(batch)))
  t.equal(stream.cursor, String(stream.nextSeq - 1), 'the cursor is that of the last batch')
}

t.test('the file has a bound of its own', async (t) => {
  const path = t.testdir()
  const spool = await openSpool({ path, bytesMax: 100 * MIB, mapBytesMax: 4 * MIB })
  t.teardown(() => spool.close())
  const stream = spool.stream('s')
  const first = await fill(stream)
  t.match(first, { code: 'SPOOL_DISK_FULL', details: { retry: true } })
  t.ok(stream.nextSeq > 10, 'most of the file was used')
  isWhole(t, stream)
  const behind = [1, 2, 3].map(() => stream.append({ batches: [{ bytes: batch, count: 1 }], cursor: 'no' }))
  for (const each of behind) await t.rejects(each, { code: 'SPOOL_DISK_FULL' })
  isWhole(t, stream)
  await stream.release(5)
  await stream.append({ batches: [{ bytes: batch, count: 1 }], cursor: String(stream.nextSeq) })
  isWhole(t, stream)
  t.ok(statSync(join(path, 'spool.mdb')).size <= 4.5 * MIB)
})

t.test('a full disk', { skip: cannotMount() }, async (t) => {
  const path = mkdtempSync(join(tmpdir(), 'causeway-full-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'causeway-spool-test', path])
  t.equal(mounted.status, 0)
  const folder = join(path, 'spool')
  const spool = await openSpool({ path: folder, bytesMax: 100 * MIB })
  try {
    await onFullDisk(t, { path, folder, spool })
  } finally {
    await spool.close()
    const unmounted = spawnSync('umount', [path])
    t.equal(unmounted.status, 0)
    rmdirSync(path)
  }
})

async function onFullDisk(
  t: Test,
  { path, folder, spool }: { path: string; folder: string; spool: Spool },
): Promise<void> {
  const stream = spool.stream('s')
  await stream.append({ batches: [{ bytes: batch, count: 1 }], cursor: '1' })

  t.match(await fill(stream), { code: 'SPOOL_DISK_FULL', details: { retry: true } })
  const stored = stream.nextSeq
  t.ok(stored > 10)
  isWhole(t, stream)
  t.match(await fill(stream), { code: 'SPOOL_DISK_FULL' }, 'still full')
  t.equal(stream.nextSeq, stored)

  // Someone else takes what is left, to the last block: deleting still works, and its space is used again.
  writeFileSync(join(path, 'other'), Buffer.alloc(freeBytes(path)))
  t.equal(freeBytes(path), 0)
  await stream.release(5)
  t.equal(stream.releasedSeq, 5)
  await stream.append({ batches: [{ bytes: batch, count: 1 }], cursor: String(stream.nextSeq) })
  isWhole(t, stream)
  await stream.release(stream.nextSeq - 1)
  t.same(stream.read({ seq: 1, bytesMax: MIB }), [])
  await stream.append({ batches: [{ bytes: batch, count: 1 }], cursor: String(stream.nextSeq) })
  isWhole(t, stream)

  // Nor does a full disk keep the spool from being opened.
  await spool.close()
  const again = await openSpool({ path: folder, bytesMax: 100 * MIB })
  const same = again.stream('s')
  isWhole(t, same)
  t.match(await fill(same), { code: 'SPOOL_DISK_FULL' })
  rmSync(join(path, 'other'))
  await same.release(same.nextSeq - 2)
  await same.append({ batches: [{ bytes: batch, count: 1 }], cursor: String(same.nextSeq) })
  isWhole(t, same)
  await again.close()
}

t.test('released pages are used again', async (t) => {
  const path = t.testdir()
  const spool = await openSpool({ path, bytesMax: 4 * MIB })
  t.teardown(() => spool.close())
  const stream = spool.stream('s')
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
  t.comment(`SEED=${seed}`)
  const random = randomFrom(seed)
  const bytes = Buffer.alloc(300_000, 1)
  let written = 0
  let largest = 0
  // Batches of very different sizes, about 3 MiB kept: the worst case for runs of free pages.
  while (written < 120 * MIB) {
    const group = Array.from({ length: 8 }, () => bytes.subarray(0, 1 + random(random(2) === 0 ? 3_000 : bytes.length)))
    await Promise.all(group.map((each) => stream.append({ batches: [{ bytes: each, count: 1 }], cursor: null })))
    for (const each of group) written += each.length
    // A reader in between holds no pages back.
    stream.read({ seq: stream.releasedSeq + 1, bytesMax: 500_000 })
    while (spool.usage().bytes > 1.5 * MIB) await stream.release(stream.releasedSeq + 1)
    largest = Math.max(largest, statSync(join(path, 'spool.mdb')).size)
  }
  t.comment(`written ${Math.round(written / MIB)} MiB, file at most ${(largest / MIB).toFixed(1)} MiB`)
  t.ok(largest < 2 * 4 * MIB, 'the file stays near its bound, whatever goes through it')
  t.ok(existsSync(join(path, 'reserve')))
})

function cannotMount(): string | false {
  if (process.platform !== 'linux') return 'a full disk is made with a Linux tmpfs'
  if (process.getuid?.() !== 0) return 'mounting a small file system needs root'
  const probe = mkdtempSync(join(tmpdir(), 'causeway-mount-'))
  try {
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'causeway-probe', probe]).status !== 0) {
      return 'this machine does not allow mounting'
    }
    spawnSync('umount', [probe])
    return false
  } finally {
    rmSync(probe, { recursive: true, force: true })
  }
}
