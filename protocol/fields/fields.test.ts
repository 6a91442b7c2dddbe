import t from 'tap'
import type { Fault, Result } from '#protocol/base/mod.ts'
import { type Field, f, type Infer, parseFields, parseValue } from './mod.ts'

const doc = 'for the test'

const sqlite = f.object({
  file: f.text({ doc: 'path of the database', maxLength: 4096 }),
  table: f.text({ doc, optional: true, pattern: /^\w+$/ }),
  batchRows: f.integer({ doc, min: 1, max: 10_000, default: 1000 }),
  bytesMax: f.bytes({ doc, min: 1024, max: 2 ** 30, default: 64 * 2 ** 20 }),
  pollMs: f.duration({ doc, min: 100, max: 3_600_000, default: 1000 }),
  tls: f.boolean({ doc, default: true }),
  encoding: f.choice(['utf-8', 'gbk', 'gb18030'] as const, { doc, default: 'utf-8' }),
  columns: f.list(f.text({ doc }), { doc, min: 0, max: 3, default: [] }),
  rename: f.record(f.text({ doc }), { doc, max: 3, optional: true }),
  where: f.any({ doc, optional: true }),
})

const flow = f.object({
  source: f.variant({ sqlite, directory: f.object({ path: f.text({ doc }) }) }, { doc }),
  channels: f.list(f.variant({ map: f.object({}), filter: f.object({ keep: f.text({ doc }) }) }, { doc }), {
    doc,
    default: [],
  }),
})

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const typed: Equal<
  Infer<typeof sqlite>,
  {
    file: string
    batchRows: number
    bytesMax: number
    pollMs: number
    tls: boolean
    encoding: 'utf-8' | 'gbk' | 'gb18030'
    columns: string[]
    table?: string
    rename?: Record<string, string>
    where?: Infer<ReturnType<typeof anything>>
  }
> = true
function anything(): Field<import('./mod.ts').Json> {
  return f.any({ doc })
}

type Briefly = { code: string; where: string | null; message: string; remedy: string }

function faultsOf(result: Result<unknown, Fault[]>): Briefly[] {
  if (result.ok) throw new Error(`no fault: ${JSON.stringify(result.value)}`)
  return result.fault.map(({ code, where, message, remedy }) => ({ code, where, message, remedy }))
}

function only(spec: Field, text: string): Briefly {
  const faults = faultsOf(parseFields(spec, text, { file: 'a.yaml' }))
  if (faults.length !== 1) throw new Error(`not one fault: ${JSON.stringify(faults, null, 2)}`)
  return faults[0] as Briefly
}

function valid<T>(result: Result<T, Fault[]>): T {
  if (!result.ok) throw new Error(result.fault.map((one) => one.describe()).join('\n'))
  return result.value
}

t.test('a full text, defaults, and types', async (t) => {
  t.ok(typed)
  const text = `
# a comment
source:
  sqlite:
    file: ./villages.db
    table: 2024
    batchRows: 500
    bytesMax: 64 KiB
    pollMs: 5s
    tls: false
    encoding: gb18030
    columns: [a, "b"]
    rename: { 名称: name, code: 007 }
    where: { a: [1, true, null, "x"] }
channels:
  - map:
  - filter: { keep: 'a: b' }
`
  const value = valid(parseFields(flow, text, { file: 'flow.yaml' }))
  t.strictSame(value, {
    source: {
      type: 'sqlite',
      settings: {
        file: './villages.db',
        table: '2024',
        batchRows: 500,
        bytesMax: 65_536,
        pollMs: 5000,
        tls: false,
        encoding: 'gb18030',
        columns: ['a', 'b'],
        rename: { 名称: 'name', code: '007' },
        where: { a: [1, true, null, 'x'] },
      },
    },
    channels: [
      { type: 'map', settings: {} },
      { type: 'filter', settings: { keep: 'a: b' } },
    ],
  })
  if (value.source.type === 'sqlite') t.equal(value.source.settings.encoding, 'gb18030')
  const least = valid(parseFields(sqlite, 'file: a\ntable: ~\nwhere:\n', { file: 'x' }))
  t.strictSame(least, {
    file: 'a',
    batchRows: 1000,
    bytesMax: 67_108_864,
    pollMs: 1000,
    tls: true,
    encoding: 'utf-8',
    columns: [],
  })
  least.columns.push('mine')
  t.strictSame(valid(parseFields(sqlite, 'file: a', { file: 'x' })).columns, [], 'defaults are not shared')
})

