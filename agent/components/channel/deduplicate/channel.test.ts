import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { millis } from '#protocol/base/mod.ts'
import type { ComponentContext, Item, Row, Value } from '../../contract.ts'
import { collector, itemsOf, randomFrom, settingsOf, testContext } from '../../support/testing.ts'
import { SeenKeys } from './keys.ts'
import { DeduplicateChannel, deduplicateSettings } from './mod.ts'

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))

const make = (context: ComponentContext, settings: object) =>
  new DeduplicateChannel(settingsOf(deduplicateSettings, settings), context)

/** The refs that pass, in a channel of its own. */
async function passing(root: string, settings: object, items: readonly Item[]) {
  const channel = make(testContext(root), settings)
  await channel.open(null)
  const { rejects, reject, codes } = collector()
  const refs = (await channel.process(items, reject)).map(({ ref }) => ref)
  await channel.close()
  return { refs, rejects, codes: codes() }
}

t.test('the same by key, by document, by the whole row', async (t) => {
  const root = t.testdir({})
  const rows: Row[] = [
    { a: 1, b: 'x' },
    { b: 'x', a: 1 },
    { a: 1, b: 'y' },
    { a: '1', b: 'x' },
    { a: 1n, b: 'x' },
    { a: null, b: 'x' },
    { b: 'z' },
  ]
  t.same(
    (await passing(root, {}, itemsOf(rows))).refs,
    [1, 3, 4, 6, 7],
    'whole rows, whatever the order of their fields',
  )
  const byKey = await passing(root, { key: 'a' }, itemsOf(rows))
  t.same(
    [byKey.refs, byKey.codes],
    [
      [1, 4],
      ['DEDUPLICATE_KEY_MISSING', 'DEDUPLICATE_KEY_MISSING'],
    ],
  )
  t.same((await passing(root, { key: ['b'] }, itemsOf(rows))).refs, [1, 3, 7])
  const strict = await passing(root, { key: 'b', duplicates: 'reject' }, itemsOf(rows))
  t.same(
    strict.rejects.map(({ item, fault }) => [item.ref, fault.code]),
    [2, 4, 5, 6].map((ref) => [ref, 'DEDUPLICATE_SEEN']),
  )

  writeFileSync(join(root, 'a'), 'same')
  const file = (text: string, ref: number): Item => ({
    row: { name: `${ref}` },
    ref,
    content: { kind: 'bytes', bytes: Buffer.from(text) },
  })
  const documents = await passing(root, { bytesMax: 10 }, [
    file('same', 1),
    file('other', 2),
    file('same', 3),
    file('far too large', 4),
  ])
  t.same([documents.refs, documents.codes], [[1, 2], ['DOCUMENT_TOO_LARGE']])
  const inField = await passing(root, { field: 'd' }, itemsOf([{ d: 'x', n: 1 }, { d: 'x', n: 2 }, { d: 1 }]))
  t.same([inField.refs, inField.codes], [[1], ['DOCUMENT_MISSING']])
})

t.test('values nested without end are refused, not read', async (t) => {
  const nested = (levels: number): Value => {
    let value: Value = 1
    for (let i = 0; i < levels; i += 1) value = i % 2 === 0 ? [value] : { a: value }
    return value
  }
  const rows: Row[] = [{ v: nested(512) }, { v: nested(10_000) }, { v: 1 }]
  const { refs, codes } = await passing(t.testdir({}), {}, itemsOf(rows))
  t.same([refs, codes], [[1, 3], ['ROW_TOO_DEEP']])
})

t.test('number kept and time, also over restarts', async (t) => {
  const root = t.testdir({})
  let nowMs = 0
  const at = (wallMs: number): ComponentContext => ({
    ...testContext(root),
    clock: { nowMs: () => millis(nowMs), wallMs: () => millis(wallMs + nowMs) },
  })
  const settings = { key: 'a', windowMs: 1_000, keysMax: 3 }
  let channel = make(at(0), settings)
  await channel.open(null)
  const run = async (...keys: string[]) =>
    (await channel.process(itemsOf(keys.map((a) => ({ a }))), () => t.fail())).map(({ row }) => row.a).join('')
  t.equal(await run('a', 'b', 'a', 'c'), 'abc')
  let state = await channel.save()
  t.equal(await run('a', 'b', 'c'), '')
  t.equal(await channel.save(), state, 'nothing is written when all was known')
  t.equal(await run('d', 'a', 'b'), 'dab', 'a was the oldest; then b was')
  state = await channel.save()
  nowMs = 999
  t.equal(await run('a', 'b', 'd'), '')
  t.equal(await channel.save(), state)
  await channel.close()

  nowMs = 0
  channel = make(at(999), settings)
  await channel.open(state)
  t.equal(await run('d', 'b'), '', 'known after a restart')
  nowMs = 1
  t.equal(await run('d', 'b'), 'db', 'for its time')
  state = await channel.save()
  await channel.close()

  channel = make(at(-1_000_000), settings)
  await channel.open(state)
  t.equal(await run('d', 'b'), '', 'a clock set back makes nothing forgotten')
  await channel.close()
})

t.test('a call that is repeated before its save gives the same', async (t) => {
  const channel = make(testContext(t.testdir({})), { key: 'a' })
  await channel.open(null)
  const run = async (...keys: number[]) =>
    (await channel.process(itemsOf(keys.map((a) => ({ a }))), () => t.fail())).length
  t.equal(await run(1, 2), 2)
  t.equal(await run(1, 2), 2)
  await channel.save()
  t.equal(await run(2, 3), 1)
  t.equal(await run(2, 3), 1)
  t.same(await channel.process([], () => t.fail()), [])
  await channel.close()
})

t.test('the same as a list of the last keys, with restarts at any point', async (t) => {
  t.comment(`SEED=${SEED}`)
  const random = randomFrom(SEED)
  const context = testContext(t.testdir({}))
  const settings = { key: 'k', keysMax: 20 }
  let channel = make(context, settings)
  await channel.open(null)
  let committed = await channel.save()
  let known: number[] = []
  for (let portion = 0; portion < 300; portion += 1) {
    const model = [...known]
    const wanted: number[] = []
    const keys = Array.from({ length: Math.floor(random() * 8) }, () => Math.floor(random() * 40))
    for (const key of keys) {
      if (model.includes(key)) continue
      wanted.push(key)
      model.push(key)
      if (model.length > 20) model.shift()
    }
    const passed = await channel.process(itemsOf(keys.map((k) => ({ k }))), () => t.fail())
    t.same(
      passed.map(({ row }) => row.k),
      wanted,
    )
    const state = random() < 0.8 ? await channel.save() : null
    if (state !== null && random() < 0.8) {
      await channel.committed(state)
      committed = state
      known = model
    } else {
      // It ended before the commit.
      await channel.close()
      channel = make(context, settings)
      await channel.open(committed)
    }
  }
  await channel.close()
})

t.test('bytes of memory for a key', async (t) => {
  const keys = new SeenKeys(200_000)
  const before = process.memoryUsage().heapUsed
  const random = Buffer.alloc(16)
  for (let i = 0; i < 200_000; i += 1) {
    random.writeUInt32LE(i, 0)
    keys.add(random.toString('latin1'), Math.floor(i / 100) + 0.5)
  }
  const each = (process.memoryUsage().heapUsed - before) / keys.size
  t.comment(`${each.toFixed(0)} bytes`)
  t.ok(each < 250, 'what was read since the last collection included')
})
