// Damage: found, named, mended, and never in the way of what is sound.

import { existsSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Fault } from '#protocol/base/mod.ts'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { openBatch } from '#protocol/codec/mod.ts'
import { type BatchRow, describeBatch, encodeBatchRow } from './batch-row.ts'
import { Batches } from './batches.ts'
import { checkStore, describeDamage } from './check.ts'
import { compactStore } from './compact.ts'
import { flipBit, sealed } from './disk.testing.ts'
import { Engine } from './engine.ts'
import { decodeEntry, encodeEntry, type NewEntry } from './entry.ts'
import { decodeLaneState } from './lane.ts'
import { encodeVersion, STORE_VERSION } from './migrate.ts'
import { repairStore } from './repair.ts'

const MIB = 1024 * 1024
const QUEUES = ['q', 'other']

type Stored = {
  readonly seq: number
  readonly bytes: Buffer
  /** Where it lies in the segments; of a small one, which does not, nothing. */
  readonly row: BatchRow
  readonly queues: readonly number[]
}

const open = (dataDir: string) => Engine.open(join(dataDir, 'store'), 256 * MIB, { segmentBytes: MIB, freeBytesMin: 0 })

/**
 * A store with two queues; the batches of every third go to both. Rows as the store writes them, without it. Each has two
 * messages: with bodies of 10,000 bytes it goes to a segment, with 7,000 into its row.
 */
async function made(t: Test, count: number, bodyBytes = 10_000): Promise<{ dataDir: string; stored: Stored[] }> {
  const dataDir = t.testdir()
  const engine = open(dataDir)
  const batches = new Batches(engine, 0)
  const [meta, queues, entries] = [engine.table('meta'), engine.table('queues'), engine.table('entries')]
  const sign = () => {
    meta.put('version', encodeVersion(STORE_VERSION))
    for (const [i, name] of QUEUES.entries()) queues.put(i + 1, Buffer.from(JSON.stringify({ id: i + 1, name })))
  }
  await engine.append(0, { write: sign, done: () => undefined })
  const tails = [0, 0, 0]
  const stored: Stored[] = []
  for (let i = 0; i < count; i++) {
    const { bytes } = sealed({ firstSeq: 1 + i * 2, count: 2, stream: `s${i % 3}`, bodyBytes: bodyBytes + i })
    const to = i % 3 === 0 ? [1, 2] : [1]
    const batch = batches.add(bytes, to.length)
    const write = () => {
      batch.write()
      for (const queue of to) {
        entries.put([queue, 0, tails[queue] as number], encodeEntry(entryOf(batch.seq, bytes.length)))
        tails[queue] = (tails[queue] as number) + 2
      }
    }
    await engine.append(0, { write, done: batch.done }, batch.blob)
    stored.push({ seq: batch.seq, bytes, row: batches.row(batch.seq) as BatchRow, queues: to })
  }
  await engine.close()
  return { dataDir, stored }
}

function entryOf(batchSeq: number, bytes: number): NewEntry {
  const rest = { expiresAtMs: 0, attempts: 0, receiptFlags: 0, home: null, note: '', backNote: '', selection: null }
  return { batchSeq, count: 2, bytes, storedAtMs: 1, ...rest }
}

const pathOf = (dataDir: string, { place }: BatchRow) =>
  join(dataDir, 'store', 'segments', `${String(place.segment).padStart(8, '0')}.seg`)

/** What can be read, by number; the others' faults. */
async function readAll(dataDir: string, stored: readonly Stored[]): Promise<Map<number, Buffer | string>> {
  const engine = open(dataDir)
  const batches = new Batches(engine, 0)
  const read = new Map<number, Buffer | string>()
  for (const { seq } of stored) {
    try {
      read.set(seq, batches.get(seq))
    } catch (error) {
      read.set(seq, String((error as Fault).where))
    }
  }
  await engine.close()
  return read
}

for (const bodyBytes of [10_000, 7000]) {
  t.test(`a sound store with bodies of ${bodyBytes} bytes`, (t) => isSound(t, bodyBytes))
}

async function isSound(t: Test, bodyBytes: number): Promise<void> {
  const { dataDir, stored } = await made(t, 20, bodyBytes)
  const phases = new Set<string>()
  const report = await checkStore(dataDir, { onProgress: ({ phase }) => phases.add(phase) })
  t.match(report, { ok: true, batches: 20, references: 27, damaged: [], problems: [], version: STORE_VERSION })
  t.equal(
    report.bytes,
    stored.reduce((sum, { bytes }) => sum + bytes.length, 0),
  )
  t.ok(phases.has('queues'))
  t.same(JSON.parse(JSON.stringify(report)), report)
  const { lines, after, lost } = await repairStore(dataDir)
  t.strictSame([lines, lost, after.ok], [[], [], true])
  await t.rejects(checkStore(join(dataDir, 'nowhere')), { code: 'STORE_MISSING' })
  t.notOk(existsSync(join(dataDir, 'nowhere')), 'looking makes nothing')
  const engine = open(dataDir)
  await t.rejects(checkStore(dataDir), { code: 'STORE_IN_USE' })
  await engine.close()
}

