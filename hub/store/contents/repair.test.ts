// Rows of a stopped hub's contents damaged in every way, mended, and what is lost sent again.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { flipBit } from '../disk.testing.ts'
import type { Key } from '../disk.ts'
import { Engine } from '../engine.ts'
import { checkContents } from './check.ts'
import type { ContentStore } from './content-store.ts'
import { chunkOf, digestOf, idOf, KIB, MIB, opened, randomBytes, send, wrongIn } from './contents.testing.ts'
import { repairContents } from './repair.ts'

const TABLES = ['ids', 'contents', 'parts', 'chunks', 'digests', 'owners', 'readers'] as const
type Sent = { readonly id: string; readonly origin: string; readonly chunks: readonly Buffer[] }

async function filled(store: ContentStore, random: Random): Promise<Sent[]> {
  const chunks = Array.from({ length: 10 }, () => randomBytes(random, 2 * KIB))
  const all: Sent[] = []
  for (let number = 1; number <= 8; number++) {
    const some = Array.from({ length: 1 + random.below(5) }, () => random.pick(chunks))
    const sent = { id: idOf(number), origin: random.pick(['a', 'b']), chunks: some }
    await send(store, some, sent)
    await store.seal(sent.id, Buffer.from(sent.id))
    store.readers.admit(sent.id, 'office')
    all.push(sent)
  }
  return all
}

/** Turns a bit of some rows over, and takes some away. Gives the tables. */
async function spoil(folder: string, random: Random): Promise<string[]> {
  const engine = Engine.open(folder, 256 * MIB, { freeBytesMin: 0 })
  const spoilt: string[] = []
  const write = () => {
    for (let i = random.below(6); i >= 0; i--) {
      const name = random.pick([...TABLES])
      const table = engine.table(name)
      const key = random.pick(table.keys()) as Key
      const value = Buffer.from(table.get(key) as Buffer)
      const at = random.below(value.length)
      value[at] = (value[at] as number) ^ (1 << random.below(8))
      spoilt.push(name)
      if (random.oneIn(4)) table.remove(key)
      else table.put(key, value)
    }
  }
  // Tables are opened outside of transactions.
  for (const name of TABLES) engine.table(name)
  await engine.append(0, { write, done: () => undefined })
  await engine.close()
  return spoilt
}

t.test('whatever rows are damaged: mended they agree, and what was sent is whole when it is sent again', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  let mended = 0
  for (let round = 0; round < 25; round++) {
    const folder = join(t.testdir(), String(round))
    const first = opened(t, folder)
    const all = await filled(first, random)
    await first.close()
    const spoilt = await spoil(folder, random)
    const { before, after, lines } = await repairContents(folder)
    t.strictSame([after.ok, after.problems], [true, []], `round ${round}: ${spoilt.join(' ')}`)
    if (!before.ok) mended++
    t.ok(before.ok || lines.length > 0 || before.problems.length > 0)
    t.strictSame(await wrongIn(folder), [])
    const store = opened(t, folder)
    for (const { id, origin, chunks } of all) {
      await send(store, chunks, { id, origin })
      await store.seal(id, Buffer.from(id))
    }
    for (const { id, chunks } of all) {
      const parts = store.parts(id, 0, 100)
      t.ok(
        chunks.every((bytes, i) => parts[i]?.digest.equals(digestOf(bytes))) && store.get(id)?.state === 'sealed',
        id,
      )
    }
    for (const { id } of all) await store.remove(id)
    t.match(store.usage(), { contents: 0, chunks: 0 })
    await store.close()
    t.strictSame(await wrongIn(folder), [])
  }
  t.ok(mended > 10, `${mended} mended`)
})

t.test('a damaged chunk is given up, and comes again with whatever content has it', async (t) => {
  const folder = t.testdir()
  const store = opened(t, folder)
  const bytes = randomBytes(new Random(3), 50 * KIB)
  await send(store, [bytes], { id: idOf(1) })
  await store.seal(idOf(1), Buffer.from('m'))
  await store.close()
  for (const name of readdirSync(join(folder, 'segments'))) {
    const at = readFileSync(join(folder, 'segments', name)).indexOf(bytes)
    if (at >= 0) flipBit(join(folder, 'segments', name), (at + 100) * 8)
  }
  const { before, after, lines } = await repairContents(folder)
  t.match(before, { ok: false, damaged: [{ id: idOf(1), index: 0 }] })
  t.match(after, { ok: true, damaged: [], incomplete: [{ id: idOf(1), chunks: 1 }] })
  t.match(lines, [/^chunk [0-9a-f]{64} is damaged/, /is not whole any more/])
  t.match(await repairContents(folder), { lines: [] }, 'once')
  const again = opened(t, folder)
  t.match(again.get(idOf(1)), { state: 'open', chunks: 0 })
  const healed = new Promise((resolve) => {
    again.onHealed = resolve
  })
  await send(again, [bytes], { id: idOf(2), origin: 'b' })
  t.equal(await healed, idOf(1))
  t.match(again.get(idOf(1)), { state: 'sealed', chunks: 1 })
  await again.add(idOf(1), 0, chunkOf(bytes))
  await again.close()
  t.match(await checkContents(folder), { ok: true, incomplete: [] })
})

t.test('faults', async (t) => {
  await t.rejects(repairContents(join(t.testdir(), 'none')), { code: 'STORE_MISSING' })
  const folder = t.testdir()
  opened(t, folder)
  await t.rejects(repairContents(folder), { code: 'STORE_IN_USE' })
})
