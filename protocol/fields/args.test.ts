import t from 'tap'
import { describeArgs, describeFields, f, fieldRows, parseArgs } from './mod.ts'

const spec = f.object({
  dataDir: f.text({ doc: 'folder of the data' }),
  batchRows: f.integer({ doc: 'rows at once', min: -10, max: 10_000, default: 1000 }),
  bytesMax: f.bytes({ doc: 'bound of the spool', default: 1024 }),
  tls: f.boolean({ doc: 'encryption', default: true }),
  force: f.boolean({ doc: 'overwrite', default: false }),
  token: f.text({ doc: 'one-time token', secret: true, optional: true }),
  column: f.list(f.text({ doc: 'name' }), { doc: 'columns taken', default: [] }),
  rename: f.record(f.text({ doc: 'name' }), { doc: 'new names', optional: true }),
  where: f.any({ doc: 'condition', optional: true }),
  listen: f.object({ tcp: f.object({ port: f.integer({ doc: 'port', min: 0, max: 65_535, default: 7400 }) }) }),
})
const positionals = ['dataDir', 'column'] as const

function parsed(...argv: string[]): Record<string, unknown> {
  const result = parseArgs(spec, argv, { positionals })
  if (!result.ok) throw new Error(result.fault.map((one) => one.describe()).join('\n'))
  return result.value ?? { help: true }
}

function faults(...argv: string[]): { code: string; where: string | null; remedy: string }[] {
  const result = parseArgs(spec, argv, { positionals })
  if (result.ok) throw new Error(`no fault: ${JSON.stringify(result.value)}`)
  return result.fault.map(({ code, where, message, remedy }) => ({ code, where, message, remedy }))
}

t.test('options and arguments', async (t) => {
  t.strictSame(parsed('data'), {
    dataDir: 'data',
    batchRows: 1000,
    bytesMax: 1024,
    tls: true,
    force: false,
    column: [],
    listen: { tcp: { port: 7400 } },
  })
  const full = parsed(
    ...['--batch-rows', '-5', '--bytes-max=64 KiB', '--no-tls', '--force', '--token=a=b', '--rename', 'a=b=c'],
    ...['--rename=c=d', '--where', '{"x":[1]}', '--listen.tcp.port', '0', '--', 'data', '--column', '-'],
  )
  t.match(full, { batchRows: -5, bytesMax: 65_536, tls: false, force: true, token: 'a=b', where: { x: [1] } })
  t.match(full, { dataDir: 'data', column: ['--column', '-'], listen: { tcp: { port: 0 } } })
  t.match(parsed('d', '--column', 'a', '--column=b'), { column: ['a', 'b'] })
  t.match(parsed('d', '--tls=false', '--force=true'), { tls: false, force: true })
  t.match(parsed('007', '-1'), { dataDir: '007', column: ['-1'] })
  t.strictSame(parsed('--nonsense', '--help'), { help: true })
  t.match(parsed('--', '--help', 'x'), { dataDir: '--help', column: ['x'] }, 'only arguments stand after --')
})

t.test('faults name the option', async (t) => {
  t.match(faults(), [{ code: 'ARG_MISSING', where: '<data-dir>', remedy: /^Add <data-dir>.*folder of the data/ }])
  t.match(faults('d', '--batchrows', '5'), [
    { code: 'ARG_UNKNOWN', where: '--batchrows', remedy: /mean --batch-rows\?/ },
  ])
  t.match(faults('d', '--no-tsl'), [{ code: 'ARG_UNKNOWN', remedy: /mean --no-tls\?/ }])
  t.notMatch(JSON.stringify(faults('d', '--token:hunter2')), /hunter2/)
  t.match(faults('d', '-f'), [{ code: 'ARG_UNKNOWN', where: '-f', remedy: /--force/ }])
  t.match(faults('d', '--batch-rows'), [{ code: 'ARG_VALUE', where: '--batch-rows' }])
  t.match(faults('d', '--batch-rows', '--force'), [{ code: 'ARG_VALUE' }])
  t.match(faults('d', '--batch-rows', 'ten'), [
    { code: 'FIELD_TYPE', where: '--batch-rows', remedy: 'Write a whole number from -10 to 10000, such as 1000' },
  ])
  t.match(faults('d', '--batch-rows=1', '--batch-rows=2'), [{ code: 'ARG_DUPLICATE', where: '--batch-rows' }])
  t.match(faults('d', '--no-tls=1'), [{ code: 'ARG_VALUE' }])
  t.match(faults('d', '--tls=maybe'), [{ code: 'FIELD_TYPE', where: '--tls' }])
  t.match(faults('d', '--rename', 'x'), [{ code: 'ARG_VALUE', where: '--rename' }])
  t.match(faults('d', '--rename', 'a=b', '--rename', 'a=c'), [{ code: 'ARG_DUPLICATE' }])
  t.match(faults('d', '--where', '{x'), [{ code: 'ARG_VALUE', remedy: /Write JSON/ }])
  t.match(faults('d', '--listen.tcp.port', '70000'), [{ code: 'FIELD_RANGE', where: '--listen.tcp.port' }])
  const one = parseArgs(f.object({ a: f.text({ doc: 'x' }) }), ['b', 'false'], { positionals: ['a'] })
  t.match(one, { ok: false, fault: [{ code: 'ARG_EXTRA', remedy: /--name=false/ }] })
  const many = parseArgs(spec, Array<string>(20_000).fill('x'), { positionals })
  t.match(many, { ok: false, fault: [{ code: 'ARG_TOO_LARGE' }] })
})

t.test('documentation', async (t) => {
  t.equal(
    describeArgs(spec, { program: 'causeway x', summary: 'Does x.', positionals }),
    `Usage: causeway x [options] <data-dir> [<column>…]

Does x.

Arguments:
  <data-dir>   folder of the data (required)
  [<column>…]  columns taken (list of text, may be repeated; default [])

Options:
  --batch-rows N       rows at once (-10…10000; default 1000)
  --bytes-max SIZE     bound of the spool (size ≥ 0 B; default 1 KiB)
  --no-tls             do without: encryption
  --force              overwrite
  --token VALUE        one-time token
  --rename NAME=VALUE  new names (map of text, may be repeated)
  --where JSON         condition (any value)
  --listen.tcp.port N  port (0…65535; default 7400)
  --help               show this and do nothing else`,
  )
  t.equal(
    describeFields(
      f.object({
        source: f.variant({ a: spec, b: f.object({ k: f.text({ doc: '中文说明' }) }) }, { doc: 'where from' }),
        queues: f.list(f.object({ name: f.text({ doc: 'its name', secret: true, default: 'pw' }) }), { doc: 'queues' }),
      }),
    ).split('\n')[0],
    'setting                   value          default   meaning',
  )
  const rows = fieldRows(
    f.object({ q: f.list(f.object({ n: f.text({ doc: 'x', secret: true, default: 'pw' }) }), { doc: 'y' }) }),
  )
  t.strictSame(rows, [
    { path: 'q', kind: 'list of map', presence: 'required', doc: 'y' },
    { path: 'q[].n', kind: 'text (secret)', presence: '(hidden)', doc: 'x' },
  ])
})
