// What a disk does to contents: bits that turn over, files that are lost, and no space.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Fault } from '#protocol/base/mod.ts'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { flipBit } from '../disk.testing.ts'
import { freeBytes } from '../reserve.ts'
import { recordBytes } from '../segment-file.ts'
import { cannotMount } from '../testing.ts'
import { checkContents } from './check.ts'
import type { ContentStore } from './content-store.ts'
import { chunkOf, digestOf, idOf, infoOf, KIB, opened, randomBytes, send, wrongIn } from './contents.testing.ts'

const random = new Random(2)
const some = (length = 100 * KIB) => randomBytes(random, length)

const ORIGIN = 'o'.repeat(200)

/** Turns a bit of a chunk over where it lies. */
function damage(folder: string, bytes: Buffer): void {
  for (const name of readdirSync(join(folder, 'segments'))) {
    const path = join(folder, 'segments', name)
    const at = readFileSync(path).indexOf(bytes)
    if (at >= 0) flipBit(path, (at + random.below(bytes.length)) * 8 + random.below(8))
  }
}

/** A reader that verifies. */
async function verified(store: ContentStore, digest: Buffer): Promise<boolean> {
  const { bytes } = await store.read(digest)
  if (digestOf(bytes).equals(digest)) return true
  await store.damaged(digest)
  return false
}

t.test('a bit turned over: the chunk is missing wherever it was used, and comes again', async (t) => {
  const folder = t.testdir()
  const faults: Fault[] = []
  const store = opened(t, folder, { onFault: (fault) => void faults.push(fault) })
  const [bad, good] = [some(), some()]
  await send(store, [good, bad, bad], { id: idOf(1) })
  await store.seal(idOf(1), Buffer.from('m'))
  await send(store, [bad], { id: idOf(2) })
  damage(folder, bad)
  await store.close()
  t.match(await checkContents(folder), {
    ok: false,
    contents: 2,
    chunks: 2,
    bytes: 200 * KIB,
    damaged: [
      { id: idOf(1), origin: 'agent', name: 'scan.tif', index: 1, digest: digestOf(bad).toString('hex') },
      { id: idOf(1), index: 2 },
      { id: idOf(2), index: 0 },
    ],
    problems: [],
  })
  const again = opened(t, folder, { onFault: (fault) => void faults.push(fault) })
  t.ok(await verified(again, digestOf(good)))
  t.notOk(await verified(again, digestOf(bad)))
  t.match(faults, [{ code: 'STORE_DAMAGED' }])
  await again.damaged(digestOf(bad))
  t.notOk(again.has(digestOf(bad)))
  t.equal(again.usage().lostChunks, 1)
  t.match(again.get(idOf(1)), { state: 'open', manifest: Buffer.from('m'), chunks: 1, bytes: good.length })
  t.strictSame(again.parts(idOf(1), 0, 10), [{ index: 0, digest: digestOf(good), length: good.length }])
  t.equal(again.part(idOf(1), 1), null)
  t.match(again.get(idOf(2)), { chunks: 0, bytes: 0 })
  t.match(again.usage(), { chunks: 1, liveBytes: recordBytes(good.length) })
  await again.add(idOf(1), 1, chunkOf(bad))
  await again.add(idOf(1), 2, { ...chunkOf(bad), bytes: null })
  await again.seal(idOf(1), Buffer.from('m'))
  t.ok(await verified(again, digestOf(bad)))
  t.match(again.get(idOf(1)), { state: 'sealed', chunks: 3 })
  await again.close()
  t.strictSame(await wrongIn(folder), [])
})

