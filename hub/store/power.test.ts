// Power loss: what was written and not flushed may be on the disk, in part, or not at all. A layer below the segments
// knows what each flush covered; images of a crash are what is durable for certain and a random choice of the pages
// written since. LMDB's file is taken after each commit; of a commit under way any pages may be there, but its meta
// pages only when all others are (it flushes in between).

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { BatchRows } from './batch-rows.ts'
import { Batches } from './batches.ts'
import { sealed, store } from './disk.testing.ts'
import { Engine } from './engine.ts'
import { INLINE_BYTES_MAX } from './limits.ts'
import type { SegmentFiles } from './segment-files.ts'

const MIB = 1024 * 1024
const PAGE = 4096
const META_PAGES = 2
const GROUPS = 100

/** What the disk under segment files has for certain, and what was written to them since. */
class Disk {
  readonly durable = new Map<number, Buffer>()
  private readonly unflushed: { number: number; offset: number; bytes: Buffer }[] = []

  constructor(files: SegmentFiles) {
    const [write, flush, remove] = [files.write, files.flush, files.remove].map((method) =>
      (method as (...given: unknown[]) => unknown).bind(files),
    ) as [SegmentFiles['write'], SegmentFiles['flush'], SegmentFiles['remove']]
    files.write = async (owner, buffers, offset) => {
      const written = await write(owner, buffers, offset)
      const bytes = Buffer.concat(buffers).subarray(0, written)
      this.unflushed.push({ number: owner.number, offset, bytes })
      return written
    }
    files.flush = async (owner) => {
      const covered = this.unflushed.filter((other) => other.number === owner.number)
      await flush(owner)
      for (const write of covered) {
        this.apply(this.durable, write.number, write.offset, write.bytes)
        this.unflushed.splice(this.unflushed.indexOf(write), 1)
      }
    }
    files.remove = (number) => {
      this.durable.delete(number)
      for (let i = this.unflushed.length; i-- > 0; ) {
        if (this.unflushed[i]?.number === number) this.unflushed.splice(i, 1)
      }
      return remove(number)
    }
  }

  /** The segment files after a crash now. */
  crash(random: Random): Map<number, Buffer> {
    const image = new Map([...this.durable].map(([number, bytes]) => [number, Buffer.from(bytes)]))
    for (const { number, offset, bytes } of this.unflushed) {
      const kept = 1 + random.below(4)
      // Page by page, as a page cache writes back; pages of a later write may be there without those of an earlier one.
      for (let at = 0; at < bytes.length; ) {
        const length = Math.min(bytes.length - at, PAGE - ((offset + at) % PAGE))
        if (random.below(4) < kept - 1) this.apply(image, number, offset + at, bytes.subarray(at, at + length))
        at += length
      }
    }
    return image
  }

  private apply(image: Map<number, Buffer>, number: number, offset: number, bytes: Buffer): void {
    let file = image.get(number) ?? Buffer.alloc(0)
    if (file.length < offset + bytes.length) {
      file = Buffer.concat([file, Buffer.alloc(offset + bytes.length - file.length)])
    }
    bytes.copy(file, offset)
    image.set(number, file)
  }
}

/** LMDB's file when the power goes while it becomes `after`. */
function cutCommit(random: Random, before: Buffer, after: Buffer): Buffer {
  const image = Buffer.alloc(Math.max(before.length, after.length))
  before.copy(image)
  for (let at = META_PAGES * PAGE; at < after.length; at += PAGE) {
    if (random.oneIn(2)) after.copy(image, at, at, at + PAGE)
  }
  return image
}

/** What must be there: `kept`; and what must not: `gone`. */
type Image = {
  readonly when: string
  readonly rows: Buffer
  readonly segments: ReadonlyMap<number, Buffer>
  readonly kept: ReadonlyMap<number, Buffer>
  readonly gone: ReadonlySet<number>
}

