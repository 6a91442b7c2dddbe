import t from 'tap'
import { describeFields, f } from '#protocol/fields/mod.ts'
import { type FlowFile, flowFileSpec, parseFlowFile } from './flow-file.ts'

const doc = 'for the test'
const registry = {
  source: {
    sqlite: { settings: f.object({ file: f.text({ doc }), table: f.text({ doc }) }) },
    hub: { settings: f.object({ queue: f.text({ doc }) }) },
  },
  channel: {
    map: { settings: f.object({ rename: f.record(f.text({ doc }), { doc, optional: true }) }) },
    filter: { settings: f.object({ where: f.any({ doc }) }) },
  },
  destination: {
    hub: { settings: f.object({ topic: f.text({ doc }), batchRows: f.integer({ doc, min: 1, default: 1000 }) }) },
  },
}

function read(text: string): FlowFile {
  const result = parseFlowFile(text, { file: 'flow.yaml', registry })
  if (!result.ok) throw new Error(result.fault.map((one) => one.describe()).join('\n'))
  return result.value
}

function faults(text: string): { code: string; where: string | null; remedy: string }[] {
  const result = parseFlowFile(text, { file: 'flow.yaml', registry })
  return result.ok ? [] : result.fault.map(({ code, where, message, remedy }) => ({ code, where, message, remedy }))
}

const least = `
flow: villages
source: { sqlite: { file: a.db, table: village } }
destination: { hub: { topic: divisions/village } }
`

t.test('a whole file', async (t) => {
  const full = `
flow: villages-1.2
source:
  sqlite:
    file: a.db
    table: village
channels:
  - map: { rename: { 名称: name } }
  - map:
  - filter: { where: "code ~> $startsWith('4452')" }
destination:
  hub:
    topic: divisions/village
    batchRows: 50
retry: { firstMs: 100ms, maxMs: 2m }
`
  t.strictSame(read(full), {
    name: 'villages-1.2',
    source: { type: 'sqlite', settings: { file: 'a.db', table: 'village' } },
    channels: [
      { type: 'map', settings: { rename: { 名称: 'name' } } },
      { type: 'map', settings: {} },
      { type: 'filter', settings: { where: "code ~> $startsWith('4452')" } },
    ],
    destination: { type: 'hub', settings: { topic: 'divisions/village', batchRows: 50 } },
    retry: { firstMs: 100, maxMs: 120_000 },
    documentBytesMax: 16_777_216,
    cases: [],
  })
})

t.test('channels and retry may be left out', async (t) => {
  t.match(read(least), { name: 'villages', channels: [], retry: { firstMs: 500, maxMs: 60_000 } })
  t.match(read(`${least}channels:\nretry:\n`), { channels: [], retry: { firstMs: 500, maxMs: 60_000 } })
})

t.test('faults name file, line, setting and what would be right', async (t) => {
  t.match(faults(''), [{ code: 'FIELD_MISSING' }, { code: 'FIELD_MISSING' }, { code: 'FIELD_MISSING' }])
  t.match(faults(least.replace('table:', 'tabel:')), [
    { code: 'FIELD_UNKNOWN', where: 'flow.yaml:3:33 source.sqlite.tabel', remedy: /^Did you mean table\?/ },
  ])
  t.match(faults(least.replace('sqlite:', 'sqlit:')), [
    {
      code: 'FIELD_CHOICE',
      where: 'flow.yaml:3:11 source.sqlit',
      remedy: /^Did you mean sqlite\? Write one of sqlite or hub/,
    },
  ])
  t.match(faults(least.replace('sqlite:', 'map:')), [{ code: 'FIELD_CHOICE', where: /source\.map$/ }])
  t.match(faults(`${least}channels: [{ map: {} }, { hub: {} }]`), [
    { code: 'FIELD_CHOICE', where: /channels\[1\]\.hub$/ },
  ])
  t.match(faults(`${least}chanels: []`), [{ code: 'FIELD_UNKNOWN', remedy: /Did you mean channels\?/ }])
  t.match(faults(`${least}retry: { firstMs: 2m, maxMs: 1m }`), [{ code: 'FIELD_CHECK', where: 'flow.yaml:5:8 retry' }])
  t.match(faults(`${least}channels: [${'{ map: {} },'.repeat(51)}]`), [{ code: 'FIELD_RANGE', where: /channels$/ }])
  for (const name of ['Villages', '.hidden', 'a.', '../up', 'a/b', '村', 'nul', 'com1.x', 'x'.repeat(64)]) {
    t.match(faults(least.replace('villages', name)), [{ where: /^flow\.yaml:2:7 flow$/ }], name)
  }
})

t.test('the documentation covers the components', async (t) => {
  const text = describeFields(flowFileSpec(registry))
  for (const path of ['source.sqlite.table', 'channels[].map.rename', 'destination.hub.batchRows', 'retry.maxMs']) {
    t.ok(text.includes(path), path)
  }
})
