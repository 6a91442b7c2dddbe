// Segment files: lives, what is freed and used again, bounds under churn, and what a failing disk means.

import { existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import type { BatchRow } from './batch-row.ts'
import { Batches } from './batches.ts'
import { sealed, store } from './disk.testing.ts'
import { Engine, type EngineOptions } from './engine.ts'
import { INLINE_BYTES_MAX } from './limits.ts'
import { recordBytes } from './segment-file.ts'
import { recordsIn } from './segment-scan.ts'

const KIB = 1024
const MIB = 1024 * KIB

function opened(t: Test, folder: string, options: EngineOptions & { bytesMax?: number; cacheBytes?: number } = {}) {
  const engine = Engine.open(folder, options.bytesMax ?? 256 * MIB, { segmentBytes: MIB, freeBytesMin: 0, ...options })
  t.teardown(() => engine.close())
  return { engine, batches: new Batches(engine, options.cacheBytes ?? 0) }
}

/** What a batch takes in segment files. */
const inFiles = (bytes: Buffer) => (bytes.length <= INLINE_BYTES_MAX ? 0 : recordBytes(bytes.length))

/** What the segment files take on the disk. */
function diskBytes(folder: string): number {
  const files = readdirSync(join(folder, 'segments')).map((name) => statSync(join(folder, 'segments', name)))
  return files.reduce((sum, { blocks }) => sum + blocks * 512, 0)
}

t.test('files stay bounded under churn, and what stays is whole', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const folder = t.testdir()
  const { engine, batches } = opened(t, folder)
  engine.onFault = (fault) => t.fail(fault.message)
  const live = new Map<number, Buffer>()
  let liveBytes = 0
  let liveMax = 0
  let written = 0
  let largest = 0
  for (let round = 0; round < 150; round++) {
    const waiting: Promise<unknown>[] = []
    for (let i = random.below(12); i >= 0; i--) {
      const { bytes } = sealed({
        firstSeq: 1,
        count: 1,
        bodyBytes: 100 + random.below(random.oneIn(4) ? 150_000 : 40_000),
      })
      written += bytes.length
      liveBytes += inFiles(bytes)
      waiting.push(store(engine, batches, bytes).then((seq) => live.set(seq, bytes)))
    }
    await Promise.all(waiting)
    liveMax = Math.max(liveMax, liveBytes)
    for (const [seq, bytes] of live) {
      // One in 25 stays for ever.
      if (seq % 25 === 0 || random.oneIn(3)) continue
      live.delete(seq)
      liveBytes -= inFiles(bytes)
      void engine.maintain(batches.release(seq))
    }
    if (random.oneIn(3)) await batches.compaction.idle()
    largest = Math.max(largest, engine.segments.fileBytes)
  }
  await engine.maintain({ write: () => undefined, done: () => undefined })
  await batches.compaction.idle()
  const fixed = 12 * MIB
  t.ok(written > 4 * liveMax, `${written} bytes written, at most ${liveMax} in use at once`)
  t.ok(largest <= 2 * liveMax + fixed, `${largest} bytes of files at most`)
  t.ok(engine.segments.fileBytes <= 2 * liveBytes + fixed, `${engine.segments.fileBytes} for ${liveBytes} in the end`)
  t.ok(diskBytes(folder) <= 2 * liveBytes + fixed, `${diskBytes(folder)} say the files`)
  t.ok(batches.compaction.segments > 0, `${batches.compaction.segments} segments copied together`)
  t.equal(engine.segments.liveBytes, liveBytes)
  for (const [seq, bytes] of live) if (!batches.get(seq).equals(bytes)) t.fail(`batch ${seq} is another`)
  await engine.close()
  const again = opened(t, folder)
  t.equal(again.engine.segments.liveBytes, liveBytes, 'counted the same after a restart')
  for (const [seq, bytes] of live) if (!again.batches.get(seq).equals(bytes)) t.fail(`batch ${seq} is another`)
})

