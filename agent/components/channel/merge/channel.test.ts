import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { unzipSync } from 'fflate'
import t from 'tap'
import { millis } from '#protocol/base/mod.ts'
import { type ComponentContext, type Item, isOwnRef, type Row, type Value } from '../../contract.ts'
import { codeOf, collector, itemsOf, randomFrom, settingsOf, testContext } from '../../support/testing.ts'
import { MergeChannel, mergeSettings, mergeTurns } from './mod.ts'

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))

const make = (context: ComponentContext, settings: object) =>
  new MergeChannel(settingsOf(mergeSettings, { key: 'k', as: { row: {} }, ...settings }), context)
const fileOf = (content: string, row: Row = {}, ref = 1): Item => ({
  row: { k: 'a', ...row },
  ref,
  content: { kind: 'bytes', bytes: Buffer.from(content) },
})
const textOf = (item: Item | undefined): string =>
  item?.content?.kind === 'bytes' ? Buffer.from(item.content.bytes).toString() : 'nothing'

/** What comes out of items given in one call, in a channel of its own. */
async function merged(settings: object, items: readonly Item[]) {
  const channel = make(testContext(t.testdir({})), settings)
  await channel.open(null)
  const { rejects, reject, codes } = collector()
  const out = await channel.process(items, reject)
  await channel.close()
  return { out, rows: out.map(({ row }) => row), texts: out.map(textOf), rejects, codes: codes() }
}

t.test('by count, as a row: in the order of completion, with a ref of its own', async (t) => {
  const rows: Row[] = [
    { k: 1, n: 1 },
    { k: '1', n: 2 },
    { k: 1, n: 3n, b: Buffer.from('x') },
    { n: 4 },
    { k: '1', n: 5 },
    { k: 1, n: 6 },
  ]
  const { out, codes } = await merged({ count: 2 }, itemsOf(rows))
  t.same(
    out.map(({ row }) => row),
    [
      { k: 1, items: [rows[0], rows[2]], count: 2, complete: true },
      { k: '1', items: [rows[1], rows[4]], count: 2, complete: true },
    ],
  )
  t.ok(out.every(({ ref }) => isOwnRef(ref)))
  t.equal(new Set(out.map(({ ref }) => ref)).size, 2)
  t.same(codes, ['MERGE_KEY_MISSING'])
})

t.test('by a field that says how many, in the order of another', async (t) => {
  const parts = [10, 2, 'b', null, 1, '3', 'a'].map((part) => ({ k: 'x', part, parts: 7 }))
  const { rows } = await merged({ countField: 'parts', orderBy: 'part' }, itemsOf(parts))
  t.same(
    ((rows[0]?.items ?? []) as Row[]).map(({ part }) => part),
    [1, 2, '3', 10, 'a', 'b', null],
  )
  const wrong = [
    { k: 1, parts: 2 },
    { k: 1, parts: 3 },
    { k: 1 },
    { k: 1, parts: 0 },
    { k: 1, parts: 1.5 },
    { k: 1, parts: 'x' },
    { k: 2, parts: '1' },
  ]
  const { rows: single, codes } = await merged({ countField: 'parts' }, itemsOf(wrong))
  t.same(codes, ['MERGE_COUNT_DIFFERS', ...Array(4).fill('MERGE_COUNT_INVALID')])
  t.same(single, [{ k: 2, items: [{ k: 2, parts: '1' }], count: 1, complete: true }])
})

t.test('by time, from the first or last item, also over a restart', async (t) => {
  let nowMs = 0
  const root = t.testdir({})
  const context = { ...testContext(root), clock: { nowMs: () => millis(nowMs), wallMs: () => millis(nowMs) } }
  for (const since of ['first', 'last'] as const) {
    const settings = { afterMs: 100, since }
    nowMs += 10_000
    const start = nowMs
    let channel = make(context, settings)
    await channel.open(null)
    const put = async (...keys: string[]) => {
      const out = await channel.process(itemsOf(keys.map((k) => ({ k }))), () => t.fail())
      await channel.save()
      return out.map(({ row }) => `${row.k}${row.count}`)
    }
    t.equal(channel.dueAtMs(), null)
    await put('a', 'b')
    nowMs += 60
    await put('a')
    t.equal(channel.dueAtMs(), start + 100)
    const state = await channel.save()
    await channel.close()
    channel = make(context, settings)
    await channel.open(state)
    t.equal(channel.dueAtMs(), start + 100)
    t.same(await channel.due(() => t.fail()), [], 'not yet')
    t.equal(await channel.save(), state)
    nowMs = start + 100
    const out = (await channel.due(() => t.fail())).map(({ row }) => row)
    await channel.save()
    if (since === 'first')
      t.match(out, [
        { k: 'a', count: 2, complete: true },
        { k: 'b', count: 1 },
      ])
    else {
      t.match(out, [{ k: 'b', count: 1 }])
      t.equal(channel.dueAtMs(), start + 160)
      nowMs = start + 160
      t.same(await put('c'), ['a2'], 'also when others come in')
    }
    await channel.close()
  }
})