t.test('one flipped bit anywhere in a record: found, named, the others served', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const { dataDir, stored } = await made(t, 12)
  for (let round = 0; round < 40; round++) {
    const victim = random.pick(stored)
    const { place, name } = victim.row
    const used = 32 + place.bytes
    const bit = 8 * place.offset + random.below(8 * used)
    flipBit(pathOf(dataDir, victim.row), bit)
    const read = await readAll(dataDir, stored)
    for (const { seq, bytes } of stored) {
      const got = read.get(seq)
      if (seq !== victim.seq && !bytes.equals(got as Buffer)) t.fail(`bit ${bit}: batch ${seq} is gone too`)
    }
    t.match(read.get(victim.seq), new RegExp(`batch ${victim.seq} of agent/${name.stream}, epoch 1, ${name.firstSeq}–`))
    const { damaged, ok } = await checkStore(dataDir)
    t.notOk(ok)
    t.strictSame(
      damaged.map(({ batch, origin, stream, firstSeq, lastSeq }) => [batch, origin, stream, firstSeq, lastSeq]),
      [[victim.seq, 'agent', name.stream, name.firstSeq, name.firstSeq + 1]],
      `bit ${bit - 8 * place.offset} of batch ${victim.seq}`,
    )
    flipBit(pathOf(dataDir, victim.row), bit)
  }
  t.ok((await checkStore(dataDir)).ok)
})

/** Where the row of a small batch stands in LMDB's file: in leaves also in pages that are free again. */
async function placesOfRow(dataDir: string, seq: number): Promise<{ row: Buffer; at: number[] }> {
  const engine = open(dataDir)
  const row = engine.table('inline').get(seq) as Buffer
  await engine.close()
  const file = readFileSync(fileOf(dataDir))
  const at: number[] = []
  for (let next = file.indexOf(row); next >= 0; next = file.indexOf(row, next + 1)) at.push(next)
  return { row, at }
}

const fileOf = (dataDir: string) => join(dataDir, 'store', 'store.mdb')

for (const bodyBytes of [20, 3000, 7000]) {
  t.test(`one flipped bit anywhere in a row with bodies of ${bodyBytes} bytes`, async (t) => {
    const seed = testSeed()
    t.comment(`SEED=${seed}`)
    const random = new Random(seed)
    const { dataDir, stored } = await made(t, 12, bodyBytes)
    // The row's own part is small: it comes at least as often as the batch.
    const own = 8 * 40
    for (let round = 0; round < 20; round++) {
      const victim = random.pick(stored)
      const { row, at } = await placesOfRow(dataDir, victim.seq)
      t.ok(at.length > 0, 'it stands in the file as it was given')
      const bit = random.below(round % 2 === 0 ? own : 8 * row.length)
      for (const place of at) flipBit(fileOf(dataDir), 8 * place + bit)
      const read = await readAll(dataDir, stored)
      for (const { seq, bytes } of stored) {
        if (seq !== victim.seq && !bytes.equals(read.get(seq) as Buffer)) t.fail(`bit ${bit}: batch ${seq} is gone too`)
      }
      const { head } = openBatch(victim.bytes)
      t.equal(read.get(victim.seq), `batch ${victim.seq} of ${describeBatch(head)}`, `bit ${bit}`)
      const { damaged, ok } = await checkStore(dataDir)
      t.notOk(ok)
      t.match(damaged, [{ batch: victim.seq, origin: 'agent', stream: head.stream, firstSeq: head.firstSeq }])
      t.equal(damaged.length, 1, `bit ${bit} of batch ${victim.seq}`)
      for (const place of at) flipBit(fileOf(dataDir), 8 * place + bit)
    }
    t.ok((await checkStore(dataDir)).ok)
  })
}

