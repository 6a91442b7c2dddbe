import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Item, Row } from '../contract.ts'
import { IsolatedPool } from '../isolation/mod.ts'
import { itemsOf, patiently, testContext } from '../support/testing.ts'
import { testEntries, testThreadEntries } from './entries.testing.ts'
import { type ChainOptions, type ChainResult, chainOf } from './mod.ts'

/** Without a pool, and with one. */
const ways = ['here', 'threads'] as const
type Way = (typeof ways)[number]

/** Removed when what is in it is closed: what is torn down goes backwards. */
function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'causeway-chain-'))
  t.teardown(() => rmSync(path, { recursive: true }))
  return path
}

async function chain(
  t: Test,
  channels: readonly string[],
  options: Partial<ChainOptions> & { way?: Way; timeMs?: number; state?: string | null; root?: string } = {},
) {
  const { way = 'here', timeMs = 60_000, state = null, root = folder(t), ...more } = options
  const pool = way === 'threads' ? new IsolatedPool({ threads: 2, timeMs }) : null
  const context = testContext(root)
  const specs = channels.map((each) => {
    const [type = '', name] = each.split(' ')
    return { type, settings: name === undefined ? {} : { name } }
  })
  const made = chainOf(specs, {
    context,
    entries: testEntries,
    threadEntries: testThreadEntries,
    pool,
    record: false,
    ...more,
  })
  t.teardown(async () => {
    await made.close()
    await pool?.close()
  })
  await made.open(state)
  return Object.assign(made, { logs: context.logs, dataDir: context.dataDir })
}

const shown = ({ items, rejects }: ChainResult) => ({
  items: items.map(({ row, ref }) => [ref, Object.keys(row).join(' ')]),
  rejects: rejects.map(({ item, fault, step, type }) => [item.ref, fault.code, step, type]),
})

for (const way of ways) {
  t.test(`${way}: items pass in order with their refs, failing ones come back as they came in`, async (t) => {
    const made = await chain(t, ['isolated a', 'test b', 'isolated c'], { way })
    const rows: Row[] = [
      { x: 1 },
      { do: 'b refuse' },
      { do: 'a drop' },
      { do: 'a mistake' },
      { do: 'c refuse' },
      { x: 2 },
    ]
    const items: Item[] = rows.map((row, i) => ({ row, ref: `line ${i}` }))
    const result = await made.process(items)
    t.same(shown(result), {
      items: [
        ['line 0', 'x a b c'],
        ['line 5', 'x a b c'],
      ],
      rejects: [
        ['line 3', 'INTERNAL', 1, 'isolated'],
        ['line 1', 'TEST_REFUSED', 2, 'test'],
        ['line 4', 'TEST_REFUSED', 3, 'isolated'],
      ],
    })
    t.ok(
      result.rejects.every(({ item }) => items.includes(item)),
      'as they came in',
    )
    t.same(result.steps, [])
    t.equal(await made.save(), null)
    t.equal(made.dueAtMs(), null)
    t.same(shown(await made.process([])), { items: [], rejects: [] })
  })

  t.test(
    `${way}: of a refused item nothing comes, though its parts pass; one of the same ref is another`,
    async (t) => {
      const made = await chain(t, ['test a', 'isolated b', 'test c'], { way })
      const result = await made.process([
        { row: { do: 'a two' }, ref: 7 },
        { row: { do: 'a two', x: 1 }, ref: 7 },
      ])
      t.equal(result.items.length, 4)
      const late = await chain(t, ['isolated two', 'test x', 'isolated c', 'sum'], { way })
      const twice = await late.process([
        { row: { do: 'c refuse-second', part: 2 }, ref: 7 },
        { row: { n: 1 }, ref: 7 },
      ])
      t.same(shown(twice), { items: [], rejects: [[7, 'TEST_REFUSED', 3, 'isolated']] })
      const split = await chain(t, ['test split', 'isolated late'], { way })
      const parts = (what: string) => ({ do: 'split two', later: what })
      const some = await split.process(itemsOf([parts('a'), parts('b')]))
      t.same(
        some.items.map(({ row, ref }) => [ref, row.part]),
        [
          [1, 1],
          [1, 2],
          [2, 1],
          [2, 2],
        ],
      )
    },
  )

  t.test(`${way}: a fault that is thrown stops the call, and the same call can be made again`, async (t) => {
    const made = await chain(t, ['isolated a'], { way })
    const items = itemsOf([{ x: 1 }, { do: 'a away' }])
    await t.rejects(made.process(items), { code: 'TEST_AWAY', details: { retry: true } })
    t.equal((await made.process(items.slice(0, 1))).items.length, 1)
  })

  t.test(`${way}: what channels throw when they open`, async (t) => {
    await t.rejects(chain(t, ['isolated a', 'isolated unopened'], { way }), { code: 'TEST_UNOPENED' })
  })

  t.test(`${way}: paths, logs and contents`, async (t) => {
    const root = folder(t)
    const made = await chain(t, ['isolated a', 'isolated resolves'], { way, root })
    const download = async () => ({ name: '', mediaType: '', size: 0 })
    const hub = { kind: 'hub', id: 'large', size: 5, download } as const
    const bytes = { kind: 'bytes', bytes: Buffer.from('document') } as const
    const local = { kind: 'local', path: 'x', size: 1, changedMs: 1.5, inode: 2 ** 60 } as const
    const row = { do: 'a log' }
    const { items } = await made.process([
      { row, ref: 1, content: hub },
      { row: {}, ref: 2, content: bytes },
      { row: {}, ref: 3, content: local },
    ])
    t.equal(items[0]?.content, hub, 'put back')
    t.same(items[1]?.content, bytes)
    t.same(items[2]?.content, local)
    t.same(
      made.logs.filter((line) => line.startsWith('warn')),
      ['warn a word {"name":"a"}'],
    )
    t.ok(made.logs.includes(`info ${join(root, 'file.txt')} {}`))
  })
}

