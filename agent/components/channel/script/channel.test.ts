import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import type { Item, Row, Value } from '../../contract.ts'
import { collector, faultOf, itemsOf, patiently, settingsOf, testContext } from '../../support/testing.ts'
import { ScriptChannel, scriptSettings } from './mod.ts'

const context = testContext(t.testdir({}))
/** Steps decide, not the time of a busy machine. */
const BOUNDS = { timeoutMs: 60_000, stepsMax: 20_000_000 }
const make = (script: string, more: object = {}) =>
  new ScriptChannel(settingsOf(scriptSettings, { script, ...BOUNDS, ...more }), context)

/** The rows that come of one row, or what is wrong. */
async function run(script: string, row: Row = {}, more: object = {}): Promise<unknown> {
  const { rejects, reject } = collector()
  const items = await make(script, more).process(itemsOf([row]), reject)
  return rejects[0]?.fault.describe() ?? items.map((item) => item.row)
}

/** What an expression over `row` gives. */
async function value(expression: string, row: Row = {}, more: object = {}): Promise<unknown> {
  const result = await run(`function process({ row }) { return { row: { v: ${expression} } } }`, row, more)
  return Array.isArray(result) ? (result[0] as Row | undefined)?.v : result
}

t.test('one item, several, none; the same ref; const and arrow functions', async (t) => {
  const script = `const process = ({ row }) => {
    if (row.n === 0) return null
    return row.n === 1 ? { row: { ...row, one: true } } : Array.from({ length: row.n }, (_, i) => ({ row: { i } }))
  }`
  const items = await make(script).process(itemsOf([{ n: 1 }, { n: 0 }, { n: 2 }]), () => t.fail())
  t.same(items, [
    { row: { n: 1, one: true }, ref: 1 },
    { row: { i: 0 }, ref: 3 },
    { row: { i: 1 }, ref: 3 },
  ])
  t.same(await run('function process(item) { return item }', { a: [1, { b: null }] }), [{ a: [1, { b: null }] }])
})

t.test('every value of a row goes in and comes out as it is', async (t) => {
  const row: Row = {
    text: '通\u0001\0衢',
    mark: '\0n12',
    marks: ['\0', '\0s', '\\u0000'],
    big: 9007199254740993n,
    least: -(2n ** 70n),
    bytes: new Uint8Array([0, 255]),
    none: null,
    yes: true,
    number: 1.5e300,
    least0: -0,
    deep: { list: [[], {}, [Buffer.from('x')]] },
    '': 'no name',
    constructor: 1,
  }
  const [out] = (await run('function process(item) { return item }', row)) as Row[]
  t.same(out, { ...row, deep: { list: [[], {}, [new Uint8Array([120])]] } })
  t.equal(await value('row.big + 1n', row), 9007199254740994n)
  t.equal(await value('row.bytes[1] + row.bytes.length', row), 257)
  t.equal(await value('row.mark.length', row), 4)
  t.equal(await value('String(row.n)', { n: Number.POSITIVE_INFINITY }), 'Infinity')
})

t.test('documents: text, bytes, or none; what is not given back passes on', async (t) => {
  const file: Item = {
    row: { name: 'a.txt', size: 6, mediaType: 'text/plain', topic: 't' },
    ref: 1,
    content: { kind: 'bytes', bytes: Buffer.from('通衢') },
  }
  const one = async (script: string, more: object = {}): Promise<Item | string> => {
    const { rejects, reject } = collector()
    const [item] = await make(`function process(item) { ${script} }`, more).process([file], reject)
    return item ?? rejects[0]?.fault.describe() ?? 'nothing'
  }
  const contentOf = (item: Item | string): string =>
    typeof item !== 'string' && item.content?.kind === 'bytes'
      ? Buffer.from(item.content.bytes).toString()
      : String(item)
  const text = await one("return { text: item.text + '!', name: 'b.txt', mediaType: 'text/x' }", { content: 'text' })
  t.match(text, { row: { name: 'b.txt', size: 7, mediaType: 'text/x', topic: 't' }, ref: 1 })
  t.equal(contentOf(text), '通衢!')
  t.equal(contentOf(await one('return { bytes: item.bytes.slice(0, 3) }', { content: 'bytes' })), '通')
  t.same(await one('return { row: { ...item.row, x: typeof item.text } }'), {
    ...file,
    row: { ...file.row, x: 'undefined' },
  })
  t.match(await one('return item', { content: 'text' }), { row: file.row, ref: 1 })
  t.match(
    await one('item.row.name = "c"; return { row: item.row, name: item.name }'),
    { row: { name: 'c' } },
    'the row alone was changed',
  )
  t.match(await one("return { text: 'x', bytes: new Uint8Array(1) }"), /text and bytes/)
  t.match(await one("return { text: 'x'.repeat(100) }", { bytesMax: 99 }), /more than `bytesMax`/)
  t.match(await one('return { bytes: new Uint8Array(100) }', { bytesMax: 99 }), /more bytes than `bytesMax`/)
  t.match(await one('return item', { content: 'text', bytesMax: 5 }), /DOCUMENT_TOO_LARGE/)
  const { rejects, reject } = collector()
  await make('function process(item) { return item }', { content: 'text' }).process(
    [{ ...file, content: { kind: 'bytes', bytes: new Uint8Array([255]) } }],
    reject,
  )
  t.match(rejects[0]?.fault.describe(), /SCRIPT_FAILED.*not text in UTF-8/)
})

