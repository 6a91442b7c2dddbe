// What `Channel` promises, of every channel: alone, in a chain here, in a chain in a thread.

import t from 'tap'
import { Fault } from '#protocol/base/mod.ts'
import { type ChainResult, chainOf, digestOf } from '../chain/mod.ts'
import type { Channel, Item, Row, Value } from '../contract.ts'
import { IsolatedPool } from '../isolation/mod.ts'
import { builtinComponents } from '../registry.ts'
import { collector, freshFolder, itemsOf, settingsOf, testContext } from '../support/testing.ts'
import { keepingSamples, type Sample, samples } from './samples.testing.ts'

const pool = new IsolatedPool({ timeMs: 120_000 })
t.teardown(() => pool.close())

type Named = Pick<Sample, 'type' | 'settings'>

function entryOf({ type }: Named) {
  const entry = builtinComponents.find((each) => each.kind === 'channel' && each.type === type)
  if (entry?.kind !== 'channel') throw new Error(`no channel ${type}`)
  return entry
}

const specOf = (sample: Named) => ({
  type: sample.type,
  settings: settingsOf(entryOf(sample).settings, sample.settings),
})
const channelOf = (sample: Named, root: string): Channel =>
  entryOf(sample).create(specOf(sample).settings, testContext(root))

/** In a thread the channel is `isolated` by the test, whatever its entry says. */
function chainWith(sample: Named, root: string, way: 'here' | 'thread') {
  const entries = builtinComponents.map((entry) =>
    way === 'thread' && entry.kind === 'channel' ? isolated(entry) : entry,
  )
  const module = new URL('../registry.ts', import.meta.url).href
  return chainOf([specOf(sample)], {
    context: testContext(root),
    entries,
    threadEntries: { list: entries, module, name: 'builtinComponents' },
    pool: way === 'thread' ? pool : null,
    record: false,
  })
}

const isolated = <T extends object>(entry: T): T => ({ ...entry, isolated: true })

/** What a result is, without what differs from run to run. */
const said = ({ items, rejects }: ChainResult) => ({
  items: items.map((item) => [item.ref, digestOf(item).toString('hex')]),
  rejects: rejects.map(({ item, fault, step }) => [
    item.ref,
    fault.code,
    fault.message,
    fault.where,
    fault.remedy,
    step,
  ]),
})

t.test('every channel has its sample', async (t) => {
  const types = builtinComponents.filter(({ kind }) => kind === 'channel').map(({ type }) => type)
  const known = new Set([...samples, ...keepingSamples].map(({ type }) => type))
  t.same(
    types.filter((type) => !known.has(type)),
    [],
  )
})

for (const each of samples) {
  t.test(`${each.name}: failing rows are rejected, the others pass in order with their refs`, async (t) => {
    const channel = channelOf(each, freshFolder(t))
    await channel.open?.(null)
    const { good, bad } = each
    const items = itemsOf([good, bad, good, good, bad])
    const content = { kind: 'bytes', bytes: Buffer.from('x') } as const
    const [carried] = await channel.process([{ row: good, ref: 1, content }], () => t.fail())
    t.equal(carried?.content, content, 'a content is passed on')
    const before = JSON.stringify(items)
    for (let i = 0; i < 2; i += 1) {
      const { rejects, reject } = collector()
      const passed = await channel.process(items, reject)
      t.same(
        passed.map((item) => item.ref),
        [1, 3, 4],
      )
      t.same(
        rejects.map(({ item }) => item),
        [items[1], items[4]],
        'the rows as they came',
      )
      t.ok(rejects.every(({ fault }) => fault.remedy.length > 0))
    }
    t.equal(JSON.stringify(items), before, 'rows are not changed in place')
    t.same(await channel.process([], () => t.fail()), [])
    await channel.close?.()
  })

  t.test(`${each.name}: the same here and in a thread`, async (t) => {
    const { settings } = specOf(each)
    t.same(JSON.parse(JSON.stringify(settings)), settings, 'settings can go to a thread')
    const { good, bad } = each
    const rows = [good, bad, { ...good, other: [1n, null, { 村: '名' }] }, bad, good]
    const results: unknown[] = []
    for (const way of ['here', 'thread'] as const) {
      const chain = chainWith(each, freshFolder(t), way)
      await chain.open(null)
      const result = await chain.process(itemsOf(rows))
      t.equal(result.rejects.length, 2)
      t.ok(result.items.length >= 3)
      results.push(said(result))
      await chain.close()
    }
    t.same(results[1], results[0])
  })

  t.test(`${each.name}: hostile items are refused or pass, and their neighbours pass`, async (t) => {
    const chain = chainWith(each, freshFolder(t), 'here')
    await chain.open(null)
    const alone = await chain.process(itemsOf([each.good]))
    const perGood = alone.items.length
    for (const [name, hostile] of HOSTILE) {
      for (const content of [undefined, Buffer.from(bytesOf(hostile))]) {
        const bad: Item = { row: rowOf(each.good, hostile), ref: 'hostile' }
        const item: Item = content === undefined ? bad : { ...bad, content: { kind: 'bytes', bytes: content } }
        const result = await chain.process([{ row: each.good, ref: 'a' }, item, { row: each.good, ref: 'b' }])
        const neighbours = result.items.filter(({ ref }) => ref !== 'hostile')
        t.equal(neighbours.length, 2 * perGood, `${name}: neighbours`)
        t.ok(
          result.rejects.every(({ item: { ref }, fault }) => ref === 'hostile' && fault instanceof Fault),
          name,
        )
        const internal = result.rejects.filter(({ fault }) => fault.code === 'INTERNAL')
        t.same(
          internal.map(({ fault }) => fault.message),
          [],
          `${name}: no defect`,
        )
      }
    }
    await chain.close()
  })
}