t.test('what was lost comes again with any content that has it, for all contents', async (t) => {
  const folder = t.testdir()
  const faults: Fault[] = []
  const onFault = (fault: Fault) => void faults.push(fault)
  const [bad, good] = [some(), some()]
  const manifest = (number: number) => Buffer.from(`manifest ${number}`)
  const store = opened(t, folder, { onFault })
  await send(store, [good, bad], { id: idOf(1), origin: 'a' })
  await send(store, [bad, bad], { id: idOf(2), origin: 'b' })
  await send(store, [bad], { id: idOf(3), origin: 'b' })
  for (const number of [1, 2]) await store.seal(idOf(number), manifest(number))
  await store.damaged(digestOf(bad))
  t.match(await Promise.all([1, 2, 3].map(async (number) => store.get(idOf(number))?.state)), ['open', 'open', 'open'])
  await store.close()
  t.match(await checkContents(folder), {
    ok: true,
    damaged: [],
    incomplete: [
      { id: idOf(1), origin: 'a', chunks: 1 },
      { id: idOf(2), origin: 'b', chunks: 2 },
      { id: idOf(3), origin: 'b', chunks: 1 },
    ],
  })

  const again = opened(t, folder, { onFault })
  t.strictSame(again.parts(idOf(2), 0, 10), [])
  const healed: string[] = []
  const all = Promise.withResolvers<void>()
  again.onHealed = (id) => {
    if (healed.push(id) === 3) all.resolve()
  }
  await t.rejects(again.add(idOf(2), 0, chunkOf(some())), { code: 'CONTENT_CONFLICT' }, 'it is not to be another')
  await send(again, [good, bad], { id: idOf(4), origin: 'c' })
  await all.promise
  t.strictSame(healed.sort(), [idOf(1), idOf(2), idOf(3)])
  t.match(again.get(idOf(1)), { state: 'sealed', manifest: manifest(1), chunks: 2 })
  t.match(again.get(idOf(2)), { state: 'sealed', manifest: manifest(2), chunks: 2 })
  t.match(again.get(idOf(3)), { state: 'open', manifest: null, chunks: 1 })
  t.ok(await verified(again, digestOf(bad)))
  for (const number of [1, 2, 4]) await again.remove(idOf(number))
  t.ok(await verified(again, digestOf(bad)), 'the last one still has it')
  await again.damaged(digestOf(bad))
  t.equal(again.usage().lostChunks, 1)
  await again.remove(idOf(3))
  t.match(again.usage(), { contents: 0, chunks: 0, lostChunks: 0, liveBytes: 0 })
  await again.close()
  t.strictSame(await wrongIn(folder), [])
  t.match(faults, [{ code: 'STORE_DAMAGED', where: /^chunk / }, { code: 'STORE_DAMAGED' }])
})

t.test('chunks lost and come again in any order', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const folder = t.testdir()
  const chunks = Array.from({ length: 12 }, () => some(2 * KIB))
  const contents = new Map<string, Buffer[]>()
  const open = () => opened(t, folder, { onFault: ({ code }) => void t.equal(code, 'STORE_DAMAGED') })
  let store = open()
  let next = 1
  const sendSome = async (some: Buffer[]) => {
    const id = idOf(next++)
    await send(store, some, { id })
    // One of them may have been lost in between.
    await store.seal(id, Buffer.from(id)).then(
      () => contents.set(id, some),
      () => store.remove(id),
    )
  }
  let works: Promise<unknown>[] = []
  const begin = (work: Promise<unknown>) => void works.push(work.catch(({ code }) => t.equal(code, 'STORE_CLOSED')))
  for (let round = 0; round < 150; round++) {
    for (let i = random.below(4); i >= 0; i--) {
      const pick = () => random.pick(chunks)
      const kind = random.below(4)
      if (kind < 2) begin(sendSome(Array.from({ length: 1 + random.below(4) }, pick)))
      if (kind === 2) begin(store.damaged(digestOf(pick())))
      const gone = random.oneIn(3) ? random.pick([...contents.keys(), '']) : ''
      if (contents.delete(gone)) begin(store.remove(gone))
    }
    if (random.oneIn(2)) await Promise.all(works)
    if (!random.oneIn(15)) continue
    await store.close()
    await Promise.all(works)
    works = []
    t.strictSame(await wrongIn(folder), [])
    store = open()
    for (const id of contents.keys()) if (store.get(id) === null) contents.delete(id)
  }
  await Promise.all(works)
  for (const { id } of store.all()) if (!contents.has(id)) await store.remove(id)
  await send(store, chunks, { id: idOf(0) })
  const whole = (id: string, has: readonly Buffer[]) => {
    const parts = store.parts(id, 0, 100)
    return store.get(id)?.state === 'sealed' && has.every((bytes, i) => parts[i]?.digest.equals(digestOf(bytes)))
  }
  for (const [id, has] of contents) {
    for (let i = 0; i < 30_000 && !whole(id, has); i++) await new Promise((resolve) => setTimeout(resolve, 2))
    t.ok(whole(id, has), `${id} is whole`)
  }
  t.ok(contents.size > 10, `${contents.size} contents`)
  await store.close()
  t.strictSame(await wrongIn(folder), [])
})