t.test('nothing is kept from one item for another, wherever a script puts it', async (t) => {
  const script = `
    let count = 0
    var also = 0
    const seen = new Map(), big = new Uint8Array(3_000_000), weak = new WeakMap(), key = {}
    function process(item) {
      const before = [count, also, seen.size, big[2_999_999], big[10], globalThis.kept, Array.prototype.kept, process.kept,
        Symbol.for('kept').description.kept, weak.has(key), Math.kept, Object.prototype.polluted]
      count += 1; also += 1; seen.set(item.row.n, 1); big.fill(7); globalThis.kept = 1; Array.prototype.kept = 1; process.kept = 1
      weak.set(key, 1); Math.kept = 1; Object.prototype.polluted = 1
      const garbage = Array.from({ length: 10_000 }, (_, i) => ({ i }))
      if (item.row.n === 3) throw new Error('three')
      if (item.row.n === 4) Object.freeze(Object.prototype)
      if (item.row.n === 5) for (;;) garbage.push('x'.repeat(100_000) + garbage.length)
      JSON.stringify = JSON.parse = Object.keys = Array.isArray = undefined
      return { row: { before: before.map((each) => each ?? null) } }
    }`
  const channel = make(script, { memoryBytes: 32 * 1024 * 1024 })
  const { rejects, reject } = collector()
  const items = await channel.process(itemsOf(Array.from({ length: 8 }, (_, n) => ({ n }))), reject)
  const fresh = [0, 0, 0, 0, 0, null, null, null, null, false, null, null]
  t.same(
    items.map(({ row }) => row.before),
    Array(6).fill(fresh),
  )
  t.same(
    rejects.map(({ item, fault }) => [item.ref, fault.code]),
    [
      [4, 'SCRIPT_FAILED'],
      [6, 'SCRIPT_MEMORY'],
    ],
  )
  t.match(rejects[0]?.fault.describe(), /at script line \d+: .*Error: three/)
})

t.test('no clock, no chance, one time zone', async (t) => {
  t.match(await value('Date.now()'), /SCRIPT_FAILED.*there is no clock/)
  t.match(await value('new Date().getTime()'), /there is no clock/)
  t.match(await value('Date()'), /there is no clock/)
  t.match(await value('new (new Date(0).constructor)().getTime()'), /there is no clock/)
  t.match(await value('new (Object.getPrototypeOf(new Date(0)).constructor)().getTime()'), /there is no clock/)
  t.match(await value('Math.random()'), /there is no chance/)
  t.equal(
    await value('typeof WeakRef + typeof FinalizationRegistry + typeof SharedArrayBuffer + typeof performance'),
    'undefined'.repeat(4),
  )
  t.equal(await value('new Date(2026, 0, 31, 23, 59).toISOString()'), '2026-01-31T23:59:00.000Z')
  t.equal(await value("new Date('2026-01-31T23:59').toISOString()"), '2026-01-31T23:59:00.000Z')
  t.equal(await value("new Date('2026-01-31T23:59+08:00').toISOString()"), '2026-01-31T15:59:00.000Z')
  t.equal(await value("String(new Date('2026-01-31'))"), '2026-01-31T00:00:00.000Z')
  t.equal(await value("Date.parse('31 Jan 2026') + ''"), 'NaN')
  t.equal(await value('new Date(0).getHours() + new Date(0).getTimezoneOffset()'), 0)
  t.equal(await value('new Date(new Date(5)).getTime()'), 5)
  t.equal(await value('(class D extends Date {}, new (class D extends Date {})(7) instanceof Date)'), true)
})