t.test('repair: small batches that are damaged, and rows that are gone', async (t) => {
  const { dataDir, stored } = await made(t, 12, 7000)
  const [gone, nameOnly, both, missing] = [1, 4, 7, 9].map((i) => stored[i]) as [Stored, Stored, Stored, Stored]
  const engine = open(dataDir)
  const table = engine.table('inline')
  const spoilt = ({ seq }: Stored, ...at: number[]) => {
    const row = Buffer.from(table.get(seq) as Buffer)
    for (const byte of at) row[byte] = (row[byte] as number) ^ 16
    table.put(seq, row)
  }
  const write = () => {
    spoilt(gone, 5000)
    spoilt(nameOnly, 3)
    spoilt(both, 0, 60)
    table.remove(missing.seq)
  }
  await engine.append(0, { write, done: () => undefined })
  await engine.close()
  const { before, rescued, lost, after } = await repairStore(dataDir)
  t.equal(before.damaged.length, 4)
  t.strictSame(rescued, [nameOnly.seq])
  const named = new Map(lost.map((damage) => [damage.batch, damage]))
  t.strictSame(
    [...named.keys()].sort((a, b) => a - b),
    [gone.seq, both.seq, missing.seq],
  )
  t.match(named.get(gone.seq), { origin: 'agent', stream: 's1', firstSeq: 3, lastSeq: 4 })
  t.match(named.get(both.seq), { origin: null, places: [{ queue: 'q', messages: 2 }] }, 'nothing says it any more')
  t.match(named.get(missing.seq), { origin: null, places: [{ queue: 'q' }, { queue: 'other' }] })
  t.ok(after.ok, after.problems.join(', '))
  t.equal(after.batches, 9)
  const read = await readAll(dataDir, stored)
  for (const { seq, bytes } of stored) if (!named.has(seq)) t.ok(bytes.equals(read.get(seq) as Buffer))
})

t.test('repair: what is lost is named and taken out, the rest stays', async (t) => {
  const { dataDir, stored } = await made(t, 12)
  const gone = stored[3] as Stored
  const headerOnly = stored[7] as Stored
  flipBit(pathOf(dataDir, gone.row), 8 * (gone.row.place.offset + 1000))
  flipBit(pathOf(dataDir, headerOnly.row), 8 * (headerOnly.row.place.offset + 9))
  const { before, after, lost, rescued, lines } = await repairStore(dataDir)
  t.equal(before.damaged.length, 2)
  t.strictSame(rescued, [headerOnly.seq], 'only the header of its record was damaged')
  t.match(lost, [{ batch: gone.seq, origin: 'agent', stream: 's0', firstSeq: 7, lastSeq: 8 }])
  t.strictSame(
    lost[0]?.places.map(({ queue, from, to }) => [queue, from, to]),
    [
      ['q', 6, 8],
      ['other', 2, 4],
    ],
  )
  t.match(lines.join('\n'), /lost: batch 4 of agent\/s0, epoch 1, 7–8/)
  t.ok(after.ok, after.problems.join(', '))
  t.equal(after.batches, 11)
  const read = await readAll(dataDir, stored)
  for (const { seq, bytes } of stored) if (seq !== gone.seq) t.ok(bytes.equals(read.get(seq) as Buffer))
  const engine = open(dataDir)
  t.strictSame(decodeLaneState(engine.table('states').get([1, 0])).settled.above, [[6, 8]])
  t.match(JSON.parse(String(engine.table('lost').get(gone.seq))), { stream: 's0', firstSeq: 7 })
  await engine.close()
})

t.test('repair: a row that is damaged or missing is found again in the segments', async (t) => {
  const { dataDir, stored } = await made(t, 12)
  const [torn, missing, foreign] = [stored[2], stored[5], stored[8]] as [Stored, Stored, Stored]
  const engine = open(dataDir)
  const table = engine.table('batches')
  const row = Buffer.from(table.get(torn.seq) as Buffer)
  row[20] = (row[20] as number) ^ 4
  const { place, name } = foreign.row
  const write = () => {
    table.put(torn.seq, row)
    table.remove(missing.seq)
    table.put(foreign.seq, encodeBatchRow({ place: { ...place, offset: place.offset + 64 }, name }))
  }
  await engine.append(0, { write, done: () => undefined })
  await engine.close()
  const report = await checkStore(dataDir)
  t.strictSame(
    report.damaged.map(({ batch }) => batch).sort((a, b) => a - b),
    [torn.seq, missing.seq, foreign.seq],
  )
  t.ok(report.damaged.every((damage) => describeDamage(damage).length > 20))
  const { rescued, lost, after } = await repairStore(dataDir)
  t.strictSame(
    rescued.toSorted((a, b) => a - b),
    [torn.seq, missing.seq, foreign.seq],
  )
  t.strictSame([lost, after.ok], [[], true])
  const read = await readAll(dataDir, stored)
  for (const { seq, bytes } of stored) t.ok(bytes.equals(read.get(seq) as Buffer))
})