t.test('batches released while they are copied', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const live = new Set<number>()
  let released = 0
  const folder = t.testdir()
  const { engine, batches } = opened(t, folder, {
    // In the middle: the copies are flushed, their rows are not changed yet.
    onStep: (step) => {
      if (step !== 'compacting') return
      for (const seq of [...live].filter(() => random.oneIn(4))) {
        live.delete(seq)
        released++
        void engine.maintain(batches.release(seq))
      }
    },
  })
  const { bytes } = sealed({ firstSeq: 1, count: 1, bodyBytes: 20_000 })
  for (let i = 0; i < 600; i++) {
    const seq = await store(engine, batches, bytes)
    if (i % 3 === 0) live.add(seq)
    else void engine.maintain(batches.release(seq))
  }
  await engine.maintain({ write: () => undefined, done: () => undefined })
  await batches.compaction.idle()
  t.ok(batches.compaction.copiedBytes > 0 && released > 0, `${released} released meanwhile`)
  t.equal(engine.segments.liveBytes, live.size * recordBytes(bytes.length))
  t.strictSame(
    engine.table('batches').keys(),
    [...live].sort((a, b) => a - b),
  )
  for (const seq of live) t.ok(batches.get(seq).equals(bytes))
})

t.test('a file used again: earlier lives are told apart', async (t) => {
  const folder = t.testdir()
  const { engine, batches } = opened(t, folder)
  const { bytes } = sealed({ firstSeq: 1, count: 1, bodyBytes: 100_000 })
  const seqs: number[] = []
  for (let i = 0; i < 11; i++) seqs.push(await store(engine, batches, bytes))
  const first = batches.row(seqs[0] as number) as BatchRow
  for (const seq of seqs) await engine.maintain(batches.release(seq))
  const other = sealed({ firstSeq: 2, count: 1, bodyBytes: 100_000 }).bytes
  let seq = 0
  let row = first
  for (let i = 0; i < 40 && (row.place.segment !== first.place.segment || row.place.life === first.place.life); i++) {
    seq = await store(engine, batches, other)
    row = batches.row(seq) as BatchRow
  }
  t.equal(row.place.segment, first.place.segment, 'the file is written over')
  t.equal(row.place.offset, first.place.offset)
  t.ok(batches.get(seq).equals(other))
  t.throws(() => engine.segments.read(first.place, seqs[0] as number), { code: 'STORE_DAMAGED' }, 'the old one is gone')
  const owner = { number: row.place.segment, capacity: MIB, users: 1 }
  const found: number[] = []
  for await (const record of recordsIn(engine.segments.files, owner, row.place.life)) found.push(record.seq)
  t.strictSame(found, [seq], 'of this life')
  const all: number[] = []
  for await (const record of recordsIn(engine.segments.files, owner, null)) all.push(record.seq)
  t.ok(all.length > 5 && all.includes(seq), 'and of all lives')
})

t.test('a place is free when the removal of its row is on the disk, not before', async (t) => {
  const { engine, batches } = opened(t, t.testdir())
  const { bytes } = sealed({ firstSeq: 1, count: 1, bodyBytes: 100_000 })
  const seqs: number[] = []
  for (let i = 0; i < 22; i++) seqs.push(await store(engine, batches, bytes))
  const first = seqs.slice(0, 10)
  const { place } = batches.row(first[0] as number) as BatchRow
  const works = first.map((seq) => batches.release(seq))
  for (let i = 0; i < 30; i++) {
    const seq = await store(engine, batches, bytes)
    t.not((batches.row(seq) as BatchRow).place.segment, place.segment)
  }
  for (const seq of first) t.ok(engine.segments.read((batches.row(seq) as BatchRow).place, seq).equals(bytes))
  await Promise.all(works.map((work) => engine.maintain(work)))
  const before = engine.segments.count
  const used = new Set<number>()
  for (let i = 0; i < 12; i++) {
    used.add((batches.row(await store(engine, batches, bytes)) as BatchRow).place.segment)
  }
  t.ok(used.has(place.segment), 'then it is written over')
  t.equal(engine.segments.count, before)
})