t.test('no way out', async (t) => {
  const names = (await value('Object.getOwnPropertyNames(globalThis).sort().join()')) as string
  const known =
    'AggregateError,Array,ArrayBuffer,BigInt,BigInt64Array,BigUint64Array,Boolean,DataView,Date,Error,EvalError,Float16Array,Float32Array,Float64Array,Function,Infinity,Int16Array,Int32Array,Int8Array,InternalError,Iterator,JSON,Map,Math,NaN,Number,Object,Promise,Proxy,RangeError,ReferenceError,Reflect,RegExp,Set,String,Symbol,SyntaxError,TypeError,URIError,Uint16Array,Uint32Array,Uint8Array,Uint8ClampedArray,WeakMap,WeakSet,decodeURI,decodeURIComponent,encodeURI,encodeURIComponent,escape,eval,globalThis,isFinite,isNaN,log,parseFloat,parseInt,process,undefined,unescape'
  t.equal(names, known, 'no global but those of the language, `log` and the script')
  t.equal(
    await value("Function('return typeof require + typeof std + typeof os + typeof fetch')()"),
    'undefined'.repeat(4),
  )
  t.equal(await value("this?.constructor?.constructor('return typeof globalThis.process')() ?? 'none'"), 'none')
  t.match(await run("function process() { return import('node:fs') }"), /SCRIPT_/)
  t.match((await faultOf(() => make("import fs from 'node:fs'")))?.code, 'SCRIPT_SYNTAX')
})

t.test('what it throws is told with its line, in bounds', async (t) => {
  const cases: [string, RegExp][] = [
    [
      'function process(item) {\n  return item.row.missing.length\n}',
      /^SCRIPT_FAILED at script line 2: .*cannot read property 'length' of undefined/,
    ],
    ["function process() {\n\n  throw 'only text'\n}", /only text/],
    ['function process() { throw { code: 7 } }', /SCRIPT_FAILED.*7/],
    ['function process() { throw null }', /SCRIPT_FAILED.*null/],
    ['function process() { throw undefined }', /SCRIPT_FAILED/],
    ['function process() { throw Object.assign(new Error(), { get message() { for (;;); } }) }', /SCRIPT_/],
    ["function process() { throw new Error('x'.repeat(1e6)) }", /^SCRIPT_FAILED.{0,900}$/s],
    ['function process() { const e = {}; e.e = e; throw e }', /SCRIPT_FAILED/],
    ["function process() { throw new Error('\\ud800') }", /SCRIPT_FAILED/],
    ['throw new TypeError("at once")\nfunction process() {}', /SCRIPT_FAILED at script line 1: .*at once/],
    ['const x = 1', /SCRIPT_SYNTAX.*no function named process/],
    ['const process = 7', /no function named process/],
  ]
  for (const [script, why] of cases) t.match(await run(script, {}, { stepsMax: 1_000_000 }), why, script.slice(0, 60))
  const fault = await faultOf(() => make('function process(item) {\n  return item +\n}'))
  t.match(fault?.describe(), /^SCRIPT_SYNTAX at script line 3: /)
  t.match(await faultOf(() => make('throw 1').open()), { code: 'SCRIPT_FAILED' }, 'told when the flow starts')
})

