// References, the memory bound, and damage.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { open } from 'lmdb'
import t, { type Test } from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { Batches } from './batches.ts'
import { Engine, type Work } from './engine.ts'
import { sealed } from './testing.ts'

const MIB = 1024 * 1024

function opened(t: Test, cacheBytesMax: number) {
  const engine = Engine.open(t.testdir(), 64 * MIB)
  t.teardown(() => engine.close())
  return {
    engine,
    batches: new Batches(engine, cacheBytesMax),
    rows: engine.table('batches'),
    shares: engine.table('shares'),
  }
}

function store(engine: Engine, batches: Batches, bytes: Buffer, references: number): Promise<number> {
  const seq = batches.nextSeq++
  const work: Work = { write: () => batches.put(seq, bytes, references), done: () => batches.stored(seq, bytes) }
  return engine.append(bytes.length, work).then(() => seq)
}

t.test('a batch lives as long as somebody refers to it', async (t) => {
  const { engine, batches, rows, shares } = opened(t, MIB)
  const { bytes } = sealed({ firstSeq: 1, count: 3 })
  const seq = await store(engine, batches, bytes, 3)
  const release = () => engine.maintain(batches.release(seq))
  await release()
  t.same(shares.get(seq), Buffer.from([2, 0, 0, 0]))
  await engine.maintain(batches.retain(seq))
  t.same(shares.get(seq), Buffer.from([3, 0, 0, 0]))
  await Promise.all([release(), release()])
  t.same(rows.get(seq), bytes)
  await release()
  t.strictSame([rows.keys(), shares.keys()], [[], []])
  t.throws(() => batches.get(seq), { code: 'STORE_DAMAGED' })

  const alone = await store(engine, batches, bytes, 1)
  t.strictSame(shares.keys(), [], 'one reference needs no row')
  await engine.maintain(batches.retain(alone))
  await engine.maintain(batches.release(alone))
  await engine.maintain(batches.release(alone))
  t.strictSame([rows.keys(), shares.keys()], [[], []])
})

t.test('references agree with a count, however they are bundled', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const { engine, batches, rows, shares } = opened(t, 1000)
  const { bytes } = sealed({ firstSeq: 1, count: 1 })
  const model = new Map<number, number>()
  for (let step = 0; step < 1500; step++) {
    const seqs = [...model.keys()]
    if (seqs.length < 20 && random.oneIn(4)) {
      const references = 1 + random.below(4)
      model.set(await store(engine, batches, bytes, references), references)
    } else if (seqs.length > 0) {
      const seq = random.pick(seqs)
      const now = (model.get(seq) as number) + (random.oneIn(2) ? 1 : -1)
      void engine.maintain(now > (model.get(seq) as number) ? batches.retain(seq) : batches.release(seq))
      if (now === 0) model.delete(seq)
      else model.set(seq, now)
    }
    if (random.oneIn(15)) await new Promise((resolve) => setImmediate(resolve))
  }
  await engine.maintain({ write: () => undefined, done: () => undefined })
  t.strictSame(
    rows.keys(),
    [...model.keys()].sort((a, b) => a - b),
  )
  for (const [seq, count] of model) {
    const stored = shares.get(seq)?.readUInt32LE(0) ?? 1
    if (stored !== count) t.fail(`batch ${seq} has ${stored} references, not ${count}`)
  }
  t.equal(shares.keys().filter((seq) => !model.has(seq as number)).length, 0)
})

t.test('memory stays within its bound; what fell out is read and checked', async (t) => {
  const { engine, batches } = opened(t, 5000)
  const made = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const { bytes } = sealed({ firstSeq: i + 1, count: 1, bodyBytes: 700 })
      return { bytes, seq: await store(engine, batches, bytes, 1) }
    }),
  )
  t.ok(batches.cachedBytes > 3000 && batches.cachedBytes <= 5000, `${batches.cachedBytes} bytes`)
  t.equal(batches.get((made.at(-1) as { seq: number }).seq), made.at(-1)?.bytes, 'the last one is the very buffer')
  t.ok(made.every(({ seq, bytes }) => batches.get(seq).equals(bytes)))
  const large = sealed({ firstSeq: 1, count: 1, bodyBytes: 6000 }).bytes
  const before = batches.cachedBytes
  const seq = await store(engine, batches, large, 1)
  t.equal(batches.cachedBytes, before, 'one above the bound drives nothing out')
  t.ok(batches.get(seq).equals(large))
  for (const { seq } of made) await engine.maintain(batches.release(seq))
  t.equal(batches.cachedBytes, 0)
})

t.test('a damaged batch is not given out', async (t) => {
  const folder = join(t.testdir(), 'store')
  mkdirSync(folder)
  const engine = Engine.open(folder, 64 * MIB)
  const { bytes } = sealed({ firstSeq: 1, count: 2, bodyBytes: 100 })
  const seq = await store(engine, new Batches(engine, 0), bytes, 1)
  await engine.close()
  const file = open<Buffer, number>({ path: join(folder, 'store.mdb'), noSubdir: true, encoding: 'binary' })
  const damaged = Buffer.from(bytes)
  damaged[damaged.length - 20] = (damaged.at(-20) as number) ^ 1
  await file.openDB<Buffer, number>({ name: 'batches', encoding: 'binary' }).put(seq, damaged)
  await file.close()
  const again = Engine.open(folder, 64 * MIB)
  t.throws(() => new Batches(again, MIB).get(seq), { code: 'STORE_DAMAGED', where: `batch ${seq}` })
  await again.close()
})