function nested(levels: number): Value {
  let value: Value = 'in'
  for (let i = 0; i < levels; i += 1) value = i % 2 === 0 ? [value] : { a: value }
  return value
}

const HOSTILE: readonly (readonly [string, Value | undefined])[] = [
  ['nothing', undefined],
  ['null', null],
  ['empty', ''],
  ['half a surrogate pair', '<a>\ud800</a>'],
  ['NUL', '{"a":"\0"}\0'],
  ['10,000 levels of XML', `${'<a>'.repeat(10_000)}${'</a>'.repeat(10_000)}`],
  ['10,000 levels of JSON', `${'['.repeat(10_000)}${']'.repeat(10_000)}`],
  ['10,000 levels of values', nested(10_000)],
  ['a bomb of entities', `<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "${'&b;'.repeat(100)}">]><a>&c;</a>`],
  ['an external entity', '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>'],
  ['a wrong encoding', '<?xml version="1.0" encoding="EBCDIC-CP-US"?><a/>'],
  ['a number beyond 2^53', '{"a":123456789012345678901234567890,"b":1e400}'],
  ['a large bigint', 2n ** 80n],
  ['NaN', Number.NaN],
  ['a ragged table', 'a,b\n1\n"2\n3,4,5\n'],
  ['bytes', Buffer.from([0xff, 0xfe, 0x00, 0xd8, 0x1f, 0x8b])],
  ['a long text', 'x<'.repeat(500_000)],
  ['a field __proto__', JSON.parse('{"__proto__":{"polluted":1},"a":1}') as Value],
  ['JSON with __proto__', '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'],
]

/** The hostile value in the place of every field. */
function rowOf(good: Row, hostile: Value | undefined): Row {
  if (hostile === undefined) return {}
  return Object.fromEntries(Object.keys(good).map((name) => [name, hostile]))
}

const bytesOf = (value: Value | undefined): Uint8Array | string =>
  value instanceof Uint8Array || typeof value === 'string' ? value : ''

for (const each of keepingSamples) {
  t.test(`${each.name}: stopped and started anywhere, it gives what it gives in one go`, async (t) => {
    const portions = Array.from({ length: each.rows.length / 3 }, (_, i) =>
      each.rows.slice(3 * i, 3 * i + 3).map((row, j): Item => ({ row, ref: 3 * i + j })),
    )
    /** Restarted after so many portions: with the state of the last, or of the one before, which is then given again. */
    const run = async (stop: number, repeated: boolean) => {
      const root = freshFolder(t)
      const all: unknown[][] = portions.map(() => [])
      let chain = chainWith(each, root, 'here')
      await chain.open(null)
      let state: string | null = null
      let at = 0
      const step = async (commit: boolean) => {
        const { items, rejects } = await chain.process(portions[at] as Item[])
        all[at] = [items.map(({ row, ref }) => [row, ref]), rejects.map(({ item, fault }) => [item.ref, fault.code])]
        const saved = await chain.save()
        if (!commit) return
        at += 1
        state = saved
        if (saved !== null) await chain.committed(saved)
      }
      while (at < stop) await step(true)
      if (repeated) await step(false)
      await chain.close()
      chain = chainWith(each, root, 'here')
      await chain.open(state)
      while (at < portions.length) await step(true)
      await chain.close()
      return all
    }
    const whole = await run(0, false)
    t.ok(whole.flat(2).length > 0)
    for (let stop = 1; stop < portions.length; stop += 1) {
      for (const repeated of [false, true]) t.same(await run(stop, repeated), whole, `after ${stop} ${repeated}`)
    }
  })
}

t.test('nothing has got into the prototype of objects', async (t) => {
  t.equal(({} as Record<string, unknown>).polluted, undefined)
})