t.test('repair: counts, entries and positions that contradict', async (t) => {
  const { dataDir } = await made(t, 9)
  const engine = open(dataDir)
  const [entries, shares] = [engine.table('entries'), engine.table('shares')]
  const two = Buffer.from([2, 0, 0, 0])
  const write = () => {
    entries.remove([1, 0, 4])
    entries.put([1, 0, 8], Buffer.from([0xff]))
    shares.put(2, two)
    shares.put(77, two)
  }
  await engine.append(0, { write, done: () => undefined })
  await engine.close()
  const { problems } = await checkStore(dataDir)
  t.match(problems.join('\n'), /queue q, lane 0: the entry at position 8 is unreadable/)
  t.match(problems.join('\n'), /queue q, lane 0: positions 4–5 are neither/)
  t.match(problems.join('\n'), /batch 2 has 1 references and counts 2/)
  t.match(problems.join('\n'), /batch 3 has 0 references and counts 1/)
  t.match(problems.join('\n'), /batch 77 has 0 references and counts 2/)
  const { after, lines } = await repairStore(dataDir)
  t.strictSame(after.problems, [])
  t.match(lines.join('\n'), /lost: queue q, lane 0, positions 4–5/)
  const mended = open(dataDir)
  t.equal(mended.table('batches').get(3), undefined)
  t.equal(mended.table('batches').keys().length, 7)
  await mended.close()
})

t.test('compact: rows and segments take what they need', async (t) => {
  const { dataDir, stored } = await made(t, 300, 15_000)
  const engine = open(dataDir)
  const batches = new Batches(engine, 0)
  engine.segments.frozen = true
  const entries = engine.table('entries')
  const kept = stored.filter((_, i) => i % 10 === 1)
  const numbers = new Set(kept.map(({ seq }) => seq))
  for (const { seq, queues } of stored) {
    if (!numbers.has(seq)) for (const _ of queues) await engine.maintain(batches.release(seq))
  }
  const write = () => {
    for (const key of entries.keys()) {
      if (!numbers.has(decodeEntry(entries.get(key) as Buffer).batchSeq)) entries.remove(key)
    }
  }
  await engine.append(0, { write, done: () => undefined })
  await engine.close()
  const phases: string[] = []
  const result = await compactStore(dataDir, { onProgress: ({ phase }) => void phases.push(phase) })
  t.strictSame(phases, ['segments', 'rows'])
  t.ok(result.segmentBytesAfter < result.segmentBytesBefore / 3, JSON.stringify(result))
  t.ok(result.rowsBytesAfter < result.rowsBytesBefore)
  t.equal(statSync(join(dataDir, 'store', 'store.mdb')).size, result.rowsBytesAfter)
  const read = await readAll(dataDir, kept)
  for (const { seq, bytes } of kept) t.ok(openBatch(read.get(seq) as Buffer).bytes.equals(bytes))
  t.strictSame((await checkStore(dataDir)).damaged, [])
})

t.test('compact: small batches stay, and their file becomes small', async (t) => {
  const { dataDir, stored } = await made(t, 300, 7000)
  const engine = open(dataDir)
  const batches = new Batches(engine, 0)
  const entries = engine.table('entries')
  const kept = stored.slice(-10)
  for (const { seq, queues } of stored.slice(0, -10)) {
    for (const _ of queues) await engine.maintain(batches.release(seq))
  }
  const write = () => {
    for (const key of entries.keys()) {
      if (decodeEntry(entries.get(key) as Buffer).batchSeq < (kept[0]?.seq ?? 0)) entries.remove(key)
    }
  }
  await engine.append(0, { write, done: () => undefined })
  await engine.close()
  const result = await compactStore(dataDir)
  t.ok(result.rowsBytesAfter < result.rowsBytesBefore / 5, JSON.stringify(result))
  t.equal(result.segmentBytesAfter, 0)
  const read = await readAll(dataDir, kept)
  for (const { seq, bytes } of kept) t.ok(bytes.equals(read.get(seq) as Buffer))
  t.match(await checkStore(dataDir), { damaged: [], batches: 10, unusedBytes: 0 })
})

t.test('a whole segment is gone', async (t) => {
  const { dataDir, stored } = await made(t, 100, 15_000)
  const victim = stored[10]?.row as BatchRow
  rmSync(pathOf(dataDir, victim))
  const lostNow = stored.filter(({ row }) => row.place.segment === victim.place.segment)
  const { lost, after } = await repairStore(dataDir)
  t.strictSame(
    lost.map(({ batch }) => batch),
    lostNow.map(({ seq }) => seq),
  )
  t.ok(after.ok)
  t.equal(after.batches, stored.length - lostNow.length)
})