t.test('every fault says where, what is wrong and what would be right', async (t) => {
  const text = `source:
  sqlite:
    tabel: villages
    batchRows: ten
    bytesMax: 64 MB
    pollMs: 5 min
    tls: yes
    encoding: gb1830
    columns: [a, b, c, d]
    table: a b
    where: .inf
`
  const faults = faultsOf(parseFields(flow, text, { file: 'flow.yaml' }))
  t.strictSame(
    faults.map((one) => [one.code, one.where]),
    [
      ['FIELD_UNKNOWN', 'flow.yaml:3:5 source.sqlite.tabel'],
      ['FIELD_MISSING', 'flow.yaml:3:5 source.sqlite.file'],
      ['FIELD_TYPE', 'flow.yaml:4:16 source.sqlite.batchRows'],
      ['FIELD_TYPE', 'flow.yaml:5:15 source.sqlite.bytesMax'],
      ['FIELD_TYPE', 'flow.yaml:6:13 source.sqlite.pollMs'],
      ['FIELD_TYPE', 'flow.yaml:7:10 source.sqlite.tls'],
      ['FIELD_CHOICE', 'flow.yaml:8:15 source.sqlite.encoding'],
      ['FIELD_RANGE', 'flow.yaml:9:14 source.sqlite.columns'],
      ['FIELD_PATTERN', 'flow.yaml:10:12 source.sqlite.table'],
      ['FIELD_TYPE', 'flow.yaml:11:12 source.sqlite.where'],
    ],
  )
  const by = (path: string): Briefly => faults.find((one) => one.where?.endsWith(path)) as Briefly
  t.match(by('.tabel').remedy, /^Did you mean table\? Allowed here: file, table, batchRows, /)
  t.match(by('.batchRows').message, /"ten" is not a whole number$/)
  t.equal(by('.batchRows').remedy, 'Write a whole number from 1 to 10000, such as 1000')
  t.match(by('.bytesMax').remedy, /Write 64 MiB/)
  t.match(by('.pollMs').remedy, /Write 5m /)
  t.match(by('.tls').remedy, /Write true, without quotes/)
  t.match(by('.encoding').remedy, /Did you mean gb18030\? Write one of utf-8, gbk or gb18030/)
  t.match(by('.file').remedy, /path of the database/)
})

t.test('ranges, numbers and their look-alikes', async (t) => {
  t.match(only(sqlite, 'file: a\nbatchRows: 0'), { code: 'FIELD_RANGE', message: /0 is too small/ })
  t.match(only(sqlite, 'file: a\nbatchRows: 10001'), { code: 'FIELD_RANGE', remedy: /from 1 to 10000/ })
  t.match(only(sqlite, 'file: a\nbatchRows: 1.5'), { code: 'FIELD_TYPE', message: /1.5 is not a whole/ })
  t.match(only(sqlite, 'file: a\nbatchRows: "10"'), { code: 'FIELD_TYPE', remedy: 'Write it without quotes: 10' })
  t.match(only(sqlite, 'file: a\nbatchRows: 1_000'), { code: 'FIELD_TYPE', remedy: 'Write 1000' })
  t.match(only(sqlite, 'file: a\nbatchRows: １０'), { code: 'FIELD_TYPE', remedy: /^Write 10\. Full-width .*１ as 1/ })
  t.match(only(sqlite, 'file: a\nbatchRows: 9e99'), { code: 'FIELD_RANGE' })
  t.match(only(sqlite, 'file: a\nbatchRows: .nan'), { code: 'FIELD_TYPE' })
  t.match(only(sqlite, 'file: a\nbytesMax: 1023'), {
    code: 'FIELD_RANGE',
    remedy: /from 1 KiB to 1 GiB, such as 64 MiB/,
  })
  t.match(only(sqlite, 'file: a\nbytesMax: 1.0001 KiB'), { code: 'FIELD_TYPE', remedy: /comes out whole/ })
  t.match(only(sqlite, 'file: a\npollMs: 2h'), { code: 'FIELD_RANGE', remedy: /from 100ms to 1h, such as 1s/ })
  t.match(only(sqlite, 'file: ""'), { code: 'FIELD_RANGE', message: /empty/ })
  t.match(only(sqlite, 'file: "a\\0b"'), { code: 'FIELD_PATTERN', message: /NUL/ })
  t.match(only(sqlite, `file: ${'x'.repeat(4097)}`), { code: 'FIELD_RANGE', message: /4097 characters/ })
  t.equal(valid(parseFields(sqlite, 'file: a\nbatchRows: 0x10', { file: 'x' })).batchRows, 16)
  t.equal(valid(parseFields(sqlite, 'file: a\nbytesMax: 1.5MiB', { file: 'x' })).bytesMax, 1_572_864)
})

