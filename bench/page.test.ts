import t from 'tap'
import { pageOf } from './page.ts'
import type { StoredResult } from './report.ts'

const result: StoredResult = {
  scenario: 'durable-e2e',
  unit: 'msg/s',
  params: { batch: '262144 bytes' },
  ours: { 'msg/s at 256 B': 90_000, 'msg/s at 1024 B': 40_000, 'cores of hub, 256 B': 0.5 },
  peers: { swift: { 'msg/s at 256 B': 10_000, 'msg/s at 1024 B': 10_000 }, odd: { 'msg/s at 256 B': 45_000 } },
  missing: { absent: 'it is not installed' },
  conditions: { swift: 'flushed each second' },
  targets: [
    { name: 'ratio-256', want: '>= 8', got: 2, ok: false },
    { name: 'ratio-1024', want: '>= 4', got: null, ok: null },
  ],
  notes: ['a note'],
  when: '2026-01-02T03:04:05.000Z',
  node: 'v24.0.0',
  cpu: '2 × Some CPU',
  commit: 'abc1234',
}

t.test('a section says the ratios, the conditions and the commit', async (t) => {
  const page = pageOf('', [result])
  for (const line of [
    '## durable-e2e',
    'Commit abc1234, 2026-01-02, Node 24.0.0, 2 × Some CPU.',
    '| ratio-256 | ≥ 8 | 2 | missed |',
    '| ratio-1024 | ≥ 4 | not measured | ? |',
    '| msg/s, over | at 256 B | at 1024 B |',
    '| swift | 9 × | 4 × |',
    '| odd | 2 × | – |',
    '- batch: 262144 bytes',
    '- swift: flushed each second',
    '- not measured: absent: it is not installed',
    '- a note',
  ]) {
    t.ok(page.split('\n').includes(line), line)
  }
  t.notMatch(page, /90,?000|45,?000/, 'absolute figures are not quoted')
})

t.test('a scenario that was not measured keeps its section, a trial is left out', async (t) => {
  const before = pageOf('', [{ ...result, scenario: 'latency' }, result])
  const after = pageOf(before, [
    { ...result, commit: 'def5678' },
    { ...result, scenario: 'ceiling', shortened: true },
  ])
  t.match(after, /## durable-e2e\n\nCommit def5678/)
  t.match(after, /## latency\n\nCommit abc1234/)
  t.notMatch(after, /## ceiling/)
  t.equal(pageOf(after, []), after, 'nothing new changes nothing')
})

t.test('less may be better, and a figure may need explaining', async (t) => {
  const page = pageOf('', [
    {
      ...result,
      scenario: 'latency',
      unit: 'ms',
      better: 'less',
      ours: { 'p99 at 20 %': 2, 'p99 at 60 %': 3 },
      peers: { swift: { 'p99 at 20 %': 4, 'p99 at 60 %': 300 } },
      marked: { swift: ['p99 at 60 %'] },
    },
  ])
  const lines = page.split('\n')
  t.ok(lines.includes('| ms (less is better), over | p99 at 20 % | p99 at 60 % |'))
  t.ok(lines.includes('| swift | 0.5 × | 0.01 × * |'))
})

t.test('what has neither peers nor targets is not published', async (t) => {
  t.notMatch(pageOf('', [{ ...result, scenario: 'micro', peers: {}, targets: [] }]), /## micro/)
})
