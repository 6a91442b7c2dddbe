// Random work against a model: contents are begun, filled, sealed, removed, found damaged and brought again, while transactions fail
// and the hub dies at any step on the way to the disk. What was promised is there and whole, nothing that was removed comes back, and
// no chunk is left over. MODEL_STEPS= does more, SEED= the same again.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { asFault } from '#protocol/base/mod.ts'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import type { Step } from '../engine.ts'
import { storeFault } from '../faults.ts'
import { layOut } from '../power.testing.ts'
import { recordBytes } from '../segment-file.ts'
import { ContentStore } from './content-store.ts'
import { digestOf, idOf, infoOf, MIB, numberedAdd, numberedChunk, plainOf, wrongIn } from './contents.testing.ts'

const STEPS = Number(process.env.MODEL_STEPS ?? 600)
const CHUNKS = 40
const DIGESTS = Array.from({ length: CHUNKS }, (_, number) => digestOf(numberedChunk(number)))
const MANIFEST = Buffer.from('manifest')
const PARTS_MAX = 100
const WAIT_MS = 60_000
/** What may be refused when something else comes at the same time. */
const PASSING = ['STORE_FULL', 'STORE_IO', 'CONTENT_UNKNOWN', 'CONTENT_INCOMPLETE', 'CONTENT_CONFLICT', 'CHUNK_UNKNOWN']
const turn = () => new Promise((resolve) => setImmediate(resolve))

/** A content, by the numbers of its chunks; `adding` and the like: it is on its way, and may have come about. */
type Known = {
  readonly plan: readonly number[]
  added: Set<number>
  adding: Set<number>
  begun: boolean
  sealed: boolean
  sealing: boolean
  removing: boolean
}

class Model {
  contents = new Map<string, Known>()
  /** Chunks that were given up, or may be. */
  lost = new Set<number>()

  copy(): Model {
    const copy = new Model()
    for (const [id, known] of this.contents)
      copy.contents.set(id, { ...known, added: new Set(known.added), adding: new Set(known.adding) })
    copy.lost = new Set(this.lost)
    return copy
  }
}

class World {
  readonly counts: Record<string, number> = {}
  private readonly t: Test
  private readonly folder: string
  private readonly random: Random
  private model = new Model()
  private store: ContentStore
  private underWay = new Set<Promise<unknown>>()
  private nextId = 1
  private failing = 0
  private stepsLeft = 0
  private rows: Buffer | null = null
  private image: { rows: Buffer; segments: Map<number, Buffer>; model: Model } | null = null

  constructor(t: Test, random: Random) {
    this.t = t
    this.random = random
    // A folder of its own: another run of this test must not take it away in between.
    this.folder = mkdtempSync(join(tmpdir(), 'causeway-model-contents-'))
    t.teardown(() => rmSync(this.folder, { recursive: true, force: true }))
    this.store = this.open()
    t.teardown(() => this.store.close())
  }

  async step(): Promise<void> {
    const { random } = this
    if (this.image !== null) await this.recover()
    const kind = random.below(100)
    const ids = [...this.model.contents].filter(([, { begun, removing }]) => begun && !removing).map(([id]) => id)
    if (ids.length < 2) await this.quiet()
    if (ids.length < 2 || kind < 10) this.begin()
    else if (kind < 70) this.add(random.pick(ids))
    else if (kind < 78) this.seal(random.pick(ids))
    else if (kind < 86) this.remove(random.pick(ids))
    else if (kind < 90) await this.damage()
    else if (kind < 92) this.failing = random.below(3)
    else if (kind < 95) this.stepsLeft = 1 + random.below(8)
    else if (kind < 98) await this.settled('nothing is under way')
    else await this.restart()
    if (random.oneIn(3)) await turn()
  }

  async end(): Promise<void> {
    await this.restart()
    this.stepsLeft = 0
    this.failing = 0
    for (const id of this.model.contents.keys()) await this.store.remove(id)
    const { chunks, contents, liveBytes, lostChunks } = this.store.usage()
    this.t.strictSame(
      { chunks, contents, liveBytes, lostChunks },
      { chunks: 0, contents: 0, liveBytes: 0, lostChunks: 0 },
    )
    await this.store.close()
    this.t.strictSame(await wrongIn(this.folder), [])
  }