t.test('maps, lists, variants', async (t) => {
  t.match(only(flow, ''), { code: 'FIELD_MISSING', where: 'a.yaml:1:1 source' })
  t.match(only(flow, 'source: sqlite'), { code: 'FIELD_TYPE', remedy: /^Write \{ sqlite: \{\} \}, with the settings/ })
  t.match(only(flow, 'source: {}'), { code: 'FIELD_TYPE', message: /an empty map/ })
  t.match(only(flow, 'source: { sqllite: {} }'), { code: 'FIELD_CHOICE', remedy: /Did you mean sqlite\?/ })
  t.match(only(flow, 'source: { sqlite: { file: a }, directory: { path: b } }'), {
    code: 'FIELD_TYPE',
    message: /2 names where one/,
  })
  t.match(only(flow, 'source:\n  sqlite:\n  file: a\n  table: b'), { remedy: /Indent file and table below sqlite/ })
  t.match(only(flow, 'source: { directory: }'), { code: 'FIELD_MISSING', where: 'a.yaml:1:11 source.directory.path' })
  t.match(only(flow, 'source: { directory: { path: a } }\nchannels: { map: {} }'), {
    code: 'FIELD_TYPE',
    where: 'a.yaml:2:11 channels',
    remedy: /list of variant/,
  })
  t.match(only(flow, 'source: { directory: { path: a } }\nchannels:\n  - map:\n  - filtre: {}'), {
    code: 'FIELD_CHOICE',
    where: 'a.yaml:4:5 channels[1].filtre',
  })
  t.match(only(sqlite, 'file: a\ncolumns: a'), { code: 'FIELD_TYPE' })
  t.match(only(sqlite, 'file: a\ncolumns: [a, , b]').code, 'YAML_SYNTAX')
  t.match(only(sqlite, 'file: a\ncolumns: [a, ~]'), { code: 'FIELD_MISSING', where: 'a.yaml:2:14 columns[1]' })
  t.match(only(sqlite, 'file: a\nrename: { a: b, c: d, e: f, g: h }'), {
    code: 'FIELD_RANGE',
    remedy: 'Write at most 3',
  })
  t.match(only(sqlite, 'file: a\nrename: { __proto__: b }'), { code: 'FIELD_PATTERN' })
  t.match(only(sqlite, 'file: a\nwhere: { __proto__: b }'), { code: 'FIELD_PATTERN' })
  t.match(only(sqlite, 'file: a\nconstructor: b'), { code: 'FIELD_UNKNOWN' })
  t.match(only(flow, 'source: { toString: {} }'), { code: 'FIELD_CHOICE' })
  const nested = f.object({ listen: f.object({ tcp: f.object({ port: f.integer({ doc, default: 1 }) }) }) })
  t.strictSame(valid(parseFields(nested, '', { file: 'x' })), { listen: { tcp: { port: 1 } } })
  t.match(only(nested, 'listen:\n  port: 3'), { where: 'a.yaml:2:3 listen.port', remedy: /It belongs to listen\.tcp/ })
  const lone = f.object({ to: f.list(f.text({ doc }), { doc, lone: true }) })
  t.strictSame(valid(parseFields(lone, 'to: a', { file: 'x' })), { to: ['a'] })
  t.strictSame(valid(parseFields(lone, 'to: [a, b]', { file: 'x' })), { to: ['a', 'b'] })
  t.match(only(lone, 'to: { a: b }'), { code: 'FIELD_TYPE' })
})

t.test('checks of one setting and of the whole', async (t) => {
  const spec = f.object({
    low: f.integer({ doc, check: (value) => (value % 2 === 0 ? null : 'it must be even') }),
    high: f.integer({ doc, default: 4 }),
  })
  t.match(only(spec, 'low: 3'), { code: 'FIELD_CHECK', message: /"3": it must be even/, where: 'a.yaml:1:6 low' })
  const seen: string[] = []
  const result = parseFields(spec, '# x\nlow: 8', {
    file: 'a.yaml',
    inspect: (value, where) => {
      seen.push(where('low'), where('high'), where(''))
      return value.low < value.high ? [] : faultsFrom(spec, where('low'))
    },
  })
  t.match(faultsOf(result), [{ where: 'a.yaml:2:6 low' }])
  t.strictSame(seen, ['a.yaml:2:6 low', 'a.yaml:2:1 high', 'a.yaml:2:1'])
})

function faultsFrom(spec: Field, where: string): Fault[] {
  const result = parseValue(spec, null, { where })
  if (result.ok) throw new Error('expected a fault')
  return result.fault.map((one) => Object.assign(one, { where }))
}

