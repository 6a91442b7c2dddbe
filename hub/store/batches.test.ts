// References, the memory bound, and damage.

import t, { type Test } from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import type { BatchRow } from './batch-row.ts'
import { BatchRows } from './batch-rows.ts'
import { Batches } from './batches.ts'
import { flipBit, sealed, store } from './disk.testing.ts'
import { Engine } from './engine.ts'
import { INLINE_BYTES_MAX } from './limits.ts'

const MIB = 1024 * 1024
const NAME = { origin: 'agent', stream: 's', epoch: 1, firstSeq: 1, count: 1 }

function opened(t: Test, cacheBytesMax: number) {
  const engine = Engine.open(t.testdir(), 64 * MIB)
  t.teardown(() => engine.close())
  return {
    engine,
    batches: new Batches(engine, cacheBytesMax),
    rows: new BatchRows(engine),
    shares: engine.table('shares'),
  }
}

const numbers = (rows: BatchRows): number[] => [...rows.all()].map(({ seq }) => seq).sort((a, b) => a - b)

for (const [kind, bodyBytes] of [
  ['small', 8],
  ['large', 10_000],
] as const) {
  t.test(`a ${kind} batch lives as long as somebody refers to it`, (t) => livesAsLongAsReferredTo(t, bodyBytes))
}

async function livesAsLongAsReferredTo(t: Test, bodyBytes: number): Promise<void> {
  const { engine, batches, rows, shares } = opened(t, MIB)
  const { bytes } = sealed({ firstSeq: 1, count: 3, bodyBytes })
  const seq = await store(engine, batches, bytes, 3)
  const release = () => engine.maintain(batches.release(seq))
  await release()
  t.same(shares.get(seq), Buffer.from([2, 0, 0, 0]))
  await engine.maintain(batches.retain(seq))
  t.same(shares.get(seq), Buffer.from([3, 0, 0, 0]))
  await Promise.all([release(), release()])
  t.same(batches.get(seq), bytes)
  await release()
  t.strictSame([numbers(rows), shares.keys()], [[], []])
  t.throws(() => batches.get(seq), { code: 'STORE_DAMAGED' })

  const alone = await store(engine, batches, bytes, 1)
  t.strictSame(shares.keys(), [], 'one reference needs no row')
  await engine.maintain(batches.retain(alone))
  await engine.maintain(batches.release(alone))
  await engine.maintain(batches.release(alone))
  t.strictSame([numbers(rows), shares.keys()], [[], []])
}

t.test('the bound between rows and segments', async (t) => {
  const { engine, batches, rows } = opened(t, 0)
  const rest = sealed({ firstSeq: 1, count: 1, bodyBytes: 1000 }).bytes.length - 1000
  for (const more of [-1, 0, 1]) {
    const { bytes } = sealed({ firstSeq: 1, count: 1, bodyBytes: INLINE_BYTES_MAX - rest + more })
    // Lengths in a batch take a byte more here and there.
    const inline = bytes.length <= INLINE_BYTES_MAX
    const batch = batches.add(bytes, 1)
    t.equal(batch.blob === null, inline, `${bytes.length} bytes`)
    t.equal(batch.rowBytes > bytes.length, inline)
    await engine.append(100 + batch.rowBytes, batch, batch.blob)
    t.equal(batches.row(batch.seq) === null, inline)
    t.equal(rows.stored(batch.seq)?.inline, inline)
    if (inline) t.equal(rows.stored(batch.seq)?.value.length, batch.rowBytes, 'it is what was counted')
    t.ok(batches.has(batch.seq) && batches.get(batch.seq).equals(bytes))
  }
})

t.test('references agree with a count, however they are bundled', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const { engine, batches, rows, shares } = opened(t, 1000)
  const kinds = [8, 20_000].map((bodyBytes) => sealed({ firstSeq: 1, count: 1, bodyBytes }).bytes)
  const model = new Map<number, number>()
  for (let step = 0; step < 1500; step++) {
    const seqs = [...model.keys()]
    if (seqs.length < 20 && random.oneIn(4)) {
      const references = 1 + random.below(4)
      model.set(await store(engine, batches, random.pick(kinds), references), references)
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
    numbers(rows),
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

t.test('a damaged batch is not given out, and is named', async (t) => {
  const folder = t.testdir()
  const engine = Engine.open(folder, 64 * MIB)
  const batches = new Batches(engine, 0)
  const { bytes } = sealed({ firstSeq: 1, count: 2, bodyBytes: 20_000 })
  const seq = await store(engine, batches, bytes, 1)
  const other = await store(engine, batches, bytes, 1)
  const { place } = batches.row(seq) as BatchRow
  const path = engine.segments.files.pathOf(place.segment)
  await engine.close()
  flipBit(path, 8 * (place.offset + place.bytes - 20))
  const again = Engine.open(folder, 64 * MIB)
  t.teardown(() => again.close())
  const read = new Batches(again, MIB)
  t.throws(() => read.get(seq), { code: 'STORE_DAMAGED', where: `batch ${seq} of agent/s, epoch 1, 1–2` })
  t.ok(read.get(other).equals(bytes))
})

for (const bodyBytes of [8, 20_000]) {
  t.test(`a number is never given twice, bodies of ${bodyBytes} bytes`, (t) => givesNoNumberTwice(t, bodyBytes))
}

t.test('nor below one that lies in a row', async (t) => {
  const folder = t.testdir()
  const engine = Engine.open(folder, 64 * MIB)
  const rows = new BatchRows(engine)
  const write = () => rows.putInline(200_000, { bytes: sealed({ firstSeq: 1, count: 1 }).bytes, name: NAME })
  await engine.append(0, { write, done: () => undefined })
  t.equal(new Batches(engine, 0).nextSeq, 200_001)
  await engine.close()
})

async function givesNoNumberTwice(t: Test, bodyBytes: number): Promise<void> {
  const folder = t.testdir()
  const seqs: number[] = []
  for (let start = 0; start < 3; start++) {
    const engine = Engine.open(folder, 64 * MIB)
    const batches = new Batches(engine, 0)
    const seq = await store(engine, batches, sealed({ firstSeq: 1, count: 1, bodyBytes }).bytes, 1)
    await engine.maintain(batches.release(seq))
    seqs.push(seq)
    await engine.close()
  }
  t.ok(
    seqs.every((seq, i) => i === 0 || seq > (seqs[i - 1] as number)),
    seqs.join(' '),
  )
}