  private open(): ContentStore {
    const store = ContentStore.open({
      folder: this.folder,
      bytesMax: 256 * MIB,
      freeBytesMin: 0,
      segmentBytes: MIB,
      onStep: (step) => this.onStep(step),
    })
    const disk = Reflect.get(Reflect.get(store, 'engine') as object, 'disk') as { commit(): Promise<void> }
    const commit = disk.commit.bind(disk)
    disk.commit = async () => {
      if (this.failing === 0) return await commit()
      this.failing--
      throw storeFault('STORE_FULL', { why: 'the test says so', retry: true })
    }
    return store
  }

  private onStep(step: Step): void {
    if (this.image !== null) return
    if (step === 'committed') this.rows = readFileSync(join(this.folder, 'store.mdb'))
    if (this.rows === null || this.stepsLeft === 0 || --this.stepsLeft > 0) return
    const segments = new Map<number, Buffer>()
    const folder = join(this.folder, 'segments')
    for (const name of readdirSync(folder)) {
      if (/^\d+\.seg$/.test(name)) segments.set(Number.parseInt(name, 10), readFileSync(join(folder, name)))
    }
    this.image = { rows: this.rows, segments, model: this.model.copy() }
  }

  /** `over` is told whether it came about; not when the hub died meanwhile. */
  private follow(what: string, promise: Promise<unknown>, over: (worked: boolean) => void): void {
    this.count(what)
    const followed = promise
      .then(
        () => over(true),
        (error: unknown) => {
          const { code } = asFault(error)
          if (!PASSING.includes(code) && this.image === null) this.t.fail(`${what}: ${code}`)
          over(false)
        },
      )
      .finally(() => this.underWay.delete(followed))
    this.underWay.add(followed)
  }

  private begin(): void {
    const id = idOf(this.nextId++)
    const plan = Array.from({ length: 1 + this.random.below(8) }, () => this.random.below(CHUNKS))
    const size = plan.reduce((sum, number) => sum + numberedChunk(number).length, 0)
    const known: Known = {
      plan,
      added: new Set(),
      adding: new Set(),
      begun: false,
      sealed: false,
      sealing: false,
      removing: false,
    }
    const { contents } = this.model
    contents.set(id, known)
    this.follow('begun', this.store.begin(infoOf({ id, size })), (worked) => {
      known.begun = worked
      if (!worked) contents.delete(id)
    })
  }

  private add(id: string): void {
    const { model, random } = this
    const known = model.contents.get(id) as Known
    const index = random.below(known.plan.length)
    const number = known.plan[index] as number
    known.adding.add(index)
    const given = numberedAdd(number)
    const added = this.store.add(id, index, random.oneIn(4) ? { ...given, bytes: null } : given)
    this.follow('added', added, (worked) => {
      if (worked) {
        known.added.add(index)
        model.lost.delete(number)
      }
    })
  }

  private seal(id: string): void {
    const known = this.model.contents.get(id) as Known
    known.sealing = true
    this.follow('sealed', this.store.seal(id, MANIFEST), (worked) => {
      known.sealed ||= worked
    })
  }

  private remove(id: string): void {
    const { contents } = this.model
    const known = contents.get(id) as Known
    known.removing = true
    this.follow('removed', this.store.remove(id), (worked) => {
      if (worked) contents.delete(id)
    })
  }

  /** Alone: whether what comes at the same time brings it again cannot be said. */
  private async damage(): Promise<void> {
    await this.settled('before a chunk is found damaged')
    const number = this.random.below(CHUNKS)
    if (!this.store.has(DIGESTS[number] as Buffer)) return
    this.model.lost.add(number)
    this.follow('damaged', this.store.damaged(DIGESTS[number] as Buffer), () => undefined)
    if (this.random.oneIn(2)) await this.quiet()
  }

  private async quiet(): Promise<void> {
    while (this.underWay.size > 0 && this.image === null) await turn()
  }

  private async settled(when: string): Promise<void> {
    await this.quiet()
    if (this.image !== null) await this.recover()
    else await this.judge(when)
  }