t.test('steps are recorded alike, here and in threads', async (t) => {
  const rows: Row[] = Array.from({ length: 300 }, (_, i) => ({
    n: i,
    do: ['', 'b refuse', 'a two', 'c drop'][i % 4] ?? '',
  }))
  const records: unknown[] = []
  for (const way of ways) {
    const made = await chain(t, ['isolated a', 'test b', 'isolated c', 'sum', 'test d'], { way, record: true })
    const { steps } = await made.process(itemsOf(rows))
    t.ok(steps.every(({ ms }) => ms >= 0))
    records.push(steps.map(({ ms: _, ...rest }) => rest))
    t.same(
      steps.map(({ step, type, itemsIn, itemsOut }) => [step, type, itemsIn, itemsOut]),
      [
        [1, 'isolated', 300, 375],
        [2, 'test', 375, 300],
        [3, 'isolated', 300, 225],
        [4, 'sum', 225, 75],
        [5, 'test', 75, 75],
      ],
    )
    for (const [i, { digestIn }] of steps.entries()) if (i > 0) t.equal(digestIn, steps[i - 1]?.digestOut)
  }
  t.same(records[0], records[1])
})

t.test('a defect that no item shows alone is thrown; an item of elsewhere is found out', async (t) => {
  const made = await chain(t, ['test a'])
  await t.rejects(made.process(itemsOf([{ do: 'a mistake-with-others' }, {}])), /too many/)
  t.equal((await made.process(itemsOf([{ do: 'a mistake-with-others' }]))).items.length, 1)
  await t.rejects(made.process(itemsOf([{ do: 'a foreign' }])), /channel 1 \(test\) gave an item.*elsewhere/)
})

t.test('in a thread, a loop and a value that is none are the fault of their item', async (t) => {
  const items = itemsOf([{ x: 1 }, { do: 'b loop' }, { do: 'c undefined' }, { do: 'c loop' }, { x: 2 }])
  const run = async (timeMs: number) => {
    const made = await chain(t, ['test a', 'isolated b', 'test c'], { way: 'threads', timeMs, record: true })
    return await made.process(items)
  }
  const result = await patiently([150, 2_000, 20_000], run, (each) => each.rejects.length === 3)
  t.same(shown(result), {
    items: [
      [1, 'x a b c'],
      [5, 'x a b c'],
    ],
    rejects: [
      [2, 'ISOLATED_TIMEOUT', 2, 'isolated'],
      [3, 'CHAIN_VALUE_UNFIT', 3, 'test'],
      [4, 'ISOLATED_TIMEOUT', 3, 'test'],
    ],
  })
})

t.test('state: kept across calls, saved, given back, told when committed', async (t) => {
  const root = folder(t)
  const numbers = (...n: number[]) => itemsOf(n.map((each) => ({ n: each })))
  const first = await chain(t, ['test a', 'sum', 'test b'], { root })
  t.match(await first.save(), '[["sum",null]]')
  const one = await first.process(numbers(1, 2, 3, 4, 500))
  t.same(shown(one).items, [['channel:sum:1', 'n b']])
  const state = (await first.save()) as string
  t.equal(await first.save(), state)
  await first.committed(state)
  t.ok((first.dueAtMs() ?? 0) > 0)
  // Not saved: after a restart it is as if it had not been.
  await first.process(numbers(9))
  await first.close()

  // A channel more that keeps nothing, before it; and one that keeps something, behind it.
  const second = await chain(t, ['test z', 'test a', 'sum', 'sum', 'test b'], { root, state })
  const two = await second.process(numbers(396, 3, 3, 3))
  t.same(two, { items: [], rejects: [], steps: [] })
  await second.save()
  t.not(second.dueAtMs(), null)
  t.same(shown(await second.due()).items, [['channel:sum:1', 'n b']])
  t.equal(second.dueAtMs(), null)
  t.match(
    readFileSync(join(first.dataDir, 'channels', 'sum-1', 'notes.txt'), 'utf8'),
    /^open null\ncommitted .*\nclose\nopen \{"made":1/,
  )
  await t.rejects(chain(t, ['test a'], { root, state }), { code: 'CHAIN_STATE_FOREIGN' })
})

t.test('what a channel made of what it had kept is refused as it is', async (t) => {
  const made = await chain(t, ['sum', 'test a', 'test b'])
  const items = [600, 400, 1, 1, 1, 1].map((n, i) => ({ row: { n }, ref: i + 1 }))
  const { rejects } = await made.process(items)
  t.match(rejects, [{ step: 1, type: 'sum', item: { row: { n: 1001 }, ref: 'channel:sum:1' } }])
})
