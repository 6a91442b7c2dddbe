import t from 'tap'
import type { Item, Row } from '../../contract.ts'
import { collector, faultOf, itemsOf, settingsOf, testContext } from '../../support/testing.ts'
import { MapChannel, mapSettings } from './mod.ts'

const make = (root: string, settings: object) => new MapChannel(settingsOf(mapSettings, settings), testContext(root))

t.test('the documented order: keep or drop, rename, constants, expressions on the incoming row', async (t) => {
  const root = t.testdir({})
  const row: Row = { code: '445201001', name: 'old', town: '榕城', extra: 1 }
  const run = async (settings: object) => (await make(root, settings).process(itemsOf([row]), () => t.fail()))[0]?.row
  const whole = await run({
    drop: ['extra'],
    rename: { id: 'code', name: 'town', town: 'name' },
    constants: { source: 'a', n: { deep: [1] } },
    expressions: { city: '$substring(code, 0, 4)', shout: 'name & "!"', nothing: 'nowhere.else' },
  })
  t.same(whole, {
    id: '445201001',
    town: 'old',
    name: '榕城',
    source: 'a',
    n: { deep: [1] },
    city: '4452',
    shout: 'old!',
    nothing: null,
  })
  t.same(Object.keys(whole ?? {}).slice(0, 3), ['id', 'town', 'name'], 'renamed fields stay in their place')
  t.same(await run({ keep: ['name'], rename: { id: 'code' } }), { id: '445201001', name: 'old' })
  t.same(await run({ keep: [], expressions: { all: '$keys($)' } }), { all: ['code', 'name', 'town', 'extra'] })
  t.same(await run({ keep: [], expressions: { name: '$uppercase(name)' } }), { name: 'OLD' }, 'its own old value')
  t.same(await run({ keep: [], rename: { a: 'code', b: 'code' } }), { a: '445201001', b: '445201001' })
  t.same(await run({}), row)
})

t.test('values pass unchanged: bytes, 64-bit integers, lists', async (t) => {
  const row: Row = { b: new Uint8Array([1]), i: 9007199254740993n, l: [1, 2], o: { a: null } }
  const channel = make(t.testdir({}), {
    keep: [],
    expressions: { b: 'b', i: 'i', l: 'l', o: 'o', sum: '$sum(l)', none: 'l[5]' },
  })
  const [item] = await channel.process(itemsOf([row]), () => t.fail())
  t.same(item?.row, { ...row, sum: 3, none: null })
  t.notOk(Object.keys(item?.row.l ?? []).includes('sequence'), 'a plain list')
})

t.test('a failing row is rejected, the others pass in order', async (t) => {
  const channel = make(t.testdir({}), { keep: ['n'], expressions: { twice: '$number(n) * 2' } })
  const { rejects, reject } = collector()
  const items: Item[] = itemsOf([{ n: '1' }, { n: 'x' }, { n: '3' }, { n: true }, { n: [1] }])
  const passed = await channel.process(items, reject)
  t.same(
    passed.map((item) => [item.ref, item.row.twice]),
    [
      [1, 2],
      [3, 6],
      [4, 2],
    ],
  )
  t.same(
    rejects.map(({ item, fault }) => [item.ref, fault.code]),
    [
      [2, 'EXPRESSION_FAILED'],
      [5, 'EXPRESSION_FAILED'],
    ],
  )
  t.match(rejects[0]?.fault.describe(), /map: expressions\.twice.*Unable to cast value to a number: "x"/)
  t.equal(rejects[0]?.item, items[1], 'the row as it came')
})

t.test('a field to rename that is not there', async (t) => {
  const channel = make(t.testdir({}), { rename: { id: 'coed' } })
  const { rejects, reject } = collector()
  t.same(channel.process(itemsOf([{ code: 1 }, { coed: 2 }]), reject), [{ row: { id: 2 }, ref: 2 }])
  t.match(rejects[0]?.fault.describe(), /MAP_FIELD_MISSING.*"coed".*Did you mean "code"/)
})

t.test('bounds: time, depth, results no row can hold, no $eval', async (t) => {
  const root = t.testdir({})
  const codeFor = async (expression: string, timeoutMs = 60_000) => {
    const { rejects, reject } = collector()
    await make(root, { expressions: { x: expression }, timeoutMs }).process(itemsOf([{ n: 1 }]), reject)
    return rejects[0]?.fault.describe() ?? 'passed'
  }
  t.match(
    await codeFor('($f := function($x) { $f($x + 1) }; $f(0))', 50),
    /EXPRESSION_(TIMEOUT|FAILED)/,
    'endless recursion',
  )
  t.match(await codeFor('$map([1..90000], function($v) { $v * $sin })', 50), /EXPRESSION_/)
  t.match(await codeFor('[1..1000000]'), /EXPRESSION_FAILED.*maximum sequence length/)
  t.match(await codeFor('function($x) { $x }'), /the result is a function/)
  t.match(await codeFor('$eval("n")'), /\$eval is not available/)
  t.match(await codeFor('1 / 0'), /EXPRESSION_FAILED/)
})

t.test('mistakes show when the channel is made', async (t) => {
  const root = t.testdir({})
  const fault = await faultOf(() => make(root, { expressions: { city: '$substring(code, 0,' } }))
  t.match(fault?.describe(), /EXPRESSION_SYNTAX at map: expressions\.city.*⟨here⟩/)
  t.equal(typeof fault?.details.position, 'number')
  t.throws(() => make(root, { keep: ['a'], drop: ['b'] }), /either `keep` or `drop`/)
  t.throws(() => make(root, { drop: ['a'], rename: { b: 'a' } }), /both dropped and renamed/)
  t.throws(() => make(root, { constants: { a: 1 }, expressions: { a: 'b' } }), /set twice/)
})

t.test('fields named as something that every object inherits', async (t) => {
  const channel = make(t.testdir({}), { rename: { toString: 'a' }, expressions: { constructor: 'b' } })
  const [made] = await channel.process(itemsOf([{ a: 1, b: 2 }]), () => t.fail())
  t.same(Object.entries(made?.row ?? {}), [
    ['toString', 1],
    ['b', 2],
    ['constructor', 2],
  ])
})