t.test('a segment file is lost, and the store is closed while that is worked off', async (t) => {
  const folder = t.testdir()
  const store = opened(t, folder)
  const chunks = Array.from({ length: 30 }, () => some())
  await send(store, chunks, { id: idOf(1) })
  await store.close()
  const lost = readdirSync(join(folder, 'segments')).sort()[0] as string
  rmSync(join(folder, 'segments', lost))
  const report = await checkContents(folder)
  t.ok(report.damaged.length > 5, `${report.damaged.length} chunks in it`)
  const again = opened(t, folder, { onFault: () => undefined })
  const doomed = report.damaged.map(({ digest }) => Buffer.from(digest, 'hex'))
  for (const digest of doomed) await t.rejects(again.read(digest), { code: 'STORE_DAMAGED', where: /^chunk [0-9a-f]/ })
  const given = doomed.map((digest) => again.damaged(digest).catch(({ code }) => t.equal(code, 'STORE_CLOSED')))
  while (again.usage().chunks > chunks.length - doomed.length) await new Promise((resolve) => setImmediate(resolve))
  t.equal(again.parts(idOf(1), 0, 100).length, chunks.length - doomed.length, 'missing at once')
  await again.close()
  await Promise.all(given)
  const third = opened(t, folder)
  while (third.get(idOf(1))?.chunks !== chunks.length - doomed.length) await new Promise((r) => setImmediate(r))
  await third.close()
  t.strictSame(await wrongIn(folder), [])
})

t.test('what is found damaged while it is moved', async (t) => {
  const folder = t.testdir()
  const faults: Fault[] = []
  const store = opened(t, folder, { onFault: (fault) => void faults.push(fault) })
  const chunks = Array.from({ length: 60 }, () => some())
  for (const [i, bytes] of chunks.entries()) await send(store, [bytes], { id: idOf(i) })
  for (let i = 0; i < 60; i += 4) damage(folder, chunks[i] as Buffer)
  for (let i = 0; i < 60; i++) if (i % 4 !== 0) await store.remove(idOf(i))
  for (let i = 0; i < 12_000 && faults.length === 0; i++) await new Promise((resolve) => setTimeout(resolve, 5))
  t.ok(faults.length > 0 && faults.every(({ code }) => code === 'STORE_DAMAGED'), `${faults.length} faults`)
  await store.close()
  const { damaged, problems } = await checkContents(folder)
  t.strictSame(problems, [])
  t.ok(damaged.length < 15, `${damaged.length} not found yet`)
})

t.test('the bound is reached', async (t) => {
  const folder = t.testdir()
  const faults: Fault[] = []
  const store = opened(t, folder, { bytesMax: 24 * 1024 * KIB, onFault: (fault) => void faults.push(fault) })
  t.equal(store.freeFor(1024 * KIB), null)
  t.match(store.freeFor(24 * 1024 * KIB), { code: 'STORE_FULL', message: /contents\.bytesMax/ })
  await untilFull(t, store, null)
  t.match(faults[0], { code: 'STORE_FULL' })
  t.match(store.freeFor(KIB * KIB), { code: 'STORE_FULL' })
})

t.test('a full disk', { skip: cannotMount() }, async (t) => {
  const path = mkdtempSync(join(tmpdir(), 'causeway-contents-'))
  t.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'causeway-contents-test', path]).status, 0)
  try {
    const folder = join(path, 'contents')
    const store = opened(t, folder, { segmentBytes: 1024 * KIB, onFault: () => undefined })
    await untilFull(t, store, () => writeFileSync(join(path, 'other'), Buffer.alloc(freeBytes(path))))
    await store.close()
    t.strictSame(await wrongIn(folder), [])
  } finally {
    t.equal(spawnSync('umount', [path]).status, 0)
    rmdirSync(path)
  }
})