t.test('secrets stay out of faults', async (t) => {
  const spec = f.object({
    login: f.object({ password: f.text({ doc, secret: true, pattern: /^\d+$/, minLength: 3 }) }),
    keys: f.list(f.text({ doc, secret: true }), { doc, optional: true }),
    named: f.record(f.text({ doc, secret: true }), { doc, optional: true }),
    one: f.variant({ a: f.object({ pin: f.text({ doc, secret: true }) }) }, { doc, optional: true }),
  })
  const texts = [
    'login: { password: hunter2 }',
    'login: password:hunter2',
    'login: [hunter2]',
    'login: { pasword: hunter2 }',
    'login: { password: { hunter2: 1 } }',
    'login: { password: "123" }\nkeys: hunter2',
    'login:\n  password: "hunter2" hunter2',
    '- a\nhunter2: hunter2',
    'login: { password: "hunter2\\q" }',
    'login: { password: *hunter2 }',
    'login: { password: !hunter2 x }',
    'login: {password:hunter2}',
    'login: {password:hunter2, password:hunter2}',
    'passwords: {a: b}\nlogin：{ password: hunter2 }',
    'login: { password: "123" }\nnamed: {a:hunter2}',
    'one: {a:hunter2}',
    'one: {a: {}, b:hunter2}',
  ]
  for (const text of texts) {
    const faults = faultsOf(parseFields(spec, text, { file: 'a.yaml' }))
    t.notMatch(JSON.stringify(faults), /hunter2/, text)
  }
  const value = parseValue(spec, { login: { password: 4711 } }, { where: 'body' })
  t.notMatch(JSON.stringify(faultsOf(value)), /4711/)
})

t.test('plain values', async (t) => {
  t.strictSame(valid(parseValue(sqlite, { file: 'a', batchRows: 5 }, { where: 'body' })).batchRows, 5)
  t.match(faultsOf(parseValue(sqlite, { file: 5, tls: 'true' }, { where: 'body' })), [
    { code: 'FIELD_TYPE', where: 'body file', remedy: 'Write it in quotes: "5"' },
    { code: 'FIELD_TYPE', where: 'body tls' },
  ])
  t.match(faultsOf(parseValue(sqlite, 'x', { where: 'body' })), [{ code: 'FIELD_TYPE', where: 'body' }])
  t.match(faultsOf(parseValue(sqlite, { file: new Date(0) }, { where: 'body' })), [{ message: /class/ }])
  t.match(faultsOf(parseValue(sqlite, { file: 'a', where: () => 1 }, { where: 'b' })), [{ message: /function/ }])
  const cycle: Record<string, unknown> = { file: 'a' }
  cycle.where = cycle
  t.match(faultsOf(parseValue(sqlite, cycle, { where: 'b' })), [{ code: 'FIELD_TOO_DEEP' }])
  t.match(faultsOf(parseValue(f.any({ doc }), Array(20_000).fill(1), { where: 'b' })), [{ code: 'FIELD_TOO_LARGE' }])
  t.match(faultsOf(parseValue(f.any({ doc }), Array(300_000).fill(1), { where: 'b' }))[0], { code: 'FIELD_TOO_LARGE' })
})

t.test('a wrong spec throws when it is made', async (t) => {
  t.throws(() => f.integer({ doc, min: 5, default: 3 }))
  t.throws(() => f.text({ doc, pattern: /a/g }))
  t.throws(() => f.text({ doc, pattern: /^a$/, default: 'b' }))
  t.throws(() => f.object({ 'not-camel': f.text({ doc }) }))
  t.throws(() => f.text({ doc: '' }))
  // @ts-expect-error: options are checked by name
  f.text({ doc, maxlength: 4 })
  // @ts-expect-error: a default is one of the choices
  t.throws(() => f.choice(['a', 'b'] as const, { doc, default: 'c' }))
})

t.test('the name of a type where a map belongs', async (t) => {
  const type = f.object({ file: f.text({ doc: 'x', optional: true }) })
  const variant = f.object({ from: f.variant({ csv: type, xml: type }, { doc: 'from what' }) })
  const remedyOf = (text: string): string => {
    const read = parseFields(variant, text, { file: 'a.yaml' })
    return read.ok ? '' : `${read.fault[0]?.remedy}`
  }
  t.equal(remedyOf('from: csv'), 'Write { csv: {} }, with the settings of csv inside')
  t.equal(remedyOf('from: cvs'), 'Write { csv: {} }, with the settings of csv inside')
  t.match(remedyOf('from: excel'), /^Write a map with exactly one of csv or xml/)
  t.equal(remedyOf('from: { csv: {} }'), '')
})
