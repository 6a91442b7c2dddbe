// A full disk under the segments: a small file system of our own.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { BatchRows } from './batch-rows.ts'
import { Batches } from './batches.ts'
import { sealed, store } from './disk.testing.ts'
import { Engine } from './engine.ts'
import { freeBytes } from './reserve.ts'
import { cannotMount } from './testing.ts'

const MIB = 1024 * 1024

t.test('a full disk', { skip: cannotMount() }, async (t) => {
  const path = mkdtempSync(join(tmpdir(), 'causeway-segments-'))
  t.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'causeway-segments-test', path]).status, 0)
  try {
    await onFullDisk(t, path)
    await smallOnFullDisk(t, path)
  } finally {
    t.equal(spawnSync('umount', [path]).status, 0)
    rmdirSync(path)
  }
})

async function onFullDisk(t: Test, path: string): Promise<void> {
  const folder = join(path, 'store')
  const open = () => Engine.open(folder, 256 * MIB, { freeBytesMin: 0 })
  const engine = open()
  t.equal(engine.segments.segmentBytes, MIB, 'small files on a small disk')
  const batches = new Batches(engine, 0)
  const { bytes } = sealed({ firstSeq: 1, count: 1, bodyBytes: 200_000 })
  const seqs: number[] = []
  /** Appends until refused; gives how many it took. */
  const fill = async () => {
    const before = seqs.length
    const filling = async () => {
      for (;;) seqs.push(await store(engine, batches, bytes))
    }
    await t.rejects(filling(), { code: 'STORE_FULL', details: { retry: true } })
    return seqs.length - before
  }
  const release = (seq: number) => engine.maintain(batches.release(seq))
  t.ok((await fill()) > 90, `${seqs.length} batches`)
  t.equal(await fill(), 0)
  // Someone else takes what is left, to the last block: what is freed is written over.
  writeFileSync(join(path, 'other'), Buffer.alloc(freeBytes(path)))
  t.equal(freeBytes(path), 0)
  for (const seq of seqs.splice(0, 20)) await release(seq)
  const more = await fill()
  t.ok(more >= 10, `${more} in place of 20`)
  // Freed all over the files: compaction makes room.
  const doomed = seqs.filter((_, i) => i % 4 !== 0)
  for (const seq of doomed) {
    await release(seq)
    seqs.splice(seqs.indexOf(seq), 1)
  }
  await batches.compaction.idle()
  t.ok((await fill()) >= doomed.length / 2, `${doomed.length} freed`)
  for (const seq of seqs) t.ok(batches.get(seq).equals(bytes))
  const refused = await Promise.allSettled(Array.from({ length: 20 }, () => store(engine, batches, bytes)))
  t.ok(refused.every(({ status }) => status === 'rejected'))
  await engine.close()
  const again = open()
  const same = new Batches(again, 0)
  for (const seq of seqs) t.ok(same.get(seq).equals(bytes))
  for (const seq of seqs) await again.maintain(same.release(seq))
  t.equal(again.segments.liveBytes, 0)
  await again.close()
}

/** Batches that lie in their rows: nothing is copied together, LMDB's pages become free. */
async function smallOnFullDisk(t: Test, path: string): Promise<void> {
  rmSync(join(path, 'store'), { recursive: true })
  rmSync(join(path, 'other'))
  const open = () => Engine.open(join(path, 'store'), 256 * MIB, { freeBytesMin: 0 })
  const engine = open()
  const batches = new Batches(engine, 0)
  const { bytes } = sealed({ firstSeq: 1, count: 1, bodyBytes: 14_000 })
  const seqs: number[] = []
  const fill = async () => {
    const before = seqs.length
    const filling = async () => {
      for (;;) seqs.push(await store(engine, batches, bytes))
    }
    await t.rejects(filling(), { code: 'STORE_FULL', details: { retry: true } })
    return seqs.length - before
  }
  t.ok((await fill()) > 900, `${seqs.length} small batches`)
  writeFileSync(join(path, 'other'), Buffer.alloc(freeBytes(path)))
  for (const seq of seqs.splice(0, 400)) await engine.maintain(batches.release(seq))
  // A part is left free for settling.
  const more = await fill()
  t.ok(more >= 150, `${more} in place of 400`)
  for (const seq of seqs.splice(0, 600)) await engine.maintain(batches.release(seq))
  const large = sealed({ firstSeq: 1, count: 1, bodyBytes: 100_000 }).bytes
  const seq = await store(engine, batches, large)
  t.equal(batches.row(seq), null, 'a large one takes what there is: pages of the same file')
  t.ok(batches.get(seq).equals(large))
  await engine.maintain(batches.release(seq))
  for (const seq of seqs) t.ok(batches.get(seq).equals(bytes))
  await engine.close()
  const again = open()
  const same = new Batches(again, 0)
  for (const seq of seqs) t.ok(same.get(seq).equals(bytes))
  for (const seq of seqs) await again.maintain(same.release(seq))
  t.strictSame([...new BatchRows(again).all()], [])
  await again.close()
}