t.test('a group that goes out before its count: passed on, or its items rejected', async (t) => {
  let nowMs = 0
  const clock = { nowMs: () => millis(nowMs), wallMs: () => millis(0) }
  const run = async (settings: object) => {
    nowMs = 0
    const channel = make({ ...testContext(t.testdir({})), clock }, { count: 3, afterMs: 10, ...settings })
    await channel.open(null)
    const { rejects, reject } = collector()
    await channel.process([fileOf('1'), fileOf('2')], reject)
    await channel.save()
    nowMs = 10
    const out = await channel.due(reject)
    t.equal(channel.dueAtMs(), null)
    await channel.close()
    return { out, rejects }
  }
  const passed = await run({ as: { text: {} } })
  t.match(passed.out[0]?.row, { count: 2, complete: false })
  t.same(passed.rejects, [])
  const { out, rejects } = await run({ as: { text: {} }, incomplete: 'reject' })
  t.same(out, [])
  t.same(
    rejects.map(({ item }) => textOf(item)),
    ['1', '2'],
    'with their content',
  )
  t.ok(rejects.every(({ item, fault }) => isOwnRef(item.ref) && fault.code === 'MERGE_INCOMPLETE'))
  t.match(rejects[0]?.fault.describe(), /2 items of 3/)
})

t.test('as documents', async (t) => {
  const two = [fileOf(' {"n":12345678901234567890}\n'), fileOf('[1,\r\n2]')]
  const json = await merged({ count: 2, as: { json: {} } }, two)
  t.same(json.texts, ['[{"n":12345678901234567890},[1,\r\n2]]'])
  t.same(json.rows, [
    { k: 'a', name: 'a.json', size: 36, modified: null, mediaType: 'application/json', count: 2, complete: true },
  ])
  t.same((await merged({ count: 2, as: { jsonl: {} } }, two)).texts, ['{"n":12345678901234567890}\n[1, 2]\n'])
  const rows = await merged({ count: 2, as: { json: {} } }, itemsOf([{ k: 1, n: 2n ** 60n }, { k: 1 }]))
  t.same(rows.texts, ['[{"k":1,"n":1152921504606846976},{"k":1}]'])
  const text = { count: 2, as: { text: { header: 1 } } }
  t.same((await merged(text, [fileOf('h\na'), fileOf('h\nb')])).texts, ['h\na\nb'])
  t.same(
    (await merged({ count: 2, as: { text: { separator: '--', closeLines: false } } }, [fileOf('a'), fileOf('b')]))
      .texts,
    ['a--b'],
  )
  const xml = { element: 'list', namespace: 'urn:a"&' }
  t.same(
    (
      await merged({ count: 3, as: { xml } }, [
        fileOf('<?xml version="1.0"?><!-- x --><i/><!-- y -->'),
        fileOf('<i xmlns="urn:i">ä</i>'),
        fileOf('<p:i xmlns:p="q" a=">"/>'),
      ])
    ).texts,
    [
      '<?xml version="1.0" encoding="UTF-8"?>\n<list xmlns="urn:a&quot;&amp;"><i xmlns=""/><i xmlns="urn:i">ä</i><p:i xmlns="" xmlns:p="q" a=">"/></list>',
    ],
  )
  const zip = await merged({ count: 3, as: { zip: {} }, name: 'all/{k}' }, [
    fileOf('1', { name: 'd/x.txt' }),
    fileOf('2', { name: 'd/X.txt' }),
    fileOf('3', { name: 'y' }),
  ])
  const bytes = zip.out[0]?.content?.kind === 'bytes' ? zip.out[0].content.bytes : Buffer.alloc(0)
  t.same(
    Object.entries(unzipSync(bytes)).map(([name, each]) => [name, Buffer.from(each).toString()]),
    [
      ['d/x.txt', '1'],
      ['d/X.2.txt', '2'],
      ['y', '3'],
    ],
  )
  t.equal(zip.rows[0]?.name, 'all/a')
  const inField = await merged(
    { count: 2, as: { text: {} }, field: 'd' },
    itemsOf([
      { k: '../e:1', d: '1' },
      { k: '../e:1', d: '2' },
    ]),
  )
  t.same([inField.texts, inField.rows[0]?.name], [['1\n2'], '__e_1.txt'], 'a key can be no path')
})