t.test('results that are no items', async (t) => {
  const cases: [string, RegExp][] = [
    ['undefined', /is a undefined/],
    ['7', /is a number, no item/],
    ["'x'", /is a string, no item/],
    ['() => 1', /is a function/],
    ['Symbol()', /is a symbol/],
    ['[[]]', /item 1 is a object, no item/],
    ['[null]', /item 1 is null/],
    ['{ a: 1 }', /has "a", which belongs into its row/],
    ['{ row: 7 }', /row of the result is no object/],
    ['{ row: [] }', /no object/],
    ['{ row: { f() {} } }', /the result\.row\.f is a function/],
    ['{ row: { n: NaN } }', /row\.n is NaN/],
    ['{ row: { d: new Date(0) } }', /is a UtcDate|is a Date/],
    ['{ row: { m: new Map() } }', /is a Map, no plain object/],
    ['{ row: { p: Promise.resolve() } }', /is a Promise/],
    ['(async () => ({}))()', /is a Promise/],
    ['{ row: { u: new Uint16Array(1) } }', /is a Uint16Array/],
    ['(() => { const a = {}; a.a = a; return { row: a } })()', /nested deeper than 32 levels, or contains itself/],
    ['(() => { const a = []; a[0] = a; return { row: { a } } })()', /contains itself/],
    ['{ row: JSON.parse(\'{"__proto__": 1}\') }', /__proto__/],
    ["{ row: { s: '\\ud800' } }", /half a surrogate/],
    ["{ row: { ['\\udc00']: 1 } }", /half a surrogate/],
    ['{ row: { get g() { throw new Error(7) } } }', /SCRIPT_FAILED.*7/],
    ['{ row: { get g() { for (;;); } } }', /SCRIPT_TIMEOUT/],
    ['new Proxy({}, { ownKeys() { for (;;); } })', /SCRIPT_TIMEOUT/],
    ['{ name: 7 }', /name of the result is no text/],
    ["{ bytes: 'x' }", /no Uint8Array/],
    ['{ text: 1 }', /text that is none/],
    ['Array.from({ length: 10_001 }, () => ({}))', /10001 items/],
    ["{ row: { big: 'x'.repeat(40e6) } }", /SCRIPT_RESULT.*characters|SCRIPT_MEMORY/],
  ]
  for (const [expression, why] of cases) {
    t.match(await run(`function process() { return ${expression} }`, {}, { stepsMax: 3_000_000 }), why, expression)
  }
  t.same(await run('function process() { return { row: { a: undefined, b: 1 } } }'), [{ b: 1 }], 'undefined is nothing')
  t.same(await run('function process() { return { row: Object.create(null) } }'), [{}])
})

t.test('bounds on time, steps, memory and stack; the neighbours pass', async (t) => {
  const cases: [string, RegExp, object?][] = [
    ['for (;;);', /SCRIPT_TIMEOUT.*more than \d+ ms/, { stepsMax: 10_000_000_000 }],
    ['for (;;);', /SCRIPT_TIMEOUT.*more than 50000 steps/, { stepsMax: 50_000 }],
    ['try { for (;;); } catch { for (;;); } finally { for (;;); }', /SCRIPT_TIMEOUT/, { stepsMax: 50_000 }],
    ["/(a+)+$/.test('a'.repeat(40) + 'b')", /SCRIPT_TIMEOUT/, { stepsMax: 500_000 }],
    ["const a = []; for (;;) a.push('x'.repeat(100_000) + a.length)", /SCRIPT_MEMORY/],
    ['const m = new Map(); for (let i = 0; ; i++) m.set(i, { i })', /SCRIPT_MEMORY/],
    ['new Uint8Array(1e9)', /SCRIPT_(MEMORY|FAILED)/],
    ["'x'.repeat(5e8)", /SCRIPT_(MEMORY|FAILED)/],
    ['2n ** (2n ** 40n)', /SCRIPT_FAILED/],
    ['(function f() { return f() + 1 })()', /SCRIPT_FAILED.*stack overflow/],
    ["JSON.parse('['.repeat(1e5))", /SCRIPT_FAILED.*stack overflow/],
    ["eval('('.repeat(1e5))", /SCRIPT_FAILED/],
    ["eval('['.repeat(1e5))", /SCRIPT_FAILED/],
    ["new RegExp('('.repeat(1e5) + ')'.repeat(1e5))", /SCRIPT_FAILED/],
    ['let f = () => 1; for (let i = 0; i < 5e3; i++) f = f.bind(null); f()', /SCRIPT_(FAILED|MEMORY)/],
  ]
  for (const [body, why, more = {}] of cases) {
    const run = async (timeoutMs: number) => {
      const channel = make(`function process(item) { if (item.row.bad) { ${body} }\n return item }`, {
        memoryBytes: 32 * 1024 * 1024,
        timeoutMs,
        ...more,
      })
      const { rejects, reject } = collector()
      const items = await channel.process(itemsOf([{ n: 1 }, { bad: true }, { n: 3 }, { bad: true }]), reject)
      return { items, rejects }
    }
    // What does not end by its steps is ended by time.
    const limitsMs = why.source.includes(' ms') ? [150, 2_000, 20_000] : [60_000]
    const { items, rejects } = await patiently(limitsMs, run, (result) => result.items.length === 2)
    t.same(
      items.map(({ ref }) => ref),
      [1, 3],
      body,
    )
    t.same(
      rejects.map(({ item }) => item.ref),
      [2, 4],
    )
    t.match(rejects[1]?.fault.describe(), why)
    t.equal(rejects[0]?.fault.code, rejects[1]?.fault.code)
  }
})