t.test('a store goes on in the file it wrote last', async (t) => {
  const folder = t.testdir()
  const { bytes } = sealed({ firstSeq: 1, count: 1, bodyBytes: 20_000 })
  const places = new Set<number>()
  for (let start = 0; start < 5; start++) {
    const engine = Engine.open(folder, 256 * MIB)
    const batches = new Batches(engine, 0)
    const seq = await store(engine, batches, bytes)
    places.add((batches.row(seq) as BatchRow).place.segment)
    await engine.close()
  }
  t.equal(places.size, 1)
})

t.test('a write that fails refuses its group; settling goes on, and appends when there is space again', async (t) => {
  const folder = t.testdir()
  const { engine, batches } = opened(t, folder)
  const { bytes } = sealed({ firstSeq: 1, count: 1, bodyBytes: 50_000 })
  const kept = await store(engine, batches, bytes)
  const { files } = engine.segments
  const write = files.write.bind(files)
  let failing = true
  let tries = 0
  files.write = async (owner, buffers, offset) => {
    if (!failing) return write(owner, buffers, offset)
    // First a part of it, as on a disk that is nearly full.
    if (tries++ % 2 === 0) return write(owner, [(buffers[0] as Buffer).subarray(0, 10)], offset)
    throw Object.assign(new Error('no space'), { code: 'ENOSPC', errno: -28 })
  }
  const faults: string[] = []
  let fallbacks = 0
  engine.onFault = ({ code }) => faults.push(code)
  engine.onAppendFailed = () => fallbacks++
  await t.rejects(store(engine, batches, bytes), { code: 'STORE_FULL' })
  t.strictSame([faults, fallbacks], [['STORE_FULL'], 1])
  t.ok(batches.get(kept).equals(bytes))
  await engine.maintain(batches.release(kept))
  failing = false
  const seqs = await Promise.all(Array.from({ length: 5 }, () => store(engine, batches, bytes)))
  for (const seq of seqs) t.ok(batches.get(seq).equals(bytes))
  t.equal(engine.segments.liveBytes, 5 * recordBytes(bytes.length))
})

t.test('a failed flush: nothing of it is trusted, another file is used', async (t) => {
  const folder = t.testdir()
  const { engine, batches } = opened(t, folder)
  const { bytes } = sealed({ firstSeq: 1, count: 1, bodyBytes: 50_000 })
  const kept = await store(engine, batches, bytes)
  const { files } = engine.segments
  const flush = files.flush.bind(files)
  files.flush = async () => {
    throw Object.assign(new Error('the medium is broken'), { code: 'EIO', errno: -5 })
  }
  await t.rejects(store(engine, batches, bytes), { code: 'STORE_IO' })
  files.flush = flush
  const seq = await store(engine, batches, bytes)
  const [before, after] = [kept, seq].map((number) => batches.row(number) as BatchRow)
  t.not(after?.place.segment, before?.place.segment)
  t.ok(batches.get(kept).equals(bytes) && batches.get(seq).equals(bytes))
})

t.test('a group of small batches alone needs no segment, and one flush', async (t) => {
  const folder = t.testdir()
  const steps: string[] = []
  const { engine, batches } = opened(t, folder, { onStep: (step) => void steps.push(step) })
  const { bytes } = sealed({ firstSeq: 1, count: 1, bodyBytes: 4000 })
  await Promise.all(Array.from({ length: 10 }, () => store(engine, batches, bytes)))
  t.strictSame(steps, ['committed'])
  t.strictSame([engine.segments.count, engine.segments.fileBytes], [0, 0])
  const large = sealed({ firstSeq: 1, count: 1, bodyBytes: INLINE_BYTES_MAX }).bytes
  const both = [store(engine, batches, bytes), store(engine, batches, large)]
  await Promise.all(both)
  t.strictSame(steps, ['committed', 'blobs-written', 'flushed', 'committed'], 'together with a large one, both')
  t.equal(engine.groups, 2)
})

