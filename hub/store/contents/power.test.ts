// Power loss while contents are sent, removed, damaged and moved. In every image of a crash what was promised is
// there and whole, whatever has a row is whole, and all counts are those of a recount.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import type { Engine } from '../engine.ts'
import { CrashDisk, cutCommit, layOut } from '../power.testing.ts'
import { ContentStore } from './content-store.ts'
import { chunkOf, digestOf, idOf, infoOf, MIB, numberedAdd, numberedChunk, wrongIn } from './contents.testing.ts'

const STEPS = 1000
const IMAGES_MIN = 50
const CHUNKS = 80
const PARTS_MAX = 1000

/** Number of the chunk by index, by content. */
type Promised = ReadonlyMap<string, ReadonlyMap<number, number>>

type Image = {
  readonly when: string
  readonly rows: Buffer
  readonly segments: ReadonlyMap<number, Buffer>
  readonly kept: Promised
  readonly gone: ReadonlySet<string>
}

async function problemsOf(folder: string, { rows, segments, kept, gone }: Image): Promise<string[]> {
  layOut(folder, rows, segments)
  const problems = await wrongIn(folder)
  const store = ContentStore.open({ folder, bytesMax: 256 * MIB, freeBytesMin: 0, segmentBytes: MIB })
  try {
    for (const [id, parts] of kept) {
      const view = store.get(id)
      if (view === null) problems.push(`content ${id} is gone`)
      for (const [index, number] of parts) {
        const digest = digestOf(numberedChunk(number))
        if (store.part(id, index)?.digest.equals(digest) !== true)
          problems.push(`content ${id}, chunk ${index} is gone`)
      }
    }
    for (const id of gone) if (store.get(id) !== null) problems.push(`content ${id} came back`)
    // It goes on.
    const bytes = numberedChunk(CHUNKS)
    await store.begin(infoOf({ id: idOf(2 ** 40), size: bytes.length }))
    await store.add(idOf(2 ** 40), 0, chunkOf(bytes))
    if (!(await store.read(digestOf(bytes))).bytes.equals(bytes)) problems.push('nothing can be added')
  } finally {
    await store.close()
  }
  return problems
}

/** What the store was told to do, and what it promised. */
class Scene {
  readonly kept = new Map<string, Map<number, number>>()
  readonly gone = new Set<string>()
  /** Being removed: there or not. */
  readonly leaving = new Set<string>()
  /** Chunks that are being given up: nothing is promised of their parts. */
  private readonly damaging = new Set<number>()
  private next = 1
  private readonly store: ContentStore
  private readonly random: Random

  constructor(store: ContentStore, random: Random) {
    this.store = store
    this.random = random
  }

  promised(): Pick<Image, 'kept' | 'gone'> {
    const kept = [...this.kept].filter(([id]) => !this.leaving.has(id))
    return { kept: new Map(kept.map(([id, parts]) => [id, new Map(parts)])), gone: new Set(this.gone) }
  }

  /** One thing, begun. */
  step(): Promise<unknown> {
    const { random } = this
    const ids = [...this.kept.keys()].filter((id) => !this.leaving.has(id))
    const id = ids[random.below(ids.length)]
    if (id === undefined || (ids.length < 8 && random.oneIn(8))) return this.begin()
    if (ids.length > 4 && random.oneIn(10)) return this.remove(id)
    if (random.oneIn(40)) return this.damage(random.below(CHUNKS))
    return this.add(id, random.below(PARTS_MAX), random.below(CHUNKS))
  }

  private async begin(): Promise<void> {
    const id = idOf(this.next++)
    await this.store.begin(infoOf({ id, size: 2 ** 30 }))
    this.kept.set(id, new Map())
  }

  private async remove(id: string): Promise<void> {
    this.leaving.add(id)
    await this.store.remove(id)
    this.kept.delete(id)
    this.gone.add(id)
  }

  private async add(id: string, index: number, number: number): Promise<void> {
    if (this.kept.get(id)?.has(index) === true) return
    const added = await this.store.add(id, index, numberedAdd(number)).then(
      () => true,
      ({ code }) => {
        // Removed meanwhile, or the place was taken by an add beside this one.
        if (code !== 'CONTENT_UNKNOWN' && code !== 'CONTENT_CONFLICT') throw new Error(code)
        return false
      },
    )
    const part = this.store.part(id, index)
    if (added && !this.damaging.has(number) && part?.digest.equals(digestOf(numberedChunk(number))))
      this.kept.get(id)?.set(index, number)
  }

  private async damage(number: number): Promise<void> {
    if (this.damaging.has(number)) return
    this.damaging.add(number)
    for (const parts of this.kept.values()) for (const [i, other] of parts) if (other === number) parts.delete(i)
    await this.store.damaged(digestOf(numberedChunk(number)))
    this.damaging.delete(number)
  }
}

t.setTimeout(580_000)
t.test('the power goes', { timeout: 570_000 }, async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const parent = t.testdir()
  const folder = join(parent, 'contents')
  const images: Image[] = []
  let disk: CrashDisk | null = null
  let scene: Scene | null = null
  let rows = Buffer.alloc(0)
  /** Taken when the flush was done; becomes an image with the rows that were being written. */
  let pending: Omit<Image, 'rows' | 'when'> | null = null
  let compacted = 0
  const store = ContentStore.open({
    folder,
    bytesMax: 256 * MIB,
    freeBytesMin: 0,
    segmentBytes: MIB,
    onFault: ({ code, message }) => code !== 'STORE_DAMAGED' && t.fail(message),
    onStep: (step) => {
      if (step === 'compacting') compacted++
      if (disk === null || scene === null) return
      const chosen = random.oneIn(4)
      if (step === 'committed') {
        const before = rows
        rows = readFileSync(join(folder, 'store.mdb'))
        if (pending !== null)
          images.push({ when: 'while rows were written', rows: cutCommit(random, before, rows), ...pending })
        pending = null
      }
      if (!chosen || rows.length === 0) return
      const image = { segments: disk.crash(random), ...scene.promised() }
      if (step === 'flushed') pending = image
      images.push({ when: step, rows, ...image })
    },
  })
  scene = new Scene(store, random)
  disk = new CrashDisk((store as unknown as { engine: Engine }).engine.segments.files)
  const waiting: Promise<unknown>[] = []
  // How many go together, and when segments are copied, depends on how long the disk takes.
  const few = () => compacted === 0 || images.length <= IMAGES_MIN
  for (let step = 0; step < STEPS || (few() && step < 10 * STEPS); step++) {
    waiting.push(scene.step())
    if (random.oneIn(3)) await new Promise((resolve) => setImmediate(resolve))
    if (random.oneIn(8)) await Promise.all(waiting.splice(0))
  }
  await Promise.all(waiting)
  await store.close()
  t.ok(compacted > 0, `copied together ${compacted} times`)
  t.ok(scene.gone.size > 5, `${scene.gone.size} contents removed`)
  const kinds = new Set(images.map(({ when }) => when))
  t.ok(kinds.has('while rows were written') && kinds.has('blobs-written'), [...kinds].join(', '))
  let promises = 0
  for (const [i, image] of images.entries()) {
    const problems = await problemsOf(join(parent, 'crashed'), image)
    if (problems.length > 0) t.fail(`image ${i}, ${image.when}: ${problems.slice(0, 3).join('; ')}`)
    for (const parts of image.kept.values()) promises += parts.size
  }
  t.ok(images.length > IMAGES_MIN, `${images.length} images, ${promises} promises kept`)
})
