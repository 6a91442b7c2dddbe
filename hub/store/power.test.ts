// Power loss while batches are appended, released and moved: what was promised is there, in every image of a crash.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { BatchRows } from './batch-rows.ts'
import { Batches } from './batches.ts'
import { sealed, store } from './disk.testing.ts'
import { Engine } from './engine.ts'
import { INLINE_BYTES_MAX } from './limits.ts'
import { CrashDisk, cutCommit, layOut } from './power.testing.ts'

const MIB = 1024 * 1024
const COMPACTED_MIN = 3
const GROUPS = 100
const IMAGES_MIN = 50

/** What must be there: `kept`; and what must not: `gone`. */
type Image = {
  readonly when: string
  readonly rows: Buffer
  readonly segments: ReadonlyMap<number, Buffer>
  readonly kept: ReadonlyMap<number, Buffer>
  readonly gone: ReadonlySet<number>
}

async function problemsOf(folder: string, { rows, segments, kept, gone }: Image): Promise<string[]> {
  layOut(folder, rows, segments)
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
  let disk: CrashDisk | null = null
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
  disk = new CrashDisk(engine.segments.files)
  const compacted = () => steps.get('compacting') ?? 0
  // How soon it begins, and how many appends go together, depends on how long the disk takes.
  const few = () => compacted() <= COMPACTED_MIN || images.length <= IMAGES_MIN
  for (let group = 0; group < GROUPS || (few() && group < 10 * GROUPS); group++) {
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
  t.ok(compacted() > COMPACTED_MIN, `copied together ${compacted()} times`)
  t.ok(small > GROUPS / 2, `${small} batches lie in their rows`)
  t.ok(images.length > IMAGES_MIN, `${images.length} images`)
  const kinds = new Set(images.map(({ when }) => when))
  t.ok(kinds.has('while rows were written') && kinds.has('blobs-written'), [...kinds].join(', '))
  for (const [i, image] of images.entries()) {
    const problems = await problemsOf(join(parent, 'crashed'), image)
    if (problems.length > 0) t.fail(`image ${i}, ${image.when}: ${problems.slice(0, 3).join('; ')}`)
  }
  t.pass(`${images.reduce((sum, one) => sum + one.kept.size, 0)} promises kept`)
})