async function problemsOf(folder: string, { rows, segments, kept, gone }: Image): Promise<string[]> {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(join(folder, 'segments'), { recursive: true })
  writeFileSync(join(folder, 'store.mdb'), rows)
  writeFileSync(join(folder, 'store.mdb-made'), '')
  for (const [number, bytes] of segments) {
    writeFileSync(join(folder, 'segments', `${String(number).padStart(8, '0')}.seg`), bytes)
  }
  const problems: string[] = []
  const engine = Engine.open(folder, 256 * MIB, { segmentBytes: MIB, freeBytesMin: 0 })
  try {
    const batches = new Batches(engine, 0)
    const seqs = [...new BatchRows(engine).all()].map(({ seq }) => seq)
    for (const seq of seqs) {
      // Whatever has a row is whole, acknowledged or not.
      try {
        const bytes = batches.get(seq)
        if (kept.get(seq)?.equals(bytes) === false) problems.push(`batch ${seq} is another`)
      } catch (error) {
        problems.push(`batch ${seq} has a row and is damaged: ${(error as Error).cause ?? error}`)
      }
      if (gone.has(seq)) problems.push(`batch ${seq} came back`)
    }
    const present = new Set(seqs)
    for (const seq of kept.keys()) if (!present.has(seq)) problems.push(`batch ${seq} is gone`)
    // It goes on.
    const { bytes } = sealed({ firstSeq: 1, count: 1 })
    if (!batches.get(await store(engine, batches, bytes)).equals(bytes)) problems.push('nothing can be appended')
  } finally {
    await engine.close()
  }
  return problems
}

t.test('the power goes', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const parent = t.testdir()
  const folder = join(parent, 'store')
  const images: Image[] = []
  const kept = new Map<number, Buffer>()
  /** Being released: it may be there or not. */
  const leaving = new Set<number>()
  const gone = new Set<number>()
  let small = 0
  const promised = () => ({
    kept: new Map([...kept].filter(([seq]) => !leaving.has(seq))),
    gone: new Set(gone),
  })
  let disk: Disk | null = null
  let rows = Buffer.alloc(0)
  /** Taken when the flush was done; becomes an image with the rows that were being written. */
  let pending: Omit<Image, 'rows' | 'when'> | null = null
  const steps = new Map<string, number>()
  const engine = Engine.open(folder, 256 * MIB, {
    segmentBytes: MIB,
    freeBytesMin: 0,
    onStep: (step) => {
      steps.set(step, (steps.get(step) ?? 0) + 1)
      const chosen = random.oneIn(4)
      if (disk === null) return
      if (step === 'committed') {
        const before = rows
        rows = readFileSync(join(folder, 'store.mdb'))
        if (pending !== null) {
          images.push({ when: 'while rows were written', rows: cutCommit(random, before, rows), ...pending })
        }
        pending = null
      }
      if (!chosen || rows.length === 0) return
      const image = { segments: disk.crash(random), ...promised() }
      if (step === 'flushed') pending = image
      images.push({ when: step, rows, ...image })
    },
  })
  engine.onFault = (fault) => t.fail(fault.message)
  const batches = new Batches(engine, 0)
  disk = new Disk(engine.segments.files)
  for (let group = 0; group < GROUPS; group++) {
    const waiting: Promise<unknown>[] = []
    for (let i = random.below(6); i >= 0; i--) {
      const bodyBytes = 8 + random.below(random.oneIn(2) ? 120_000 : 20_000)
      const { bytes } = sealed({ firstSeq: 1, count: 1, bodyBytes })
      if (bytes.length <= INLINE_BYTES_MAX) small++
      waiting.push(store(engine, batches, bytes).then((seq) => kept.set(seq, bytes)))
      if (random.oneIn(3)) await new Promise((resolve) => setImmediate(resolve))
    }
    for (const seq of [...kept.keys()].filter((seq) => !leaving.has(seq) && seq % 20 !== 0 && random.oneIn(4))) {
      leaving.add(seq)
      const released = engine.maintain(batches.release(seq)).then(() => {
        kept.delete(seq)
        leaving.delete(seq)
        gone.add(seq)
      })
      waiting.push(released)
    }
    if (random.oneIn(2)) await Promise.all(waiting)
  }
  await batches.compaction.idle()
  await engine.close()
  t.ok((steps.get('compacting') ?? 0) > 3, `copied together ${steps.get('compacting')} times`)
  t.ok(small > GROUPS, `${small} batches lie in their rows`)
  t.ok(images.length > 50, `${images.length} images`)
  const kinds = new Set(images.map(({ when }) => when))
  t.ok(kinds.has('while rows were written') && kinds.has('blobs-written'), [...kinds].join(', '))
  for (const [i, image] of images.entries()) {
    const problems = await problemsOf(join(parent, 'crashed'), image)
    if (problems.length > 0) t.fail(`image ${i}, ${image.when}: ${problems.slice(0, 3).join('; ')}`)
  }
  t.pass(`${images.reduce((sum, one) => sum + one.kept.size, 0)} promises kept`)
})