  private async restart(): Promise<void> {
    await this.settled('before a restart')
    await this.store.close()
    this.t.strictSame(await wrongIn(this.folder), [], 'a check finds nothing')
    this.store = this.open()
    await this.judge('after a restart')
    this.count('restarted')
  }

  private async recover(): Promise<void> {
    const { image } = this
    if (image === null) return
    await this.store.close()
    layOut(this.folder, image.rows, image.segments)
    this.model = image.model
    this.image = null
    this.rows = null
    this.failing = 0
    this.stepsLeft = 0
    this.underWay = new Set()
    this.store = this.open()
    await this.judge('after a crash')
    this.count('crashed')
  }

  /** Nothing is under way: says what came about of what was, and compares; what follows by itself is waited for. */
  private async judge(when: string): Promise<void> {
    const untilMs = Date.now() + WAIT_MS
    let wrong = await this.wrong()
    while (wrong.length > 0 && Date.now() < untilMs) {
      await turn()
      wrong = await this.wrong()
    }
    this.t.strictSame(wrong.slice(0, 5), [], when)
    for (const [id, known] of this.model.contents) {
      known.sealed = this.store.get(id)?.manifest !== null
      known.added = new Set([...known.added, ...this.store.parts(id, 0, PARTS_MAX).map(({ index }) => index)])
      Object.assign(known, { adding: new Set(), sealing: false })
    }
  }

  private async wrong(): Promise<string[]> {
    const { store, model } = this
    const wrong: string[] = []
    const used = new Map<number, number>()
    for (const [id, known] of [...model.contents]) {
      const view = store.get(id)
      if (view === null && (known.removing || !known.begun)) {
        model.contents.delete(id)
        continue
      }
      if (view === null) wrong.push(`${id} is gone`)
      if (view === null) continue
      Object.assign(known, { begun: true, removing: false })
      const there = new Map(store.parts(id, 0, PARTS_MAX).map(({ index, digest }) => [index, digest]))
      if (there.size !== view.chunks) wrong.push(`${id} has ${there.size} parts and says ${view.chunks}`)
      for (const index of known.added) {
        const number = known.plan[index] as number
        if (!there.has(index) && !model.lost.has(number)) wrong.push(`${id}, chunk ${index} is gone`)
      }
      for (const [index, digest] of there) {
        const number = known.plan[index] as number
        if (!known.added.has(index) && !known.adding.has(index)) wrong.push(`${id}, chunk ${index} came by itself`)
        if (!digest.equals(DIGESTS[number] as Buffer)) wrong.push(`${id}, chunk ${index} is another`)
        const stored = await store.read(digest)
        if (!digestOf(plainOf(stored)).equals(digest)) wrong.push(`${id}, chunk ${index} is not whole`)
        used.set(number, recordBytes(stored.bytes.length))
      }
      const isSealed = view.manifest !== null
      if (known.sealed !== isSealed && !known.sealing) wrong.push(`${id} is ${isSealed ? '' : 'not '}sealed`)
      if (view.state === 'sealed' && there.size < known.plan.length) wrong.push(`${id} is sealed and not whole`)
    }
    for (const { id } of store.all()) if (!model.contents.has(id)) wrong.push(`${id} came back`)
    const { chunks, liveBytes } = store.usage()
    if (chunks !== used.size) wrong.push(`${chunks} chunks, ${used.size} in use`)
    const bytes = [...used.values()].reduce((sum, one) => sum + one, 0)
    if (liveBytes !== bytes) wrong.push(`${liveBytes} bytes are live, ${bytes} in use`)
    return wrong
  }

  private count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1
  }
}

t.setTimeout(STEPS * 200 + 500_000)
t.test('contents, against a model', { timeout: STEPS * 200 + 500_000 }, async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const world = new World(t, new Random(seed))
  for (let i = 0; i < STEPS && t.passing(); i++) await world.step()
  if (t.passing()) await world.end()
  t.comment(JSON.stringify(world.counts))
  for (const what of ['added', 'sealed', 'removed']) t.ok((world.counts[what] ?? 0) > 0, what)
})