t.test('notes go to the log, in bounds', async (t) => {
  context.logs.length = 0
  await run(
    "function process(item) { log('a', 1, null); for (let i = 0; i < 100; i++) log('y'.repeat(5000)); return item }",
  )
  t.equal(context.logs.length, 20)
  t.match(context.logs[0], /^info script: a 1 null /)
  t.ok(context.logs.every((line) => line.length < 1_100))
})

t.test('memory does not grow with items, and large items leave nothing', async (t) => {
  const channel = make(
    "function process(item) { const a = 'x'.repeat(item.row.n); return { row: { n: a.length, l: a.split('').length } } }",
    { memoryBytes: 256 * 1024 * 1024 },
  )
  const small = itemsOf(Array.from({ length: 300 }, () => ({ n: 100 })))
  await channel.process(small, () => t.fail())
  const before = process.memoryUsage().rss
  for (let i = 0; i < 3; i += 1) {
    await channel.process(itemsOf([{ n: 1_000_000 }]), () => undefined)
    await channel.process(small, () => t.fail())
  }
  globalThis.gc?.()
  t.ok(process.memoryUsage().rss - before < 500 * 1024 * 1024)
})

t.test('any row comes back; any script gives a result or a fault', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const texts = [
    '',
    'a',
    '\0',
    '\0n1',
    '\0s',
    '\0b0',
    '\\u0000',
    '通',
    '\u2028',
    '"',
    '__proto',
    'toJSON',
    '\ud83d\ude00',
    '\ufeff',
  ]
  // V8's JSON.parse (13.6) takes the name "\u0000b0\u0000n1" for one of six characters that it has met before, `\\u0000`.
  const names = texts.filter((text) => !text.includes('\\'))
  const any = (depth: number): Value => {
    switch (random.below(depth > 3 ? 7 : 9)) {
      case 0:
        return null
      case 1:
        return random.oneIn(2)
      case 2:
        return random.u53() * (random.oneIn(2) ? -1 : 1) * (random.oneIn(2) ? 1 : 1e-9)
      case 3:
        return BigInt(random.u53()) ** BigInt(random.below(4))
      case 4:
        return new Uint8Array(random.bytes(random.below(9)))
      case 5:
      case 6:
        return random.pick(texts) + random.pick(texts)
      case 7:
        return Array.from({ length: random.below(4) }, () => any(depth + 1))
      default:
        return rowOf(depth + 1)
    }
  }
  const rowOf = (depth: number): Row =>
    Object.fromEntries(
      Array.from({ length: random.below(5) }, () => [random.pick(names) + random.pick(names), any(depth)]),
    )
  const rows = Array.from({ length: 500 }, () => rowOf(0))
  const script =
    'function process(item) {\n  const { row } = item\n  const list = [row.a, row["\\0"]].filter((x) => x !== undefined)\n  row.z = list.map((x) => typeof x === "string" ? x.toUpperCase() : x)\n  return list.length > 9 ? null : [item]\n}'
  const same = await make('function process(item) { return item }').process(itemsOf(rows), () => t.fail())
  t.same(
    same.map(({ row }) => row),
    rows,
  )
  const codes = new Map<string, number>()
  for (let i = 0; i < 40; i += 1) {
    let text = script
    for (let n = 1 + random.below(3); n > 0; n -= 1) {
      const at = random.below(text.length)
      const put = random.oneIn(2)
        ? text.slice(random.below(text.length)).slice(0, random.below(12))
        : random.pick(['(', '}', '=', 'for(;;)', '"', '`', '/', 'null', '.row', '**', '...', '\n'])
      text = text.slice(0, at) + put + text.slice(at + random.below(4))
    }
    const { rejects, reject } = collector()
    try {
      await make(text, { stepsMax: 300_000, memoryBytes: 32 * 1024 * 1024 }).process(
        itemsOf([random.pick(rows), random.pick(rows)]),
        reject,
      )
    } catch (error) {
      if ((error as { code?: string }).code !== 'SCRIPT_SYNTAX') t.fail(`${error} of ${JSON.stringify(text)}`)
      codes.set('at once', (codes.get('at once') ?? 0) + 1)
    }
    for (const { fault } of rejects) {
      if (!fault.code.startsWith('SCRIPT_')) t.fail(`${fault.describe()} of ${JSON.stringify(text)}`)
      codes.set(fault.code, (codes.get(fault.code) ?? 0) + 1)
    }
  }
  t.comment([...codes].map((each) => each.join(' ')).join(', '))
})