t.test('small batches are bounded, refused and make room as the others do', async (t) => {
  const folder = t.testdir()
  const { engine, batches } = opened(t, folder, { bytesMax: 16 * MIB })
  const small = sealed({ firstSeq: 1, count: 1, bodyBytes: 15_000 }).bytes
  const large = sealed({ firstSeq: 1, count: 1, bodyBytes: 200_000 }).bytes
  const seqs: number[] = []
  const fill = async (bytes: Buffer) => {
    for (;;) {
      // Twenty on the way at a time.
      const added = Array.from({ length: 20 }, () => store(engine, batches, bytes))
      for (const { status, ...rest } of await Promise.allSettled(added)) {
        if (status === 'fulfilled') seqs.push((rest as { value: number }).value)
        else throw (rest as { reason: Error }).reason
      }
    }
  }
  await t.rejects(fill(small), { code: 'STORE_FULL' })
  const { bytes: used, bytesMax } = engine.usage()
  t.ok(used > 10 * MIB && used <= bytesMax, `${used} of ${bytesMax} in ${seqs.length} batches`)
  await t.rejects(store(engine, batches, large), { code: 'STORE_FULL' }, 'one bound for both')
  for (const seq of seqs) t.ok(batches.get(seq).equals(small))
  const stored = seqs.length
  await Promise.all(seqs.splice(0).map((seq) => engine.maintain(batches.release(seq))))
  await t.rejects(fill(small), { code: 'STORE_FULL' })
  t.ok(seqs.length >= stored - 40, `${seqs.length} again`)
  t.ok(statSync(join(folder, 'store.mdb')).size <= bytesMax, 'in the same file')
})

t.test('bounds: the store’s own, and the disk’s', async (t) => {
  const folder = t.testdir()
  const { engine, batches } = opened(t, folder, { bytesMax: 24 * MIB })
  const { bytes } = sealed({ firstSeq: 1, count: 1, bodyBytes: 200_000 })
  const seqs: number[] = []
  const fill = async () => {
    for (;;) seqs.push(await store(engine, batches, bytes))
  }
  await t.rejects(fill(), { code: 'STORE_FULL' })
  const { bytes: used, bytesMax } = engine.usage()
  t.ok(used > 16 * MIB && used <= bytesMax, `${used} of ${bytesMax}`)
  const before = diskBytes(folder)
  for (let i = 0; i < 20; i++) await t.rejects(fill(), { code: 'STORE_FULL' })
  t.ok(diskBytes(folder) <= before + MIB, 'being refused costs no space')
  // Four of five go, all over the files: compaction makes room.
  const doomed = seqs.filter((_, i) => i % 5 !== 0)
  await Promise.all(doomed.map((seq) => engine.maintain(batches.release(seq))))
  await batches.compaction.idle()
  const stored = seqs.length
  await t.rejects(fill(), { code: 'STORE_FULL' })
  t.ok(seqs.length - stored > doomed.length / 2, `room for ${seqs.length - stored} in place of ${doomed.length}`)
  await engine.close()

  const other = opened(t, join(folder, 'other'), { freeBytesMin: 2 ** 60 })
  await t.rejects(store(other.engine, other.batches, bytes), { code: 'STORE_FULL', details: { freeBytesMin: 2 ** 60 } })
  await other.engine.maintain({ write: () => undefined, done: () => undefined })
})

t.test('a lost file: its batches are named, the others are served, and its number is not used again', async (t) => {
  const folder = t.testdir()
  const { engine, batches } = opened(t, folder)
  const { bytes } = sealed({ firstSeq: 1, count: 1, bodyBytes: 400_000 })
  const seqs: number[] = []
  for (let i = 0; i < 6; i++) seqs.push(await store(engine, batches, bytes))
  const segments = seqs.map((seq) => (batches.row(seq) as BatchRow).place.segment)
  await engine.close()
  const lost = segments.at(-1) as number
  rmSync(engine.segments.files.pathOf(lost))
  const again = opened(t, folder)
  for (const [i, seq] of seqs.entries()) {
    if (segments[i] === lost) t.throws(() => again.batches.get(seq), { code: 'STORE_DAMAGED', where: /agent\/s/ })
    else t.ok(again.batches.get(seq).equals(bytes))
  }
  for (let i = 0; i < 6; i++) {
    const seq = await store(again.engine, again.batches, bytes)
    t.not((again.batches.row(seq) as BatchRow).place.segment, lost)
  }
  t.notOk(existsSync(engine.segments.files.pathOf(lost)))
})