/**
 * Fills a store, takes half away, and fills it again. `more`: someone else takes the rest of the disk. To its last block,
 * so that nothing can be copied together before a whole file is free.
 */
async function untilFull(t: Test, store: ContentStore, more: (() => void) | null): Promise<void> {
  const stored = new Map<string, Buffer>()
  let next = 0
  const fill = async () => {
    const before = stored.size
    const filling = async () => {
      for (;;) {
        const bytes = some(200 * KIB)
        const id = idOf(next++)
        await store.begin(infoOf({ id, size: bytes.length }))
        await store.add(id, 0, chunkOf(bytes))
        stored.set(id, bytes)
      }
    }
    await t.rejects(filling(), { code: 'STORE_FULL', details: { retry: true } })
    return stored.size - before
  }
  t.ok((await fill()) > 40, `${stored.size} contents`)
  more?.()
  for (const bytes of stored.values()) t.ok((await store.read(digestOf(bytes))).bytes.equals(bytes))
  const doomed = [...stored.keys()].filter((_, i) => (more === null ? i % 2 === 0 : i < stored.size / 2))
  for (const id of doomed) {
    await store.remove(id)
    stored.delete(id)
  }
  // Compaction makes room of what was freed all over the files.
  let again = 0
  for (let i = 0; i < 6000 && again < doomed.length / 2; i++) {
    again += await fill()
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  t.ok(again >= doomed.length / 2, `${again} in place of ${doomed.length}`)
  for (const bytes of stored.values()) t.ok((await store.read(digestOf(bytes))).bytes.equals(bytes))
}

t.test('bits turned over anywhere in the rows are told', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const folder = t.testdir()
  const store = opened(t, folder)
  await send(
    store,
    Array.from({ length: 20 }, () => some(1000)),
    { id: idOf(1), origin: ORIGIN },
  )
  await store.close()
  const file = join(folder, 'store.mdb')
  const rows = readFileSync(file)
  // In all its versions: pages that are free now still hold earlier ones. Its length is before it in this row alone.
  const bit = random.below(200 * 8)
  for (let at = rows.indexOf(ORIGIN); at >= 0; at = rows.indexOf(ORIGIN, at + ORIGIN.length))
    if (rows[at - 1] === ORIGIN.length) flipBit(file, at * 8 + bit)
  t.match(await wrongIn(folder), [/content number 1: something read back/])
  const again = opened(t, folder)
  t.throws(() => again.get(idOf(1)), { code: 'STORE_DAMAGED' })
  t.strictSame([...again.all()], [])
  await again.remove(idOf(1))
  t.match(again.usage(), { contents: 0, chunks: 0, liveBytes: 0 })
  await again.close()
  t.strictSame(await wrongIn(folder), [])
})

t.test('a chunk whose row is damaged is stored anew, and holds nothing up', async (t) => {
  const folder = t.testdir()
  const store = opened(t, folder)
  const bytes = some(1000)
  const digest = digestOf(bytes)
  await send(store, [bytes], { id: idOf(1) })
  await store.close()
  const file = join(folder, 'store.mdb')
  const rows = readFileSync(file)
  // Chunk and part name it: turned over wherever a chunk's row is, which begins 24 bytes before.
  for (let at = rows.indexOf(digest); at >= 0; at = rows.indexOf(digest, at + 1)) {
    const reference = at >= 24 && rows[at - 24] === 1 && rows.readUInt32LE(at - 14) === 1000
    if (reference) flipBit(file, (at - 4) * 8)
  }
  t.match(await wrongIn(folder), [/chunk number 1: something read back/])
  const again = opened(t, folder)
  t.notOk(again.has(digest))
  await t.rejects(again.read(digest), { code: 'STORE_DAMAGED' })
  await send(again, [bytes, bytes], { id: idOf(2) })
  t.ok((await again.read(digest)).bytes.equals(bytes))
  await again.remove(idOf(1))
  t.ok((await again.read(digest)).bytes.equals(bytes))
  await again.remove(idOf(2))
  t.notOk(again.has(digest))
  t.match(again.usage(), { contents: 0, chunks: 0, liveBytes: 0 })
})