t.test('what cannot be a part is rejected, the others pass', async (t) => {
  const codesOf = async (as: object, ...items: Item[]) => {
    const { out, codes } = await merged({ count: 2, as }, [
      fileOf('<a/>', { name: 'a' }),
      ...items,
      fileOf('<b/>', { name: 'b' }),
    ])
    t.equal(out.length, Object.keys(as)[0] === 'json' || Object.keys(as)[0] === 'row' ? 0 : 1)
    return codes.join()
  }
  t.equal(await codesOf({ xml: {} }, fileOf('<a>'), fileOf('<!DOCTYPE a><a/>')), 'XML_NOT_WELL_FORMED,XML_DTD_REFUSED')
  t.equal(await codesOf({ xml: {} }, { row: { k: 'a' }, ref: 1 }), 'DOCUMENT_MISSING')
  t.equal(await codesOf({ json: {} }), 'MERGE_MEMBER_INVALID,MERGE_MEMBER_INVALID')
  t.equal(await codesOf({ row: {} }), 'MERGE_MEMBER_INVALID,MERGE_MEMBER_INVALID')
  t.equal(
    await codesOf({ zip: {} }, fileOf('x', { name: '../x' }), fileOf('x')),
    'MERGE_MEMBER_INVALID,MERGE_MEMBER_INVALID',
  )
})

t.test('bounds: groups, items, bytes', async (t) => {
  const rows = (...keys: string[]) => itemsOf(keys.map((k) => ({ k })))
  const pairs = { count: 2, groupsMax: 2 }
  const oldest = await merged(pairs, rows('a', 'b', 'c', 'a', 'c', 'b'))
  t.same(
    oldest.rows.map(({ k, count, complete }) => [k, count, complete]),
    [
      ['a', 1, false],
      ['b', 1, false],
      ['c', 2, true],
    ],
  )
  const full = await merged({ ...pairs, full: 'reject' }, rows('a', 'b', 'c', 'a', 'c'))
  t.same(
    [full.rows.map(({ k }) => k), full.rejects.map(({ item, fault }) => [item.ref, fault.code])],
    [['a'], [[3, 'MERGE_FULL']]],
  )
  const items = await merged({ afterMs: '1h', itemsMax: 2 }, rows('a', 'a', 'a'))
  t.match(items.rows, [{ count: 2, complete: true }])
  const wide = (size: number) => itemsOf([0, 1, 2].map(() => ({ k: 'a', x: 'x'.repeat(size) })))
  t.match((await merged({ afterMs: '1h', groupBytes: 1_000 }, wide(400))).rows, [{ count: 2, complete: true }])
  t.match((await merged({ count: 3, groupBytes: 1_000 }, wide(400))).rows, [{ count: 2, complete: false }])
  const bytes = await merged({ count: 3, keptBytesMax: 5_000 }, wide(2_000))
  t.same([bytes.rows.map(({ count }) => count), bytes.codes], [[2], []], 'the group itself may be the oldest')
  t.same((await merged({ count: 3, keptBytesMax: 5_000 }, wide(6_000))).codes, Array(3).fill('MERGE_TOO_LARGE'))
})

t.test('a group that comes whole in one call costs nothing on the disk', async (t) => {
  const root = t.testdir({})
  const channel = make(testContext(root), { count: 2 })
  await channel.open(null)
  const rows = (...keys: string[]) => itemsOf(keys.map((k) => ({ k })))
  const run = async (...keys: string[]) => {
    const out = await channel.process(rows(...keys), () => t.fail())
    return { out: out.map(({ row }) => row.k), state: await channel.save() }
  }
  const first = await run('a', 'b', 'b', 'a')
  t.same(first.out, ['b', 'a'])
  t.same(readdirSync(join(root, 'data-flow-1', 'merge')), [])
  const second = await run('c', 'd')
  t.not(second.state, first.state)
  const third = await run('c', 'e', 'e')
  t.same(third.out, ['c', 'e'])
  await channel.close()
  const again = make(testContext(root), { count: 2 })
  await again.open(third.state)
  t.same(
    (await again.process(rows('c', 'd', 'e'), () => t.fail())).map(({ row }) => row.k),
    ['d'],
  )
  await again.close()
})

t.test('values nested without end are refused, not read', async (t) => {
  const nested = (levels: number): Value => {
    let value: Value = 1
    for (let i = 0; i < levels; i += 1) value = i % 2 === 0 ? [value] : { a: value }
    return value
  }
  for (const as of [{ row: {} }, { json: {} }]) {
    const rows: Row[] = [{ k: 1, v: nested(512) }, { k: 2, v: nested(10_000) }, { k: nested(100_000) }, { k: 3 }]
    const { out, codes } = await merged({ count: 1, as }, itemsOf(rows))
    t.equal(out.length, 2)
    t.same(codes, ['ROW_TOO_DEEP', 'ROW_TOO_DEEP'])
  }
})

t.test('settings', async (t) => {
  const problem = (settings: object) => codeOf(() => make(testContext(t.testdir({})), settings))
  for (const bad of [
    {},
    { count: 1, countField: 'n' },
    { count: 20_000 },
    { count: 2, field: 'x' },
    { count: 2, name: '{x}' },
  ]) {
    t.not(await problem(bad), 'no fault', JSON.stringify(bad))
  }
  const turns = (as: object, given: 'rows' | 'files') =>
    mergeTurns(settingsOf(mergeSettings, { key: 'k', count: 1, as }), given)
  t.same(
    [turns({ row: {} }, 'rows'), turns({ json: {} }, 'rows'), turns({ zip: {} }, 'files')],
    ['rows', 'files', 'files'],
  )
  t.equal(await codeOf(() => turns({ zip: {} }, 'rows')), 'DOCUMENT_MISSING')
  t.equal(await codeOf(() => turns({ row: {} }, 'files')), 'MERGE_MEMBER_INVALID')
})

t.test('every item comes out once, with restarts and repeated calls at any point', async (t) => {
  t.comment(`SEED=${SEED}`)
  const random = randomFrom(SEED)
  const context = testContext(t.testdir({}))
  const settings = { count: 3, groupsMax: 5, as: { row: {} } }
  let channel = make(context, settings)
  await channel.open(null)
  let state = await channel.save()
  let next = 0
  const seen: number[] = []
  const noted = (items: readonly Item[]) => {
    for (const { row } of items) for (const { n } of row.items as Row[]) seen.push(n as number)
  }
  for (let portion = 0; portion < 400; portion += 1) {
    const rows = Array.from({ length: Math.floor(random() * 6) }, (_, i) => ({
      k: Math.floor(random() * 9),
      n: next + i,
    }))
    let out = await channel.process(itemsOf(rows), () => t.fail())
    if (random() < 0.2) out = await channel.process(itemsOf(rows), () => t.fail())
    const saved = random() < 0.9 ? await channel.save() : null
    if (saved !== null && random() < 0.8) {
      await channel.committed(saved)
      state = saved
      noted(out)
      next += rows.length
    } else {
      await channel.close()
      channel = make(context, settings)
      await channel.open(state)
    }
  }
  // One more for each key and place: nothing is left behind.
  for (let k = 100; k < 110; k += 1) {
    noted(await channel.process(itemsOf([{ k, n: -1 }]), () => t.fail()))
    await channel.save()
  }
  await channel.close()
  t.same(
    seen.filter((n) => n >= 0).sort((a, b) => a - b),
    Array.from({ length: next }, (_, n) => n),
  )
})

t.test('texts with a header: one of all, and never rows below that of others', async (t) => {
  const join = (...contents: string[]) =>
    merged(
      { count: contents.length, as: { text: { header: 1 } } },
      contents.map((each, i) => fileOf(each, {}, i + 1)),
    )
  t.same((await join('a,b\r\n1,2\r\n', 'a,b\n3,4')).texts, ['a,b\r\n1,2\r\n3,4'])
  t.same((await join('', 'a,b\n1,2\n', '', 'a,b\n3,4\n')).texts, ['a,b\n1,2\n3,4\n'], 'empty ones have none')
  t.same((await join('\ufeffa,b\n1,2\n', '\ufeffa,b\n3,4\n')).texts, ['\ufeffa,b\n1,2\n3,4\n'])
  const { codes, rejects } = await join('a,b\n1,2\n', 'b,a\n3,4\n')
  t.same(codes, ['MERGE_MEMBER_INVALID', 'MERGE_MEMBER_INVALID'])
  t.match(rejects[0]?.fault.message, /first lines of item 2/)
  const plain = await merged({ count: 2, as: { text: {} } }, [fileOf('\ufeff1\n'), fileOf('\ufeff2\n')])
  t.same(plain.texts, ['\ufeff1\n2\n'], 'a byte order mark in the middle would be a character')
})
